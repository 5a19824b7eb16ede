"""Tells where a history was asked for from before the oldest value that the service has kept."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider.iotstudio import api

if TYPE_CHECKING:
    from airflow_provider.iotstudio.hooks import IoTStudioHook


SHORTEST_RETENTION = timedelta(days=28)
"""No history is forgotten sooner: the vendor's docs name one month as the shortest retention."""

MAX_REPORTED = 20


class Retention:
    """Notes the Things of which nothing from before the start is kept.

    Such a Thing was either not there yet, or the service has forgotten values that belong into the export:
    it does not tell which. A start within the last four weeks is not looked at; an older one costs one more
    request for each history.

    :param hook: the space.
    :param start: from when on values were asked for; None asks for all that is kept, which is never short.
    """

    def __init__(self, hook: IoTStudioHook, start: datetime | None) -> None:
        self._hook = hook
        self._start = start
        self._is_relevant = start is not None and start < datetime.now(UTC) - SHORTEST_RETENTION
        self._lock = threading.Lock()
        self._oldest: dict[str, str | None] = {}

    def check(self, thing_id: str, name: str | None, oldest: str | None) -> None:
        """Look whether anything from before the start is kept of a history; threads may call this.

        :param name: the property, None for all.
        :param oldest: the oldest time that was read, None when there was none.
        """
        if not self._is_relevant or self._start is None:
            return
        if self._hook.last_values(thing_id, self._start, name=name):
            return
        with self._lock:
            known = self._oldest.get(thing_id)
            # Of several properties, the one that is kept the shortest counts.
            self._oldest[thing_id] = max(known, oldest, key=api.parse_time) if known and oldest else oldest

    def report(self, things: int) -> dict[str, Any]:
        """Log what is missing, and give it for the manifest; nothing when nothing is.

        :param things: how many Things were read.
        """
        if not self._oldest or self._start is None:
            return {}
        found = sorted(self._oldest.items(), key=lambda item: item[1] or "~")
        start = self._start.isoformat()
        self._hook.log.warning(
            "of %d of %d Things nothing from before %s is kept: values were recorded only later, or the"
            " service has forgotten them; the oldest is from %s",
            len(found),
            things,
            start,
            found[0][1] or "no time at all",
        )
        return {"retention": {"start": start, "things": len(found), "kept_from": dict(found[:MAX_REPORTED])}}
