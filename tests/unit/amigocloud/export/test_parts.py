"""A dataset in parts: each row is in exactly one part, and all parts are of one state."""

from __future__ import annotations

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider.amigocloud.export import checkpoint
from airflow_provider.amigocloud.export.parts.part import Part, part_path
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.operators import AmigoCloudExportOperator, AmigoCloudPlanExportOperator
from airflow_provider.errors import IncompleteExportError, InputError, PlanRejectedError, ProviderError
from airflow_provider.sandbox.amigocloud import seed
from airflow_provider.sandbox.amigocloud.sql.store import Dataset
from tests.support.airflow_names import AirflowFailException
from tests.support.canary_secrets import leaks, plant
from tests.support.hypothesis_sizes import examples
from tests.support.task_runner import TaskRunner
from tests.unit.amigocloud.export.test_export import ASSETS, lines, ordered

pytestmark = pytest.mark.both_engines

NUMBER = 4001
"""A dataset that only these tests have."""


def plan(dataset: Any = seed.ASSETS, parts: Any = 4, **more: Any) -> list[dict[str, Any]]:
    found = AmigoCloudPlanExportOperator(task_id="plan", dataset=dataset, parts=parts, **more).execute({})
    assert json.loads(json.dumps(found)) == found
    return found


def export_part(path: Any, part: Any, **more: Any) -> dict[str, Any]:
    return AmigoCloudExportOperator(task_id="export", output_path=str(path), part=part, **more).execute({})


def export_all(folder: Path, parts: list[dict[str, Any]], **more: Any) -> list[dict[str, Any]]:
    return [export_part(folder / "assets.jsonl", part, **more) for part in parts]


def add_dataset(sandbox: Any, keys: list[Any], kind: str = "string") -> None:
    columns = [{"name": "amigo_id", "type": kind}, {"name": "value", "type": "integer"}]
    rows = ({"amigo_id": key, "value": n} for n, key in enumerate(keys))
    sandbox.amigocloud.store.add(Dataset(NUMBER, seed.PROJECT, "keys", columns), rows)


def rows_of(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for result in results for row in lines(Path(result["uri"]))]


def rename(sandbox: Any, text: str) -> None:
    sandbox.amigocloud.store.write(f"UPDATE dataset_{seed.ASSETS} SET name = '{text}' WHERE number % 7 = 1")
    sandbox.amigocloud.store.write(f"DELETE FROM dataset_{seed.ASSETS} WHERE number % 97 = {len(text)}")
    sandbox.amigocloud.store.write(
        f"INSERT INTO dataset_{seed.ASSETS} (amigo_id, name) VALUES (generate_uuid(), '{text}')"
    )


# -- the plan


def test_a_plan_has_parts_of_equal_numbers_of_rows_that_adjoin(sandbox):
    parts = plan(parts=7)
    assert sorted({part["rows"] for part in parts}) == [428, 429]
    assert sum(part["rows"] for part in parts) == 3000
    assert [part["number"] for part in parts] == list(range(7))
    assert {part["count"] for part in parts} == {7}
    assert (parts[0]["low"], parts[-1]["high"]) == (None, None)
    assert [part["high"] for part in parts[:-1]] == [part["low"] for part in parts[1:]]
    assert {part["state"] for part in parts} == {sandbox.amigocloud.store.master(seed.ASSETS)}
    assert {part["dataset"] for part in parts} == {seed.ASSETS}
    assert len(json.dumps(parts)) < 7 * 300


def test_the_same_state_always_has_the_same_parts_and_another_one_another_plan(sandbox):
    first = plan()
    assert plan(parts="4", dataset=str(seed.ASSETS)) == first
    rename(sandbox, "x")
    assert plan()[0]["plan"] != first[0]["plan"]
    assert plan(parts=3)[0]["plan"] != plan(parts=4)[0]["plan"]


def test_a_plan_costs_two_requests_and_one_for_each_bound(sandbox):
    plan(parts=4)
    assert sandbox.counters.total("amigocloud") == 2 + 3 + 1


