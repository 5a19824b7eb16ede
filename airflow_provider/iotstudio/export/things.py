"""Columns of a Things export: names and types by what the Things declare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider.core.files.spool import kind_of

FIXED_COLUMNS = {
    "uid": "text",
    "title": "text",
    "categories": "json",
    "model": "json",
    "created": "moment",
    "modified": "moment",
}
"""First columns, with their kinds; the properties follow."""

RESERVED = frozenset({*FIXED_COLUMNS, "thing_id", "properties"})
"""Names with another meaning in a row: a property of that name gets a prefix."""

DECLARED_KINDS = {
    "boolean": "boolean",
    "integer": "integer",
    "number": "number",
    "string": "text",
    "object": "json",
    "array": "json",
}
"""Kinds of columns by the types that Things declare."""

_LONG = "long"
"""Kind of whole numbers that a double may not hold, though 64 bits do."""

_DOUBLE_END = 2**53
"""Greatest whole number up to which a double holds all of them."""

_FITTING = {
    "boolean": {"boolean"},
    "integer": {"integer", _LONG},
    "number": {"integer", "number"},
    "text": {"text"},
    "json": {"boolean", "integer", _LONG, "number", "text", "json"},
}
"""Kinds of values that a column of a kind holds."""


class ThingColumns:
    """The columns of all Things of an export, as they are read.

    :param category: the category that the Things were listed by, for Things that name none.
    """

    def __init__(self, category: str | None) -> None:
        self._category = category
        self._declared: dict[str, set[str]] = {}
        self._found: dict[str, set[str]] = {}

    def row(self, thing: Mapping[str, Any]) -> dict[str, Any]:
        """Return a Thing as a row, and take its columns.

        :param thing: the Thing's description with its current values.
        """
        for name, declared in (thing.get("properties") or {}).items():
            kind = DECLARED_KINDS.get(str(declared.get("type"))) if isinstance(declared, Mapping) else None
            self._declared.setdefault(name, set()).update({kind} if kind else ())
        row = {name: thing.get(name) for name in FIXED_COLUMNS}
        if row["categories"] is None and self._category is not None:
            row["categories"] = [self._category]
        for name, value in (thing.get("status") or {}).items():
            self._found.setdefault(name, set()).update({_kind_of(value)} if value is not None else ())
            row[column(name)] = value
        return row

    def schema(self) -> dict[str, str]:
        """Return the kind of each column, by name, in the file's order."""
        names = sorted(self._declared.keys() | self._found.keys())
        return {**FIXED_COLUMNS, **{column(name): self._kind(name) for name in names}}

    def broken(self) -> list[str]:
        """Return the properties with values of other types than the Things declare."""
        return [
            name
            for name in sorted(self._declared)
            if (kind := _common(self._declared[name])) and self._found.get(name, set()) - _FITTING[kind]
        ]

    def _kind(self, name: str) -> str:
        found = self._found.get(name, set())
        if kind := _common(self._declared.get(name, set())):
            return kind if found <= _FITTING[kind] else _common(found | {kind})
        # Without a declaration, whole numbers are doubles, too: tomorrow's values may have digits.
        kind = _common(found) or "number"
        return "number" if kind == "integer" else kind


def column(name: str) -> str:
    """Return the column of a property.

    :param name: the property.
    """
    return f"property:{name}" if name in RESERVED or name.startswith("property:") else name


def _kind_of(value: Any) -> str:
    kind = kind_of(value)
    return _LONG if kind == "integer" and not -_DOUBLE_END <= value <= _DOUBLE_END else kind


def _common(kinds: set[str]) -> str:
    """Return the kind of column that holds all kinds; empty for none."""
    if len(kinds) <= 1:
        return "json" if _LONG in kinds else next(iter(kinds), "")
    return "number" if kinds <= {"integer", "number"} else "json"
