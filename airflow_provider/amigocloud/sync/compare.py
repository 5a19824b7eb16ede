"""Comparison: the rows of a sync with those of a dataset, page by page, and the changes that follow."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from airflow_provider.amigocloud.pagination import Row
from airflow_provider.amigocloud.sync.fields import Schema
from airflow_provider.amigocloud.sync.rows import new_id
from airflow_provider.amigocloud.sync.store import CREATE, DELETE, UPDATE, Change, SyncStore
from airflow_provider.amigocloud.values import KEY
from airflow_provider.core.input.problems import Problems
from airflow_provider.core.json_types import Json

_NAMES = ("name", "title", "label")
"""Fields that name a row for readers."""


def row_hash(row: Row) -> str:
    """Return a short hash of a dataset's row, by which a change of it is noticed."""
    return hashlib.sha256(msgspec.json.encode(row, order="deterministic")).hexdigest()[:16]


class Comparison:
    """The comparison of stored rows with a dataset.

    :param store: the rows; it gets the changes.
    :param schema: fields of the dataset.
    :param key: name of the key.
    :param missing: ``ignore`` or ``delete``: what happens to the dataset's rows without a row.
    :param problems: gets the problems of rows that the dataset shows.
    """

    def __init__(self, store: SyncStore, schema: Schema, key: str, missing: str, problems: Problems) -> None:
        self._store, self._schema, self._key = store, schema, key
        self._deletes = missing == "delete"
        self._problems = problems
        self._field = schema.fields[key]
        self._name = next((name for name in _NAMES if name in schema.fields and name != key), "")
        self.compared = self.keyless = 0
        self.taken: list[str] = []

    def add(self, rows: list[Row]) -> None:
        """Compare a page of the dataset."""
        keys = [self._field.key_text(row.get(self._key)) for row in rows]
        ids = [str(row.get(KEY)) for row in rows]
        self.compared += sum(key is not None for key in keys)
        self.keyless += sum(key is None for key in keys)
        with self._store.transaction():
            self._store.load_page(zip(range(len(rows)), keys, ids, strict=True))
            self._compare_page(rows)
            if self._deletes:
                self._add_missing(rows, keys, ids)
            self.taken += self._taken_ids()

    def finish(self, dataset: str, find: Any) -> None:
        """Add the creations, and the deletions of rows that are missing.

        :param dataset: id of the dataset.
        :param find: returns those of some ids that rows of the dataset have.
        """
        with self._store.transaction():
            self.taken += self._named_ids()
            self._choose_free_ids(dataset, find)
            self._add_creations()
            if self._deletes:
                self._add_deletions()

    def _compare_page(self, rows: list[Row]) -> None:
        sql = (
            "SELECT page.n, page.id, wanted.key, wanted.row, wanted.id, wanted.body, wanted.found,"
            " wanted.problem FROM page CROSS JOIN wanted ON wanted.key = page.key"
        )
        met: dict[str, str] = {}
        for n, there, key, number, own, body, found, has_problem in self._store.db.execute(sql).fetchall():
            if (other := found or met.get(key)) is not None:
                reason = f"{self._key} is that of several rows of the dataset: {other}, {there}"
                self._fail(number, key, reason)
                continue
            met[key] = there
            if own is not None and own != there:
                self._fail(number, key, f"{KEY} is {own}, but in the dataset it is {there}")
            elif not has_problem:
                self._add_difference(rows[n], there, key, number, msgspec.json.decode(body))
        self._store.db.executemany(
            "UPDATE wanted SET found = ? WHERE key = ?", ((there, key) for key, there in met.items())
        )

    def _add_difference(self, row: Row, there: str, key: str, number: int | str, wanted: Json) -> None:
        fields, body = {}, {}
        for name, value in wanted.items():
            found = row.get(name)
            # Within lists and objects, Python takes 1 for true.
            if found != value or type(found) is not type(value) or type(value) in (dict, list):
                if name == self._key or self._schema.fields[name].is_equal(found, value):
                    continue
                fields[name], body[name] = [found, value], value
        if not fields:
            return
        self._store.add_change(
            Change(
                operation=UPDATE,
                key=key,
                id=there,
                row=number,
                name=self._label(wanted) or self._label(row),
                fields=fields,
                body=body,
                before=row_hash(row),
                outline=self._outline(row),
            )
        )

    def _fail(self, number: Any, key: str, reason: str) -> None:
        """Leave a row out; a change of it is removed."""
        self._store.db.execute("UPDATE wanted SET problem = 1 WHERE key = ?", (key,))
        self._store.db.execute("DELETE FROM changes WHERE key = ?", (key,))
        self._store.add_failed(number, key, [reason])
        self._problems.add(reason, number, key)

    def _add_missing(self, rows: list[Row], keys: list[str | None], ids: list[str]) -> None:
        sql = (
            "SELECT n FROM page WHERE key IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM wanted WHERE wanted.key = page.key)"
        )
        self._store.db.executemany(
            "INSERT INTO missing VALUES (?, ?, ?, ?, ?)",
            (
                (ids[n], keys[n], row_hash(rows[n]), self._label(rows[n]), self._outline(rows[n]))
                for (n,) in self._store.db.execute(sql).fetchall()
            ),
        )

    def _taken_ids(self) -> list[str]:
        """Return the keys of rows whose chosen id belongs to a row of another key."""
        sql = (
            "SELECT wanted.key FROM page CROSS JOIN wanted ON wanted.chosen = page.id"
            " WHERE page.key IS NOT wanted.key"
        )
        return [key for (key,) in self._store.db.execute(sql)]

    def _named_ids(self) -> list[str]:
        """Return the keys of rows whose chosen id is the one that a row of another key names."""
        sql = (
            "SELECT other.key FROM wanted AS named CROSS JOIN wanted AS other ON other.chosen = named.id"
            " WHERE named.id IS NOT NULL AND other.id IS NULL AND other.key <> named.key"
        )
        return [key for (key,) in self._store.db.execute(sql)]

    def _choose_free_ids(self, dataset: str, find: Any) -> None:
        """Choose other ids for new rows whose ids belong to rows of other keys."""
        left, attempt = self._new_of(self.taken), 0
        while left:
            attempt += 1
            named = {key for key, own, _ in left if own is not None}
            for key, own, number in left:
                if own is not None:
                    self._fail(number, key, f"{KEY} {own} belongs to a row with another {self._key}")
            chosen = {new_id(dataset, self._key, key, attempt): key for key, *_ in left if key not in named}
            self._store.db.executemany(
                "UPDATE wanted SET chosen = ? WHERE key = ?", ((one, key) for one, key in chosen.items())
            )
            left = self._new_of(chosen[one] for one in find(list(chosen)))

    def _new_of(self, keys: Iterable[str]) -> list[tuple[str, str | None, int | str]]:
        sql = "SELECT key, id, row FROM wanted WHERE key = ? AND found IS NULL AND NOT problem"
        return [row for key in keys for row in self._store.db.execute(sql, (key,))]

    def _add_creations(self) -> None:
        sql = "SELECT key, row, chosen, body FROM wanted WHERE found IS NULL AND NOT problem ORDER BY rowid"
        for key, number, chosen, text in self._store.db.execute(sql):
            body = msgspec.json.decode(text)
            self._store.add_change(
                Change(operation=CREATE, key=key, id=chosen, row=number, name=self._label(body), body=body)
            )

    def _add_deletions(self) -> None:
        sql = "SELECT id, key, before, name, outline FROM missing"
        for there, key, before, name, outline in self._store.db.execute(sql):
            self._store.add_change(
                Change(operation=DELETE, key=key, id=there, name=name, before=before, outline=outline)
            )

    @property
    def unchanged(self) -> int:
        """Number of rows without a difference."""
        matched = self._store.count("wanted", "found IS NOT NULL AND NOT problem")
        return matched - self._store.count("changes", "operation = 'update'")

    def duplicates(self) -> Iterator[str]:
        """Yield a sentence for each key that several rows of the dataset have and no row is about."""
        sql = "SELECT key, min(id), max(id), count(*) FROM missing GROUP BY key HAVING count(*) > 1"
        for key, first, last, count in self._store.db.execute(sql):
            yield f"{self._key} {key!r} is that of {count} rows of the dataset: {first}, {last}"

    def _label(self, row: Row) -> str:
        value = row.get(self._name) if self._name else None
        return "" if value is None else str(value)[:200]

    def _outline(self, row: Row) -> str:
        value = row.get(self._schema.geometry) if self._schema.geometry else None
        return value if isinstance(value, str) else ""