@pytest.mark.parametrize("parts", [0, -1, "0", "many", "", None, 2.5, True, "{{ x }}", 100_000, [4]])
@pytest.mark.one_engine("embedded", "no request is sent")
def test_a_number_of_parts_that_is_none_is_refused_before_any_request(sandbox, parts):
    with pytest.raises(InputError, match="'parts' must be a whole number"):
        plan(parts=parts)
    assert sandbox.counters.total() == 0


def test_all_problems_of_a_plan_come_at_once(sandbox):
    with pytest.raises(InputError) as caught:
        plan(dataset="", parts=0)
    assert len(caught.value.problems) == 2
    assert sandbox.counters.total() == 0


@pytest.mark.parametrize(("rows", "count"), [(0, 1), (1, 1), (3, 3)])
def test_a_dataset_with_fewer_rows_than_parts_has_fewer_parts(sandbox, tmp_path, rows, count):
    add_dataset(sandbox, [f"k{n}" for n in range(rows)])
    parts = plan(NUMBER, 8)
    assert len(parts) == count
    results = export_all(tmp_path, parts)
    assert [row["amigo_id"] for row in rows_of(results)] == [f"k{n}" for n in range(rows)]
    assert {tuple(result["columns"]) for result in results} == {("amigo_id", "value")}


KEYS = {
    "string": st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=9),
    "integer": st.integers(-(2**62), 2**62),
    "uuid": st.uuids().map(str),
}


