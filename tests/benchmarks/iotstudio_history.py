"""Speed of exporting the history of 200 Things, and growth of memory with its length.

Run: ``python -m tests.benchmarks.iotstudio_history [--long]``. The sandbox and each export are processes of
their own. ``--long`` also exports 50,000 values per Thing, 10 million rows.
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

from tests.benchmarks.iotstudio_process import SandboxProcess

THINGS, SHORT, LONG = 200, (500, 5_000), 50_000
MAX_GROWTH = 1.15


def export(folder: str, values: int) -> None:
    """Export in this process; write rows, requests, seconds and peak memory in MB into a file."""
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
    """Print one line per length, and the growth of memory."""
    lengths = [*SHORT, *([LONG] if "--long" in sys.argv else [])]
    peaks = []
    with SandboxProcess() as sandbox, tempfile.TemporaryDirectory() as folder:
        uids = sandbox.ask("things")[:THINGS]
        environment = {
            **os.environ,
            "AIRFLOW_CONN_IOTSTUDIO_DEFAULT": sandbox.connection,
            "UIDS": json.dumps(uids),
        }
        for values in lengths:
            sandbox.ask("history", values)
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
    for number in range(1, len(peaks)):
        more, growth = lengths[number] // lengths[number - 1], peaks[number] / peaks[number - 1]
        print(f"{lengths[number]} values: {more} times the rows, {growth:.2f} times the memory")
    growth = peaks[-1] / peaks[0]
    print(f"{lengths[-1] // lengths[0]} times the rows: {growth:.2f} times the memory (limit {MAX_GROWTH})")
    sys.exit(0 if growth <= MAX_GROWTH else "a target was missed")


if __name__ == "__main__":
    if "export" in sys.argv:
        export(sys.argv[2], int(sys.argv[3]))
    else:
        main()
