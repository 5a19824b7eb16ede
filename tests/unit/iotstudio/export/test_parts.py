"""A history in parts: each Thing is in exactly one part, and all parts have one span."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import runpy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.core.files.row_source import read_source
from airflow_provider.errors import InputError, NotFoundError, ProviderError
from airflow_provider.iotstudio.operators import (
    IoTStudioExportHistoryOperator,
    IoTStudioPlanHistoryOperator,
)
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.server import Sandbox
from airflow_provider.warehouse.operators import CommitManifestOperator
from tests.support.wait import until

EXAMPLE = Path(__file__).parents[4] / "example_dags" / "example_iotstudio_history_in_parts.py"


def plan(parts: Any = 4, category: Any = "Sensors", **more: Any) -> list[dict[str, Any]]:
    operator = IoTStudioPlanHistoryOperator(task_id="plan", parts=parts, category=category, **more)
    found = operator.execute({})
    assert json.loads(json.dumps(found)) == found
    return found


def export(path: Any, part: Any = None, **more: Any) -> dict[str, Any]:
    return IoTStudioExportHistoryOperator(task_id="x", output_path=str(path), part=part, **more).execute({})


def commit(results: Any, folder: Path) -> dict[str, Any]:
    path = f"{folder}/_manifest.json"
    return CommitManifestOperator(task_id="c", parts=results, output_path=path).execute({})


def sensors(service: IoTStudioService) -> list[str]:
    return sorted(uid for uid, thing in service.space.things.items() if "Sensors" in thing.categories)


def values(source: Path | str) -> list[Any]:
    found = [row for _, row in read_source(str(source), "rows")]
    return sorted((row["thing_id"], row["at"], row["property"], str(row["value"])) for row in found)


def problems(path: Any, part: Any, **more: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        export(path, part, **more)
    return caught.value.problems


# -- the plan


def test_each_thing_is_in_exactly_one_part_of_equal_size(service: IoTStudioService) -> None:
    parts = plan(7)
    assert [uid for part in parts for uid in part["thing_ids"]] == sensors(service)
    sizes = [len(part["thing_ids"]) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    assert [part["number"] for part in parts] == list(range(7))
    assert {part["count"] for part in parts} == {7}
    assert len({part["plan"] for part in parts}) == 1


def test_fewer_things_than_parts_make_fewer_parts_and_none_make_one(service: IoTStudioService) -> None:
    two = sensors(service)[:2]
    assert [part["thing_ids"] for part in plan(8, None, thing_ids=two[::-1])] == [[two[0]], [two[1]]]
    assert [part["thing_ids"] for part in plan(8, None, thing_ids=[])] == [[]]
    assert len(plan(1024, None)) == len(service.space.things)


def test_a_plan_with_both_bounds_is_the_same_whenever_it_is_made(service: IoTStudioService) -> None:
    span = {"start": "2026-01-01", "end": "2026-02-01"}
    assert plan("4", **span) == plan(4, **span)
    assert plan(3, **span)[0]["plan"] != plan(4, **span)[0]["plan"]
    assert plan(4, **span)[0]["plan"] != plan(4, **{**span, "end": "2026-02-02"})[0]["plan"]
    assert {part["until"] for part in plan(4, **span)} == {None}


def test_without_an_end_all_parts_end_when_they_were_planned(service: IoTStudioService) -> None:
    before = datetime.now(UTC)
    untils = {part["until"] for part in plan(4)}
    assert len(untils) == 1
    assert before <= datetime.fromisoformat(untils.pop()) <= datetime.now(UTC)


@pytest.mark.parametrize("parts", [0, -1, "many", "", None, 2.5, True, 1025, [4]])
def test_a_number_of_parts_that_is_none_is_refused_before_any_request(sandbox: Sandbox, parts: Any) -> None:
    with pytest.raises(InputError, match="'parts' must be a whole number"):
        plan(parts)
    assert sandbox.counters.total() == 0


def test_all_problems_of_a_plan_come_at_once(sandbox: Sandbox) -> None:
    with pytest.raises(InputError) as caught:
        plan(0, "", thing_ids="x", start="yesterday")
    assert len(caught.value.problems) >= 4
    assert sandbox.counters.total() == 0


# -- the parts


@pytest.mark.parametrize("name", ["h-{part}.jsonl", "h.csv", "h.parquet", "h.jsonl.gz", ""])
def test_all_parts_together_are_the_whole_history(
    service: IoTStudioService, tmp_path: Path, name: str
) -> None:
    parts = plan(3)
    folder = tmp_path / "parts"
    results = [export(f"{folder}/{name}", part) for part in parts]
    found = commit(results, folder)
    suffix = "".join(Path(results[0]["uri"]).suffixes)
    whole = export(f"{tmp_path}/whole{suffix}", category="Sensors", end=parts[0]["until"])
    assert found["rows"] == whole["rows"] == sum(result["rows"] for result in results) > 0
    assert sum(result["things"] for result in results) == len(sensors(service))
    assert values(f"{folder}/_manifest.json") == values(whole["uri"])
    assert len(list(folder.iterdir())) == 4


def test_a_folder_gets_a_file_named_by_the_part(service: IoTStudioService, tmp_path: Path) -> None:
    result = export(f"{tmp_path}/run/", plan(2)[1])
    assert result["uri"] == f"{tmp_path}/run/part-00001-of-00002.jsonl"
    assert result["format"] == "jsonl"
    assert hashlib.sha256(Path(result["uri"]).read_bytes()).hexdigest() == result["sha256"]
    assert (result["part"], result["parts"]) == (1, 2)


def test_parts_on_object_storage_are_committed_and_read_by_the_manifest(
    service: IoTStudioService, s3: Any
) -> None:
    folder = "s3://aws_s3@twin/history/run=1"
    results = [export(f"{folder}/", part) for part in plan(2)]
    manifest = CommitManifestOperator(task_id="c", parts=results, output_path=f"{folder}/_manifest.json")
    assert manifest.execute({})["rows"] == len(values(f"{folder}/_manifest.json"))


def test_a_part_has_the_things_and_the_span_of_the_plan_whatever_comes_meanwhile(
    service: IoTStudioService, tmp_path: Path
) -> None:
    (part,) = plan(1)
    before = export(f"{tmp_path}/a.jsonl", part)
    uid = sensors(service)[0]
    later = datetime.now(UTC) + timedelta(seconds=1)
    service.space.things[uid].categories = []
    service.space.things[uid].history["temperature"] = [
        *service.space.things[uid].history["temperature"],
        (int(later.timestamp() * 1000), 99.0),
    ]
    assert export(f"{tmp_path}/b.jsonl", part)["rows"] == before["rows"]


def test_a_thing_that_is_gone_has_no_values_in_its_part(service: IoTStudioService, tmp_path: Path) -> None:
    parts = plan(2)
    del service.space.things[parts[0]["thing_ids"][0]]
    results = [export(f"{tmp_path}/", part) for part in parts]
    assert [result["missing_things"] for result in results] == [1, 0]
    assert len(commit(results, tmp_path)["files"]) == 2


def test_a_part_whose_things_are_all_gone_or_lack_the_property_is_empty(
    service: IoTStudioService, tmp_path: Path
) -> None:
    parts = plan(2)
    for uid in parts[0]["thing_ids"]:
        del service.space.things[uid]
    results = [export(f"{tmp_path}/", part) for part in parts]
    assert results[0]["rows"] == 0 < commit(results, tmp_path)["rows"]
    (part,) = plan(1, properties=["nothing_has_it"])
    assert export(f"{tmp_path}/", part)["rows"] == 0


def test_ids_that_are_all_wrong_are_no_empty_part(service: IoTStudioService, tmp_path: Path) -> None:
    (part,) = plan(1, None, thing_ids=["01ARZ3NDEKTSV4RRFFQ69G5FAV"])
    with pytest.raises(NotFoundError, match="none of the histories exists"):
        export(f"{tmp_path}/", part)


def test_an_empty_plan_is_committed(service: IoTStudioService, tmp_path: Path) -> None:
    results = [export(f"{tmp_path}/", part) for part in plan(4, None, thing_ids=[])]
    assert commit(results, tmp_path)["rows"] == 0


def test_what_the_plan_left_open_may_be_given_with_the_part(
    service: IoTStudioService, tmp_path: Path
) -> None:
    parts = plan(2)
    more = {"end": "2100-01-01", "start": "2000-01-01", "properties": ["temperature"]}
    results = [export(f"{tmp_path}/", part, **more) for part in parts]
    assert {row["property"] for _, row in read_source(f"{tmp_path}/", "rows")} == {"temperature"}
    assert commit(results, tmp_path)["rows"] > 0
    other = export(f"{tmp_path}/", parts[0], **{**more, "start": "2001-01-01"})
    with pytest.raises(InputError, match="the parts differ in 'plan'"):
        commit([other, results[1]], tmp_path)


def test_parts_of_two_plans_are_not_committed(service: IoTStudioService, tmp_path: Path) -> None:
    first = export(f"{tmp_path}/", plan(2)[0])
    second = export(f"{tmp_path}/", plan(2)[1])
    with pytest.raises(InputError, match="the parts differ in 'plan'"):
        commit([first, second], tmp_path)
    with pytest.raises(InputError, match="part 1 of 2 is missing"):
        commit([first], tmp_path)
    assert not (tmp_path / "_manifest.json").exists()


BAD_PARTS = {
    "text": "{'thing_ids': []}",
    "number": 3,
    "empty": {},
    "unknown": {"offset": 3},
    "number beyond": {"number": 4},
    "number text": {"number": "1"},
    "no list": {"thing_ids": "abc"},
    "no ids": {"thing_ids": [1]},
    "no segment": {"thing_ids": [".."]},
    "listed": {"is_listed": "yes"},
    "time": {"end": "soon"},
    "until": {"until": 5},
    "space": {"space": ""},
}


@pytest.mark.parametrize("bad", BAD_PARTS.values(), ids=BAD_PARTS)
def test_a_part_that_is_none_is_refused_before_any_request(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path, bad: Any
) -> None:
    part = {**plan()[1], **bad} if isinstance(bad, dict) and bad else bad
    sandbox.counters.clear()
    assert any(problem.startswith("'part'") for problem in problems(f"{tmp_path}/", part))
    assert sandbox.counters.total() == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"category": "Sensors"}, "leave 'category' out"),
        ({"thing_ids": ["a"]}, "leave 'thing_ids' out"),
        ({"filters": {"temperature": "gt:1"}}, "leave 'filters' out"),
        ({"start": "2026-01-02"}, "'start' is '2026-01-02"),
        ({"end": "2026-02-02"}, "'end' is '2026-02-02"),
        ({"properties": ["x"]}, "'properties' is ['x']"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_arguments_that_contradict_a_part_are_refused(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path, more: Any, says: str
) -> None:
    part = plan(start="2026-01-01", end="2026-02-01", properties=["temperature"])[0]
    sandbox.counters.clear()
    assert any(says in problem for problem in problems(f"{tmp_path}/", part, **more))
    assert sandbox.counters.total() == 0


@pytest.mark.parametrize("incremental", [True, "True"])
def test_an_incremental_export_has_no_parts(
    service: IoTStudioService, tmp_path: Path, incremental: Any
) -> None:
    (problem,) = problems(f"{tmp_path}/", plan(1)[0], incremental=incremental)
    assert "'incremental' stores one watermark for all Things" in problem


def test_a_part_of_another_space_is_refused(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path
) -> None:
    part = plan(1)[0]
    sandbox.counters.clear()
    assert "was planned in space" in problems(f"{tmp_path}/", part, space="other")[0]
    assert sandbox.counters.total() == 0


def test_an_asset_among_the_outlets_of_a_part_is_refused(service: IoTStudioService, tmp_path: Path) -> None:
    from airflow.sdk import Asset

    (problem,) = problems(f"{tmp_path}/", plan(1)[0], outlets=[Asset("s3://twin/history")])
    assert "CommitManifestOperator" in problem


# -- bad days


def test_a_part_that_failed_is_redone_alone(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path
) -> None:
    parts = plan(3)
    results = [export(f"{tmp_path}/", part) for part in parts]
    before = Path(results[0]["uri"]).stat().st_mtime_ns
    Path(results[1]["uri"]).unlink()
    with pytest.raises(InputError, match=r"part 1: .* is not there"):
        commit(results, tmp_path)
    sandbox.faults.add("status", status=400, path="/properties-history", times=None)
    with pytest.raises(ProviderError):
        export(f"{tmp_path}/", parts[1])
    assert not Path(results[1]["uri"]).exists()
    sandbox.faults.clear()
    results[1] = export(f"{tmp_path}/", parts[1])
    assert commit(results, tmp_path)["rows"] == sum(result["rows"] for result in results)
    assert Path(results[0]["uri"]).stat().st_mtime_ns == before


def _export_part(connection: str, path: str, part: dict[str, Any]) -> None:
    os.environ["AIRFLOW_CONN_IOTSTUDIO_DEFAULT"] = connection
    export(path, part, concurrency=1)


@pytest.mark.slow
def test_a_part_that_is_killed_is_redone_alone_with_the_same_rows(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path
) -> None:
    parts = plan(2)
    results = [export(f"{tmp_path}/", part) for part in parts]
    Path(results[1]["uri"]).unlink()
    sandbox.counters.clear()
    sandbox.faults.add("delay", seconds=0.2, times=None, path="/properties-history")
    call = (sandbox.connections["iotstudio_default"], f"{tmp_path}/", parts[1])
    process = multiprocessing.get_context("spawn").Process(target=_export_part, args=call)
    process.start()
    until(lambda: sandbox.counters.total("properties-history") >= 2, 60)
    process.kill()
    process.join(10)
    sandbox.faults.clear()
    assert not Path(results[1]["uri"]).exists()
    again = export(f"{tmp_path}/", parts[1])
    assert {name: again[name] for name in ("rows", "things", "plan")} == {
        name: results[1][name] for name in ("rows", "things", "plan")
    }
    assert commit([results[0], again], tmp_path)["rows"] == results[0]["rows"] + again["rows"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "_manifest.json",
        "part-00000-of-00002.jsonl",
        "part-00001-of-00002.jsonl",
    ]


@pytest.mark.long
def test_the_example_commits_all_parts_of_the_history(
    service: IoTStudioService, run_dag: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_TWIN_OUTPUT", str(tmp_path))
    assert run_dag(runpy.run_path(str(EXAMPLE))["dag"]).state == "success"
    (folder,) = (tmp_path / "iotstudio" / "history").iterdir()
    manifest = json.loads((folder / "_manifest.json").read_text())
    names = [Path(file["uri"]).name for file in manifest["files"]]
    assert names == [f"part-0000{number}-of-00004.jsonl" for number in range(4)]
    assert manifest["rows"] == len(values(folder / "_manifest.json")) > 0