@pytest.mark.parametrize("kind", KEYS)
@settings(max_examples=examples(25))
@given(data=st.data())
@pytest.mark.one_engine("embedded", "hundreds of datasets; the other tests read their parts on both")
def test_every_key_is_in_exactly_one_part_whatever_the_keys(running_sandbox, kind, data):
    keys = data.draw(st.lists(KEYS[kind], unique=True, max_size=40))
    count = data.draw(st.integers(1, 12))
    running_sandbox.reset()
    add_dataset(running_sandbox, keys, kind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_AMIGOCLOUD_DEFAULT", running_sandbox.connections["amigocloud_default"])
        parts = plan(NUMBER, count)
    found = []
    for part in parts:
        where = Part(**part).keys.where('"amigo_id"')
        sql = f"SELECT amigo_id FROM dataset_{NUMBER}{where} ORDER BY amigo_id"
        rows = [row["amigo_id"] for row in running_sandbox.amigocloud.store.select(sql, -1, 0).rows]
        assert len(rows) == part["rows"]
        found += rows
    assert len(parts) == max(1, min(count, len(keys)))
    assert found == sorted(keys, key=lambda key: key.encode() if isinstance(key, str) else key)


@pytest.mark.parametrize(
    "keys",
    [
        [f"O'Neil {n:03d}" for n in range(50)],
        [str(uuid.UUID(int=n << 96)) for n in range(50)],
        [f"{{{{ {n:03d} }}}}" for n in range(50)],
        ["", "a", "é", "ü", "Z", "zebra", "~", "\\", '"'],
    ],
    ids=["quotes", "uuid", "braces", "mixed"],
)
def test_parts_of_any_keys_are_read_whole(sandbox, tmp_path, keys):
    add_dataset(sandbox, keys)
    results = export_all(tmp_path, plan(NUMBER, 3))
    assert sorted(row["amigo_id"] for row in rows_of(results)) == sorted(keys)


@pytest.mark.one_engine("embedded", "a primary key of PostgreSQL is never null")
def test_null_keys_are_refused_as_no_part_would_hold_them(sandbox):
    sandbox.amigocloud.store.db.execute('CREATE TABLE "dataset_77" (amigo_id TEXT_STRING, v INTEGER)')
    sandbox.amigocloud.store.db.execute("INSERT INTO dataset_77 VALUES ('a', 1), (NULL, 2)")
    sandbox.amigocloud.store.datasets[77] = Dataset(
        77, seed.PROJECT, "nulls", [{"name": "amigo_id", "type": "string"}], states=["s1"]
    )
    with pytest.raises(InputError, match="'amigo_id' is null in 1 rows"):
        plan(77, 1)


# -- reading


def test_changes_between_the_parts_do_not_show(sandbox, tmp_path):
    parts = plan(parts=5)
    results = []
    for number, part in enumerate(parts):
        results.append(export_part(tmp_path / "assets.jsonl", part))
        rename(sandbox, "x" * number)
    state = parts[0]["state"]
    truth = sandbox.amigocloud.store.select(ASSETS, -1, 0, (seed.ASSETS, state)).rows
    assert rows_of(results) == ordered(truth)
    assert [result["rows"] for result in results] == [part["rows"] for part in parts]
    assert {result["state"] for result in results} == {state}


def test_a_change_in_the_middle_of_a_part_does_not_show(sandbox, tmp_path):
    (part,) = plan(parts=1)
    sandbox.amigocloud.before_page = lambda number: rename(sandbox, "x" * (number % 9))
    result = export_part(tmp_path / "assets.jsonl", part, page_size=300)
    truth = sandbox.amigocloud.store.select(ASSETS, -1, 0, (seed.ASSETS, part["state"])).rows
    assert rows_of([result]) == ordered(truth)


def test_the_result_of_a_part_has_what_a_manifest_needs(sandbox, tmp_path):
    part = plan(parts=4)[2]
    result = export_part(tmp_path / "a.jsonl.gz", part)
    file = tmp_path / "a-00002-of-00004.jsonl.gz"
    assert result["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert {name: result[name] for name in ("part", "parts", "plan", "dataset", "state", "rows")} == {
        "part": 2,
        "parts": 4,
        "plan": part["plan"],
        "dataset": seed.ASSETS,
        "state": part["state"],
        "rows": 750,
    }
    assert (result["uri"], result["bytes"]) == (str(file), file.stat().st_size)


@pytest.mark.parametrize("format", ["csv", "parquet", "geojson", "geoparquet"])
def test_parts_are_exported_in_every_format(sandbox, tmp_path, format):  # noqa: A002
    results = [export_part(tmp_path / f"a-{{part}}.{format}", part) for part in plan(2002, 2)]
    assert [Path(result["uri"]).name for result in results] == [
        f"a-00000-of-00002.{format}",
        f"a-00001-of-00002.{format}",
    ]
    assert sum(result["rows"] for result in results) == sandbox.amigocloud.store.count(2002)


@pytest.mark.parametrize(("format", "ending"), [(None, "jsonl"), ("parquet", "parquet"), ("csv", "csv")])
def test_a_folder_gets_a_file_named_by_the_part(sandbox, tmp_path, format, ending):  # noqa: A002
    result = export_part(f"{tmp_path}/run/", plan(2002, 2)[1], format=format)
    assert result["uri"] == f"{tmp_path}/run/part-00001-of-00002.{ending}"
    assert result["format"] == ending


# -- states that cannot be read any more


@pytest.mark.parametrize("answer", ["refused", "missing", "latest"])
def test_a_part_of_a_state_that_is_gone_fails_permanently_and_says_how_to_plan(sandbox, tmp_path, answer):
    part = plan()[1]
    sandbox.amigocloud.readable_states = 1
    sandbox.amigocloud.unknown_state = answer
    rename(sandbox, "x")
    with pytest.raises(PlanRejectedError, match=r"part 1 of 4 .* Clear the task that planned") as caught:
        export_part(tmp_path / "a.jsonl", part)
    assert isinstance(caught.value, AirflowFailException)
    assert part["state"] in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("answer", ["refused", "missing", "latest"])
def test_a_state_that_disappears_while_a_part_is_read_fails_the_part(sandbox, tmp_path, answer):
    (part,) = plan(parts=1)
    sandbox.amigocloud.unknown_state = answer

    def forget(number: int) -> None:
        if number == 3:
            sandbox.amigocloud.readable_states = 1
            sandbox.amigocloud.store.write(f"UPDATE dataset_{seed.ASSETS} SET name = 'x'")

    sandbox.amigocloud.before_page = forget
    with pytest.raises(PlanRejectedError) as caught:
        export_part(tmp_path / "a.jsonl", part, page_size=100, concurrency=1)
    assert isinstance(caught.value, AirflowFailException)
    assert list(tmp_path.iterdir()) == []


def test_a_service_that_ignores_states_is_good_enough_while_nothing_changes(sandbox, tmp_path):
    sandbox.amigocloud.readable_states, sandbox.amigocloud.unknown_state = 0, "latest"
    results = export_all(tmp_path, plan(parts=2))
    assert sum(result["rows"] for result in results) == 3000


def test_a_change_while_a_service_that_ignores_states_is_planned_fails_the_plan(sandbox):
    sandbox.amigocloud.readable_states, sandbox.amigocloud.unknown_state = 0, "latest"
    sandbox.amigocloud.before_page = lambda number: rename(sandbox, "x") if number == 2 else None
    with pytest.raises(IncompleteExportError, match="changed while it was planned") as caught:
        plan()
    assert not isinstance(caught.value, AirflowFailException)
    sandbox.amigocloud.before_page = None
    assert len(plan()) == 4


def test_a_refusal_for_another_reason_is_not_taken_for_a_lost_state(sandbox, tmp_path):
    part = plan()[0]
    sandbox.faults.add("status", status=400, path="/sql", times=None)
    with pytest.raises(ProviderError) as caught:
        export_part(tmp_path / "a.jsonl", part)
    assert not isinstance(caught.value, (PlanRejectedError, AirflowFailException))


def test_fewer_rows_than_planned_are_no_part(sandbox, tmp_path):
    part = {**plan()[0], "rows": 751}
    with pytest.raises(IncompleteExportError, match="counted 751 rows when the part was planned.*750"):
        export_part(tmp_path / "a.jsonl", part)
    assert list(tmp_path.iterdir()) == []


# -- arguments

BAD_PARTS = {
    "text": "{'dataset': 2001}",
    "number": 3,
    "list": [1],
    "empty": {},
    "unknown": {"offset": 3},
    "state": {"state": ""},
    "state none": {"state": "None"},
    "dataset": {"dataset": "x"},
    "number beyond": {"number": 4},
    "number negative": {"number": -1},
    "number text": {"number": "1"},
    "bound": {"low": ["a"]},
    "rows": {"rows": None},
}


@pytest.mark.parametrize("bad", BAD_PARTS.values(), ids=BAD_PARTS)
@pytest.mark.one_engine("embedded", "no request is sent")
def test_a_part_that_is_none_is_refused_before_any_request(sandbox, tmp_path, bad):
    part = {**plan()[1], **bad} if isinstance(bad, dict) and bad else bad
    sandbox.counters.clear()
    with pytest.raises(InputError, match="'part'"):
        export_part(tmp_path / "a.jsonl", part)
    assert sandbox.counters.total() == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"dataset": 2002}, "'dataset' is 2002"),
        ({"state": "other"}, "'state' is 'other'"),
        ({"sql": ASSETS}, "leave 'sql' out"),
        ({"url": "datasets"}, "leave 'url' out"),
        ({"saved_query": 7}, "leave 'saved_query' out"),
        ({"key": "amigo_id"}, "'key' is used with 'sql' only"),
        ({"incremental_column": "updated_at"}, "leave it or 'part' out"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
@pytest.mark.one_engine("embedded", "no request is sent")
def test_arguments_that_contradict_a_part_are_refused_before_any_request(sandbox, tmp_path, more, problem):
    part = plan()[0]
    sandbox.counters.clear()
    with pytest.raises(InputError, match=problem):
        export_part(tmp_path / "a.jsonl", part, **more)
    assert sandbox.counters.total() == 0


def test_the_dataset_and_the_state_of_a_part_may_be_named_beside_it(sandbox, tmp_path):
    part = plan()[0]
    result = export_part(tmp_path / "a.jsonl", part, dataset=str(seed.ASSETS), state=f" {part['state']}\n")
    assert result["rows"] == 750


def test_an_asset_among_the_outlets_of_a_part_is_refused(sandbox, tmp_path):
    asset = AmigoCloudHook.asset(project=1234, dataset=seed.ASSETS)
    with pytest.raises(InputError, match="an event for each of the 4 parts.*CommitManifestOperator"):
        export_part(tmp_path / "a.jsonl", plan()[0], outlets=[asset])


# -- the file of a part


def a_part(number: int, count: int = 8) -> Part:
    return Part(2001, "s", number, count, None, None, 1, "p")


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("/d/name.parquet", "/d/name-00003-of-00008.parquet"),
        ("/d/name.jsonl.gz", "/d/name-00003-of-00008.jsonl.gz"),
        ("s3://aws@bucket/a.b/name.csv", "s3://aws@bucket/a.b/name-00003-of-00008.csv"),
        ("name", "name-00003-of-00008"),
        ("/d/{part}/name.csv", "/d/00003-of-00008/name.csv"),
        ("/d/a-{part}.csv", "/d/a-00003-of-00008.csv"),
        ("/d/a-3.csv", "/d/a-3.csv"),
        ("/d/a_0003.csv.gz", "/d/a_0003.csv.gz"),
        ("/d/part=3/a.csv", "/d/part=3/a.csv"),
        ("/d/3/a.csv", "/d/3/a.csv"),
        ("/d/a-00003-of-00008.csv", "/d/a-00003-of-00008.csv"),
        ("/d/a-4.csv", "/d/a-4-00003-of-00008.csv"),
        ("/d/part=3/a-2024.csv", "/d/part=3/a-2024-00003-of-00008.csv"),
        ("/d/test_3/a.csv", "/d/test_3/a-00003-of-00008.csv"),
        ("/d/", "/d/part-00003-of-00008"),
        ("s3://aws@bucket/d/", "s3://aws@bucket/d/part-00003-of-00008"),
        ("/d/3/", "/d/3/part-00003-of-00008"),
        ("/d/{part}/", "/d/00003-of-00008/part-00003-of-00008"),
    ],
)
def test_each_part_has_a_file_of_its_own_name(given, path):
    assert part_path(given, a_part(3)) == path


