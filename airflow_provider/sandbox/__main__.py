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


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m airflow_provider.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8900, help="port of the APIs, 0 for a free one (8900)")
    parser.add_argument("--storage-port", type=int, default=0, help="port of the blob storage (a free one)")
    wanted = parser.parse_args(arguments)
    try:
        from airflow_provider.sandbox.server import Sandbox
    except ModuleNotFoundError as error:
        if error.name not in {"starlette", "uvicorn", "python_multipart"}:
            raise
        print(MISSING, file=sys.stderr)
        return 1
    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told.set())
    try:
        with Sandbox(wanted.port, storage_port=wanted.storage_port) as sandbox:
            print(f"# Sandbox at {sandbox.url}, stop it with Ctrl-C", flush=True)
            for conn_id, text in sandbox.connections.items():
                print(f"export AIRFLOW_CONN_{conn_id.upper()}={shlex.quote(text)}", flush=True)
            told.wait()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        print(f"Port {wanted.port} is taken: choose another with --port, 0 for a free one.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
