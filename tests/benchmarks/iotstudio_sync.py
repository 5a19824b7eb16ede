"""Speed and memory of the sync of Things: 5,000 and 20,000 Things, of which 1 % changed.

Run: ``python -m tests.benchmarks.iotstudio_sync``. The sandbox and each sync are processes of their own. The
rows come from a file of JSON Lines.
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

SIZES = (5_000, 20_000)
MAX_MB_PER_THOUSAND = 3.0


def sync(folder: str) -> None:
    """Sync in this process; write the result, seconds and peak memory in MB into a file."""
    from airflow_provider.iotstudio.operators import IoTStudioSyncThingsOperator

    began = time.perf_counter()
    operator = IoTStudioSyncThingsOperator(task_id="sync", source=f"{folder}/rows.jsonl")
    result = operator.execute({})
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    Path(folder, "measured").write_text(json.dumps([result, seconds, peak]))


def main() -> None:
    """Print one line per size, and the growth of memory."""
    peaks = []
    for size in SIZES:
        with SandboxProcess(size) as sandbox, tempfile.TemporaryDirectory() as folder:
            uids = sandbox.ask("things")[-size:]
            with Path(folder, "rows.jsonl").open("w") as file:
                for number, uid in enumerate(uids):
                    changed = {"description": "new"} if number % 100 == 0 else {"categories": []}
                    file.write(json.dumps({"uid": uid, **changed}) + "\n")
            environment = {**os.environ, "AIRFLOW_CONN_IOTSTUDIO_DEFAULT": sandbox.connection}
            command = [sys.executable, "-m", __spec__.name, "sync", folder]
            sandbox.requests()
            subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
            lists, writes = sandbox.ask("count"), 0
            writes = sum(count for route, count in lists.items() if " PATCH " in route)
            result, seconds, peak = json.loads(Path(folder, "measured").read_text())
            peaks.append(peak)
            print(
                f"{size:6} Things: {result['update']} updated, {result['unchanged']} unchanged,"
                f" {lists['iotstudio GET /spaces/{space}/things']} lists, {writes} writes, {seconds:5.1f} s,"
                f" peak {peak:4.0f} MB",
                flush=True,
            )
    growth = (peaks[-1] - peaks[0]) / (SIZES[-1] - SIZES[0]) * 1000
    print(f"{growth:.2f} MB per 1000 further Things (limit {MAX_MB_PER_THOUSAND})")
    sys.exit(0 if growth <= MAX_MB_PER_THOUSAND else "a target was missed")


if __name__ == "__main__":
    if "sync" in sys.argv[1:2]:
        sync(sys.argv[2])
    else:
        main()