@pytest.mark.parametrize(
    ("template", "rendered", "path"),
    [
        ("/d/a-{{ ds }}.csv", "/d/a-2024-01-03.csv", "/d/a-2024-01-03-00003-of-00008.csv"),
        ("/d/a-{{ ti.map_index }}.csv", "/d/a-3.csv", "/d/a-3.csv"),
        ("/d/{{ task.part.number }}/a.csv", "/d/3/a.csv", "/d/3/a.csv"),
        ("/d/a-{{ ti.map_index // 2 }}.csv", "/d/a-1.csv", "/d/a-1-00003-of-00008.csv"),
    ],
)
def test_a_date_in_the_path_is_no_number_of_a_part(template, rendered, path):
    assert part_path(rendered, a_part(3), template) == path


PATHS = st.from_regex(r"(/[a-z0-9=_-]{1,6}){0,2}/[a-z0-9_-]{0,6}(-[0-9]{1,2})?(\.csv)?", fullmatch=True)


@given(path=PATHS, count=st.integers(1, 20))
@pytest.mark.one_engine("embedded", "about the names of files")
def test_no_two_parts_of_a_plan_have_one_file_whatever_the_path(path, count):
    assert len({part_path(path, a_part(number, count)) for number in range(count)}) == count


# -- a given state


