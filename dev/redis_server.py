"""Redis server: taken from the machine or from Debian's package, on a port and in a folder of its own.

The package is unpacked into ``.redis``, which needs no root and starts no service of the machine.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev import debian_packages
from dev.processes import Started, free_ports

ROOT = Path(__file__).resolve().parents[1] / ".redis"
PACKAGES = ("redis-server", "redis-tools", "libjemalloc2", "liblzf1", "libatomic1")
START_SECONDS = 20.0


class NoRedisServerError(RuntimeError):
    """There is no Redis server on this machine, and its package cannot be downloaded."""


def find_program() -> str:
    """Return the path of a Redis server; its package is downloaded when the machine has none.

    :raises NoRedisServerError: when that fails.
    """
    if found := shutil.which("redis-server"):
        return found
    program = ROOT / "usr" / "bin" / "redis-server"
    ROOT.mkdir(exist_ok=True)
    with (ROOT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # The tests run in several processes.
        if not program.exists():
            _unpack_packages()
    return str(program)


def _unpack_packages() -> None:
    try:
        debian_packages.unpack(PACKAGES, ROOT)
    except debian_packages.NoPackageError as error:
        raise NoRedisServerError(f"the package redis-server cannot be downloaded: {error}") from None


class RedisServer:
    """A Redis server without persistence on loopback.

    :param folder: its working folder, which takes its log.
    :param options: further options of its command line.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        (self.port,) = free_ports(1)
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address of its first database."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Id of its process."""
        assert self._process
        return self._process.pid

    @property
    def started(self) -> Started | None:
        """Its process, as one that a later command can stop; None when it does not run."""
        return Started.of(self._process.pid) if self._process else None

    def start(self) -> None:
        """Start the server, and wait until it answers.

        :raises NoRedisServerError: when there is none.
        """
        program = find_program()
        libraries = debian_packages.libraries(ROOT)
        env = {**os.environ, "LD_LIBRARY_PATH": libraries} if libraries else None
        command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        command += ["--save", "", "--appendonly", "no", *self._options]
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.stop()
                text = (self.folder / "redis.log").read_text()
                raise NoRedisServerError(f"redis-server does not start: {text[-500:]}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        """Return whether it answers: it accepts connections before it opens its other socket."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                probe.sendall(b"PING\r\n")
                return bool(probe.recv(1))
        except OSError:
            return False

    def stop(self) -> None:
        """Stop the server by its process id; its data is gone."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGCONT)
            self._process.terminate()
            self._process.wait(START_SECONDS)
            self._process = None


@contextmanager
def running(folder: Path, *options: str) -> Iterator[RedisServer]:
    """Start a server, yield it, and stop it.

    :param folder: its working folder.
    :param options: further options of its command line.
    """
    server = RedisServer(folder, *options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


if __name__ == "__main__":
    try:
        print(find_program())
    except NoRedisServerError as problem:
        sys.exit(f"!!!! NOT TESTED with Redis: {problem} !!!!")
