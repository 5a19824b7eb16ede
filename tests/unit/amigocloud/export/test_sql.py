"""Queries as people write them: with comments, quoted names, and keys of any type."""

from __future__ import annotations

import json
import uuid
from typing import Any
from urllib.parse import urlencode

import pytest

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.operators import AmigoCloudExportOperator, AmigoCloudSqlOperator
from airflow_provider.amigocloud.sensors import AmigoCloudSqlSensor
from airflow_provider.errors import InputError, NotFoundError, RequestRejectedError
from airflow_provider.sandbox.amigocloud import seed
from airflow_provider.sandbox.amigocloud.sql.store import Dataset
from tests.support.task_runner import TaskRunner
from tests.unit.amigocloud.export.test_export import ASSETS, export, lines, truth

pytestmark = pytest.mark.both_engines

NOISY = [
    "-- nightly\n{}",
    "/* a /* nested; */ comment */ {}",
    "\ufeff{};",
    "{} ; -- done",
    "{};\n/* ; */",
    "{} -- DELETE FROM dataset_1",
]
QUICK: dict[str, Any] = {"task_id": "task", "poke_interval": 0.1, "timeout": 5}


@pytest.mark.parametrize("noise", NOISY)
@pytest.mark.parametrize("key", [None, "number"])
def test_a_query_between_comments_is_exported(sandbox, tmp_path, noise, key):
    sql = noise.format(f"SELECT number FROM dataset_{seed.ASSETS} ORDER BY number")
    manifest = export(tmp_path / "a.jsonl", sql=sql, key=key)
    assert [row["number"] for row in lines(tmp_path / "a.jsonl")] == list(range(3000))
    assert manifest["state"] == sandbox.amigocloud.store.master(seed.ASSETS)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT number FROM DATASET_2001",
        'SELECT number FROM "dataset_2001"',
        "SELECT number, 'dataset_2002' AS t FROM dataset_2001 -- JOIN dataset_1",
        "WITH dataset_1 AS (SELECT number FROM dataset_2001) SELECT * FROM dataset_1",
        "TABLE dataset_2001",
    ],
)
def test_a_query_of_one_dataset_keeps_its_state_in_any_spelling(sandbox, tmp_path, sql):
    service = sandbox.amigocloud
    service.before_page = lambda page: service.store.write(
        f"DELETE FROM dataset_{seed.ASSETS} WHERE number < {page * 100}"
    )
    manifest = export(tmp_path / "a.jsonl", sql=sql, key="number")
    assert manifest["rows"] == len(truth(sandbox, ASSETS, manifest["state"])) > 2700
    assert manifest["state"] != service.store.master(seed.ASSETS)


_REPORTS = {"SHOW": "UTC", "EXPL": "Seq Scan"}
"""What the embedded engine says, which has neither settings nor such plans."""


@pytest.mark.parametrize(
    ("sql", "row"),
    [
        ("VALUES (1, 'a')", {"column1": 1, "column2": "a"}),
        ("SHOW timezone", {"TimeZone": "UTC"}),
        ("EXPLAIN (COSTS off) SELECT * FROM dataset_1", {"QUERY PLAN": "Seq Scan on dataset_1"}),
        ("EXPLAIN (COSTS off) SELECT 1", {"QUERY PLAN": "Result"}),
        ("SELECT E'it\\'s' AS a", {"a": "it's"}),
        ("SELECT $$it's; --$$ AS a", {"a": "it's; --"}),
        ('WITH "insert" AS (SELECT 1 AS "update") SELECT * FROM "insert"', {"update": 1}),
    ],
)
def test_what_reads_is_a_query_everywhere(sandbox, tmp_path, sql, row):
    if sql.startswith(("SHOW", "EXPLAIN")) and sandbox.amigocloud.store.engine == "embedded":
        row = {"timezone" if sql.startswith("SHOW") else name: _REPORTS[sql[:4]] for name in row}
    export(tmp_path / "a.jsonl", sql=sql)
    assert lines(tmp_path / "a.jsonl") == [row]
    with AmigoCloudHook() as hook:
        assert hook.get_records(f"-- x\n{sql};") == [row]
        assert hook.get_first(sql) == row
        assert list(hook.get_cursor("sql", {"query": f"{sql} -- x"})) == [row]
        assert list(hook.get_cursor("sql?" + urlencode({"query": f"{sql} -- x", "limit": 5}))) == [row]
        assert hook.get("sql", {"query": f"-- x\n{sql};"})["data"] == [row]
    sensor = AmigoCloudSqlSensor(sql=f"/* ; */ {sql}", deferrable=False, **QUICK)
    assert TaskRunner().run(sensor) == {"value": next(iter(row.values()))}


