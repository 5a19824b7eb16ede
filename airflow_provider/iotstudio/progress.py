"""Up to where the history of Things has been exported, kept on the outlet asset (Airflow 3.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider.core.durable import fingerprint, task_identity
from airflow_provider.errors import InputError
from airflow_provider.iotstudio import api

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

NAME = "iotstudio_history"
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

    def finished(self, start: str | None, until: str | None) -> None:
        """Remember, after the file was published, where the next run begins."""
        if self._store is not None and until is not None:
            known = {"source": self._source, "run": self._run, "start": start, "until": until}
            self._store.set(NAME, known)


def after(watermark: str | None) -> str | None:
    """Give the first moment after the newest value that was exported."""
    return None if watermark is None else (api.moment(watermark) + NEXT).isoformat()
