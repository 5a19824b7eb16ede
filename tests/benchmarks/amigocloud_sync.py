"""Sync of a dataset, of which one row in a hundred changes, beside its export: time, writes, memory.

Run: ``python -m tests.benchmarks.amigocloud_sync [--rows 100000] [--rounds 3]``. The sandbox is a process of
its own and delays each reply by 50 ms. All contenders alternate in rounds, after one run to warm up; results
are medians. ``read`` is the plan of a source with the changed rows only: the whole dataset is read, and its
rows are looked up. A plan of all rows also reads, checks and compares them; a sync writes and verifies, too.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import structlog

from tests.benchmarks.amigocloud_export import TABLE, report, served

CHANGED = 100
"""Rows per changed row."""

THREADS = 4
MORE = 4
"""Factor by which the larger dataset of the measurement of memory is larger."""

MEMORY = "import sys; from tests.benchmarks.amigocloud_sync import memory; memory(*sys.argv[1:])"


def export(path: Path, dataset: int) -> dict[str, Any]:
    """Export the dataset."""
    from airflow_provider.amigocloud.operators import AmigoCloudExportOperator

    task = AmigoCloudExportOperator(task_id="x", output_path=str(path), dataset=dataset, concurrency=THREADS)
    done: dict[str, Any] = task.execute({})
    return done


def sync(source: Path, dataset: int, **more: Any) -> dict[str, Any]:
    """Sync the dataset with the rows of a file."""
    from airflow_provider.amigocloud.operators import AmigoCloudSyncDatasetOperator

    task = AmigoCloudSyncDatasetOperator(
        task_id="x", source=str(source), dataset=dataset, key="number", concurrency=THREADS, **more
    )
    done: dict[str, Any] = task.execute({})
    return done


def change(exported: Path, source: Path, mark: str) -> None:
    """Write the source: the rows of an export, some of them with another name, which are in a file, too."""
    with exported.open() as rows, source.open("w") as out, source.with_suffix(".few.jsonl").open("w") as few:
        for number, line in enumerate(rows):
            if number % CHANGED == 0:
                row = json.loads(line)
                line = json.dumps({**row, "name": f"{row['name']} {mark}"}) + "\n"
                few.write(line)
            out.write(line)


def memory(source: str, dataset: str) -> None:
    """Sync in this process, and print its peak memory in MB."""
    sync(Path(source), int(dataset))
    text = Path("/proc/self/status").read_text()
    print(int(next(line for line in text.splitlines() if line.startswith("VmHWM")).split()[1]) / 1000)


def memory_of(source: Path, dataset: int) -> float:
    """Sync in a process of its own, and return its peak memory in MB."""
    command = [sys.executable, "-c", MEMORY, str(source), str(dataset)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def timed(run: Any) -> tuple[float, dict[str, Any]]:
    """Return the seconds and the result of a run."""
    began = time.perf_counter()
    result = run()
    return time.perf_counter() - began, result


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    sizes = [arguments.rows, arguments.rows // MORE]
    TABLE.update(zip(sizes, (3101, 3102), strict=True))
    with tempfile.TemporaryDirectory() as name, served(sizes):
        folder = Path(name)
        compare(folder, TABLE[sizes[0]], arguments.rounds)
        peaks = []
        for size in sizes:
            exported, source = folder / "before.jsonl", folder / "memory.jsonl"
            export(exported, TABLE[size])
            change(exported, source, "for memory")
            peaks.append(memory_of(source, TABLE[size]))
        report(f"MB more for {sizes[0]:,} rows than for {sizes[1]:,}", peaks[0] - peaks[1], "<= 20")


def compare(folder: Path, dataset: int, rounds: int) -> None:
    """Print the time of a plan and of a sync beside that of an export."""
    exported, source = folder / "rows.jsonl", folder / "source.jsonl"
    export(exported, dataset)
    few = source.with_suffix(".few.jsonl")
    spent: dict[str, list[float]] = {"export": [], "read": [], "plan": [], "sync": []}
    for turn in range(-1, rounds):
        change(exported, source, str(turn))
        given = {"mode": "plan", "plan_output": str(folder / "plan.json")}
        for label, run in {
            "export": lambda: export(folder / "again.jsonl", dataset),
            "read": lambda given=given: sync(few, dataset, **given),
            "plan": lambda given=given: sync(source, dataset, **given),
            "sync": lambda: sync(source, dataset),
        }.items():
            seconds, result = timed(run)
            if turn < 0:
                continue
            spent[label].append(seconds)
            print(f"  {label:8} {seconds:6.2f} s, {result['requests']} requests", flush=True)
    found = {label: median(times) for label, times in spent.items()}
    report("read / export", found["read"] / found["export"], "<= 1.5")
    print(f"plan / export {found['plan'] / found['export']:.2f}")
    print(f"sync / export {found['sync'] / found['export']:.2f}; {result['update']} rows changed")


if __name__ == "__main__":
    main()