@pytest.mark.parametrize("sql", ["EXPLAIN SELECT 1", "SHOW server_version"])
def test_a_report_has_no_key(sandbox, tmp_path, sql):
    with pytest.raises(InputError, match="cannot be read by 'key'"):
        export(tmp_path / "a.jsonl", sql=sql, key="x")
    assert sandbox.counters.total() == 0


WRITES = [
    "-- look\nDELETE FROM dataset_1",
    "WITH a AS (SELECT 'x' AS n) INSERT INTO dataset_1 (name) SELECT n FROM a RETURNING name",
    "WITH gone AS (DELETE FROM dataset_1 RETURNING *) SELECT count(*) FROM gone",
    "/* SELECT */ UPDATE dataset_1 SET value = 1",
    "EXPLAIN ANALYZE DELETE FROM dataset_1",
    "DELETE FROM dataset_1 WHERE name IN (" + ", ".join(f"'{n:040}'" for n in range(200)) + ")",
]


@pytest.mark.parametrize("sql", WRITES, ids=range(len(WRITES)))
def test_what_writes_is_never_sent_as_a_query(sandbox, tmp_path, sql):
    with AmigoCloudHook() as hook:
        uses = [
            lambda: export(tmp_path / "a.jsonl", sql=sql),
            lambda: hook.get_records(sql),
            lambda: hook.get_first(sql),
            lambda: hook.get_df(sql),
            lambda: hook.get_cursor("sql", {"query": sql}),
            lambda: hook.get_cursor("/projects/1234/sql/", [("limit", 1), ("query", sql)]),
            lambda: hook.get_cursor("sql?limit=1", {"query": sql}),
            lambda: hook.get_cursor("sql?" + urlencode({"query": sql})),
            lambda: export(tmp_path / "a.jsonl", url="sql?" + urlencode({"query": sql})),
            lambda: hook.get("sql", {"query": sql}),
            lambda: hook.get("sql/?" + urlencode({"query": sql, "limit": 1}), raw=True),
        ]
        uses += [
            lambda deferrable=deferrable: TaskRunner().run(
                AmigoCloudSqlSensor(sql=sql, deferrable=deferrable, **QUICK)
            )
            for deferrable in (True, False)
        ]
        for use in uses:
            with pytest.raises(InputError, match="must be a query, but the statement writes"):
                use()
    assert sandbox.counters.total() == 0


