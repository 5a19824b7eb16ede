"""PostgreSQL server: the machine's or Debian's, on a port and in a folder of its own.

When the machine lacks PostGIS, Debian's packages are unpacked into ``.postgres``. This needs no root, and
starts no service of the machine.
"""

from __future__ import annotations

import glob
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dev import debian_packages
from dev.processes import Started, free_ports

ROOT = Path(__file__).resolve().parents[1] / ".postgres"
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


def find_programs_with_postgis() -> Path:
    """Return the folder of PostgreSQL's programs, of a version with PostGIS.

    The machine's own are taken when they have it. Else Debian's packages are unpacked into ``.postgres``,
    beside a copy of the machine's PostgreSQL where there is one.

    :raises NoPostgresServerError: when that fails.
    """
    try:
        programs = find_programs()
        if _share(programs).joinpath("extension", "postgis.control").exists():
            return programs
    except NoPostgresServerError:
        pass
    with debian_packages.once(ROOT) as is_complete:
        if not is_complete:
            _unpack_postgis()
    ROOT.chmod(0o755)
    (programs,) = ROOT.glob("usr/lib/postgresql/*/bin")
    return programs


def _share(programs: Path) -> Path:
    """Return the folder that Debian's PostgreSQL reads extensions from, relative to its programs."""
    return programs.parents[3] / "share" / "postgresql" / programs.parent.name


def _unpack_postgis() -> None:
    shutil.rmtree(ROOT / "usr", ignore_errors=True)
    try:
        version = max(debian_packages.versions(r"^postgresql-[0-9]+-postgis-3$"))
        packages = debian_packages.with_missing_dependencies(f"postgresql-{version}-postgis-3")
        debian_packages.unpack(packages, ROOT)
    except debian_packages.NoPackageError as error:
        raise NoPostgresServerError(f"PostGIS cannot be downloaded: {error}") from None
    # An installed PostgreSQL is none of the missing packages. It finds extensions beside its programs only.
    for folder in (f"lib/postgresql/{version}", f"share/postgresql/{version}"):
        machines = Path("/usr") / folder
        if f"postgresql-{version}" not in packages and machines.exists():
            shutil.copytree(machines, ROOT / "usr" / folder, symlinks=True, dirs_exist_ok=True)
    # On an installed system this is a link that the package's script makes.
    control = ROOT / f"usr/share/postgresql/{version}/extension/postgis.control"
    shutil.copy(control.with_name("postgis-3.control"), control)


def _version(folder: str) -> float:
    name = Path(folder).parent.name
    return float(name) if name.replace(".", "").isdigit() else 0.0


class PostgresServer:
    """A PostgreSQL server on loopback with an empty database ``airflow``.

    :param log: file that takes its output.
    :param postgis: whether its databases can create the extension ``postgis``.
    :param home: folder for the folder of its data; None is the machine's for temporary files.
    """

    def __init__(self, log: Path, *, postgis: bool = False, home: Path | None = None) -> None:
        self.log = log
        self.home = home
        self.postgis = postgis
        self.folder = Path()
        self.started: Started | None = None
        self._command: list[str] = []
        self._variables: dict[str, str] = {}
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
        programs = find_programs_with_postgis() if self.postgis else find_programs()
        self.folder = Path(tempfile.mkdtemp(prefix="twin-postgres-", dir=self.home))
        if programs.is_relative_to(ROOT):
            programs = self._use_unpacked(programs)
        if not os.geteuid():
            os.chown(self.folder, NOBODY, NOBODY)
        data = str(self.folder / "data")
        create = [programs / "initdb", "-D", data, "-U", "airflow", "--auth=trust", "-E", "UTF8", "-N"]
        self._run([*map(str, create), "--no-instructions"])
        # Data is thrown away with the folder, so nothing waits for the disk.
        options = ["-p", str(self.port), "-h", "127.0.0.1", "-k", str(self.folder), "-F"]
        options += ["-c", "max_connections=300", "-c", "full_page_writes=off"]
        self._command = [str(programs / "postgres"), "-D", data, *options]
        self.start_with_data()
        self._create_database(str(programs / "createdb"))

    def _use_unpacked(self, programs: Path) -> Path:
        """Return where the server finds its unpacked programs: a copy, when its user cannot reach them."""
        root = ROOT
        if not os.geteuid() and not all(folder.stat().st_mode & stat.S_IXOTH for folder in ROOT.parents):
            root = self.folder
            shutil.copytree(ROOT / "usr", root / "usr", symlinks=True)
        self._variables["LD_LIBRARY_PATH"] = debian_packages.libraries(root)
        self._variables["PROJ_DATA"] = self._variables["PROJ_LIB"] = f"{root}/usr/share/proj"
        return root / programs.relative_to(ROOT)

    def start_with_data(self) -> None:
        """Start the server on the data that it has, after it was stopped or killed."""
        command = self._command
        self.started = Started.run(command, self._environment(), self.log, self.folder, user=self._user())

    def kill(self) -> None:
        """Kill the server with all its processes; its data stays."""
        if self.started is not None:
            self.started.stop(0, 0)
            self.started = None

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

    def _environment(self) -> dict[str, str]:
        path = os.environ.get("PATH", os.defpath)
        return {"PATH": path, "LC_ALL": "C.UTF-8", "TZ": "UTC", **self._variables}

    def stop(self) -> None:
        """Stop the server and remove its data."""
        if self.started is not None:
            self.started.stop()
            self.started = None
        if self.folder != Path():
            shutil.rmtree(self.folder, ignore_errors=True)


if __name__ == "__main__":
    try:
        print(find_programs_with_postgis())
    except NoPostgresServerError as problem:
        sys.exit(f"!!!! NOT TESTED with PostGIS: {problem} !!!!")
