"""Progress of a sync across the attempts of its task: what was written, and the job that is under way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider.core.state.identity import fingerprint, without_expiry
from airflow_provider.core.sync.document import counts_in_words

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

_STORE_KEY = "amigocloud_sync"


class Progress:
    """Progress of one task's sync, in its state store (Airflow 3.3); without a store it is not kept.

    :param context: the task's context.
    :param request: what is synced, as JSON; the progress of another request does not count.
    :param log: says what earlier attempts have done.
    """

    def __init__(self, context: Mapping[str, Any], request: Any, log: Logger) -> None:
        self._store, self._log = context.get("task_state_store"), log
        self._request = fingerprint(request)
        stored = self._store.get(_STORE_KEY) if self._store is not None else None
        known = stored if isinstance(stored, dict) and stored.get("request") == self._request else {}
        job, written = known.get("job"), known.get("written")
        self.job: str | None = job if isinstance(job, str) and job else None
        counts = written.items() if isinstance(written, dict) else ()
        self.written: dict[str, int] = {name: count for name, count in counts if isinstance(count, int)}

    def log_earlier(self) -> None:
        """Log what earlier attempts have written."""
        if self.written or self.job:
            self._log.info(
                "Earlier attempts of this task have written: %s%s",
                counts_in_words(self.written, "nothing that is known"),
                f"; job {self.job} was under way" if self.job else "",
            )

    def started(self, job: str) -> None:
        """Record the job of a change set that was accepted."""
        self.job = job
        self._save()

    def ended(self, counts: Mapping[str, int]) -> None:
        """Record that the job has ended, and what it has written."""
        self.job = None
        for operation, count in counts.items():
            self.written[operation] = self.written.get(operation, 0) + count
        self._save()

    def finished(self) -> None:
        """Forget the progress: the sync is complete."""
        if self._store is not None:
            self._store.delete(_STORE_KEY)

    def _save(self) -> None:
        if self._store is not None:
            value = {"request": self._request, "job": self.job or "", "written": self.written}
            self._store.set(_STORE_KEY, value, **without_expiry())
