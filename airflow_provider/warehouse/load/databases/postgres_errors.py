"""Errors of PostgreSQL without values: its messages, details and contexts repeat them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from airflow_provider.errors import InputError, ProviderError, TransportError

_LOST = ("08", "57P")
"""Classes of SQLSTATE of broken connections; without any, no answer came at all."""

_NAMES_ONLY = ("25", "40", "53", "55", "57", "58")
"""Classes whose messages hold names of the database, and no values of rows."""

_NAMES_OF_STATEMENTS = ("0A", "28", "2B", "3D", "3F", "42", "54")
"""Classes whose messages hold values when a type's input or a function says them, and else only names."""

_TEXTS = {
    "22001": "is too long for its column",
    "22003": "is out of its column's range",
    "22007": "is no date or time",
    "22008": "is a date or time out of range",
    "22021": "has characters that the database's encoding lacks, or a NUL character",
    "22P02": "does not fit its column's type",
    "22P04": "has another number of columns than the table",
    "22023": "does not fit its column",
    "22032": "is no JSON",
    "22030": "has a key twice",
    "23502": "is missing, and its column does not take NULL",
    "XX000": "is no geometry",
}

_SHAPES = re.compile(
    r"Geometry (SRID \(\d+\) does not match column SRID \(\d+\)"
    r"|type \(\w+\) does not match column type \(\w+\)"
    r"|has [ZM] dimension but column does not)|Column has [ZM] dimension but geometry does not"
)
"""PostGIS's messages that name kinds, and no coordinates."""

_CONSTRAINTS = {
    "23503": "refers to a row that is not there",
    "23505": "has a value that is there already",
    "23514": "breaks a check",
}


def has_no_answer(error: Exception) -> bool:
    """Return whether an error means that no answer came."""
    state = sqlstate(error)
    if state:
        return state.startswith(_LOST)
    return type(error).__name__ in ("OperationalError", "InterfaceError")


def sqlstate(error: Exception) -> str:
    """Return the SQLSTATE of an error; empty for none."""
    return str(getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "")


def clean_error(error: Exception, stage: str, label: Callable[[int], str]) -> Exception:
    """Return the error to raise instead of a driver's: with row, column and constraint, and without values.

    :param error: the driver's error.
    :param stage: name of the staging table.
    :param label: returns the name of the row that ends in a line of what COPY reads.
    """
    state, said = sqlstate(error), getattr(error, "diag", None)
    if has_no_answer(error):
        reason = _reason(error, state)
        return TransportError(f"the database did not answer: {reason}", reason=reason)
    message = str(getattr(said, "message_primary", None) or "")
    # A function's own error has what texts it likes; the file of the server's source is never translated.
    if str(getattr(said, "source_file", None) or "").startswith("pl"):
        text = f"a function of the database, as of a trigger, refused the load (SQLSTATE {state})"
        return InputError(text, "the table") if state[:2] in ("22", "23", "42") else ProviderError(text)
    if state[:2] == "23" and state != "23502":
        return _broken_constraint(said, state, message, stage, label)
    return _clean_value_error(said, state, message, stage, label)


def _broken_constraint(
    said: Any, state: str, message: str, stage: str, label: Callable[[int], str]
) -> Exception:
    name = getattr(said, "constraint_name", None)
    if state == "23503" and message.startswith("update or delete"):
        return InputError(
            f"rows of the table {getattr(said, 'table_name', None)!r} refer to rows that would be deleted"
            f" (constraint {name!r}); load with mode='merge'",
            "the table",
        )
    text = f"{_CONSTRAINTS.get(state, 'breaks a constraint')} (constraint {name!r})"
    if state == "23514" and not name:
        text = "fits no partition of the table"
    return InputError(f"{_place(said, stage, label, 'a row ')}{text}", "the source")


def _clean_value_error(
    said: Any, state: str, message: str, stage: str, label: Callable[[int], str]
) -> Exception:
    if state == "XX000" and str(getattr(said, "source_file", None) or "").startswith("hstore"):
        state = "22P02"  # All others of this class are PostGIS's.
    if state in _TEXTS or state[:2] == "22":
        shape = _SHAPES.search(message)
        text = f"does not fit: {shape.group()}" if shape else _TEXTS.get(state, "does not fit")
        place = _place(said, stage, label, "a value ")
        return InputError(f"{place}{text} (SQLSTATE {state})", "the source")
    if state[:2] in _NAMES_OF_STATEMENTS:
        if place := _place(said, stage, label, ""):
            return InputError(f"{place}does not fit its column's type (SQLSTATE {state})", "the source")
        # Who checks privileges, also of foreign keys, names tables.
        if getattr(said, "context", None) and getattr(said, "source_file", None) != "aclchk.c":
            return InputError(
                f"a function of the database failed (SQLSTATE {state}); see its log", "the table"
            )
    if state[:2] in (*_NAMES_ONLY, *_NAMES_OF_STATEMENTS):
        text = f"the database answered: {message[:500]} (SQLSTATE {state})"
        return InputError(text, "the table") if state[:2] in ("3F", "42") else ProviderError(text)
    return ProviderError(f"the database refused the load (SQLSTATE {state or 'unknown'}); see its log")


def _reason(error: Exception, state: str) -> str:
    """Return why a connection broke: messages without a state name the server and the login, no values."""
    if state:
        return f"it closed the connection (SQLSTATE {state})"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else "the connection broke"


def _place(said: Any, stage: str, label: Callable[[int], str], otherwise: str) -> str:
    """Return the row and the column that an error is about, or another subject where it names none."""
    column = getattr(said, "column_name", None)
    row = ""
    context = str(getattr(said, "context", None) or "")
    # "COPY _twin_stage, line 7, column n: ..." with the value behind it, in the server's language.
    if found := re.search(rf"{re.escape(stage)}, \S+ (\d+)(?:, \S+ (.+?))?(?:: |$)", context, re.MULTILINE):
        row = label(int(found.group(1)))
        column = column or found.group(2)
    if not row and not column:
        return otherwise
    return f"{row}: the column {column!r} " if row and column else f"{row or f'the column {column!r}'} "
