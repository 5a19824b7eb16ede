"""Tables of runs, written by processes that each kill themselves at another step that others can see.

Arguments: a folder, and the items of two runs as JSON. For each step the first run's tables are written into
a new folder, and then those of the second one, by a fork that is killed at this step. The output is the
number of the first step that does not exist, whose fork has run to its end.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

# Loaded here, so that a process that the fork server starts begins at once.
from airflow.sdk import ObjectStoragePath

from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.leanix.tables.spool import ItemSpool
from airflow_provider.leanix.tables.write import write_tables


def write(folder: str, run_id: str, items: Sequence[Any], kill_at: int | None = None) -> None:
    """Write the tables of a run.

    :param folder: the folder, with ``/`` at its end.
    :param kill_at: number of the step before which the process is killed; None for no kill. Steps are the
        moments before and after a file gets its name or is removed.
    """
    if kill_at is not None:
        _kill_at(kill_at)
    with ItemSpool() as spool:
        spool.add(json.dumps(item).encode() for item in items)
        write_tables(spool, folder, "jsonl", run_id, logging.getLogger(__name__))


def _kill_at(number: int) -> None:
    steps = iter(range(10**6))

    def step() -> None:
        if next(steps) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            step()
            result = method(*arguments, **options)
            step()
            return result

        return call

    AtomicFile._set_final_name = watched(AtomicFile._set_final_name)  # type: ignore[method-assign]
    ObjectStoragePath.unlink = watched(ObjectStoragePath.unlink)


def main(folder: str, before: str, after: str) -> None:
    """Write the tables, one folder for each step."""
    for number in range(100):
        write(f"{folder}/{number}/", "before", json.loads(before))
        if (child := os.fork()) == 0:
            write(f"{folder}/{number}/", "after", json.loads(after), number)
            os._exit(0)
        if os.waitpid(child, 0)[1] != signal.SIGKILL:
            print(number)
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