@pytest.mark.parametrize(
    "sql",
    [
        "-- look\nSELECT 1",
        "/* x */ SELECT 1",
        "(SELECT 1)",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "TABLE x",
        "\ufeffVALUES (1)",
        "SHOW x",
        "EXPLAIN DELETE FROM dataset_1",
        "-- DELETE FROM dataset_1",
        "",
        ";",
        "DELETE FROM dataset_1; SELECT 1",
        "DELETE FROM dataset_1 WHERE name = 'x",
    ],
)
def test_what_does_not_write_is_never_sent_as_a_write(sandbox, sql):
    with AmigoCloudHook() as hook, pytest.raises(InputError):
        hook.run(sql)
    with pytest.raises(InputError):
        TaskRunner().run(AmigoCloudSqlOperator(task_id="task", sql=sql))
    assert sandbox.counters.total() == 0


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("-- tidy; up\nDELETE FROM dataset_1 WHERE value < 2;", 2),
        ("WITH a AS (SELECT 'x' AS n) INSERT INTO dataset_1 (name) SELECT n FROM a RETURNING name", 1),
        ("/* a /* b */ */ UPDATE dataset_1 SET name = E'it\\'s' WHERE value < 3 -- all", 2),
        ("INSERT INTO dataset_1 (name) VALUES ($$; -- 'x'$$), ('SELECT')", 2),
    ],
)
def test_a_statement_between_comments_runs_once(sandbox, sql, rows):
    assert TaskRunner().run(AmigoCloudSqlOperator(task_id="task", sql=sql)) == {"rows": rows}
    assert sandbox.counters.total() == 1
    with AmigoCloudHook() as hook:
        assert hook.run("UPDATE dataset_1 SET value = 0 WHERE name = 'Curie'; -- done") == 1


# -- columns


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("key", [None, "id"])
def test_two_columns_of_one_name_are_refused(tmp_path, ending, key):
    sql = "SELECT d.amigo_id AS id, d.name, d.value AS name, 1 AS x, 2 AS x FROM dataset_1 d"
    with pytest.raises(InputError) as caught:
        export(tmp_path / f"a.{ending}", sql=sql, key=key)
    assert "2 columns of the result are named 'name'" in str(caught.value)
    assert "2 columns of the result are named 'x'" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_two_columns_of_one_name_are_refused_in_memory_and_by_sensors():
    sql = "SELECT 1 AS a, 2 AS a"
    with AmigoCloudHook() as hook:
        for use in (hook.get_records, hook.get_first, hook.get_df):
            with pytest.raises(InputError, match="named 'a'"):
                use(sql)
        with pytest.raises(InputError, match="named 'a'"):
            list(hook.get_cursor("sql", {"query": sql}))
    for deferrable in (True, False):
        with pytest.raises(InputError, match="named 'a'"):
            TaskRunner().run(AmigoCloudSqlSensor(sql=sql, deferrable=deferrable, **QUICK))


NAN = '{"count": 2, "next": null, "columns": [{"name": "a"}, {"name": "Up"}], "data": [%s]}'


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_nan_in_a_reply_is_named_at_once(sandbox, tmp_path, ending):
    body = NAN % '{"a": 1, "Up": NaN}, {"a": -Infinity, "Up": NaN}'
    sandbox.faults.add("status", status=200, body=body, times=None, path="/sql")
    with pytest.raises(InputError) as caught:
        export(tmp_path / f"a.{ending}", sql="SELECT a FROM x")
    assert caught.value.problems == [
        "column 'Up' holds NaN (row 1 of the page and 1 more), which JSON has no number for; select"
        ' NULLIF("Up", \'NaN\') AS "Up"',
        "column 'a' holds -Infinity (row 2 of the page), which JSON has no number for; select"
        " NULLIF(a, '-Infinity') AS a",
    ]
    assert sandbox.counters.total() == 1
    assert list(tmp_path.iterdir()) == []


def test_nan_in_a_reply_is_named_by_the_hook_and_by_sensors(sandbox):
    sandbox.faults.add("status", status=200, body=NAN % '{"a": NaN}', times=None)
    with AmigoCloudHook() as hook:
        for use in (
            lambda: hook.get_records("SELECT 1"),
            lambda: list(hook.get_cursor("sql", {"query": "SELECT 1"})),
            lambda: hook.get("/me"),
            lambda: TaskRunner().run(AmigoCloudSqlSensor(sql="SELECT 1", deferrable=True, **QUICK)),
            lambda: TaskRunner().run(AmigoCloudSqlSensor(sql="SELECT 1", deferrable=False, **QUICK)),
        ):
            sandbox.counters.clear()
            with pytest.raises(InputError, match=r"'(data.0.)?a' holds NaN.*NULLIF"):
                use()
            assert sandbox.counters.total() == 1


