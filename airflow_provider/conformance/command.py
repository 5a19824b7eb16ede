"""Command line of the conformance checks; see ``docs/conformance.md``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from airflow_provider.conformance.meter import Clock

UNREACHABLE, BAD_ARGUMENTS, LEFT_OBJECTS = 3, 4, 5


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(BAD_ARGUMENTS, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m airflow_provider.conformance",
        description="Check whether a live service behaves as the provider assumes.",
        epilog="Exit codes: 0 all as assumed; 1 harmless differences or open questions; 2 differences by"
        " which data can be lost or wrong; 3 unreachable, or credentials refused; 4 bad arguments.",
    )
    parser.add_argument("conn_id", nargs="?", metavar="CONN_ID", help="id of an Airflow connection")
    parser.add_argument(
        "--level",
        choices=("public", "read"),
        default="read",
        help="public needs no credentials, read changes nothing (read)",
    )
    parser.add_argument("--only", default="", metavar="M6,L3", help="groups or ids of checks, with commas")
    parser.add_argument("--burst", action="store_true", help="run the checks that send many requests, too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write a report, which holds no values")
    parser.add_argument("--table", action="store_true", help="print the table of all checks, and end")
    return parser


def main(arguments: Sequence[str] | None = None, clock: Clock | None = None) -> int:
    """Run the command; return the exit code.

    :param arguments: arguments of the command line; None means those of the process.
    :param clock: the time, which a test controls.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.table:
        from airflow_provider.conformance.catalogue import table

        print(table())
        return 0
    if not options.conn_id:
        parser.error("the id of a connection is missing")
    return _run(options, parser, clock)


def _run(options: argparse.Namespace, parser: argparse.ArgumentParser, clock: Clock | None) -> int:
    # Airflow reads connections of its metadata database in processes of this kind only.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    logging.getLogger("airflow_provider").setLevel(logging.WARNING)
    from airflow_provider.conformance.opening import UnknownConnectionError
    from airflow_provider.conformance.session import Choice, NoAccessError, Session
    from airflow_provider.errors import InputError

    only = tuple(name.strip() for name in options.only.split(",") if name.strip())
    choice = Choice(options.level, only, options.burst)
    given: dict[str, Any] = {"clock": clock} if clock else {}
    try:
        session = Session(options.conn_id, choice, show=_show, **given)
    except (UnknownConnectionError, InputError) as error:
        parser.error(" ".join(str(error).split()))
    if unknown := _unknown(only, session.opened.service.checks):
        parser.error(f"there is no check {', '.join(unknown)}")
    try:
        report = session.run()
    except NoAccessError as error:
        print(f"No access: {error}", file=sys.stderr)
        return UNREACHABLE
    finally:
        session.close()
    return _finish(report, session, options.json)


def _unknown(only: Sequence[str], checks: Sequence[Any]) -> list[str]:
    known = {name.lower() for check in checks for name in (check.id, check.group)}
    return [name for name in only if name.lower() not in known]


def _show(opened: Any, result: Any) -> None:
    from airflow_provider.conformance.report import line_of

    print(line_of(result, opened.service.name), flush=True)


def _finish(report: Any, session: Any, path: Path | None) -> int:
    from airflow_provider.conformance.leaks import LeakError
    from airflow_provider.conformance.report import closing_lines

    print("\n".join(closing_lines(report)))
    if path is not None:
        try:
            path.write_text(report.text(session.opened.secrets))
        except (LeakError, OSError) as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            return BAD_ARGUMENTS
    return int(report.exit_code)
