"""Tables of a large result: memory and time of writing them, beside those of writing the plain LDIF.

Run: ``python -m tests.benchmarks.leanix_tables``. Each way is a process of its own, which reads the same LDIF
of 200,000 items of 5 types from local disk. The growth is that of the peak memory (``VmHWM``) after all
imports; seconds are those of the CPU.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ITEMS = 200_000
TYPES = ("Application", "ITComponent", "Provider", "BusinessCapability", "Interface")
WAYS = ("ldif", "jsonl", "csv", "parquet")

TASK = """
import json, sys, time
import msgspec, requests, airflow.sdk
from airflow.sdk import ObjectStoragePath
from airflow_provider.leanix.ldif import download
from airflow_provider.leanix.tables import write
import logging
way, source, folder = sys.argv[1:]
def peak():
    (line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1000
library = peak()
if way == "parquet":
    import pyarrow.parquet
library = peak() - library
class Results:
    log = logging.getLogger()
    status = 200
    def chunks(self):
        with open(source, "rb") as file:
            while block := file.read(1 << 20):
                yield block
ObjectStoragePath(folder + "/x").exists()
open("/proc/self/clear_refs", "w").write("5")  # resets the peak
before, began = peak(), time.process_time()
path = folder + ("/result.ldif" if way == "ldif" else "/")
target = download._Target(Results(), "run", path, None if way == "ldif" else way, None)
found = target.save(Results())
print(json.dumps({"rows": found["rows"], "bytes": found["bytes"], "growth": peak() - before,
                  "library": library, "cpu": time.process_time() - began}))
"""


def item(number: int, dice: random.Random) -> dict[str, Any]:
    """Return an item of some 400 bytes."""
    name = f"{TYPES[number % 5]} {number}"
    return {
        "type": TYPES[number % 5],
        "id": f"{dice.getrandbits(128):032x}",
        "data": {
            "name": name,
            "description": f"{name} serves the campus, {dice.getrandbits(200):050x}",
            "lifecycle": {"phase": dice.choice(["plan", "active", "phaseOut"]), "startDate": "2024-01-01"},
            "cost": dice.randrange(10**6) / 100,
            "users": dice.randrange(1000),
            "tags": ["campus", dice.choice(["cloud", "on-premise"])],
            "owner": None if number % 3 else {"name": "Facilities", "mail": f"o{number % 90}@campus.example"},
        },
    }


def write_ldif(path: Path, items: int) -> None:
    """Write an LDIF of this number of items."""
    dice = random.Random(7)
    with path.open("w") as file:
        file.write('{"connectorType": "report", "content": [')
        for number in range(items):
            file.write(("," if number else "") + json.dumps(item(number, dice)))
        file.write("]}")


def measure(way: str, source: Path, folder: str) -> dict[str, float]:
    """Write a result in one way, and return what it took.

    :param way: one of :data:`WAYS`.
    """
    command = [sys.executable, "-c", TASK, way, str(source), folder]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=500)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source.ldif")
        write_ldif(source, ITEMS)
        print(f"{ITEMS:,} items of {len(TYPES)} types, {source.stat().st_size / 1e6:.0f} MB of LDIF")
        print(f"{'':10} {'MB':>6} {'growth MB':>10} {'CPU s':>8} {'ratio':>6}")
        plain = 0.0
        for way in WAYS:
            with tempfile.TemporaryDirectory() as output:
                found = measure(way, source, output)
            plain = plain or found["cpu"]
            row = f"{way:10} {found['bytes'] / 1e6:6.0f} {found['growth']:10.1f} {found['cpu']:8.2f}"
            print(f"{row} {found['cpu'] / plain:6.1f}", flush=True)
        print(f"loading pyarrow, for Parquet only: {found['library']:.0f} MB more")


if __name__ == "__main__":
    main()
