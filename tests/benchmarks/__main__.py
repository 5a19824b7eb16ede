"""Compares this provider with what people use today, all in one run: ``python -m tests.benchmarks``.

``--write docs/benchmarks.md`` puts the table into the page; ``--only export`` runs one job. Wants the
machine for itself.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import jobs, turns

ROUNDS = 3
JOBS: dict[str, Callable[[int], turns.Job]] = {
    "export": jobs.export,
    "writes": jobs.writes,
    "sync": lambda _: jobs.sync(),
    "waiting": lambda _: jobs.waiting(),
    "imports": lambda rounds: jobs.importing(rounds + 2),
}
_PLACE = re.compile(r"(<!-- measured -->\n).*?(<!-- /measured -->)", re.DOTALL)


def main() -> None:
    """Measure, print, and write where that is wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", choices=JOBS)
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
    began, done = time.monotonic(), []
    for name, job in JOBS.items():
        if asked.only in {None, name}:
            done.append(job(asked.rounds))
            print(turns.markdown(done[-1:]), flush=True)
    said = (
        f"Measured in {(time.monotonic() - began) / 60:.0f} minutes, {asked.rounds} rounds, with Python"
        f" {platform.python_version()} on {os.cpu_count()} cores.\n"
    )
    text = f"{turns.markdown(done)}\n{said}"
    if asked.write:
        page = asked.write.read_text()
        asked.write.write_text(_PLACE.sub(lambda match: f"{match[1]}{text}{match[2]}", page))
    else:
        print(said)


if __name__ == "__main__":
    main()
