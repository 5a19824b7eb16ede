"""Database of a load: one connection, one transaction, and the SQL that all databases share."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from urllib.parse import quote

from airflow_provider.warehouse.load.columns.names import Quotes, TableName
from airflow_provider.warehouse.load.columns.target import Pair, TargetColumn

if TYPE_CHECKING:
    from airflow_provider.warehouse.load.columns.rows import SourceColumn
    from airflow_provider.warehouse.load.source.reading import Source

PARAMETER = "\0"
"""Place of a parameter in a statement: a character that no name has."""

STAGE = "_twin_stage"
"""The temporary table that takes the rows."""

_log = logging.getLogger(__name__)


class Counts(NamedTuple):
    """Rows that a write inserted, updated, deleted, and left as they were."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0


class LedgerEntry(NamedTuple):
    """A load that was committed.

    :param rows: number of its rows.
    :param sha256: hash of its source, and after a colon that of how it was read.
    :param loaded_at: its moment, as the task wrote it.
    """

    rows: int
    sha256: str
    loaded_at: str


class BrokenWrite(NamedTuple):
    """A write that broke a constraint, and was undone.

    :param table: the table, in SQL.
    :param mode: the load's mode.
    :param key: columns of the key.
    :param filled: columns that the load fills.
    """

    table: str
    mode: str
    key: Sequence[str]
    filled: Sequence[str]


class NotDirectError(Exception):
    """Rows do not fit a table; the checks of the staging table say which."""


