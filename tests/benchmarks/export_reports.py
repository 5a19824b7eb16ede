"""Cost of a report: the processor time of an export with one, beside that without.

Run: ``python -m tests.benchmarks.export_reports [rows] [--rounds 3]``. The sandbox is a process of its own,
so the time is that of the export alone. The rows have 10 columns, as JSON about 240 bytes each.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.sharded_export import DATASET, SERVER, process, read_line

ROWS = 500_000
LIMITS = {"jsonl": 1.3, "parquet": 1.3}


def processor_seconds() -> float:
    """Return the processor time of this process and its threads."""
    times = os.times()
    return times.user + times.system


def export(path: Path, *, report: bool) -> float:
    """Export the dataset; return the processor time in seconds."""
    from airflow_provider.amigocloud.operators import AmigoCloudExportOperator
    from tests.support.state_store import FakeStateStore

    task = AmigoCloudExportOperator(task_id="e", dataset=DATASET, output_path=str(path), report=report)
    context: Any = {"task_state_store": FakeStateStore()}
    before = processor_seconds()
    result = task.execute(context)
    spent = processor_seconds() - before
    if report and not result["report"]:
        raise AssertionError(result)
    return spent


def main() -> None:
    """Measure both formats, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=ROWS)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
    with process(SERVER, str(DATASET), str(given.rows), "0") as server, tempfile.TemporaryDirectory() as name:
        os.environ["AIRFLOW_CONN_AMIGOCLOUD_DEFAULT"] = read_line(server)
        export(Path(name) / "warm.jsonl", report=True)
        for suffix, limit in LIMITS.items():
            pairs = [
                [export(Path(name) / f"{n}.{suffix}", report=report) for report in (False, True)]
                for n in range(given.rounds)
            ]
            without, with_report = (median(times) for times in zip(*pairs, strict=True))
            ratio = with_report / without
            met = "met" if ratio <= limit else "MISSED"
            print(
                f"{given.rows:,} rows as {suffix}: {without:.2f} s, with a report {with_report:.2f} s,"
                f" {ratio:.2f} times  <= {limit}  {met}"
            )


if __name__ == "__main__":
    main()
