"""Builds environments for software that cannot be installed beside Airflow 3: vendors' clients, GDAL.

Each is kept in the checkout as ``.venv-<name>``, on Python 3.11, with what a file ``<name>.txt`` pins,
and is built anew when that file has changed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = Path(__file__).with_name("requirements")
BUILD_SECONDS = 180
SCRIPT_SECONDS = 60


class UnavailableError(Exception):
    """The environment cannot be built here."""


def run(environment: str, script: Path, *arguments: Any) -> Any:
    """Run a script in an environment, and give what it has printed as JSON on its last line.

    Where there can be none, the test is skipped, loudly; in the pipeline (``CI=true``) it fails.

    :param arguments: what the script gets, as JSON each.
    """
    python = _available(environment)
    if isinstance(python, str):
        said = f"NOT TESTED with what requirements/{environment}.txt names: {python}"
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        warnings.warn(said, stacklevel=1)
        pytest.skip(said)
    command = [str(python), str(script), *map(json.dumps, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=SCRIPT_SECONDS)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@cache
def _available(name: str) -> Path | str:
    try:
        return build(REQUIREMENTS / f"{name}.txt")
    except UnavailableError as error:
        return str(error)


def build(pinned: Path) -> Path:
    """Give the interpreter of an environment, after building it where that is needed.

    :param pinned: a requirements file that names everything needed; its own name is the environment's.
    :raises UnavailableError: saying what failed.
    """
    wanted = pinned.read_bytes()
    home = ROOT / f".venv-{pinned.stem}"
    python, built = home / "bin" / "python", home / "requirements.txt"
    if python.exists() and built.exists() and built.read_bytes() == wanted:
        return python
    uv = ROOT / ".venv" / "bin" / "uv"
    command = str(uv) if uv.exists() else shutil.which("uv")
    if command is None:
        raise UnavailableError("there is no uv, neither in .venv nor on PATH")
    _run(command, "venv", "--quiet", "--clear", "--python", _python_3_11(), str(home))
    # The pins of these clients are years old; the file overrules them.
    _run(command, "pip", "install", "--quiet", "--no-deps", "--python", str(python), "-r", str(pinned))
    built.write_bytes(wanted)
    return python


def _python_3_11() -> str:
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
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=BUILD_SECONDS)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{' '.join(command[1:3])} took more than {BUILD_SECONDS} seconds") from None
    if done.returncode:
        raise UnavailableError(f"{' '.join(command[1:3])} failed: {done.stderr.strip()[-500:]}")
