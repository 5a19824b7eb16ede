"""Many tasks that need a token at the same time, each in a process of its own, as Airflow runs them.

``python -m tests.support.token_tasks`` loads all libraries once, and forks a group of processes for each line
of JSON on its standard input.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider.core.tokens import store as stores
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from tests.support.wait import until

ROOT = Path(__file__).resolve().parents[2]

REQUESTS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "leanix": (LeanIXHook, lambda hook: hook.list_runs()),
    "iotstudio": (IoTStudioHook, lambda hook: hook.list_categories()),
    "mapsindoors": (MapsIndoorsHook, lambda hook: hook.get_dataset()),
}
"""How a task of each kind connects, and a request of it."""

_GROUP = "process group "


@dataclass(frozen=True)
class TokenTasks:
    """Result of a run.

    :param tokens: hashes of the tokens that the processes had at their end.
    :param errors: the errors that ended processes.
    :param log: what they logged.
    """

    tokens: set[str]
    errors: list[str]
    log: str


class RunningTasks:
    """Processes that run.

    :param group: id of their process group.
    :param output: file that takes their output.
    :param processes: number of processes.
    """

    def __init__(self, group: int, output: Path, processes: int) -> None:
        self._group = group
        self._output = output
        self._processes = processes

    def signal(self, number: int) -> None:
        """Send a signal to all of them."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._group, number)

    def wait(self, seconds: float = 110) -> TokenTasks:
        """Wait for their ends, and return their results."""
        until(self._output.with_suffix(".done").exists, seconds)
        log = self._output.read_text()
        lines = [json.loads(line) for line in log.splitlines() if line.startswith('{"token"')]
        assert len(lines) == self._processes, log
        errors = [line["error"] for line in lines if line["error"]]
        return TokenTasks({line["token"] for line in lines if line["token"]}, errors, log)


class Forker:
    """The process that loads all libraries once, and forks the processes of all runs."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="token-tasks-"))
        self._runs = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.token_tasks"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(
        self,
        kind: str,
        processes: int,
        env: Mapping[str, str] | None = None,
        *,
        requests_each: int = 1,
        longest_fetch: float = stores.LONGEST_FETCH,
    ) -> RunningTasks:
        """Start processes that send requests from the same moment on.

        :param kind: connection type.
        :param processes: number of processes.
        :param env: variables of their environment, besides this process's.
        :param requests_each: requests of each one; with 0 it has a token only.
        :param longest_fetch: seconds for which they wait for another process's token request.
        """
        self._runs += 1
        output = self._folder / f"{self._runs}.log"
        job = {
            "kind": kind,
            "processes": processes,
            "requests": requests_each,
            "longest_fetch": longest_fetch,
            "env": {**os.environ, **(env or {})},
            "output": str(output),
        }
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        # Libraries may have printed something before.
        found = next(line for line in self._process.stdout if line.startswith(_GROUP))
        return RunningTasks(int(found.removeprefix(_GROUP)), output, processes)

    def run(self, kind: str, processes: int, **options: Any) -> TokenTasks:
        """Start processes and wait for their ends; see :meth:`start`."""
        return self.start(kind, processes, **options).wait()

    def close(self) -> None:
        """End the process."""
        import shutil

        self._process.kill()
        self._process.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)


def shown(token: str) -> str:
    """Return the hash of a token."""
    return hashlib.sha256(token.encode()).hexdigest() if token else ""


def _work(kind: str, requests_each: int) -> dict[str, str]:
    connect, send = REQUESTS[kind]
    try:
        with connect() as hook:
            hook.access_token()
            for _ in range(requests_each):
                send(hook)
            return {"token": shown(hook.cached_access_token()), "error": ""}
    except Exception as error:
        return {"token": "", "error": f"{type(error).__name__}: {error}"}


def _run(job: Mapping[str, Any]) -> None:
    """Fork the processes of a run, let them begin together, and wait for their ends."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(job["env"])
    stores.LONGEST_FETCH = job["longest_fetch"]
    file = os.open(job["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number in (1, 2):
        os.dup2(file, number)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr, force=True)
    children = []
    start_line, start = os.pipe()
    for _ in range(job["processes"]):
        if child := os.fork():
            children.append(child)
            continue
        os.read(start_line, 1)
        done = _work(job["kind"], job["requests"])
        os.write(1, (json.dumps(done) + "\n").encode())  # One write, so that lines do not mix.
        os._exit(0)
    os.write(start, bytes(job["processes"]))
    for child in children:
        os.waitpid(child, 0)
    Path(job["output"]).with_suffix(".done").touch()


def _warm_up() -> None:
    """Load what a task loads when it runs, so that forked processes start at once."""
    import redis  # noqa: F401
    import requests  # noqa: F401
    import tenacity  # noqa: F401
    from airflow.sdk import log  # noqa: F401

    from airflow_provider.core.http import sync_transport  # noqa: F401
    from airflow_provider.core.tokens.sealing import Seal

    Seal(b"", b"").seal(b"", "")
    os.environ["AIRFLOW_CONN_WARM_UP"] = json.dumps(
        {"conn_type": "leanix", "host": "https://x", "password": "x"}
    )
    LeanIXHook("warm_up").settings  # noqa: B018 - reads the connection


def main() -> None:
    """Fork a group of processes for each line of the input, and print its id."""
    _warm_up()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        group = os.fork()
        if not group:
            _run(json.loads(line))
            os._exit(0)
        print(f"{_GROUP}{group}", flush=True)


if __name__ == "__main__":
    main()
