"""A scratch run of the conformance checks in a process of its own, which is killed at one of its requests."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx

# Loaded here, so that a process that the fork server starts begins at once.
from airflow_provider.amigocloud import hooks as _amigocloud  # noqa: F401
from airflow_provider.conformance import session as _session  # noqa: F401
from airflow_provider.conformance.command import main
from airflow_provider.conformance.meter import Clock
from airflow_provider.conformance.wire import MeteredTransport
from airflow_provider.iotstudio import hooks as _iotstudio  # noqa: F401
from airflow_provider.leanix import hooks as _leanix  # noqa: F401
from airflow_provider.mapsindoors import hooks as _mapsindoors  # noqa: F401
from tests.support import forked

ROOT = Path(__file__).resolve().parents[2]


class RemoteClock:
    """Time that passes while the run sleeps: its own, and that of a sandbox in another process.

    :param origin: URL of the sandbox.
    """

    def __init__(self, origin: str) -> None:
        self.client = httpx.Client(base_url=origin, verify=False)
        self.now = time.time()

    def sleep(self, seconds: float) -> None:
        """Advance the time."""
        self.now += seconds
        self.client.post("/_sandbox/clock", json={"advance": seconds}).raise_for_status()


def killed_run(
    origin: str,
    environment: Mapping[str, str],
    arguments: list[str],
    folder: Path,
    number: int,
    *,
    after: bool,
) -> int | None:
    """Run the command until its process is killed; return the exit code of the process.

    :param origin: URL of the sandbox.
    :param environment: variables of the process.
    :param arguments: arguments of the command.
    :param folder: working folder of the process.
    :param number: number of the request at which it is killed.
    :param after: whether it is killed after the reply, or before the request.
    """
    given = (origin, dict(environment), arguments, str(folder), number, after)
    process = forked.context().Process(target=_run, args=given)
    with contextlib.chdir(ROOT):  # Relative paths of modules are those of this folder.
        process.start()
    process.join(60)
    code: int | None = process.exitcode
    if code is None:
        process.kill()
    return code


def _run(
    origin: str, environment: dict[str, str], arguments: list[str], folder: str, number: int, after: bool
) -> None:
    os.environ.update(environment)
    os.chdir(folder)
    count, perform, clock = 0, MeteredTransport._perform, RemoteClock(origin)

    def counting(self: Any, request: Any) -> Any:
        nonlocal count
        count += 1
        if count == number and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        reply = perform(self, request)
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return reply

    with patch.object(MeteredTransport, "_perform", counting):
        main(arguments, Clock(lambda: clock.now, clock.sleep))
