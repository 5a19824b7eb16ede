"""Prints how much memory a big result and a big input take on their way through a task's process.

Run: ``python -m tests.benchmarks.leanix_memory``. The service and the task are processes of their own. The
script in the vendor's style holds a result whole, reads it and writes it again.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SERVER = """
import json, sys
from airflow_provider.sandbox.leanix import landscape
from airflow_provider.sandbox.server import Sandbox
with Sandbox() as sandbox:
    leanix = sandbox.leanix
    leanix.queue_seconds = leanix.run_seconds = leanix.seconds_per_item = 0
    leanix.more_applications = int(float(sys.argv[1]) * 1e6 / 290)
    print(json.dumps(sandbox.connections), flush=True)
    sys.stdin.read()
"""
TASK = """
import json, os, sys
import msgspec, requests  # what every LeanIX task has loaded when it begins
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.ldif import make_header, prepare
way, path, connection = sys.argv[1:]
os.environ["AIRFLOW_CONN_LEANIX_DEFAULT"] = connection
def peak():
    (line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1000
kind = ("report", "landscape", "outbound") if way != "input" else ("cmdb", "campus", "inbound")
with LeanIXHook() as hook:
    header = make_header(connector_type=kind[0], connector_id=kind[1], connector_version="1.0.0",
                         processing_direction=kind[2])
    small = None if way != "input" else [{"type": "Nothing", "id": "1", "data": {}}]
    run_id = hook.create_run(prepare(header, small))
    hook.start_run(run_id)
    hook.get_run_status(run_id)
    open("/proc/self/clear_refs", "w").write("5")  # the peak so far does not count
    before = peak()
    if way == "result":
        size = hook.download_results(run_id, path)["bytes"]
    elif way == "input":
        hook.create_run(prepare(header, path))
        size = os.path.getsize(path)
    else:
        from airflow_provider.leanix import api
        reply = requests.get(hook.send(api.get_results_url(run_id)))
        with open(path, "w") as file:
            json.dump(reply.json(), file, indent=2)
        size = len(reply.content)
    print(json.dumps({"megabytes": size / 1e6, "growth": peak() - before}))
"""


def carry(way: str, megabytes: float) -> dict[str, float]:
    """Carry a result, or an input, and give its size and the growth of the task's memory, in MB.

    :param way: ``result``, ``input``, or ``script``: a result in the script's style.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("items.jsonl" if way == "input" else "result.json")
        if way == "input":
            write_items(path, megabytes)
        size = "0" if way == "input" else str(megabytes)
        server = [sys.executable, "-c", SERVER, size]
        with subprocess.Popen(server, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            connection = json.loads(process.stdout.readline())["leanix_default"]
            task = [sys.executable, "-c", TASK, way, str(path), connection]
            try:
                said = subprocess.run(task, check=True, capture_output=True, text=True, timeout=500).stdout
            finally:
                assert process.stdin
                process.stdin.close()
    found: dict[str, float] = json.loads(said.splitlines()[-1])
    return found


def write_items(path: Path, megabytes: float) -> None:
    """Write a JSON Lines file of about this size."""
    text = "x" * 900
    with path.open("w") as file:
        for number in range(int(megabytes * 1000)):
            item: dict[str, Any] = {"type": "Nothing", "id": f"i{number:09}", "data": {"name": text}}
            file.write(json.dumps(item) + "\n")


def main() -> None:
    """Print the table."""
    print(f"{'':8} {'MB':>6} {'growth MB':>10} {'seconds':>8}")
    for way, size in (("result", 300), ("script", 300), ("input", 200)):
        began = time.perf_counter()
        found = carry(way, size)
        seconds = time.perf_counter() - began
        print(f"{way:8} {found['megabytes']:6.0f} {found['growth']:10.0f} {seconds:8.1f}")


if __name__ == "__main__":
    main()
