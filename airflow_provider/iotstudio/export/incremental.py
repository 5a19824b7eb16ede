"""Which span of time an incremental export of the history has, from run to run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider.core.state.watermark import Watermark
from airflow_provider.iotstudio import api
from airflow_provider.iotstudio.export.history import Span

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


CLOCK_MARGIN = 2.0
"""Seconds to wait until a value's time is surely in the past for the service, too: clocks differ a little."""

HISTORY_RESOLUTION = timedelta(milliseconds=1)
"""The history has milliseconds, so the next value is at least this much later."""


class HistoryWatermark:
    """The spans of the runs of one export; each begins where the one before ended.

    A run that is cleared after it had ended well exports its own span again, neither more nor less, and moves
    nothing: what came since is in the files of later runs, or will be.

    :param context: the task's context.
    :param outlets: the task's outlets; there must be exactly one.
    :param source: what is exported, as JSON; another source begins anew.
    :param log: says when nothing can be remembered, and when a run exports its span again.
    """

    def __init__(self, context: Mapping[str, Any], outlets: Sequence[Any], source: Any, log: Logger) -> None:
        self._log = log
        self._watermark = Watermark(
            context, outlets, source, log, name="iotstudio_history", argument="incremental"
        )
        self._exported = self._watermark.done()

    def span(self, requested: Span) -> Span:
        """Give the span of this run.

        :param requested: its start is for the first run; its end for each that did not end well yet.
        """
        if self._exported:
            span = Span(_parse_time(self._exported["start"]), _parse_time(self._exported["until"]))
            self._log.info("This run has exported %s to %s before, and does so again", span.start, span.end)
            return span
        return closed_span(
            _parse_time(self._watermark.start().get("until")) or requested.start, requested.end
        )

    def save(self, span: Span, newest: str | None) -> None:
        """Remember, after the file was published, where this run ended and the next one begins.

        :param span: what was exported.
        :param newest: time of the newest value in the file.
        """
        if self._exported:
            return
        start = span.start.isoformat() if span.start else None
        until = start or api.EARLIEST_TIME
        if newest is not None:
            until = (api.parse_time(newest) + HISTORY_RESOLUTION).isoformat()
            self._watermark.move({"until": until})
        self._watermark.note({"start": start, "until": until})


def _parse_time(text: str | None) -> datetime | None:
    return api.parse_time(text) if text else None


def closed_span(start: datetime | None, end: datetime | None) -> Span:
    """Give a span that ends now, or earlier, after a short wait where values of it may still come.

    Without an end, values that are recorded while Thing after Thing is read would be missed: those of the
    first Things come after they were read, and before the newest value of the last ones.

    :param start: where the export begins.
    :param end: the end that was requested for.
    """
    now = datetime.now(UTC)
    until = min(now, end or now)
    # A run that follows at once finds nothing new yet: an empty span.
    span = Span(start, max(until, start or until))
    time.sleep(max(0.0, CLOCK_MARGIN - (now - until).total_seconds()))
    return span
