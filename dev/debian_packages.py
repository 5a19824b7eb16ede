"""Debian packages, unpacked into a folder: this needs no root, and starts no service of the machine."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class NoPackageError(RuntimeError):
    """A package cannot be downloaded or unpacked."""


def versions(pattern: str) -> list[int]:
    """Return the numbers in the names of the packages that apt knows.

    :param pattern: regular expression of the names.
    :raises NoPackageError: when there is none.
    """
    command = ["apt-cache", "search", "--names-only", pattern]
    names = _run(command, Path.cwd()).stdout or _after_update(command, Path.cwd()).stdout
    found = [int(number) for number in re.findall(r"^[a-z]+-(\d+)", names, re.MULTILINE)]
    if not found:
        raise NoPackageError(f"apt knows no package {pattern}")
    return found


def with_missing_dependencies(package: str) -> list[str]:
    """Return the names of a package and of all that it needs and this machine lacks.

    :param package: name of the package.
    :raises NoPackageError: when apt does not know it.
    """
    command = ["apt-get", "install", "--simulate", "--no-install-recommends", package]
    lines = _run_with_fresh_lists(command, Path.cwd()).stdout.splitlines()
    return sorted({line.split()[1] for line in lines if line.startswith("Inst ")})


def unpack(packages: Sequence[str], folder: Path) -> None:
    """Download packages, and unpack them into a folder.

    :param packages: their names.
    :param folder: the folder, which exists.
    :raises NoPackageError: when that fails.
    """
    _run_with_fresh_lists(["apt-get", "download", *packages], folder)
    for package in sorted(folder.glob("*.deb")):
        done = _run(["dpkg", "-x", str(package), "."], folder)
        if done.returncode:
            raise NoPackageError(f"{package.name} cannot be unpacked: {done.stderr.strip()[-500:]}")
        package.unlink()


def unpack_once(package: str, root: Path) -> None:
    """Unpack a package, with all that it needs and this machine lacks, unless that was done before.

    :param package: name of the package.
    :param root: the folder that takes them.
    :raises NoPackageError: when that fails.
    """
    with once(root) as is_complete:
        if not is_complete:
            unpack(with_missing_dependencies(package), root)


@contextmanager
def once(root: Path) -> Iterator[bool]:
    """Fill a folder in one process while others wait; yield whether it was filled before.

    :param root: the folder, which is created.
    """
    root.mkdir(exist_ok=True)
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # The tests run in several processes.
        complete = root / "complete"
        yield complete.exists()
        complete.touch()


def libraries(folder: Path) -> str:
    """Return the ``LD_LIBRARY_PATH`` of programs that are unpacked in a folder.

    :param folder: the folder; on an installed system, links lead to its folders of ``blas``, ``lapack`` and
        PulseAudio.
    """
    inner = ("", "/*la[sp]*", "/pulseaudio")
    found = [path for name in inner for path in folder.glob(f"usr/lib/*-linux-gnu{name}")]
    return os.pathsep.join(str(path) for path in found if path.is_dir())


def _run_with_fresh_lists(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run apt-get; when it fails, once more with new package lists."""
    done = _run(command, folder)
    if done.returncode:
        done = _after_update(command, folder)
    if done.returncode:
        raise NoPackageError(f"apt-get {command[1]} failed: {done.stderr.strip()[-500:]}")
    return done


def _after_update(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of apt after the package lists were fetched, which only root can do."""
    if not os.geteuid():
        _run(["apt-get", "update"], folder)
    return _run(command, folder)


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=600, env=_environment()
        )
    except OSError as error:
        raise NoPackageError(f"{command[0]} does not run: {error}") from None


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C.UTF-8"}
