"""Fork server for IoT Studio tasks that a test kills: read one round per line, reply with one line.

A round is ``{"operator", "arguments", "folder"}``. The first reply is the process id of the first attempt, so
that the test can kill it. After another line the second attempt runs to its end, and the second reply holds
both results. Both attempts are forks, so that they start with everything imported.
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
from airflow_provider.iotstudio.sync import sync
from tests.support.state_store import FakeStateStore


def run(task: dict[str, Any], try_number: int) -> None:
    """Run the operator, and write its result into a file."""
    folder = Path(task["folder"])
    operator = getattr(operators, task["operator"])(task_id="crash", **task["arguments"])
    ti = SimpleNamespace(
        try_number=try_number,
        dag_id="d",
        task_id="crash",
        run_id=task["folder"],
        map_index=-1,
        max_tries=1,  # a retry of the same run knows by it that the work was not recorded
        xcom_push=lambda *_, **__: None,
    )
    result = operator.execute({"ti": ti, "task_state_store": FakeStateStore(folder / "state.json")})
    (folder / f"result {try_number}").write_text(json.dumps(result))


def fork(task: dict[str, Any], try_number: int) -> int:
    """Run the operator in a forked process, and return its id."""
    child = os.fork()
    if child == 0:
        os.dup2(2, 1)
        try:
            run(task, try_number)
        finally:
            os._exit(0)
    return child


def main() -> None:
    """Serve rounds until the input ends."""
    # Long enough for a request that a busy machine stores late, after its sender was killed.
    actions.SEARCH_DELAYS = (0.1, 0.4, 1.5)
    sync.LATE_SECONDS = 1.0
    IoTStudioHook.retry_limits = RetryLimits(base=0.005)
    with IoTStudioHook() as hook:
        hook.list_categories()  # imports everything
    print("ready", flush=True)
    for line in iter(sys.stdin.readline, ""):
        task = json.loads(line)
        first = fork(task, 1)
        print(first, flush=True)
        sys.stdin.readline()
        os.waitpid(first, 0)
        os.waitpid(fork(task, 2), 0)
        results = [Path(task["folder"], f"result {number}") for number in (1, 2)]
        print(json.dumps([json.loads(r.read_text()) if r.exists() else None for r in results]), flush=True)


if __name__ == "__main__":
    main()
