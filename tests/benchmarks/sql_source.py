"""Rows of a query: memory and seconds of reading many, and a map sync beside the same rows of a file.

Run: ``python -m tests.benchmarks.sql_source [rows [objects]]``, on a machine with PostgreSQL.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks.mapsindoors_sync import serve, write_rows
from tests.support.postgres import Database, new_database, running_server
from tests.support.read_query import memory

DRIVERS = ("psycopg", "psycopg2")
ROUNDS = 5
COLUMNS = """n AS id, 'asset-' || n AS code, repeat('name ', 8) || n AS name, n * 1.25::numeric AS price,
    n / 7.0::float8 AS ratio, n % 2 = 0 AS active, date '2026-01-01' + n % 365 AS bought,
    timestamptz '2026-01-01 00:00Z' + n * interval '1 second' AS seen, md5(n::text)::uuid AS key,
    jsonb_build_object('floor', n % 9) AS more, 'POINT(' || n % 180 || ' 55)' AS geometry"""
"""Eleven columns of usual types."""


def in_own_process(task: Callable[..., Any], *given: Any) -> Any:
    """Run a function in a new process, and return its result."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(task, given)


def read(driver: str, sql: str) -> dict[str, float]:
    """Read a query from the database and from disk; return seconds, and the growth of memory in MB."""
    from airflow.providers.postgres.hooks import postgres

    from airflow_provider.core.sql.query import Query
    from airflow_provider.core.sql.rows import read_query

    logging.disable(logging.CRITICAL)
    postgres.USE_PSYCOPG3 = driver == "psycopg"
    with read_query(Query("SELECT 1 AS a", "warehouse"), logging.getLogger()):
        before = memory("VmRSS")
    clock = time.perf_counter()
    with read_query(Query(sql, "warehouse"), logging.getLogger()) as rows:
        read_at, disk = time.perf_counter(), os.fstat(rows._file.fileno()).st_size
        count = sum(1 for _ in rows)
        spent = {"s": read_at - clock, "again": time.perf_counter() - read_at}
    return {**spent, "mb": memory("VmHWM") - before, "disk": disk / 1e6, "rows": count}


def measure_reading(rows: int) -> None:
    """Print what reading a table costs with each driver."""
    print(f"{rows} rows with 11 columns")
    print(f"{'':10} {'s':>7} {'again s':>8} {'MB more':>8} {'MB disk':>8}")
    for driver in DRIVERS:
        done = in_own_process(read, driver, "SELECT * FROM assets")
        assert done["rows"] == rows
        print(f"{driver:10} {done['s']:7.1f} {done['again']:8.1f} {done['mb']:8.1f} {done['disk']:8.0f}")


def sync_alternating(source: str, driver: str) -> list[tuple[float, float]]:
    """Sync the rows of a file and of a query in turn; return the seconds of CPU of each pair."""
    from airflow.providers.postgres.hooks import postgres

    from airflow_provider.mapsindoors.operators import MapsIndoorsSyncGeodataOperator

    logging.disable(logging.CRITICAL)
    postgres.USE_PSYCOPG3 = driver == "psycopg"
    query = {
        "sql": "SELECT * FROM places",
        "sql_conn_id": "warehouse",
        "columns": {"label": "name", "geom": "geometry"},
    }
    pairs = []
    for number in range(ROUNDS + 1):
        spent = []
        for given in ({"source": source}, query):
            clock = time.process_time()
            MapsIndoorsSyncGeodataOperator(task_id="sync", **given).execute({})  # type: ignore[arg-type]
            spent.append(time.process_time() - clock)
        if number:  # The first pair loads modules.
            pairs.append((spent[0], spent[1]))
    return pairs


def fill_places(database: Database, rows: list[dict[str, Any]]) -> None:
    """Create the table of the rows, with the geometry in PostGIS."""
    database.query("CREATE TABLE places (externalid text, label text, displaytypeid text, geom geometry)")
    sql = "COPY places FROM STDIN"
    with database.connect() as connection, connection.cursor() as cursor:
        database.query("CREATE TABLE raw (externalid text, label text, displaytypeid text, shape text)")
        with cursor.copy(sql.replace("places", "raw")) as copy:
            for row in rows:
                shape = json.dumps(row["geometry"])
                copy.write_row((row["externalId"], row["name"], row["displayTypeId"], shape))
    database.query(
        "INSERT INTO places SELECT externalid, label, displaytypeid,"
        " ST_SetSRID(ST_GeomFromGeoJSON(shape), 4326) FROM raw"
    )
    database.query("GRANT ALL ON places TO loader")


def measure_sync(database: Database, objects: int) -> None:
    """Print what a sync costs that changes nothing, with rows of a query and of a file."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(objects, there))
    server.start()
    os.environ["AIRFLOW_CONN_MAPSINDOORS_DEFAULT"], rows = here.recv()
    source = write_rows(Path(tempfile.mkdtemp()) / "rows.jsonl", rows, "")
    fill_places(database, rows)
    for driver in DRIVERS:
        pairs = in_own_process(sync_alternating, str(source), driver)
        ratios = sorted(query / file for file, query in pairs)
        files = " ".join(f"{file:.1f}" for file, _ in pairs)
        queries = " ".join(f"{query:.1f}" for _, query in pairs)
        print(f"sync of {len(rows)} rows, {driver}: query / JSON Lines {ratios[len(ratios) // 2]:.2f}")
        print(f"  CPU s of JSON Lines: {files}; of the query: {queries}")
    here.send("stop")
    here.recv()
    server.join()


def main(rows: int, objects: int) -> None:
    """Start the database, fill it, and measure."""
    with running_server(Path(tempfile.mkdtemp())) as server, new_database(server) as database:
        os.environ["AIRFLOW_CONN_WAREHOUSE"] = database.airflow_connection()
        database.query(f"CREATE TABLE assets AS SELECT {COLUMNS} FROM generate_series(1, {rows}) n")
        database.query("GRANT ALL ON assets TO loader")
        measure_reading(rows)
        measure_sync(database, objects)


if __name__ == "__main__":
    given = [int(one) for one in sys.argv[1:]]
    main(*(given + [2_000_000, 50_000][len(given) :]))
