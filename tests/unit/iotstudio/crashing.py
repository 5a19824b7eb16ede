"""Runs operators in processes that are killed: ``crashing.py`` reads one round a line, answers with one line.

A round is ``{"operator", "arguments", "folder"}``. The process of the first try is told, so that it can be
killed; after another line the second one runs to its end. Both are forks, so that nothing is imported anew.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow_provider.core.http.retry import RetryLimits
from airflow_provider.iotstudio import actions, operators
from airflow_provider.iotstudio.hooks import IoTStudioHook


class Store:
    """A task state store that outlives the process."""

    def __init__(self, folder: str) -> None:
        self._file = Path(folder, "state.json")

    def get(self, key: str) -> Any:
        return json.loads(self._file.read_text()).get(key) if self._file.exists() else None

    def set(self, key: str, value: Any, **_: Any) -> None:
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps({key: value}))
        part.replace(self._file)


def run(asked: dict[str, Any], try_number: int) -> None:
    """Run the operator; its result goes into a file."""
    operator = getattr(operators, asked["operator"])(task_id="crash", **asked["arguments"])
    ti = SimpleNamespace(
        try_number=try_number, dag_id="d", task_id="crash", run_id=asked["folder"], map_index=-1
    )
    result = operator.execute({"ti": ti, "task_state_store": Store(asked["folder"])})
    Path(asked["folder"], f"result {try_number}").write_text(json.dumps(result))


def fork(asked: dict[str, Any], try_number: int) -> int:
    child = os.fork()
    if child == 0:
        os.dup2(2, 1)
        try:
            run(asked, try_number)
        finally:
            os._exit(0)
    return child


def main() -> None:
    actions.SEARCH_DELAYS = (0.1, 0.2)
    IoTStudioHook.retry_limits = RetryLimits(base=0.005)
    with IoTStudioHook() as hook:
        hook.list_categories()  # everything is imported now
    print("ready", flush=True)
    for line in iter(sys.stdin.readline, ""):
        asked = json.loads(line)
        first = fork(asked, 1)
        print(first, flush=True)
        sys.stdin.readline()
        os.waitpid(first, 0)
        os.waitpid(fork(asked, 2), 0)
        results = [Path(asked["folder"], f"result {number}") for number in (1, 2)]
        print(json.dumps([json.loads(r.read_text()) if r.exists() else None for r in results]), flush=True)


if __name__ == "__main__":
    main()
