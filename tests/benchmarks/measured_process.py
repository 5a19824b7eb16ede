"""Measured process of a contender: ``python measured_process.py contenders/<name>.py``, stdlib only.

It imports the file, prints ``ready``, reads the arguments as a line of JSON, and measures the file's ``run``.
It prints a line of JSON: seconds, seconds of CPU, peak memory in MB, growth of memory since ``ready`` in MB,
and the fields that ``run`` returned.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import sys
import time
from pathlib import Path


def memory(name: str) -> float:
    """Return the memory of this process in MB: ``VmRSS`` for the current value, ``VmHWM`` for the peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1000


def main(path: str) -> None:
    """Import the contender, run it, and print the report."""
    spec = importlib.util.spec_from_file_location("contender", path)
    assert spec
    assert spec.loader
    contender = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(contender)
    gc.collect()  # Else the imports' garbage may be collected during the run.
    before = memory("VmRSS")
    print("\nready", flush=True)
    given = json.loads(sys.stdin.readline())
    clock, cpu = time.perf_counter(), time.process_time()
    returned = contender.run(**given)
    spent = {"seconds": time.perf_counter() - clock, "cpu": time.process_time() - cpu}
    held = {"mb": memory("VmHWM"), "grown": memory("VmRSS") - before}
    print("\n" + json.dumps({**spent, **held, **(returned or {})}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
