"""Progress of incremental exports of the sync log: what a run exports, and where the next one starts."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from airflow_provider.core.state.chunks import read_chunks, write_chunks
from airflow_provider.core.state.identity import fingerprint, without_expiry
from airflow_provider.core.state.watermark import Watermark
from airflow_provider.errors import IncompleteExportError
from airflow_provider.leanix.sync_items import created_at, key_of, without_time

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

STATE = "leanix_sync_log"
"""Beginning of the state's name in the store; a hash of what is exported follows."""

LAG = timedelta(minutes=10)
"""How late an item may show, with an earlier time than others that were read."""

_MAX_AHEAD = timedelta(days=1)
"""Maximum time by which the clocks of worker and service may differ."""

_MARK_BYTES = 8

_MARKS_PER_CHUNK = 4_000
"""Number of marks in one value of the state store, which may hold 64 KiB."""

_MAX_MARKS = 100_000
"""Maximum items within the lag; more would fill the state store."""


class MarkStore:
    """Marks of items in a state store, in several values.

    :param store: the state store; None when there is none.
    :param name: beginning of the values' names.
    :param options: further arguments with which a value is stored.
    """

    def __init__(self, store: Any, name: str, options: Mapping[str, Any] | None = None) -> None:
        self._store = store
        self._name = name
        self._options = options or {}

    def save(self, turn: int, marks: Iterable[bytes]) -> dict[str, int]:
        """Store marks; return what :meth:`load` takes."""
        found = sorted(marks) if self._store is not None else []
        chunks = [
            b64encode(b"".join(found[at : at + _MARKS_PER_CHUNK])).decode()
            for at in range(0, len(found), _MARKS_PER_CHUNK)
        ]
        return write_chunks(self._store, self._name, turn, chunks, **self._options)

    def load(self, state: Mapping[str, Any]) -> set[bytes]:
        """Return the marks that a state tells of."""
        marks: set[bytes] = set()
        for text in read_chunks(self._store, self._name, state.get("turn"), state.get("chunks", 0)):
            joined = b64decode(text)
            marks |= {joined[at : at + _MARK_BYTES] for at in range(0, len(joined), _MARK_BYTES)}
        return marks


class Progress:
    """Stored progress of one selection of items, and the note of what this run has exported.

    :param context: the task's context.
    :param outlets: the task's outlets; there must be exactly one.
    :param source: the selection, as JSON; each has a progress of its own.
    :param log: receives one line when there is no store.
    :raises InputError: when the task has not exactly one outlet asset.
    """

    def __init__(self, context: Mapping[str, Any], outlets: Sequence[Any], source: Any, log: Logger) -> None:
        name = f"{STATE}_{fingerprint(source)}"
        self.watermark = Watermark(context, outlets, source, log, name=name, argument="incremental")
        self.marks = MarkStore(self.watermark.store, name)
        self.own_marks = MarkStore(context.get("task_state_store"), name, without_expiry())


class Increment:
    """Items since the last run: those from a time on, without those that were exported.

    The watermark never passes the present: items of a later time are exported once, and are read again until
    that time is over. A run that has succeeded and is cleared exports the same items again, whatever runs
    have followed, and moves nothing.

    :param since: time before which the items of the first run are left out.
    :param progress: the stored progress; None for a full export.
    :param log: receives a warning of items whose time has not come yet.
    """

    def __init__(self, since: datetime | None, progress: Progress | None, log: Logger) -> None:
        self._log = log
        self._progress = progress
        self._now = datetime.now(UTC)
        self._future = 0
        self._read: dict[bytes, tuple[datetime, bool]] = {}
        self._own = progress.watermark.done() if progress else {}
        with progress.watermark.readable() if progress else nullcontext():
            self._read_state(since)

    def _read_state(self, since: datetime | None) -> None:
        progress = self._progress
        state = self._own or self._start()
        self.since = _moment(state.get("since")) or since
        self._until = _moment(state.get("until"))
        self._before = _moment(state.get("before")) if self._own else self._until
        self._next = _moment(state.get("next"))
        self._marks: set[bytes] = set()
        if progress:
            self._marks = (progress.own_marks if self._own else progress.marks).load(state)

    def _start(self) -> dict[str, Any]:
        state = self._progress.watermark.start() if self._progress else {}
        until = _moment(state.get("until"))
        if until and until > self._now + _MAX_AHEAD:
            self._log.warning("The watermark %s has not come yet: the export starts over", until)
            return {}
        return state

    @property
    def until(self) -> str | None:
        """The time of the newest item whose time has come, as a text."""
        return _text(self._until)

    def new(self, items: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the items of this run.

        :raises IncompleteExportError: for an item without time, or for too many items within the lag.
        """
        for item in items:
            at, mark = created_at(item), sha256(key_of(item).encode()).digest()[:_MARK_BYTES]
            if at is None:
                if self._progress:
                    raise without_time(item)
                yield item
                continue
            is_new = self._is_of_cleared_run(mark, at) if self._own else mark not in self._marks
            if not self._own:
                self._add(mark, at, is_new)
            if is_new:
                yield item

    def _is_of_cleared_run(self, mark: bytes, at: datetime) -> bool:
        """Return whether this run has exported an item before: only near its ends others may be there now."""
        is_between = (
            self._next is not None and at < self._next and (self._before is None or at > self._before)
        )
        return is_between or mark in self._marks

    def _add(self, mark: bytes, at: datetime, is_new: bool) -> None:
        if at > self._now:
            self._future += 1
        else:
            self._until = max(self._until or at, at)
        if self._progress and self._is_near_an_end(at, is_new):
            self._read[mark] = (at, is_new)
            if len(self._read) > _MAX_MARKS:
                self._forget()

    def _is_near_an_end(self, at: datetime, is_new: bool) -> bool:
        since = self._next_since()
        return since is None or at >= since or (is_new and self._before is not None and at <= self._before)

    def _next_since(self) -> datetime | None:
        """Return the time from which the next run reads."""
        if self._until is None:
            return self.since
        try:
            return self._until - LAG
        except OverflowError:
            return self._until

    def _forget(self) -> None:
        """Drop what the next run does not read: items may come in another order than newest first."""
        self._read = {mark: one for mark, one in self._read.items() if self._is_near_an_end(*one)}
        if len(self._read) > _MAX_MARKS:
            raise IncompleteExportError(
                f"the sync log has more than {_MAX_MARKS} items within {LAG}, more than the next run can"
                " know: export it without 'incremental'"
            )

    def save(self) -> None:
        """Store where the next run starts, and what this one has exported."""
        if self._future:
            self._log.warning(
                "%d items of the sync log have a time that has not come yet: the watermark stays at %s",
                self._future,
                self.until,
            )
        if self._progress is None or self._own:
            return
        watermark, since = self._progress.watermark, self._next_since()
        turn = 1 - int(watermark.start().get("turn", 1))
        read = (mark for mark, (at, _) in self._read.items() if since is None or at >= since)
        state = {"until": self.until, "since": _text(since)}
        watermark.move({**state, **self._progress.marks.save(turn, read)})
        near = (
            mark for mark, (at, is_new) in self._read.items() if is_new and self._is_near_an_end(at, True)
        )
        note = {"until": self.until, "since": _text(self.since), "before": _text(self._before)}
        watermark.note({**note, "next": _text(since), **self._progress.own_marks.save(0, near)})


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
