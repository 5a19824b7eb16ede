"""SQLite: types are looked up, and what a column does not keep as its type is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow_provider.errors import InputError
from airflow_provider.warehouse.load.columns.names import TableName
from airflow_provider.warehouse.load.columns.target import Pair, TargetColumn
from airflow_provider.warehouse.load.databases.generic import Generic

if TYPE_CHECKING:
    from airflow_provider.warehouse.load.source.reading import Source

LOCK_SECONDS = 600
"""Maximum seconds to wait for another writer."""

_NAMED = 3

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
    "NUM": ("number", "'real', 'integer'"),
    "DEC": ("number", "'real', 'integer'"),
    "BOOL": ("boolean", "'integer'"),
}
"""Families by a part of a type's name, each with the kinds of value that it may hold."""


class SQLite(Generic):
    """A SQLite database."""

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
        return [TargetColumn(row[1], row[2], _family(row[2])[0], row[6] in (2, 3)) for row in rows]

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

    def numbered_stage(self) -> str:
        """Return the staging table, which has its rows' places."""
        return self.stage


def _family(declared: str) -> tuple[str, str]:
    upper = declared.upper()
    return next((family for part, family in _FAMILIES.items() if part in upper), ("other", ""))
