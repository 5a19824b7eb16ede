"""``make soak``: run a soak, print its tables and write them into ``build/soak.md``; 1 for any violation."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from tests.soak.day import Day
from tests.soak.outsider import Outsider
from tests.soak.parts import Parts
from tests.soak.report import markdown
from tests.support.postgres import Database, new_database, running_server

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Run a soak; return the exit status."""
    minutes = float(os.environ.get("SOAK_MINUTES") or 120)
    seed = int(os.environ.get("SOAK_SEED") or random.randrange(1_000_000))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    say(f"SOAK_SEED={seed} SOAK_MINUTES={minutes:g}")
    try:
        text, status = run(minutes * 60, seed)
    except KeyboardInterrupt:
        say("Stopped by a signal")
        return 130
    (ROOT / "build" / "soak.md").write_text(text)
    print(text)
    return status


def run(seconds: float, seed: int) -> tuple[str, int]:
    """Run a soak; return its tables and the exit status."""
    home = ROOT / "build" / f"soak-{seed}"
    with ExitStack() as stack:
        parts = stack.enter_context(Parts(home, (Path(__file__).parent / "dags.py").read_text(), say))
        connections = parts.open_sandbox()
        server = stack.enter_context(running_server(home))
        warehouse = stack.enter_context(new_database(server))
        stack.callback(parts.stop)  # before the database
        day = Day(parts, warehouse, Database(server, "airflow"), seconds, seed, say)
        day.prepare(Outsider(connections))
        parts.open_airflow(server, {**connections, "warehouse": warehouse.airflow_connection()})
        result = day.run()
    return markdown(result), int(bool(result.violations()))


def say(line: str) -> None:
    """Print a line with the time."""
    print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
