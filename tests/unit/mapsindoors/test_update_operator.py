"""MapsIndoorsUpdateGeodataOperator: behaviour over TCP."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.errors import InputError, PermissionDeniedError, RequestRejectedError, TransportError
from airflow_provider.mapsindoors.operators import MapsIndoorsUpdateGeodataOperator
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService, seed
from airflow_provider.sandbox.server import Sandbox

POI = seed.TUTORIAL_POI
EXAMPLES = Path(__file__).parents[3] / "example_dags"


def update(geodata: Any, **options: Any) -> Any:
    return MapsIndoorsUpdateGeodataOperator(task_id="t", geodata=geodata, **options).execute({})


@pytest.fixture
def rooms(service: MapsIndoorsService) -> list[str]:
    return [key for key, one in service.campus.geodata.items() if one["baseType"] == "room"]


def test_the_tutorials_object_is_updated(service: MapsIndoorsService) -> None:
    before = service.campus.geodata[POI]
    change = {
        "id": POI,
        "parentId": "34c588fecbee45f199e8d67c",
        "datasetId": "550c26a864617400a40f0000",
        "baseType": "poi",
        "displayTypeId": "52c120dfae7e47269e930b80",
        "displaySetting": {"name": "default"},
        "geometry": {"coordinates": [9.95688874041662, 57.0859076569953], "type": "Point"},
        "anchor": {"coordinates": [9.95688874041662, 57.0859076569953], "type": "Point"},
        "aliases": [],
        "categories": ["5823246d07215b23a02e3cd9"],
        "status": 3,
        "baseTypeProperties": before["baseTypeProperties"],
        "properties": {"name@en": "Printing facilities1", "name@da": "Print new"},
    }
    assert update([change]) == {"updated": 1}
    assert service.campus.geodata[POI] == {**before, "properties": change["properties"]}


@pytest.mark.parametrize("suffix", ["json", "jsonl", "geojson"])
def test_objects_come_from_files(service: MapsIndoorsService, tmp_path: Path, suffix: str) -> None:
    item = {"id": POI, "status": 1}
    feature = {"type": "Feature", "id": POI, "geometry": None, "properties": {"status": 1}}
    texts = {
        "json": json.dumps([item]),
        "jsonl": json.dumps(item) + "\n",
        "geojson": json.dumps({"type": "FeatureCollection", "features": [feature]}),
    }
    path = tmp_path / f"places.{suffix}"
    path.write_text(texts[suffix])
    assert update(f"file://{path}") == {"updated": 1}
    assert service.campus.geodata[POI]["status"] == 1


def test_objects_go_in_batches(service: MapsIndoorsService, sandbox: Sandbox, rooms: list[str]) -> None:
    assert update([{"id": key, "status": 1} for key in rooms[:7]], batch_size=3) == {"updated": 7}
    assert sandbox.counters.total("PUT") == 3
    assert [service.campus.geodata[key]["status"] for key in rooms[:8]] == [1] * 7 + [3]


def test_nothing_to_update_is_no_request(service: MapsIndoorsService, sandbox: Sandbox) -> None:
    assert update([]) == {"updated": 0}
    assert not sandbox.counters.requests


def test_bad_rows_are_all_named_before_any_request(
    service: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "places.jsonl"
    path.write_text('{"id": "a"}\n{"status": 1}\n{"id": "b", "status": 9}\n')
    with pytest.raises(InputError) as caught:
        update(str(path), batch_size=1)
    assert caught.value.problems == [
        "row 2: has no id; every object to update needs one",
        "row 3 (b): status must be 0, 1, 2 or 3, not 9",
    ]
    assert not sandbox.counters.requests


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"geodata": "/nowhere/places.json"}, "there is no file"),
        ({"geodata": ""}, "the path is empty"),
        ({"geodata": "/tmp/places.txt"}, "must end in one of"),
        ({"geodata": None}, "must be a list"),
        ({"geodata": [], "batch_size": 0}, "'batch_size' must be a whole number of at least 1"),
    ],
)
def test_bad_arguments_are_refused(sandbox: Sandbox, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        update(**options)
    assert not sandbox.counters.requests


@pytest.mark.parametrize(
    ("mode", "standing"),
    [
        ("atomic", "of rows 4 to 6, 0 are updated, not updated: 4, 5, 6"),
        ("stop-at-first", "of rows 4 to 6, 1 are updated, not updated: 5, 6"),
        ("skip-bad", "of rows 4 to 6, 2 are updated, not updated: 5"),
    ],
)
def test_a_refused_batch_says_what_is_updated_and_what_is_not(
    service: MapsIndoorsService, rooms: list[str], mode: str, standing: str
) -> None:
    service.batch_mode = mode  # type: ignore[assignment]
    rows = [{"id": key, "status": 1} for key in rooms[:8]]
    rows[4]["id"] = "unknown-id"
    with pytest.raises(RequestRejectedError) as caught:
        update(rows, batch_size=3)
    said = str(caught.value)
    assert "row 5 (id unknown-id) id: There is no object unknown-id." in said
    assert "3 objects before row 4 updated" in said
    assert standing in said
    assert "2 objects after row 6 not sent" in said
    assert [service.campus.geodata[key]["status"] for key in rooms[:3]] == [1, 1, 1]


def test_a_host_that_goes_away_fails_the_task_with_what_is_updated(
    service: MapsIndoorsService, sandbox: Sandbox, rooms: list[str]
) -> None:
    sandbox.faults.add("reset_before", method="PUT", after=1, times=None)
    with pytest.raises(TransportError, match="2 objects before row 3 updated; .* 1 object after row 4"):
        update([{"id": key, "status": 1} for key in rooms[:5]], batch_size=2)


def test_a_refusal_without_words_is_followed_by_what_is_updated(
    service: MapsIndoorsService, sandbox: Sandbox, rooms: list[str]
) -> None:
    sandbox.faults.add("status", method="PUT", status=400)
    with pytest.raises(RequestRejectedError, match=r" answered 400: \[nothing updated before; row 1 "):
        update([{"id": rooms[0], "status": 1}])


def test_the_read_only_demo_refuses(
    service: MapsIndoorsService, sandbox: Sandbox, connect: Callable[..., Any]
) -> None:
    connect(extra={"api_key": seed.DEMO_ID})
    with pytest.raises(PermissionDeniedError, match="row 1 .*not updated"):
        update([{"id": POI, "status": 1}])
    assert sandbox.counters.total("PUT") == 1


def test_the_constructor_does_nothing_and_fields_are_templated(sandbox: Sandbox) -> None:
    operator = MapsIndoorsUpdateGeodataOperator(task_id="t", geodata="{{ params.path }}", batch_size="x")  # type: ignore[arg-type]
    assert operator.geodata == "{{ params.path }}"
    assert {"geodata", "batch_size", "mapsindoors_conn_id"} <= set(operator.template_fields)
    assert not sandbox.counters.requests


def test_the_example_dag_updates_the_tutorials_poi(
    service: MapsIndoorsService, run_dag: Callable[..., Any]
) -> None:
    dag = runpy.run_path(str(EXAMPLES / "example_mapsindoors_update_geodata.py"))["dag"]
    assert dag.dag_id == "mapsindoors_update_geodata"
    assert run_dag(dag).state == "success"
    assert service.campus.geodata[POI]["properties"] == {
        "name@en": "Printing facilities1",
        "name@da": "Print new",
    }
