"""Names of tables and columns: parsed as they are written, always quoted, and never run as SQL."""

from __future__ import annotations

import re
from collections.abc import Iterable

from airflow_provider.core.input.values import shown
from airflow_provider.errors import InputError

_PART = r'"(?:[^"\0]|"")+"|[^\W\d][\w$]*'
"""One part of a name: quoted, or a word of letters, digits, ``_`` and ``$``."""

_NAME = re.compile(rf"({_PART})(?:\.({_PART}))?(?:\.({_PART}))?")

TableName = tuple[str, ...]
"""Parts of a table's name, the table last."""


def parse_table(text: object) -> TableName:
    """Return the parts of a table's name: ``schema.table``, ``table``, or ``"Any text"."Any text"``.

    :param text: the name.
    :raises InputError: for anything else.
    """
    if not isinstance(text, str) or not text.strip() or text.strip() == "None":
        raise InputError(f"'table' must be the name of a table, not {shown(text)}", "the task's arguments")
    found = _NAME.fullmatch(text.strip())
    if not found:
        raise InputError(
            f"'table' must be schema.table or table, not {shown(text)}; put a name with other characters"
            ' into double quotes: "my schema"."my table"',
            "the task's arguments",
        )
    return tuple(_unquoted(part) for part in found.groups() if part)


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part


class Quotes:
    """Quotes of names in a database's SQL.

    :param opening: character before a name.
    :param closing: character behind it, doubled within it.
    """

    def __init__(self, opening: str = '"', closing: str = '"') -> None:
        self._opening = opening
        self._closing = closing

    def name(self, name: str) -> str:
        """Return a quoted name.

        :raises InputError: for a name that no database takes.
        """
        if not name or "\0" in name:
            raise InputError(f"{name!r} is no name of a column or table", "the table")
        # A percent sign is doubled nowhere: statements with names are sent without parameters, or escaped.
        return f"{self._opening}{name.replace(self._closing, self._closing * 2)}{self._closing}"

    def table(self, parts: TableName) -> str:
        """Return a quoted name of several parts."""
        return ".".join(map(self.name, parts))

    def names(self, names: Iterable[str], prefix: str = "") -> str:
        """Return quoted names with commas between them.

        :param prefix: what each of them is a column of, with a dot.
        """
        return ", ".join(prefix + self.name(name) for name in names)


def find_name(wanted: str, known: Iterable[str]) -> str | None:
    """Return the known name that is meant: the same, or the only one that differs in case alone."""
    names = list(known)
    if wanted in names:
        return wanted
    alike = [name for name in names if name.casefold() == wanted.casefold()]
    return alike[0] if len(alike) == 1 else None
