"""Vendor's client of IoT Studio, ``iots``: it works with the sandbox, and reads what the hook has written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.sandbox.server import Sandbox
from tests.contract import client_environments

THING = "01GQ2E9M2Y45BX9EW0F2BM032Q"


def run_client(sandbox: Sandbox, step: str = "use") -> Any:
    connection = json.loads(sandbox.connections["iotstudio_default"])
    return client_environments.run("iots", Path(__file__).with_name("vendor_client.py"), step, connection)


def test_the_vendors_client_lists_reads_writes_and_deletes(sandbox: Sandbox) -> None:
    assert run_client(sandbox) == {
        "categories": ["Meters", "Sensors"],
        "title": "Climate A-0.01",
        "sensors": 240,
        "warm": 144,
        "updated": 17.3,
        "many": "eco",
        "read": 18,
        "action": "completed",
        "renamed": "P1",
    }
    assert len(sandbox.iotstudio.revoked) == 1
    assert sandbox.counters.total("GET /spaces/{space}/categories/{category}/things") == 5  # of 50 each
    assert all(thing.title != "P1" for thing in sandbox.iotstudio.space.things.values())


def test_the_vendors_client_finds_status_and_reason_in_every_refusal(sandbox: Sandbox) -> None:
    assert run_client(sandbox, "mistakes") == {
        "no such thing": [404, "Item not found"],
        "no such property": [400, "invalid property values"],
        "a right that was not asked for": [403, "Unauthorized"],
        "an unknown token": [401, "Unauthenticated"],
        "a wrong secret": [401, "invalid_client"],
    }


def test_both_clients_agree_on_what_the_other_has_written(sandbox: Sandbox) -> None:
    run_client(sandbox)
    with IoTStudioHook() as hook:
        assert hook.get_property(THING, "temperature") == 18
        assert hook.get_property(THING, "mode") == "eco"
        assert len(list(hook.list_things(category="Sensors"))) == 240
        assert list(hook.list_actions(THING, "updateFirmware")) == []
        assert list(hook.list_events(THING, "highTemperature")) == []
        hook.set_properties(THING, {"temperature": 17.3})
    assert run_client(sandbox)["updated"] == 17.3
