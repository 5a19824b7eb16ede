"""Runs one side of a comparison: ``python measured.py sides/<name>.py``; needs nothing but the stdlib.

What the file imports is loaded, ``ready`` is printed, a line of JSON with the arguments is read, and the
file's ``run`` is timed. Prints a line of JSON: seconds, seconds of CPU, the most memory this process has had
in MB, how much more it has than at ``ready``, and what ``run`` returned.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from pathlib import Path


def memory(name: str) -> float:
    """Give this process's memory in MB: ``VmRSS`` is what it has, ``VmHWM`` the most that it has had."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1000


def main(path: str) -> None:
    """Load, run, report."""
    spec = importlib.util.spec_from_file_location("side", path)
    assert spec
    assert spec.loader
    side = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(side)
    before = memory("VmRSS")
    print("\nready", flush=True)
    given = json.loads(sys.stdin.readline())
    clock, cpu = time.perf_counter(), time.process_time()
    returned = side.run(**given)
    spent = {"seconds": time.perf_counter() - clock, "cpu": time.process_time() - cpu}
    held = {"mb": memory("VmHWM"), "grown": memory("VmRSS") - before}
    print("\n" + json.dumps({**spent, **held, **(returned or {})}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
