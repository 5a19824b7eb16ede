"""Growth of property writes: memory and processor time for ten times the Things, and ten times the rows.

Run: ``python -m tests.benchmarks.iotstudio_growth things [few many]``, rows of a file, one for each Thing; or
``python -m tests.benchmarks.iotstudio_growth sql [few many]``, rows of a query on PostgreSQL, a hundred of
one value for each Thing. Few are measured before and after many. Sandbox, database and each measured task
are processes of their own; the ratios are those of the processor time and of the peak memory of the tasks.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.iotstudio_process import SandboxProcess
from tests.benchmarks.measured_process import memory
from tests.benchmarks.sql_source import in_own_process

SEEDED, ROWS_PER_THING = 264, 100
MAX_GROWTH = 1.15
SQL = """SELECT thing_id, jsonb_build_object('value ' || n, value) AS properties
    FROM setpoints WHERE thing < %s ORDER BY n, thing"""
SIZES = {"things": (5_000, 50_000), "sql": (100_000, 1_000_000)}


def write(arguments: dict[str, Any]) -> dict[str, float]:
    """Write in this process; return values, seconds, processor time, and peak memory in MB."""
    from airflow_provider.iotstudio.operators import IoTStudioWritePropertiesOperator

    operator = IoTStudioWritePropertiesOperator(task_id="write", **arguments)
    began, cpu = time.perf_counter(), time.process_time()
    counts = operator.execute({})
    spent = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
    if counts["verified"] != counts["written"]:
        raise AssertionError(counts)
    return {"values": counts["written"], **spent, "mb": memory("VmHWM")}


def write_rows(path: Path, uids: list[str]) -> dict[str, Any]:
    """Write one row for each Thing into a file; return the task's arguments."""
    with path.open("w") as file:
        for number, uid in enumerate(uids):
            file.write(json.dumps({"thing_id": uid, "properties": {"setpoint": number % 40 / 2}}) + "\n")
    return {"writes": str(path)}


@contextmanager
def table_of(folder: Path, uids: list[str]) -> Iterator[None]:
    """Serve a table of a hundred values for each Thing, interleaved."""
    from tests.support.postgres import new_database, running_server

    with running_server(folder) as server, new_database(server) as database:
        os.environ["AIRFLOW_CONN_WAREHOUSE"] = database.airflow_connection()
        database.query("CREATE TABLE things (thing int, thing_id text)")
        sql = "COPY things FROM STDIN"
        with database.connect() as connection, connection.cursor() as cursor, cursor.copy(sql) as copy:
            for row in enumerate(uids):
                copy.write_row(row)
        database.query(
            "CREATE TABLE setpoints AS SELECT thing, thing_id, n, thing % 40 / 2.0::float8 AS value"
            f" FROM things, generate_series(1, {ROWS_PER_THING}) n"
        )
        database.query("GRANT ALL ON setpoints TO loader")
        yield


def measure(kind: str, sizes: tuple[int, int]) -> list[dict[str, float]]:
    """Measure few, many, and few rows again."""
    few, many = sizes
    each = ROWS_PER_THING if kind == "sql" else 1
    found = []
    with tempfile.TemporaryDirectory() as name, SandboxProcess(things=SEEDED + many // each) as sandbox:
        folder, uids = Path(name), sandbox.ask("things")[SEEDED:]
        os.environ["AIRFLOW_CONN_IOTSTUDIO_DEFAULT"] = sandbox.connection
        for rows in (few, many, few):
            things = uids[: rows // each]
            sandbox.requests()
            if kind == "things":
                done = in_own_process(write, write_rows(folder / "rows.jsonl", things))
            else:
                query = {"sql": SQL, "parameters": [len(things)], "sql_conn_id": "warehouse"}
                with table_of(folder, things):
                    done = in_own_process(write, query)
            done["requests"] = sandbox.requests()
            if done["values"] != rows:
                raise AssertionError(done)
            found.append(done)
            print(
                f"{rows:9} rows, {len(things):6} Things: peak {done['mb']:4.0f} MB, {done['requests']:6.0f}"
                f" requests, {done['seconds']:6.1f} s, {done['cpu']:6.1f} s of processor time",
                flush=True,
            )
    return found


def main() -> None:
    """Print one line per size, and the ratios."""
    kind = sys.argv[1]
    few, many = sizes = tuple(int(one) for one in sys.argv[2:4]) or SIZES[kind]  # type: ignore[assignment]
    first, large, second = measure(kind, sizes)
    growth = 2 * large["mb"] / (first["mb"] + second["mb"])
    share = 2 * large["cpu"] / (first["cpu"] + second["cpu"]) / (many / few)
    print(f"{many / few:g} times the rows: {growth:.2f} times the memory (limit {MAX_GROWTH}),", end=" ")
    print(f"{share:.2f} times the processor time for each row")
    sys.exit(0 if growth <= MAX_GROWTH else "a target was missed")


if __name__ == "__main__":
    main()
