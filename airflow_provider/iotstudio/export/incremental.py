"""Incremental export: the time span of each run, from run to run."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider.core.state.chunks import read_chunks, write_chunks
from airflow_provider.core.state.watermark import Watermark
from airflow_provider.errors import InputError
from airflow_provider.iotstudio import api
from airflow_provider.iotstudio.export.history import Rows, Span

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


CLOCK_MARGIN = 2.0
"""Seconds to wait until a time has passed for the service, too: clocks differ a little."""

HISTORY_RESOLUTION = timedelta(milliseconds=1)
"""Smallest distance between two recorded times."""


MAX_AHEAD = timedelta(hours=1)
"""Maximum time by which a watermark may be ahead: clocks of workers differ."""

MARK_BYTES = 8
"""Length of a mark."""

THING_BYTES = 3
"""Length of the part of an event's mark that tells its Thing."""

MARKS_PER_CHUNK = 4_000
"""Number of marks in one value of the state store, which may hold 64 KiB."""

MAX_MARKS = 500_000
"""Maximum values that a lag may hold; more would fill the state store."""

MAX_LATE_MARKS = 4_000
"""Maximum late values that a run remembers one by one, for when it is cleared."""

HISTORY_STATE = "iotstudio_history"
"""Name of the state in the store."""


