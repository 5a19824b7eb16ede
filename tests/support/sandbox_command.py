"""The sandbox's command in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def command(*arguments: str) -> subprocess.Popen[str]:
    """Start the command with pipes for its output."""
    return subprocess.Popen(
        [sys.executable, "-m", "airflow_provider.sandbox", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def url_of(process: subprocess.Popen[str]) -> str:
    """Return the URL that the command prints first; fail with its errors when it prints none."""
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    assert line.startswith("# Sandbox at"), line + process.stderr.read()
    return line.split()[3].rstrip(",")


@contextmanager
def running(*arguments: str) -> Iterator[str]:
    """Run the command on a free port for a block; yield the sandbox's URL."""
    with command("--port", "0", *arguments) as process:
        try:
            yield url_of(process)
        finally:
            process.terminate()
            process.communicate(timeout=20)
