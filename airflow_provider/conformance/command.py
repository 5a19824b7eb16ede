"""Command line of the conformance checks; see ``docs/conformance.md``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider.connection_hooks import escape_output, logging_from, read_metadata_database

if TYPE_CHECKING:
    from airflow_provider.conformance.check import Level
    from airflow_provider.conformance.meter import Clock
    from airflow_provider.conformance.session import Session

INTERRUPTED, UNREACHABLE, BAD_ARGUMENTS, LEFT_OBJECTS = 1, 3, 4, 5


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(BAD_ARGUMENTS, f"{self.prog}: {message}\n")


def _parser() -> _Parser:
    parser = _Parser(
        prog="python -m airflow_provider.conformance",
        description="Check whether a live service behaves as the provider assumes.",
        epilog="Exit codes: 0 all as assumed; 1 harmless differences or open questions; 2 differences by"
        " which data can be lost or wrong; 3 unreachable, or credentials refused; 4 bad arguments; 5 objects"
        " that the run has made are left.",
    )
    add = parser.add_argument
    add("conn_id", nargs="?", metavar="CONN_ID", help="id of an Airflow connection")
    levels = (
        "public needs no credentials, read changes nothing, scratch makes objects and removes them (read)"
    )
    add("--level", choices=("public", "read", "scratch"), default="read", help=levels)
    add("--scratch-parent", default="", metavar="ID", help="object below which scratch makes its objects")
    add("--yes", action="store_true", help="make and remove objects without a question")
    add("--clean-up", type=Path, metavar="JOURNAL", help="remove what a run has left, and end")
    add("--only", metavar="M6,L3", help="groups or ids of checks, with commas")
    add("--burst", action="store_true", help="run the checks that send many requests, too")
    add("--wait", action="store_true", help="run the checks that wait, up to an hour, too")
    add("--json", type=Path, metavar="FILE", help="write a report, which holds no values")
    add("--table", action="store_true", help="print the table of all checks, and end")
    return parser


def main(arguments: Sequence[str] | None = None, clock: Clock | None = None) -> int:
    """Run the command; return the exit code.

    :param arguments: arguments of the command line; None means those of the process.
    :param clock: the time, which a test controls.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    escape_output()
    if options.table:
        from airflow_provider.conformance.catalogue import table

        print(table())
        return 0
    if not options.conn_id:
        parser.error("the id of a connection is missing")
    read_metadata_database()
    with logging_from(logging.WARNING):
        return _run(options, parser, clock)


def _run(options: argparse.Namespace, parser: _Parser, clock: Clock | None) -> int:
    from airflow_provider.conformance.created import UnusableFileError
    from airflow_provider.conformance.session import NoAccessError

    session = _session(options, parser, clock)
    try:
        if options.clean_up:
            session.clean_up_after(options.clean_up)
            return _end(session, 0)
        _ask(options, parser, session)
        for check in session.checks:
            if check.waits:
                print(f"{check.id} waits {check.waits}.")
        report = session.run()
        return _end(session, _finish(report, session, options.json))
    except UnusableFileError as error:
        parser.error(str(error))
    except NoAccessError as error:
        print(f"No access: {_printable(str(error))}", file=sys.stderr)
        return _end(session, UNREACHABLE)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return _end(session, INTERRUPTED)
    except Exception:
        _end(session, INTERRUPTED)
        raise
    finally:
        session.close()


def _printable(text: str) -> str:
    """Return a text of a service without what a terminal would obey."""
    return "".join(character if character.isprintable() else " " for character in text)


def _session(options: argparse.Namespace, parser: _Parser, clock: Clock | None) -> Session:
    from airflow_provider.conformance.session import Choice, Session
    from airflow_provider.connection_hooks import UnknownConnectionError
    from airflow_provider.errors import InputError

    only = tuple(name.strip() for name in (options.only or "").split(",") if name.strip())
    if options.only is not None and not only:
        parser.error("--only names no check")
    if options.json:
        _check_writable(options.json, parser)
    level: Level = "scratch" if options.clean_up else options.level
    choice = Choice(level, only, options.burst, options.wait, options.scratch_parent)
    given: dict[str, Any] = {"clock": clock} if clock else {}
    try:
        session = Session(options.conn_id, choice, show=_show, **given)
    except (UnknownConnectionError, InputError) as error:
        notes = getattr(error, "__notes__", ())
        parser.error("; ".join([" ".join(str(error).split()), *notes]))
    return session


def _check_writable(path: Path, parser: _Parser) -> None:
    """End the command before its first request when a report could not be written."""
    is_new = not path.exists()
    try:
        path.open("a").close()
        if is_new:
            path.unlink()
    except OSError as error:
        parser.error(f"--json {path}: {error.strerror}")


def _ask(options: argparse.Namespace, parser: _Parser, session: Session) -> None:
    """Show what the run will make, and end the command unless the user agrees."""
    if options.level != "scratch":
        return
    service = session.opened.service
    print(f"This run makes these objects in {service.name}, and removes them at its end:")
    for kind, creation in service.creations.items():
        print(f"  {creation.about}, with the name conformance-<run>-{kind}")
    if service.note:
        print(service.note)
    if options.yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        parser.error("the level scratch needs your consent: --yes")
    try:
        answer = input("Make them? [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in {"y", "yes"}:
        parser.error("nothing was made")


def _show(opened: Any, result: Any) -> None:
    from airflow_provider.conformance.reports.report import line_of

    print(line_of(result, opened.service.name), flush=True)


def _finish(report: Any, session: Session, path: Path | None) -> int:
    from airflow_provider.conformance.reports.leaks import LeakError
    from airflow_provider.conformance.reports.report import closing_lines

    print("\n".join(closing_lines(report)))
    if path is not None:
        try:
            path.write_text(report.text(session.opened.secrets))
        except (LeakError, OSError) as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            return BAD_ARGUMENTS
    return int(report.exit_code)


def _end(session: Session, code: int) -> int:
    """Return the exit code, after a list of the objects that may be there still."""
    objects = session.created
    if objects is None or not session.left:
        return code
    # Ids are the service's texts: usable_id() lets no control character pass.
    print("These objects may be there still:", file=sys.stderr)
    for created in session.left:
        known = f"id {created.id}" if created.id else "of unknown id"
        print(f"  {created.kind} {created.name}, {known}", file=sys.stderr)
    conn_id = session.conn_id
    print(
        f"Remove them: python -m airflow_provider.conformance {conn_id} --clean-up {objects.path}",
        file=sys.stderr,
    )
    return LEFT_OBJECTS