def test_an_export_of_a_given_state_has_the_rows_of_that_state(sandbox, tmp_path):
    state = sandbox.amigocloud.store.master(seed.ASSETS)
    before = ordered(sandbox.amigocloud.store.select(ASSETS, -1, 0).rows)
    rename(sandbox, "x")
    for number, source in enumerate(({"dataset": seed.ASSETS}, {"sql": ASSETS, "key": "amigo_id"})):
        path = tmp_path / f"{number}.jsonl"
        task = AmigoCloudExportOperator(task_id="export", output_path=str(path), state=state, **source)
        result = task.execute({})
        assert lines(path) == before
        assert result["state"] == state


def export_state(tmp_path: Path, state: Any, **source: Any) -> Any:
    path = str(tmp_path / "a.jsonl")
    return AmigoCloudExportOperator(task_id="x", output_path=path, state=state, **source).execute({})


@pytest.mark.parametrize("answer", ["refused", "missing", "latest"])
def test_an_export_of_a_state_that_is_gone_fails_permanently(sandbox, tmp_path, answer):
    sandbox.amigocloud.unknown_state = answer
    with pytest.raises(IncompleteExportError, match="can no longer be read in its state abc") as caught:
        export_state(tmp_path, "abc", dataset=seed.ASSETS)
    assert isinstance(caught.value, AirflowFailException)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("state", "source", "problem"),
    [
        ("", {"dataset": 2001}, "'state' is empty"),
        ("None", {"dataset": 2001}, "'state' is 'None'"),
        (7, {"dataset": 2001}, "'state' must be a text"),
        ("s", {"url": "datasets"}, "a list has no states"),
        ("s", {"sql": "SELECT 1 AS n"}, "about the datasets none"),
        ("s", {"sql": "SELECT a.* FROM dataset_1 a, dataset_2001 b"}, "about the datasets 1, 2001"),
        ("s", {"dataset": 2001, "incremental_column": "updated_at"}, "leave it or 'state' out"),
    ],
)
@pytest.mark.one_engine("embedded", "no request is sent")
def test_a_state_that_does_not_fit_is_refused_before_any_request(sandbox, tmp_path, state, source, problem):
    with pytest.raises(InputError, match=problem):
        export_state(tmp_path, state, **source)
    assert sandbox.counters.total() == 0