class Database(ABC):
    """One transaction on one connection, with the rows in a staging table.

    :param hook: the connection's hook, a ``DbApiHook``.
    """

    quotes: ClassVar[Quotes] = Quotes()
    stage_name: ClassVar[str] = STAGE
    may_skip: ClassVar[bool] = False
    """True where a table can leave out rows, or drop others, while the driver counts them as written."""
    ignores_case: ClassVar[bool] = False
    """True where two columns of a table must not differ in case only."""
    has_savepoints: ClassVar[bool] = False
    """True where a part of a transaction can be undone alone; PostgreSQL needs it after an error."""
    uri: ClassVar[tuple[str, int]] = ("", 0)
    """Scheme and default port of the tables' URIs in lineage; empty where there is no convention for them."""

    def __init__(self, hook: Any) -> None:
        self.hook = hook
        self.placeholder = str(getattr(hook, "placeholder", "%s"))
        self.connection: Any = None

    # The connection and its transaction.

    def open(self) -> None:
        """Connect, and begin the transaction."""
        self.connection = self.hook.get_conn()
        self.begin()

    def close(self) -> None:
        """Close the connection; what was not committed is rolled back."""
        connection, self.connection = self.connection, None
        if connection is not None:
            try:
                connection.close()
            except Exception as error:  # Drivers raise errors of any class for a broken connection.
                _log.debug("The connection did not close: %s", type(error).__name__)

    @abstractmethod
    def begin(self) -> None:
        """Begin the transaction."""

    def commit(self) -> None:
        """Commit the transaction."""
        self.connection.commit()

    def has_no_answer(self, error: Exception) -> bool:
        """Return whether an error means that the connection broke, so that no answer came."""
        return False

    @abstractmethod
    def explained(self, error: Exception, source: Source | None = None) -> Exception:
        """Return the error to raise instead of the driver's, without any value; another error as it is.

        :param error: the error.
        :param source: the rows, for their names.
        """

    # Statements.

    def run(self, sql: str, *parameters: Any) -> Any:
        """Run a statement, and return its cursor.

        :param sql: the statement, with :data:`PARAMETER` for each parameter.
        """
        cursor = self.cursor()
        if not parameters:
            cursor.execute(sql)
            return cursor
        if self.doubles_percent:
            sql = sql.replace("%", "%%")
        cursor.execute(sql.replace(PARAMETER, self.placeholder), parameters)
        return cursor

    @property
    def doubles_percent(self) -> bool:
        """True when the driver reads ``%%`` as a percent sign where there are parameters."""
        return self.placeholder.startswith("%")

    def cursor(self) -> Any:
        """Return a cursor whose rows are tuples."""
        return self.connection.cursor()

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return [tuple(row) for row in self.run(sql, *parameters).fetchall()]

    def value(self, sql: str, *parameters: Any) -> Any:
        """Return the first value of a query's only row."""
        return self.rows(sql, *parameters)[0][0]

    def changed(self, sql: str) -> int:
        """Run a statement that writes, and return the number of its rows."""
        return int(self.run(sql).rowcount)

    # The table.

    @abstractmethod
    def columns_of(self, table: TableName) -> list[TargetColumn] | None:
        """Return the table's columns; None when there is no such table.

        :raises InputError: when rows cannot be loaded into it, as into a view.
        """

    def table_problems(self, table: TableName, mode: str) -> list[str]:
        """Return why a load into the table would do more than its mode says, or less."""
        return []

    def rows_of(self, table: TableName) -> str:
        """Return the table in SQL where its rows are read, updated or deleted."""
        return self.quotes.table(table)

    def count(self, table: TableName) -> int:
        """Return the number of the table's rows."""
        return int(self.value(f"SELECT count(*) FROM {self.rows_of(table)}"))

    def path_of(self, table: TableName) -> str:
        """Return the path of the table's URI in lineage; empty where there is none."""
        return ""

    @abstractmethod
    def type_for(self, column: SourceColumn) -> str:
        """Return the type of a new column for the source's values."""

    def name_problem(self, name: str) -> str:
        """Return why a new column cannot have a name; empty when it can."""
        return ""

    def create_table(self, table: TableName, columns: Sequence[tuple[str, str]], key: Sequence[str]) -> None:
        """Create the table.

        :param columns: names and types.
        :param key: the primary key's columns; empty for none.
        """
        parts = [f"{self.quotes.name(name)} {kind}" for name, kind in columns]
        if key:
            parts.append(f"PRIMARY KEY ({self.quotes.names(key)})")
        self.run(f"CREATE TABLE {self.quotes.table(table)} ({', '.join(parts)})")

    def lock(self, table: TableName) -> None:  # noqa: B027 - where writers wait for each other anyway
        """Wait until no other load writes into the table; the transaction's end frees it."""

    def resolve(self, table: TableName, quoted: str) -> TableName:
        """Return the parts of a table's name as the database has them.

        :param table: the parts as they were given.
        :param quoted: the name as it was given, with its quotes.
        """
        return table

    def keeps_unique(self, table: TableName, key: Sequence[str]) -> bool:
        """Return whether an index of the table refuses rows without a key, and two rows with the same one."""
        return False

    def mark(self) -> None:
        """Begin a part of the transaction that can be undone alone, where there are savepoints."""
        if self.has_savepoints:
            self.run("SAVEPOINT _twin_write")

    def undo(self) -> bool:
        """Undo what was done since the mark; return whether the transaction can still be used."""
        if not self.has_savepoints:
            return False
        try:
            self.run("ROLLBACK TO SAVEPOINT _twin_write")
        except Exception:  # The connection is broken; the first error says why.
            return False
        return True

    def constraint_problems(self, error: Exception, source: Source, write: BrokenWrite) -> list[str]:
        """Return the staged rows that broke a constraint; none where they are not known.

        :param error: the driver's error.
        :param source: the rows, for their names.
        :param write: the write, which was undone.
        """
        return []

    # The staging table.

    @property
    def stage(self) -> str:
        """The staging table's name in SQL."""
        return self.quotes.name(self.stage_name)

    @abstractmethod
    def create_stage(self, table: TableName, pairs: Sequence[Pair]) -> None:
        """Create the staging table with the pairs' columns."""

    @abstractmethod
    def fill_stage(self, source: Source, pairs: Sequence[Pair], progress: Callable[[int], object]) -> None:
        """Write all rows into the staging table.

        :param progress: called with the number of rows so far.
        :raises InputError: naming the row and the column that does not fit.
        """

    def staged(self) -> int:
        """Return the number of staged rows."""
        return int(self.value(f"SELECT count(*) FROM {self.stage}"))

    @abstractmethod
    def numbered_stage(self) -> str:
        """Return a table in SQL: the staging table with the column ``_twin_row``, the row's place from 0."""

    def stage_problems(self, source: Source, pairs: Sequence[Pair]) -> list[str]:
        """Return what is wrong with the staged values, beyond their types."""
        return []

    def stage_value(self, pair: Pair, prefix: str = "") -> str:
        """Return a staged column as a value of the table's column, in SQL."""
        return prefix + self.quotes.name(pair.target.name)

    # Writing.

    def insert_all(self, table: TableName, pairs: Sequence[Pair]) -> int:
        """Insert all staged rows, and return their number."""
        names = self.quotes.names(pair.target.name for pair in pairs)
        values = ", ".join(self.stage_value(pair) for pair in pairs)
        return self.changed(
            f"INSERT INTO {self.quotes.table(table)} ({names}) SELECT {values} FROM {self.stage}"
        )

    def takes_directly(self, table: TableName, pairs: Sequence[Pair], mode: str) -> bool:
        """Return whether all rows can be written into the table without the staging table.

        :param mode: ``append`` or ``replace``.
        """
        return False

    def insert_directly(
        self, table: TableName, source: Source, pairs: Sequence[Pair], progress: Callable[[int], object]
    ) -> int:
        """Write all rows into the table, and return their number.

        :raises NotDirectError: when a row does not fit.
        """
        raise NotDirectError

    def insert_new(self, table: TableName, pairs: Sequence[Pair], key: Sequence[str]) -> int:
        """Insert the staged rows whose key the table lacks, and return their number."""
        target = self.quotes.table(table)
        names = self.quotes.names(pair.target.name for pair in pairs)
        values = ", ".join(self.stage_value(pair, "s.") for pair in pairs)
        same = self.same_key(key)
        return self.changed(
            f"INSERT INTO {target} ({names}) SELECT {values} FROM {self.stage} s"
            f" WHERE NOT EXISTS (SELECT 1 FROM {self.rows_of(table)} t WHERE {same})"
        )

    def update_changed(self, table: TableName, pairs: Sequence[Pair], key: Sequence[str]) -> int:
        """Update the rows of the table that differ from the staged ones, and return their number."""
        others = [pair for pair in pairs if pair.target.name not in key]
        if not others:
            return 0
        values = ", ".join(
            f"{self.quotes.name(one.target.name)} = {self.stage_value(one, 's.')}" for one in others
        )
        return self.changed(
            f"UPDATE {self.rows_of(table)} AS t SET {values} FROM {self.stage} s"
            f" WHERE {self.is_changed(others, key)}"
        )

    def is_changed(self, others: Sequence[Pair], key: Sequence[str]) -> str:
        """Return in SQL whether the rows ``t`` and ``s`` have the same key, and differ."""
        return f"{self.same_key(key)} AND ({' OR '.join(map(self.differs, others))})"

    def same_key(self, key: Sequence[str]) -> str:
        """Return in SQL whether the rows ``t`` and ``s`` have the same key."""
        names = map(self.quotes.name, key)
        return " AND ".join(f"t.{name} = s.{name}" for name in names)

    def differs(self, pair: Pair) -> str:
        """Return in SQL whether a column differs between the rows ``t`` and ``s``."""
        name = self.quotes.name(pair.target.name)
        return f"t.{name} IS DISTINCT FROM {self.stage_value(pair, 's.')}"

    # The ledger.

    LEDGER: ClassVar[str] = "_twin_loads"
    LEDGER_TYPES: ClassVar[tuple[str, str, str]] = ("text", "bigint", "timestamp with time zone")

    def ledger_of(self, table: TableName) -> TableName:
        """Return the ledger's name, in the schema of the table."""
        return (*table[:-1], self.LEDGER)

    def prepare_ledger(self, ledger: TableName) -> None:
        """Create the ledger unless it is there."""
        text, integer, moment = self.LEDGER_TYPES
        load_id, rows, sha256, loaded_at = map(self.quotes.name, ("load_id", "rows", "sha256", "loaded_at"))
        self.run(
            f"CREATE TABLE IF NOT EXISTS {self.quotes.table(ledger)} ({load_id} {text} PRIMARY KEY,"
            f" {rows} {integer} NOT NULL, {sha256} {text} NOT NULL, {loaded_at} {moment} NOT NULL)"
        )

    def find_load(self, ledger: TableName, load_id: str) -> LedgerEntry | None:
        """Return a committed load by its id; None when there is none."""
        rows = self.rows(
            f"SELECT {self.quotes.names(('rows', 'sha256', 'loaded_at'))} FROM {self.quotes.table(ledger)}"
            f" WHERE {self.quotes.name('load_id')} = {PARAMETER}",
            load_id,
        )
        return LedgerEntry(int(rows[0][0]), str(rows[0][1]), _moment(rows[0][2])) if rows else None

    def forget_load(self, ledger: TableName, load_id: str) -> None:
        """Remove a load from the ledger."""
        where = f"{self.quotes.name('load_id')} = {PARAMETER}"
        self.run(f"DELETE FROM {self.quotes.table(ledger)} WHERE {where}", load_id)

    def record_load(self, ledger: TableName, load_id: str, entry: LedgerEntry) -> None:
        """Write a load into the ledger, in place of an earlier one with the same id."""
        self.forget_load(ledger, load_id)
        self.run(
            f"INSERT INTO {self.quotes.table(ledger)}"
            f" ({self.quotes.names(('load_id', 'rows', 'sha256', 'loaded_at'))})"
            f" VALUES ({', '.join([PARAMETER] * 4)})",
            *(load_id, entry.rows, entry.sha256, entry.loaded_at),
        )


def follows(name: str, table: str) -> str:
    """Return the problem of a foreign key by which a replace would delete or change rows of another table.

    :param name: the foreign key.
    :param table: the other table.
    """
    return (
        f"the foreign key {name!r} of the table {table!r} deletes or changes rows there when rows of this"
        " table are deleted; load with mode='merge'"
    )


def not_taken(count: int, done: str) -> str:
    """Return the problem of rows that a table did not take, although the database reports success.

    :param count: their number.
    :param done: what was not done with them.
    """
    return (
        f"{count} rows were not {done}, although the database reports no error, so all was undone; look for"
        " triggers, rules and policies of the table that leave out rows, and for others that write into it"
    )


def as_path(*names: str) -> str:
    """Return names as the path of a URI."""
    return "/".join(quote(name, safe="") for name in names)


def _moment(value: Any) -> str:
    """Return a moment of the ledger in one form, in UTC."""
    from datetime import UTC, datetime

    found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return found.astimezone(UTC).isoformat(timespec="microseconds")
