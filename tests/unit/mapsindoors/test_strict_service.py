"""The sync, the update and the sensor under both settings of each switch of strictness."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider.errors import InputError
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.mapsindoors.operators import MapsIndoorsUpdateGeodataOperator
from airflow_provider.mapsindoors.sensors import MapsIndoorsGeodataSensor
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService
from airflow_provider.sandbox.server import Sandbox
from tests.support.mapsindoors_sync import RING, by_external_id, desk, sync

SETTINGS: dict[str, dict[str, Any]] = {
    "strict": {},
    "tolerant": {"strict": False},
    "newtonsoft": {"json_reader": "newtonsoft"},
    "numbers in texts": {"numbers_in_text": True},
    "keys twice": {"duplicate_keys": "last"},
    "ring order": {"ring_order": "counter-clockwise"},
    "case": {"lower_case_keys": False},
    "case, replaced": {"lower_case_keys": False, "nested_put": "replace"},
    "lower case, replaced": {"nested_put": "replace"},
    "tolerant, case": {"strict": False, "lower_case_keys": False},
    **{
        f"no check of {name}": {f"check_{name}": False}
        for name in (
            "content_type",
            "types",
            "ids",
            "dates",
            "numbers",
            "keys",
            "languages",
            "display_types",
            "status",
            "geometry",
            "query",
        )
    },
}
EACH = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS.keys())
BOW_TIE = {"type": "Polygon", "coordinates": [[RING[0], RING[2], RING[1], RING[3], RING[0]]]}
ROWS = [
    desk("D-1", capacity=4.0, obstacle=False, activefrom=datetime(2026, 3, 1, tzinfo=UTC), status=1),
    desk("D-2", capacity="4", **{"seatNo@generic": 7}),
    {"externalId": "BIKE-1", "colorproperty@generic": "blue", "status": "3"},
    {"externalId": "A-0-01", "name": "Reception", "capacity": "12"},
]


def switch(service: MapsIndoorsService, setting: dict[str, Any]) -> None:
    for name, value in setting.items():
        setattr(service, name, value)


@EACH
def test_a_sync_writes_what_the_service_takes_and_is_unchanged_afterwards(
    unlimited_service: MapsIndoorsService, setting: dict[str, Any]
) -> None:
    switch(unlimited_service, setting)
    assert sync(ROWS, missing="ignore")["failed"] == 0
    again = sync(ROWS)
    assert (again["create"], again["update"], again["unchanged"]) == (0, 0, 4)
    found = by_external_id(unlimited_service)
    members = found["D-1"]["baseTypeProperties"]
    assert (members["capacity"], members["obstacle"]) == ("4", "false")
    assert members["activefrom"] == "2026-03-01T00:00:00Z"
    keys = [key for key in found["BIKE-1"]["properties"] if key.lower().startswith("color")]
    written = "colorproperty@generic" if unlimited_service.lower_case_keys else "colorProperty@generic"
    assert {key: found["BIKE-1"]["properties"][key] for key in keys} == {written: "blue"}


@EACH
def test_a_write_of_a_whole_map_changes_nothing(
    unlimited_service: MapsIndoorsService, setting: dict[str, Any]
) -> None:
    switch(unlimited_service, setting)
    with MapsIndoorsHook() as hook:
        before = hook.list_geodata()
        MapsIndoorsUpdateGeodataOperator(task_id="t", geodata=before).execute({})
        assert hook.list_geodata() == before
        sensor = MapsIndoorsGeodataSensor(task_id="s", expected=before, deferrable=False)
        assert sensor.poke({}).is_done


@pytest.mark.parametrize("reader", ["system.text.json", "newtonsoft"])
@pytest.mark.parametrize("mode", ["atomic", "stop-at-first", "skip-bad"])
def test_a_row_that_only_the_service_refuses_fails_alone(
    unlimited_service: MapsIndoorsService, reader: str, mode: str
) -> None:
    switch(unlimited_service, {"json_reader": reader, "batch_mode": mode})
    rows = [{"externalId": f"A-0-0{n}", "name": f"Room {n}"} for n in range(1, 6)]
    rows[1]["geometry"] = BOW_TIE  # type: ignore[assignment]
    rows[3]["displaySetting"] = {"visible": "yes", "zoomFrom": [1]}  # type: ignore[assignment]
    result = sync(rows, on_row_error="skip", verify=False, allow_distant=True)
    assert (result["update"], result["failed"]) == (3, 2)
    names = {
        code: one["properties"].get("name@en") for code, one in by_external_id(unlimited_service).items()
    }
    done = [n for n in range(1, 6) if names[f"A-0-0{n}"] == f"Room {n}"]
    assert done == [1, 3, 5]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"status": 9}, "status"),
        ({"status": "1.5"}, "status"),
        ({"capacity": "many"}, "capacity"),
        ({"activefrom": "yesterday"}, "activefrom"),
        ({"name@xx": "x"}, "xx"),
        ({"displayTypeId": "Throne"}, "Throne"),
        ({"properties": {" name@en": "x", "name@en": "y"}}, "name@en"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_what_a_strict_service_refuses_is_refused_before_the_first_write(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, fields: dict[str, Any], text: str, strict: bool
) -> None:
    unlimited_service.strict = strict
    before = dict(unlimited_service.campus.geodata)
    with pytest.raises(InputError, match=text):
        sync([desk("D-1", **fields)])
    assert unlimited_service.campus.geodata == before
    assert not any("POST /{api_key}" in key for key in sandbox.counters.requests)


def test_blanks_around_a_key_are_removed_from_a_row(unlimited_service: MapsIndoorsService) -> None:
    sync([desk("D-1", **{" seats@generic ": "4"})])
    assert by_external_id(unlimited_service)["D-1"]["properties"]["seats@generic"] == "4"
