"""History reader: concurrent, page by page, with constant memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING, Any

from airflow_provider.errors import InputError
from airflow_provider.iotstudio import api

if TYPE_CHECKING:
    from airflow_provider.iotstudio.export.retention import Retention
    from airflow_provider.iotstudio.hooks import IoTStudioHook


COLUMNS = ("thing_id", "at", "property", "value")
"""Columns of a history export."""

BOUND_MARGIN = timedelta(milliseconds=1)
"""Time added to both ends of a query, because it is not documented whether bounds are inclusive."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time span that includes its start and excludes its end, so that consecutive spans share no value.

    The query asks for :data:`BOUND_MARGIN` more on both sides; values outside the span are dropped here.

    :param start: the first time included; None for no limit.
    :param end: the first time excluded; None for no limit.
    """

    start: datetime | None = None
    end: datetime | None = None

    @classmethod
    def parse(cls, start: str | datetime | None, end: str | datetime | None) -> Span:
        """Parse a span from datetimes or texts (ISO 8601, ``2026`` or ``2026-01``); UTC without an offset.

        :param start: the first time included; None or empty for no limit.
        :param end: the first time excluded; None or empty for no limit.
        :raises InputError: when a bound is not a time, which the error names, or when the span is empty.
        """
        span = cls(_bound("start", start), _bound("end", end))
        if span.start and span.end and span.start >= span.end:
            raise InputError(
                f"start {span.start} is not before end {span.end} (a data interval is empty unless the"
                " schedule has data intervals, as CronDataIntervalTimetable has)"
            )
        return span

    def query_bounds(self) -> tuple[datetime | None, datetime | None]:
        """Return the bounds of the query to the service."""
        start = self.start - BOUND_MARGIN if self.start else None
        return start, self.end + BOUND_MARGIN if self.end else None

    def contains(self, at: str) -> bool:
        """Return whether a time of the API is within the span."""
        moment = api.parse_time(at)
        return (self.start is None or self.start <= moment) and (self.end is None or moment < self.end)


def _bound(name: str, value: str | datetime | None) -> datetime | None:
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return api.parse_time(value.isoformat())
    text = value.strip()
    try:
        return api.parse_time({4: f"{text}-01-01", 7: f"{text}-01"}.get(len(text), text))
    except ValueError:
        raise InputError(f"'{name}' is not a time: {value!r}; use ISO 8601") from None


def read_history(
    hook: IoTStudioHook,
    thing_ids: Sequence[str],
    span: Span,
    *,
    properties: Sequence[str] | None,
    concurrency: int,
    retention: Retention,
) -> Iterator[list[dict[str, Any]]]:
    """Yield the recorded values of Things as pages of rows.

    :param hook: the space.
    :param thing_ids: the Things.
    :param span: the time span of the values.
    :param properties: only these, each with requests of its own; None for all.
    :param concurrency: number of histories read at the same time.
    :param retention: gets the oldest time of each history.
    :raises ProviderError: when a request fails permanently; all other requests end, too.
    """
    jobs = [(thing_id, name) for thing_id in thing_ids for name in (properties or (None,))]
    if not jobs:
        return
    hook.transport  # noqa: B018 - opened here once, before threads share it
    reader = _HistoryReader(hook, jobs, span, min(concurrency, len(jobs)), retention)
    try:
        yield from reader.pages()
    finally:
        reader.stop()


class _HistoryReader:
    """A pool of threads that each read one history after another into a bounded queue."""

    def __init__(
        self,
        hook: IoTStudioHook,
        jobs: Sequence[tuple[str, str | None]],
        span: Span,
        threads: int,
        retention: Retention,
    ) -> None:
        self._hook = hook
        self._retention = retention
        self._span = span
        self._jobs = iter(jobs)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._queue: Queue[list[dict[str, Any]] | BaseException | None] = Queue(maxsize=2 * threads)
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def pages(self) -> Iterator[list[dict[str, Any]]]:
        left = len(self._threads)
        while left:
            item = self._queue.get()
            if item is None:
                left -= 1
            elif isinstance(item, BaseException):
                raise item
            elif item:
                yield item

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            while thread.is_alive():
                self._drain()
                thread.join(0.05)

    def _drain(self) -> None:
        try:
            while True:
                self._queue.get_nowait()
        except Empty:
            return

    def _run(self) -> None:
        try:
            while not self._stopped.is_set() and (job := self._next_job()) is not None:
                self._read_job(*job)
        except BaseException as error:
            self._put(error)
        else:
            self._put(None)

    def _next_job(self) -> tuple[str, str | None] | None:
        with self._lock:
            return next(self._jobs, None)

    def _read_job(self, thing_id: str, name: str | None) -> None:
        start, end = self._span.query_bounds()
        cursor, oldest = "", None
        while not self._stopped.is_set():
            page = self._hook.history_page(thing_id, start=start, end=end, name=name, cursor=cursor)
            rows = [
                {"thing_id": thing_id, "at": item["at"], "property": key, "value": value}
                for item in page.items
                if self._span.contains(item["at"])
                for key, value in item["properties"].items()
            ]
            self._put(rows)
            oldest = rows[-1]["at"] if rows else oldest
            cursor = page.cursor
            if not cursor:
                self._retention.check(thing_id, name, oldest)
                return

    def _put(self, item: list[dict[str, Any]] | BaseException | None) -> None:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=0.1)
            except Full:
                continue
            return
