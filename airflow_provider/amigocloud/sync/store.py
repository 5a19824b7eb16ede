"""Store of a sync: its rows, its changes and its failures in a temporary database, in constant memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import msgspec

from airflow_provider.core.input.row_numbers import RowNumber
from airflow_provider.core.json_types import Json

CREATE, UPDATE, DELETE = "create", "update", "delete"
OPERATIONS = (CREATE, UPDATE, DELETE)
"""Operations of a change, in the order in which they are written."""

_TABLES = """
CREATE TABLE wanted(
  key TEXT PRIMARY KEY, row, id TEXT, chosen TEXT, body BLOB, found TEXT, problem INTEGER
);
CREATE INDEX wanted_own_id ON wanted(id) WHERE id IS NOT NULL;
CREATE TABLE missing(id TEXT PRIMARY KEY, key TEXT, before TEXT, name TEXT, outline TEXT) WITHOUT ROWID;
CREATE TABLE failed(row, key TEXT, reasons BLOB);
CREATE INDEX failed_row ON failed(row, key);
CREATE TABLE changes(
  n INTEGER PRIMARY KEY, step INTEGER, operation TEXT, key TEXT, id TEXT, row, name TEXT,
  fields BLOB, body BLOB, before TEXT, outline TEXT,
  batch INTEGER DEFAULT 0, status TEXT DEFAULT '', detail TEXT DEFAULT '', other TEXT DEFAULT ''
);
CREATE INDEX changes_order ON changes(step);
CREATE INDEX changes_id ON changes(id);
CREATE INDEX changes_key ON changes(key);
CREATE TEMP TABLE page(n INTEGER, key TEXT, id TEXT);
"""

_COLUMNS = "n, operation, key, id, row, name, fields, body, before, outline"


class Change(msgspec.Struct, kw_only=True):
    """One write.

    :param operation: ``create``, ``update`` or ``delete``.
    :param key: the row's value of the key.
    :param id: its ``amigo_id``; that of a new row is chosen here.
    :param row: number of the row that requests the change, ``file:row`` when the source has several files; 0
        when a missing row does.
    :param name: its name for readers; empty without one.
    :param fields: the differences: field to ``[found, wanted]``.
    :param body: the fields as they are sent; empty for a deletion.
    :param before: hash of the row as it was compared; empty for a new row.
    :param outline: the geometry before, for the map of the plan's page; empty without one.
    """

    operation: str
    key: str
    id: str
    row: int | str = 0
    name: str = ""
    fields: dict[str, list[Any]] = {}
    body: dict[str, Any] = {}
    before: str = ""
    outline: str = ""


class SyncStore:
    """A temporary database, which SQLite keeps on local disk and removes when it is closed."""

    def __init__(self) -> None:
        self.db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self.db.execute("PRAGMA journal_mode = OFF")
        self.db.execute("PRAGMA synchronous = OFF")
        self.db.execute("PRAGMA temp_store = MEMORY")
        self.db.executescript(_TABLES)
        self._encoder = msgspec.json.Encoder()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Within the block, write without a commit for each statement."""
        self.db.execute("BEGIN")
        yield
        self.db.execute("COMMIT")

    # -- rows

    def add_wanted(
        self, key: str, row: int, own_id: str | None, chosen: str, body: Json, *, has_problem: bool
    ) -> Any:
        """Add a row; return the number of the row that has its key already, if there is one.

        :param key: text of the row's key.
        :param row: number of the row.
        :param own_id: the ``amigo_id`` that the row names.
        :param chosen: the ``amigo_id`` of the row if it is new.
        :param body: its fields.
        :param has_problem: whether it is left out.
        """
        values = (key, row_number(row), own_id, chosen, self._encoder.encode(body), int(has_problem))
        try:
            self.db.execute(
                "INSERT INTO wanted(key, row, id, chosen, body, problem) VALUES (?, ?, ?, ?, ?, ?)", values
            )
        except sqlite3.IntegrityError:
            return self.db.execute("SELECT row FROM wanted WHERE key = ?", (key,)).fetchone()[0]
        return None

    def row_with_id(self, own_id: str, key: str) -> tuple[int | str, str] | None:
        """Return number and key of the row of another key that names an ``amigo_id``; None without one."""
        sql = "SELECT row, key FROM wanted WHERE id = ? AND key <> ? ORDER BY rowid LIMIT 1"
        found: tuple[int | str, str] | None = self.db.execute(sql, (own_id, key)).fetchone()
        return found

    def leave_out(self, key: str, reason: str) -> None:
        """Leave out the row that has a key, with the reason.

        :param key: text of the key.
        """
        self.db.execute("UPDATE wanted SET problem = 1 WHERE key = ?", (key,))
        for (row,) in self.db.execute("SELECT row FROM wanted WHERE key = ?", (key,)).fetchall():
            self.add_failed(row, key, [reason])

    def index_wanted(self) -> None:
        """Make rows findable by the id that they would have; called when all of them are there."""
        self.db.execute("CREATE INDEX IF NOT EXISTS wanted_id ON wanted(chosen)")

    def add_failed(self, row: int | str, key: str, reasons: Sequence[str]) -> None:
        """Add a row that is left out, or further reasons to those of the row."""
        number = row_number(row)
        sql = "SELECT rowid, reasons FROM failed WHERE row = ? AND key = ?"
        known = self.db.execute(sql, (number, key)).fetchone()
        if known is None:
            values = (number, key, self._encoder.encode(list(reasons)))
            self.db.execute("INSERT INTO failed VALUES (?, ?, ?)", values)
            return
        both = list(dict.fromkeys([*msgspec.json.decode(known[1]), *reasons]))
        self.db.execute(
            "UPDATE failed SET reasons = ? WHERE rowid = ?", (self._encoder.encode(both), known[0])
        )

    def failed(self) -> Iterator[Json]:
        """Yield the rows that are left out: ``{"row", "key", "reasons"}``."""
        for row, key, reasons in self.db.execute("SELECT row, key, reasons FROM failed ORDER BY rowid"):
            yield {"row": row, "key": key, "reasons": msgspec.json.decode(reasons)}

    def count(self, table: str, where: str = "1", parameters: Sequence[Any] = ()) -> int:
        """Count the rows of a table."""
        # Names and conditions are constants of this package.
        sql = f"SELECT count(*) FROM {table} WHERE {where}"  # noqa: S608
        return int(self.db.execute(sql, parameters).fetchone()[0])

    def load_page(self, rows: Iterable[tuple[int, str | None, str]]) -> None:
        """Replace the temporary page: number, key and ``amigo_id`` of each row."""
        self.db.execute("DELETE FROM page")
        self.db.executemany("INSERT INTO page VALUES (?, ?, ?)", rows)

    # -- changes

    def add_change(self, change: Change) -> None:
        """Add a change."""
        self.db.execute(
            "INSERT INTO changes(step, operation, key, id, row, name, fields, body, before, outline)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                OPERATIONS.index(change.operation),
                change.operation,
                change.key,
                change.id,
                change.row,
                change.name,
                self._encoder.encode(change.fields),
                self._encoder.encode(change.body),
                change.before,
                change.outline,
            ),
        )

    def changes(self, where: str = "1", parameters: Sequence[Any] = ()) -> Iterator[tuple[int, Change]]:
        """Yield changes with their numbers, in the order in which they are written."""
        # The condition is a constant of this package.
        sql = f"SELECT {_COLUMNS} FROM changes WHERE {where} ORDER BY step, n"  # noqa: S608
        for n, operation, key, key_id, row, name, fields, body, before, outline in self.db.execute(
            sql, parameters
        ):
            yield (
                n,
                Change(
                    operation=operation,
                    key=key,
                    id=key_id,
                    row=row,
                    name=name,
                    fields=msgspec.json.decode(fields),
                    body=msgspec.json.decode(body),
                    before=before,
                    outline=outline,
                ),
            )

    def counts(self, where: str = "1") -> dict[str, int]:
        """Return the number of changes by operation."""
        sql = f"SELECT operation, count(*) FROM changes WHERE {where} GROUP BY operation"  # noqa: S608
        found = dict(self.db.execute(sql))
        return {operation: int(found.get(operation, 0)) for operation in OPERATIONS}


def row_number(row: int | str) -> int | str:
    """Return a row's number as it is stored: a row of several files as text."""
    return str(row) if isinstance(row, (RowNumber, str)) else int(row)
