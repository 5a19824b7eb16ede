"""Things in step with a table: planned, guarded, written once, verified."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.errors import (
    InputError,
    NotFoundError,
    PartialWriteError,
    PlanRejectedError,
    ServerError,
    TransportError,
    VerificationError,
)
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.iotstudio.operators import IoTStudioExportThingsOperator
from airflow_provider.iotstudio.sync import sync as sync_module
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.server import Sandbox
from tests.unit.iotstudio.conftest import LIST, THING
from tests.unit.iotstudio.sync.conftest import counts, sync, titles

pytestmark = pytest.mark.slow  # promises do not depend on versions

CREATE = "iotstudio POST /spaces/{space}/things"
BULK = "iotstudio PATCH /spaces/{space}/things"
DELETE = "iotstudio DELETE /spaces/{space}/things"
UNKNOWN = "01GQ2E9M2Y45BX9EW0F2BM0XXX"

# -- matching, comparing, writing -------------------------------------------------------------------------


def test_only_fields_that_rows_have_and_that_differ_are_written(
    service: IoTStudioService, sandbox: Sandbox, fleet: list[str], hook: IoTStudioHook
) -> None:
    before = {uid: hook.get_thing(uid) for uid in fleet}
    rows = [
        {"uid": fleet[0], "title": "New", "categories": ["Meters", "Sensors"]},
        {"uid": fleet[1], "title": service.space.things[fleet[1]].title},
        {"thing_id": fleet[2], "description": None, "@type": "Sensor"},
    ]
    assert counts(sync(rows)) == (0, 2, 0, 1, 0)
    after = {uid: hook.get_thing(uid) for uid in fleet}
    changed = {
        (uid, name): after[uid][name]
        for uid in fleet
        for name in after[uid]
        if after[uid][name] != before[uid][name]
    }
    assert {key: value for key, value in changed.items() if key[1] != "modified"} == {
        (fleet[0], "title"): "New",
        (fleet[0], "categories"): ["Meters", "Sensors"],
        (fleet[2], "description"): "",
        (fleet[2], "@type"): "Sensor",
    }
    writes = sandbox.counters.requests[BULK]
    assert counts(sync(rows)) == (0, 0, 0, 3, 0)
    assert sandbox.counters.requests[BULK] == writes == 1


def test_new_things_are_created_by_their_title(
    service: IoTStudioService, fleet: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    title = service.space.things[fleet[0]].title
    rows = [{"title": title, "description": "Old"}, {"title": "Pump 1", "categories": ["Meters"]}]
    assert counts(sync(rows, match_on="title")) == (1, 1, 0, 0, 0)
    assert "Written: create 1, update 1" in capsys.readouterr().out
    (pump,) = [thing for thing in service.space.things.values() if thing.title == "Pump 1"]
    assert pump.categories == ["Meters"]
    assert counts(sync(rows, match_on="title")) == (0, 0, 0, 2, 0)


def test_a_row_with_a_uid_is_matched_by_it_and_may_change_the_title(
    service: IoTStudioService, fleet: list[str]
) -> None:
    assert counts(sync([{"uid": fleet[0], "title": "Renamed"}], match_on="title")) == (0, 1, 0, 0, 0)
    assert service.space.things[fleet[0]].title == "Renamed"
    assert len(service.space.things) == len(fleet)


def test_things_without_a_title_are_compared_by_their_uid(
    service: IoTStudioService, fleet: list[str]
) -> None:
    for uid in fleet[:2]:
        service.space.things[uid].title = ""
    rows = [{"uid": uid} for uid in fleet[1:]]
    result = sync(rows, match_on="uid", missing="delete", max_deletes=1, max_delete_ratio=0.5)
    assert counts(result) == (0, 0, 1, 9, 0)
    assert sorted(service.space.things) == sorted(fleet[1:])


def test_a_category_limits_what_is_compared_and_created(service: IoTStudioService, fleet: list[str]) -> None:
    meter = service.space.things[fleet[8]]
    rows = [{"title": "Meter 9"}, {"title": meter.title, "description": "Main"}]
    result = sync(
        rows, match_on="title", category="Meters", missing="delete", max_deletes=5, max_delete_ratio=0.5
    )
    assert counts(result) == (1, 1, 1, 0, 0)
    (made,) = [thing for thing in service.space.things.values() if thing.title == "Meter 9"]
    assert made.categories == ["Meters"]
    assert len(service.space.things) == 10
    with pytest.raises(InputError, match="no Thing in the category 'Meters' has the uid"):
        sync([{"uid": fleet[0], "title": "x"}], category="Meters")
    with pytest.raises(InputError, match=f"no Thing has the uid '{UNKNOWN}'"):
        sync([{"uid": UNKNOWN, "title": "x"}])
    with pytest.raises(InputError, match="categories lacks 'Meters'"):
        sync([{"title": "Meter 9", "categories": ["Sensors"]}], match_on="title", category="Meters")
    with pytest.raises(InputError, match="there is no category 'Meter'; did you mean 'Meters'"):
        sync([{"title": "Meter 9"}], match_on="title", category="Meter")


@pytest.mark.parametrize("patch_results", ["list", "by_id"])
@pytest.mark.parametrize("has_patch", [True, False])
def test_all_kinds_of_servers_are_updated(
    service: IoTStudioService, fleet: list[str], has_patch: bool, patch_results: str
) -> None:
    service.has_patch = has_patch
    service.patch_results = patch_results  # type: ignore[assignment]
    service.put_without_status = "clear"
    status = {uid: dict(service.space.things[uid].status) for uid in fleet}
    rows = [{"uid": uid, "description": f"d{number}"} for number, uid in enumerate(fleet)]
    assert counts(sync(rows, batch_size=4)) == (0, 10, 0, 0, 0)
    assert [service.space.things[uid].fields["description"] for uid in fleet] == [f"d{n}" for n in range(10)]
    assert {uid: service.space.things[uid].status for uid in fleet} == status


def test_models_are_set_and_cleared(service: IoTStudioService, fleet: list[str], hook: IoTStudioHook) -> None:
    hook.create_model("climate")
    hook.create_model_version("climate", {"template": {}})
    rows = [
        {"uid": fleet[0], "model": "climate", "model_version": 1},
        {"uid": fleet[1], "model": "climate@1"},
    ]
    assert counts(sync(rows)) == (0, 2, 0, 0, 0)
    assert service.space.things[fleet[1]].fields["model"] == {"name": "climate", "version": 1}
    assert counts(sync([{"uid": fleet[0], "model": {"name": "climate"}}])) == (0, 0, 0, 1, 0)
    assert counts(sync([{"uid": fleet[0], "model": None}])) == (0, 1, 0, 0, 0)
    assert service.space.things[fleet[0]].fields["model"] is None


def test_a_model_that_a_thing_has_is_there_without_a_question(
    service: IoTStudioService, fleet: list[str], hook: IoTStudioHook, sandbox: Sandbox
) -> None:
    hook.create_model("climate")
    hook.create_model_version("climate", {"template": {}})
    assert counts(sync([{"uid": fleet[0], "model": "climate"}])) == (0, 1, 0, 0, 0)
    sandbox.counters.clear()
    assert counts(sync([{"uid": fleet[1], "model": "climate"}])) == (0, 1, 0, 0, 0)
    assert [name for name in sandbox.counters.requests if "models" in name] == []


def test_a_row_that_is_left_out_for_its_uid_takes_its_title_from_no_other_row(
    service: IoTStudioService, fleet: list[str]
) -> None:
    rows = [{"uid": UNKNOWN, "title": "pump 1"}, {"title": "Pump 1"}]
    assert counts(sync(rows, match_on="title", on_row_error="skip")) == (1, 0, 0, 0, 1)
    assert titles(service).count("Pump 1") == 1


def test_defaults_are_for_rows_that_do_not_have_the_field(
    service: IoTStudioService, fleet: list[str]
) -> None:
    rows = [{"title": "a"}, {"title": "b", "description": "own"}]
    sync(rows, match_on="title", defaults={"description": "common", "categories": ["Sensors"]})
    found = {thing.title: thing.fields["description"] for thing in service.space.things.values()}
    assert (found["a"], found["b"]) == ("common", "own")


# -- rows of a table --------------------------------------------------------------------------------------


def test_a_csv_file_has_names_and_json_in_its_cells(
    service: IoTStudioService, fleet: list[str], hook: IoTStudioHook, tmp_path: Path
) -> None:
    hook.create_model("climate")
    declared = json.dumps({"speed": {"type": "number"}}).replace('"', '""')
    (tmp_path / "t.csv").write_text(
        "Device;title;categories;model;properties;description;remark\n"
        f'{fleet[0]};A;"Sensors, Meters";;"{declared}";;x\n'
        f'{fleet[1]};B;"[""Meters""]";climate;;;x\n'
    )
    result = sync(str(tmp_path / "t.csv"), columns={"Device": "uid"}, ignore=["remark"])
    assert counts(result) == (0, 2, 0, 0, 0)
    first, second = (service.space.things[uid] for uid in fleet[:2])
    assert (first.categories, first.properties) == (["Sensors", "Meters"], {"speed": {"type": "number"}})
    assert first.fields["description"].startswith("Room climate")
    assert (second.categories, second.fields["model"]) == (["Meters"], {"name": "climate"})


def test_an_edited_export_without_its_values_changes_what_was_edited(
    service: IoTStudioService, fleet: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "things.csv"
    manifest = IoTStudioExportThingsOperator(task_id="x", output_path=str(path)).execute({})
    title = service.space.things[fleet[3]].title
    path.write_text(path.read_text().replace(title, "Edited"))
    values = manifest["columns"][6:]
    with pytest.raises(InputError, match="IoTStudioWritePropertiesOperator"):
        sync(str(path))
    assert counts(sync(str(path), ignore=values)) == (0, 1, 0, 9, 0)
    assert service.space.things[fleet[3]].title == "Edited"


@pytest.mark.parametrize(
    ("suffix", "category"),
    [("csv", None), ("csv", "Sensors"), ("jsonl", "Sensors"), ("parquet", "Sensors")],
)
def test_an_export_that_is_synced_back_changes_nothing(
    service: IoTStudioService, fleet: list[str], tmp_path: Path, suffix: str, category: str | None
) -> None:
    service.space.things[fleet[0]].categories = ["Sensors", "Meters"]
    path = str(tmp_path / f"things.{suffix}")
    operator = IoTStudioExportThingsOperator(task_id="x", output_path=path, category=category)
    manifest = operator.execute({})
    number = 10 if category is None else 8
    assert counts(sync(path, category=category, ignore=manifest["columns"][6:])) == (0, 0, 0, number, 0)
    assert service.space.things[fleet[0]].categories == ["Sensors", "Meters"]


def test_an_export_of_a_category_that_does_not_exist_is_no_empty_file(
    service: IoTStudioService, fleet: list[str], hook: IoTStudioHook, tmp_path: Path
) -> None:
    hook.create_category("Spare")
    for category in ("Spare", "Spares"):
        operator = IoTStudioExportThingsOperator(
            task_id="x", output_path=str(tmp_path / f"{category}.csv"), category=category
        )
        if category == "Spare":
            assert operator.execute({})["rows"] == 0
        else:
            with pytest.raises(NotFoundError, match="Spares"):
                operator.execute({})
    assert [path.name for path in tmp_path.iterdir()] == ["Spare.csv"]


@pytest.mark.parametrize("suffix", ["json", "jsonl", "parquet", "csv"])
def test_empty_fields_of_tables_leave_a_field_alone_and_null_in_json_empties_it(
    service: IoTStudioService, fleet: list[str], tmp_path: Path, suffix: str
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / f"rows.{suffix}"
    row = {"uid": fleet[0], "title": "New", "description": None}
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist([row]), path)
    elif suffix == "csv":
        path.write_text(f"uid,title,description\n{fleet[0]},New,\n")
    else:
        path.write_text(json.dumps([row] if suffix == "json" else row))
    assert counts(sync(str(path))) == (0, 1, 0, 0, 0)
    described = service.space.things[fleet[0]].fields["description"]
    assert (described == "") == suffix.startswith("json")


def test_a_cell_that_only_looks_empty_is_refused(
    service: IoTStudioService, fleet: list[str], tmp_path: Path
) -> None:
    thing = service.space.things[fleet[0]].clone()
    path = tmp_path / "rows.csv"
    path.write_text(f'uid,categories,properties\n{fleet[0]},", ",null\n{fleet[1]},;,\n')
    with pytest.raises(InputError) as caught:
        sync(str(path))
    assert len(caught.value.problems) == 3
    path.write_text(f"uid,categories,properties\n{fleet[0]},[],{{}}\n")
    assert counts(sync(str(path))) == (0, 1, 0, 0, 0)
    assert thing.categories
    assert service.space.things[fleet[0]].categories == []
    assert service.space.things[fleet[0]].properties == {}


def test_models_are_not_checked_when_the_client_may_not_list_them(
    service: IoTStudioService, fleet: list[str], hook: IoTStudioHook, connect: Callable[..., Any]
) -> None:
    hook.create_model("climate")
    connect(extra={"scopes": ["thing", "category"]})
    assert counts(sync([{"uid": fleet[0], "model": "climate"}])) == (0, 1, 0, 0, 0)
    with pytest.raises(PartialWriteError, match="Model nothing not found"):
        sync([{"uid": fleet[0], "model": "nothing"}])


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        ([{"title": "a"}], "uid is missing. The service chooses"),
        ([{"uid": UNKNOWN, "title": "a"}], "match_on='title'"),
        ([{"uid": "a/b/..", "title": 3}], "'title' must be a text"),
        ([{"uid": THING, "titel": "a"}], "did you mean 'title'"),
        ([{"uid": THING, "temperature": 20}], "leave it out with ignore"),
        ([{"uid": THING, "status": {"mode": "eco"}}], "unknown column"),
        ([{"uid": THING}, {"uid": THING}], "is that of row 1, too"),
        ([{"uid": THING, "thing_id": UNKNOWN}], "differ"),
        ([{"uid": THING, "categories": "Sensors; Nope!"}], "1 to 26"),
        ([{"uid": THING, "categories": ["Sensor"]}], "there is no category 'Sensor'; did you mean 'Sensors'"),
        ([{"uid": THING, "model": "nothing"}], "there is no model 'nothing'"),
        ([{"uid": THING, "model_version": 2}], "needs the model's name"),
        ([{"uid": THING, "model": "m@1", "model_version": 2}], "is not the version"),
        ([{"uid": THING, "properties": "{"}], "properties is not JSON"),
        ([{"uid": 7}], "uid is no text"),
        ([{"uid": THING, "categories": ""}], "'categories' must be a list"),
        ([{"uid": THING, "model": " "}], "'model' must be an object"),
        ([{"uid": THING, "title": ""}], "'title' is empty"),
        ([{"uid": THING, "properties": ""}], "properties is not JSON"),
        ([{"uid": THING, "categories": " , "}], "which names none"),
        ([{"uid": THING, "categories": ";"}], "which names none"),
        ([{"uid": THING, "properties": "null"}], "properties is the text 'null'; '{}' empties it"),
        ([{"uid": THING, "links": " null "}], r"links is the text 'null'; '\[\]' empties it"),
        ([{"uid": THING, "categories": "null"}], "the text 'null'"),
        ([{"uid": THING, "model": "null"}], "the text 'null'; null in a list or in JSON empties it"),
        ([{"uid": THING, "properties": '{"x": {"minimum": NaN}}'}], "NaN is no value of JSON"),
        ([7], "no object"),
    ],
)
def test_a_wrong_row_is_refused_before_any_write(
    service: IoTStudioService, sandbox: Sandbox, fleet: list[str], rows: list[Any], wanted: str
) -> None:
    with pytest.raises(InputError, match=wanted):
        sync(rows)
    assert not sum(sandbox.counters.requests[route] for route in (CREATE, BULK, DELETE))


def test_all_problems_of_all_rows_are_named_at_once(sandbox: Sandbox) -> None:
    rows = [{"uid": THING, "title": 7, "links": 1}, {"title": "a"}, {"uid": "x", "colour": "red"}]
    with pytest.raises(InputError) as caught:
        sync(rows)
    assert len(caught.value.problems) == 4
    assert sandbox.counters.total("iotstudio") == 0


def test_a_title_of_several_things_is_refused(service: IoTStudioService, fleet: list[str]) -> None:
    service.space.things[fleet[0]].title = service.space.things[fleet[1]].title = "Twin"
    with pytest.raises(InputError, match="title is that of 2 Things"):
        sync([{"title": "Twin", "description": "a"}], match_on="title")


def test_invalid_rows_can_be_left_out_and_are_listed(
    service: IoTStudioService, fleet: list[str], tmp_path: Path
) -> None:
    rows = [{"uid": fleet[0], "title": "A"}, {"uid": UNKNOWN, "title": "B"}, {"uid": fleet[1], "title": 7}]
    result = sync(rows, on_row_error="skip", plan_output=str(tmp_path / "plan.json"))
    assert counts(result) == (0, 1, 0, 0, 2)
    left = [json.loads(line) for line in (tmp_path / "plan.json.failed.jsonl").read_text().splitlines()]
    assert sorted(failure["key"] for failure in left) == sorted([UNKNOWN, fleet[1]])


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"source": [], "plan": "p.json"},
        {"source": [], "sql": "SELECT 1"},
        {"source": [], "match_on": "id"},
        {"source": [], "mode": "dry"},
        {"source": [], "mode": "plan"},
        {"source": [], "missing": "deactivate"},
        {"source": [], "on_row_error": "ignore"},
        {"source": [], "max_changes": "None"},
        {"source": [], "max_deletes": -1},
        {"source": [], "max_delete_ratio": 2},
        {"source": [], "verify": "maybe"},
        {"source": [], "batch_size": 0},
        {"source": [], "concurrency": 33},
        {"source": [], "category": ""},
        {"source": [], "defaults": {"uid": "a"}},
        {"source": [], "plan_output": " "},
    ],
    ids=repr,
)
def test_a_wrong_argument_is_refused_before_any_request(sandbox: Sandbox, arguments: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        sync(**{"source": None, **arguments})
    assert sandbox.counters.total("iotstudio") == 0


# -- limits and plans -------------------------------------------------------------------------------------


def _rows(service: IoTStudioService, uids: list[str]) -> list[dict[str, Any]]:
    return [{"uid": uid, "title": service.space.things[uid].title} for uid in uids]


def test_missing_things_are_deleted_within_the_limits_only(
    service: IoTStudioService, sandbox: Sandbox, fleet: list[str]
) -> None:
    rows = _rows(service, fleet[:8])
    assert counts(sync(rows)) == (0, 0, 0, 8, 0)
    for limits in ({}, {"max_deletes": 1, "max_delete_ratio": 1}, {"max_deletes": 9}):
        with pytest.raises(PlanRejectedError, match=r"deletions|Things would be deleted"):
            sync(rows, missing="delete", **limits)
    with pytest.raises(PlanRejectedError, match="source is empty"):
        sync([], missing="delete", max_deletes=99, max_delete_ratio=1)
    assert sandbox.counters.requests[DELETE] == 0
    result = sync(rows, missing="delete", max_deletes="2", max_delete_ratio=0.2)
    assert counts(result) == (0, 0, 2, 8, 0)
    assert sorted(service.space.things) == sorted(fleet[:8])
    assert sandbox.counters.requests[DELETE] == 1


def test_the_things_of_rows_that_are_left_out_are_not_missing(
    service: IoTStudioService, fleet: list[str]
) -> None:
    rows = [*_rows(service, fleet[:9]), {"uid": fleet[9], "title": 7}]
    given: dict[str, Any] = {
        "missing": "delete",
        "max_deletes": 9,
        "max_delete_ratio": 1,
        "on_row_error": "skip",
    }
    assert counts(sync(rows, **given)) == (0, 0, 0, 9, 1)
    with pytest.raises(PlanRejectedError, match="rows without a match"):
        sync([*_rows(service, fleet[:9]), {"title": "no uid"}], **given)
    assert len(service.space.things) == 10


@pytest.mark.parametrize("match_on", ["uid", "title"])
@pytest.mark.parametrize("bad", [{}, {"description": 7}])
@pytest.mark.parametrize("mistyped", [str.lower, lambda uid: f"{uid[:-1]}_", lambda uid: int(uid[-4:], 36)])
def test_nothing_is_deleted_while_a_row_that_is_left_out_has_the_uid_of_no_thing(
    service: IoTStudioService,
    fleet: list[str],
    tmp_path: Path,
    match_on: str,
    bad: dict[str, Any],
    mistyped: Callable[[str], Any],
) -> None:
    rows = [*_rows(service, fleet[:8]), {"uid": mistyped(fleet[8]), "title": "Renamed", **bad}]
    given: dict[str, Any] = {
        "missing": "delete",
        "max_deletes": 9,
        "max_delete_ratio": 1,
        "match_on": match_on,
        "on_row_error": "skip",
    }
    with pytest.raises(PlanRejectedError, match="missing rows are not known"):
        sync(rows, **given)
    path = str(tmp_path / "plan.json")
    sync(rows, mode="plan", plan_output=path, **given)
    with pytest.raises(PlanRejectedError, match="missing rows are not known"):
        sync(plan=path, **given)
    assert sorted(service.space.things) == sorted(fleet)
    assert counts(sync(rows, **{**given, "missing": "ignore"})) == (0, 0, 0, 8, 1)


def test_too_many_changes_are_refused(service: IoTStudioService, fleet: list[str], sandbox: Sandbox) -> None:
    rows = [{"uid": uid, "description": "same"} for uid in fleet]
    with pytest.raises(PlanRejectedError, match="10 changes are more than max_changes=9"):
        sync(rows, max_changes=9)
    assert sandbox.counters.requests[BULK] == 0


def test_a_plan_is_written_reviewed_and_applied_exactly(
    service: IoTStudioService, sandbox: Sandbox, fleet: list[str], tmp_path: Path
) -> None:
    path = str(tmp_path / "plan.json")
    rows = [{"uid": fleet[0], "title": "<b>New</b>"}, {"title": "Pump"}]
    given: dict[str, Any] = {
        "match_on": "title",
        "missing": "delete",
        "max_deletes": 9,
        "max_delete_ratio": 1,
    }
    assert counts(sync(rows, mode="plan", plan_output=path, **given)) == (1, 1, 9, 0, 0)
    assert not sum(sandbox.counters.requests[route] for route in (CREATE, BULK, DELETE))
    page = (tmp_path / "plan.html").read_text()
    assert "&lt;b&gt;New&lt;/b&gt;" in page
    assert "<script" not in page
    result = sync(plan=path, **given)
    assert counts(result) == (1, 1, 9, 0, 0)
    assert result["plan"] == path
    assert titles(service) == ["<b>New</b>", "Pump"]


def test_a_plan_has_creations_then_updates_then_deletions_each_in_their_order(
    service: IoTStudioService, fleet: list[str], tmp_path: Path
) -> None:
    old = [service.space.things[uid].title for uid in fleet[:2]]
    names = [old[1], "Pump 2", old[0], "Pump 1"]
    rows = [{"title": title, "description": "new"} for title in names]
    path = tmp_path / "plan.json"
    given: dict[str, Any] = {"missing": "delete", "max_deletes": 9, "max_delete_ratio": 1}
    sync(rows, mode="plan", plan_output=str(path), match_on="title", **given)
    planned = json.loads(path.read_text())["changes"]
    changes = [(one["operation"], one["key"]) for one in planned]
    assert {one["id"]: one["title"] for one in planned[4:]} == {
        uid: service.space.things[uid].title for uid in fleet[2:]
    }
    assert changes[:4] == [("create", "Pump 2"), ("create", "Pump 1"), ("update", old[1]), ("update", old[0])]
    assert [operation for operation, _ in changes[4:]] == ["delete"] * 8


def test_a_plan_of_many_files_names_rows_by_file_and_is_applied(
    service: IoTStudioService, fleet: list[str], tmp_path: Path
) -> None:
    folder, path = tmp_path / "rows", str(tmp_path / "plan.json")
    folder.mkdir()
    for number, uid in enumerate(fleet[:3]):
        (folder / f"part-{number}.jsonl").write_text(json.dumps({"uid": uid, "title": f"T{number}"}))
    sync(f"{folder}/", mode="plan", plan_output=path)
    rows = [change["row"] for change in json.loads(Path(path).read_text())["changes"]]
    assert rows == ["part-0.jsonl:1", "part-1.jsonl:1", "part-2.jsonl:1"]
    assert counts(sync(plan=path)) == (0, 3, 0, 0, 0)
    (folder / "part-9.jsonl").write_text(json.dumps({"uid": fleet[0], "titel": "x"}))
    with pytest.raises(InputError, match=r"part-9\.jsonl:1"):
        sync(f"{folder}/part-*.jsonl")


def test_a_plan_is_refused_when_its_things_have_changed(
    service: IoTStudioService, sandbox: Sandbox, fleet: list[str], tmp_path: Path, hook: IoTStudioHook
) -> None:
    path = str(tmp_path / "plan.json")
    sync([{"uid": fleet[0], "title": "New"}], mode="plan", plan_output=path)
    hook.set_properties(fleet[0], {"setpoint": 20})  # values do not count
    hook.update_thing(fleet[1], {"title": "another Thing"})
    hook.update_thing(fleet[0], {"description": "changed"})
    with pytest.raises(PlanRejectedError, match=f"Thing {fleet[0]}"):
        sync(plan=path)
    assert sandbox.counters.requests[BULK] == 0


def test_an_altered_plan_and_that_of_another_space_or_server_are_refused(
    service: IoTStudioService, fleet: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "plan.json"
    sync([{"uid": fleet[0], "title": "New"}], mode="plan", plan_output=str(path))
    text = path.read_text()
    path.write_text(text.replace('"New"', '"Newer"'))
    with pytest.raises(PlanRejectedError, match="altered"):
        sync(plan=str(path))
    for old, new in (('"failed": []', '"failed": [{"why": 1}]'), ('"update": 1', '"update": 0')):
        assert old in text
        path.write_text(text.replace(old, new))
        with pytest.raises((InputError, PlanRejectedError), match="altered|not a plan"):
            sync(plan=str(path))
    path.write_text(text)
    with pytest.raises(PlanRejectedError, match="for the space"):
        sync(plan=str(path), space="other")
    with Sandbox() as other:
        connection = other.connections["iotstudio_default"]
        monkeypatch.setenv("AIRFLOW_CONN_IOTSTUDIO_DEFAULT", connection)
        with pytest.raises(PlanRejectedError, match=r"for the space .* at http.*, not "):
            sync(plan=str(path))
        monkeypatch.undo()
    path.write_text("{}")
    with pytest.raises(InputError, match="not a plan"):
        sync(plan=str(path))


def test_the_path_that_an_applied_plan_returns_has_it(
    service: IoTStudioService, fleet: list[str], tmp_path: Path
) -> None:
    path, copy = tmp_path / "plan.json", tmp_path / "applied.json"
    sync([{"uid": fleet[0], "title": "New"}], mode="plan", plan_output=str(path))
    result = sync(plan=str(path), plan_output=str(copy))
    assert result["plan"] == str(copy)
    assert copy.read_bytes() == path.read_bytes()
    assert (tmp_path / "applied.html").exists()


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"uid": None}, "a Thing has no uid that is a text"),
        ({"uid": 5}, "a Thing has no uid that is a text"),
        ({"categories": "Sensors"}, "categories are 'Sensors', not a list of names"),
        ({"categories": [{"name": "Sensors"}]}, "categories are [{'name': 'Sensors'}], not a list of names"),
        ({"model": "Pump"}, "model is 'Pump', not an object"),
    ],
)
def test_things_in_another_form_are_named(
    fleet: list[str], sandbox: Sandbox, hook: IoTStudioHook, change: dict[str, Any], wanted: str
) -> None:
    first, thing = (hook.get_thing(uid) for uid in fleet[:2])
    _answer(sandbox, "GET", {"data": [{**first, "categories": None}, {**thing, **change}], "paging": {}})
    with pytest.raises(ServerError) as caught:
        sync([{"title": "a", "categories": ["Sensors"]}], match_on="title")
    assert wanted in str(caught.value)
    named = f"has one ({thing['uid']!r}, {thing['title']!r}) whose "
    assert (named in str(caught.value)) is ("uid" not in change)


def test_a_thing_that_is_listed_twice_is_one(fleet: list[str], sandbox: Sandbox, hook: IoTStudioHook) -> None:
    thing = hook.get_thing(fleet[0])
    _answer(sandbox, "GET", {"data": [thing, thing], "paging": {}})
    assert counts(sync([{"title": thing["title"]}], match_on="title")) == (0, 0, 0, 1, 0)


def _answer(sandbox: Sandbox, method: str, body: Any) -> None:
    sandbox.faults.add(
        "status",
        method=method,
        path="/things$",
        times=None,
        status=200,
        content_type="application/json",
        body=json.dumps(body),
    )


def test_a_plan_that_was_applied_in_part_is_completed(
    service: IoTStudioService, sandbox: Sandbox, fleet: list[str], tmp_path: Path
) -> None:
    path = str(tmp_path / "plan.json")
    rows = [{"uid": fleet[0], "title": "New"}, {"title": "Pump 1"}, {"title": "Pump 2"}]
    sync(rows, mode="plan", plan_output=path, match_on="title")
    sandbox.faults.add("status", method="POST", path="/things$", status=500, times=None, after=1)
    with pytest.raises(TransportError):
        sync(plan=path)
    sandbox.faults.clear()
    assert counts(sync(plan=path))[:3] == (1, 1, 0)
    assert [title for title in titles(service) if title in ("New", "Pump 1", "Pump 2")] == [
        "New",
        "Pump 1",
        "Pump 2",
    ]
    assert counts(sync(plan=path))[:3] == (0, 0, 0)


# -- lost responses, rejections, verification -------------------------------------------------------------


@pytest.mark.parametrize("fault", ["reset_before", "reset_after", "truncate"])
def test_nothing_is_created_twice_when_responses_are_lost(
    service: IoTStudioService, sandbox: Sandbox, fleet: list[str], fault: str
) -> None:
    sandbox.faults.add(fault, method="POST", path="/things$", times=3)
    sandbox.faults.add(fault, method="PATCH")
    rows = [{"title": f"Pump {number}"} for number in range(5)] + [{"uid": fleet[0], "title": "New"}]
    assert counts(sync(rows, match_on="title")) == (5, 1, 0, 0, 0)
    assert len(titles(service)) == len(set(titles(service))) == 15


def test_a_retry_creates_nothing_twice(
    service: IoTStudioService, sandbox: Sandbox, fleet: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_module, "LATE_SECONDS", 0.0)
    sandbox.faults.add("status", method="POST", path="/things$", status=403, after=2)
    rows = [{"title": f"Pump {number}"} for number in range(5)]
    with pytest.raises(Exception, match="403"):
        sync(rows, match_on="title")
    retry = {"ti": SimpleNamespace(try_number=2, xcom_push=lambda *_: None)}
    assert counts(sync(rows, retry, match_on="title"))[4] == 0
    assert sum(title.startswith("Pump") for title in titles(service)) == 5


def test_a_rejected_row_does_not_end_the_others(
    service: IoTStudioService, fleet: list[str], hook: IoTStudioHook
) -> None:
    hook.create_model("meter")
    hook.create_category("Modelled", model={"name": "meter"})
    hook.create_model("other")
    bad = {"categories": ["Modelled"], "model": {"name": "other"}}
    rows = [
        {"uid": fleet[0], "title": "A"},
        {"uid": fleet[1], **bad},
        {"title": "Pump 1"},
        {"title": "Pump 2", **bad},
    ]
    with pytest.raises(PartialWriteError, match="does not match the Model") as caught:
        sync(rows, match_on="title")
    assert (caught.value.total, caught.value.counts) == (2, {"create": 1, "update": 1})
    assert counts(sync(rows, match_on="title", on_row_error="skip")) == (0, 0, 0, 2, 2)


def test_a_template_that_sets_the_title_ends_the_sync_after_one_thing(
    service: IoTStudioService, fleet: list[str], hook: IoTStudioHook
) -> None:
    hook.create_model("pump")
    hook.create_model_version("pump", {"template": {"title": "A pump"}})
    rows = [{"title": f"Pump {number}", "model": "pump"} for number in range(9)]
    with pytest.raises(VerificationError, match="would create it again"):
        sync(rows, match_on="title")
    assert sum(title == "A pump" for title in titles(service)) == 1


def test_a_field_that_a_template_has_replaced_fails_the_verification(
    service: IoTStudioService, fleet: list[str], hook: IoTStudioHook
) -> None:
    hook.create_model("pump")
    hook.create_model_version("pump", {"template": {"description": "A pump"}})
    row = {"uid": fleet[0], "description": "Mine", "model": "pump"}
    with pytest.raises(VerificationError, match="description is 'A pump' instead of 'Mine'"):
        sync([row])
    assert counts(sync([row], verify=False)) == (0, 1, 0, 0, 0)


# -- requests ---------------------------------------------------------------------------------------------


def test_five_thousand_things_cost_five_list_requests_and_the_writes(
    service: IoTStudioService, sandbox: Sandbox
) -> None:
    things = service.space.things
    example = things[THING]
    service.space.things = {}
    for number in range(5000):
        copy = example.clone()
        copy.uid, copy.title = service.new_id(), f"Device {number}"
        service.space.things[copy.uid] = copy
    rows: list[dict[str, Any]] = [
        {"uid": uid, "title": thing.title, "categories": ["Sensors"]}
        for uid, thing in service.space.things.items()
    ]
    for row in rows[:50]:
        row["title"] += " renamed"
    assert counts(sync(rows)) == (0, 50, 0, 4950, 0)
    assert sandbox.counters.requests[LIST] == 5
    assert sandbox.counters.requests[BULK] == 1
