"""Fork server for loads that are killed: read one attempt per line, reply with one line.

An attempt is ``{"arguments", "point", "result"}``. Its process kills itself at the point: ``copy`` (after
some rows are sent), ``before`` or ``after`` the commit; or after so many seconds. Without a point it runs to
its end, and writes its result into a file. The reply is the process's exit status.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

# Loaded here, because a task loads them when it runs: a forked process then starts at once.
import psycopg  # noqa: F401
import pyarrow.csv
import pyarrow.parquet  # noqa: F401
from airflow.providers.postgres.hooks.postgres import PostgresHook  # noqa: F401
from airflow.sdk import BaseHook, ObjectStoragePath

from airflow_provider.warehouse.load import task  # noqa: F401
from airflow_provider.warehouse.load.databases import postgres
from airflow_provider.warehouse.operators import SqlLoadOperator
from tests.support.task_runner import TaskRunner


def kill() -> None:
    """Kill this process, as the kernel does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(point: Any) -> None:
    """Have this process killed at a point."""
    commit, blocks = postgres.Postgres.commit, postgres._csv_blocks

    def killed_commit(self: Any) -> None:
        if point == "before":
            kill()
        commit(self)
        kill()

    def killed_blocks(*arguments: Any) -> Any:
        for number, block in enumerate(blocks(*arguments)):
            if number == 1:
                # What was written is on its way to the server, which has begun to copy.
                time.sleep(0.05)
                kill()
            yield block

    if point == "copy":
        postgres._csv_blocks = killed_blocks
    elif point in ("before", "after"):
        postgres.Postgres.commit = killed_commit  # type: ignore[method-assign]
    elif point is not None:
        threading.Timer(float(point), kill).start()


def run(attempt: dict[str, Any]) -> None:
    """Run an attempt."""
    arm(attempt["point"])
    result = TaskRunner(task_id="load").run(SqlLoadOperator(task_id="load", **attempt["arguments"]))
    Path(attempt["result"]).write_text(json.dumps(result))


def main() -> None:
    """Serve attempts until the input ends."""
    # These load the lists of all providers and plugins.
    BaseHook.get_connection("warehouse").get_hook()
    with ObjectStoragePath(__file__).open("rb") as file:
        file.read(1)
    print("ready", flush=True)
    for line in iter(sys.stdin.readline, ""):
        child = os.fork()
        if child == 0:
            os.dup2(2, 1)
            try:
                run(json.loads(line))
            finally:
                os._exit(1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
