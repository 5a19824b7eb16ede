"""PostgreSQL and PostGIS: rows staged by COPY, each value through the text input of its type."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_provider.core.files.prefetch import prefetch
from airflow_provider.core.sql.streaming import read_texts
from airflow_provider.errors import InputError
from airflow_provider.warehouse.load.columns.names import Quotes, TableName
from airflow_provider.warehouse.load.columns.rows import UNKNOWN_SRID, SourceColumn
from airflow_provider.warehouse.load.columns.target import Pair, TargetColumn
from airflow_provider.warehouse.load.columns.text import BadValueError, refuse_bad_value, to_text
from airflow_provider.warehouse.load.databases.base import (
    BrokenWrite,
    Database,
    NotDirectError,
    as_path,
    not_taken,
)
from airflow_provider.warehouse.load.databases.postgis import (
    FIND_POSTGIS,
    are_in_degrees,
    geometry_problems,
    geometry_value,
    is_stored_in_degrees,
)
from airflow_provider.warehouse.load.databases.postgres_constraints import constraint_problems
from airflow_provider.warehouse.load.databases.postgres_errors import clean_error, has_no_answer, sqlstate
from airflow_provider.warehouse.load.databases.postgres_tables import (
    may_skip_rows,
    read_column,
    table_problems,
)
from airflow_provider.warehouse.load.databases.postgres_values import check_dates, is_naive_array

if TYPE_CHECKING:
    from airflow_provider.warehouse.load.source.reading import Source

_LOCK = 0x7477696E
"""First half of the advisory locks' keys; the second is the table's."""

_SETTINGS = (
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE",
    "SET LOCAL TimeZone = 'UTC'",
    "SET LOCAL DateStyle = 'ISO, YMD'",
    "SET LOCAL standard_conforming_strings = on",
    "SET LOCAL array_nulls = on",
    "SET LOCAL IntervalStyle = 'postgres'",
)
"""What the meaning of texts may depend on: the same for every server and user."""

_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod),
  format_type(CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END,
    CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END),
  COALESCE(b.typcategory, t.typcategory) = 'A',
  a.attgenerated <> '' OR a.attidentity = 'a'
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype
WHERE a.attrelid = \0::oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum"""

_UNIQUE = """
SELECT array_agg(a.attname::text) FROM pg_index i
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indrelid = \0 AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL
  AND i.indexprs IS NULL AND i.indnkeyatts = i.indnatts
GROUP BY i.indexrelid HAVING bool_and(a.attnotnull)"""

_COMPARABLE = ("binary", "uuid", "integer", "boolean", "date", "number", "timestamp", "moment", "geometry")
"""Families whose equality is exact; all others are compared by their texts."""

_TYPES = {
    "boolean": "boolean",
    "integer": "bigint",
    "number": "double precision",
    "decimal": "numeric",
    "text": "text",
    "json": "jsonb",
    "date": "date",
    "time": "time",
    "interval": "interval",
    "moment": "timestamp with time zone",
    "timestamp": "timestamp without time zone",
    "binary": "bytea",
}

_MAX_NAME = 63
"""Maximum bytes of a name; PostgreSQL cuts longer ones."""


_HEADER = b"header\n"


