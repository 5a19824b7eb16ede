"""An export is complete, or it fails and changes nothing."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.amigocloud.export import export as module
from airflow_provider.amigocloud.export.export import RowCounter
from airflow_provider.amigocloud.operators import AmigoCloudExportOperator, AmigoCloudSqlOperator
from airflow_provider.core.redaction import encodings
from airflow_provider.errors import (
    AmbiguousWriteError,
    AuthenticationError,
    IncompleteExportError,
    InputError,
    PermissionDeniedError,
    ProviderError,
    RequestRejectedError,
    ServerError,
)
from airflow_provider.sandbox.amigocloud import seed
from tests.support.task_runner import TaskRunner

pytestmark = pytest.mark.both_engines

ASSETS = f"SELECT * FROM dataset_{seed.ASSETS}"
NUMBERS = f"SELECT number, name FROM dataset_{seed.ASSETS} ORDER BY number"


def export(path: Path | str, **arguments: Any) -> dict[str, Any]:
    return AmigoCloudExportOperator(task_id="export", output_path=str(path), **arguments).execute({})


def lines(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    text = gzip.decompress(data) if path.suffix == ".gz" else data
    return [json.loads(line) for line in text.splitlines()]


def truth(sandbox: Any, sql: str = ASSETS, state: str | None = None) -> list[dict[str, Any]]:
    return sandbox.amigocloud.store.select(sql, -1, 0, (seed.ASSETS, state) if state else None).rows


def ordered(rows: list[dict[str, Any]], key: str = "amigo_id") -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: row[key])


# -- complete


def test_a_dataset_is_exported_whole_with_every_value(sandbox, tmp_path):
    path = tmp_path / "assets.jsonl"
    manifest = export(path, dataset=seed.ASSETS)
    rows = lines(path)
    assert rows == ordered(truth(sandbox))
    assert manifest == {
        "uri": str(path),
        "format": "jsonl",
        "rows": 3000,
        "bytes": path.stat().st_size,
        "files": [{"uri": str(path), "rows": 3000, "bytes": path.stat().st_size}],
        "columns": [column["name"] for column in seed.ASSET_COLUMNS],
        "requests": manifest["requests"],
        "seconds": manifest["seconds"],
        "state": sandbox.amigocloud.store.master(seed.ASSETS),
    }
    # Which state, what is in it, how many rows it has, and four pages.
    assert manifest["requests"] == sandbox.counters.total() == 7
    assert sandbox.counters.rows_served["amigocloud"] == 3000 + 2


@pytest.mark.parametrize(("name", "packed"), [("a.csv", False), ("a.csv.gz", True), ("a.jsonl.gz", True)])
def test_the_format_follows_from_the_suffix(sandbox, tmp_path, name, packed):
    path = tmp_path / name
    manifest = export(path, sql=NUMBERS)
    data = path.read_bytes()
    text = (gzip.decompress(data) if packed else data).decode()
    rows = list(csv.DictReader(text.splitlines())) if "csv" in name else [*map(json.loads, text.splitlines())]
    assert [int(row["number"]) for row in rows] == list(range(3000))
    assert manifest["format"] in name
    assert manifest["bytes"] == len(data)


def test_csv_keeps_quotes_line_breaks_and_other_alphabets(sandbox, tmp_path):
    path = tmp_path / "assets.csv"
    export(path, dataset=seed.ASSETS)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    expected = ordered(truth(sandbox))
    assert [row["notes"] for row in rows] == [row["notes"] or "" for row in expected]
    assert [row["maker"] for row in rows] == [row["maker"] or "" for row in expected]
    assert {row["in_service"] for row in rows} == {"true", "false", ""}


def test_the_format_can_be_given_by_name(tmp_path):
    assert export(tmp_path / "rows.txt", sql=NUMBERS, format="csv")["format"] == "csv"


def test_the_same_rows_make_the_same_bytes(tmp_path):
    export(tmp_path / "a.jsonl.gz", dataset=1)
    export(tmp_path / "b.jsonl.gz", dataset=1)
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()


def test_an_empty_result_still_has_its_columns(tmp_path):
    path = tmp_path / "none.csv"
    manifest = export(path, sql="SELECT name, value FROM dataset_1 WHERE value < 0")
    assert path.read_text() == "name,value\n"
    assert (manifest["rows"], manifest["columns"]) == (0, ["name", "value"])


def test_a_list_endpoint_is_exported(tmp_path):
    path = tmp_path / "projects.jsonl"
    assert export(path, url="/me/projects?limit=7")["requests"] == 4
    assert [project["id"] for project in lines(path)] == list(range(1234, 1259))


def test_the_services_clamp_is_read_from_its_replies(sandbox, tmp_path):
    sandbox.amigocloud.page_clamp = 700
    manifest = export(tmp_path / "a.jsonl", dataset=seed.ASSETS, page_size=5000)
    assert manifest["requests"] == 3 + 5
    assert lines(tmp_path / "a.jsonl") == ordered(truth(sandbox))
    assert export(tmp_path / "b.jsonl", sql=NUMBERS, page_size=5000)["rows"] == 3000


def test_a_dataset_is_never_read_by_offset(sandbox, tmp_path):
    seen = []
    select = sandbox.amigocloud.store.select

    def watch(sql, limit, offset, at=None, **options):
        seen.append((sql, offset, at))
        return select(sql, limit, offset, at, **options)

    sandbox.amigocloud.store.select = watch
    export(tmp_path / "a.jsonl", dataset=seed.ASSETS)
    pages = [at for sql, _, at in seen if "count(*)" not in sql]
    assert pages == [(seed.ASSETS, sandbox.amigocloud.store.master(seed.ASSETS))] * 5
    assert all(offset == 0 and "offset" not in sql.lower() for sql, offset, _ in seen)


def test_rows_written_during_an_export_of_a_dataset_change_nothing(sandbox, tmp_path):
    service = sandbox.amigocloud

    def disturb(page):
        service.store.write(f"DELETE FROM dataset_{seed.ASSETS} WHERE number % 3 = {page % 3}")
        service.store.write(f"INSERT INTO dataset_{seed.ASSETS} (amigo_id) VALUES ('{page}zz')")

    service.before_page = disturb
    manifest = export(tmp_path / "a.jsonl", dataset=seed.ASSETS)
    assert lines(tmp_path / "a.jsonl") == ordered(truth(sandbox, ASSETS, manifest["state"]))
    assert manifest["state"] != service.store.master(seed.ASSETS)


def test_rows_written_during_a_query_about_one_dataset_change_nothing(sandbox, tmp_path):
    service = sandbox.amigocloud
    service.before_page = lambda page: service.store.write(
        f"DELETE FROM dataset_{seed.ASSETS} WHERE number < {page * 100}"
    )
    assert export(tmp_path / "a.jsonl", sql=NUMBERS)["rows"] == 3000


def test_a_query_with_a_key_is_read_in_key_order(sandbox, tmp_path):
    sql = f"SELECT number AS n, upper(name) AS title FROM dataset_{seed.ASSETS} WHERE number % 2 = 0;"
    sandbox.amigocloud.unstable_order = True
    export(tmp_path / "a.jsonl", sql=sql, key="n", page_size=400)
    assert [row["n"] for row in lines(tmp_path / "a.jsonl")] == list(range(0, 3000, 2))


def test_keys_with_quotes_are_no_trouble(sandbox, tmp_path):
    for name in ("O'Neil", "''", 'a"b', "\\", "%", "--"):
        sandbox.amigocloud.store.write("INSERT INTO dataset_1 (name) VALUES (?)", [name])
    export(tmp_path / "a.jsonl", sql="SELECT name FROM dataset_1", key="name", page_size=1)
    assert len({row["name"] for row in lines(tmp_path / "a.jsonl")}) == 14


def test_empty_pages_with_a_next_do_not_end_an_export(sandbox, tmp_path):
    for arguments in ({"dataset": seed.ASSETS}, {"sql": NUMBERS}, {"url": "/me/projects"}):
        sandbox.amigocloud.empty_pages = 3
        path = tmp_path / "a.jsonl"
        assert export(path, **arguments)["rows"] == len(lines(path)) in (3000, 25)


def test_pretty_printed_replies_still_make_one_line_a_row(sandbox, tmp_path):
    body = json.dumps({"count": 2, "next": None, "results": [{"a": "x\ny"}, {"a": 1}]}, indent=2)
    sandbox.faults.add("status", status=200, body=body, content_type="application/json")
    export(tmp_path / "a.jsonl", url="/me/projects")
    assert (tmp_path / "a.jsonl").read_text() == '{"a":"x\\ny"}\n{"a":1}\n'


def test_progress_is_logged_and_sent_as_metrics(tmp_path, monkeypatch):
    told: list[tuple[str, float]] = []
    said: list[str] = []
    monkeypatch.setattr(module, "gauge", lambda name, value, tags: told.append((name, value)))
    monkeypatch.setattr("airflow_provider.core.files.manifest.PROGRESS_SECONDS", 0.0)
    log = SimpleNamespace(info=lambda text, *values: said.append(text % values))
    monkeypatch.setattr(module, "RowCounter", lambda _log, conn_id: RowCounter(log, conn_id))
    export(tmp_path / "a.jsonl", dataset=seed.ASSETS, concurrency=1)
    assert [value for name, value in told if name == "amigocloud.export.rows"] == [1000, 2000, 3000]
    assert said[0].startswith("1000 of 3000 rows, ")
    assert said[0].endswith(" s to go")


# -- bad days

SOURCES = [{"dataset": seed.ASSETS}, {"sql": NUMBERS}, {"url": "/me/projects?limit=9"}]
BAD_MOMENTS = [
    ("status", {"status": 429, "headers": {"Retry-After": "0"}}),
    ("status", {"status": 429}),
    ("status", {"status": 503}),
    ("html", {"status": 502}),
    ("html", {"status": 504}),
    ("reset_before", {}),
    ("reset_after", {}),
    ("truncate", {}),
]


@pytest.mark.parametrize(("kind", "options"), BAD_MOMENTS)
@pytest.mark.parametrize("source", SOURCES, ids=["dataset", "sql", "url"])
@pytest.mark.one_engine("embedded", "about faults of the transport")
def test_a_bad_moment_costs_no_row(sandbox, tmp_path, source, kind, options):
    fault = sandbox.faults.add(kind, after=1, times=2, **options)
    rows = export(tmp_path / "a.jsonl", **source)["rows"]
    assert fault.hits == 2
    assert rows == len(lines(tmp_path / "a.jsonl")) in (3000, 25)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ('{"error_code": "broken", "detail": "no data today"}', RequestRejectedError),
        ('{"count": 3000, "next": null, "data": [{"number"', ServerError),
        ("<html>maintenance</html>", ServerError),
    ],
)
def test_a_good_status_does_not_make_a_bad_body_good(sandbox, tmp_path, body, error):
    sandbox.faults.add("status", status=200, body=body, after=2, times=None, path="/sql")
    with pytest.raises(error):
        export(tmp_path / "a.jsonl", sql=NUMBERS, page_size=500)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("source", SOURCES, ids=["dataset", "sql", "url"])
def test_a_count_that_does_not_fit_publishes_nothing(sandbox, tmp_path, source):
    path = tmp_path / "a.jsonl"
    path.write_text("yesterday's\n")
    sandbox.amigocloud.count_error = 1
    if "url" in source:
        body = json.dumps({"count": 3, "next": None, "results": [{"id": 1}]})
        sandbox.faults.add("status", status=200, body=body)
    with pytest.raises(IncompleteExportError, match=r"the service counted \d+ rows and returned"):
        export(path, **source)
    assert path.read_text() == "yesterday's\n"
    assert list(tmp_path.iterdir()) == [path]


def test_more_rows_than_counted_publish_nothing(sandbox, tmp_path):
    sandbox.amigocloud.count_error = -1
    with pytest.raises(IncompleteExportError, match="at least 3000"):
        export(tmp_path / "a.jsonl", sql=NUMBERS)


@pytest.mark.parametrize("key", [None, "number"])
@pytest.mark.parametrize(
    "change", ["DELETE FROM dataset_1 WHERE value < 3", "UPDATE dataset_1 SET value = 1.6"]
)
def test_a_query_about_two_datasets_fails_when_one_of_them_changes(sandbox, tmp_path, change, key):
    service = sandbox.amigocloud
    service.before_page = lambda page: page == 2 and service.store.write(change)
    sql = f"SELECT a.number, d.name FROM dataset_{seed.ASSETS} a JOIN dataset_1 d ON a.floor < d.value"
    with pytest.raises(IncompleteExportError, match="changed|counted"):
        export(tmp_path / "a.jsonl", sql=sql + " WHERE d.name = 'Bohr'", key=key, page_size=100)
    service.before_page = None
    with pytest.raises(InputError, match="not unique"):
        export(tmp_path / "a.jsonl", sql=sql, key="number")
    sql += " WHERE d.name = 'Bohr'"
    assert export(tmp_path / "a.jsonl", sql=sql, key=key)["rows"] == len(truth(sandbox, sql))


@pytest.mark.parametrize("source", SOURCES, ids=["dataset", "sql", "url"])
def test_a_next_to_another_host_fails_and_sends_nothing_there(sandbox, tmp_path, source):
    sandbox.amigocloud.next_origin = sandbox.around.storage_origin
    sandbox.amigocloud.empty_pages = 2
    with pytest.raises(ProviderError, match="own host only"):
        export(tmp_path / "a.jsonl", **source)
    assert sandbox.counters.total("storage") == 0
    assert list(tmp_path.iterdir()) == []


def test_a_next_that_leads_to_itself_fails(sandbox, tmp_path):
    link = f"{sandbox.amigocloud.api_root}/me/projects?limit=1000"
    body = json.dumps({"count": None, "next": link, "results": [{"name": "no id"}]})
    sandbox.faults.add("status", status=200, body=body, times=None)
    with pytest.raises(IncompleteExportError, match="leads to itself"):
        export(tmp_path / "a.jsonl", url="/me/projects")


@pytest.mark.one_engine("embedded", "about replies without rows")
def test_pages_that_stay_empty_fail_in_the_end(sandbox, tmp_path):
    sandbox.amigocloud.empty_pages = 1000
    with pytest.raises(IncompleteExportError, match="leads to itself"):
        export(tmp_path / "a.jsonl", dataset=seed.ASSETS)


@pytest.mark.parametrize("source", [{"dataset": seed.ASSETS}, {"sql": ASSETS}], ids=["dataset", "sql"])
def test_a_schema_that_changes_between_pages_fails(sandbox, tmp_path, source):
    store = sandbox.amigocloud.store
    colour = {"name": "colour", "type": "string"}
    before = 2 if "sql" in source else 4
    source = {"concurrency": 2, **source}
    sandbox.amigocloud.before_page = lambda n: n == before and store.add_column(seed.ASSETS, colour)
    with pytest.raises(IncompleteExportError, match=r"columns changed after \d+ rows, .*colour \(string\)"):
        export(tmp_path / "a.csv", **source)
    assert list(tmp_path.iterdir()) == []


def test_no_token_is_in_the_manifest_the_file_or_the_log(tmp_path, caplog):
    manifest = export(tmp_path / "a.jsonl", url="/me/projects")
    text = json.dumps(manifest) + (tmp_path / "a.jsonl").read_text() + caplog.text
    assert not [form for form in encodings(seed.USER_TOKEN) if form in text]


# -- bad input


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "exactly one of 'sql', 'dataset', 'url' and 'saved_query'; none is given"),
        ({"sql": "SELECT 1", "dataset": 1}, "not sql and dataset"),
        ({"dataset": 1, "key": "name"}, "'key' is used with 'sql' only"),
        ({"dataset": 1, "page_size": 0}, "'page_size' must be a whole number of at least 1"),
        ({"dataset": 1, "format": "xlsx"}, "'xlsx' is unknown"),
        ({"dataset": 1, "output_path": "{tmp}/assets.txt"}, "must end in one of"),
        ({"dataset": 1, "output_path": "{tmp}/assets.csv/"}, "must end in one of"),
        ({"dataset": 1, "output_path": ""}, "must end in one of"),
        ({"dataset": "campus"}, "must be the id of a dataset"),
        ({"sql": "  "}, "must be a query"),
        ({"sql": "DELETE FROM dataset_1"}, "must be a query"),
        ({"url": ""}, "the URL is empty"),
    ],
)
@pytest.mark.one_engine("embedded", "no request is sent")
def test_bad_arguments_are_named_before_any_request(sandbox, tmp_path, arguments, said):
    given = dict(arguments)
    path = given.pop("output_path", "{tmp}/a.jsonl").format(tmp=tmp_path)
    with pytest.raises(InputError) as caught:
        export(path, **given)
    assert said in str(caught.value)
    assert sandbox.counters.total() == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.one_engine("embedded", "no request is sent")
def test_all_bad_arguments_are_named_at_once(tmp_path):
    with pytest.raises(InputError) as caught:
        export(tmp_path / "a.jsonl", page_size="many", key="x")
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("colour", "no column 'colour'; they have"),
        ("category", "not unique"),
        ("maker", "is null|not unique"),
    ],
)
def test_a_key_that_is_none_is_named(tmp_path, key, said):
    with pytest.raises(InputError, match=said):
        export(
            tmp_path / "a.jsonl", sql=f"SELECT amigo_id, category, maker FROM dataset_{seed.ASSETS}", key=key
        )
    assert list(tmp_path.iterdir()) == []


def test_a_list_that_is_none_is_named(tmp_path):
    with pytest.raises(InputError, match="the reply is not a list"):
        export(tmp_path / "a.jsonl", url="/me")


def test_a_token_of_the_wrong_kind_is_a_clear_error(connect, tmp_path):
    conn_id = connect(password=seed.EDIT_PROJECT_TOKEN, extra={"project_url": "projects/1235"})
    with pytest.raises(PermissionDeniedError, match="belongs to another project"):
        export(tmp_path / "a.jsonl", dataset=seed.ASSETS, amigocloud_conn_id=conn_id)


def test_a_bad_token_fails_at_once(sandbox, connect, tmp_path):
    with pytest.raises(AuthenticationError):
        export(tmp_path / "a.jsonl", dataset=1, amigocloud_conn_id=connect(password="R:old"))
    assert sandbox.counters.total() <= 2  # which state, and what is in it: asked at the same time


def test_a_read_token_of_the_project_is_enough(connect, tmp_path):
    conn_id = connect(password=seed.READ_PROJECT_TOKEN)
    assert export(tmp_path / "a.jsonl", dataset=seed.ASSETS, amigocloud_conn_id=conn_id)["rows"] == 3000


# -- the SQL operator


def write(sql: str, **arguments: Any) -> Any:
    return TaskRunner().run(AmigoCloudSqlOperator(task_id="write", sql=sql, **arguments))


def test_a_statement_returns_the_number_of_affected_rows(sandbox):
    assert write("UPDATE dataset_1 SET value = 9 WHERE value < 3") == {"rows": 2}
    assert write("DELETE FROM dataset_1 WHERE value = 9") == {"rows": 3}
    assert sandbox.amigocloud.store.count(1) == 5


@pytest.mark.parametrize("sql", ["", "  ", "SELECT 1", " select 1"])
@pytest.mark.one_engine("embedded", "no request is sent")
def test_a_statement_that_does_not_write_is_refused_before_any_request(sandbox, sql):
    with pytest.raises(InputError):
        write(sql)
    assert sandbox.counters.total() == 0


@pytest.mark.parametrize("kind", ["reset_after", "truncate", "html"])
def test_a_statement_without_a_response_is_not_run_again(sandbox, kind):
    sandbox.faults.add(kind)
    with pytest.raises(AmbiguousWriteError, match="run a statement"):
        write("UPDATE dataset_1 SET value = value + 1")
    assert sandbox.counters.total() == 1


def test_a_statement_that_the_service_did_not_take_is_sent_again(sandbox):
    sandbox.faults.add("status", status=429, headers={"Retry-After": "0"})
    sandbox.faults.add("status", status=503)
    assert write("UPDATE dataset_1 SET value = 0 WHERE name = 'Bohr'") == {"rows": 1}


def test_bad_sql_fails_with_the_words_of_the_service():
    with pytest.raises(RequestRejectedError, match=r"sql_error: .*dataset_99"):
        write("DELETE FROM dataset_99")


def test_a_token_that_may_not_write_ends_at_once(sandbox, connect):
    with pytest.raises(PermissionDeniedError):
        write("DELETE FROM dataset_1", amigocloud_conn_id=connect(password=seed.READ_PROJECT_TOKEN))
    assert sandbox.counters.total() == 1


# -- operators as Airflow sees them


@pytest.mark.parametrize("operator", [AmigoCloudExportOperator, AmigoCloudSqlOperator])
def test_templated_fields_are_arguments(operator):
    import inspect

    assert set(operator.template_fields) <= set(inspect.signature(operator.__init__).parameters)


def test_making_an_operator_reads_and_checks_nothing(sandbox):
    AmigoCloudExportOperator(task_id="x", output_path="", sql="{{ no }}", amigocloud_conn_id="none")
    assert sandbox.counters.total() == 0
