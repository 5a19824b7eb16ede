"""Bad days of a query: nothing was sent, nothing is left, and no value is in an error or a log line."""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pytest

from airflow_provider.core.redaction import encodings
from airflow_provider.core.sql.query import Query
from airflow_provider.core.sql.rows import SqlRows, read_query
from airflow_provider.errors import DatabaseError, InputError, ProviderError, VerificationError
from airflow_provider.iotstudio.operators import IoTStudioSyncThingsOperator
from airflow_provider.leanix.operators import LeanIXStartRunOperator
from airflow_provider.mapsindoors.operators import (
    MapsIndoorsSyncCategoriesOperator,
    MapsIndoorsSyncGeodataOperator,
    MapsIndoorsUpdateGeodataOperator,
)
from airflow_provider.mapsindoors.sync import verify
from airflow_provider.sandbox.server import Sandbox
from tests.support import read_query as script
from tests.support.postgres import PASSWORD, Database
from tests.support.sql_sources import DRIVERS, DuckDBHook, connect_file, register_hook, use_driver
from tests.support.wait import until
from tests.unit.iotstudio.conftest import THING

LOG = logging.getLogger(__name__)
ROUNDS = int(os.environ.get("CRASH_ROUNDS", "1"))
SEED = os.environ.get("CRASH_SEED", "1")
ROOT = Path(__file__).resolve().parents[4]
SLOW = "SELECT n, pg_sleep(0.001)::text AS slept FROM generate_series(1, 1000000) n"
"""A query that takes a quarter of an hour."""


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    use_driver(monkeypatch, request.param)
    return str(request.param)


def read(sql: str, parameters: Any = None) -> int:
    with read_query(Query(sql, "warehouse", parameters), LOG) as rows:
        return rows.count


def running(database: Database) -> int:
    """Return how many queries of the role ``loader`` the server runs."""
    ((count,),) = database.query("SELECT count(*) FROM pg_stat_activity WHERE usename = 'loader'")
    return int(count)


def test_a_restart_in_the_middle_is_a_failure_that_can_be_retried(database: Database, driver: str) -> None:
    raised: list[BaseException] = []

    def run() -> None:
        with pytest.raises(DatabaseError) as caught:
            read(SLOW)
        raised.append(caught.value)

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: running(database) == 1, 60)
    database.restart()
    thread.join(60)
    assert "connection 'warehouse' failed while its rows were read: " in str(raised[0])
    assert str(raised[0]).endswith("; nothing was sent")
    assert read("SELECT 1 AS a") == 1


CANARY = "S-CANARY 8675309"
QUERIES = {
    "SELECT s::int FROM t": None,
    "SELECT n / (n - 8675309) FROM t": None,
    "SELECT (s || n)::timestamptz FROM t": None,
    "SELECT * FROM t WHERE n = %s::text::int": [CANARY],
    "SELECT n::int4 * 1000000 FROM t": None,
    "SELECT fail(s) FROM t": None,
    "SELECT %(s)s FROM nowhere": {"s": CANARY},
    "SELECT * FROM t WHERE s = %s AND": [CANARY],
    "SELECT s::jsonb FROM t": None,
    "SELECT %s": [],
    "SELECT %s, %s": [CANARY],
    "SELECT 'a' || chr(10) || s || chr(34) || s FROM t WHERE (chr(10) || s)::int = 1": None,
    "SELECT (s || chr(10) || s)::int FROM t": None,
    "SELECT ('ab' || chr(34) || s || chr(34) || 'cd')::int FROM t": None,
    "SELECT ('s' || chr(34) || ' ' || s || ' ' || chr(34) || 's')::int FROM t": None,
    "SELECT plain(s) FROM t": None,
    "SELECT (s || ' ! ( x')::tsquery FROM t": None,
    "SELECT s::regclass FROM t": None,
}


