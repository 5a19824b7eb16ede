"""Read a query in a process of its own, for tests that kill, limit or measure it.

Called as ``python read_query.py DRIVER``, with a line of JSON on its input: ``sql``, and ``file_bytes``, the
size that a file may have. Prints ``ready``, and in the end a line of JSON: ``rows``, ``mb`` (growth of its
memory), or ``error``.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
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
    """Read a query twice, from the database and from disk."""
    try:
        with read_query(Query(sql, "warehouse"), logging.getLogger()) as rows:
            return {"rows": sum(1 for _ in rows)}
    except ProviderError as error:
        return {"error": str(error), "kind": type(error).__name__}


def main(driver: str) -> None:
    """Read the query that the input names."""
    postgres.USE_PSYCOPG3 = driver == "psycopg"
    read("SELECT 1 AS a")
    print("ready", flush=True)
    given = json.loads(sys.stdin.readline())
    if size := given.get("file_bytes"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    before = memory("VmRSS")
    print(json.dumps({**read(given["sql"]), "mb": memory("VmHWM") - before}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
