"""Update a place on the map.

Renames one POI through the connection `mapsindoors_default`, in English and in Danish.

An object needs its `id` and the fields to change; all other fields stay. `properties` are replaced as a
whole, in all languages. When the service refuses an update, the task fails. For many objects use the path of
a JSON, JSON Lines or GeoJSON file instead of the list, such as `s3://aws_default@bucket/rooms.geojson`.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider.mapsindoors.operators import MapsIndoorsUpdateGeodataOperator

with DAG("mapsindoors_update_geodata", schedule=None, tags=["mapsindoors"], doc_md=__doc__) as dag:
    MapsIndoorsUpdateGeodataOperator(
        task_id="rename_printer",
        geodata=[
            {
                "id": "c88c996b231746d096db5eaa",
                "properties": {"name@en": "Printing facilities1", "name@da": "Print new"},
            }
        ],
    )
