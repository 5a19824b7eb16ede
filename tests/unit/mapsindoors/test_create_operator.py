"""MapsIndoorsCreateGeodataOperator: behaviour over TCP."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider.errors import InputError
from airflow_provider.mapsindoors.operators import MapsIndoorsCreateGeodataOperator
from airflow_provider.mapsindoors.sync import verify
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService
from airflow_provider.sandbox.server import Sandbox

DESK = {
    "baseType": "poi",
    "displayType": "Workspace",
    "parentExternalId": "A-0",
    "lon": 12.5705,
    "lat": 55.7805,
}
ROWS = [{"externalId": "D-1", "name": "Desk 1"}, {"externalId": "A-0-P1", "name": "Another name"}]


def create(rows: list[dict[str, Any]] = ROWS, **options: Any) -> dict[str, int]:
    operator = MapsIndoorsCreateGeodataOperator(task_id="t", geodata=rows, defaults=DESK, **options)
    return operator.execute({})


def test_what_is_missing_is_created_and_the_rest_is_left_alone(service: MapsIndoorsService) -> None:
    before = dict(service.campus.geodata)
    assert create() == {"created": 1, "existing": 1}
    made = [one for key, one in service.campus.geodata.items() if key not in before]
    assert [one["externalId"] for one in made] == ["D-1"]
    assert {key: service.campus.geodata[key] for key in before} == before
    assert create() == {"created": 0, "existing": 2}


@pytest.mark.parametrize("fault", ["reset_before", "reset_after"])
def test_a_request_without_response_creates_nothing_twice(
    service: MapsIndoorsService, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(verify, "wait", sandbox.clock.advance)
    service.rate_limit = None
    sandbox.faults.add(fault, method="POST", path="geodata")
    assert create(ROWS[:1]) == {"created": 1, "existing": 0}
    assert [one.get("externalId") for one in service.campus.geodata.values()].count("D-1") == 1


def test_bad_rows_are_named_before_any_write(service: MapsIndoorsService, sandbox: Sandbox) -> None:
    with pytest.raises(InputError, match="row 1 has no|row 1: has no externalId"):
        create([{"name": "Desk"}])
    assert sandbox.counters.total("POST /{api_key}") == 0
