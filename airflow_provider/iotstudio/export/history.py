"""History reader: concurrent, page by page, with constant memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING, Any

from airflow_provider.core.http.circles import Circle
from airflow_provider.core.input.conditions import list_problems, raise_problems
from airflow_provider.core.input.scalars import Scalar, read_scalars
from airflow_provider.errors import (
    InputError,
    NotFoundError,
    PermissionDeniedError,
    RequestRejectedError,
)
from airflow_provider.iotstudio import api
from airflow_provider.iotstudio.api import Page
from airflow_provider.iotstudio.conditions import (
    filter_problems,
    incremental_problems,
    name_problems,
    read_bounds,
)
from airflow_provider.iotstudio.hooks_base import next_cursor, read_twice
from airflow_provider.iotstudio.known_names import names_of

if TYPE_CHECKING:
    from airflow_provider.iotstudio.export.coverage import Coverage
    from airflow_provider.iotstudio.export.retention import Retention
    from airflow_provider.iotstudio.hooks import IoTStudioHook


Rows = list[dict[str, Any]]

MAX_CONCURRENCY = 32
"""Maximum number of requests at the same time."""

MAX_LAG = timedelta(days=366)
"""Longest lag: the service deletes values much earlier."""

BOUND_MARGIN = timedelta(milliseconds=1)
"""Time added to both ends of a query, because it is not documented whether bounds are inclusive."""


EXPORT_SCALARS = {
    "concurrency": Scalar("integer", least=1, most=MAX_CONCURRENCY),
    "incremental": Scalar("boolean"),
    "report": Scalar("boolean"),
    "lag": Scalar("seconds", optional=True, guard=True, above=0, most=MAX_LAG.total_seconds()),
}
"""Arguments of exports from run to run."""

_FIRST = datetime(2, 1, 1, tzinfo=UTC)
_LAST = datetime(9998, 1, 1, tzinfo=UTC)


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
    def parse(cls, start: Any, end: Any) -> Span:
        """Parse a span; :func:`~airflow_provider.iotstudio.conditions.read_bound` has the forms of a time.

        :param start: the first time included; None for no limit.
        :param end: the first time excluded; None for no limit.
        :raises InputError: when a bound is empty or not a time, which the error names, or the span is empty.
        """
        bounds, problems = read_bounds(start, end)
        raise_problems(problems, "the time span")
        span = cls(*bounds)
        if span.start and span.end and span.start >= span.end:
            raise InputError(
                f"start {span.start} is not before end {span.end} (a data interval is empty unless the"
                " schedule has data intervals, as CronDataIntervalTimetable has)"
            )
        return span

    def query_bounds(self) -> tuple[datetime | None, datetime | None]:
        """Return the bounds of the query to the service."""
        start = max(self.start, _FIRST) - BOUND_MARGIN if self.start else None
        return start, min(self.end, _LAST) + BOUND_MARGIN if self.end else None

    def contains(self, at: str) -> bool:
        """Return whether a time of the API is within the span."""
        moment = api.parse_time(at)
        return (self.start is None or self.start <= moment) and (self.end is None or moment < self.end)


@dataclass(frozen=True, slots=True)
class Selection:
    """The arguments of a history export, read after templating.

    :param thing_ids: these Things; None for all that ``category`` and ``filters`` leave.
    :param category: only Things of this category.
    :param filters: condition by property name, evaluated on current values.
    :param properties: only these properties; None for all.
    :param span: the requested span.
    :param concurrency: number of histories read at the same time.
    :param incremental: whether the export starts where the last one ended.
    :param lag: how late a value may arrive; None for no late values.
    """

    thing_ids: list[str] | None
    category: str | None
    filters: Mapping[str, Any] | None
    properties: list[str] | None
    span: Span
    concurrency: int = 1
    incremental: bool = False
    lag: timedelta | None = None

    @classmethod
    def read(cls, task: Any) -> Selection:
        """Read the arguments of a task.

        :param task: the operator.
        :raises InputError: with every problem.
        """
        problems = read_scalars(task, EXPORT_SCALARS)
        problems += incremental_problems(task, "values")
        try:
            selection = cls.of_plan(task)
        except InputError as error:
            problems += error.problems
        raise_problems(problems)
        return replace(
            selection,
            concurrency=task.concurrency,
            incremental=task.incremental,
            lag=None if task.lag is None else timedelta(seconds=task.lag),
        )

    @classmethod
    def of_plan(cls, task: Any) -> Selection:
        """Read the arguments that say what is exported.

        :param task: the operator.
        :raises InputError: with every problem.
        """
        problems = list_problems(task.thing_ids, "thing_ids") + list_problems(task.properties, "properties")
        problems += name_problems(task.category, "category") + filter_problems(task.filters)
        if task.thing_ids is not None and (task.category is not None or task.filters is not None):
            problems.append("set 'thing_ids', or 'category' and 'filters', not both")
        span = Span()
        try:
            span = Span.parse(task.start, task.end)
        except InputError as error:
            problems += error.problems
        raise_problems(problems)
        return cls(_unique(task.thing_ids), task.category, task.filters, _unique(task.properties), span)

    def source(self) -> list[Any]:
        """Return what an incremental export depends on, as JSON."""
        filters = None if self.filters is None else dict(self.filters)
        return [self.thing_ids, self.category, filters, self.properties]


def _unique(names: Sequence[str] | None) -> list[str] | None:
    return None if names is None else list(dict.fromkeys(names))


def read_history(
    hook: IoTStudioHook,
    thing_ids: Sequence[str],
    span: Span,
    *,
    properties: Sequence[str] | None,
    concurrency: int,
    retention: Retention,
    coverage: Coverage,
    may_be_empty: bool = False,
) -> Iterator[Rows]:
    """Yield the recorded values of Things as pages of rows.

    A Thing that is gone, and a Thing without a property, have no values and do not end the export.

    :param hook: the space.
    :param thing_ids: the Things.
    :param span: the time span of the values.
    :param properties: only these, each with requests of its own; None for all.
    :param concurrency: number of histories read at the same time.
    :param retention: gets the oldest time of each history.
    :param coverage: gets the outcome of each history.
    :param may_be_empty: whether not one of the histories need exist.
    :raises NotFoundError: when not one of the histories exists.
    :raises ProviderError: when a request fails permanently; all other requests end, too.
    """
    names = (None,) if properties is None else properties
    jobs = [(thing_id, name) for thing_id in thing_ids for name in names]
    if not jobs:
        return
    hook.transport  # noqa: B018 - opened here once, before threads share it
    reader = _HistoryReader(hook, jobs, span, min(concurrency, len(jobs)), retention, coverage)
    try:
        yield from reader.pages()
    finally:
        reader.stop()
    if not may_be_empty:
        coverage.raise_if_nothing()


class _HistoryMissingError(Exception):
    """A history is not there: the Thing is gone, or does not have the property.

    :param error: the service's reply.
    :param thing: the Thing's description; None when it is gone, or was not read.
    """

    def __init__(self, error: NotFoundError, thing: dict[str, Any] | None) -> None:
        super().__init__(error, thing)
        self.error = error
        self.thing = thing


class _HistoryReader:
    """A pool of threads that each read one history after another into a bounded queue."""

    def __init__(
        self,
        hook: IoTStudioHook,
        jobs: Sequence[tuple[str, str | None]],
        span: Span,
        threads: int,
        retention: Retention,
        coverage: Coverage,
    ) -> None:
        self._hook = hook
        self._coverage = coverage
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
                self._read_job_or_note(*job)
        except BaseException as error:
            self._put(error)
        else:
            self._put(None)

    def _next_job(self) -> tuple[str, str | None] | None:
        with self._lock:
            return next(self._jobs, None)

    def _read_job_or_note(self, thing_id: str, name: str | None) -> None:
        try:
            self._read_job(thing_id, name)
        except _HistoryMissingError as missing:
            self._coverage.note_not_found(thing_id, name, missing.error, missing.thing)
        except NotFoundError as error:
            self._coverage.note_not_found(thing_id, name, error, None)
        else:
            self._coverage.note_read(name)

    def _read_job(self, thing_id: str, name: str | None) -> None:
        start, end = self._span.query_bounds()
        cursor, oldest, circle = "", None, Circle("")

        def read() -> Page:
            return self._hook.history_page(thing_id, start=start, end=end, name=name, cursor=cursor)

        while not self._stopped.is_set():
            page = self._read_page(thing_id, name, read)
            rows = [
                {"thing_id": thing_id, "at": item["at"], "property": key, "value": value}
                for item in page.items
                if self._span.contains(item["at"])
                for key, value in item["properties"].items()
            ]
            if rows:
                self._coverage.note_rows(thing_id)
            self._put(rows)
            # Which end of a history comes first is not documented.
            ends = [oldest, rows[0]["at"], rows[-1]["at"]] if rows else [oldest]
            oldest = min(filter(None, ends), key=api.parse_time, default=None)
            cursor = next_cursor(cursor, page, circle)
            if not cursor:
                self._retention.check(thing_id, name, oldest)
                return

    def _read_page(self, thing_id: str, name: str | None, read: Callable[[], Page]) -> Page:
        """Read a page; a 404 is believed at once only of a property that the Thing does not have."""
        try:
            return read()
        except NotFoundError as error:
            thing = self._description(thing_id, name)
            if thing is not None and name not in names_of(thing):
                raise _HistoryMissingError(error, thing) from None
        except (PermissionDeniedError, RequestRejectedError) as error:
            from airflow_provider.iotstudio.hooks import gone_error

            if gone := gone_error(self._hook, thing_id, error):
                raise _HistoryMissingError(gone, None) from None
            raise
        try:
            return read_twice(read)
        except NotFoundError as error:
            raise _HistoryMissingError(error, thing) from None

    def _description(self, thing_id: str, name: str | None) -> dict[str, Any] | None:
        """Return a Thing's description; None when it is not needed, and when the Thing is gone."""
        if name is None:
            return None
        try:
            return self._hook.get_thing(thing_id)
        except NotFoundError:
            return None

    def _put(self, item: list[dict[str, Any]] | BaseException | None) -> None:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=0.1)
            except Full:
                continue
            return
