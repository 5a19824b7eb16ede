"""Conditions: an empty or null condition is refused before any request, and widens nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.errors import InputError, PlanRejectedError
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.mapsindoors.operators import (
    MapsIndoorsCreateGeodataOperator,
    MapsIndoorsDeleteGeodataOperator,
    MapsIndoorsExportGeodataOperator,
    MapsIndoorsUpdateGeodataOperator,
)
from airflow_provider.mapsindoors.sensors import MapsIndoorsGeodataSensor
from airflow_provider.mapsindoors.triggers import MapsIndoorsGeodataTrigger
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService, seed
from airflow_provider.sandbox.server import Sandbox
from tests.support.mapsindoors_sync import by_external_id, desk, sync, writes

NAN = float("nan")


def export(path: Path, **options: Any) -> dict[str, Any]:
    operator = MapsIndoorsExportGeodataOperator(task_id="t", output_path=str(path / "map.jsonl"), **options)
    return operator.execute({})


def create(rows: Any) -> dict[str, int]:
    return MapsIndoorsCreateGeodataOperator(task_id="t", geodata=rows).execute({})


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        ({}, "scope is empty"),
        ({"root_element": ""}, "scope root_element is empty"),
        ({"root_element": " \u00a0"}, "scope root_element is empty"),
        ({"root_element": None}, "scope root_element is empty"),
        ({"root_element": NAN}, "scope root_element is empty"),
        ({"root_element": ["a"]}, "scope root_element must be a text"),
        ({"root_element": 7}, "scope root_element must be a text"),
        ({"base_types": None}, "scope base_types is empty"),
        ({"base_types": [None]}, "scope base_types: item 1 is empty"),
        ({"base_types": ["room", ""]}, "scope base_types: item 2 is empty"),
        ({"base_types": ""}, "scope base_types: item 1 is empty"),
        ({"base_types": ["rooms"]}, "unknown types: rooms; did you mean 'room'"),
        ({"base_types": {"room": 1}}, "scope base_types must be a list"),
        ({"rootElement": "x"}, "unknown keys: rootElement; did you mean 'root_element'"),
        ({"base_types": ["room"], "venue": "x"}, "unknown keys: venue"),
        ("{'base_types': ['room']}", "scope: is the text of a list"),
        (["room"], "scope must be an object"),
    ],
)
def test_an_empty_scope_is_refused(sandbox: Sandbox, scope: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        sync([{"externalId": "A-0-01"}], scope=scope, missing="delete", max_deletes=1_000)
    assert not sandbox.counters.requests


def test_a_scope_of_no_base_types_selects_nothing(unlimited_service: MapsIndoorsService) -> None:
    scope: dict[str, Any] = {"base_types": []}
    before = dict(unlimited_service.campus.geodata)
    assert sync([], scope=scope, missing="delete", max_deletes=1_000)["delete"] == 0
    for row in ({"externalId": "A-0-01", "name": "X"}, desk("D-1")):
        with pytest.raises(InputError, match="outside of the scope"):
            sync([row], scope=scope)
    assert unlimited_service.campus.geodata == before


def test_a_root_that_is_not_on_the_map_is_refused(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox
) -> None:
    with pytest.raises(InputError, match="root_element 'None' is no object of the solution"):
        sync([desk("D-1")], scope={"root_element": "None"}, missing="delete", max_deletes=1_000)
    assert writes(sandbox) == 0


def test_a_new_object_outside_of_the_scope_is_refused(unlimited_service: MapsIndoorsService) -> None:
    floor = by_external_id(unlimited_service)["A-0"]["id"]
    assert sync([desk("D-1")], scope={"root_element": floor, "base_types": "poi"})["create"] == 1
    for scope in ({"base_types": ["room"]}, {"root_element": by_external_id(unlimited_service)["B-0"]["id"]}):
        with pytest.raises(InputError, match="is a new poi outside of the scope"):
            sync([desk("D-2")], scope=scope)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"root_element": ""}, "root_element is empty"),
        ({"root_element": NAN}, "root_element is empty"),
        ({"base_types": [None]}, "base_types: item 1 is empty"),
        ({"base_types": ""}, "base_types: item 1 is empty"),
        ({"base_types": ["room", "shelf"]}, "unknown types: shelf"),
        ({"base_types": "['room']"}, "base_types: is the text of a list"),
    ],
)
def test_an_empty_condition_of_an_export_is_refused(
    sandbox: Sandbox, tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        export(tmp_path, **options)
    with pytest.raises(InputError), MapsIndoorsHook() as hook:
        hook.list_geodata(**options)
    assert not sandbox.counters.requests
    assert not list(tmp_path.iterdir())


def test_an_export_of_no_base_types_is_empty(service: MapsIndoorsService, tmp_path: Path) -> None:
    assert export(tmp_path, base_types=[])["rows"] == 0
    with MapsIndoorsHook() as hook:
        assert hook.list_geodata(base_types=[]) == []
        assert len(hook.list_geodata()) == len(service.campus.geodata)


def test_an_export_below_an_unknown_root_is_no_empty_file(
    service: MapsIndoorsService, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no object 'f{24}'"):
        export(tmp_path, root_element="f" * 24)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "ids",
    [None, "", " ", [None], [""], ["\u00a0"], [seed.TUTORIAL_POI, NAN], {}, f"['{seed.TUTORIAL_POI}']", 7],
)
def test_a_delete_of_empty_ids_is_refused(sandbox: Sandbox, ids: Any) -> None:
    with pytest.raises(InputError):
        MapsIndoorsDeleteGeodataOperator(task_id="t", ids=ids).execute({})
    assert not sandbox.counters.requests


def test_a_delete_of_no_ids_deletes_nothing(sandbox: Sandbox) -> None:
    operator = MapsIndoorsDeleteGeodataOperator(task_id="t", ids=[])
    assert operator.execute({}) == {"deleted": 0, "gone": 0}
    assert not sandbox.counters.requests


@pytest.mark.parametrize(
    ("expected", "match_on", "words"),
    [
        ([], "id", "is empty"),
        ({}, "id", "must be a list"),
        (None, "id", "must be a list"),
        ("", "id", "the path is empty"),
        ("[]", "id", "is the text of a list"),
        ([{"id": ""}], "id", "id must be a text"),
        ([{"status": 3}], "", "match_on is empty"),
        ([{"status": 3}], None, "match_on is empty"),
        ([{"status": 3}], "name", "match_on must be one of"),
        ([{"id": seed.TUTORIAL_POI, "status": None}], "id", "no expected value"),
        ([{"id": seed.TUTORIAL_POI, "name@en": NAN, "status": None}], "id", "no expected value"),
        ([{"id": seed.TUTORIAL_POI, "name": "X"}], "id", "'name' needs its language"),
    ],
)
def test_a_sensor_without_a_condition_is_refused(
    sandbox: Sandbox, expected: Any, match_on: Any, words: str
) -> None:
    for deferrable in (True, False):
        sensor = MapsIndoorsGeodataSensor(
            task_id="t", expected=expected, match_on=match_on, deferrable=deferrable, timeout=1
        )
        with pytest.raises(InputError, match=words):
            sensor.execute({})
    assert not sandbox.counters.requests


async def test_a_trigger_without_a_condition_does_not_fire(sandbox: Sandbox) -> None:
    trigger = MapsIndoorsGeodataTrigger(
        mapsindoors_conn_id="mapsindoors_default", expected=[], match_on="id", deadline=0, poll_interval=1
    )
    with pytest.raises(InputError, match="must not be empty"):
        await trigger.poll()
    assert not sandbox.counters.requests


@pytest.mark.parametrize("match_on", ["", None, NAN, " ", "externalid", "roomno", "@en", "name@", 7])
def test_a_match_key_that_is_none_is_refused(sandbox: Sandbox, match_on: Any) -> None:
    for run in (
        lambda: sync([desk("D-1")], match_on=match_on),
        lambda: MapsIndoorsCreateGeodataOperator(
            task_id="t", geodata=[desk("D-1")], match_on=match_on
        ).execute({}),
    ):
        with pytest.raises(InputError, match="match_on"):
            run()
    assert not sandbox.counters.requests


@pytest.mark.parametrize(
    ("subject", "run"),
    [
        ("source", lambda text: sync(text)),
        ("defaults", lambda text: sync([desk("D-1")], defaults=text)),
        ("scope", lambda text: sync([desk("D-1")], scope=text)),
        ("geodata", lambda text: MapsIndoorsUpdateGeodataOperator(task_id="t", geodata=text).execute({})),
        ("geodata", lambda text: MapsIndoorsCreateGeodataOperator(task_id="t", geodata=text).execute({})),
        ("ids", lambda text: MapsIndoorsDeleteGeodataOperator(task_id="t", ids=text).execute({})),
        ("expected", lambda text: MapsIndoorsGeodataSensor(task_id="t", expected=text).execute({})),
    ],
)
def test_a_list_that_a_template_made_a_text_is_refused_shortly(
    sandbox: Sandbox, subject: str, run: Any
) -> None:
    text = json.dumps([{"externalId": f"R-{n}", "name": "x" * 100} for n in range(1_000)])
    with pytest.raises(InputError, match=rf"{subject}: is the text of a list .*\.output") as caught:
        run(text)
    assert len(str(caught.value)) < 1_000
    assert not sandbox.counters.requests


@pytest.mark.parametrize("method", ["list_client_secrets", "create_client_secret"])
def test_an_empty_customer_is_refused(sandbox: Sandbox, method: str) -> None:
    with MapsIndoorsHook() as hook, pytest.raises(InputError, match="customer_id"):
        getattr(hook, method)("")
    with MapsIndoorsHook() as hook, pytest.raises(InputError, match="secret_id"):
        hook.delete_client_secret(seed.CUSTOMER, "")
    assert not sandbox.counters.requests


@pytest.mark.parametrize("name", ["plan_output", "backup", "plan"])
@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_path_is_refused(sandbox: Sandbox, name: str, text: str) -> None:
    rows = None if name == "plan" else [{"externalId": "A-0-01", "name": "X"}]
    with pytest.raises(InputError, match=f"'{name}' is empty"):
        sync(rows, **{name: text})
    assert not sandbox.counters.requests


@pytest.mark.parametrize("name", ["plan_output", "backup"])
def test_a_file_that_cannot_be_written_is_refused_before_any_request(
    sandbox: Sandbox, tmp_path: Path, name: str
) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    path = f"{tmp_path}/taken/plan.json"
    with pytest.raises(InputError, match=f"{name}: .*cannot be written"):
        sync([{"externalId": "A-0-01", "name": "X"}], **{name: path})
    with pytest.raises(InputError, match=r"output_path: .*cannot be written"):
        MapsIndoorsExportGeodataOperator(task_id="x", output_path=f"{tmp_path}/taken/rows.jsonl").execute({})
    assert not sandbox.counters.requests


@pytest.mark.parametrize("name", ["plan_output", "backup", "plan"])
def test_a_path_that_a_template_has_lost_is_refused(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, name: str
) -> None:
    with pytest.raises(InputError, match=f"'{name}' is the text 'None'"):
        sync([{"externalId": "A-0-01", "name": "X"}], **{name: "None"})
    assert not sandbox.counters.requests


def test_an_export_of_a_type_below_an_unknown_root_is_no_empty_file(
    unlimited_service: MapsIndoorsService, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="the solution has no object"):
        export(tmp_path, base_types=["room"], root_element="f" * 24)
    assert not list(tmp_path.iterdir())
    poi = by_external_id(unlimited_service)["A-0-P1"]["id"]
    assert export(tmp_path, base_types=["room"], root_element=poi)["rows"] == 0


@pytest.mark.parametrize("value", ["abc", b"abc", None, {"id": 1}, 5, [None], [NAN], [{"id": "a"}], [""]])
def test_a_hook_deletes_nothing_that_is_no_list_of_ids(sandbox: Sandbox, value: Any) -> None:
    with MapsIndoorsHook() as hook, pytest.raises(InputError):
        hook.delete_geodata(value)
    assert not sandbox.counters.requests


@pytest.mark.parametrize("method", ["create_geodata", "update_geodata", "update_route_elements"])
@pytest.mark.parametrize("value", ["abc", None, {"id": "a"}, 5, [None], ["abc"], [["id", "a"]]])
def test_a_hook_writes_nothing_that_is_no_list_of_objects(sandbox: Sandbox, method: str, value: Any) -> None:
    with (
        MapsIndoorsHook() as hook,
        pytest.raises(InputError, match="list of objects|not an object"),
    ):
        getattr(hook, method)(value)
    assert not sandbox.counters.requests


def test_rows_that_are_all_invalid_are_refused_before_any_request(sandbox: Sandbox) -> None:
    rows = [{"externalId": "A-0-01", "capacity": "nan"}, {"externalId": "A-0-02", "nam": "X"}]
    for run in (sync, lambda given: create(given)):
        with pytest.raises(InputError) as caught:
            run(rows)
        assert len(caught.value.problems) == 2
    assert not sandbox.counters.requests


def test_an_empty_source_that_would_delete_everything_names_the_way(
    unlimited_service: MapsIndoorsService,
) -> None:
    with pytest.raises(PlanRejectedError, match="the source is empty.*MapsIndoorsDeleteGeodataOperator"):
        sync([], missing="delete", max_deletes=10_000)
