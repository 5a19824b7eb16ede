"""Processes: start them, and stop them with all their descendants."""

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
    """Return free loopback ports, all different."""
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [listener.getsockname()[1] for listener in taken]


def runs(process: psutil.Process) -> bool:
    """Return whether a process still runs; a zombie does not."""
    with contextlib.suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


@dataclass(frozen=True)
class Started:
    """A process that leads its own session, so that its descendants can be identified.

    :param pid: its id, which is also the session's.
    :param created: its start, in seconds since the epoch; a later process may have the same id.
    """

    pid: int
    created: float

    @classmethod
    def run(
        cls, command: Sequence[str], env: Mapping[str, str], log: Path, folder: Path, user: int | None = None
    ) -> Started:
        """Start a command in its own session, with its output in a file.

        :param command: the program and its arguments.
        :param env: its environment.
        :param log: file that its output is appended to.
        :param folder: its working directory.
        :param user: id of the user that it runs as; None for this process's.
        """
        with log.open("ab") as out:
            process = subprocess.Popen(
                command,
                env=dict(env),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user,
            )
        return cls.of(process.pid)

    @classmethod
    def of(cls, pid: int) -> Started:
        """Return a running process that leads its own session.

        :param pid: its id.
        """
        return cls(pid, psutil.Process(pid).create_time())

    def alive(self) -> bool:
        """Return whether the process itself still runs."""
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.created) < 1 and runs(process)
        return False

    def children(self) -> list[psutil.Process]:
        """Return its direct child processes."""
        children: list[psutil.Process] = psutil.Process(self.pid).children()
        return children

    def family(self) -> list[psutil.Process]:
        """Return the running processes of its session: itself and its descendants."""
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

    def interrupt(self) -> None:
        """Ask the process to end, without waiting for it."""
        if self.alive():
            os.kill(self.pid, signal.SIGINT)

    def stop(self, interrupt_seconds: float = 10, terminate_seconds: float = 5) -> None:
        """Stop the process and its descendants: interrupt, then terminate, then kill.

        :param interrupt_seconds: maximum seconds to wait after the interrupt.
        :param terminate_seconds: maximum seconds to wait after the termination signal, before the kill.
        """
        with ignore_interrupts():
            if self.alive():
                os.kill(self.pid, signal.SIGINT)
                _wait_until_gone(self, interrupt_seconds)
            for number, seconds in ((signal.SIGTERM, terminate_seconds), (signal.SIGKILL, 5)):
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
def ignore_interrupts() -> Iterator[None]:
    """Ignore interrupts within the block, so that a second Ctrl-C does not abort the clean-up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