def test_a_state_of_a_saved_query_about_no_dataset_is_refused(sandbox, tmp_path):
    query = next(iter(sandbox.amigocloud.queries))
    sandbox.amigocloud.queries[query]["query"] = "SELECT 1 AS n"
    with pytest.raises(InputError, match="about the datasets none"):
        export_state(tmp_path, "s", saved_query=query)


# -- attempts


def test_a_cleared_part_rewrites_its_own_file_only(sandbox, tmp_path):
    parts = plan(parts=3)
    first = export_all(tmp_path, parts)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    rename(sandbox, "x")
    again = export_part(tmp_path / "assets.jsonl", parts[1])
    assert again["sha256"] == first[1]["sha256"]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_attempt_with_another_part_does_not_use_the_saved_pages(sandbox, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "PART_ROWS", 100)
    task, parts = TaskRunner(), plan(parts=2)
    sandbox.faults.add("status", status=403, path="/sql", after=6)
    make = {"output_path": str(tmp_path / "a.jsonl"), "page_size": 100, "concurrency": 1}
    with pytest.raises(ProviderError):
        task.run(AmigoCloudExportOperator(task_id="e", part=parts[0], **make))
    assert task.store["amigocloud_export_parts"]["rows"]
    rename(sandbox, "x")
    later = plan(parts=2)
    result = task.run(AmigoCloudExportOperator(task_id="e", part=later[0], **make))
    state = later[0]["state"]
    truth = sandbox.amigocloud.store.select(ASSETS, -1, 0, (seed.ASSETS, state)).rows
    assert rows_of([result]) == ordered(truth)[: later[0]["rows"]]
    assert [path.name for path in tmp_path.iterdir()] == ["a-00000-of-00002.jsonl"]


def test_no_credential_is_in_a_plan_or_in_the_result_of_a_part(sandbox, tmp_path, monkeypatch):
    plant(sandbox, monkeypatch)
    parts = plan()
    result = export_part(tmp_path / "a.jsonl", parts[0])
    assert leaks({"plan": json.dumps(parts), "result": json.dumps(result)}, sandbox) == []
