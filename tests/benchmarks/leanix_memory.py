"""Memory of a task that transfers a large result or a large input.

Run: ``python -m tests.benchmarks.leanix_memory``. The service and each task are processes of their own. The
growth is that of the task's peak memory (``VmHWM``) after all imports. The script in the vendor's style holds
a result as a whole, parses it and writes it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SERVER = """
import json, sys
from airflow_provider.sandbox.server import Sandbox
with Sandbox() as sandbox:
    leanix = sandbox.leanix
    leanix.queue_seconds = leanix.run_seconds = leanix.seconds_per_item = 0
    leanix.more_applications = int(float(sys.argv[1]) * 1e6 / 290)  # bytes of each in a result
    print(json.dumps(sandbox.connections), flush=True)
    sys.stdin.read()
"""
TASK = """
import json, os, sys
import msgspec, requests  # every LeanIX task has them loaded
def peak():
    (line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1000
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.ldif.document import make_header, prepare
way, path, connection = sys.argv[1:]
os.environ["AIRFLOW_CONN_LEANIX_DEFAULT"] = connection
library = peak()
if way.endswith("parquet"):
    import pyarrow.parquet
library = peak() - library
inbound = way.startswith("input")
kind = ("cmdb", "campus", "inbound") if inbound else ("report", "landscape", "outbound")
with LeanIXHook() as hook:
    header = make_header(connector_type=kind[0], connector_id=kind[1], connector_version="1.0.0",
                         processing_direction=kind[2])
    small = [{"type": "Nothing", "id": "1", "data": {}}] if inbound else None
    run_id = hook.create_run(prepare(header, small))
    hook.start_run(run_id)
    hook.get_run_status(run_id)
    open("/proc/self/clear_refs", "w").write("5")  # resets the peak
    before = peak()
    if inbound:
        ldif = prepare(header, path)
        hook.create_run(ldif)
        size = ldif.size
    elif way == "script":
        from airflow_provider.leanix import api
        reply = requests.get(hook.send(api.get_results_url(run_id)))
        with open(path, "w") as file:
            json.dump(reply.json(), file, indent=2)
        size = len(reply.content)
    else:
        size = hook.download_results(run_id, path, output_format=way.partition(" ")[2])["bytes"]
    print(json.dumps({"megabytes": size / 1e6, "growth": peak() - before, "library": library}))
"""
WAYS = {
    "result ldif": 300,
    "result jsonl": 300,
    "script": 300,
    "input jsonl": 200,
    "input ldif": 200,
    "input parquet": 200,
}
"""Transfers, and their size in MB."""


def transfer(way: str, megabytes: float) -> dict[str, float]:
    """Start a service in a process of its own, and measure the transfer of a result or an input.

    :param way: a key of :data:`WAYS`.
    :param megabytes: size of what is transferred.
    """
    server = [sys.executable, "-c", SERVER, "0" if way.startswith("input") else str(megabytes)]
    with subprocess.Popen(server, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdin
        connection = json.loads(process.stdout.readline())["leanix_default"]
        try:
            return measure(way, megabytes, connection)
        finally:
            process.stdin.close()


def measure(way: str, megabytes: float, connection: str) -> dict[str, float]:
    """Transfer a result or an input, and return its size and the growth of the task's memory, in MB.

    ``library`` is the memory of pyarrow, which the growth does not include.

    :param way: a key of :data:`WAYS`.
    :param megabytes: size of an input; a result has the service's.
    :param connection: the connection as JSON.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file.{way.partition(' ')[2] or 'json'}"
        if way.startswith("input"):
            write_content(path, megabytes)
        task = [sys.executable, "-c", TASK, way, str(path), connection]
        done = subprocess.run(task, check=True, stdout=subprocess.PIPE, text=True, timeout=500)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def items(megabytes: float) -> Iterator[dict[str, Any]]:
    """Yield items of 300 bytes each, which compress badly."""
    for number in range(int(megabytes * 1e6 / 300)):
        yield {"type": "Nothing", "id": f"i{number:09}", "data": {"name": os.urandom(120).hex()}}


def write_content(path: Path, megabytes: float) -> None:
    """Write items of about this total size, in the format of the path's suffix."""
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = ({**item, "data": json.dumps(item["data"])} for item in items(megabytes))
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
        return
    head, between, tail = ('{"content":[', ",", "]}") if path.suffix == ".ldif" else ("", "\n", "")
    with path.open("w") as file:
        file.write(head)
        for number, item in enumerate(items(megabytes)):
            file.write((between if number else "") + json.dumps(item))
        file.write(tail)


def main() -> None:
    """Print the table."""
    growths: dict[str, float] = {}
    print(f"{'':14} {'MB':>6} {'growth MB':>10} {'of its size':>12} {'seconds':>8}")
    for way, size in WAYS.items():
        began = time.perf_counter()
        found = transfer(way, size)
        growths[way] = found["growth"]
        share, seconds = found["growth"] / found["megabytes"], time.perf_counter() - began
        row = f"{way:14} {found['megabytes']:6.0f} {found['growth']:10.1f} {share:12.2f} {seconds:8.1f}"
        print(row, flush=True)
    print(f"loading pyarrow, for Parquet only: {found['library']:.0f} MB more")
    print(f"a result, beside the script's way: {growths['result ldif'] / growths['script']:.4f}")


if __name__ == "__main__":
    main()
