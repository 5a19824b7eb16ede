"""``python -m airflow_provider.sandbox``: serve the four APIs on loopback until Ctrl-C."""

from __future__ import annotations

import argparse
import errno
import json
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider.sandbox.server import Sandbox
    from airflow_provider.sandbox.settings import Settings

MOST_PROCESSES = 64
MOST_RATE = 10_000.0
MOST_PORT = 65_535
MISSING = "The sandbox needs starlette and uvicorn: pip install 'airflow-provider-digital-twin[sandbox]'"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m airflow_provider.sandbox", description=__doc__)
    parser.add_argument("--port", type=_port, default=8900, help="port of the APIs, 0 for a free port (8900)")
    parser.add_argument(
        "--storage-port", type=_port, default=0, metavar="PORT", help="port of the blob storage (a free port)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SERVICE.SWITCH=VALUE",
        help="set a switch, such as leanix.run_seconds=60; may be repeated",
    )
    parser.add_argument(
        "--load",
        action="append",
        default=[],
        metavar="SERVICE.KIND=COUNT",
        help="generate data: amigocloud.rows=1000000, iotstudio.things=1000,values=5000,"
        " mapsindoors.rooms=50000, leanix.applications=100000; may be repeated",
    )
    parser.add_argument(
        "--processes",
        type=_processes,
        default=1,
        metavar="NUMBER",
        help=f"processes that serve, for reading only, at most {MOST_PROCESSES} (1)",
    )
    parser.add_argument(
        "--like",
        type=Path,
        metavar="REPORT",
        help="set the switches that a report of the conformance checks has found; --set changes them",
    )
    _add_surroundings(parser)
    parser.add_argument("--switches", action="store_true", help="list all switches, and end")
    return parser


def _add_surroundings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--clock-rate",
        type=_rate,
        default=1.0,
        metavar="RATE",
        help="seconds of the sandbox in a real second; with 12 a day passes in two hours (1)",
    )
    parser.add_argument(
        "--amigocloud-sql",
        default="",
        metavar="URL",
        help="PostgreSQL server with PostGIS that runs AmigoCloud's SQL, as"
        " postgresql://USER:PASSWORD@HOST:PORT/DATABASE (an embedded database)",
    )
    parser.add_argument(
        "--iot-mqtt",
        default="",
        metavar="URL",
        help="MQTT broker with which IoT Studio exchanges property values, as mqtt://USER:PASSWORD@HOST:PORT;"
        " for one process",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; return the exit status.

    :param arguments: command-line arguments; None means those of the process.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        from airflow_provider.sandbox.service import StartError
        from airflow_provider.sandbox.settings import list_switches, read_report, read_settings
    except ModuleNotFoundError as error:
        if error.name not in {"starlette", "uvicorn", "python_multipart"}:
            raise
        print(MISSING, file=sys.stderr)
        return 1
    if options.switches:
        print(list_switches())
        return 0
    settings = read_settings(options.set, options.load)
    if options.like:
        read_report(options.like, settings)
    if options.iot_mqtt and options.processes > 1:
        settings.problems.append("--iot-mqtt is for one process: several ones serve for reading only")
    if settings.problems:
        parser.error("\n".join(settings.problems))
    try:
        return _serve(options, settings)
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        port = getattr(error, "port", None)
        if port is None:
            raise
        is_taken = error.errno == errno.EADDRINUSE
        problem = "is taken" if is_taken else f"cannot be used ({os.strerror(error.errno or 0)})"
        option = "--port" if port == options.port else "--storage-port"
        print(
            f"Port {port} {problem}: choose another port with {option}, or 0 for a free port.",
            file=sys.stderr,
        )
        return 1


def _serve(options: argparse.Namespace, settings: Settings) -> int:
    """Serve in this process or in several ones until a signal; return the exit status."""
    from airflow_provider.sandbox.processes import MemberSandbox, ProcessGroup
    from airflow_provider.sandbox.server import Sandbox

    stopped, stop = os.pipe()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os.write(stop, b"x"))
    ports = {"port": options.port, "storage_port": options.storage_port}
    chosen: Any = {**ports, "switches": settings.switches, "loads": settings.loads}
    chosen |= {"amigocloud_sql": options.amigocloud_sql, "iot_mqtt": options.iot_mqtt}
    chosen |= {"clock_rate": options.clock_rate}
    if options.processes == 1:
        with Sandbox(**chosen) as sandbox:
            _announce(sandbox)
            os.read(stopped, 1)
        return 0
    group = ProcessGroup(MemberSandbox(**chosen), options.processes)
    try:
        group.start()
        _announce(group.sandbox)
        return group.run(stopped)
    finally:
        group.stop()


def _announce(sandbox: Sandbox) -> None:
    print(f"# Sandbox at {sandbox.url}, stop it with Ctrl-C", flush=True)
    for name, added in sandbox.loaded:
        print(f"# {name}: {json.dumps(added)}", flush=True)
    for conn_id, text in sandbox.connections.items():
        print(f"export AIRFLOW_CONN_{conn_id.upper()}={shlex.quote(text)}", flush=True)


def _port(text: str) -> int:
    return int(_number(text, int, 0, MOST_PORT))


def _processes(text: str) -> int:
    return int(_number(text, int, 1, MOST_PROCESSES))


def _rate(text: str) -> float:
    return _number(text, float, 0, MOST_RATE)


def _number(text: str, kind: type[int] | type[float], least: int, most: float) -> float:
    with suppress(ValueError):
        number = kind(text)
        if least <= number <= most:
            return number
    what = "whole number" if kind is int else "number"
    raise argparse.ArgumentTypeError(f"must be a {what} from {least} to {most:.0f}, not {text[:40]!r}")


if __name__ == "__main__":
    sys.exit(main())
