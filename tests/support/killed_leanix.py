"""One attempt of a LeanIX task in a process of its own, which is killed at one of its requests."""

from __future__ import annotations

import json
import os
import signal
from contextlib import chdir
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

# Loaded here, so that a process that the fork server starts begins at once.
from airflow_provider.core.http.sync_transport import Transport
from airflow_provider.core.state import pauses as _pauses  # noqa: F401
from airflow_provider.leanix import hooks as _hooks  # noqa: F401
from airflow_provider.leanix import operators
from airflow_provider.leanix.as_code import sync as _sync  # noqa: F401
from airflow_provider.leanix.runs import finish as _finish  # noqa: F401
from tests.support import forked
from tests.support.state_store import FakeStateStore

ROOT = Path(__file__).resolve().parents[2]
NEVER = 10**6
"""Number of a request at which no attempt is killed."""


def attempt(
    connection: str, folder: Path, kind: str, arguments: dict[str, Any], *, number: int, after: bool
) -> Any:
    """Run the next attempt of a task; return its result, or None when it was killed.

    :param connection: the connection as JSON.
    :param folder: the folder of the task's state and results.
    :param kind: name of the operator's class.
    :param arguments: arguments of the operator.
    :param number: number of the request at which the process is killed.
    :param after: whether it is killed after the reply, or before the request.
    """
    tries = len(list(folder.glob("try *"))) + 1
    (folder / f"try {tries}").touch()
    given = (connection, str(folder), kind, arguments, number, after, tries)
    process = forked.context().Process(target=_run, args=given)
    with chdir(ROOT):  # Relative paths of modules are those of this folder.
        process.start()
    process.join(60)
    if process.exitcode is None:
        process.kill()
        raise AssertionError("the attempt hangs")
    result = folder / f"result {tries}"
    if result.exists():
        return json.loads(result.read_text())
    assert process.exitcode == -signal.SIGKILL, f"the attempt failed: {process.exitcode}"
    return None


def _run(
    connection: str,
    folder: str,
    kind: str,
    arguments: dict[str, Any],
    number: int,
    after: bool,
    tries: int,
) -> None:
    os.environ["AIRFLOW_CONN_LEANIX_DEFAULT"] = connection
    count, perform = 0, Transport._perform

    def counting(self: Any, request: Any) -> Any:
        nonlocal count
        count += 1
        if count == number and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        reply = perform(self, request)
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return reply

    operator = getattr(operators, kind)(task_id="crash", **arguments)
    ti = SimpleNamespace(
        try_number=tries,
        dag_id="d",
        task_id="crash",
        run_id=folder,
        map_index=-1,
        max_tries=9,
        xcom_push=lambda *_, **__: None,
    )
    store = FakeStateStore(Path(folder, "state.json"))
    with patch.object(Transport, "_perform", counting):
        result = operator.execute({"ti": ti, "task_state_store": store})
    Path(folder, f"result {tries}").write_text(json.dumps(result))
