"""Store of datasets: what the routes need of an engine that runs SQL, with every earlier state readable."""

from __future__ import annotations

import hashlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from airflow_provider.sandbox.amigocloud.sql import geometry
from airflow_provider.sandbox.amigocloud.sql.dialect import SqlError


@dataclass
class Dataset:
    """Description of a dataset, without its rows.

    :param states: hashes, oldest first; the last hash is the ``master``.
    :param changes: the change that led to each state, by hash.
    :param visible_at: the sandbox's time from which the dataset is visible.
    :param hidden: no route shows it; it holds the rows of a gallery.
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
    hidden: bool = False

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


Rows = Iterable[Mapping[str, Any]]
At = tuple[int, str]
"""A dataset and the hash of one of its states."""

Statement = tuple[str, Sequence[Any]]
"""A statement with a ``?`` for each of its parameters."""


class Store(ABC):
    """All datasets of all projects, with their rows in an engine.

    :param datasets: the datasets that the engine has already.
    """

    engine: ClassVar[str]
    """Name of the engine: ``embedded`` or ``postgresql``."""

    def __init__(self, datasets: Mapping[int, Dataset]) -> None:
        self.lock = threading.RLock()
        self.datasets = dict(datasets)
        self.writes = 0
        self.on_states: Callable[[Iterable[int]], None] = lambda _: None
        self.catalog: Callable[[str], Any] = lambda _: None
        self._uuids = 0

    @abstractmethod
    def close(self) -> None:
        """Release what the store holds."""

    # -- datasets

    def add(self, dataset: Dataset, rows: Rows | str = ()) -> Dataset:
        """Create a dataset with its first rows, in one state.

        :param rows: the rows, or a query of them with the dataset's columns in order.
        """
        if not any(column["name"] == "amigo_id" for column in dataset.columns):
            dataset.columns.insert(0, {"name": "amigo_id", "type": "string", "max_length": 32})
        with self.lock:
            self._create(dataset, rows)
            self.datasets[dataset.id] = dataset
            dataset.states = [_hash(dataset, 0)]
        return dataset

    def add_gallery(self, number: int, rows: Dataset) -> None:
        """Create the view ``gallery_<number>`` with the rows of a hidden dataset.

        :param rows: the dataset, which does not exist yet.
        """
        with self.lock:
            self.add(rows)
            self._create_view(f"gallery_{number}", rows.id)

    @abstractmethod
    def _create_view(self, name: str, number: int) -> None:
        """Create a view of a dataset's rows, which is dropped with it."""

    @abstractmethod
    def _create(self, dataset: Dataset, rows: Rows | str) -> None:
        """Create a dataset's tables, and fill them; on failure there is no such dataset."""

    def drop(self, number: int) -> None:
        """Delete a dataset and all its states."""
        with self.lock:
            self._remove(number)
            del self.datasets[number]
            self.writes += 1

    @abstractmethod
    def _remove(self, number: int) -> None:
        """Drop a dataset's tables."""

    def add_column(self, number: int, column: Mapping[str, Any]) -> str:
        """Add a field to a dataset; return the new state."""
        columns = [*self.datasets[number].columns, dict(column)]
        return self._alter(number, columns, f"ADD COLUMN {column['name']}", added=column)

    def drop_column(self, number: int, name: str) -> str:
        """Remove a field from all states of a dataset; return the new state."""
        columns = [column for column in self.datasets[number].columns if column["name"] != name]
        return self._alter(number, columns, f"DROP COLUMN {name}", dropped=name)

    def _alter(
        self,
        number: int,
        columns: list[dict[str, Any]],
        change: str,
        *,
        added: Mapping[str, Any] | None = None,
        dropped: str | None = None,
    ) -> str:
        with self.lock:
            self._change_columns(number, columns, added, dropped)
            self.datasets[number].columns = columns
            return self._new_states([number], change)[number]

    @abstractmethod
    def _change_columns(
        self,
        number: int,
        columns: list[dict[str, Any]],
        added: Mapping[str, Any] | None,
        dropped: str | None,
    ) -> None:
        """Add or drop a column of a dataset's tables.

        :param columns: the columns afterwards.
        """

    def master(self, number: int) -> str:
        """Return the hash of the latest state."""
        return self.datasets[number].states[-1]

    @abstractmethod
    def count(self, number: int) -> int:
        """Count a dataset's rows in the latest state."""

    @abstractmethod
    def largest(self, number: int, column: str) -> int:
        """Return the largest value of a column of whole numbers; -1 for a dataset without rows."""

    @abstractmethod
    def insert(self, number: int, query: str, change: Any) -> str:
        """Add the rows of a query as one change; return the new state."""

    def latest_objects(self, number: int, most: int = 100) -> list[dict[str, Any]]:
        """Return id and location of the objects that the latest state has written."""
        out = []
        for key, shape in self._latest(self.datasets[number], most):
            point = geometry.point_of(shape)
            location = {"longitude": point[0], "latitude": point[1]} if point else {}
            out.append({"object_id": key, **location})
        return out

    @abstractmethod
    def _latest(self, dataset: Dataset, most: int) -> list[tuple[Any, ...]]:
        """Return key and geometry of the rows that the latest state has written."""

    # -- statements

    @abstractmethod
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
        """Run a query.

        :param limit: maximum rows; -1 for no limit.
        :param at: dataset and state; that dataset is read as of the state, other datasets as they are.
        :param shuffled: the rows of a query without ORDER BY come in random order.
        :param seconds: maximum duration; None for no limit.
        :raises SqlError: when the engine refuses the statement.
        """

    @abstractmethod
    def write(
        self, sql: str, parameters: Sequence[Any] = (), change: Any = None, *, seconds: float | None = None
    ) -> tuple[int, dict[int, str]]:
        """Run an INSERT, UPDATE or DELETE; return the number of rows and the new state of each dataset.

        :param parameters: values of the statement's ``?``.
        :param change: what led to the new state; None for the statement itself.
        :param seconds: maximum duration; None for no limit.
        :raises SqlError: when the engine refuses the statement.
        """

    @abstractmethod
    def transaction(self, statements: Iterable[Statement], change: Any = None) -> dict[int, str]:
        """Run several statements as one change, in one new state: all of them, or none."""

    @abstractmethod
    def revert(self, number: int, state: str, change: Any) -> None:
        """Restore an earlier state's rows of a dataset, in a new state."""

    # -- states

    def _version(self, at: At | None) -> int | None:
        """Return the number of the state to read; None for the latest one."""
        if at is None:
            return None
        number, state = at
        dataset = self.datasets.get(number)
        if dataset is None or state not in dataset.states:
            raise SqlError(f"dataset {number} has no state {state}")
        version = dataset.states.index(state)
        return None if version == len(dataset.states) - 1 else version

    def _new_states(self, changed: Iterable[int], change: Any) -> dict[int, str]:
        """Add a state to each dataset that has changed; return the hashes."""
        new: dict[int, str] = {}
        for number in sorted(changed):
            dataset = self.datasets[number]
            new[number] = _hash(dataset, len(dataset.states))
            dataset.states.append(new[number])
            dataset.changes[new[number]] = change
        self.writes += 1
        self.on_states(new)
        return new

    def _new_uuid(self) -> str:
        self._uuids += 1
        return hashlib.md5(f"born {self._uuids}".encode()).hexdigest()


Seed = Callable[[Store], None]
"""Adds the seeded datasets to an empty store."""


class Engine(ABC):
    """An engine for one account."""

    @abstractmethod
    def new_store(self) -> Store:
        """Return a store with the seeded datasets; that of the last call must not be used any more."""

    @abstractmethod
    def close(self) -> None:
        """Remove all that the engine has made."""

    def before_fork(self) -> None:  # noqa: B027 - a database in memory is copied by the fork
        """Release what processes cannot share."""

    def after_fork(self, member: int) -> None:  # noqa: B027
        """Use a copy of the data that other processes do not change.

        :param member: number of this process.
        """


def quoted(name: str) -> str:
    """Return a name as it stands in a statement, whatever characters it has."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _hash(dataset: Dataset, version: int) -> str:
    return hashlib.sha1(f"{dataset.id} {dataset.name} {version}".encode()).hexdigest()
