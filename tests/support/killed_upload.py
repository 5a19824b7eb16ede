"""Uploads of rows by processes that each kill themselves at another request.

:func:`main` is called in a process of its own with the arguments of the operator, the folder of the state
stores, and whether to send in chunks. For each moment before and after a request, one process is killed
there, and another one is the next attempt. The file ``found`` has a line for each moment: whether a process
was killed, the error of the next attempt, and the rows of the dataset after it.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from airflow_provider.amigocloud import api, uploads
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.operators import AmigoCloudUploadOperator
from airflow_provider.errors import ProviderError
from tests.support.state_store import FakeStateStore
from tests.support.task_runner import TaskRunner

FOUND = "found"
"""Name of the file with the output."""

WARM_UP = 100
"""Number of the task that is not killed."""


def attempt(number: int, task: dict[str, Any], kill_at: int | None = None) -> dict[str, Any]:
    """Run one attempt of the task; return its error and the rows of its dataset.

    :param number: number of the task, which has a state store of its own.
    :param task: the arguments of this module.
    :param kill_at: number of the moment at which the process is killed; None for no kill.
    """
    if kill_at is not None:
        _kill_at(kill_at)
    runner = TaskRunner()
    runner.store = FakeStateStore(Path(task["folder"], f"{number}.json"))
    arguments = {**task["arguments"], "parameters": [number], "deferrable": False, "poll_interval": 0.02}
    try:
        found = runner.run(AmigoCloudUploadOperator(task_id=f"upload_{number}", **arguments))
    except ProviderError as error:
        return {"error": type(error).__name__, "rows": None}
    with AmigoCloudHook() as hook:
        dataset = arguments.get("dataset") or found["dataset_ids"][0]
        rows = hook.get_records(f"SELECT code, label FROM dataset_{dataset} ORDER BY 1, 2")
    return {"error": None, "rows": [[row["code"], row["label"]] for row in rows]}


def _kill_at(moment: int) -> None:
    moments, send = iter(range(10**6)), AmigoCloudHook.send

    def step() -> None:
        if next(moments) == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def killed_send(*arguments: Any) -> Any:
        step()
        reply = send(*arguments)
        step()
        return reply

    AmigoCloudHook.send = killed_send  # type: ignore[method-assign,assignment]


def _fork(number: int, task: dict[str, Any], kill_at: int | None = None) -> dict[str, Any] | None:
    """Run an attempt in a fork; return what it found, or None if it was killed."""
    result = Path(task["folder"], f"{number}.result")
    if (child := os.fork()) == 0:
        try:
            result.write_text(json.dumps(attempt(number, task, kill_at)))
        finally:
            os._exit(0)
    if os.waitpid(child, 0)[1] == signal.SIGKILL:
        return None
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def main(task: dict[str, Any]) -> None:
    """Kill an attempt at each moment, and run the next one."""
    if task["in_chunks"]:
        api.SIMPLE_UPLOAD, uploads.CHUNK = 500, 700
    attempt(WARM_UP, task)  # imports everything, so that the forks begin at once
    with Path(task["folder"], FOUND).open("w") as found:
        for number in range(WARM_UP):
            killed = _fork(number, task, number) is None
            print(json.dumps({"killed": killed, **(_fork(number, task) or {})}), file=found, flush=True)
            if not killed:
                return
