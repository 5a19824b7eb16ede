"""Conformance checks in a task, for credentials that live in Airflow only."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import Any, Literal

_log = logging.getLogger(__name__)


def check_service(
    conn_id: str, *, level: Literal["public", "read"] = "read", only: Iterable[str] = ()
) -> dict[str, Any]:
    """Run the checks of a connection's service, and return their report, which holds no values of replies.

    Each result is a line of the log, those that differ as warnings.

    :param conn_id: id of the connection.
    :param level: ``public`` needs no credentials; ``read`` changes nothing. The level ``scratch`` needs a
        person who agrees, and is for the command line.
    :param only: groups and ids of checks, such as ``M3`` and ``L5.sync_log``; empty for all.
    :raises InputError: with all problems of the connection, or of ``only``: a name of which no check runs.
    :raises NoAccessError: when the service cannot be reached, or refuses the credentials.
    :raises LeakError: when the report would hold a credential.
    """
    from airflow_provider.conformance.reports.report import closing_lines, line_of
    from airflow_provider.conformance.session import Choice, Session
    from airflow_provider.errors import InputError

    if level not in {"public", "read"}:
        raise InputError("must be public or read", "level")
    names = () if isinstance(only, str) else tuple(only)
    if isinstance(only, str) or not all(isinstance(name, str) for name in names):
        raise InputError('must be a list of names, such as ["M3", "L5.sync_log"]', "only")

    def show(opened: Any, result: Any) -> None:
        differs = result.outcome.startswith("differs")
        _log.log(logging.WARNING if differs else logging.INFO, "%s", line_of(result, opened.service.name))

    session = Session(conn_id, Choice(level, names), show=show)
    try:
        report = session.run()
    finally:
        session.close()
    for line in closing_lines(report):
        _log.info("%s", line)
    document: dict[str, Any] = json.loads(report.text(session.opened.secrets))
    return document
