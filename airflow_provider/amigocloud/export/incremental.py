"""Exports only what is new: a watermark on a column, kept on the outlet asset, moved after the publish."""

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


_NAME = "amigocloud_export"


_MANY = 50_000


_CHUNK = 3_000
"""Marks of rows in one value of the store, which may hold 64 KiB."""


class Increment:
    """What is new since the last export.

    Rows at and shortly before the watermark are read again, because others with the same value may have come
    meanwhile; the ones that were exported before are left out, known by their key and value.

    :param column: dates, moments or numbers that only grow, such as ``updated_at``. Rows without a value come
        with the first export only.
    :param key: column that tells rows apart.
    :param lag: how far to look back behind the watermark, for rows that become visible late: a
        ``timedelta``, or a number for a column of numbers.
    :param watermark: the greatest value so far; None exports everything.
    :param seen: marks of the rows exported before that are not older than the watermark minus the lag.
    """

    def __init__(
        self, column: str, key: str, lag: Lag, watermark: Any = None, seen: frozenset[str] = frozenset()
    ) -> None:
        self.column = column
        self._key = key
        self._lag = lag
        self.watermark = watermark
        self._before = seen
        self._marks: dict[str, Any] = {}

    def condition(self) -> str | None:
        """Spell for SQL what may be new; None for everything."""
        if self.watermark is None:
            return None
        return f"{quoted_name(self.column)} >= {literal(self._since())}"

    def fresh(self, page: Page) -> Page:
        """Give the page without the rows that were exported before, and note what is in it.

        :raises InputError: when the rows lack the column or the key, or the column holds something else.
        """
        kept = []
        for raw in page.rows:
            row = msgspec.json.decode(raw, type=dict[str, Any])
            if missing := {self.column, self._key} - row.keys():
                raise InputError(
                    f"the rows have no column {', '.join(sorted(missing))}", "incremental_column"
                )
            value = row[self.column]
            mark = _mark(row[self._key], value)
            if value is not None:
                self._note(mark, value)
            if mark not in self._before:
                kept.append(raw)
        return page.only(kept)

    def marks(self) -> list[str]:
        """Give the marks of all rows that the next export will read again."""
        self._forget()
        return sorted(self._marks)

    def _note(self, mark: str, value: Any) -> None:
        moment = _order(value, self.column)
        if self.watermark is None:
            self.watermark = value
            self._since()  # a lag that does not fit is told before anything is published
        elif moment > _order(self.watermark, self.column):
            self.watermark = value
        self._marks[mark] = moment
        if len(self._marks) > _MANY:
            self._forget()

    def _forget(self) -> None:
        """Forget the rows that are older than the lag."""
        if self.watermark is not None:
            since = _order(self._since(), self.column)
            self._marks = {mark: at for mark, at in self._marks.items() if at >= since}

    def _since(self) -> Any:
        """Give the value from which on rows are read."""
        if not self._lag:
            return self.watermark
        moment = _order(self.watermark, self.column)
        try:
            back = moment - self._lag
        except TypeError:
            raise InputError(f"does not fit to column '{self.column}': {self.watermark!r}", "lag") from None
        if not isinstance(back, datetime):
            return back
        return (
            back.date().isoformat() if len(self.watermark) == len("2025-01-31") else back.isoformat(sep=" ")
        )


def _order(value: Any, column: str) -> Any:
    """Give what orders a value: a moment or a number."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise InputError(
            f"column '{column}' holds {value!r}; it must hold dates, moments or numbers", "incremental_column"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _mark(key: Any, value: Any) -> str:
    text = msgspec.json.encode([key, value])
    return hashlib.blake2b(text, digest_size=8).hexdigest()


class Memory:
    """Where the watermark of an outlet asset is kept, with the marks of the rows near it.

    :param context: the task's context.
    :param outlets: the task's outlets.
    :param source: what is exported; a changed source starts over.
    :param log: gets one line when this Airflow has no state store for assets.
    """

    def __init__(self, context: Mapping[str, Any], outlets: list[Asset], source: Any, log: Logger) -> None:
        self._watermark = Watermark(context, outlets, source, log, name=_NAME, argument="incremental_column")

    def load(self) -> tuple[Any, frozenset[str]]:
        """Give the watermark and the marks; None and nothing when there is none."""
        start = self._watermark.start()
        marks: list[str] = []
        for n in range(int(start.get("chunks", 0))):
            marks += self._watermark.store.get(f"{_NAME}_{start['turn']}_{n}") or []
        return start.get("watermark"), frozenset(marks)

    def save(self, increment: Increment) -> None:
        """Keep the watermark and the marks; those that this run started from stay as they are."""
        store = self._watermark.store
        if store is None or increment.watermark is None:
            return
        turn = 1 - int(self._watermark.start().get("turn", 1))
        marks = increment.marks()
        chunks = [marks[at : at + _CHUNK] for at in range(0, len(marks), _CHUNK)]
        for n, chunk in enumerate(chunks):
            store.set(f"{_NAME}_{turn}_{n}", chunk)
        self._watermark.move({"watermark": increment.watermark, "turn": turn, "chunks": len(chunks)})
