"""Helpers: run a sync and read its result."""

from __future__ import annotations

from typing import Any

import msgspec

from airflow_provider.mapsindoors.operators import MapsIndoorsSyncGeodataOperator
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService
from airflow_provider.sandbox.server import Sandbox

POI = {"type": "Point", "coordinates": [12.5705, 55.7805]}
RING = [[12.5704, 55.7804], [12.5706, 55.7804], [12.5706, 55.7805], [12.5704, 55.7805], [12.5704, 55.7804]]
SQUARE = {"type": "Polygon", "coordinates": [RING]}
ROOMS = {"base_types": ["room"]}
REFUSED = {"additionalDetails": [{"key": "mail", "detailType": "email", "value": "no address"}]}
"""Fields that only the service refuses."""


def sync(source: Any = None, **options: Any) -> dict[str, Any]:
    """Run the sync operator, by default without a limit of deletions."""
    options.setdefault("max_delete_ratio", 1.0)
    result = MapsIndoorsSyncGeodataOperator(task_id="t", source=source, **options).execute({})
    return dict(result)


def writes(sandbox: Sandbox) -> int:
    """Return the number of requests that write geodata."""
    return sum(
        n
        for name, n in sandbox.counters.requests.items()
        if "geodata" in name and not name.startswith("mapsindoors GET")
    )


def by_external_id(service: MapsIndoorsService) -> dict[str, dict[str, Any]]:
    """Return the objects of the campus by external id."""
    return {one["externalId"]: one for one in service.campus.geodata.values() if one.get("externalId")}


def put(service: MapsIndoorsService, *objects: dict[str, Any]) -> None:
    """Replace stored objects without a request."""
    service.campus.geodata = {**service.campus.geodata, **{one["id"]: one for one in objects}}


def desk(code: str, **fields: Any) -> dict[str, Any]:
    """Return a row for a new desk."""
    return {
        "externalId": code,
        "baseType": "poi",
        "name": f"Desk {code}",
        "displayTypeId": "Workspace",
        "categories": ["WORK"],
        "parentExternalId": "A-0",
        "geometry": POI,
        **fields,
    }


def undecoded(objects: list[dict[str, Any]]) -> list[msgspec.Raw]:
    """Return objects encoded as the service sends them."""
    return [msgspec.Raw(msgspec.json.encode(one)) for one in objects]


def busiest_second(moments: list[float]) -> int:
    """Return the maximum number of times within a second."""
    return max(sum(moment <= other < moment + 1 for other in moments) for moment in moments)
