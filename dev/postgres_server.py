"""PostgreSQL server: the machine's or Debian's, on a port and in a folder of its own."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from dev.processes import Started, free_ports

START_SECONDS = 30.0

NOBODY = 65534
"""User id that the server gets when root starts it, which it refuses to run as."""

DATABASE = "airflow"


class NoPostgresServerError(RuntimeError):
    """There is no PostgreSQL server on this machine, or it does not start."""


def find_programs() -> Path:
    """Return the folder of PostgreSQL's programs, of the newest version on this machine.

    :raises NoPostgresServerError: when there is none.
    """
    folders = glob.glob("/usr/lib/postgresql/*/bin")
    if found := shutil.which("initdb"):
        folders.append(str(Path(found).resolve().parent))
    folders = [folder for folder in folders if os.access(f"{folder}/postgres", os.X_OK)]
    if not folders:
        raise NoPostgresServerError("PostgreSQL is missing; on Debian: apt-get install postgresql")
    return Path(max(folders, key=_version))


def _version(folder: str) -> float:
    name = Path(folder).parent.name
    return float(name) if name.replace(".", "").isdigit() else 0.0


class PostgresServer:
    """A PostgreSQL server on loopback with an empty database ``airflow``.

    :param log: file that takes its output.
    """

    def __init__(self, log: Path) -> None:
        self.log = log
        self.folder = Path()
        self.started: Started | None = None
        (self.port,) = free_ports(1)

    def url(self, driver: str) -> str:
        """Return the database's address for SQLAlchemy.

        :param driver: name of the driver, such as ``psycopg2``.
        """
        return f"postgresql+{driver}://airflow@127.0.0.1:{self.port}/{DATABASE}"

    def start(self) -> None:
        """Create the database and start the server.

        :raises NoPostgresServerError: when there is none, or it does not start.
        """
        programs = find_programs()
        self.folder = Path(tempfile.mkdtemp(prefix="twin-postgres-"))
        if not os.geteuid():
            os.chown(self.folder, NOBODY, NOBODY)
        data = str(self.folder / "data")
        create = [programs / "initdb", "-D", data, "-U", "airflow", "--auth=trust", "-E", "UTF8", "-N"]
        self._run([*map(str, create), "--no-instructions"])
        # Data is thrown away with the folder, so nothing waits for the disk.
        options = ["-p", str(self.port), "-h", "127.0.0.1", "-k", str(self.folder), "-F"]
        options += ["-c", "max_connections=300", "-c", "full_page_writes=off"]
        server = [str(programs / "postgres"), "-D", data, *options]
        self.started = Started.run(server, self._environment(), self.log, self.folder, user=self._user())
        self._create_database(str(programs / "createdb"))

    def _create_database(self, program: str) -> None:
        command = [program, "-h", "127.0.0.1", "-p", str(self.port), "-U", "airflow", DATABASE]
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return self._run(command)
            except NoPostgresServerError:
                if time.monotonic() > deadline or not (self.started and self.started.alive()):
                    raise
            time.sleep(0.2)

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(
            command,
            cwd=self.folder,
            check=False,
            env=self._environment(),
            user=self._user(),
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise NoPostgresServerError(f"{Path(command[0]).name} failed: {done.stderr.strip()[-500:]}")

    @staticmethod
    def _user() -> int | None:
        return None if os.geteuid() else NOBODY

    @staticmethod
    def _environment() -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    def stop(self) -> None:
        """Stop the server and remove its data."""
        if self.started is not None:
            self.started.stop()
            self.started = None
        if self.folder != Path():
            shutil.rmtree(self.folder, ignore_errors=True)
