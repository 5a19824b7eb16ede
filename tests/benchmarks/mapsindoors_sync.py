"""Prints what a sync of many objects costs, beside a script that sends one PUT an object.

Run: ``python -m tests.benchmarks.mapsindoors_sync [objects]``
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CHANGED = 100
"""One row of this many is changed."""


def serve(objects: int, conn: Any) -> None:
    """Run the sandbox in a process of its own, so that only the sync is measured."""
    from airflow_provider.sandbox.mapsindoors import MapsIndoorsService, seed
    from airflow_provider.sandbox.server import Sandbox

    with Sandbox(kinds=[MapsIndoorsService]) as sandbox:
        seed.grow(sandbox.mapsindoors.campus, objects)
        rows = [
            {
                "externalId": one["externalId"],
                "name": one["properties"]["name@en"] + ("!" if number % CHANGED == 0 else ""),
                "geometry": one["geometry"],
                "displayTypeId": one["displayTypeId"],
            }
            for number, one in enumerate(sandbox.mapsindoors.campus.geodata.values())
            if (one.get("externalId") or "").startswith("G-")
        ]
        conn.send((sandbox.connections["mapsindoors_default"], rows))
        conn.recv()
        conn.send(sandbox.mapsindoors.limit.busiest())


def memory() -> float:
    """Give the most memory this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def main(objects: int) -> None:
    """Plan, apply and apply again; print a line each."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(objects, there))
    server.start()
    folder = Path(tempfile.mkdtemp())
    os.environ["AIRFLOW_CONN_MAPSINDOORS_DEFAULT"], rows = here.recv()
    source = folder / "rows.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)))
    changes = sum(row["name"].endswith("!") for row in rows)
    del rows

    import requests  # noqa: F401 - its import is not what is measured

    from airflow_provider.mapsindoors.operators import MapsIndoorsSyncGeodataOperator

    print(f"{objects} objects, {changes} of them changed")
    print(f"{'':12} {'requests':>8} {'cpu s':>7} {'s':>7} {'MB more':>8}")
    for name, options in (
        ("plan", {"mode": "plan", "plan_output": str(folder / "plan.json")}),
        ("apply", {}),
        ("apply again", {}),
    ):
        before, cpu, clock = memory(), time.process_time(), time.monotonic()
        task = MapsIndoorsSyncGeodataOperator(task_id="sync", source=str(source), **options)
        done = task.execute({})
        spent = (time.process_time() - cpu, time.monotonic() - clock, memory() - before)
        print(f"{name:12} {done['requests']:8} {spent[0]:7.1f} {spent[1]:7.1f} {spent[2]:8.0f}")
    print(f"one PUT an object would be {objects} requests; one for each changed object {changes}")
    here.send("stop")
    print(f"most requests in any second: {here.recv()}")
    server.join()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
