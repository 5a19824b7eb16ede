"""Starts processes and ends them with everything that they started."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]


def free_ports(count: int) -> list[int]:
    """Find free loopback ports, all different."""
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in taken]


def runs(process: psutil.Process) -> bool:
    """Tell whether a process still runs; one that has ended and waits to be noticed does not."""
    with contextlib.suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


@dataclass(frozen=True)
class Started:
    """A process that leads a session of its own, so that its descendants can be told from all others.

    :param pid: its id, which is also the session's.
    :param created: when it began; tells it from a later process with the same id.
    """

    pid: int
    created: float

    @classmethod
    def run(cls, command: Sequence[str], env: Mapping[str, str], log: Path, folder: Path) -> Started:
        """Start a command in a session of its own, with its output in a file."""
        with log.open("ab") as out:
            process = subprocess.Popen(
                command,
                env=dict(env),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(process.pid, psutil.Process(process.pid).create_time())

    def alive(self) -> bool:
        """Tell whether the process itself still runs."""
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.created) < 1 and runs(process)
        return False

    def children(self) -> list[psutil.Process]:
        """List the processes that it has started itself."""
        children: list[psutil.Process] = psutil.Process(self.pid).children()
        return children

    def family(self) -> list[psutil.Process]:
        """List the running processes of its session: itself, its children, and theirs."""
        return [p for p in psutil.process_iter() if self._owns(p)]

    def _owns(self, process: psutil.Process) -> bool:
        try:
            return bool(
                os.getsid(process.pid) == self.pid
                and process.create_time() >= self.created - 1
                and process.status() != psutil.STATUS_ZOMBIE
            )
        except (psutil.Error, OSError):
            return False

    def stop(self, grace: float = 10, patience: float = 5) -> None:
        """End it and its whole family: asked first, then told.

        :param grace: seconds to end by itself after an interrupt.
        :param patience: seconds that what is left has after being told, before it is killed.
        """
        with undisturbed():
            if self.alive():
                os.kill(self.pid, signal.SIGINT)
                _wait_until_gone(self, grace)
            for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 5)):
                for process in self.family():
                    with contextlib.suppress(psutil.Error):
                        process.send_signal(number)
                _wait_until_gone(self, seconds)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, os.WNOHANG)


def _wait_until_gone(started: Started, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while started.family() and time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(started.pid, os.WNOHANG)
        time.sleep(0.1)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Let a second Ctrl-C not break off the cleaning up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
