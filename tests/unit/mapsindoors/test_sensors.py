"""MapsIndoorsGeodataSensor: behaviour over TCP, on a worker and in the triggerer."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.core.http.retry import RetryLimits
from airflow_provider.errors import InputError, PermissionDeniedError, ServerError
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.mapsindoors.sensors import MapsIndoorsGeodataSensor
from airflow_provider.mapsindoors.triggers import MapsIndoorsGeodataTrigger
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService, seed
from airflow_provider.sandbox.server import Sandbox
from tests.support.airflow_names import AirflowSensorTimeout, TaskDeferred

POI = seed.TUTORIAL_POI
EXPECTED: list[dict[str, Any]] = [
    {"id": POI, "properties": {"Name@en": "Printing facilities"}, "aliases": []}
]
OTHER: list[dict[str, Any]] = [{"id": POI, "properties": {"name@en": "Something else"}}]


def sensor(expected: Any = EXPECTED, **options: Any) -> MapsIndoorsGeodataSensor:
    settings: dict[str, Any] = {"deferrable": False, "poke_interval": 0.01, "timeout": 5, **options}
    return MapsIndoorsGeodataSensor(task_id="t", expected=expected, **settings)


def trigger(expected: Any, seconds: float = 5.0) -> MapsIndoorsGeodataTrigger:
    return MapsIndoorsGeodataTrigger(
        mapsindoors_conn_id="mapsindoors_default",
        expected=expected,
        match_on="id",
        deadline=time.time() + seconds,
        poll_interval=0.02,
    )


async def fired(one: MapsIndoorsGeodataTrigger) -> dict[str, Any]:
    event = await anext(one.run())
    return dict(event.payload)


@pytest.mark.parametrize("deferrable", [True, False])
def test_objects_that_are_as_expected_end_the_wait_at_once(
    service: MapsIndoorsService, deferrable: bool
) -> None:
    assert sensor(deferrable=deferrable).execute({}) == {"matched": 1}


def test_a_worker_waits_until_the_map_is_as_expected(service: MapsIndoorsService, sandbox: Sandbox) -> None:
    waiting = sensor(OTHER)
    assert not waiting.poke({}).is_done
    poi = service.campus.geodata[POI]
    service.campus.geodata = {**service.campus.geodata, POI: {**poi, **OTHER[0]}}
    assert waiting.poke({}).is_done


def test_deferred_it_gives_the_same_result(service: MapsIndoorsService) -> None:
    waiting = sensor(OTHER, deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        waiting.execute({})
    poi = service.campus.geodata[POI]
    service.campus.geodata = {**service.campus.geodata, POI: {**poi, **OTHER[0]}}
    path, arguments = deferred.value.trigger.serialize()
    assert path == "airflow_provider.mapsindoors.triggers.MapsIndoorsGeodataTrigger"
    assert seed.PASSWORD not in json.dumps(arguments)
    event = asyncio.run(fired(MapsIndoorsGeodataTrigger(**arguments)))
    assert waiting.execute_complete({}, event) == {"matched": 1}


@pytest.mark.parametrize("failures", [5, 6])
def test_a_worker_tolerates_five_failed_polls_in_a_row(
    service: MapsIndoorsService, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    monkeypatch.setattr(MapsIndoorsHook, "retry_limits", RetryLimits(attempts=1))
    sandbox.faults.add("status", status=503, path="/geodata", times=failures)
    if failures == 5:
        assert sensor().execute({}) == {"matched": 1}
    else:
        with pytest.raises(ServerError):
            sensor().execute({})


def test_a_failed_first_poll_is_left_to_the_trigger(
    service: MapsIndoorsService, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MapsIndoorsHook, "retry_limits", RetryLimits(attempts=1))
    sandbox.faults.add("status", status=503, path="/geodata")
    with pytest.raises(TaskDeferred):
        sensor(deferrable=True).execute({})


def test_the_wait_has_an_end(service: MapsIndoorsService) -> None:
    event = asyncio.run(fired(trigger(OTHER, seconds=0.1)))
    assert event == {"status": "timeout"}
    with pytest.raises(AirflowSensorTimeout, match="not as expected after 5 s"):
        sensor(OTHER).execute_complete({}, event)


async def test_many_waits_share_their_polls(service: MapsIndoorsService, sandbox: Sandbox) -> None:
    service.rate_limit = None
    many = [trigger(EXPECTED) for _ in range(20)]
    for one in many:
        one.poll_interval = 5.0
    events = await asyncio.gather(*(fired(one) for one in many))
    assert events == [{"status": "done", "matched": 1}] * 20
    assert sandbox.counters.total("GET /{api_key}/api/geodata") == 1


def test_a_403_ends_the_wait(service: MapsIndoorsService, sandbox: Sandbox) -> None:
    sandbox.faults.add("status", status=403, path="geodata", times=None)
    event = asyncio.run(fired(trigger(OTHER)))
    with pytest.raises(PermissionDeniedError):
        sensor(OTHER).execute_complete({}, event)


def test_an_object_is_found_by_any_key_and_must_be_the_only_one(service: MapsIndoorsService) -> None:
    rows = [{"externalId": "A-0-01", "status": 3}]
    assert sensor(rows, match_on="externalId").execute({}) == {"matched": 1}
    room = next(one for one in service.campus.geodata.values() if one.get("externalId") == "A-0-01")
    service.campus.geodata = {**service.campus.geodata, "x": {**room, "id": "x"}}
    assert not sensor(rows, match_on="externalId").poke({}).is_done


def test_what_is_expected_may_be_a_file(service: MapsIndoorsService, tmp_path: Path) -> None:
    path = tmp_path / "expected.jsonl"
    path.write_text(json.dumps(EXPECTED[0]))
    assert sensor(str(path)).execute({}) == {"matched": 1}


@pytest.mark.parametrize(
    ("expected", "words"),
    [([], "is empty"), ([{"status": 3}], "row 1: has no id"), ([{"id": POI, "status": 9}], "status must be")],
)
def test_bad_expectations_are_refused(sandbox: Sandbox, expected: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        sensor(expected).execute({})
    assert not sandbox.counters.requests


NAMED = {"id": POI, "displayType": "\u00a0printer", "categories": ["SERVICE"]}


@pytest.mark.parametrize("deferrable", [True, False])
def test_names_of_types_and_categories_are_expected_as_ids(
    service: MapsIndoorsService, deferrable: bool
) -> None:
    poi = service.campus.geodata[POI]
    category = next(one for one in service.campus.categories.values() if one["id"] in poi["categories"])
    row = {**NAMED, "categories": category["key"]}
    assert sensor([row], deferrable=deferrable).execute({}) == {"matched": 1}
    if deferrable:
        with pytest.raises(TaskDeferred) as deferred:
            sensor([{**row, "status": 0}], deferrable=True).execute({})
        (sent,) = deferred.value.trigger.serialize()[1]["expected"]
        assert (sent["displayTypeId"], sent["categories"]) == (poi["displayTypeId"], [category["id"]])


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"displayType": "Printr"}, "there is no display type 'Printr'; did you mean 'Printer'"),
        ({"displayTypeId": "f" * 24}, "there is no display type"),
        ({"categories": ["NOPE"]}, "there is no category 'NOPE'"),
        ({"name@dk": "Printer"}, "'name@dk' has the language 'dk', which the solution does not have"),
    ],
)
def test_what_the_solution_does_not_have_is_not_waited_for(
    service: MapsIndoorsService, fields: dict[str, Any], words: str, deferrable: bool
) -> None:
    with pytest.raises(InputError, match=words):
        sensor([{"id": POI, **fields}], deferrable=deferrable, timeout=600).execute({})


def test_catalogues_are_read_once(service: MapsIndoorsService, sandbox: Sandbox) -> None:
    service.rate_limit = None
    waiting = sensor([{**NAMED, "categories": [], "name@en": "Other"}])
    assert not [waiting.poke({}).is_done for _ in range(3) if waiting.poke({}).is_done]
    assert sandbox.counters.total("GET /{api_key}/api/displaytypes") == 1
    assert sandbox.counters.total("GET /{api_key}/api/dataset") == 1
