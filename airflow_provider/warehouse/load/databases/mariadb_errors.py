"""Errors of MariaDB and MySQL without values, which their messages repeat."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_provider.errors import InputError, ProviderError, TransportError

_LOST = (0, 1053, 1927, 2002, 2003, 2005, 2006, 2013, 2055)
"""Codes of connections that are broken, or not made; 0 is PyMySQL's for a closed one."""

_NAMES_ONLY = (1044, 1045, 1049, 1054, 1113, 1115, 1118, 1142, 1143, 1146, 1205, 1213, 1227, 1290, 1698)
"""Codes whose messages hold names, and no values of rows."""

_TEXTS = {
    1048: "is missing, and its column does not take NULL",
    1264: "is out of its column's range",
    1292: "is no date, time or number as its column takes",
    1406: "is too long for its column",
    3140: "is no JSON",
    4025: "breaks a check of its column",
}

_NO_DEFAULT = 1364

_CONSTRAINTS = {
    1062: "a row has a value that is there already",
    1452: "a row refers to a row that is not there",
    1451: "a row cannot be deleted, because others refer to it",
    3819: "a row breaks a check",
    4025: "a row breaks a check",
}

_COLUMN = re.compile(r"column (?:`[^`]*`\.)*([`'])(.+?)\1(?: at row \d+| cannot be null)?$", re.IGNORECASE)
_FIELD = re.compile(r"Field '([^']+)'")
_CONSTRAINT = re.compile(r"(?:for key|CONSTRAINT) ([`'])([^`']+)\1", re.IGNORECASE)


def code_of(error: Exception) -> int:
    """Return the code of an error; -1 when it is none of these databases' drivers."""
    modules = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    if not modules & {"MySQLdb", "pymysql", "mysql"}:
        return -1
    code = getattr(error, "errno", None)
    if code is None and error.args:
        code = error.args[0]
    return code if isinstance(code, int) and code >= 0 else 0


def has_no_answer(error: Exception) -> bool:
    """Return whether an error means that no answer came."""
    return code_of(error) in _LOST


def clean_error(error: Exception) -> Exception:
    """Return the error to raise instead of a driver's; one of another module as it is.

    :param error: the error.
    """
    code = code_of(error)
    if code < 0:
        return error
    if code in _LOST:
        reason = f"the connection broke (error {code})" if code else "the connection broke"
        return TransportError(f"the database did not answer: {reason}", reason=reason)
    if code in _CONSTRAINTS:
        found = _CONSTRAINT.search(_message(error))
        name = f" (constraint {found.group(2)!r})" if found else ""
        return InputError(f"{_CONSTRAINTS[code]}{name}", "the source")
    if code == _NO_DEFAULT:
        field = _FIELD.search(_message(error))
        name = f" {field.group(1)!r}" if field else ""
        return InputError(f"the column{name} has no default, and the source lacks it", "the table")
    if code in _TEXTS:
        return InputError(f"a value {_TEXTS[code]} (error {code})", "the source")
    if code in _NAMES_ONLY:
        text = f"the database answered: {_message(error)[:300]} (error {code})"
        return InputError(text, "the table") if code in (1142, 1143, 1146, 1049) else ProviderError(text)
    return ProviderError(f"the database refused the load (error {code}); see its log")


def named_column(error: Exception, names: Mapping[str, str]) -> str:
    """Return what is wrong with a refused row, with its column; empty when the error is about no value.

    :param error: the driver's error.
    :param names: the source's names of columns, by those of the table.
    """
    code = code_of(error)
    if code < 0 or code in _LOST or code in _NAMES_ONLY:
        return ""
    found = _COLUMN.search(_message(error))
    text = f"{_TEXTS.get(code, 'does not fit its column')} (error {code})"
    # A value may read like the rest of the message: only known names are repeated.
    if found and found.group(2) in names:
        return f"the column {names[found.group(2)]!r} {text}"
    return f"a value {text}"


def _message(error: Exception) -> str:
    message: Any = getattr(error, "msg", None) or (error.args[-1] if error.args else "")
    return str(message)
