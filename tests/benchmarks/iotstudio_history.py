"""Prints how fast the history of 200 Things is exported, and how memory grows with its length.

Run: ``python -m tests.benchmarks.iotstudio_history [--long]``. The sandbox is a process of its own, each
export, too. ``--long`` exports 50,000 values a Thing, 10 million rows, beside the shorter ones.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.iotstudio_served import Served

THINGS, SHORT, LONG = 200, (500, 5_000), 50_000
MOST_GROWTH = 1.15


def export(folder: str, values: int) -> None:
    """Export in this process; rows, requests, seconds and the peak of memory in MB go into a file."""
    from airflow_provider.iotstudio.operators import IoTStudioExportHistoryOperator

    uids = json.loads(os.environ["UIDS"])
    operator = IoTStudioExportHistoryOperator(
        task_id="history", output_path=f"{folder}/history.jsonl", thing_ids=uids, start="2026-01-01"
    )
    began = time.perf_counter()
    result = operator.execute({})
    seconds = time.perf_counter() - began
    if result["rows"] != THINGS * values:
        raise AssertionError(f"{result['rows']} rows, not {THINGS * values}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    Path(folder, "measured").write_text(json.dumps([result["rows"], result["requests"], seconds, peak]))


def main() -> None:
    """Print one line for each length, and how memory has grown."""
    lengths = [*SHORT, *([LONG] if "--long" in sys.argv else [])]
    peaks = []
    with Served() as served, tempfile.TemporaryDirectory() as folder:
        uids = served.ask("things")[:THINGS]
        environment = {
            **os.environ,
            "AIRFLOW_CONN_IOTSTUDIO_DEFAULT": served.connection,
            "UIDS": json.dumps(uids),
        }
        for values in lengths:
            served.ask("history", values)
            command = [sys.executable, "-m", __spec__.name, "export", folder, str(values)]
            subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
            rows, requests, seconds, peak = json.loads(Path(folder, "measured").read_text())
            peaks.append(peak)
            size = Path(folder, "history.jsonl").stat().st_size / 1e6
            print(
                f"{THINGS} Things x {values:6} values: {rows:9} rows, {size:6.0f} MB, {requests:6} requests,"
                f" {seconds:6.1f} s, {rows / seconds:7.0f} rows a second, peak {peak:4.0f} MB",
                flush=True,
            )
    growth = peaks[-1] / peaks[0]
    print(f"{lengths[-1] // lengths[0]} times the rows: {growth:.2f} times the memory (may be {MOST_GROWTH})")
    sys.exit(0 if growth <= MOST_GROWTH else "a target was missed")


if __name__ == "__main__":
    if "export" in sys.argv:
        export(sys.argv[2], int(sys.argv[3]))
    else:
        main()
