"""Builds the environment of the vendor's client, which cannot be installed beside Airflow 3.

It is kept in the checkout as ``.venv-iots`` and built anew when ``requirements.txt`` here has changed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
HOME = ROOT / ".venv-iots"
PYTHON = HOME / "bin" / "python"


class UnavailableError(Exception):
    """The environment cannot be built here."""


def python() -> Path:
    """Give the interpreter of the environment, after building it where that is needed.

    :raises UnavailableError: saying what failed.
    """
    built = HOME / "requirements.txt"
    wanted = REQUIREMENTS.read_bytes()
    if PYTHON.exists() and built.exists() and built.read_bytes() == wanted:
        return PYTHON
    uv = ROOT / ".venv" / "bin" / "uv"
    command = str(uv) if uv.exists() else shutil.which("uv")
    if command is None:
        raise UnavailableError("there is no uv, neither in .venv nor on PATH")
    _run(command, "venv", "--quiet", "--clear", "--python", _interpreter(), str(HOME))
    _run(command, "pip", "install", "--quiet", "--no-deps", "--python", str(PYTHON), "-r", str(REQUIREMENTS))
    built.write_bytes(wanted)
    return PYTHON


def _interpreter() -> str:
    """Give a Python 3.11: the one that runs this, where it is one."""
    if sys.version_info[:2] == (3, 11):
        return sys.executable
    finder = [sys.executable, str(ROOT / "dev" / "interpreters.py"), "3.11"]
    found = subprocess.run(finder, check=False, capture_output=True, text=True)
    if found.returncode:
        raise UnavailableError(found.stderr.strip())
    return found.stdout.strip()


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=180)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{' '.join(command[1:3])} took more than three minutes") from None
    if done.returncode:
        raise UnavailableError(f"{' '.join(command[1:3])} failed: {done.stderr.strip()[-500:]}")
