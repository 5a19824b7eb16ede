"""Embedded engine: datasets as tables of an SQLite in memory.

A write copies the rows that it replaces to a side table, with the range of states they belong to. So a state
takes memory for its changes only, and reading the latest state has no extra cost.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from copy import deepcopy
from typing import Any

from airflow_provider.sandbox.amigocloud.sql import dialect, tables
from airflow_provider.sandbox.amigocloud.sql.dialect import SqlError
from airflow_provider.sandbox.amigocloud.sql.store import At, Dataset, Page, Rows, Statement, Store

_STEPS = 10_000
"""Steps of the database's machine between two checks of the clock."""


class SqliteStore(Store):
    """All datasets of all projects, in an embedded database.

    :param content: the database and datasets of another store, from :meth:`dump`.
    :param now: returns the value of ``now()``, in the format of rows.
    """

    engine = "embedded"

    def __init__(self, content: tuple[bytes, dict[int, Dataset]] | None, now: Callable[[], str]) -> None:
        super().__init__(deepcopy(content[1]) if content else {})
        self.db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        if content:
            # A database that was deserialized itself cannot grow beyond 1 GB.
            with closing(sqlite3.connect(":memory:")) as source:
                source.deserialize(content[0])
                source.backup(self.db)
        self._dirty: set[int] = set()
        self._counts: dict[tuple[str, Any, int], int] = {}
        dialect.add_functions(self.db)
        dialect.add_reference_systems(self.db)
        self.db.create_function("now", 0, now)
        self.db.create_function("generate_uuid", 0, self._new_uuid)
        self.db.create_function("next_version", 1, self._next_version)
        self.db.create_function("catalog_value", 1, self._catalog_value)
        dialect.add_catalog(self.db)

    def dump(self) -> tuple[bytes, dict[int, Dataset]]:
        """Return the whole content, to create another store from."""
        return self.db.serialize(), self.datasets

    def close(self) -> None:
        """Close the database and free its memory."""
        with self.lock:
            self.db.close()

    # -- datasets

    def _create(self, dataset: Dataset, rows: Rows | str) -> None:
        with self._running(""):
            tables.create(self.db, dataset.id, dataset.columns)
            if isinstance(rows, str):
                tables.fill_from(self.db, dataset.id, dataset.columns, rows)
            else:
                tables.fill(self.db, dataset.id, dataset.columns, rows)
            tables.track_versions(self.db, dataset.id, dataset.columns, dataset.geometry_column)

    def _create_view(self, name: str, number: int) -> None:
        self.db.execute(f'CREATE VIEW "{name}" AS SELECT * FROM "dataset_{number}"')

    def _remove(self, number: int) -> None:
        tables.drop(self.db, number)

    def _catalog_value(self, name: str) -> Any:
        value = self.catalog(name)
        if value is None:
            raise PermissionError(name)
        return value

    def _change_columns(
        self,
        number: int,
        columns: list[dict[str, Any]],
        added: Mapping[str, Any] | None,
        dropped: str | None,
    ) -> None:
        clause = f"ADD COLUMN {tables.declare(added)}" if added else f'DROP COLUMN "{dropped}"'
        tables.alter(self.db, number, clause)
        geometry = next((c["name"] for c in columns if c["type"] == "geometry"), None)
        tables.track_versions(self.db, number, columns, geometry)

    def count(self, number: int) -> int:
        """Count a dataset's rows in the latest state."""
        with self.lock:
            return int(self.db.execute(f'SELECT count(*) FROM "dataset_{number}"').fetchone()[0])

    def largest(self, number: int, column: str) -> int:
        """Return the largest value of a column of whole numbers; -1 for a dataset without rows."""
        with self.lock:
            (found,) = self.db.execute(f'SELECT max("{column}") FROM "dataset_{number}"').fetchone()
        return -1 if found is None else int(found)

    def insert(self, number: int, query: str, change: Any) -> str:
        """Add the rows of a query as one change; return the new state."""
        with self.lock:
            tables.fill_from(self.db, number, self.datasets[number].columns, query)
            return self._commit(change)[number]

    def _latest(self, dataset: Dataset, most: int) -> list[tuple[Any, ...]]:
        shape = f't."{dataset.geometry_column}"' if dataset.geometry_column else "NULL"
        sql = (
            f'SELECT t.amigo_id, {shape} FROM "{dataset.table}" t JOIN "born_{dataset.id}" b'
            " ON b.rid = t.rowid WHERE b.v = ? LIMIT ?"
        )
        with self.lock:
            return self.db.execute(sql, (len(dataset.states) - 1, most)).fetchall()

    # -- reading

    def select(
        self,
        sql: str,
        limit: int,
        offset: int,
        at: At | None = None,
        *,
        shuffled: bool = False,
        seconds: float | None = None,
    ) -> Page:
        """Run a query, see :meth:`Store.select`."""
        if report := dialect.report_of(sql):
            return self._report(*report)
        text, kinds = dialect.translate(sql), dialect.literal_types(sql)
        tables.check_types(text, self.datasets.values())
        if shuffled:
            text = f"SELECT * FROM ({text}\n) ORDER BY random()"
        with self.lock, self._running(sql, seconds):
            shadow = self._shadow(at)
            if shadow:
                self.db.execute(f"CREATE TEMP VIEW {shadow[0]} AS {shadow[1]}")
            try:
                return self._page(text, limit, offset, at, kinds)
            finally:
                if shadow:
                    self.db.execute(f"DROP VIEW temp.{shadow[0]}")

    @contextmanager
    def _running(self, sql: str, seconds: float | None = None) -> Iterator[None]:
        """Raise what the database refuses as ``SqlError``; interrupt a statement that takes too long."""
        if seconds is not None:
            end = time.monotonic() + seconds
            self.db.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
        try:
            yield
        except (sqlite3.Error, sqlite3.Warning, OverflowError) as error:
            raise SqlError(dialect.error_text(str(error), sql)) from error
        finally:
            if seconds is not None:
                self.db.set_progress_handler(None, 0)

    def _report(self, kind: str, about: str) -> Page:
        """Return the only row of SHOW and EXPLAIN."""
        if kind == "explain":
            with self._running(about):
                self.db.execute(f"EXPLAIN {dialect.translate(about)}").fetchall()
        name, text = ("QUERY PLAN", "Seq Scan") if kind == "explain" else (about.strip(), "UTC")
        return Page([{"name": name, "type": "string"}], [{name: text}], 1)

    def _page(self, sql: str, limit: int, offset: int, at: At | None, kinds: Mapping[str, str]) -> Page:
        declared = self._declared(sql)
        key = (sql, at, self.writes)
        if key not in self._counts:
            if len(self._counts) > 200:
                self._counts.clear()
            self._counts[key] = self.db.execute(f"SELECT count(*) FROM ({sql}\n)").fetchone()[0]
        cursor = self.db.execute(f"SELECT * FROM ({sql}\n) LIMIT ? OFFSET ?", (limit, offset))
        names = tables.result_names([item[0] for item in cursor.description])
        values = cursor.fetchall()
        columns = [tables.describe(name, declared[i], i, values) for i, name in enumerate(names)]
        for i, column in enumerate(columns):
            if not declared[i] and column["name"] in kinds:
                column["type"] = kinds[column["name"]]
            if read := dialect.READERS.get(column["type"]):
                values = [(*r[:i], None if r[i] is None else read(r[i]), *r[i + 1 :]) for r in values]
        # Of two columns of one name, a row holds the last one.
        return Page(columns, [dict(zip(names, row, strict=True)) for row in values], self._counts[key])

    def _declared(self, sql: str) -> list[str]:
        self.db.execute(f"CREATE TEMP VIEW query_ AS {sql}")
        try:
            return [row[2] for row in self.db.execute("PRAGMA temp.table_info(query_)")]
        finally:
            self.db.execute("DROP VIEW temp.query_")

    def _shadow(self, at: At | None) -> tuple[str, str] | None:
        """Return name and query of a view that hides a table behind an earlier state; None for the latest."""
        version = self._version(at)
        if at is None or version is None:
            return None
        dataset = self.datasets[at[0]]
        return dataset.table, tables.as_of(dataset.id, dataset.columns, version)

    # -- writing

    def write(
        self, sql: str, parameters: Sequence[Any] = (), change: Any = None, *, seconds: float | None = None
    ) -> tuple[int, dict[int, str]]:
        """Run an INSERT, UPDATE or DELETE, see :meth:`Store.write`."""
        with self.lock:
            try:
                with self._running(sql, seconds):
                    # RETURNING has rows; a statement is done when they are read.
                    self.db.execute(dialect.translate(sql), _plain(parameters)).fetchall()
            except SqlError:
                self._dirty.clear()
                raise
            affected = int(self.db.execute("SELECT changes()").fetchone()[0])
            return affected, self._commit(sql if change is None else change)

    def transaction(self, statements: Iterable[Statement], change: Any = None) -> dict[int, str]:
        """Run several statements as one change, in one new state: all of them, or none."""
        with self.lock:
            self.db.execute("BEGIN")
            try:
                with self._running(""):
                    for sql, parameters in statements:
                        self.db.execute(sql, _plain(parameters))
            except BaseException:
                self.db.execute("ROLLBACK")
                self._dirty.clear()
                raise
            self.db.execute("COMMIT")
            return self._commit(change)

    def revert(self, number: int, state: str, change: Any) -> None:
        """Restore an earlier state's rows of a dataset, in a new state."""
        dataset = self.datasets[number]
        listed = ", ".join(f'"{column["name"]}"' for column in dataset.columns)
        earlier = tables.as_of(number, dataset.columns, dataset.states.index(state))
        # The rows that are deleted first are those of the earlier state still, kept in the side table.
        statements = [f'DELETE FROM "{dataset.table}"', f'INSERT INTO "{dataset.table}" ({listed}) {earlier}']
        self.transaction([(sql, ()) for sql in statements], change)

    def _commit(self, change: Any) -> dict[int, str]:
        changed = sorted(self._dirty)
        self._dirty.clear()
        return self._new_states(changed, change)

    def _next_version(self, number: int) -> int:
        self._dirty.add(number)
        return len(self.datasets[number].states)


def _plain(values: Sequence[Any]) -> list[Any]:
    """Return values as SQLite takes them: lists and objects as JSON."""
    return [json.dumps(value) if isinstance(value, (list, dict)) else value for value in values]
