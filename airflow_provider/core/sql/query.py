"""Query: the arguments that name it, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import tzinfo
from typing import Any, NamedTuple

from airflow_provider.core.input.conditions import rendered_hint
from airflow_provider.errors import InputError

SUBJECT = "sql"
"""Subject of errors about a query and its rows."""

_NO_PARAMETERS: tuple[Any, ...] = ()

_BEFORE = re.compile(r"\s+|--[^\n]*|#[^\n]*|\(", re.S)
"""Text in front of a statement's first word, beside comments in ``/* */``."""

_COMMENT_MARK = re.compile(r"/\*|\*/")

_WORD = re.compile(r"[a-z]+", re.I)

_WRITING = frozenset(
    {
        *("insert", "update", "delete", "merge", "replace", "upsert", "truncate", "create", "alter", "drop"),
        *("grant", "revoke", "copy", "commit", "rollback", "savepoint", "vacuum", "lock"),
    }
)
"""First words of statements that return no rows, or change them."""

_TOKENS = re.compile(
    r"--[^\n]*|/\*.*?\*/|[eE]'(?:\\.|''|[^'\\])*'|'(?:''|[^'])*'|\"(?:\"\"|[^\"])*\"|(\$\w*\$).*?\1|(;)|(\S)",
    re.S,
)
"""Parts of PostgreSQL's SQL: comments, quoted texts, and what separates statements."""


class Query(NamedTuple):
    """A query of a task.

    :param sql: the statement.
    :param conn_id: id of the connection to the database.
    :param parameters: values for its placeholders, in the driver's form; None for none.
    :param timezone: the time zone of dates and times without one; None refuses them.
    :param long_decimals: what happens to decimals that a number of 64 bits does not hold exactly: ``round``,
        ``refuse`` (they are unreadable), or ``keep``.
    """

    sql: str
    conn_id: str
    parameters: Any = None
    timezone: tzinfo | None = None
    long_decimals: str = "round"

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Arguments of the driver's ``execute``; without parameters a ``%`` in the statement is a ``%``."""
        return (self.sql, self.parameters) if self.parameters else (self.sql,)


def query_problems(sql: Any, conn_id: Any, parameters: Any, timezone: Any) -> list[str]:
    """Return what is wrong with the arguments of a query; nothing when all are None.

    :param sql: the statement.
    :param conn_id: id of the connection.
    :param parameters: values for the placeholders.
    :param timezone: name of a time zone, such as ``Europe/Copenhagen``.
    """
    if sql is None:
        others = {"sql_conn_id": conn_id, "parameters": parameters, "sql_timezone": timezone}
        return [f"'{name}' is given without 'sql'" for name, value in others.items() if value is not None]
    problems = [*_statement_problems(sql), *_connection_problems(conn_id)]
    if parameters is not None and not isinstance(parameters, (list, tuple, Mapping)):
        hint = rendered_hint(parameters) if isinstance(parameters, str) else ""
        # A parameter may be private, so its value is not repeated.
        kind = "a text" if isinstance(parameters, str) else type(parameters).__name__
        problems.append(f"'parameters' must be a list or an object, not {kind}{hint}")
    try:
        read_timezone(timezone)
    except InputError as error:
        problems += error.problems
    return problems


def _statement_problems(sql: Any) -> list[str]:
    if not isinstance(sql, str):
        return [f"'sql' must be the text of one query, not {type(sql).__name__}"]
    word = first_word(sql)
    if not word or sql.strip() == "None":
        return [
            f"'sql' is {'the text None' if sql.strip() == 'None' else 'empty'}; a template lost the query"
        ]
    if word in _WRITING:
        return [
            f"'sql' is a statement {word.upper()}, which returns no rows or changes them; give a query that"
            " reads, such as SELECT"
        ]
    return []


def _connection_problems(conn_id: Any) -> list[str]:
    if conn_id is None:
        return ["'sql' is given without 'sql_conn_id', the id of the connection to the database"]
    if not isinstance(conn_id, str) or conn_id.strip() in ("", "None"):
        return [f"'sql_conn_id' must be the id of a connection, not {conn_id!r:.60}"]
    return []


def read_timezone(name: Any) -> tzinfo | None:
    """Return a time zone by its name; None for None, and for what a template makes of it.

    :raises InputError: when it is not known.
    """
    from zoneinfo import ZoneInfo

    if name is None or name in ("None", ""):
        return None
    try:
        return ZoneInfo(name.strip())
    except (AttributeError, TypeError, ValueError, OSError, KeyError):
        text = f"'sql_timezone' {name!r:.60} is not known; it is a name such as 'UTC' or 'Europe/Copenhagen'"
        raise InputError(text, SUBJECT) from None


def first_word(sql: str) -> str:
    """Return the first word of a statement in lower case, behind comments and brackets; empty without one."""
    at = 0
    while end := _after_comment(sql, at) or (found.end() if (found := _BEFORE.match(sql, at)) else 0):
        at = end
    word = _WORD.match(sql, at)
    return word.group().lower() if word else sql[at : at + 1].strip()


def _after_comment(sql: str, at: int) -> int:
    """Return the end of the comment that begins here, with those within it; 0 when none does."""
    depth = 0
    for mark in _COMMENT_MARK.finditer(sql, at) if sql.startswith("/*", at) else ():
        depth += 1 if mark.group() == "/*" else -1
        if not depth:
            return mark.end()
    return 0


def is_one_statement(sql: str) -> bool:
    """Return whether nothing but comments follows the first semicolon of a statement in PostgreSQL's SQL."""
    ended = False
    for token in _TOKENS.finditer(sql):
        if token.group(2):
            ended = True
        elif ended and not token.group().startswith(("--", "/*")):
            return False
    return True
