"""Windows in which objects are shown: dates of rows, compared as moments, cleared, and refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from airflow_provider.core.sql.rows import SqlRows
from airflow_provider.errors import InputError, RequestRejectedError, VerificationError
from airflow_provider.mapsindoors.operators import (
    MapsIndoorsExportGeodataOperator,
    MapsIndoorsUpdateGeodataOperator,
)
from airflow_provider.mapsindoors.plan.desired import read_desired_rows
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService
from airflow_provider.sandbox.server import Sandbox
from tests.support.mapsindoors_sync import by_external_id, put, sync, writes

FROM, TO = "2026-09-03T07:00:00Z", "2026-09-05T16:00:00Z"


@pytest.fixture
def service(unlimited_service: MapsIndoorsService) -> MapsIndoorsService:
    return unlimited_service


def members(service: MapsIndoorsService) -> dict[str, str]:
    found: dict[str, str] = by_external_id(service)["A-0-01"]["baseTypeProperties"]
    return found


def store(service: MapsIndoorsService, **dates: str) -> None:
    room = by_external_id(service)["A-0-01"]
    put(service, {**room, "baseTypeProperties": {**room["baseTypeProperties"], **dates}})


def room(**fields: Any) -> list[dict[str, Any]]:
    return [{"externalId": "A-0-01", **fields}]


@pytest.mark.parametrize(
    "given",
    [
        FROM,
        "2026-09-03T09:00:00+02:00",
        "2026-09-03 07:00Z",
        datetime(2026, 9, 3, 7, tzinfo=UTC),
        datetime(2026, 9, 3, 12, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    ],
)
@pytest.mark.parametrize(
    "stored",
    [FROM, "2026-09-03T07:00:00.000+00:00", "2026-09-03T07:00:00.0000000Z", "2026-09-03T09:00+02:00"],
)
def test_equal_moments_are_no_difference(service: MapsIndoorsService, given: Any, stored: str) -> None:
    store(service, activefrom=stored)
    assert sync(room(activefrom=given), mode="apply")["unchanged"] == 1


def test_a_date_alone_is_its_midnight(service: MapsIndoorsService) -> None:
    assert sync(room(activefrom=date(2026, 9, 3), activeto="2026-09-06"))["update"] == 1
    assert members(service)["activefrom"] == "2026-09-03T00:00:00Z"
    assert members(service)["activeto"] == "2026-09-06T00:00:00Z"


@pytest.mark.parametrize(
    ("row", "stored"),
    [
        ({"activefrom": TO, "activeto": FROM}, {}),
        ({"activefrom": "2026-09-03", "activeto": "2026-09-03"}, {}),
        ({"activefrom": TO}, {"activeto": FROM}),
        ({"activeto": FROM}, {"activefrom": TO}),
        (
            {
                "baseTypeProperties": {
                    "activefrom": "2026-09-03T10:00:00+02:00",
                    "activeto": "2026-09-03T08:00Z",
                }
            },
            {},
        ),
    ],
)
def test_dates_between_which_nothing_is_shown_are_refused(
    service: MapsIndoorsService, sandbox: Sandbox, row: dict[str, Any], stored: dict[str, str]
) -> None:
    store(service, **stored)
    with pytest.raises(
        InputError, match=r"row 1 \(A-0-01\): activeto .* is not after activefrom .* never be"
    ):
        sync(room(**row))
    key = by_external_id(service)["A-0-01"]["id"]
    with pytest.raises(InputError, match="is not after activefrom"):
        MapsIndoorsUpdateGeodataOperator(task_id="t", geodata=[{"id": key, **row}]).execute({})
    assert writes(sandbox) == 0


def test_dates_that_are_on_the_map_already_are_not_refused(service: MapsIndoorsService) -> None:
    store(service, activefrom=TO, activeto=FROM)
    assert sync(room(activefrom=TO, activeto=FROM, name="Other"))["update"] == 1
    assert sync(room(activeto=""))["update"] == 1


@pytest.mark.parametrize("nested", ["merge", "replace"])
def test_an_empty_text_clears_a_date_and_the_rest_stays(service: MapsIndoorsService, nested: Any) -> None:
    service.nested_put = nested
    store(service, activefrom=FROM, activeto=TO, capacity="4")
    assert sync(room(activeto=""))["update"] == 1
    left = members(service)
    assert not left.get("activeto")
    assert (left["activefrom"], left["capacity"]) == (FROM, "4")
    assert sync(room(activeto=""))["unchanged"] == 1


def test_a_service_that_clears_no_date_is_noticed(service: MapsIndoorsService) -> None:
    store(service, activeto=TO)
    service.empty_dates = "refuse"
    with pytest.raises(
        RequestRejectedError, match=r"row 1 \(A-0-01\).*activeto Must not be empty|Must not be"
    ):
        sync(room(activeto=""))
    service.empty_dates = "keep"
    with pytest.raises(VerificationError, match="baseTypeProperties.activeto is"):
        sync(room(activeto=""))
    assert members(service)["activeto"] == TO


def test_dates_of_a_query_are_in_the_time_zone_of_the_query() -> None:
    rows = SqlRows(["externalId", "activefrom", "activeto"], ZoneInfo("Europe/Copenhagen"))
    rows.add([["A-0-01", "2026-09-03", "2026-09-05T18:00:00"]])
    (row,) = read_desired_rows(rows)
    assert row.problems == []
    assert row.item["baseTypeProperties"] == {
        "activefrom": "2026-09-02T22:00:00Z",
        "activeto": "2026-09-05T16:00:00Z",
    }
    without = SqlRows(["externalId", "activeto"])
    without.add([["A-0-01", "2026-09-05T18:00:00"]])
    (row,) = read_desired_rows(without)
    assert "without a time zone" in row.problems[0]


NEW = {
    "externalId": "N-1",
    "baseType": "poi",
    "name": "D",
    "displayType": "Workspace",
    "parentExternalId": "A-0",
    "lon": 12.57052,
    "lat": 55.78051,
}


def test_an_empty_date_is_not_sent_where_there_is_nothing_to_clear(service: MapsIndoorsService) -> None:
    service.empty_dates = "refuse"
    assert sync([{**NEW, "activeto": "", "activefrom": "", "description@en": ""}])["create"] == 1
    assert sync([{**NEW, "activeto": ""}])["unchanged"] == 1
    assert sync(room(capacity=7, activeto=""))["update"] == 1
    key = by_external_id(service)["A-0-01"]["id"]
    row = {"id": key, "capacity": 8, "activefrom": ""}
    assert MapsIndoorsUpdateGeodataOperator(task_id="t", geodata=[row]).execute({}) == {"updated": 1}
    assert members(service)["capacity"] == "8"


@pytest.mark.parametrize(
    "stored", ["9999-12-31T23:59:59-05:00", "9999-12-31T23:59:59.9999999Z", "0001-01-01T00:00:00+01:00"]
)
def test_a_stored_date_at_the_end_of_time_is_compared(service: MapsIndoorsService, stored: str) -> None:
    store(service, activeto=stored)
    assert sync(room(activefrom=FROM))["update"] == 1
    assert sync(room(activeto=TO))["update"] == 1
    store(service, activefrom="0001-01-01T00:00:00+01:00")
    assert sync(room(activeto=FROM))["update"] == 1


def test_no_date_as_net_writes_it_ends_nothing(service: MapsIndoorsService, tmp_path: Path) -> None:
    store(service, activeto="0001-01-01T00:00:00")
    plan = str(tmp_path / "plan.json")
    assert sync(room(activefrom=FROM), mode="plan", plan_output=plan)["update"] == 1


@pytest.mark.parametrize("name", ["map.jsonl", "map.geojson", "map.parquet"])
def test_an_export_of_times_without_a_zone_is_sent_back_without_a_difference(
    service: MapsIndoorsService, tmp_path: Path, name: str
) -> None:
    store(service, activefrom="2026-01-01T00:00:00", activeto="2026-02-01T12:30:00.1234567")
    path = str(tmp_path / name)
    MapsIndoorsExportGeodataOperator(task_id="x", output_path=path, base_types=["room"]).execute({})
    result = sync(path, mode="apply", match_on="id")
    assert (result["update"], result["failed"]) == (0, 0)
    assert result["unchanged"] > 1
    service.strict = False  # It would refuse what it has.
    put(service, {**by_external_id(service)["A-0-01"], "aliases": ["other"]})
    assert sync(path, mode="apply", match_on="id")["update"] == 1
