"""MariaDB and MySQL: strict, in UTC, texts compared exactly, each bad value named by row and column."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_provider.errors import InputError, ProviderError
from airflow_provider.warehouse.load.columns.exact import (
    HAS_SHORT_YEAR,
    UnfitError,
    decimal_type,
    in_utc,
    length_of,
    read_number,
    scale_of,
    seconds_of,
    whole,
)
from airflow_provider.warehouse.load.columns.names import Quotes, TableName
from airflow_provider.warehouse.load.columns.rows import SourceColumn
from airflow_provider.warehouse.load.columns.target import Pair, TargetColumn
from airflow_provider.warehouse.load.databases.base import as_path, follows
from airflow_provider.warehouse.load.databases.generic import Generic
from airflow_provider.warehouse.load.databases.mariadb_errors import clean_error, has_no_answer, named_column

if TYPE_CHECKING:
    from airflow_provider.warehouse.load.source.reading import Source

LOCK_SECONDS = 600
"""Maximum seconds to wait for another load into the same table."""

_SETTINGS = (
    # Otherwise a value that does not fit is cut, or becomes 0, without an error.
    # Without the second word, the key 0 of an AUTO_INCREMENT column becomes another number.
    "SET SESSION sql_mode = 'TRADITIONAL,NO_AUTO_VALUE_ON_ZERO'",
    "SET SESSION time_zone = '+00:00'",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    f"SET SESSION innodb_lock_wait_timeout = {LOCK_SECONDS}",
)

_TABLE = """
SELECT t.table_type, t.engine, e.transactions FROM information_schema.tables t
  LEFT JOIN information_schema.engines e ON e.engine = t.engine
WHERE t.table_schema = COALESCE(\0, DATABASE()) AND t.table_name = \0"""

_COLUMNS = """
SELECT column_name, column_type, data_type, extra, is_nullable FROM information_schema.columns
WHERE table_schema = COALESCE(\0, DATABASE()) AND table_name = \0 ORDER BY ordinal_position"""

_CHECKS = """
SELECT check_clause FROM information_schema.check_constraints
WHERE constraint_schema = COALESCE(\0, DATABASE()) AND table_name = \0"""

_FOLLOWING = """
SELECT constraint_name, table_name FROM information_schema.referential_constraints
WHERE unique_constraint_schema = COALESCE(\0, DATABASE()) AND referenced_table_name = \0
  AND delete_rule IN ('CASCADE', 'SET NULL', 'SET DEFAULT')
  AND NOT (constraint_schema = unique_constraint_schema AND table_name = referenced_table_name)
