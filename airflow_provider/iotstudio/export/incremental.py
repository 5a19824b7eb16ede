"""Incremental export: the time span of each run, from run to run."""

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
"""Seconds to wait until a time has passed for the service, too: clocks differ a little."""

HISTORY_RESOLUTION = timedelta(milliseconds=1)
"""Smallest distance between two recorded times."""


class HistoryWatermark:
    """The end of the last exported span, at which the next run starts.

    When a run that had succeeded is cleared, it exports its own span again and moves nothing. Values recorded
    since then are in the files of later runs.

    :param context: the task's context.
    :param outlets: the task's outlets; there must be exactly one.
    :param source: the export's source, as JSON; another source starts over.
    :param log: gets one line when no state can be stored, and when a run exports its span again.
    """

    def __init__(self, context: Mapping[str, Any], outlets: Sequence[Any], source: Any, log: Logger) -> None:
        self._log = log
        self._watermark = Watermark(
            context, outlets, source, log, name="iotstudio_history", argument="incremental"
        )
        self._exported = self._watermark.done()

    def span(self, requested: Span) -> Span:
        """Return the span of this run.

        :param requested: its start applies to the first run; its end to each run that has not succeeded yet.
        """
        if self._exported:
            span = Span(_parse_time(self._exported["start"]), _parse_time(self._exported["until"]))
            self._log.info(
                "This run exported %s to %s before; it exports the same span", span.start, span.end
            )
            return span
        start = _parse_time(self._watermark.start().get("until")) or requested.start
        return closed_span(start, requested.end)

    def save(self, span: Span, newest: str | None) -> None:
        """Store where this run ended and the next run starts; call it once the file has its final name.

        :param span: the exported span.
        :param newest: time of the newest value in the file; None when the file has none.
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
    """Return a span that ends now or earlier, after a short wait when its values may still arrive.

    Without an end, values recorded while Thing after Thing is read would be missed: those of the first Things
    arrive after these Things were read, and before the newest value of the last Things.

    :param start: start of the span.
    :param end: the requested end; None for now.
    """
    now = datetime.now(UTC)
    until = min(now, end or now)
    # When a run follows at once, nothing new is recorded yet: its span is empty.
    span = Span(start, max(until, start or until))
    time.sleep(max(0.0, CLOCK_MARGIN - (now - until).total_seconds()))
    return span
