"""When a dataset changes, update the map.

The DAG starts when the campus assets in AmigoCloud change. `AmigoCloudEventTrigger` listens to the websocket
of the connection `amigocloud_default` (a user's token), and polls the dataset's state once a minute for
changes that the websocket has missed. It runs in the triggerer and holds no worker slot; all watchers of the
connection share the websocket.

1. AmigoCloud: export the canteens' machines that have a location, from one state of the dataset.
2. MapsIndoors: synchronise the map with the export. Only differences are written; nothing is deleted.

When websockets are blocked, use `AmigoCloudDatasetTrigger(dataset=2001)` instead.
"""

from __future__ import annotations

from airflow.sdk import DAG, AssetWatcher

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.operators import AmigoCloudExportOperator
from airflow_provider.amigocloud.triggers import AmigoCloudEventTrigger
from airflow_provider.mapsindoors.operators import MapsIndoorsSyncGeodataOperator

# A run that an event starts has no logical date.
FILE = "{{ var.value.twin_output }}/amigocloud/machines_{{ dag_run.run_after | ts_nodash }}.geojson"
CHANGES = AssetWatcher(
    name="campus_assets_changed", trigger=AmigoCloudEventTrigger(events=["realtime"], dataset=2001)
)
ASSETS = AmigoCloudHook.asset(project=1234, dataset=2001, watchers=[CHANGES])

with DAG("amigocloud_dataset_changed", schedule=[ASSETS], tags=["twin", "event"], doc_md=__doc__) as dag:
    export = AmigoCloudExportOperator(
        task_id="export_machines",
        sql="""SELECT amigo_id AS "externalId", name, wkb_geometry FROM dataset_2001
            WHERE category = 'catering' AND in_service AND wkb_geometry IS NOT NULL""",
        key="externalId",
        output_path=FILE,
    )
    sync = MapsIndoorsSyncGeodataOperator(
        task_id="update_map",
        source=FILE,
        scope={"base_types": ["poi"]},
        defaults={
            "baseType": "poi",
            "displayTypeId": "52c120dfae7e47269e930b80",
            "parentId": "4334028162a34a0b1f76076b",
        },
    )
    export >> sync
