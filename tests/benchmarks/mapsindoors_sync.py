"""Cost of a sync of many objects, beside scripts that send one PUT per object.

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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

CHANGED = 100
"""Rows per changed row."""
ROUNDS = 3
AT_ONCE = 4
MAX_OBJECTS_FOR_SCRIPTS = 10_000
"""Maximum objects for measuring scripts, which send 10 requests per second."""


def serve(objects: int, conn: Any) -> None:
    """Run the sandbox in a process of its own, so that only the sync is measured."""
    from airflow_provider.sandbox.mapsindoors import MapsIndoorsService, seed
    from airflow_provider.sandbox.server import Sandbox

    with Sandbox(kinds=[MapsIndoorsService]) as sandbox:
        seed.grow(sandbox.mapsindoors.campus, objects)
        rows = [
            {
                "externalId": one["externalId"],
                "name": one["properties"]["name@en"],
                "geometry": one["geometry"],
                "displayTypeId": one["displayTypeId"],
            }
            for one in sandbox.mapsindoors.campus.geodata.values()
            if (one.get("externalId") or "").startswith("G-")
        ]
        conn.send((sandbox.connections["mapsindoors_default"], rows))
        conn.recv()
        conn.send(sandbox.mapsindoors.limit.busiest())


def memory() -> float:
    """Return the peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def sync(source: Path, **options: Any) -> dict[str, Any]:
    """Run the operator, and return its counts, seconds, seconds of CPU and growth of memory."""
    from airflow_provider.mapsindoors.operators import MapsIndoorsSyncGeodataOperator

    before, cpu, clock = memory(), time.process_time(), time.monotonic()
    done = MapsIndoorsSyncGeodataOperator(task_id="sync", source=str(source), **options).execute({})
    spent = {"cpu": time.process_time() - cpu, "s": time.monotonic() - clock, "mb": memory() - before}
    return {**done, **spent}


def single_puts(rows: list[dict[str, Any]], mark: str) -> tuple[int, float]:
    """Rename the changed objects with one PUT each, and return requests and seconds."""
    from airflow_provider.mapsindoors.hooks import MapsIndoorsHook

    clock = time.monotonic()
    with MapsIndoorsHook() as hook:
        found = {item.get("externalId"): item for item in hook.list_geodata(base_types="room")}
        for row in rows:
            item = found[row["externalId"]]
            properties = {**item["properties"], "name@en": row["name"] + mark}
            hook.update_geodata([{"id": item["id"], "properties": properties}])
        return hook.requests, time.monotonic() - clock


def write_rows(path: Path, rows: list[dict[str, Any]], mark: str) -> Path:
    """Write the source: unchanged objects, and changed objects with another name."""
    with path.open("w") as out:
        for number, row in enumerate(rows):
            name = row["name"] + (mark if number % CHANGED == 0 else "")
            out.write(json.dumps({**row, "name": name}) + "\n")
    return path


def main(objects: int) -> None:
    """Plan, apply, apply again; then alternate syncs and scripts; then run several syncs at once."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(objects, there))
    server.start()
    folder = Path(tempfile.mkdtemp())
    os.environ["AIRFLOW_CONN_MAPSINDOORS_DEFAULT"], rows = here.recv()
    source = write_rows(folder / "rows.jsonl", rows, "!")
    changed = rows[::CHANGED]
    del rows

    import requests  # noqa: F401 - its import is not measured

    print(f"{objects} objects, {len(changed)} of them changed")
    print(f"{'':12} {'requests':>8} {'cpu s':>7} {'s':>7} {'MB more':>8}")
    planned = {"mode": "plan", "plan_output": str(folder / "plan.json")}
    for name, options in (("plan", planned), ("apply", {}), ("apply again", {})):
        done = sync(source, **options)
        print(f"{name:12} {done['requests']:8} {done['cpu']:7.1f} {done['s']:7.1f} {done['mb']:8.0f}")
    if objects <= MAX_OBJECTS_FOR_SCRIPTS:
        compare_with_scripts(source, changed, objects)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(sync, [source] * AT_ONCE))
        print(f"{AT_ONCE} syncs at once, too")
    here.send("stop")
    print(f"most requests in any second of all this: {here.recv()} (10 are allowed)")
    server.join()


def compare_with_scripts(source: Path, changed: list[dict[str, Any]], objects: int) -> None:
    """Alternate single PUTs, which undo the changes, and syncs; print the ratios."""
    ratios = []
    for _ in range(ROUNDS):
        puts, took = single_puts(changed, "")
        done = sync(source)
        ratios.append((puts / done["requests"], took / done["s"]))
    requests, seconds = (sorted(column)[ROUNDS // 2] for column in zip(*ratios, strict=True))
    print(f"one PUT for each changed object: {requests:.0f} times the requests, {seconds:.1f} times the time")
    every = objects / done["requests"]
    print(
        f"one PUT for every object: {every:.0f} times the requests, at least {objects / 10:.0f} s (counted)"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