class Postgres(Database):
    """A PostgreSQL database, through psycopg 2 or 3."""

    quotes = Quotes()
    has_savepoints = True
    uri = ("postgres", 5432)

    def __init__(self, hook: Any) -> None:
        super().__init__(hook)
        self._is_psycopg3 = False
        self._pairs: Sequence[Pair] = ()
        self._staged = 0

    def open(self) -> None:
        """Connect, and begin the transaction.

        :raises InputError: when the driver does not know a field of the connection.
        """
        try:
            super().open()
        except Exception as error:
            if sqlstate(error) or type(error).__name__ != "ProgrammingError":
                raise
            option = re.search(r'option "(\w+)"', str(error))
            named = f" {option.group(1)!r}" if option else "s"
            text = f"the driver does not know the option{named} of the connection; see its extra"
            raise InputError(text, "sql_conn_id") from None

    def begin(self) -> None:
        """Begin the transaction, with the settings that texts are read by."""
        self._is_psycopg3 = type(self.connection).__module__.partition(".")[0] == "psycopg"
        read_texts(self.connection)
        self.connection.autocommit = False
        for setting in (*_SETTINGS, FIND_POSTGIS):
            self.run(setting)

    def cursor(self) -> Any:
        """Return a cursor whose rows are tuples, whatever the connection's extra ``cursor`` says."""
        if self._is_psycopg3:
            from psycopg.rows import tuple_row

            return self.connection.cursor(row_factory=tuple_row)
        from psycopg2.extensions import cursor  # type: ignore[import-untyped,unused-ignore]

        return self.connection.cursor(cursor_factory=cursor)

    def has_no_answer(self, error: Exception) -> bool:
        """Return whether the connection broke."""
        return has_no_answer(error)

    def explained(self, error: Exception, source: Source | None = None) -> Exception:
        """Return the error without values."""
        modules = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
        if not modules & {"psycopg", "psycopg2"}:
            return error
        return clean_error(error, self.stage_name, lambda line: self._row_at(line, source))

    def columns_of(self, table: TableName) -> list[TargetColumn] | None:
        """Return the table's columns."""
        if len(table) > 2:
            raise InputError(f"'{'.'.join(table)}' must be schema.table", "table")
        if long := [part for part in table if len(part.encode()) > _MAX_NAME]:
            raise InputError(f"{long[0]!r:.80} is longer than {_MAX_NAME} bytes", "table")
        rows = self.rows(
            "SELECT c.oid::bigint, c.relkind FROM pg_class c"
            f" WHERE c.oid = to_regclass({_literal(self.quotes.table(table))})"
        )
        if not rows:
            return None
        if rows[0][1] not in ("r", "p"):
            raise InputError(f"'{'.'.join(table)}' is no table but a view or the like", "table")
        found = [read_column(*row) for row in self.rows(_COLUMNS.replace("\0", str(rows[0][0])))]
        return [self._with_checked_srid(table, one) if one.type == "geometry" else one for one in found]

    def _with_checked_srid(self, table: TableName, column: TargetColumn) -> TargetColumn:
        """Return a geometry column with the SRID that a check of the table demands, as old tables have."""
        srid = self.value(
            "SELECT postgis_constraint_srid(n.nspname::text, c.relname::text, \0) FROM pg_class c"
            f" JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = {self._oid(table)}",
            column.name,
        )
        return column._replace(srid=int(srid or 0))

    def resolve(self, table: TableName, quoted: str) -> TableName:
        """Return the parts; those without quotes that are no names as written are in small letters."""
        folded = tuple(part.lower() for part in table)
        if '"' in quoted or folded == table or self.columns_of(table) is not None:
            return table
        return folded

    def path_of(self, table: TableName) -> str:
        """Return the names of the database, the schema and the table."""
        where = f"c.oid = to_regclass({_literal(self.quotes.table(table))})"
        (names,) = self.rows(
            "SELECT current_database(), n.nspname, c.relname FROM pg_class c"
            f" JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {where}"
        )
        return as_path(*names)

    def table_problems(self, table: TableName, mode: str) -> list[str]:
        """Return the foreign keys that a replace would follow, and whether rows are hidden."""
        return table_problems(self, self._oid(table), mode)

    def rows_of(self, table: TableName) -> str:
        """Return the table without those that inherit from it, but with its partitions."""
        kind = self.value(f"SELECT relkind FROM pg_class WHERE oid = {self._oid(table)}")
        return f"{'' if kind == 'p' else 'ONLY '}{self.quotes.table(table)}"

    def _oid(self, table: TableName) -> int:
        return int(self.value(f"SELECT to_regclass({_literal(self.quotes.table(table))})::oid::bigint"))

    def type_for(self, column: SourceColumn) -> str:
        """Return the type of a new column."""
        if column.kind == "geometry":
            return "geometry" if column.srid == UNKNOWN_SRID else f"geometry(Geometry,{column.srid})"
        return _TYPES.get(column.kind, "text")

    def name_problem(self, name: str) -> str:
        """Return why a new column cannot have a name."""
        if len(name.encode()) <= _MAX_NAME:
            return ""
        return f"is longer than {_MAX_NAME} bytes, and would be cut; give it a shorter name by 'columns'"

    def lock(self, table: TableName) -> None:
        """Take the table's advisory lock."""
        self.run(f"SELECT pg_advisory_xact_lock({_LOCK}, hashtext({_literal(self.quotes.table(table))}))")

    def keeps_unique(self, table: TableName, key: Sequence[str]) -> bool:
        """Return whether an index of exactly these columns refuses rows at once; its columns take no NULL."""
        regclass = f"to_regclass({_literal(self.quotes.table(table))})"
        rows = self.rows(_UNIQUE.replace("\0", regclass))
        return any(set(names) == set(key) for (names,) in rows)

    def constraint_problems(self, error: Exception, source: Source, write: BrokenWrite) -> list[str]:
        """Return the staged rows that broke a constraint, up to 20; none where they may not be looked for."""
        try:
            return constraint_problems(self, error, source, write, self._pairs)
        except Exception:  # A foreign key's table may be one that this user cannot read.
            self.undo()
            return []

    @property
    def stage(self) -> str:
        """The staging table, which no table of another schema hides."""
        return f"pg_temp.{self.quotes.name(self.stage_name)}"

    def create_stage(self, table: TableName, pairs: Sequence[Pair]) -> None:
        """Create the staging table, with the checks of the table's columns that are filled."""
        filled = {pair.target.name for pair in pairs}
        self.run(
            f"CREATE TEMP TABLE {self.quotes.name(self.stage_name)}"
            f" (LIKE {self.quotes.table(table)} INCLUDING CONSTRAINTS) ON COMMIT DROP"
        )
        changes = [f"DROP CONSTRAINT {self.quotes.name(name)}" for name in self._geometry_checks(pairs)]
        changes += [
            f"DROP COLUMN {self.quotes.name(column.name)}"
            for column in self.columns_of(table) or []
            if column.name not in filled
        ]
        for target in (pair.target for pair in pairs):
            name = self.quotes.name(target.name)
            if target.family == "geometry":
                changes.append(f"ALTER COLUMN {name} TYPE geometry USING NULL")
            elif target.family == "timestamp":
                changes.append(f"ALTER COLUMN {name} TYPE timestamp with time zone")
            elif is_naive_array(target):
                changes.append(f"ALTER COLUMN {name} TYPE timestamp with time zone[]")
        if changes:
            self.run(f"ALTER TABLE {self.stage} {', '.join(changes)}")

    def _geometry_checks(self, pairs: Sequence[Pair]) -> list[str]:
        """Return the staging table's checks of geometries, which hold once their SRID is set."""
        names = ", ".join(_literal(one.target.name) for one in pairs if one.target.family == "geometry")
        if not names:
            return []
        return [
            name
            for (name,) in self.rows(
                "SELECT DISTINCT c.conname::text FROM pg_constraint c JOIN pg_attribute a"
                f" ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey) AND a.attname IN ({names})"
                f" WHERE c.contype = 'c' AND c.conrelid = to_regclass({_literal(self.stage)})"
            )
        ]

    def fill_stage(self, source: Source, pairs: Sequence[Pair], progress: Callable[[int], object]) -> None:
        """Write all rows by COPY."""
        self._staged = self._copy(self.stage, source, pairs, progress)

    def _copy(
        self, table: str, source: Source, pairs: Sequence[Pair], progress: Callable[[int], object]
    ) -> int:
        """Copy all rows, and return how many the server says it has copied.

        :param table: the table in SQL.
        """
        self._pairs = pairs
        names = self.quotes.names(pair.target.name for pair in pairs)
        sql = f"COPY {table} ({names}) FROM STDIN (FORMAT csv, HEADER, NULL '', ENCODING 'UTF8')"
        # By a first line the server knows how lines end, and counts those within texts like all others.
        blocks = chain([_HEADER], prefetch(_csv_blocks(source, pairs, progress)))
        cursor = self.cursor()
        if self._is_psycopg3:
            with cursor.copy(sql) as copy:
                for block in blocks:
                    copy.write(block)
        else:
            reader = _BlockReader(blocks)
            cursor.copy_expert(sql, reader, size=_BlockReader.SIZE)
            if reader.error is not None:
                raise reader.error
        return int(cursor.rowcount)

    def takes_directly(self, table: TableName, pairs: Sequence[Pair], mode: str) -> bool:
        """Return whether COPY writes the same values into the table as by way of the staging table.

        A table that may leave out rows is filled by INSERT, whose count says so. Geometries are checked in
        the table itself, so it must have no other rows.
        """
        geometries = [pair for pair in pairs if pair.target.family == "geometry"]
        if not all(map(self._is_copied_as_is, pairs)) or may_skip_rows(self, self._oid(table)):
            return False
        return (
            not geometries
            or mode == "replace"
            or not self.rows(f"SELECT 1 FROM {self.rows_of(table)} LIMIT 1")
        )

    def _is_copied_as_is(self, pair: Pair) -> bool:
        if pair.target.family == "geometry":
            return is_stored_in_degrees(self, pair)
        return pair.target.family != "timestamp" and not is_naive_array(pair.target)

    def insert_directly(
        self, table: TableName, source: Source, pairs: Sequence[Pair], progress: Callable[[int], object]
    ) -> int:
        """Copy all rows into the table."""
        copied = self._copy(self.quotes.table(table), source, pairs, progress)
        for pair in pairs:
            if pair.target.family == "geometry" and not are_in_degrees(self, self.rows_of(table), pair):
                raise NotDirectError
        return copied

    def staged(self) -> int:
        """Return the number of rows that the server says it has copied."""
        return self._staged

    def _row_at(self, line: int, source: Source | None) -> str:
        """Return the name of the row that ends in a line of the CSV; texts with line breaks have several."""
        if source is None:
            return ""
        rows, lines = 0, _HEADER.count(b"\n")
        for block in _csv_blocks(source, self._pairs, lambda _: None):
            quotes = 0
            for text in bytes(block).split(b"\n")[:-1]:
                lines += 1
                if lines >= line:
                    return source.label(rows)
                quotes += text.count(b'"')
                rows += quotes % 2 == 0  # Within quotes a line's end is the text's.
        return ""

    def numbered_stage(self) -> str:
        """Return the staging table with its rows' places: COPY has written them in this order."""
        return f"(SELECT *, row_number() OVER (ORDER BY ctid) - 1 AS _twin_row FROM {self.stage})"

    def stage_problems(self, source: Source, pairs: Sequence[Pair]) -> list[str]:
        """Return what is wrong with geometries."""
        problems: list[str] = []
        for pair in pairs:
            if pair.target.family == "geometry":
                problems += geometry_problems(self, source, pair)
        return problems

    def stage_value(self, pair: Pair, prefix: str = "") -> str:
        """Return a staged column as the table's type."""
        name = prefix + self.quotes.name(pair.target.name)
        if is_naive_array(pair.target):
            return f"{name}::{pair.target.type}"
        return geometry_value(name, pair) if pair.target.family == "geometry" else name

    def differs(self, pair: Pair) -> str:
        """Return whether a column differs: exactly, also where the type's own equality is wider."""
        target = pair.target
        old, new = f"t.{self.quotes.name(target.name)}", self.stage_value(pair, "s.")
        if target.family == "text":
            return f'{old} COLLATE "C" IS DISTINCT FROM {new} COLLATE "C"'
        if target.family in _COMPARABLE:
            return f"{old} IS DISTINCT FROM {new}"
        return f"{old}::text IS DISTINCT FROM {new}::text"

    def update_changed(self, table: TableName, pairs: Sequence[Pair], key: Sequence[str]) -> int:
        """Update the rows that differ, with fresh statistics of the staging table.

        :raises InputError: when a trigger or a rule left out some.
        """
        self.run(f"ANALYZE {self.stage}")
        others = [pair for pair in pairs if pair.target.name not in key]
        if not others or not may_skip_rows(self, self._oid(table)):
            return super().update_changed(table, pairs, key)
        where = f"{self.rows_of(table)} AS t, {self.stage} s WHERE {self.is_changed(others, key)}"
        expected = int(self.value(f"SELECT count(*) FROM {where}"))
        updated = super().update_changed(table, pairs, key)
        if updated != expected:
            raise InputError(not_taken(expected - updated, "updated"), "the table")
        return updated

    def prepare_ledger(self, ledger: TableName) -> None:
        """Create the ledger unless it is there; its creation needs a privilege that loads do not."""
        name = self.quotes.table(ledger)
        if self.value(f"SELECT to_regclass({_literal(name)}) IS NULL"):
            self.lock(ledger)
            super().prepare_ledger(ledger)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _csv_blocks(source: Source, pairs: Sequence[Pair], progress: Callable[[int], object]) -> Iterator[bytes]:
    """Yield all rows as CSV: texts in quotes, and nothing for null."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    options = arrow_csv.WriteOptions(include_header=False, quoting_style="needed")
    names = [str(number) for number in range(len(pairs))]
    rows = 0
    for batch in source.batches():
        arrays = []
        for pair in pairs:
            try:
                array = to_text(batch.arrays[pair.source.name], pair)
                check_dates(array, pair.target)
                arrays.append(array)
            except BadValueError as error:
                raise refuse_bad_value(error, pair, source.label(rows + error.index)) from None
        out = io.BytesIO()
        arrow_csv.write_csv(pa.RecordBatch.from_arrays(arrays, names=names), out, options)
        rows += batch.rows
        progress(rows)
        yield out.getvalue()


class _BlockReader:
    """Blocks as the kind of file that psycopg 2 reads; it would lose an error of theirs, so that is kept."""

    SIZE = 128 * 1024

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = memoryview(b"")
        self.error: Exception | None = None

    def read(self, size: int) -> bytes:
        """Return at most so many bytes; none at the end."""
        if not self._rest:
            try:
                self._rest = memoryview(next(self._blocks, b""))
            except Exception as error:  # Whatever it is, it is raised when COPY has ended.
                self.error = error
                return b""
        data, self._rest = self._rest[:size], self._rest[size:]
        return bytes(data)
