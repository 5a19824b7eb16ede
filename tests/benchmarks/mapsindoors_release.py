"""Cost of planning a sync, beside that of another checkout of this project, such as an earlier release.

Run: ``python -m tests.benchmarks.mapsindoors_release CHECKOUT [rows]``. Rows are read, checked and planned.
Both checkouts take turns in one run, with the same interpreter and packages. Seconds are those of CPU, the
least of all runs, so that other work on the machine counts little.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.benchmarks.mapsindoors_sync import serve, write_rows
from tests.benchmarks.runner import ROOT, Contender, Setup

ROUNDS, RUNS = 4, 3
"""Processes of each checkout and source, and measured runs of each process."""

LIMIT = 1.2
"""Maximum time of this checkout, by that of the other."""

DESK = {"baseType": "poi", "displayType": "Workspace", "parentExternalId": "A-0", "capacity": 1}


def new_desks(count: int) -> Iterable[dict[str, Any]]:
    """Yield rows of desks that the map does not have, as tables have them."""
    for number in range(count):
        place = {"lon": 12.5705 + number % 100 * 1e-6, "lat": 55.7805 + number // 100 * 1e-6}
        yield {"externalId": f"D-{number:05d}", "name": f"Desk {number}", **place, **DESK}


def write_sources(folder: Path, rows: list[dict[str, Any]]) -> dict[str, tuple[Path, dict[str, int]]]:
    """Write the sources, and return their paths and counts by title."""
    count, changed = len(rows), len(rows[::100])
    known = write_rows(folder / "rows.jsonl", rows, "!")
    features = folder / "rows.geojson"
    with features.open("w") as file:
        listed = [
            {
                "type": "Feature",
                "geometry": row["geometry"],
                "properties": {"externalId": row["externalId"], "name": row["name"]},
            }
            for row in rows
        ]
        json.dump({"type": "FeatureCollection", "features": listed}, file)
    table = folder / "desks.csv"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(next(iter(new_desks(1)))))
        writer.writeheader()
        writer.writerows(new_desks(count))
    return {
        "JSON Lines, 1 % changed": (known, {"update": changed, "unchanged": count - changed}),
        "GeoJSON, unchanged": (features, {"unchanged": count}),
        "CSV, all new": (table, {"create": count}),
    }


def compare(other: Path, connection: str, source: Path, plan: Path, expected: dict[str, int]) -> list[float]:
    """Return the least seconds of CPU of this checkout, and of the other."""
    setup = Setup(
        {"source": str(source), "plan_output": str(plan), "runs": RUNS},
        {"mapsindoors_default": connection},
        expected={"failed": 0, **expected},
    )
    least = [float("inf"), float("inf")]
    for _ in range(ROUNDS):
        for at, code in enumerate((ROOT, other)):
            done = setup.run(Contender(str(code), "plan_ours", code=code))
            if not Path(done["code"]).is_relative_to(code):
                raise RuntimeError(f"the package was imported from {done['code']}, not from {code}")
            least[at] = min(least[at], done["least"])
    return least


def main() -> int:
    """Print a line per source; returns 1 when one takes more than the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=lambda text: Path(text).resolve())
    parser.add_argument("rows", type=int, nargs="?", default=10_000)
    arguments = parser.parse_args()
    here, there = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(arguments.rows, there))
    server.start()
    connection, rows = here.recv()
    print(f"{arguments.rows:,} rows read, checked and planned; least of {ROUNDS * RUNS} runs")
    print(f"{'source':26} {'other s':>8} {'this s':>8} {'ratio':>6}")
    ratios = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title, (source, expected) in write_sources(folder, rows).items():
            ours, theirs = compare(arguments.checkout, connection, source, folder / "plan.json", expected)
            ratios.append(ours / theirs)
            print(f"{title:26} {theirs:8.2f} {ours:8.2f} {ratios[-1]:6.2f}", flush=True)
    here.send("stop")
    server.join()
    return int(max(ratios) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
