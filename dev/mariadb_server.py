"""MariaDB server: the machine's or Debian's, on a port and in a folder of its own.

Debian's package is unpacked into ``.mariadb``, which needs no root and starts no service of the machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dev import debian_packages
from dev.processes import Started, free_ports

ROOT = Path(__file__).resolve().parents[1] / ".mariadb"
PACKAGE = "mariadb-server-core"

_SYSTEM_TABLES = ("mysql_system_tables", "mysql_performance_tables", "mysql_system_tables_data")
_BEGIN = "create database mysql;\nuse mysql;\nSET @auth_root_socket=NULL;\n"
_SMALL = ("--innodb-log-file-size=8M", "--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0")
"""Data is thrown away with the folder, so nothing waits for the disk."""


class NoMariaDbServerError(RuntimeError):
    """The server's package cannot be downloaded, or the server does not start."""


def find_program() -> Path:
    """Return the path of the server; its package is downloaded when the machine has none.

    :raises NoMariaDbServerError: when that fails.
    """
    installed = Path("/usr/sbin/mariadbd")
    if installed.exists():
        return installed
    try:
        debian_packages.unpack_once(PACKAGE, ROOT)
    except debian_packages.NoPackageError as error:
        raise NoMariaDbServerError(f"the package {PACKAGE} cannot be downloaded: {error}") from None
    return ROOT / "usr" / "sbin" / "mariadbd"


class MariaDbServer:
    """A MariaDB server on loopback, whose administrator ``root`` has no password.

    :param log: file that takes its output.
    :param home: folder for the folder of its data; None is the machine's for temporary files.
    """

    def __init__(self, log: Path, *, home: Path | None = None) -> None:
        self.log = log
        self.home = home
        self.folder = Path()
        self.started: Started | None = None
        self._command: list[str] = []
        (self.port,) = free_ports(1)

    def start(self) -> None:
        """Create the system tables and start the server, which accepts connections some time later.

        :raises NoMariaDbServerError: when there is none, or the tables cannot be created.
        """
        program = find_program()
        self.folder = Path(tempfile.mkdtemp(prefix="twin-mariadb-", dir=self.home))
        data = self.folder / "data"
        data.mkdir()
        messages = program.parents[1] / "share" / "mysql"
        options = [f"--datadir={data}", f"--lc-messages-dir={messages}", *_SMALL]
        if not os.geteuid():
            options.append("--user=root")
        scripts = "".join((messages / f"{name}.sql").read_text() for name in _SYSTEM_TABLES)
        self._command = [str(program), "--no-defaults", *options]
        done = subprocess.run(
            [*self._command, "--bootstrap"],
            input=_BEGIN + scripts,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise NoMariaDbServerError(f"the system tables cannot be created: {done.stderr[-500:]}")
        socket = f"--socket={self.folder / 'socket'}"
        self._command += [f"--port={self.port}", "--bind-address=127.0.0.1", "--skip-name-resolve", socket]
        self.start_with_data()

    def start_with_data(self) -> None:
        """Start the server on the data that it has, after it was stopped or killed."""
        self.started = Started.run(self._command, self._environment(), self.log, self.folder)

    def kill(self) -> None:
        """Kill the server; its data stays."""
        if self.started is not None:
            self.started.stop(0, 0)
            self.started = None

    def stop(self) -> None:
        """Stop the server and remove its data."""
        self.kill()
        if self.folder != Path():
            shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def _environment() -> dict[str, str]:
        path = os.environ.get("PATH", os.defpath)
        return {"PATH": path, "TZ": "UTC", "LD_LIBRARY_PATH": debian_packages.libraries(ROOT)}


if __name__ == "__main__":
    try:
        print(find_program())
    except NoMariaDbServerError as problem:
        sys.exit(f"!!!! NOT TESTED with MariaDB: {problem} !!!!")
