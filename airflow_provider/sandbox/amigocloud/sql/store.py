"""Store of datasets: tables of an embedded SQLite, with every earlier state readable.

A write copies the rows that it replaces to a side table, with the range of states they belong to. So a state
takes memory for its changes only, and reading the latest state has no extra cost.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from airflow_provider.sandbox.amigocloud.sql import dialect, geometry, tables
from airflow_provider.sandbox.amigocloud.sql.dialect import SqlError


@dataclass
class Dataset:
    """Description of a dataset, without its rows.

    :param states: hashes, oldest first; the last hash is the ``master``.
    :param changes: the change that led to each state, by hash.
    :param visible_at: the sandbox's time from which the dataset is visible.
    """

    id: int
    project: int
    name: str
    columns: list[dict[str, Any]]
    description: str = ""
    created_on: str = "2024-03-01 08:00:00+00:00"
    states: list[str] = field(default_factory=list)
    changes: dict[str, Any] = field(default_factory=dict)
    visible_at: float = 0.0

    @property
    def table(self) -> str:
        """The table's name in SQL."""
        return f"dataset_{self.id}"

    @property
    def geometry_column(self) -> str | None:
        """The first geometry column, if there is one."""
        return next((c["name"] for c in self.columns if c["type"] == "geometry"), None)


@dataclass(frozen=True)
class Page:
    """A page of a query's result; ``count`` is the total number of rows."""

    columns: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    count: int


