"""SQLite: types are looked up, and what a column does not keep as its type is refused."""

from __future__ import annotations

from collections.abc import Sequence
from math import isinf
from typing import TYPE_CHECKING, Any

from airflow_provider.errors import InputError
from airflow_provider.warehouse.load.columns.exact import (
    MICROSECONDS,
    UnfitError,
    decimal_type,
    in_utc,
    is_double,
    places_of,
    read_number,
)
from airflow_provider.warehouse.load.columns.names import TableName
from airflow_provider.warehouse.load.columns.rows import SourceColumn
from airflow_provider.warehouse.load.columns.target import Pair, TargetColumn
from airflow_provider.warehouse.load.databases.generic import Generic

if TYPE_CHECKING:
    from airflow_provider.warehouse.load.source.reading import Source

LOCK_SECONDS = 600
"""Maximum seconds to wait for another writer."""

_NAMED = 3

_DIGITS = 19
_LEAST, _MOST = -(2**63), 2**63 - 1
"""Range of SQLite's integers."""

_FAMILIES = {
    "INT": ("integer", "'integer'"),
    "CHAR": ("text", ""),
    "CLOB": ("text", ""),
    "TEXT": ("text", ""),
    "JSON": ("json", ""),
    "BLOB": ("binary", ""),
    "REAL": ("number", "'real', 'integer'"),
    "FLOA": ("number", "'real', 'integer'"),
    "DOUB": ("number", "'real', 'integer'"),
    "NUM": ("numeric", "'real', 'integer'"),
    "DEC": ("numeric", "'real', 'integer'"),
    "BOOL": ("boolean", "'integer'"),
    "DATETIME": ("timestamp", ""),
    "TIMESTAMP": ("timestamp", ""),
}
"""Families by a part of a type's name, each with the kinds of value that it may hold."""


class SQLite(Generic):
    """A SQLite database."""

    ignores_case = True
    may_skip = True

    def begin(self) -> None:
        """Begin the transaction, once no other connection writes."""
        self.connection.isolation_level = None  # Else Python begins and commits transactions by itself.
        self.run(f"PRAGMA busy_timeout = {LOCK_SECONDS * 1000}")
        self.run("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Commit the transaction."""
        self.run("COMMIT")

    def columns_of(self, table: TableName) -> list[TargetColumn] | None:
        """Return the table's columns with their types."""
        schema = f"{self.quotes.name(table[-2])}." if len(table) > 1 else ""
        kinds = self.rows(
            f"SELECT type FROM {schema}sqlite_master WHERE lower(name) = lower(\0)"
            " AND type IN ('table', 'view')",
            table[-1],
        )
        if not kinds:
            return None
        if kinds[0][0] == "view":
            raise InputError(f"'{'.'.join(table)}' is no table but a view", "table")
        rows = self.rows(f"PRAGMA {schema}table_xinfo({self.quotes.name(table[-1])})")
        return [_target(row[1], row[2], row[6] in (2, 3)) for row in rows]

    def type_for(self, column: SourceColumn) -> str:
        """Return the type of a new column: texts for decimals of more digits than a number keeps."""
        if column.kind == "decimal":
            return decimal_type(column, "NUMERIC", [15], 15) or "TEXT"
        return super().type_for(column)

    def stage_problems(self, source: Source, pairs: Sequence[Pair]) -> list[str]:
        """Return which values a column would keep as another type, which SQLite allows."""
        problems = []
        for pair in pairs:
            allowed = _family(pair.target.type)[1]
            if not allowed:
                continue
            name = self.quotes.name(pair.target.name)
            where = f"typeof({name}) NOT IN ({allowed}, 'null')"
            count = int(self.value(f"SELECT count(*) FROM {self.stage} WHERE {where}"))
            if count:
                rows = self.rows(
                    f"SELECT _twin_row FROM {self.stage} WHERE {where} ORDER BY 1 LIMIT {_NAMED}"
                )
                named = ", ".join(source.label(row) for (row,) in rows)
                problems.append(
                    f"the column {pair.source.name!r} does not fit the type {pair.target.type} ({count} rows:"
                    f" {named}{', …' if count > _NAMED else ''})"
                )
        return problems

    def plain(self, value: Any, pair: Pair) -> Any:
        """Return a value as the column keeps it; moments are in UTC in a column without a zone."""
        if pair.target.family == "timestamp":
            value = in_utc(value)
        value = super().plain(value, pair)
        if isinstance(value, int) and not _LEAST <= value <= _MOST:
            value = str(value)
        return _column_value(value, pair) if isinstance(value, str) else value

    def _differs(self, target: str, pair: Pair) -> str:
        """Return whether a column differs: exactly, also where its collation ignores case or blanks."""
        name = self.quotes.name(pair.target.name)
        return f"{target}.{name} COLLATE BINARY IS NOT s.{name}"

    def numbered_stage(self) -> str:
        """Return the staging table, which has its rows' places."""
        return self.stage


def _target(name: str, declared: str, generated: bool) -> TargetColumn:
    family = _family(declared)[0]
    # Moments are converted to UTC, by types of Python that have microseconds.
    seconds = MICROSECONDS if family == "timestamp" else None
    return TargetColumn(name, declared, family, generated, seconds=seconds)


def _family(declared: str) -> tuple[str, str]:
    upper = declared.upper()
    if "TZ" in upper or "WITH TIME ZONE" in upper:
        return "moment", ""
    return next((family for part, family in _FAMILIES.items() if part in upper), ("other", ""))


def _column_value(text: str, pair: Pair) -> Any:
    """Return a text as the column keeps it: most columns make a number of what reads like one.

    :raises UnfitError: for a number that would be rounded, and a text that would become another one.
    """
    declared, family = pair.target.type.upper(), pair.target.family
    if not declared or family in ("text", "binary"):
        return text
    number = read_number(text)
    if number is None:
        return text
    if any(part in declared for part in ("REAL", "FLOA", "DOUB")):
        if isinf(float(text)):
            raise UnfitError("does not fit its type: it is too large")
        return text
    found: Any = text
    if not places_of(number) and number.adjusted() < _DIGITS and _LEAST <= int(number) <= _MOST:
        found = int(number)
    elif is_double(text):
        found = float(text)
    is_text = pair.source.kind in ("text", "json") and family not in ("integer", "numeric", "boolean", "json")
    if isinstance(found, str) or (is_text and str(found) != text):
        raise UnfitError("does not fit its type, which would change it; a TEXT column keeps it")
    return found