class HistoryWatermark:
    """The end of the last exported span, at which the next run starts.

    With a lag, the next run starts earlier, and leaves out the values that were exported before: their marks
    are stored beside the watermark.

    When a run that had succeeded is cleared, it exports its own span again and moves nothing. Values recorded
    since then are in the files of later runs.

    :param watermark: the stored state, whose key begins with :data:`HISTORY_STATE`.
    :param log: gets one line when a run exports its span again.
    :param lag: how late a value may arrive; None when late values are not looked for.
    :param now: function that returns the present time; None for the worker's.
    """

    def __init__(
        self,
        watermark: Watermark,
        log: Logger,
        lag: timedelta | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._now = now or (lambda: datetime.now(UTC))
        self._log = log
        self._lag = lag
        self._watermark = watermark
        self._exported = self._watermark.done()
        self._until: datetime | None = None
        self._marks = LagMarks()

    def span(self, requested: Span) -> Span:
        """Return the span of this run; with a lag it includes the time in which late values are looked for.

        :param requested: its start applies to the first run; its end to each run that has not succeeded yet.
        """
        with self._watermark.readable():
            return self._stored_span(requested)

    def _stored_span(self, requested: Span) -> Span:
        if self._exported:
            return self._span_of_cleared_run()
        state = self._watermark.start()
        self._until = _parse_time(state.get("until"))
        if self._until and self._until > datetime.now(UTC) + MAX_AHEAD:
            self._log.warning("the watermark %s has not come yet: the export starts over", self._until)
            self._until = None
        if self._until is None:
            return closed_span(requested.start, requested.end, self._now())
        start = self._until
        if self._lag and (since := _parse_time(state.get("since"))):
            start = min(start, max(start - self._lag, since))
            self._marks = LagMarks(self._load_marks(state))
        span = closed_span(self._until, requested.end, self._now())
        return Span(start, span.end)

    def _span_of_cleared_run(self) -> Span:
        exported = self._exported
        start, until = _parse_time(exported["start"]), _parse_time(exported["until"])
        self._log.info("This run exported %s to %s before; it exports the same span", start, until)
        if lower := _parse_time(exported.get("lower")):
            late = exported.get("late")
            # Late values that are too many to be remembered are exported with those of earlier runs.
            self._marks = LagMarks(only=None if late is None else decode_marks(late), before=start)
            return Span(lower, until)
        return Span(start, until)

    def new_rows(self, rows: Rows) -> Rows:
        """Return the rows of a page that no earlier run has exported.

        :param rows: the rows.
        :raises InputError: when the lag holds more values than can be remembered.
        """
        if self._exported:
            return self._marks.repeated_rows(rows)
        return self._marks.new_rows(rows, self._lag) if self._lag else rows

    def save(self, span: Span, newest: str | None) -> None:
        """Store where this run ended and the next run starts; call it once the file has its final name.

        :param span: the exported span.
        :param newest: time of the newest value in the file; None when the file has none.
        """
        if self._exported:
            return
        lower = span.start
        start = self._until or lower
        until = start
        if newest is not None:
            end = api.parse_time(newest) + HISTORY_RESOLUTION
            until = max(end, start) if start else end
        state: dict[str, Any] = {"until": until.isoformat() if until else api.EARLIEST_TIME}
        exported = {"start": start.isoformat() if start else None, "until": state["until"]}
        if self._lag and until is not None:
            since = until - self._lag
            since = max(since, lower) if lower else since
            exported |= self._late(self._lowest(lower), start)
            state |= self._save_marks(since)
        if newest is not None:
            self._watermark.move(state)
        self._watermark.note(exported)

    def _lowest(self, lower: datetime | None) -> datetime | None:
        """Return the earliest time that this run has read from."""
        return lower

    def _late(self, lower: datetime | None, start: datetime | None) -> dict[str, Any]:
        """Return what a cleared run needs to find its late values again."""
        if lower is None or start is None or lower >= start:
            return {}
        late = self._marks.exported_before(start)
        return {
            "lower": lower.isoformat(),
            "late": encode_marks(late) if len(late) <= MAX_LATE_MARKS else None,
        }

    def _save_marks(self, since: datetime) -> dict[str, Any]:
        """Store the marks of the values that the next run reads again; those of this run's start stay."""
        store = self._watermark.store
        if store is None:
            return {}
        turn = 1 - int(self._watermark.start().get("turn", 1))
        marks = self._marks_to_keep(since)
        chunks = [
            encode_marks(marks[at : at + MARKS_PER_CHUNK]) for at in range(0, len(marks), MARKS_PER_CHUNK)
        ]
        key = self._watermark.key
        return {"since": since.isoformat(), "name": key, **write_chunks(store, key, turn, chunks)}

    def _marks_to_keep(self, since: datetime) -> list[bytes]:
        """Return the marks of what the next run must not export again."""
        return self._marks.since(since)

    def _load_marks(self, state: Mapping[str, Any]) -> set[bytes]:
        marks: set[bytes] = set()
        name = state.get("name", HISTORY_STATE)
        for text in read_chunks(self._watermark.store, name, state.get("turn"), state.get("chunks", 0)):
            marks |= decode_marks(text)
        return marks


class LagMarks:
    """Marks of values: which were exported before, and which were read by this run.

    :param before: time before which only the marks in ``only`` are exported; None exports all new ones.
    :param known: marks of the values that earlier runs have exported.
    :param only: the marks that a cleared run exports from before its start; None for all.
    """

    def __init__(
        self,
        known: set[bytes] | None = None,
        *,
        only: set[bytes] | None = None,
        before: datetime | None = None,
    ) -> None:
        self.known = known or set()
        self._only = only
        self._before = before
        self._read: dict[bytes, datetime] = {}
        self._newest: datetime | None = None

    def repeated_rows(self, rows: Rows) -> Rows:
        """Return the rows that a cleared run exports again.

        :param rows: rows of one page.
        """
        if self._before is None or self._only is None:
            return rows
        return [
            row
            for row in rows
            if api.parse_time(row["at"]) >= self._before or not self._only.isdisjoint(_marks(row))
        ]

    def new_rows(self, rows: Rows, lag: timedelta) -> Rows:
        """Return the rows to export, and remember the rows within the lag.

        :param rows: rows of one page.
        :param lag: how late a value may arrive.
        :raises InputError: when too many values would have to be remembered.
        """
        found = []
        for row in rows:
            moment, (mark, *older) = api.parse_time(row["at"]), _marks(row)
            self._newest = max(self._newest or moment, moment)
            self._read[mark] = moment
            if not self.known.isdisjoint(older):
                self.known.add(mark)
            if mark not in self.known:
                found.append(row)
        if len(self._read) > MAX_MARKS and self._newest:
            self._forget(self._newest - lag)
            if len(self._read) > MAX_MARKS:
                raise InputError(f"holds more than {MAX_MARKS} values; make it shorter", "lag")
        return found

    def _forget(self, before: datetime) -> None:
        self._read = {mark: moment for mark, moment in self._read.items() if moment >= before}

    def since(self, moment: datetime) -> list[bytes]:
        """Return the marks of the values that were read, from a time on."""
        return sorted(mark for mark, at in self._read.items() if at >= moment)

    def exported_before(self, moment: datetime) -> list[bytes]:
        """Return the marks of the values that this run has exported, from before a time."""
        return sorted(mark for mark, at in self._read.items() if at < moment and mark not in self.known)


def _marks(row: Mapping[str, Any]) -> list[bytes]:
    """Return a short name of a recorded value or an event; then the name that earlier versions gave it.

    A Thing and property have one value at a time; an event has an id. The name of an event begins with that
    of its Thing.
    """
    is_event = "event_id" in row
    names = ("thing_id", "event", "event_id") if is_event else ("thing_id", "property", "at")
    text = "\0".join(row[name] for name in names).encode()
    mark = hashlib.blake2b(text, digest_size=MARK_BYTES).digest()
    if not is_event:
        return [mark]
    rest = hashlib.blake2b(text, digest_size=MARK_BYTES - THING_BYTES).digest()
    return [_thing_mark(row["thing_id"]) + rest, mark]


def _thing_mark(thing_id: str) -> bytes:
    return hashlib.blake2b(thing_id.encode(), digest_size=THING_BYTES).digest()


def marks_of_things(marks: Iterable[bytes], thing_ids: Iterable[str]) -> list[bytes]:
    """Return the marks of events of some Things.

    :param marks: marks of events.
    :param thing_ids: the Things.
    """
    wanted = {_thing_mark(thing_id) for thing_id in thing_ids}
    return [mark for mark in marks if mark[:THING_BYTES] in wanted]


def encode_marks(marks: Sequence[bytes]) -> str:
    """Return marks as text for the state store.

    :param marks: the marks.
    """
    return base64.b64encode(b"".join(marks)).decode()


def decode_marks(text: str) -> set[bytes]:
    """Return the marks of a text.

    :param text: see :func:`encode_marks`.
    """
    joined = base64.b64decode(text)
    return {joined[at : at + MARK_BYTES] for at in range(0, len(joined), MARK_BYTES)}


def _parse_time(text: str | None) -> datetime | None:
    return api.parse_time(text) if text else None


def closed_span(start: datetime | None, end: datetime | None, now: datetime) -> Span:
    """Return a span that ends now or earlier, after a short wait when its values may still arrive.

    Without an end, values recorded while Thing after Thing is read would be missed: those of the first Things
    arrive after these Things were read, and before the newest value of the last Things.

    :param start: start of the span.
    :param end: the requested end; None for now.
    :param now: the present time.
    """
    until = min(now, end or now)
    # When a run follows at once, nothing new is recorded yet: its span is empty.
    span = Span(start, max(until, start or until))
    time.sleep(max(0.0, CLOCK_MARGIN - (now - until).total_seconds()))
    return span
