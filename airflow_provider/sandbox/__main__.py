"""``python -m airflow_provider.sandbox``: serve the four APIs on loopback until Ctrl-C."""

from __future__ import annotations

import argparse
import errno
import shlex
import signal
import sys
import threading
from collections.abc import Sequence

MISSING = "The sandbox needs starlette and uvicorn: pip install 'airflow-provider-digital-twin[sandbox]'"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m airflow_provider.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8900, help="port of the APIs, 0 for a free port (8900)")
    parser.add_argument("--storage-port", type=int, default=0, help="port of the blob storage (a free port)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SERVICE.SWITCH=VALUE",
        help="set a switch, such as leanix.run_seconds=60; may be repeated",
    )
    parser.add_argument("--switches", action="store_true", help="list all switches, and end")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; return the exit status.

    :param arguments: command-line arguments; None means those of the process.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        from airflow_provider.sandbox.server import Sandbox
        from airflow_provider.sandbox.settings import list_switches, read_settings
    except ModuleNotFoundError as error:
        if error.name not in {"starlette", "uvicorn", "python_multipart"}:
            raise
        print(MISSING, file=sys.stderr)
        return 1
    if options.switches:
        print(list_switches())
        return 0
    settings = read_settings(options.set)
    if settings.problems:
        parser.error("\n".join(settings.problems))
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        with Sandbox(options.port, storage_port=options.storage_port, switches=settings.switches) as sandbox:
            print(f"# Sandbox at {sandbox.url}, stop it with Ctrl-C", flush=True)
            for conn_id, text in sandbox.connections.items():
                print(f"export AIRFLOW_CONN_{conn_id.upper()}={shlex.quote(text)}", flush=True)
            stopped.wait()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        print(
            f"Port {options.port} is taken: choose another port with --port, or 0 for a free port.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
