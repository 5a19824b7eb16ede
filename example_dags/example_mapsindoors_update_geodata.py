"""Update a place on the map.

Renames one POI through the connection `mapsindoors_default`, in English and in Danish.

An object needs its `id` and what changes; everything else stays. `properties` go whole, with all their
languages. A refused update fails the task. For many objects give the path of a JSON, JSON Lines or GeoJSON
file instead of the list, such as `s3://aws_default@bucket/rooms.geojson`.
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
