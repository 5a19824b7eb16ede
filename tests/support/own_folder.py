"""The folder of a process of the tests: Airflow's home and the data of servers.

A process that is killed removes nothing. The next one ends the servers that are left, and removes their
folder. Who uses a folder holds a lock on it, so that a folder in use is not taken for one that is left.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

import psutil  # type: ignore[import-untyped]

PREFIX = "airflow-home-"
_LOCK = "in-use"


def new_folder(parent: Path) -> tuple[Path, int]:
    """Create a folder that counts as used as long as the process lives; return it with the lock's descriptor.

    :param parent: the folder in which it is made.
    """
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    folder.chmod(0o711)  # Servers run as another user when root starts them.
    lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock


def remove_leftovers(parent: Path) -> list[Path]:
    """Remove the folders of processes that were killed, and end what runs in them; return them.

    :param parent: the folder in which they are.
    """
    removed = []
    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's, one without a lock yet, one in use
            lock = os.open(folder / _LOCK, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _end_processes(folder)
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder)
            finally:
                os.close(lock)
    return removed


def _end_processes(folder: Path) -> None:
    """Kill the processes that work in a folder."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if Path(process.cwd()).is_relative_to(folder.resolve()):
                process.kill()


def _own() -> Path:
    parent = Path(tempfile.gettempdir())
    remove_leftovers(parent)
    folder, _ = new_folder(parent)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


OWN = _own()
"""The folder of this process."""
