"""Up to where the history of Things has been exported, kept on the outlet asset (Airflow 3.3)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider.core.durable import fingerprint, task_identity
from airflow_provider.errors import InputError
from airflow_provider.iotstudio import api
from airflow_provider.iotstudio.past import Span

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

NAME = "iotstudio_history"
SETTLING = 2.0
"""Seconds to wait until a value's time is surely in the past for the service, too: clocks differ a little."""

NEXT = timedelta(milliseconds=1)
"""The history has milliseconds, so the next value is at least this much later."""


class Progress:
    """Where an incremental export begins.

    A run that is tried again, or cleared after it had ended well, begins where it began before, so that its
    file is never replaced by one that lacks values.

    :param context: the task's context.
    :param outlets: the task's outlets; there must be exactly one.
    :param source: what is exported, as JSON; another source begins anew.
    :param log: gets one line when this Airflow has no state store for assets.
    """

    def __init__(self, context: Mapping[str, Any], outlets: Sequence[Any], source: Any, log: Logger) -> None:
        if len(outlets) != 1:
            raise InputError(
                f"needs one outlet asset, on which the progress is kept; the task has {len(outlets)}",
                "incremental",
            )
        stores = context.get("asset_state_store")
        self._store: Any = stores[outlets[0]] if stores is not None else None
        self._source = fingerprint(source)
        self._run = "/".join(task_identity(context))
        if self._store is None:
            log.warning(
                "No state store for assets here (it came with Airflow 3.3): nothing is remembered, and"
                " everything since 'start' is exported"
            )

    def start(self) -> str | None:
        """Give the time that this run begins at; None when nothing was exported before."""
        known = self._store.get(NAME) if self._store is not None else None
        if not isinstance(known, dict) or known.get("source") != self._source:
            return None
        found: str | None = known["start" if known["run"] == self._run else "until"]
        return found

    def finished(self, start: str | None, newest: str | None) -> None:
        """Remember, after the file was published, where the next run begins.

        :param start: where this run began.
        :param newest: time of the newest value in the file.
        """
        if self._store is not None and newest is not None:
            until = (api.moment(newest) + NEXT).isoformat()
            self._store.set(NAME, {"source": self._source, "run": self._run, "start": start, "until": until})


def settled(start: datetime | None, end: datetime | None) -> Span:
    """Give a span that ends now, or earlier, after a short wait where values of it may still come.

    Without an end, values that are recorded while Thing after Thing is read would be missed: those of the
    first Things come after they were read, and before the newest value of the last ones.

    :param start: where the export begins.
    :param end: the end that was asked for.
    """
    now = datetime.now(UTC)
    until = min(now, end or now)
    # A run that follows at once finds nothing new yet: an empty span.
    span = Span(start, max(until, start or until))
    time.sleep(max(0.0, SETTLING - (now - until).total_seconds()))
    return span