def test_a_broken_reply_with_nan_in_a_text_is_still_retried(sandbox, tmp_path):
    fault = sandbox.faults.add("status", status=200, body='{"data": [{"a": "NaN"', times=2, path="/sql")
    assert export(tmp_path / "a.jsonl", sql=ASSETS)["rows"] == 3000
    assert fault.hits == 2


# -- saved queries


def saved(sandbox: Any, sql: str, number: int = 91) -> int:
    sandbox.amigocloud.queries[number] = {"id": number, "name": "q", "query": sql, "project": seed.PROJECT}
    return number


def test_a_saved_query_is_exported(sandbox, tmp_path):
    manifest = export(tmp_path / "a.jsonl", saved_query=seed.QUERY)
    assert manifest["rows"] == len(lines(tmp_path / "a.jsonl")) == 7
    assert manifest["state"] == sandbox.amigocloud.store.master(seed.ASSETS)
    number = saved(sandbox, f"-- all of them\n{ASSETS};")
    assert export(tmp_path / "b.jsonl", saved_query=str(number), key="amigo_id")["rows"] == 3000


@pytest.mark.parametrize("sql", ["DELETE FROM dataset_1", "", "-- x", "SELECT 1; SELECT 2"])
def test_a_saved_query_that_is_none_is_refused(sandbox, tmp_path, sql):
    number = saved(sandbox, sql)
    with pytest.raises(InputError, match="saved query 91: must be a query"):
        export(tmp_path / "a.jsonl", saved_query=number)
    for deferrable in (True, False):
        with pytest.raises(InputError, match="must be a query"):
            TaskRunner().run(AmigoCloudSqlSensor(saved_query=number, deferrable=deferrable, **QUICK))
    assert sandbox.counters.total("/sql") == 0


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_saved_query_is_waited_for_as_it_is_saved(sandbox, deferrable):
    number = saved(sandbox, "SELECT count(*) AS n FROM dataset_1 WHERE value > 100")
    service = sandbox.amigocloud
    service.jobs.start("later", lambda: saved(sandbox, "SELECT 5 AS n") and {}, 0.3)
    sensor = AmigoCloudSqlSensor(saved_query=number, deferrable=deferrable, **QUICK)
    assert TaskRunner().run(sensor) == {"value": 5}


def test_a_saved_query_that_does_not_exist_ends_the_wait(tmp_path):
    with pytest.raises(NotFoundError):
        export(tmp_path / "a.jsonl", saved_query=5)
    for deferrable in (True, False):
        with pytest.raises(NotFoundError):
            TaskRunner().run(AmigoCloudSqlSensor(saved_query=5, deferrable=deferrable, **QUICK))


def test_a_saved_query_needs_a_project(sandbox, connect):
    conn_id = connect(extra={"project_url": None})
    sensor = AmigoCloudSqlSensor(saved_query=77, deferrable=False, amigocloud_conn_id=conn_id, **QUICK)
    with pytest.raises(InputError, match="project_url"):
        TaskRunner().run(sensor)
    assert sandbox.counters.total() == 0


# -- keys


def keyed(sandbox: Any, kind: str, values: list[Any]) -> str:
    """Add a dataset with a column of this type; return a query of it."""
    store = sandbox.amigocloud.store
    columns = [{"name": "k", "type": kind}, {"name": "n", "type": "integer"}]
    number = max(store.datasets) + 1
    store.add(
        Dataset(number, seed.PROJECT, kind, columns), [{"k": value, "n": n} for n, value in enumerate(values)]
    )
    return f"SELECT k, n FROM dataset_{number}"


