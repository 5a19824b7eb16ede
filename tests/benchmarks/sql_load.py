"""Loads of a Parquet file into PostgreSQL, beside a bare COPY of the same rows, in one run.

Run: ``python -m tests.benchmarks.sql_load [rows] [--rounds 3]``. The rows have ten columns, one of them a
point in PostGIS. Each load runs in a process of its own, in turns: a bare COPY into the table (Arrow's CSV,
no check, one commit), ``append`` and ``replace`` into the empty table, ``replace`` of all rows, and ``merge``
of all rows with one in a hundred changed. The rows that a merge wrote are counted by their transaction.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROWS = 1_000_000
_COLUMNS = (
    "id bigint PRIMARY KEY, code text, name text, power float8, price numeric(12,2), active boolean,"
    " at timestamptz, day date, doc jsonb, geom geometry(Point,4326)"
)


def write_source(path: Path, rows: int, *, changed: int = 0) -> None:
    """Write the rows.

    :param changed: every so many rows have another name; 0 for none.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    import shapely

    start, block = datetime(2024, 1, 1, tzinfo=UTC), 50_000
    schema = None
    writer: Any = None
    for first in range(0, rows, block):
        ids = range(first, min(first + block, rows))
        points = shapely.points([(n % 360 - 180, n % 180 - 90) for n in ids])
        hexes = shapely.to_wkb(shapely.set_srid(points, 4326), hex=True, include_srid=True)
        table = pa.table(
            {
                "id": pa.array(ids, pa.int64()),
                "code": [f"{n:032x}" for n in ids],
                "name": [f"{_word(n, changed)} {n % 977}, Hall" for n in ids],
                "power": [n / 7 for n in ids],
                "price": pa.array([n * 100 for n in ids]).cast(pa.decimal128(19)).cast(pa.decimal128(21, 2)),
                "active": [n % 3 == 0 for n in ids],
                "at": pa.array([start + timedelta(seconds=n) for n in ids], pa.timestamp("us", "UTC")),
                "day": [(start + timedelta(days=n % 1000)).date() for n in ids],
                "doc": [f'{{"floor": {n % 9}, "tags": ["a", "b"]}}' for n in ids],
                "geom": pa.array(hexes.tolist()),
            },
            schema=schema,
        )
        schema = table.schema
        writer = writer or pq.ParquetWriter(path, schema)
        writer.write_table(table, row_group_size=block)
    writer.close()


def _word(number: int, changed: int) -> str:
    return "changed" if changed and not number % changed else "Pump"


def bare_copy(path: str, access: dict[str, Any]) -> dict[str, Any]:
    """Copy the rows into the table without any check."""
    import psycopg
    import pyarrow.parquet as pq
    from pyarrow import csv

    options = csv.WriteOptions(include_header=False, quoting_style="needed")
    with psycopg.connect(**access) as connection, connection.cursor() as cursor:
        cursor.execute("SET TimeZone = 'UTC'")
        with cursor.copy("COPY t FROM STDIN (FORMAT csv)") as copy:
            for batch in pq.ParquetFile(path, pre_buffer=False).iter_batches(16_384, use_threads=False):
                batch = batch.set_column(4, "price", batch.column("price").cast("string"))
                out = io.BytesIO()
                csv.write_csv(batch, out, options)
                copy.write(out.getvalue())
    return {}


def load(path: str, access: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    """Load the rows with the operator."""
    from airflow_provider.warehouse.operators import SqlLoadOperator

    task = {"task_id": "load", "sql_conn_id": "warehouse", "table": "t", "key": ["id"], "source": path}
    result: dict[str, Any] = SqlLoadOperator(**{**task, **arguments}).execute({})
    return result


def measured(run: Callable[[], dict[str, Any]], server: int) -> dict[str, Any]:
    """Run in a forked process; return its result, and what it took.

    That is ``seconds``, ``cpu`` (seconds of its own and of the server's), and ``mb``, its peak memory above
    the start. On a busy machine seconds of CPU say more.

    :param server: id of the server's first process.
    """
    import psutil

    from tests.benchmarks.measured_process import memory

    def ended() -> float:
        times = psutil.Process(server).cpu_times()
        return float(times.children_user + times.children_system)

    before_server = ended()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        Path("/proc/self/clear_refs").write_text("5")
        before, began, cpu = memory("VmRSS"), time.perf_counter(), time.process_time()
        result = run()
        spent = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
        os.write(write, json.dumps({**result, **spent, "mb": memory("VmHWM") - before}).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    time.sleep(1)  # The server's process for the connection ends.
    found: dict[str, Any] = json.loads(text)
    found["cpu"] += ended() - before_server
    return found


@contextmanager
def prepared(folder: Path) -> Iterator[Any]:
    """Serve a database with the table, and yield it."""
    os.environ["AIRFLOW_HOME"] = str(folder)
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
    from tests.support import postgres

    with postgres.running_server(folder) as server, postgres.new_database(server) as database:
        os.environ["AIRFLOW_CONN_WAREHOUSE"] = database.airflow_connection()
        database.query(f"CREATE TABLE t ({_COLUMNS}); ALTER TABLE t OWNER TO loader")
        yield database


def main() -> None:
    """Measure, and print seconds, rows a second, and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=ROWS)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, prepared(Path(name)) as database:
        folder = Path(name)
        write_source(folder / "a.parquet", given.rows)
        write_source(folder / "b.parquet", given.rows, changed=100)
        write_source(folder / "small.parquet", 1000)
        access = {
            "host": "127.0.0.1",
            "port": database.server.port,
            "user": "airflow",
            "dbname": database.name,
        }
        server = database.server.started.pid
        load(str(folder / "small.parquet"), access)  # imports everything
        first, second = str(folder / "a.parquet"), str(folder / "b.parquet")
        found: dict[str, list[dict[str, Any]]] = {}

        def note(what: str, result: dict[str, Any]) -> None:
            found.setdefault(what, []).append(result)
            took = f"{result['seconds']:6.1f} s {given.rows / result['seconds']:9,.0f} rows/s"
            print(f"{what:24} {took} {result['cpu']:6.1f} s CPU {result['mb']:5.0f} MB", flush=True)

        for _ in range(given.rounds):
            for what, mode in (
                ("bare COPY", ""),
                ("append, empty table", "append"),
                ("replace, empty table", "replace"),
            ):
                database.query("TRUNCATE t")
                if mode:
                    note(what, measured(lambda mode=mode: load(first, access, mode=mode), server))
                else:
                    note(what, measured(lambda: bare_copy(first, access), server))
            note("replace of all rows", measured(lambda: load(first, access), server))
            database.query("VACUUM FULL ANALYZE t")
            before = database.query("SELECT pg_current_xact_id()::text::bigint")[0][0]
            result = measured(lambda: load(second, access, mode="merge"), server)
            note("merge, 1 % changed", result)
            written = database.query(f"SELECT count(*) FROM t WHERE xmin::text::bigint >= {before}")[0][0]
            print(
                f"    updated {result['updated']}, inserted {result['inserted']}, written by xmin {written}"
            )
            note("merge, none changed", measured(lambda: load(second, access, mode="merge"), server))
        for what in ("append, empty table", "replace, empty table"):
            for measure in ("seconds", "cpu"):
                pairs = zip(found["bare COPY"], found[what], strict=True)
                share = statistics.median(bare[measure] / one[measure] for bare, one in pairs)
                print(f"{what}: {share:.0%} of the speed of a bare COPY, by {measure}, median")


if __name__ == "__main__":
    main()
