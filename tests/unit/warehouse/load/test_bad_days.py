"""Bad days of a load: the table has its old rows or all new ones, and a retry gives the same result."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from airflow_provider.errors import AmbiguousWriteError, InputError, ProviderError, TransportError
from airflow_provider.warehouse.load import execution
from airflow_provider.warehouse.load.databases import postgres
from tests.support.task_runner import TaskRunner
from tests.support.tcp_proxy import CommitProxy

pytestmark = pytest.mark.slow  # bad days do not depend on versions

ROWS = 20_000
ROUNDS = int(os.environ.get("CRASH_ROUNDS", "1"))
SEED = os.environ.get("CRASH_SEED", "1")
MODES = ("replace", "merge", "append")
ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def table(database):
    database.query("CREATE TABLE t (id int PRIMARY KEY, name text); ALTER TABLE t OWNER TO loader")
    return database


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(execution, "RECONNECT_SECONDS", (0.01, 0.05, 0.1))


@pytest.fixture
def source(tmp_path):
    def write(count=ROWS, first=0, name="a"):
        path = tmp_path / f"{name}.parquet"
        ids = pa.array(range(first, first + count))
        parquet.write_table(pa.table({"id": ids, "name": pa.array(["new"] * count)}), path)
        return path

    return write


def old_rows(table):
    """Fill the table with rows whose keys a load replaces, but for those of an append."""
    table.query(f"INSERT INTO t SELECT n, 'old' FROM generate_series({ROWS - 10}, {ROWS + 9}) n")


def counts(table):
    return dict(table.query("SELECT name, count(*)::int FROM t GROUP BY 1"))


BEFORE = {"old": 20}
AFTER = {"replace": {"new": ROWS}, "merge": {"new": ROWS, "old": 10}, "append": {"new": ROWS, "old": 20}}


class Attempts:
    """Attempts in forked processes."""

    def __init__(self, folder: Path) -> None:
        self._result = folder / "result.json"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.killed_load"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "attempts.log").open("w"),
            text=True,
        )
        while self._process.stdout.readline() not in ("ready\n", ""):
            pass

    def run(self, point, **arguments):
        """Run an attempt; return its exit status and its result."""
        self._result.unlink(missing_ok=True)
        line = {"arguments": arguments, "point": point, "result": str(self._result)}
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()
        # The other lines are logs.
        status = next(line for line in self._process.stdout if line.strip().lstrip("-").isdigit())
        return int(status), json.loads(self._result.read_text()) if self._result.exists() else None

    def close(self):
        self._process.stdin.close()
        self._process.wait(30)


@pytest.fixture
def attempts(table, tmp_path):
    found = Attempts(tmp_path)
    yield found
    found.close()


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.nightly
def test_a_task_that_is_killed_leaves_the_old_rows_and_a_retry_gives_the_same_result(table, attempts, source):
    path = source()
    chance = random.Random(SEED)
    for _ in range(ROUNDS):
        for mode in MODES:
            for point in ("copy", "before", "after", *([chance.uniform(0.05, 1.5)] if ROUNDS > 1 else [])):
                table.query("TRUNCATE t; DROP TABLE IF EXISTS _twin_loads")
                old_rows(table)
                if mode == "append":
                    table.query(f"UPDATE t SET id = id + {ROWS}")
                arguments = {"source": str(path), "sql_conn_id": "warehouse", "table": "t", "mode": mode}
                arguments["key"] = ["id"]
                status, _ = attempts.run(point, **arguments)
                if isinstance(point, str):
                    assert status == -9
                    assert counts(table) == (AFTER[mode] if point == "after" else BEFORE)
                status, result = attempts.run(None, **arguments)
                assert counts(table) == AFTER[mode], (mode, point)
                assert result["rows"] == ROWS
                assert result.get("already_loaded", False) in ((mode == "append"), False)
                if mode == "append" and point == "after":
                    assert result["already_loaded"] is True
                assert table.query("SELECT count(*) FROM pg_class WHERE relname = '_twin_stage'") == [(0,)]


@pytest.mark.parametrize("mode", MODES)
def test_a_lost_answer_to_the_commit_is_looked_up_in_the_ledger(
    table, load, source, monkeypatch, mode, driver
):
    with CommitProxy(table.server.port, "answer") as proxy:
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", table.airflow_connection(port=proxy.port))
        result = load(source(10), mode=mode, key=["id"])
        assert proxy.lost == 1
    assert result["inserted"] == 10
    assert counts(table) == {"new": 10}


@pytest.mark.parametrize("mode", MODES)
def test_a_commit_that_did_not_arrive_changes_nothing_and_a_retry_loads(
    table, load, source, monkeypatch, mode, driver
):
    runner = TaskRunner()
    with CommitProxy(table.server.port, "request") as proxy:
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", table.airflow_connection(port=proxy.port))
        with pytest.raises(TransportError, match="the table is as it was, a retry loads again"):
            load(source(10), mode=mode, key=["id"], runner=runner)
        assert counts(table) == {}
        assert load(source(10), mode=mode, key=["id"], runner=runner)["inserted"] == 10
    assert counts(table) == {"new": 10}


def test_a_cleared_load_is_not_taken_for_a_commit_without_an_answer(table, load, source, monkeypatch):
    runner = TaskRunner()
    load(source(10), runner=runner)
    with CommitProxy(table.server.port, "request") as proxy:
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", table.airflow_connection(port=proxy.port))
        with pytest.raises(TransportError):
            load(source(20, name="b"), runner=runner)
    assert counts(table) == {"new": 10}


def test_a_database_that_stays_out_of_reach_is_an_ambiguous_write_and_a_retry_is_safe(
    table, load, source, monkeypatch, driver
):
    runner = TaskRunner()
    with CommitProxy(table.server.port, "answer", then_refuses=True) as proxy:
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", table.airflow_connection(port=proxy.port))
        with pytest.raises(AmbiguousWriteError, match="the commit had no answer.*a retry is safe"):
            load(source(10), mode="append", runner=runner)
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", table.airflow_connection())
    assert load(source(10), mode="append", runner=runner)["already_loaded"] is True
    assert counts(table) == {"new": 10}


@pytest.mark.parametrize("mode", MODES)
def test_a_database_that_restarts_in_the_middle_changes_nothing(
    table, load, source, monkeypatch, mode, driver
):
    path, real = source(), postgres._csv_blocks

    def blocks(*arguments):
        for number, block in enumerate(real(*arguments)):
            if number == 1:
                table.restart()
            yield block

    with monkeypatch.context() as patch:
        patch.setattr(postgres, "_csv_blocks", blocks)
        with pytest.raises(TransportError, match="the database did not answer"):
            load(path, mode=mode, key=["id"])
    assert counts(table) == {}
    assert load(path, mode=mode, key=["id"])["inserted"] == ROWS


def test_mapped_tasks_that_append_into_one_table_wait_for_each_other(table, load, tmp_path, source):
    paths = [source(1000, first=1000 * number, name=str(number)) for number in range(4)]

    def one(number):
        return load(paths[number], mode="append", runner=TaskRunner(task_id=f"load-{number}"))

    with ThreadPoolExecutor(4) as pool:
        assert [result["inserted"] for result in pool.map(one, range(4))] == [1000] * 4
    assert counts(table) == {"new": 4000}


def test_the_same_append_at_the_same_time_is_loaded_once(table, load, source):
    path, start = source(1000), threading.Barrier(4)

    def one(_):
        start.wait()
        return load(path, mode="append")

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(one, range(4)))
    assert sorted("already_loaded" in result for result in results) == [False, True, True, True]
    assert counts(table) == {"new": 1000}


def test_merges_of_the_same_new_keys_at_the_same_time_wait_for_each_other(table, load, source):
    path, start = source(1000), threading.Barrier(3)

    def one(number):
        start.wait()
        return load(path, mode="merge", key=["id"], runner=TaskRunner(task_id=f"load-{number}"))

    with ThreadPoolExecutor(3) as pool:
        assert sorted(result["inserted"] for result in pool.map(one, range(3))) == [0, 0, 1000]


def test_a_reader_sees_the_old_rows_until_the_commit(table, load, source, monkeypatch):
    old_rows(table)
    real, seen = postgres.Postgres.commit, []

    def commit(self):
        seen.append(counts(table))
        real(self)

    monkeypatch.setattr(postgres.Postgres, "commit", commit)
    load(source(), mode="replace")
    assert seen == [BEFORE]
    assert counts(table) == AFTER["replace"]


def test_views_grants_and_triggers_of_the_table_stay(table, load, source):
    table.query("CREATE VIEW v AS SELECT * FROM t; CREATE ROLE reader; GRANT SELECT ON t TO reader")
    try:
        load(source(10))
        assert table.query("SELECT count(*) FROM v") == [(10,)]
        assert table.query("SELECT has_table_privilege('reader', 't', 'SELECT')") == [(True,)]
    finally:
        table.query("DROP OWNED BY reader; DROP ROLE reader")


def test_a_statement_timeout_is_told_and_changes_nothing(table, load, source):
    table.query("ALTER ROLE loader SET statement_timeout = '1ms'")
    try:
        with pytest.raises(ProviderError, match="statement timeout.*57014") as caught:
            load(source())
        assert not isinstance(caught.value, InputError)
    finally:
        table.query("ALTER ROLE loader RESET statement_timeout")
    assert counts(table) == {}


def test_a_file_that_changes_while_it_is_read_is_refused(table, load, source, monkeypatch):
    path = source(10)

    def change(*_):
        parquet.write_table(pa.table({"id": [1]}), path)

    monkeypatch.setattr(execution.Load, "_already", change)
    with pytest.raises(InputError, match="changed while it was read"):
        load(path)
    assert counts(table) == {}
