"""Status of changes: whether the dataset is as before a change, as after it, or neither."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from airflow_provider.amigocloud import api, api_datasets
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.pagination import Row
from airflow_provider.amigocloud.sync.compare import row_hash
from airflow_provider.amigocloud.sync.fields import Schema
from airflow_provider.amigocloud.sync.reading import DatasetReader, requests_for
from airflow_provider.amigocloud.sync.store import DELETE, UPDATE, Change, SyncStore
from airflow_provider.amigocloud.values import KEY
from airflow_provider.core.input.values import shown_value
from airflow_provider.errors import NotFoundError, PermissionDeniedError, RequestRejectedError, shorten

BEFORE, DONE, DRIFTED = "before", "done", "drifted"
"""Statuses of a change: not written yet, written, and impossible because another client changed the row."""

_UNREAD = """
UPDATE changes SET other = '',
  detail = CASE operation WHEN 'delete' THEN '' ELSE 'is not there' END,
  status = CASE operation WHEN 'create' THEN 'before' WHEN 'delete' THEN 'done' ELSE 'drifted' END
"""
"""Statement for the status of changes before their rows are read: that of a row that is not there."""

CHANGED = "(status = 'drifted' OR (other <> '' AND operation = 'create'))"
"""Condition of changes that another client has made impossible."""

SHOWN = 10
"""Maximum changes that an error lists."""


class StateWatch:
    """Watch for changes of a dataset by other clients since its rows were compared.

    :param hook: hook of the connection.
    :param dataset: id of the dataset.
    :param state: hash of the state in which the rows were compared.
    """

    def __init__(self, hook: AmigoCloudHook, dataset: str, state: str) -> None:
        self._hook, self.dataset, self.state = hook, dataset, state
        self._own = 0
        self._others = False

    def add_own(self, changes: int) -> None:
        """Expect the states of a change set that was applied.

        :param changes: number of its changes: no document says whether each of them makes a state.
        """
        self._own = max(changes, 1)

    def is_quiet(self) -> bool:
        """Return whether no other client has written; once one has, rows must be read before each write."""
        if (master := self._hook.get_master(self.dataset)) != self.state:
            self._others = self._others or not self._own or self._count(master) not in (1, self._own)
            self.state, self._own = master, 0
        return not self._others

    def _count(self, master: str) -> int:
        """Count the states since the last look; 0 when the service does not tell."""
        where = api.dataset_path(self.dataset, in_project=self._hook.has_project)
        try:
            return len(self._hook.send(api_datasets.states(where, self.state, master)))
        except (NotFoundError, PermissionDeniedError, RequestRejectedError):
            return 0


class StatusCheck:
    """Reader of the status of changes.

    :param reader: reads the dataset.
    :param store: the changes; their status is stored.
    :param schema: fields of the dataset.
    :param key: name of the key.
    :param rows: number of the dataset's rows a moment ago.
    """

    def __init__(self, reader: DatasetReader, store: SyncStore, schema: Schema, key: str, rows: int) -> None:
        self._reader, self._store, self._schema, self._key = reader, store, schema, key
        self._rows = rows
        self._is_written: bool  # of the last reading

    def read(self, state: str, where: str = "1", *, is_written: bool = True) -> None:
        """Store the status of changes in one state.

        :param state: hash of the state.
        :param where: selects the changes, by their batch or status.
        :param is_written: whether they have been written, for the description of differences.
        """
        self._is_written = is_written
        self._store.db.execute(f"{_UNREAD} WHERE {where}")
        for rows in self._pages(state, where):
            with self._store.transaction():
                self._add(rows, where)

    def _pages(self, state: str, where: str) -> Iterator[list[Row]]:
        some, whole = requests_for(self._store.count("changes", where) * 2, self._rows)
        if some > whole:
            return self._reader.all_rows()
        ids = [change.id for _, change in self._store.changes(where)]
        created = f"operation = 'create' AND {where}"
        keys = [change.body.get(self._key) for _, change in self._store.changes(created)]
        return self._reader.some_rows(state, ids, keys if self._key != KEY else [], self._key)

    def _add(self, rows: list[Row], where: str) -> None:
        field = self._schema.fields[self._key]
        self._store.load_page(
            (n, field.key_text(row.get(self._key)), str(row.get(KEY))) for n, row in enumerate(rows)
        )
        by_id = {str(row.get(KEY)): row for row in rows}
        met = list(self._store.changes(f"id IN (SELECT id FROM page) AND {where}"))  # noqa: S608
        self._store.db.executemany(
            "UPDATE changes SET status = ?, detail = ? WHERE n = ?",
            ((*self._status(change, by_id[change.id]), n) for n, change in met),
        )
        # The condition is a constant of this package.
        sql = (
            "SELECT page.id, changes.n FROM page CROSS JOIN changes ON changes.key = page.key"  # noqa: S608
            f" WHERE changes.operation = 'create' AND page.id <> changes.id AND {where}"
        )
        self._store.db.executemany(
            "UPDATE changes SET other = ? WHERE n = ?", self._store.db.execute(sql).fetchall()
        )

    def _status(self, change: Change, row: Row) -> tuple[str, str]:
        """Return the status of a change whose row is in the dataset, and what differs."""
        if change.operation == DELETE:
            same = row_hash(row) == change.before
            return (BEFORE, "still exists") if same else (DRIFTED, "was changed")
        different = dict(self.differences(change.body, row))
        if not different:
            return DONE, ""
        fields = [
            f"{name} is {shown_value(found)}, not {shown_value(wanted)}"
            for name, (found, wanted) in different.items()
        ]
        differing = "; ".join(shorten(fields, 5))
        if change.operation == UPDATE and row_hash(row) == change.before:
            return BEFORE, differing
        is_drift = change.operation == UPDATE and not self._is_written
        return DRIFTED, self._drift(change, row) if is_drift else differing

    def _drift(self, change: Change, row: Row) -> str:
        """Describe what another client changed of a row."""
        for name, (was, wanted) in change.fields.items():
            field, now = self._schema.fields[name], row.get(name)
            if not field.is_equal(now, was) and not field.is_equal(now, wanted):
                return f"{name} was {shown_value(was)}, now it is {shown_value(now)}"
        return "another field was changed"

    def describe(self, where: str) -> Iterator[str]:
        """Yield a sentence about each change of which one can be detail.

        :param where: selects the changes.
        """
        sql = (
            "SELECT operation, key, id, detail, other FROM changes"  # noqa: S608
            f" WHERE {where} ORDER BY step, n"
        )
        for operation, key, there, detail, other in self._store.db.execute(sql):
            doubled = f"{self._key} is that of row {other}, too" if other else ""
            yield f"{operation} {there} ({key}): {'; '.join(filter(None, (detail, doubled)))}"

    def first(self, where: str, count: int) -> list[str]:
        """Return sentences about the first changes, and how many more there are.

        :param where: selects the changes.
        :param count: their number.
        """
        listed = [*islice(self.describe(where), SHOWN), *[""] * (count - SHOWN)]
        return shorten(listed, SHOWN)

    def differences(self, body: dict[str, Any], row: Row) -> Iterable[tuple[str, tuple[Any, Any]]]:
        """Yield the fields in which a row of the dataset is not as wanted: found and wanted value."""
        for name, wanted in body.items():
            if not self._schema.fields[name].is_equal(found := row.get(name), wanted):
                yield name, (found, wanted)
