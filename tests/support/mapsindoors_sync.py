"""Sync of MapsIndoors geodata: run it, and read the campus that it leaves."""

from __future__ import annotations

import signal
import subprocess
import time
from random import Random
from typing import Any

import msgspec

from airflow_provider.mapsindoors.operators import MapsIndoorsSyncGeodataOperator
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService
from airflow_provider.sandbox.server import Sandbox

POI = {"type": "Point", "coordinates": [12.5705, 55.7805]}
RING = [[12.5704, 55.7804], [12.5706, 55.7804], [12.5706, 55.7805], [12.5704, 55.7805], [12.5704, 55.7804]]
SQUARE = {"type": "Polygon", "coordinates": [RING]}
ROOMS = {"base_types": ["room"]}
REFUSED = {"capacity": 10**10}
"""Fields that only the service refuses."""


def sync(source: Any = None, **options: Any) -> dict[str, Any]:
    """Run the operator without a limit on deletions."""
    options.setdefault("max_delete_ratio", 1.0)
    result = MapsIndoorsSyncGeodataOperator(task_id="t", source=source, **options).execute({})
    return dict(result)


def writes(sandbox: Sandbox) -> int:
    """Return the number of requests that write geodata."""
    return sum(
        count
        for name, count in sandbox.counters.requests.items()
        if "geodata" in name and not name.startswith("mapsindoors GET")
    )


def by_external_id(service: MapsIndoorsService) -> dict[str, dict[str, Any]]:
    """Return the current objects of the campus that have an external id."""
    return {item["externalId"]: item for item in service.campus.geodata.values() if item.get("externalId")}


def restore(service: MapsIndoorsService) -> None:
    """Restore objects and switches, without a rate limit; tokens stay valid, as new ones take a second."""
    auth = service.auth
    service.reset()
    service.auth, service.rate_limit = auth, None


def put(service: MapsIndoorsService, *objects: dict[str, Any]) -> None:
    """Replace objects in the service without a request."""
    service.campus.geodata = {**service.campus.geodata, **{item["id"]: item for item in objects}}


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
    """Return objects as the hook receives them: undecoded JSON."""
    return [msgspec.Raw(msgspec.json.encode(item)) for item in objects]


def busiest_second(moments: list[float]) -> int:
    """Return the maximum number of these moments within one second."""
    return max(sum(moment <= other < moment + 1 for other in moments) for moment in moments)


def kill_after(command: list[str], sandbox: Sandbox, requests: int, chance: Random) -> None:
    """Run a command, and kill it at a random moment soon after the sandbox has had so many requests."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while sum(sandbox.counters.requests.values()) < requests:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(chance.random() * 0.1)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
