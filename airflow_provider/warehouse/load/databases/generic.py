"""Other databases: rows staged by ``executemany``, and SQL that SQLite, MariaDB and SQL Server share.

SQLite and MariaDB are tested. SQL Server runs the same statements, with its own quotes and temporary tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider.errors import InputError, ProviderError
from airflow_provider.warehouse.load.columns.exact import UnfitError, decimal_type, stored_number
from airflow_provider.warehouse.load.columns.names import Quotes, TableName
from airflow_provider.warehouse.load.columns.rows import SourceColumn
from airflow_provider.warehouse.load.columns.target import Pair, TargetColumn
from airflow_provider.warehouse.load.columns.text import (
    BadValueError,
    python_values,
    refuse_bad_value,
    to_text,
)
from airflow_provider.warehouse.load.databases.base import Database

if TYPE_CHECKING:
    from airflow_provider.warehouse.load.source.reading import Source

_ROW = "_twin_row"
_ROWS_AT_ONCE = 2000
_BYTES_AT_ONCE = 2_000_000
"""Bytes of the values of a block: some drivers send it as one statement, whose size servers limit."""

_TYPES = {
    "boolean": "BOOLEAN",
    "integer": "BIGINT",
    "number": "DOUBLE PRECISION",
    "date": "DATE",
    "time": "TIME",
    "moment": "TIMESTAMP",
    "timestamp": "TIMESTAMP",
    "binary": "BLOB",
}

_BOOLEANS = {"true": 1, "false": 0}
_BOOLEAN_JSON = ("json", "boolean")
_NUMBERS = ("integer", "number", "decimal")


class Generic(Database):
    """A database with standard SQL, whose types are not looked up."""

    def begin(self) -> None:
        """Turn autocommit off, where the driver has it."""
        if hasattr(self.hook, "set_autocommit"):
            self.hook.set_autocommit(self.connection, False)

    def explained(self, error: Exception, source: Source | None = None) -> Exception:
        """Return the error without its message, which may hold values."""
        names = [kind.__name__ for kind in type(error).__mro__]
        if type(error).__module__ == "builtins" or ("DatabaseError" not in names and "Error" not in names):
            return error
        if "IntegrityError" in names:
            return InputError("a constraint of the table refuses a row: see its keys and NOT NULL", "source")
        if "DataError" in names:
            return InputError("a value does not fit its column's type", "source")
        # SQLite's own names of errors, such as SQLITE_FULL, hold no values.
        cause = getattr(error, "sqlite_errorname", None)
        said = f" ({cause})" if cause else ""
        return ProviderError(f"the database failed: {type(error).__module__}.{type(error).__name__}{said}")

    def columns_of(self, table: TableName) -> list[TargetColumn] | None:
        """Return the table's columns, by a query that has no rows; None when it fails."""
        try:
            cursor = self.run(f"SELECT * FROM {self.quotes.table(table)} WHERE 1 = 0")
        except Exception as error:  # Drivers raise errors of any class.
            if "Error" not in type(error).__name__:
                raise
            return None
        cursor.fetchall()
        return [TargetColumn(str(column[0]), "") for column in cursor.description]

    def type_for(self, column: SourceColumn) -> str:
        """Return the type of a new column."""
        if column.kind == "decimal":
            return decimal_type(column, "NUMERIC", [38], 38) or "TEXT"
        return _TYPES.get(column.kind, "TEXT")

    def create_stage(self, table: TableName, pairs: Sequence[Pair]) -> None:
        """Create the staging table, with the number of each row."""
        names = self.quotes.names(pair.target.name for pair in pairs)
        self.run(
            f"CREATE TEMPORARY TABLE {self.stage} AS SELECT {names}, 0 AS {_ROW}"
            f" FROM {self.quotes.table(table)} WHERE 1 = 0"
        )

    def fill_stage(self, source: Source, pairs: Sequence[Pair], progress: Callable[[int], object]) -> None:
        """Write all rows, some thousand at once."""
        names = self.quotes.names([*(pair.target.name for pair in pairs), _ROW])
        places = ", ".join([self.placeholder] * (len(pairs) + 1))
        if self.doubles_percent:
            names = names.replace("%", "%%")
        sql = f"INSERT INTO {self.stage} ({names}) VALUES ({places})"
        cursor, rows = self.cursor(), 0
        for block in self._blocks(source, pairs):
            numbered = [(*row, rows + index) for index, row in enumerate(block)]
            try:
                cursor.executemany(sql, numbered)
            except Exception as error:
                if not self.refused_row(error, pairs):
                    raise
                self._name_refused_row(sql, numbered, source, pairs)
                raise
            rows += len(block)
            progress(rows)

    def refused_row(self, error: Exception, pairs: Sequence[Pair]) -> str:
        """Return what is wrong with a row that the staging table refused; empty when that is not known."""
        return ""

    def _name_refused_row(
        self, sql: str, block: list[tuple[Any, ...]], source: Source, pairs: Sequence[Pair]
    ) -> None:
        """Insert a block's rows one by one, to find the first one that is refused."""
        cursor = self.cursor()
        for row in block:
            try:
                cursor.execute(sql, row)
            except Exception as error:
                if problem := self.refused_row(error, pairs):
                    raise InputError(f"{source.label(row[-1])}: {problem}", "the source") from None
                raise

    def _blocks(self, source: Source, pairs: Sequence[Pair]) -> Iterator[list[tuple[Any, ...]]]:
        """Yield all rows as values of Python that drivers take, in blocks that fit into one statement."""
        rows = 0
        for batch in source.batches():
            arrays = [batch.arrays[pair.source.name] for pair in pairs]
            step = _BYTES_AT_ONCE * batch.rows // (1 + sum(array.nbytes for array in arrays))
            step = max(1, min(_ROWS_AT_ONCE, step))
            columns = [self._values(a, pair, source, rows) for a, pair in zip(arrays, pairs, strict=True)]
            found = list(zip(*columns, strict=True))
            rows += batch.rows
            for start in range(0, len(found), step):
                yield found[start : start + step]

    def _values(self, array: Any, pair: Pair, source: Source, rows: int) -> list[Any]:
        try:
            if pair.source.form == "arrow" and pair.source.kind in ("binary", "geometry"):
                return list(array.to_pylist())
            return self._plain_values(python_values(to_text(array, pair)), pair)
        except BadValueError as error:
            raise refuse_bad_value(error, pair, source.label(rows + error.index)) from None

    def _plain_values(self, values: list[Any], pair: Pair) -> list[Any]:
        found = []
        for index, value in enumerate(values):
            try:
                found.append(self.plain(value, pair))
            except UnfitError as error:
                raise BadValueError(index, error.problem) from None
        return found

    def plain(self, value: Any, pair: Pair) -> Any:
        """Return a value as every driver takes it: a number, a text, or None.

        :raises UnfitError: for a value that the column would change.
        """
        if isinstance(value, bool):
            return str(value).lower() if pair.target.family in ("text", "json") else int(value)
        if isinstance(value, datetime):
            return value.isoformat(" ")
        if isinstance(value, (date, time)):
            return value.isoformat()
        if isinstance(value, Decimal):
            return str(value)
        if not isinstance(value, str) or pair.target.family in ("text", "json"):
            return value
        is_boolean = pair.target.family == "boolean" or (pair.source.form, pair.source.kind) == _BOOLEAN_JSON
        if is_boolean and value.lower() in _BOOLEANS:
            return _BOOLEANS[value.lower()]
        is_number = pair.source.form == "json" and pair.source.kind in _NUMBERS
        return stored_number(value) if is_number else value

    def numbered_stage(self) -> str:
        """Return the staging table, which has its rows' places."""
        return self.stage

    def update_changed(self, table: TableName, pairs: Sequence[Pair], key: Sequence[str]) -> int:
        """Update the rows that differ, with subqueries, which all databases have."""
        others = [pair for pair in pairs if pair.target.name not in key]
        if not others:
            return 0
        target = self.quotes.table(table)
        same = self._same(target, key)
        values = ", ".join(
            f"{self.quotes.name(one.target.name)} ="
            f" (SELECT s.{self.quotes.name(one.target.name)} FROM {self.stage} s WHERE {same})"
            for one in others
        )
        differs = " OR ".join(self._differs(target, one) for one in others)
        return self.changed(
            f"UPDATE {target} SET {values} WHERE EXISTS"
            f" (SELECT 1 FROM {self.stage} s WHERE {same} AND ({differs}))"
        )

    def _same(self, target: str, key: Sequence[str]) -> str:
        return " AND ".join(f"{target}.{name} = s.{name}" for name in map(self.quotes.name, key))

    def _differs(self, target: str, pair: Pair) -> str:
        name = self.quotes.name(pair.target.name)
        old, new = f"{target}.{name}", f"s.{name}"
        one_is_null = f"({old} IS NULL AND {new} IS NOT NULL) OR ({old} IS NOT NULL AND {new} IS NULL)"
        return f"{old} <> {new} OR {one_is_null}"


class SqlServer(Generic):
    """SQL Server, with its own temporary tables."""

    quotes = Quotes("[", "]")
    stage_name = "#_twin_stage"
    LEDGER_TYPES = ("nvarchar(400)", "bigint", "nvarchar(40)")

    def prepare_ledger(self, ledger: TableName) -> None:
        """Create the ledger unless it is there."""
        if self.columns_of(ledger) is None:
            text, integer, moment = self.LEDGER_TYPES
            self.run(
                f"CREATE TABLE {self.quotes.table(ledger)} ([load_id] {text} PRIMARY KEY,"
                f" [rows] {integer} NOT NULL, [sha256] {text} NOT NULL, [loaded_at] {moment} NOT NULL)"
            )

    def create_stage(self, table: TableName, pairs: Sequence[Pair]) -> None:
        """Create the staging table."""
        names = self.quotes.names(pair.target.name for pair in pairs)
        self.run(f"SELECT {names}, 0 AS {_ROW} INTO {self.stage} FROM {self.quotes.table(table)} WHERE 1 = 0")
