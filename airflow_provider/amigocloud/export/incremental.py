"""Incremental export: rows after a watermark, which moves on the outlet asset once the file is published."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider.amigocloud.export.keyset import literal, quoted_name
from airflow_provider.amigocloud.pagination import Page
from airflow_provider.core.state.watermark import Watermark
from airflow_provider.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import Asset
    from airflow.sdk.types import Logger


Lag = timedelta | int | float | None

_STORE_KEY = "amigocloud_export"

_MAX_MARKS = 50_000
"""Number of marks in memory above which those older than the lag are dropped."""

_CHUNK = 3_000
"""Maximum marks per value of the store, which holds 64 KiB."""


class Increment:
    """Rows that are new since the last export, by a watermark.

    Rows at and within the lag before the watermark are read again, because others with the same values may
    have become visible meanwhile. Rows that were exported before are dropped by their key and value
    (deduplication).

    :param column: column of dates, timestamps or numbers that only grow, such as ``updated_at``. Rows without
        a value are in the first export only.
    :param key: column that identifies a row.
    :param lag: distance before the watermark from which rows are read again, for rows that become visible
        late: a ``timedelta``, or a number for a column of numbers.
    :param watermark: the greatest value so far; None exports everything.
    :param seen: marks of the rows exported before that are within the lag.
    """

    def __init__(
        self, column: str, key: str, lag: Lag, watermark: Any = None, seen: frozenset[str] = frozenset()
    ) -> None:
        self.column = column
        self._key = key
        self._lag = lag
        self.watermark = watermark
        self._seen = seen
        self._marks: dict[str, Any] = {}

    def condition(self) -> str | None:
        """Return the SQL condition of the rows that may be new; None for all."""
        if self.watermark is None:
            return None
        return f"{quoted_name(self.column)} >= {literal(self._since())}"

    def new_rows(self, page: Page) -> Page:
        """Return the page without the rows that were exported before, and move the watermark.

        :param page: the next page of the export.
        :raises InputError: when the rows lack the column or the key, or the column holds other values.
        """
        new = []
        for raw in page.rows:
            row = msgspec.json.decode(raw, type=dict[str, Any])
            if missing := {self.column, self._key} - row.keys():
                raise InputError(
                    f"the rows have no column {', '.join(sorted(missing))}", "incremental_column"
                )
            value = row[self.column]
            mark = _mark(row[self._key], value)
            if value is not None:
                self._add(mark, value)
            if mark not in self._seen:
                new.append(raw)
        return page.with_rows(new)

    def marks(self) -> list[str]:
        """Return the marks of all rows that the next export will read again."""
        self._drop_old_marks()
        return sorted(self._marks)

    def _add(self, mark: str, value: Any) -> None:
        moment = _comparable(value, self.column)
        if self.watermark is None:
            self.watermark = value
            self._since()  # an invalid lag is an error before anything is published
        elif moment > _comparable(self.watermark, self.column):
            self.watermark = value
        self._marks[mark] = moment
        if len(self._marks) > _MAX_MARKS:
            self._drop_old_marks()

    def _drop_old_marks(self) -> None:
        """Drop the marks of rows that are older than the lag."""
        if self.watermark is not None:
            since = _comparable(self._since(), self.column)
            self._marks = {mark: moment for mark, moment in self._marks.items() if moment >= since}

    def _since(self) -> Any:
        """Return the smallest value of the rows to read: the watermark minus the lag."""
        if not self._lag:
            return self.watermark
        moment = _comparable(self.watermark, self.column)
        try:
            since = moment - self._lag
        except TypeError:
            raise InputError(
                f"{self._lag!r} cannot be subtracted from column '{self.column}', which holds"
                f" {self.watermark!r}; use a timedelta for dates, a number for numbers",
                "lag",
            ) from None
        if not isinstance(since, datetime):
            return since
        is_date = len(self.watermark) == len("2025-01-31")
        return since.date().isoformat() if is_date else since.isoformat(sep=" ")


def _comparable(value: Any, column: str) -> Any:
    """Return a value in comparable form: a timestamp with time zone, or a number."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise InputError(
            f"column '{column}' holds {value!r}; it must hold dates, timestamps or numbers",
            "incremental_column",
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _mark(key: Any, value: Any) -> str:
    text = msgspec.json.encode([key, value])
    return hashlib.blake2b(text, digest_size=8).hexdigest()


class WatermarkStore:
    """Store of an outlet asset's watermark, with the marks of the rows near it.

    :param context: context of the task.
    :param outlets: outlets of the task; there must be exactly one.
    :param source: what is exported, as JSON; another source starts over.
    :param log: gets a line when this Airflow has no state store for assets.
    :raises InputError: when the task has not exactly one outlet asset.
    """

    def __init__(self, context: Mapping[str, Any], outlets: list[Asset], source: Any, log: Logger) -> None:
        self._watermark = Watermark(
            context, outlets, source, log, name=_STORE_KEY, argument="incremental_column"
        )

    def load(self) -> tuple[Any, frozenset[str]]:
        """Return the watermark and the marks; None and no marks when none is stored."""
        start = self._watermark.start()
        marks: list[str] = []
        for n in range(int(start.get("chunks", 0))):
            marks += self._watermark.store.get(f"{_STORE_KEY}_{start['turn']}_{n}") or []
        return start.get("watermark"), frozenset(marks)

    def save(self, increment: Increment) -> None:
        """Store the watermark and the marks; those that this run started from are kept, too.

        :param increment: the finished increment.
        """
        store = self._watermark.store
        if store is None or increment.watermark is None:
            return
        turn = 1 - int(self._watermark.start().get("turn", 1))
        marks = increment.marks()
        chunks = [marks[at : at + _CHUNK] for at in range(0, len(marks), _CHUNK)]
        for n, chunk in enumerate(chunks):
            store.set(f"{_STORE_KEY}_{turn}_{n}", chunk)
        self._watermark.move({"watermark": increment.watermark, "turn": turn, "chunks": len(chunks)})
