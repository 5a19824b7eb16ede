"""Fork server that reads queries in processes of their own, for tests that kill, limit or measure them.

It loads Airflow once, prints ``ready``, and forks a process for each line of JSON on its
input: ``sql``, ``driver``, ``connection`` (JSON), ``folder`` (for temporary files), ``result`` (path of a
file), and ``file_bytes``, the size that a file may have. It prints the process's id. The result is JSON:
``rows`` and ``mb`` (growth of its memory), or ``error`` and ``kind``.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from airflow.providers.postgres.hooks import postgres

from airflow_provider.core.sql.query import Query
from airflow_provider.core.sql.rows import read_query
from airflow_provider.errors import ProviderError


def memory(name: str) -> float:
    """Return the memory of this process in MB: ``VmRSS`` for the current value, ``VmHWM`` for the peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1000


def read(sql: str) -> dict[str, Any]:
    """Read a query from the database and from disk."""
    try:
        with read_query(Query(sql, "warehouse"), logging.getLogger()) as rows:
            return {"rows": sum(1 for _ in rows)}
    except ProviderError as error:
        return {"error": str(error), "kind": type(error).__name__}


def serve_one(given: dict[str, Any]) -> None:
    """Read one query, and write the result."""
    os.dup2(2, 1)  # Log lines are no answers.
    os.environ["AIRFLOW_CONN_WAREHOUSE"] = given["connection"]
    postgres.USE_PSYCOPG3 = given["driver"] == "psycopg"
    tempfile.tempdir = given["folder"]
    read("SELECT 1 AS a")
    if size := given.get("file_bytes"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    before = memory("VmRSS")
    found = {**read(given["sql"]), "mb": memory("VmHWM") - before}
    part = Path(f"{given['result']}.part")
    part.write_text(json.dumps(found))
    part.rename(given["result"])


def main() -> None:
    """Fork a process for each line of the input."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # Loads the installed providers, which takes seconds.
    os.environ["AIRFLOW_CONN_WAREHOUSE"] = '{"conn_type": "sqlite", "host": "/nowhere/file"}'
    read("SELECT 1")
    print("ready", flush=True)
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            serve_one(json.loads(line))
            os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
