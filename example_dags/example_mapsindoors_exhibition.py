"""Show the stands of an exhibition on its days: they appear and vanish by themselves.

1. The display type and the category of the stands, with names in every language of the solution.
2. The stands, which name both. `activefrom` and `activeto` are times with their zone; the map shows a stand
   between them. A new date in the table moves the stand's date on the map with the next run.

Only fields that a row has are compared. A second run writes nothing.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider.mapsindoors.operators import (
    MapsIndoorsSyncCategoriesOperator,
    MapsIndoorsSyncDisplayTypesOperator,
    MapsIndoorsSyncGeodataOperator,
)

NAMES = {"name@en": "Stand", "name@da": "Stand"}
DAYS = {"activefrom": "2026-09-03T09:00:00+02:00", "activeto": "2026-09-05T18:00:00+02:00"}
STAND = {
    "baseType": "poi",
    "displayType": "Stand",
    "categories": ["STANDS"],
    "parentExternalId": "A-0",
    **DAYS,
}
STANDS = [
    {"externalId": "STAND-1", "name": "Acme", "lon": 12.57052, "lat": 55.78051},
    {"externalId": "STAND-2", "name": "Umbrella", "lon": 12.57058, "lat": 55.78051},
]

with DAG("mapsindoors_exhibition", schedule=None, tags=["mapsindoors"], doc_md=__doc__) as dag:
    types = MapsIndoorsSyncDisplayTypesOperator(task_id="display_types", source=[{"name": "Stand", **NAMES}])
    categories = MapsIndoorsSyncCategoriesOperator(task_id="categories", source=[{"key": "STANDS", **NAMES}])
    stands = MapsIndoorsSyncGeodataOperator(task_id="stands", source=STANDS, defaults=STAND, max_changes=100)
    [types, categories] >> stands
