"""Synchronise the four systems every night.

1. AmigoCloud: export the numbers of assets in service. LeanIX: fetch the application landscape; the task
   waits without a worker slot.
2. Derive the labels of the map and the set points of the devices from both.
3. MapsIndoors: update the map. Altair IoT Studio: set the devices, and verify by reading back.

Every step completes or fails, and can be retried. After a rate limit the retry waits as long as the service
asks for; a missing permission fails without a retry. Files are written below the folder or bucket that the
Airflow variable `twin_output` names, one folder per run. Set a `schedule`, such as `"0 3 * * *"`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, ObjectStoragePath, task

from airflow_provider.amigocloud.operators import AmigoCloudExportOperator
from airflow_provider.iotstudio.operators import IoTStudioWritePropertiesOperator
from airflow_provider.leanix.operators import LeanIXRunOperator
from airflow_provider.mapsindoors.operators import MapsIndoorsUpdateGeodataOperator
from airflow_provider.retries import ServiceRetryPolicy

FOLDER = "{{ var.value.twin_output }}/nightly/{{ dag_run.run_after | ts_nodash }}"
RETRIES = {"retries": 3, "retry_delay": timedelta(minutes=1), "retry_policy": ServiceRetryPolicy()}

with DAG("nightly_digital_twin", schedule=None, default_args=RETRIES, tags=["twin"], doc_md=__doc__) as dag:
    assets = AmigoCloudExportOperator(
        task_id="export_assets",
        sql="SELECT category, count(*) AS assets FROM dataset_2001 WHERE in_service GROUP BY category",
        output_path=f"{FOLDER}/assets.jsonl",
    )
    landscape = LeanIXRunOperator(
        task_id="fetch_landscape",
        connector_type="report",
        connector_id="landscape",
        connector_version="1.0.0",
        processing_direction="outbound",
        output_path=f"{FOLDER}/landscape.json",
        deferrable=True,
    )

    @task
    def work_out(folder: str) -> None:
        """Build rows for the map and for the devices from the exports."""
        import json

        night = ObjectStoragePath(folder)
        counts = [json.loads(line) for line in (night / "assets.jsonl").read_text().splitlines()]
        applications = json.loads((night / "landscape.json").read_text())["content"]
        planner = next(item["data"] for item in applications if item["data"]["name"] == "Facilities Planner")
        in_service = sum(row["assets"] for row in counts)
        names = {"name@en": f"Printing, {in_service} assets", "name@da": f"Print, {in_service} aktiver"}
        place = {"id": "c88c996b231746d096db5eaa", "properties": names}
        warm = planner["lifecycle"] == "active"
        device = {"thing_id": "01GQ2E9M2Y45BX9EW0F2BM032Q", "properties": {"setpoint": 21.5 if warm else 17}}
        (night / "map.jsonl").write_text(json.dumps(place))
        (night / "devices.jsonl").write_text(json.dumps(device))

    update_map = MapsIndoorsUpdateGeodataOperator(task_id="update_map", geodata=f"{FOLDER}/map.jsonl")
    set_devices = IoTStudioWritePropertiesOperator(task_id="set_devices", writes=f"{FOLDER}/devices.jsonl")

    [assets, landscape] >> work_out(FOLDER) >> [update_map, set_devices]
