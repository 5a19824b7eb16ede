"""DuckDB: rows staged as Arrow batches, cast by the database, each bad value named by row and column."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider.core.files.formats import import_pyarrow
from airflow_provider.errors import InputError, ProviderError
from airflow_provider.warehouse.load.columns.exact import MICROSECONDS, decimal_type, scale_of
from airflow_provider.warehouse.load.columns.names import TableName
from airflow_provider.warehouse.load.columns.rows import SourceColumn
from airflow_provider.warehouse.load.columns.target import Pair, TargetColumn
from airflow_provider.warehouse.load.columns.text import (
    BadValueError,
    finite,
    finite_lists,
    plain_array,
    refuse_bad_value,
    to_text,
)
from airflow_provider.warehouse.load.databases.base import Database

if TYPE_CHECKING:
    from airflow_provider.warehouse.load.source.reading import Source

LOCK_SECONDS = 600.0
"""Maximum seconds to wait for the file, which one process at a time can write."""

_RAW = "_twin_raw"
_BATCH = "_twin_batch"
_PLACE = "row_number() OVER (ORDER BY rowid) - 1 AS _twin_row"
"""Place of a row; ``rowid`` itself begins with a large number within a transaction."""

_NAMED = 3
"""Rows that a problem of a column names."""

_TYPES = {
    "boolean": "BOOLEAN",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "json": "JSON",
    "date": "DATE",
    "time": "TIME",
    "interval": "INTERVAL",
    "moment": "TIMESTAMP WITH TIME ZONE",
    "timestamp": "TIMESTAMP",
    "binary": "BLOB",
    "geometry": "BLOB",
}

_FAMILIES = {
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"), "integer"),
    **dict.fromkeys(("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"), "integer"),
    **dict.fromkeys(("DECIMAL", "FLOAT", "DOUBLE"), "number"),
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"), "timestamp"),
    "DATE": "date",
    "TIME": "time",
    "TIMESTAMP WITH TIME ZONE": "moment",
    "JSON": "json",
    "VARCHAR": "text",
}

_EXACT = re.compile(r'(?<!")\b(?:U?(?:TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|DECIMAL\(\d+,\d+\))(?!")')
"""Types of numbers that are rounded to, within the name of another type."""

_NAIVE = re.compile(r"(?<![\"'])\bTIMESTAMP(?:_S|_MS|_NS)?\b(?! WITH|[\"'])")
_DATE = re.compile(r"(?<![\"'])\bDATE\b(?![\"'])")
_MOMENT = "TIMESTAMP WITH TIME ZONE"

_NESTED = re.compile(r"\]$|^(?:STRUCT|MAP)\(")

_FLOATS = re.compile(r"(FLOAT|DOUBLE)\[\d*\]")
"""Lists of floats, which may become infinite."""

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}]', re.DOTALL)
"""Texts of JSON, and what begins and ends its objects."""

_NAMES_ONLY = ("CatalogException", "BinderException", "PermissionException", "TransactionException")
"""Errors whose messages hold names of the database, and no values of rows."""


class DuckDb(Database):
    """A DuckDB database."""

    ignores_case = True
    LEDGER_TYPES = ("VARCHAR", "BIGINT", "TIMESTAMP")

    def open(self) -> None:
        """Connect, once no other process has the file open for writing."""
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                self.connection = self.hook.get_conn()
                break
            except Exception as error:  # The class is DuckDB's, which is not imported here.
                if "Could not set lock" not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(0.2)
        self.begin()

    def begin(self) -> None:
        """Begin the transaction; texts without a zone are UTC."""
        self.run("SET TimeZone = 'UTC'")
        self.run("BEGIN TRANSACTION")

    def run(self, sql: str, *parameters: Any) -> Any:
        """Run a statement on the connection itself: a cursor of DuckDB is another connection."""
        return self.connection.execute(sql.replace("\0", "?"), list(parameters))

    def changed(self, sql: str) -> int:
        """Run a statement that writes, and return the number of its rows."""
        return int(self.run(sql).fetchall()[0][0])

    def explained(self, error: Exception, source: Source | None = None) -> Exception:
        """Return the error without values."""
        name = type(error).__name__
        if not type(error).__module__.split(".")[0].endswith("duckdb"):
            return error
        if name in _NAMES_ONLY:
            kind = ProviderError if name == "TransactionException" else InputError
            return kind(f"the database answered: {str(error).splitlines()[0][:300]}")
        if name == "ConstraintException":
            return InputError("a constraint of the table refuses a row: see its keys and NOT NULL", "source")
        if name == "ConversionException":
            return InputError("a value does not fit its column's type", "source")
        return ProviderError(f"the database failed: {name}")

    def columns_of(self, table: TableName) -> list[TargetColumn] | None:
        """Return the table's columns."""
        schema = "\0" if len(table) > 1 else "current_schema()"
        catalog = "\0" if len(table) > 2 else "current_database()"
        where = f"lower(table_catalog) = lower({catalog}) AND lower(table_schema) = lower({schema})"
        where += " AND lower(table_name) = lower(\0)"
        kinds = self.rows(f"SELECT table_type FROM information_schema.tables WHERE {where}", *table)
        if not kinds:
            return None
        if kinds[0][0] != "BASE TABLE":
            raise InputError(f"'{'.'.join(table)}' is no table but a view", "table")
        rows = self.rows(
            f"SELECT column_name, data_type FROM information_schema.columns WHERE {where}"
            " ORDER BY ordinal_position",
            *table,
        )
        return [_target(name, kind) for name, kind in rows]

    def type_for(self, column: SourceColumn) -> str:
        """Return the type of a new column."""
        if column.form != "arrow" and column.kind == "geometry":
            return "VARCHAR"
        if column.kind == "decimal":
            return decimal_type(column, "DECIMAL", [38], 38) or "VARCHAR"
        return _TYPES.get(column.kind, "VARCHAR")

    def create_stage(self, table: TableName, pairs: Sequence[Pair]) -> None:
        """Create the staging table."""
        columns = [f"{self.quotes.name(pair.target.name)} {pair.target.type}" for pair in pairs]
        self.run(f"CREATE TEMP TABLE {self.stage} ({', '.join(columns)})")

    def fill_stage(self, source: Source, pairs: Sequence[Pair], progress: Callable[[int], object]) -> None:
        """Write all rows as they are, find the values that do not fit, and cast the rows."""
        rows = 0
        for batch in source.batches():
            arrays = [self._array(batch.arrays[pair.source.name], pair, source, rows) for pair in pairs]
            self._add(arrays, [pair.target.name for pair in pairs], create=not rows)
            rows += batch.rows
            progress(rows)
        if not rows:
            return
        if problems := [text for pair in pairs for text in self._bad_values(source, pair)]:
            raise InputError(problems, "the source")
        values = [self._cast("CAST", pair) for pair in pairs]
        self.run(f"INSERT INTO {self.stage} SELECT {', '.join(values)} FROM {_RAW}")
        self.run(f"DROP TABLE {_RAW}")

    def _add(self, arrays: list[Any], names: list[str], *, create: bool) -> None:
        pa, _ = import_pyarrow("source")
        self.connection.register(_BATCH, pa.Table.from_arrays(arrays, names=names))
        try:
            if create:
                self.run(f"CREATE TEMP TABLE {_RAW} AS SELECT * FROM {_BATCH}")
            else:
                self.run(f"INSERT INTO {_RAW} SELECT * FROM {_BATCH}")
        finally:
            self.connection.unregister(_BATCH)

    def _array(self, array: Any, pair: Pair, source: Source, rows: int) -> Any:
        try:
            return _plain(array, pair)
        except BadValueError as error:
            raise refuse_bad_value(error, pair, source.label(rows + error.index)) from None

    def _cast(self, cast: str, pair: Pair) -> str:
        """Return in SQL a raw value as the column's type; a moment of another zone becomes UTC.

        :param cast: ``CAST`` or ``TRY_CAST``.
        """
        name = self.quotes.name(pair.target.name)
        is_text = pair.source.kind == "text" or (pair.source.form, pair.source.kind) == ("json", "json")
        if is_text and _NAIVE.search(pair.target.type):
            name = f"{cast}({name} AS {_NAIVE.sub(_MOMENT, pair.target.type)})"
        return f"{cast}({name} AS {pair.target.type})"

    def _unfit(self, pair: Pair) -> str:
        """Return in SQL whether a raw value does not fit, or would be changed."""
        name, found = self.quotes.name(pair.target.name), self._cast("TRY_CAST", pair)
        wrong = [f"{found} IS NULL"]
        if pair.target.type in ("FLOAT", "DOUBLE"):
            wrong.append(f"isinf({found})")
        if floats := _FLOATS.fullmatch(pair.target.type):
            kind = floats.group(1)
            infinite = f"['inf'::{kind}, '-inf'::{kind}]"
            wrong.append(f"list_has_any({found}::{kind}[], {infinite})")
        raw = str(self.value(f"SELECT typeof({name}) FROM {_RAW} LIMIT 1"))
        if (
            raw not in ("VARCHAR", "BLOB") or pair.target.family == "timestamp"
        ) and "FLOAT" not in pair.target.type:
            # Texts of moments come by a type with a zone, whose microseconds a shorter type rounds.
            same = "TIMESTAMP WITH TIME ZONE" if raw == "VARCHAR" else raw
            wrong.append(f"TRY_CAST({found} AS {same}) IS DISTINCT FROM TRY_CAST({name} AS {same})")
        if raw == "VARCHAR" and _NESTED.search(pair.target.type):
            # A text of lists and objects is cast by the same type with numbers and times of any kind.
            wide = _DATE.sub(_MOMENT, _NAIVE.sub(_MOMENT, _EXACT.sub("DOUBLE", pair.target.type)))
            wrong.append(f"TRY_CAST({found} AS {wide}) IS DISTINCT FROM TRY_CAST({name} AS {wide})")
        return f"{name} IS NOT NULL AND ({' OR '.join(wrong)})"

    def _bad_values(self, source: Source, pair: Pair) -> list[str]:
        """Return the problem of a column's values that its type does not take."""
        where = self._unfit(pair)
        count = int(self.value(f"SELECT count(*) FROM {_RAW} WHERE {where}"))
        if not count:
            return []
        numbered = f"(SELECT *, {_PLACE} FROM {_RAW})"
        rows = self.rows(f"SELECT _twin_row FROM {numbered} WHERE {where} ORDER BY 1 LIMIT {_NAMED}")
        named = ", ".join(source.label(row) for (row,) in rows)
        more = ", …" if count > _NAMED else ""
        return [
            f"the column {pair.source.name!r} does not fit the type {pair.target.type} ({count} rows:"
            f" {named}{more})"
        ]

    def differs(self, pair: Pair) -> str:
        """Return whether a column differs: exactly, also where its collation ignores case."""
        if pair.target.family != "text":
            return super().differs(pair)
        name = self.quotes.name(pair.target.name)
        return f"encode(t.{name}) IS DISTINCT FROM encode(s.{name})"

    def numbered_stage(self) -> str:
        """Return the staging table with its rows' places."""
        return f"(SELECT *, {_PLACE} FROM {self.stage})"


