"""Failures of a database: its message as an error, without values of rows, parameters and passwords."""

from __future__ import annotations

import errno
import re
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider.core.redaction import Redactor
from airflow_provider.core.sql.query import SUBJECT, Query
from airflow_provider.errors import (
    DatabaseError,
    InputError,
    ProviderError,
    clauses,
    cut,
    without_stop,
)

_QUOTE = re.compile(r"(?<!\w)[\"'`]")
"""Quote that begins a text; that of "doesn't" does not."""

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d.,]{3,}(?![\w])")
"""A number of more than three digits; shorter ones are positions and codes."""

_MAX_MESSAGE = 300

_NOT_FITTING = (IndexError, KeyError, TypeError)
"""What psycopg 2 raises for parameters that are missing, as ``%`` does."""

_SQL_CLASSES = ("42", "0A", "25006")
"""Beginnings of the SQLSTATE of a wrong statement: its syntax and names, unknown features, a write."""

_MYSQL_NAMES = (1054, 1146)
"""Codes of MySQL for an unknown column and an unknown table."""

_SQL_ERRORS = ("ProgrammingError", "NotSupportedError")
"""Names of PEP 249's exceptions that say the same, of drivers without SQLSTATE."""


def database_error(error: Exception, query: Query, *, connecting: bool = False) -> ProviderError:
    """Return a driver's exception as an error of the task.

    :param error: the exception; its message may hold values of rows.
    :param query: the query.
    :param connecting: whether the connection could not be opened.
    :return: an ``InputError`` when the statement is wrong, else a ``DatabaseError``.
    """
    message = _message(error).partition("DETAIL:")[0].partition("CONTEXT:")[0]  # Both hold values.
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if not connecting and str(state).startswith("P0"):
        message = "a function of the database raised an error"  # Its text may be made of values.
    elif not connecting and not _names_only(error):
        is_wrong = _is_wrong_statement(error, state)
        # A value may have several lines; a wrong statement is quoted on further ones.
        message = _without_values(_first_line(message) if is_wrong else message, query, may_name=is_wrong)
    message = cut(_redacted(_first_line(message) or type(error).__name__, query), _MAX_MESSAGE)
    said = f"{without_stop(message)} (SQLSTATE {state})" if state else message
    if not connecting and _is_wrong_statement(error, state):
        must = "; a query must only read" if state == "25006" else ""
        return InputError(f"cannot be run on the connection '{query.conn_id}': {said}{must}", SUBJECT)
    if query.parameters and not connecting and isinstance(error, _NOT_FITTING):
        return InputError("do not fit the placeholders of the query", "parameters")
    doing = "cannot be reached" if connecting else "failed while its rows were read"
    text = f"the database of the connection '{query.conn_id}' {doing}: {said}"
    return DatabaseError(clauses(text, "nothing was sent"))


def spool_error(error: OSError, count: int) -> ProviderError:
    """Return the failure of the local disk that holds the rows.

    :param error: the failure.
    :param count: number of rows that were written.
    """
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    what = "is full" if full else f"cannot be written ({error.strerror})"
    try:
        place = f", in {tempfile.gettempdir()}"
    except OSError:  # There is none, as the error says.
        place = ""
    return ProviderError(
        f"the local disk {what}{place}, after {count} rows of the query; nothing was"
        f" sent. {'Free space there, or set TMPDIR to a larger disk' if full else 'Check TMPDIR'}"
    )


def _is_wrong_statement(error: Exception, state: Any) -> bool:
    if state:
        return str(state).startswith(_SQL_CLASSES)
    names = {kind.__name__ for kind in type(error).__mro__}
    return not names.isdisjoint(_SQL_ERRORS) or getattr(error, "sqlite_errorname", None) in (
        "SQLITE_ERROR",
        "SQLITE_READONLY",
    )


def _message(error: Exception) -> str:
    """Return a driver's message; those of MySQL have arguments ``(code, message)``."""
    arguments = error.args
    if len(arguments) > 1 and isinstance(arguments[0], int) and isinstance(arguments[1], str):
        return f"{arguments[1]} (error {arguments[0]})"
    return str(error)


def _names_only(error: Exception) -> bool:
    """Return whether a message of MySQL names a table or a column that is not there, and so no value."""
    return bool(error.args) and error.args[0] in _MYSQL_NAMES


def _first_line(text: str) -> str:
    """Return the first line of a message that is not empty."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _without_values(message: str, query: Query, *, may_name: bool) -> str:
    """Return a message without quoted texts, and without numbers that are not in the statement.

    A value may hold quotes itself, and end on a later line: where it begins, all goes up to the last quote.

    :param may_name: whether quoted words of the statement stay: names, in an error about the statement.
    """
    kept, at = "", 0
    while found := _QUOTE.search(message, at):
        quote, start = found.group(), found.end()
        word, partner, _ = message[start:].partition(quote)
        if may_name and partner and not message.count(quote) % 2 and _is_word(word, query.sql):
            end = start + len(word + partner)
            kept, at = kept + message[at:end], end
            continue
        # Without its partner, a quote is within a value that ends on a later line, as what follows it is.
        ends = not message.count(quote, found.start()) % 2
        kept += f"{message[at:start]}…{quote if ends else ''}"
        at = message.rfind(quote) + 1 if ends else len(message)
    message = kept + message[at:]
    return _NUMBER.sub(lambda found: found.group() if found.group() in query.sql else "…", message)


def _is_word(text: str, sql: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(text)}(?!\w)", sql) is not None


def _redacted(message: str, query: Query) -> str:
    """Return a message without the connection's secrets and the query's parameters."""
    redactor = Redactor(_secrets(query))
    message = redactor.redact(message)
    for text in _texts(query.parameters):
        message = message.replace(text, "…")
    return message


def _secrets(query: Query) -> Iterator[str]:
    from airflow.sdk import BaseHook

    try:
        connection = BaseHook.get_connection(query.conn_id)
        extra = connection.extra_dejson
    except Exception:
        return
    if connection.password:
        yield connection.password
    yield from (value for value in extra.values() if isinstance(value, str) and len(value) > 7)


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts of parameters that are long enough to be found in a message."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
    elif value is not None and not isinstance(value, bool) and len(str(value)) > 2:
        yield str(value)
