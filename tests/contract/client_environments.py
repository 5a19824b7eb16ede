"""Environments for software that cannot be installed beside Airflow 3: the vendors' clients, and GDAL.

Each is a ``.venv-<name>`` in the checkout, on Python 3.11, with the pinned requirements of ``<name>.txt``. It
is rebuilt when that file has changed.
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
"""Maximum seconds of each build step."""

SCRIPT_SECONDS = 60
"""Maximum seconds of a script."""


class UnavailableError(Exception):
    """The environment cannot be built here."""


def run(environment: str, script: Path, *arguments: Any) -> Any:
    """Run a script in an environment, and return the JSON value on the last line of its output.

    When the environment cannot be built, skip the test with a warning; fail it when ``CI=true``.

    :param arguments: arguments of the script, each passed as JSON.
    """
    python = _available(environment)
    if isinstance(python, str):
        reason = f"NOT TESTED with the packages of requirements/{environment}.txt: {python}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        warnings.warn(reason, stacklevel=1)
        pytest.skip(reason)
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
    """Build an environment unless it is up to date, and return its interpreter.

    :param pinned: a complete requirements file, whose name is that of the environment.
    :raises UnavailableError: with the step that failed.
    """
    required = pinned.read_bytes()
    home = ROOT / f".venv-{pinned.stem}"
    python, built = home / "bin" / "python", home / "requirements.txt"
    if python.exists() and built.exists() and built.read_bytes() == required:
        return python
    command = _uv()
    _run(command, "venv", "--quiet", "--clear", "--python", _python_3_11(), str(home))
    # The requirements of these clients are years old; the file overrides them.
    _run(command, "pip", "install", "--quiet", "--no-deps", "--python", str(python), "-r", str(pinned))
    built.write_bytes(required)
    return python


def install_package(folder: Path) -> None:
    """Install this checkout's package in a folder, with its metadata and without its requirements.

    :raises UnavailableError: with the step that failed.
    """
    _run(_uv(), "pip", "install", "--quiet", "--no-deps", "--target", str(folder), str(ROOT))


def _uv() -> str:
    uv = ROOT / ".venv" / "bin" / "uv"
    command = str(uv) if uv.exists() else shutil.which("uv")
    if command is None:
        raise UnavailableError("there is no uv, neither in .venv nor on PATH")
    return command


def _python_3_11() -> str:
    """Return a Python 3.11, the current interpreter if possible."""
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