UUIDS = [str(uuid.UUID(int=n * 0x1234_5678_9ABC_DEF0_1357_9BDF_0246 % 2**128)) for n in range(1, 900)]
KEYS = {
    "uuid": ("uuid", UUIDS),
    "uuid as text": ("string", UUIDS),
    "numeric": ("number", [n / 100 for n in range(-300, 300)]),
    "integer": ("bigint", [2**53 + n for n in range(500)]),
    "timestamp": (
        "datetime",
        [f"2025-01-{d:02} 0{h}:00:00.25+00:00" for d in range(1, 29) for h in range(9)],
    ),
    "date": ("date", [f"20{y:02}-01-{d:02}" for y in range(20) for d in range(10, 25)]),
    "text": ("string", [f"{a}{b}é'" for a in "aAzZ09-_" for b in range(40)]),
}


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize(("kind", "values"), KEYS.values(), ids=KEYS)
def test_keys_of_any_exact_type_are_read_over_many_pages(sandbox, tmp_path, kind, values, concurrency):
    sql = keyed(sandbox, kind, values)
    arguments = {"key": "k", "page_size": 37, "concurrency": concurrency}
    manifest = export(tmp_path / "a.jsonl", sql=sql, **arguments)
    assert manifest["rows"] == len(values)
    assert sorted(row["n"] for row in lines(tmp_path / "a.jsonl")) == list(range(len(values)))


def test_keys_that_are_booleans_are_read(sandbox, tmp_path):
    sql = keyed(sandbox, "boolean", [True, False])
    export(tmp_path / "a.jsonl", sql=sql, key="k", page_size=1)
    assert [row["k"] for row in lines(tmp_path / "a.jsonl")] == [False, True]


def test_uuids_are_read_in_several_ranges_at_once(sandbox, tmp_path):
    sandbox.faults.add("delay", seconds=0.02, times=None, path="/sql")
    sql = keyed(sandbox, "uuid", UUIDS)
    export(tmp_path / "a.jsonl", sql=sql, key="k", page_size=50, concurrency=4)
    assert sandbox.counters.peak_in_flight == 4
    assert [row["k"] for row in lines(tmp_path / "a.jsonl")] == sorted(UUIDS)


@pytest.mark.parametrize(
    ("sql", "key", "said"),
    [
        ("SELECT name, value FROM dataset_1", "value", "is of type float, which is no key: two floats"),
        (f"SELECT price FROM dataset_{seed.ASSETS}", "price", "is of type float, which is no key"),
        (ASSETS, "wkb_geometry", "is of type geometry, which is no key: its values have no order"),
    ],
)
def test_a_type_that_is_no_key_is_refused_with_the_reason(tmp_path, sql, key, said):
    with pytest.raises(InputError, match=said):
        export(tmp_path / "a.jsonl", sql=sql, key=key)
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_comes_back_rounded_is_refused_with_the_reason(sandbox, tmp_path):
    first = json.dumps(
        {
            "count": 3,
            "next": None,
            "limit": 1,
            "columns": [{"name": "k", "type": "number"}],
            "data": [{"k": 0.3333}],
        }
    )
    sandbox.faults.add("status", status=200, body=first, times=None, path="/sql")
    with pytest.raises(InputError, match="'k' is rounded in the service's replies"):
        export(tmp_path / "a.jsonl", sql="SELECT k FROM x", key="k", concurrency=1, page_size=1)


def test_bad_sql_keeps_the_services_own_words(tmp_path):
    with pytest.raises(RequestRejectedError, match=r"sql_error: .*column:? \"?nope"):
        export(tmp_path / "a.jsonl", sql="SELECT nope -- x")


def test_comments_do_not_start_an_export_over(sandbox, tmp_path):
    from airflow_provider.amigocloud.export.request import read_request

    tasks = [
        AmigoCloudExportOperator(task_id="x", output_path=str(tmp_path / "a.jsonl"), sql=sql)
        for sql in ("SELECT 1", "-- run of today\nSELECT 1;", "\ufeffSELECT 1 /* x */")
    ]
    assert len({read_request(task).statement.text for task in tasks}) == 1
