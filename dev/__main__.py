"""Command line of the Makefile: ``python -m dev demo|up|cluster|down``."""

from __future__ import annotations

import signal
import sys

from dev.demo import cluster, demo, down, up
from dev.local_airflow import AirflowFailedError

COMMANDS = {"demo": demo, "up": up, "cluster": cluster, "down": down}


def main() -> int:
    """Run one command; return the exit status."""
    name = sys.argv[1] if len(sys.argv) == 2 else ""
    if name not in COMMANDS:
        print(f"usage: python -m dev {'|'.join(COMMANDS)}", file=sys.stderr)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(
            number, signal.default_int_handler
        )  # every signal acts like Ctrl-C: all processes are stopped
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        return COMMANDS[name]()
    except AirflowFailedError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; all processes are stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