class Store:
    """All datasets of all projects.

    :param content: the database and datasets of another store, from :meth:`dump`.
    :param now: returns the value of ``now()``, in the format of rows.
    """

    def __init__(self, content: tuple[bytes, dict[int, Dataset]] | None, now: Callable[[], str]) -> None:
        self.lock = threading.RLock()
        self.db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self.datasets: dict[int, Dataset] = {}
        if content:
            # A database that was deserialized itself cannot grow beyond 1 GB.
            with closing(sqlite3.connect(":memory:")) as source:
                source.deserialize(content[0])
                source.backup(self.db)
            self.datasets = deepcopy(content[1])
        self.writes = 0
        self.on_states: Callable[[Iterable[int]], None] = lambda _: None
        self._dirty: set[int] = set()
        self._counts: dict[tuple[str, Any, int], int] = {}
        self._uuids = 0
        dialect.add_functions(self.db)
        dialect.add_reference_systems(self.db)
        self.db.create_function("now", 0, now)
        self.db.create_function("generate_uuid", 0, self._new_uuid)
        self.db.create_function("next_version", 1, self._next_version)

    def dump(self) -> tuple[bytes, dict[int, Dataset]]:
        """Return the whole content, to create another store from."""
        return self.db.serialize(), self.datasets

    def close(self) -> None:
        """Close the database and free its memory."""
        with self.lock:
            self.db.close()

    # -- datasets

    def add(self, dataset: Dataset, rows: Iterable[Mapping[str, Any]] | str = ()) -> Dataset:
        """Create a dataset with its first rows, in one state.

        :param rows: the rows, or a query of them with the dataset's columns in order.
        """
        if not any(column["name"] == "amigo_id" for column in dataset.columns):
            dataset.columns.insert(0, {"name": "amigo_id", "type": "string", "max_length": 32})
        with self.lock:
            tables.create(self.db, dataset.id, dataset.columns)
            self.datasets[dataset.id] = dataset
            if isinstance(rows, str):
                tables.fill_from(self.db, dataset.id, dataset.columns, rows)
            else:
                tables.fill(self.db, dataset.id, dataset.columns, rows)
            tables.track_versions(self.db, dataset.id, dataset.columns, dataset.geometry_column)
            dataset.states = [self._hash(dataset, 0)]
        return dataset

    def drop(self, number: int) -> None:
        """Delete a dataset and all its states."""
        with self.lock:
            tables.drop(self.db, number)
            del self.datasets[number]
            self.writes += 1

    def add_column(self, number: int, column: Mapping[str, Any]) -> str:
        """Add a field to a dataset; return the new state."""
        columns = [*self.datasets[number].columns, dict(column)]
        return self._alter(number, f"ADD COLUMN {tables.declare(column)}", columns)

    def drop_column(self, number: int, name: str) -> str:
        """Remove a field from all states of a dataset; return the new state."""
        columns = [column for column in self.datasets[number].columns if column["name"] != name]
        return self._alter(number, f'DROP COLUMN "{name}"', columns)

    def _alter(self, number: int, clause: str, columns: list[dict[str, Any]]) -> str:
        dataset = self.datasets[number]
        with self.lock:
            tables.alter(self.db, number, clause)
            dataset.columns = columns
            tables.track_versions(self.db, number, columns, dataset.geometry_column)
            self._dirty.add(number)
            return self._commit(clause)[number]

    def master(self, number: int) -> str:
        """Return the hash of the latest state."""
        return self.datasets[number].states[-1]

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

    def latest_objects(self, number: int, most: int = 100) -> list[dict[str, Any]]:
        """Return id and location of the objects that the latest state has written."""
        dataset = self.datasets[number]
        shape = f't."{dataset.geometry_column}"' if dataset.geometry_column else "NULL"
        sql = (
            f'SELECT t.amigo_id, {shape} FROM "{dataset.table}" t JOIN "born_{number}" b ON b.rid = t.rowid'
            " WHERE b.v = ? LIMIT ?"
        )
        with self.lock:
            found = self.db.execute(sql, (len(dataset.states) - 1, most)).fetchall()
        out = []
        for key, shape in found:
            point = geometry.point_of(shape)
            location = {"longitude": point[0], "latitude": point[1]} if point else {}
            out.append({"object_id": key, **location})
        return out

    # -- reading

    def select(self, sql: str, limit: int, offset: int, at: tuple[int, str] | None = None) -> Page:
        """Run a query.

        :param limit: maximum rows; -1 for no limit.
        :param at: dataset and state; that dataset is read as of the state, other datasets as they are.
        """
        if report := dialect.report_of(sql):
            return self._report(*report)
        text = dialect.translate(sql)
        tables.check_types(text, self.datasets.values())
        with self.lock:
            shadow = self._shadow(at)
            try:
                if shadow:
                    self.db.execute(f"CREATE TEMP VIEW {shadow[0]} AS {shadow[1]}")
                try:
                    return self._page(text, limit, offset, at)
                finally:
                    if shadow:
                        self.db.execute(f"DROP VIEW temp.{shadow[0]}")
            except (sqlite3.Error, sqlite3.Warning) as error:
                raise SqlError(str(error)) from error

    def _report(self, kind: str, about: str) -> Page:
        """Return the only row of SHOW and EXPLAIN."""
        if kind == "explain":
            try:
                self.db.execute(f"EXPLAIN {dialect.translate(about)}").fetchall()
            except (sqlite3.Error, sqlite3.Warning) as error:
                raise SqlError(str(error)) from error
        name, text = ("QUERY PLAN", "Seq Scan") if kind == "explain" else (about.strip(), "UTC")
        return Page([{"name": name, "type": "string"}], [{name: text}], 1)

    def _page(self, sql: str, limit: int, offset: int, at: tuple[int, str] | None) -> Page:
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
            if column["type"] == "boolean":
                values = [(*r[:i], None if r[i] is None else bool(r[i]), *r[i + 1 :]) for r in values]
        # Of two columns of one name, a row holds the second.
        return Page(columns, [dict(zip(names, row, strict=True)) for row in values], self._counts[key])

    def _declared(self, sql: str) -> list[str]:
        self.db.execute(f"CREATE TEMP VIEW query_ AS {sql}")
        try:
            return [row[2] for row in self.db.execute("PRAGMA temp.table_info(query_)")]
        finally:
            self.db.execute("DROP VIEW temp.query_")

    def _shadow(self, at: tuple[int, str] | None) -> tuple[str, str] | None:
        """Return name and query of a view that hides a table behind an earlier state; None for the latest."""
        if at is None:
            return None
        number, state = at
        dataset = self.datasets.get(number)
        if dataset is None or state not in dataset.states:
            raise SqlError(f"dataset {number} has no state {state}")
        version = dataset.states.index(state)
        if version == len(dataset.states) - 1:
            return None
        return dataset.table, tables.as_of(number, dataset.columns, version)

    # -- writing

    def write(
        self, sql: str, parameters: Sequence[Any] = (), change: Any = None
    ) -> tuple[int, dict[int, str]]:
        """Run an INSERT, UPDATE or DELETE; return the number of rows and the new state of each dataset."""
        with self.lock:
            try:
                # RETURNING has rows; a statement is done when they are read.
                self.db.execute(dialect.translate(sql), parameters).fetchall()
            except (sqlite3.Error, sqlite3.Warning) as error:
                self._dirty.clear()
                raise SqlError(str(error)) from error
            affected = int(self.db.execute("SELECT changes()").fetchone()[0])
            return affected, self._commit(sql if change is None else change)

    def transaction(
        self, statements: Iterable[tuple[str, Sequence[Any]]], change: Any = None
    ) -> dict[int, str]:
        """Run several statements as one change, in one new state: all of them, or none."""
        with self.lock:
            self.db.execute("BEGIN")
            try:
                for sql, parameters in statements:
                    self.db.execute(sql, parameters)
            except (sqlite3.Error, sqlite3.Warning) as error:
                self.db.execute("ROLLBACK")
                self._dirty.clear()
                raise SqlError(str(error)) from error
            self.db.execute("COMMIT")
            return self._commit(change)

    def _commit(self, change: Any) -> dict[int, str]:
        new: dict[int, str] = {}
        for number in sorted(self._dirty):
            dataset = self.datasets[number]
            new[number] = self._hash(dataset, len(dataset.states))
            dataset.states.append(new[number])
            dataset.changes[new[number]] = change
        self._dirty.clear()
        self.writes += 1
        self.on_states(new)
        return new

    def _next_version(self, number: int) -> int:
        self._dirty.add(number)
        return len(self.datasets[number].states)

    def _new_uuid(self) -> str:
        self._uuids += 1
        return hashlib.md5(f"born {self._uuids}".encode()).hexdigest()

    @staticmethod
    def _hash(dataset: Dataset, version: int) -> str:
        return hashlib.sha1(f"{dataset.id} {dataset.name} {version}".encode()).hexdigest()
