"""Benchmarks of this provider beside its alternatives, in one run: ``python -m tests.benchmarks``.

``--write docs/benchmarks.md`` writes the table into the page; ``--only export`` runs one job. Nothing else
may run on the machine.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import jobs, runner

ROUNDS = 3
JOBS: dict[str, Callable[[int], runner.Job]] = {
    "export": jobs.export,
    "writes": jobs.writes,
    "sync": lambda _: jobs.sync(),
    "waiting": lambda _: jobs.waiting(),
    "imports": lambda rounds: jobs.importing(rounds + 2),
}
_TABLE = re.compile(r"(<!-- measured -->\n).*?(<!-- /measured -->)", re.DOTALL)


def main() -> None:
    """Measure, print the tables, and write them when ``--write`` is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", choices=JOBS)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
    began, done = time.monotonic(), []
    for name, job in JOBS.items():
        if arguments.only in {None, name}:
            done.append(job(arguments.rounds))
            print(runner.markdown(done[-1:]), flush=True)
    summary = (
        f"Measured in {(time.monotonic() - began) / 60:.0f} minutes, {arguments.rounds} rounds, with Python"
        f" {platform.python_version()} on {os.cpu_count()} cores.\n"
    )
    text = f"{runner.markdown(done)}\n{summary}"
    if arguments.write:
        page = arguments.write.read_text()
        arguments.write.write_text(_TABLE.sub(lambda match: f"{match[1]}{text}{match[2]}", page))
    else:
        print(summary)


if __name__ == "__main__":
    main()