@pytest.mark.parametrize("sql", QUERIES)
def test_no_value_and_no_parameter_is_in_an_error(
    database: Database, driver: str, capfd: pytest.CaptureFixture[str], sql: str, caplog: Any
) -> None:
    database.query("CREATE TABLE t (s text, n int)")
    database.query(f"INSERT INTO t VALUES ('{CANARY}', 8675309)")
    database.query(
        "CREATE FUNCTION fail(s text) RETURNS int LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'no room for \"%\"', s USING DETAIL = s, HINT = s; END $$"
    )
    database.query(
        "CREATE FUNCTION plain(s text) RETURNS int LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'no room for %', s; END $$"
    )
    database.query("GRANT ALL ON t TO loader")
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ProviderError) as caught:
        read(sql, QUERIES[sql])
    texts = [str(caught.value), repr(caught.value), caplog.text, *capfd.readouterr()]
    assert not [text for text in texts if "CANARY" in text or "8675309" in text.replace(sql, "")]
    assert isinstance(caught.value, (InputError, DatabaseError))
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("value", ["O'Brien CANARY", 'a" CANARY', "CANARY' b"])
def test_no_value_is_in_an_error_of_duckdb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    register_hook(monkeypatch, DuckDBHook)
    connect_file(monkeypatch, "duckdb", tmp_path / "w.duckdb")
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT ? AS v", [value])
    with pytest.raises(ProviderError, match="Could not convert") as caught:
        read("SELECT CAST(v AS INT) FROM t")
    assert "CANARY" not in str(caught.value)


def test_values_of_a_query_are_in_no_error_of_reading_them(database: Database, driver: str) -> None:
    operator = LeanIXStartRunOperator(
        task_id="t",
        connector_type="a",
        connector_id="b",
        connector_version="1",
        processing_direction="inbound",
        sql="SELECT 'A' AS type, '1' AS id, ARRAY['1987-06-05 04:03'::timestamp] AS born",
        sql_conn_id="warehouse",
    )
    with pytest.raises(InputError, match="without a time zone") as caught:
        operator.execute({})
    assert "1987" not in str(caught.value)


def test_no_password_is_in_an_error_or_a_log_line(
    database: Database, driver: str, capfd: pytest.CaptureFixture[str], caplog: Any, monkeypatch: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    texts = []
    for changes in ({"port": 1}, {"login": PASSWORD}, {"schema": PASSWORD}, {"password": f"wrong{PASSWORD}"}):
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", database.airflow_connection(**changes))
        with pytest.raises(DatabaseError) as caught:
            read("SELECT 1")
        texts += [str(caught.value), repr(caught.value)]
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", database.airflow_connection())
    with pytest.raises(InputError) as refused:
        read(f"SELECT '{PASSWORD.replace(chr(39), chr(39) * 2).replace('%', '%%')}' FROM nowhere")
    texts += [str(refused.value), caplog.text, *capfd.readouterr()]
    assert not [(secret, text) for secret in encodings(PASSWORD) for text in texts if secret in text]


def test_values_of_rows_are_in_no_error_of_the_rows(
    sandbox: Sandbox, database: Database, driver: str
) -> None:
    sql = f"""SELECT '{"a" * 24}' AS id, '{CANARY}' AS capacity, '{CANARY}' AS status, '{CANARY}' AS geometry,
        '{CANARY}' AS activefrom, '{{"a": "{CANARY}"}}' AS categories, '{CANARY}' AS basetype"""
    with pytest.raises(InputError) as caught:
        MapsIndoorsUpdateGeodataOperator(task_id="t", sql=sql, sql_conn_id="warehouse").execute({})
    assert len(caught.value.problems) == 6
    assert "capacity must be a whole number, not a text of 16 characters" in str(caught.value)
    assert not [problem for problem in caught.value.problems if "CANARY" in problem or "8675309" in problem]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (f"'{CANARY}' AS displaytype", "there is no display type a text of 16 characters"),
        (f"'{CANARY}' AS categories", "there is no category a text of 16 characters"),
        (
            "'2031-07-02' AS activefrom, '2031-07-01' AS activeto",
            "activeto is not after activefrom, so the object would never be shown",
        ),
    ],
)
def test_names_and_dates_of_rows_are_in_no_error_of_the_rows(
    sandbox: Sandbox, database: Database, driver: str, columns: str, words: str
) -> None:
    sql = f"SELECT 'A-0-01' AS externalid, {columns}"
    with pytest.raises(InputError) as caught:
        MapsIndoorsSyncGeodataOperator(task_id="t", sql=sql, sql_conn_id="warehouse").execute({})
    assert f"row 1 (A-0-01): {words}" in str(caught.value)
    assert not [text for text in (CANARY, "2031-07") if text in str(caught.value)]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (f"'{CANARY}' AS model_version", "model_version must be a whole number of at least 1, not a text of"),
        (f"'{CANARY}' AS categories", "there is no category a text of"),
        ("'M@1' AS model, 8675309 AS model_version", "model_version"),
        ("' ; ' AS categories", "categories is a text of 3 characters, which names none"),
    ],
)
def test_values_of_things_are_in_no_error_of_the_rows(
    sandbox: Sandbox, database: Database, driver: str, columns: str, words: str
) -> None:
    sql = f"SELECT '{THING}' AS uid, {columns}"
    with pytest.raises(InputError) as caught:
        IoTStudioSyncThingsOperator(task_id="t", sql=sql, sql_conn_id="warehouse").execute({})
    assert words in str(caught.value)
    assert not [text for text in (CANARY, "8675309", "' ; '") if text in str(caught.value)]