ORDER BY 2, 1"""
"""Foreign keys of other tables that delete or change rows there when rows of this one are deleted."""

_FAMILIES = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "year"), "integer"),
    **dict.fromkeys(("decimal", "float", "double"), "number"),
    **dict.fromkeys(("char", "varchar", "tinytext", "text", "mediumtext", "longtext"), "text"),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), "binary"),
    **dict.fromkeys(("datetime", "timestamp"), "timestamp"),
    **dict.fromkeys(("geometry", "point", "linestring", "polygon", "geometrycollection"), "geometry"),
    **dict.fromkeys(("multipoint", "multilinestring", "multipolygon"), "geometry"),
    "date": "date",
    "time": "time",
    "json": "json",
    "uuid": "uuid",
}

_TYPES = {
    "boolean": "BOOLEAN",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "json": "JSON",
    "date": "DATE",
    "time": "TIME(6)",
    "moment": "DATETIME(6)",
    "timestamp": "DATETIME(6)",
    "binary": "LONGBLOB",
}

_SPECIAL = re.compile(r"(enum|set|year|time|bit)\b")
_MEMBER = re.compile(r"'((?:[^']|'')*)'")

_MAX_NAME = 64
"""Maximum characters of a name."""

_KEY_TYPES = {"LONGTEXT": "VARCHAR(500)", "JSON": "VARCHAR(500)", "LONGBLOB": "VARBINARY(500)"}
"""Types of key columns, in place of types that have no index."""


class MariaDb(Generic):
    """A MariaDB or MySQL database, whose ``CREATE TABLE`` commits: the ledger is created before all else."""

    has_savepoints = True
    ignores_case = True
    quotes = Quotes("`", "`")
    uri = ("mysql", 3306)
    LEDGER_TYPES = ("varchar(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "bigint", "varchar(40)")

    def begin(self) -> None:
        """Begin the transaction, with strict checks of values."""
        super().begin()
        for setting in _SETTINGS:
            self.run(setting)

    def cursor(self) -> Any:
        """Return a cursor whose rows are tuples, whatever the connection's extra ``cursor`` says."""
        driver = self._driver
        if driver in ("MySQLdb", "pymysql"):
            return self.connection.cursor(import_module(f"{driver}.cursors").Cursor)
        return self.connection.cursor()

    @property
    def _driver(self) -> str:
        return type(self.connection).__module__.partition(".")[0]

    @property
    def doubles_percent(self) -> bool:
        """True when the driver reads ``%%`` as a percent sign where there are parameters."""
        return self._driver != "mysql"

    def has_no_answer(self, error: Exception) -> bool:
        """Return whether the connection broke."""
        return has_no_answer(error)

    def explained(self, error: Exception, source: Source | None = None) -> Exception:
        """Return the error without values."""
        return clean_error(error)

    def columns_of(self, table: TableName) -> list[TargetColumn] | None:
        """Return the table's columns with their types."""
        if len(table) > 2:
            raise InputError(f"'{'.'.join(table)}' must be database.table", "table")
        place = (table[0] if len(table) > 1 else None, table[-1])
        found = self.rows(_TABLE, *place)
        if not found:
            return None
        kind, engine, transactions = map(_text, found[0])
        if kind != "BASE TABLE":
            raise InputError(f"'{'.'.join(table)}' is no table but a {kind.lower()}", "table")
        if transactions != "YES":
            raise InputError(
                f"'{'.'.join(table)}' is kept by the engine {engine}, which knows no transactions: a load"
                " that fails would leave a part of its rows; use InnoDB",
                "table",
            )
        documents = self._json_columns(place)
        return [_target(list(map(_text, row)), documents) for row in self.rows(_COLUMNS, *place)]

    def _json_columns(self, place: tuple[str | None, str]) -> set[str]:
        """Return the names of MariaDB's JSON columns, which are texts with a check."""
        try:
            clauses = [_text(row[0]) for row in self.rows(_CHECKS, *place)]
        except Exception as error:  # MySQL's view has no names of tables; it has a type for JSON.
            if has_no_answer(error):
                raise
            return set()
        found = (clause.strip().lower() for clause in clauses)
        return {
            one[len("json_valid(`") : -2]
            for one in found
            if one.startswith("json_valid(`") and one.endswith("`)")
        }

    def table_problems(self, table: TableName, mode: str) -> list[str]:
        """Return the foreign keys that a replace would follow."""
        if mode != "replace":
            return []
        place = (table[0] if len(table) > 1 else None, table[-1])
        return [follows(*map(_text, row)) for row in self.rows(_FOLLOWING, *place)]

    def path_of(self, table: TableName) -> str:
        """Return the names of the database and the table."""
        first = table[0] if len(table) > 1 else _text(self.value("SELECT DATABASE()"))
        return as_path(first, table[-1])

    def type_for(self, column: SourceColumn) -> str:
        """Return the type of a new column."""
        if column.kind == "decimal":
            return decimal_type(column, "DECIMAL", [38, 65], 30) or "LONGTEXT"
        return _TYPES.get(column.kind, "LONGTEXT")

    def name_problem(self, name: str) -> str:
        """Return why a new column cannot have a name."""
        if len(name) <= _MAX_NAME:
            return ""
        return f"is longer than {_MAX_NAME} characters; give it a shorter name by 'columns'"

    def create_table(self, table: TableName, columns: Sequence[tuple[str, str]], key: Sequence[str]) -> None:
        """Create the table, whose texts are compared exactly."""
        parts = []
        for name, kind in columns:
            parts.append(f"{self.quotes.name(name)} {_KEY_TYPES.get(kind, kind) if name in key else kind}")
        if key:
            parts.append(f"PRIMARY KEY ({self.quotes.names(key)})")
        self.run(
            f"CREATE TABLE {self.quotes.table(table)} ({', '.join(parts)})"
            " ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        )

    def lock(self, table: TableName) -> None:
        """Take a lock with the table's name, which the end of the connection frees."""
        if len(table) == 1:
            table = (_text(self.value("SELECT DATABASE()")), *table)
        name = "twin_" + hashlib.sha256(self.quotes.table(table).encode()).hexdigest()[:40]
        if self.value(f"SELECT GET_LOCK('{name}', {LOCK_SECONDS})") != 1:
            raise ProviderError(f"another load into the table has not ended within {LOCK_SECONDS} s")

    def prepare_ledger(self, ledger: TableName) -> None:
        """Create the ledger unless it is there; its creation needs a privilege that loads do not."""
        if self.columns_of(ledger) is None:
            super().prepare_ledger(ledger)

    def create_stage(self, table: TableName, pairs: Sequence[Pair]) -> None:
        """Create the staging table."""
        if shapes := [pair for pair in pairs if pair.target.family == "geometry"]:
            text = "is a geometry, which loads fill in PostgreSQL only: put {!r} into 'ignore'"
            raise InputError(
                [f"the column {one.target.name!r} {text.format(one.source.name)}" for one in shapes],
                "the source",
            )
        super().create_stage(table, pairs)

    def refused_row(self, error: Exception, pairs: Sequence[Pair]) -> str:
        """Return what is wrong with a row that the staging table refused."""
        names = {pair.target.name: pair.source.name for pair in pairs}
        return named_column(error, names)

    def plain(self, value: Any, pair: Pair) -> Any:
        """Return a value as the drivers take it; moments are in UTC, as these databases take no zone."""
        if pair.target.family == "timestamp":
            value = in_utc(value)
        if value is not None and (special := _SPECIAL.match(pair.target.type)):
            return _READERS[special.group(1)](str(super().plain(value, pair)), pair.target.type)
        if pair.target.family == "boolean" and isinstance(value, (str, float)):
            value = super().plain(value, pair)
            return value if isinstance(value, int) else whole(str(value))
        if pair.target.type.startswith("decimal") and isinstance(value, str):
            return value  # A float of Python would round it.
        return super().plain(value, pair)

    def update_changed(self, table: TableName, pairs: Sequence[Pair], key: Sequence[str]) -> int:
        """Update the rows that differ, by a join."""
        others = [pair for pair in pairs if pair.target.name not in key]
        if not others:
            return 0
        names = [self.quotes.name(one.target.name) for one in others]
        values = ", ".join(f"t.{name} = s.{name}" for name in names)
        differs = " OR ".join(map(self.differs, others))
        return self.changed(
            f"UPDATE {self.quotes.table(table)} t JOIN {self.stage} s ON {self.same_key(key)}"
            f" SET {values} WHERE {differs}"
        )

    def differs(self, pair: Pair) -> str:
        """Return whether a column differs: exactly, also where its collation ignores case and blanks."""
        name = self.quotes.name(pair.target.name)
        binary = "BINARY " if pair.target.family in ("text", "json") else ""
        return f"NOT ({binary}t.{name} <=> {binary}s.{name})"


def _text(value: Any) -> str:
    """Return a text of the information schema, which some drivers return as bytes."""
    return value.decode() if isinstance(value, (bytes, bytearray)) else str(value)


def _target(row: Sequence[str], documents: set[str]) -> TargetColumn:
    name, declared, kind, extra, nullable = row
    family = _FAMILIES.get(kind.lower(), "other")
    if declared.lower() == "tinyint(1)":
        family = "boolean"
    elif name.lower() in documents:
        family = "json"
    return TargetColumn(
        name,
        declared,
        family,
        "GENERATED" in extra.upper().split(),
        scale=scale_of(declared) if family == "number" else None,
        seconds=seconds_of(declared, 0) if kind.lower() in ("time", "datetime", "timestamp") else None,
        length=length_of(declared),
        replaces_null=kind.lower() == "timestamp" and nullable == "NO",
    )


def _enum(text: str, declared: str) -> str:
    return _member([text], text, declared)


def _set(text: str, declared: str) -> str:
    return _member(text.split(",") if text else [], text, declared)


def _member(parts: Sequence[str], text: str, declared: str) -> str:
    """Return a value of an ``enum`` or a ``set``.

    :param parts: the values that the column must list. It would take a number as the place of a value, and
        one in another case, or with blanks behind it, for the value itself.
    :raises UnfitError: for one that the column does not list.
    """
    members = {one.replace("''", "'") for one in _MEMBER.findall(declared)}
    alike = {one.rstrip().casefold() for one in members}
    for one in parts:
        if one not in members and (read_number(one) is not None or one.rstrip().casefold() in alike):
            raise UnfitError("does not fit its type: it is none of the values that its column lists")
    return text


def _year(text: str, _: str) -> Any:
    """Return a year as a number: the text 0 would become 2000.

    :raises UnfitError: for one that the column would complete with a century.
    """
    number = read_number(text)
    if number is not None and 0 < number < 100:
        raise UnfitError(HAS_SHORT_YEAR)
    return text if number is None else int(number)


def _time(text: str, _: str) -> str:
    """Return a time of day.

    :raises UnfitError: for a number, which the column reads from its end: 1112 is 00:11:12.
    """
    if read_number(text) is not None:
        raise UnfitError("does not fit its type: a time is written as 10:00:00")
    return text


def _bit(text: str, _: str) -> Any:
    """Return the number of a bit field: a text would be its bits."""
    return int(text) if text.isdecimal() else text


_READERS: Mapping[str, Callable[[str, str], Any]] = {
    "enum": _enum,
    "set": _set,
    "year": _year,
    "time": _time,
    "bit": _bit,
}
"""Readers of values that the database would take for others, by the type."""
