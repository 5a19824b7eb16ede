"""Retention check: report histories that were requested from before the oldest value that is stored."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider.errors import one_line
from airflow_provider.iotstudio import api

if TYPE_CHECKING:
    from airflow_provider.iotstudio.hooks import IoTStudioHook


SHORTEST_RETENTION = timedelta(days=28)
"""Shortest time that the service stores a value; the vendor's docs name one month."""

MAX_REPORTED = 20
"""Maximum number of Things named in the manifest."""


class Retention:
    """The Things that have no stored value from before the requested start.

    Such a Thing either did not exist yet, or the service has deleted values that belong into the export: the
    service does not distinguish the two. A start within the last four weeks is not checked; an earlier start
    costs one more request per history.

    :param hook: the space.
    :param start: start of the requested span; None requests everything, which is never short.
    """

    def __init__(self, hook: IoTStudioHook, start: datetime | None) -> None:
        self._hook = hook
        self._start = start
        self._is_relevant = start is not None and start < datetime.now(UTC) - SHORTEST_RETENTION
        self._lock = threading.Lock()
        self._oldest: dict[str, str | None] = {}

    def check(self, thing_id: str, name: str | None, oldest: str | None) -> None:
        """Check whether a history has a value from before the start. Threads may call this.

        :param thing_id: the Thing's id.
        :param name: the property; None for all.
        :param oldest: the oldest time that was read; None when there was no value.
        """
        if not self._is_relevant or self._start is None:
            return
        if self._hook.last_values(thing_id, self._start, name=name):
            return
        with self._lock:
            known = self._oldest.get(thing_id)
            # Of several properties, the property with the shortest history counts.
            self._oldest[thing_id] = max(known, oldest, key=api.parse_time) if known and oldest else oldest

    def report(self, things: int) -> dict[str, Any]:
        """Log missing history, and return it for the manifest; empty when nothing is missing.

        :param things: number of Things that were read.
        """
        if not self._oldest or self._start is None:
            return {}
        found = sorted(self._oldest.items(), key=lambda item: item[1] or "~")
        start = self._start.isoformat()
        self._hook.log.warning(
            "%d of %d Things have no stored value from before %s: they were recorded only later, or the"
            " service has deleted older values; the oldest value is from %s",
            len(found),
            things,
            start,
            one_line(found[0][1] or "no time at all"),
        )
        return {"retention": {"start": start, "things": len(found), "kept_from": dict(found[:MAX_REPORTED])}}