def test_values_of_rows_are_in_no_error_of_the_verification(
    sandbox: Sandbox, database: Database, driver: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr(verify, "wait", sandbox.clock.advance)
    sandbox.mapsindoors.stale_seconds = 600.0
    sql = f"SELECT 'WORK' AS key, '{CANARY}' AS \"name@en\""
    with pytest.raises(VerificationError) as caught:
        MapsIndoorsSyncCategoriesOperator(task_id="t", sql=sql, sql_conn_id="warehouse").execute({})
    assert "name.en is a text of" in str(caught.value)
    assert CANARY not in str(caught.value)


Start = Callable[..., int]


@pytest.fixture(scope="module")
def forker() -> Iterator[Callable[[str], str]]:
    """Run the fork server; return a function that sends it a line and reads a line."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, str(script.__file__)], stdin=pipe, stdout=pipe, text=True, env=environment, cwd=ROOT
    ) as process:
        assert process.stdin
        assert process.stdout
        while process.stdout.readline().strip() != "ready":
            assert process.poll() is None

        def ask(line: str) -> str:
            assert process.stdin
            assert process.stdout
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            return process.stdout.readline()

        yield ask
        process.stdin.close()


@pytest.fixture
def start(forker: Callable[[str], str], driver: str, database: Database, tmp_path: Path) -> Start:
    """Return a function that starts a process that reads a query, and returns its id."""
    (tmp_path / "folder").mkdir()

    def start(sql: str, **more: Any) -> int:
        given = {
            "sql": sql,
            "driver": driver,
            "connection": database.airflow_connection(),
            "folder": str(tmp_path / "folder"),
            "result": str(tmp_path / "result"),
        }
        return int(forker(json.dumps({**given, **more})))

    return start


def result_in(folder: Path) -> dict[str, Any]:
    until((folder / "result").exists, 60)
    return dict(json.loads((folder / "result").read_text()))


ENDLESS = "SELECT generate_series(1, 100000000) AS n, repeat('x', 100) AS text"


@pytest.mark.slow
def test_a_killed_reader_leaves_nothing(database: Database, start: Start, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    for _ in range(ROUNDS):
        enough = chance.randrange(3_000_000)
        pid = start(ENDLESS)
        until(lambda pid=pid, enough=enough: running(database) == 1 and spooled(pid) >= enough, 60)
        os.kill(pid, signal.SIGKILL)
        until(lambda: running(database) == 0, 60)
        assert not list((tmp_path / "folder").iterdir())


def spooled(pid: int) -> int:
    """Return the bytes of a process's largest file without a name."""
    sizes = [0]
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # The process closes files, too.
            target = os.readlink(fd)
            if target.endswith("(deleted)") and "/dev/" not in target:
                sizes.append(fd.stat().st_size)
    return max(sizes)


@pytest.mark.slow
def test_a_full_disk_is_named_and_ends_the_query(database: Database, start: Start, tmp_path: Path) -> None:
    start(ENDLESS, file_bytes=2_000_000)
    found = result_in(tmp_path)
    assert found["kind"] == "ProviderError"
    assert found["error"].startswith(f"the local disk is full, in {tmp_path / 'folder'}, after ")
    assert "nothing was sent" in found["error"]
    assert not list((tmp_path / "folder").iterdir())
    until(lambda: running(database) == 0, 60)


@pytest.mark.nightly
@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(start: Start, tmp_path: Path) -> None:
    start("SELECT n, repeat('x', 500) AS text, now() AS at FROM generate_series(1, 200000) n")
    found = result_in(tmp_path)
    assert found["rows"] == 200_000
    assert found["mb"] < 50


def test_rows_on_disk_are_read_by_several_at_a_time() -> None:
    rows = SqlRows(["a"])
    rows.add([n, "x" * n] for n in range(2000))
    assert [sum(a[0] for a, b in zip(rows, rows, strict=True) if a == b) for _ in range(2)] == [1999000] * 2
    rows.close()
    rows.close()


def test_a_missing_extra_is_named(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "airflow.providers.common.sql.hooks.sql", None)
    with pytest.raises(InputError, match="install the extra 'sql'"):
        read("SELECT 1")


def test_a_missing_driver_is_named(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    def without_driver(_: Any) -> None:
        raise ModuleNotFoundError("No module named 'psycopg'", name="psycopg")

    monkeypatch.setattr(PostgresHook, "get_conn", without_driver)
    with pytest.raises(InputError, match="connection 'warehouse': needs the Python package psycopg, which"):
        read("SELECT 1")


def test_operators_load_no_driver_before_they_run() -> None:
    code = """
import sys
from airflow.sdk import DAG, BaseOperator
with DAG("empty", schedule=None):
    BaseOperator(task_id="t")
before = {*sys.modules}  # Airflow 3.1 itself loads a driver.
from airflow_provider.iotstudio.operators import IoTStudioWritePropertiesOperator
from airflow_provider.leanix.operators import LeanIXRunOperator
from airflow_provider.leanix.operators import LeanIXStartRunOperator
from airflow_provider.mapsindoors.operators import MapsIndoorsSyncGeodataOperator
with DAG("d", schedule=None):
    for kind in (IoTStudioWritePropertiesOperator, LeanIXRunOperator, MapsIndoorsSyncGeodataOperator):
        kind(task_id=kind.__name__, sql="SELECT 1", sql_conn_id="warehouse", parameters=[1])
drivers = ("psycopg", "psycopg2", "duckdb", "MySQLdb", "airflow.providers.common.sql.hooks.sql")
print([name for name in drivers if name in sys.modules.keys() - before])
print("airflow_provider.core.sql.rows" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["[]", "False"]


def test_lineage_has_the_query_without_parameters(
    database: Database, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        from airflow.providers.common.sql.hooks import lineage
    except ImportError:
        pytest.skip("this version of the common SQL provider reports no lineage")
    from airflow.lineage.hook import HookLineageCollector

    collector = HookLineageCollector()
    if not hasattr(collector, "add_extra"):
        pytest.skip("this version of Airflow collects assets only")
    monkeypatch.setattr(lineage, "get_hook_lineage_collector", lambda: collector)
    assert read("SELECT %s::text AS a", [CANARY]) == 1
    (extra,) = collector.collected_assets.extra
    assert extra.value == {"sql": "SELECT %s::text AS a", "row_count": 1}
    assert "CANARY" not in repr(collector.collected_assets)
