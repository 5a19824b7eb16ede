"""A plan is made, looked at, and applied exactly as it is, or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.errors import InputError, PlanRejectedError
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService
from airflow_provider.sandbox.server import Sandbox
from tests.unit.mapsindoors.running import ROOMS, by_external_id, desk, sync, writes


def test_a_plan_is_made_looked_at_and_applied(
    world: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = str(tmp_path / "plan.json")
    rows = [desk("D-1"), {"externalId": "A-0-01", "name": "Reception"}]
    result = sync(rows, mode="plan", plan_output=path)
    assert (result["create"], result["update"], result["plan"]) == (1, 1, path)
    assert writes(sandbox) == 0
    document = json.loads(Path(path).read_text())
    assert document["counts"] == {"create": {"poi": 1}, "update": {"room": 1}, "deactivate": {}, "delete": {}}
    assert document["changes"][1]["fields"] == {"properties.name@en": ["Office A0.01", "Reception"]}
    assert sync(plan=path)["create"] == 1
    assert by_external_id(world)["A-0-01"]["properties"]["name@en"] == "Reception"


def test_a_plan_is_what_its_schema_says(world: MapsIndoorsService, tmp_path: Path) -> None:
    import jsonschema

    path = tmp_path / "plan.json"
    rows = [desk("D-1"), {"externalId": "A-0-01", "name": "Reception"}, {"externalId": "A-0-02", "status": 9}]
    sync(rows, mode="plan", plan_output=str(path), on_row_error="skip", missing="deactivate")
    schema = json.loads((Path(__file__).parents[3] / "docs" / "mapsindoors-plan.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(json.loads(path.read_text()))


def test_a_plan_for_a_world_that_changed_is_refused(
    world: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = str(tmp_path / "plan.json")
    sync([{"externalId": "A-0-01", "name": "Reception"}], mode="plan", plan_output=path, scope=ROOMS)
    room = by_external_id(world)["A-0-02"]
    world.campus.geodata = {**world.campus.geodata, room["id"]: {**room, "status": 1}}
    with pytest.raises(PlanRejectedError, match="the map changed since"):
        sync(plan=path)
    assert writes(sandbox) == 0


def test_something_else_is_no_plan(world: MapsIndoorsService, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text('{"version": 1}')
    with pytest.raises(InputError, match="is no plan"):
        sync(plan=str(path))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "exactly one of source and plan"),
        ({"source": [], "mode": "dry"}, "mode must be one of plan, apply"),
        ({"source": [], "mode": "plan"}, "needs plan_output"),
        ({"source": [], "scope": {"venue": "x"}}, "scope has unknown keys: venue"),
        ({"source": [], "missing": "drop"}, "missing must be one of"),
        ({"source": [], "max_delete_ratio": 10}, "from 0 to 1"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(
    sandbox: Sandbox, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        sync(**options)
    assert not sandbox.counters.requests


def test_a_backup_of_the_whole_map_is_kept(world: MapsIndoorsService, tmp_path: Path) -> None:
    before = list(world.campus.geodata.values())
    path = tmp_path / "backup.jsonl"
    sync([desk("D-1")], backup=str(path))
    kept = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted(kept, key=lambda one: one["id"]) == sorted(before, key=lambda one: one["id"])
