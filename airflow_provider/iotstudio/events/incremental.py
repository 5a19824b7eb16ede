"""Incremental export of events: one watermark, and a time of its own for each Thing that was not read."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider.iotstudio import api
from airflow_provider.iotstudio.export.history import Span
from airflow_provider.iotstudio.export.incremental import HistoryWatermark, marks_of_things

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

from airflow_provider.core.state.chunks import read_chunks, write_chunks
from airflow_provider.core.state.watermark import Watermark
from airflow_provider.errors import shorten

STATE = "iotstudio_events"
"""Name of the state in the store."""

THINGS_STATE = f"{STATE}_things"
"""Name of the known Things in the store."""

THINGS_PER_CHUNK = 500
"""Number of Things in one value of the state store, which may hold 64 KiB."""

FORGET_AFTER = timedelta(days=30)
"""Time after which a Thing that is not read any more is forgotten."""


class EventsWatermark(HistoryWatermark):
    """The end of the last exported span, and the Things whose events before it are still to come.

    A Thing that answers 404, or is missing from the list, may be back in the next run. Its events from the
    start of the run that missed it are exported then.

    :param watermark: the stored state, whose key begins with :data:`STATE`.
    :param log: gets one line for the Things that are missing.
    :param lag: how late an event may show.
    """

    def __init__(self, watermark: Watermark, log: Logger, lag: timedelta) -> None:
        super().__init__(watermark, log, lag)
        self._known: dict[str, list[str] | None] | None = None
        self._first: datetime | None = None
        self._span = Span()
        self._starts: dict[str, datetime | None] = {}
        self._missing: list[str] = []
        self._next: dict[str, list[str] | None] = {}

    def span(self, requested: Span) -> Span:
        """Return the span of this run.

        :param requested: its start applies to the first run.
        """
        span = self._span = super().span(requested)
        self._first = span.start
        if self._until is not None:
            with self._watermark.readable():
                state = self._watermark.start()
                self._first = _parse(state.get("first", _format(span.start)))
                self._known = self._load_things(state)
        return span

    def starts(self, thing_ids: Iterable[str]) -> dict[str, datetime | None]:
        """Return the starts of the Things that do not begin at the span's start; None for no limit.

        :param thing_ids: the Things of this run.
        """
        if (known := self._known) is None:
            return self._starts
        for thing_id in thing_ids:
            if thing_id not in known:
                self._starts[thing_id] = self._first
            elif missed := known[thing_id]:
                self._starts[thing_id] = _parse(missed[0])
        return self._starts

    def note_things(self, thing_ids: Collection[str], missing: Collection[str]) -> None:
        """Note which Things this run has read.

        :param thing_ids: the Things of this run.
        :param missing: those of them that were not there.
        """
        if self._exported:
            return
        now = datetime.now(UTC)
        known = self._known or {}
        self._next = dict.fromkeys(uid for uid in thing_ids if uid not in set(missing))
        absent = {*missing, *known} - self._next.keys()
        for uid in sorted(absent):
            start = self._starts.get(uid, self._span.start)
            entry = known.get(uid) or [_format(start), now.isoformat()]
            if now - api.parse_time(entry[1]) < FORGET_AFTER:
                self._next[uid] = entry
        self._missing = sorted(uid for uid, entry in self._next.items() if entry)
        if self._missing:
            is_new = any(not known.get(uid) for uid in self._missing)
            self._log.log(
                logging.WARNING if is_new else logging.INFO,
                "%d Things are missing; a run in which they are back exports their events since then: %s",
                len(self._missing),
                ", ".join(shorten(self._missing, 10)),
            )

    def _lowest(self, lower: datetime | None) -> datetime | None:
        read = [start for uid, start in self._starts.items() if not self._next.get(uid)]
        if not read:
            return lower
        earliest = api.parse_time(api.EARLIEST_TIME)
        return min(start or earliest for start in (lower, *read))

    def _marks_to_keep(self, since: datetime) -> list[bytes]:
        # What a missing Thing has reported and earlier runs have exported cannot be read again now.
        carried = marks_of_things(self._marks.known, self._missing)
        return sorted({*super()._marks_to_keep(since), *carried})

    def _save_marks(self, since: datetime) -> dict[str, Any]:
        state = super()._save_marks(since)
        if not state:
            return {}
        items = sorted(self._next.items())
        chunks = [
            json.dumps(dict(items[at : at + THINGS_PER_CHUNK]), separators=(",", ":"))
            for at in range(0, len(items), THINGS_PER_CHUNK)
        ]
        name = f"{self._watermark.key}_things"
        stored = write_chunks(self._watermark.store, name, state["turn"], chunks)
        return {**state, "first": _format(self._first), "things": stored["chunks"]}

    def _load_things(self, state: Mapping[str, Any]) -> dict[str, list[str] | None] | None:
        """Return the Things that were known after the last run; None when no run has noted any."""
        if "things" not in state:
            return None
        known: dict[str, list[str] | None] = {}
        name = f"{state['name']}_things" if "name" in state else THINGS_STATE
        for text in read_chunks(self._watermark.store, name, state.get("turn"), state["things"]):
            known |= json.loads(text)
        return known


def _format(at: datetime | None) -> str:
    return at.isoformat() if at else ""


def _parse(text: str) -> datetime | None:
    return api.parse_time(text) if text else None