def _target(name: str, kind: str) -> TargetColumn:
    family = _family(kind)
    scale = scale_of(kind) if family == "number" else None
    seconds = MICROSECONDS if family in ("timestamp", "moment", "time") else None
    return TargetColumn(name, kind, family, scale=scale, seconds=seconds)


def _family(kind: str) -> str:
    if kind.endswith("]"):
        return "other"
    return _FAMILIES.get(kind.partition("(")[0], "other")


def _plain(array: Any, pair: Pair) -> Any:
    """Return an array as DuckDB takes it: texts where they are checked or converted, else Arrow's own type.

    :raises BadValueError: for a value that the column would change.
    """
    pa, _ = import_pyarrow("source")
    if pair.source.form != "arrow":
        return _nested_text(to_text(array, pair), pair)
    array, kind = plain_array(array)
    if pa.types.is_floating(kind):
        return finite(array)
    if any(check(kind) for check in (pa.types.is_string, pa.types.is_large_string, pa.types.is_time)):
        return _nested_text(to_text(array, pair), pair)
    if pa.types.is_nested(kind):
        return to_text(array, pair) if pair.target.family in ("json", "text") else finite_lists(array)
    return array.cast(pa.string()) if pa.types.is_decimal256(kind) else array


def _nested_text(array: Any, pair: Pair) -> Any:
    """Return texts of JSON as DuckDB reads them as a list or an object; all other texts as they are."""
    pa, _ = import_pyarrow("source")
    import pyarrow.compute as pc

    if not _NESTED.search(pair.target.type) or not pc.any(pc.match_substring(array, "\\")).as_py():
        return array
    has_objects = "STRUCT(" in pair.target.type
    texts = [text and _without_escapes(text, has_objects=has_objects) for text in array.to_pylist()]
    return pa.array(texts, array.type)


def _without_escapes(text: str, *, has_objects: bool) -> str:
    """Return a text of JSON in which only quotes and backslashes are escaped: DuckDB knows no other escapes.

    :param has_objects: whether objects in it are read; as elements of a list of texts they stay as they are.
    """
    try:
        if "\\" not in text or not isinstance(msgspec.json.decode(text), (list, dict)):
            return text
    except (msgspec.DecodeError, RecursionError):
        return text
    depth = 0

    def plain(found: re.Match[str]) -> str:
        nonlocal depth
        part = found.group()
        if part in "{}":
            depth += 1 if part == "{" else -1
        elif "\\" in part and (has_objects or not depth):
            value = msgspec.json.decode(part, type=str)
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return part

    return _TOKEN.sub(plain, text)
