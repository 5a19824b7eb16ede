"""Submissions: the remote work of a task, found again by its later attempts instead of started twice.

Airflow 3.3 keeps a submission in the task's state store, which survives crashes and retries. On older
versions there is no store, and remote work can only be found by the marker that it carries.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider.core.state.identity import fingerprint, task_identity, without_expiry

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


class Submission:
    """One piece of remote work, shared by all attempts of a task.

    The methods are called in this order: :meth:`intend` before the work is created with :attr:`marker` on
    it; :meth:`created` with its id, before it is started; :meth:`finished` once its results are fetched;
    :meth:`renew` when it failed, so that the next attempt starts over.

    :param context: the task's context.
    :param request: the request for the work, as JSON; a changed request is new work.
    :param log: receives one line when this Airflow has no state store.
    :param name: name of the submission among several of one task.

    A retry after :meth:`finished` means that the task died before Airflow recorded its success: the retry
    belongs to the same work. Only a task that was cleared since then starts new work.

    ``remote_id`` is the id of this work, once it is known. ``earlier_id`` is the id of earlier work: of the
    same request when ``earlier_was_same`` (the work had ended, or its task was cleared since), else of
    another request, whose work may still be running.
    """

    def __init__(
        self, context: Mapping[str, Any], request: Any, log: Logger, name: str = "submission"
    ) -> None:
        self._store = context.get("task_state_store")
        self._name = name
        self._request = fingerprint(request)
        self._task = task_identity(context)
        if self._store is None:
            log.info(
                "No task state store here (it came with Airflow 3.3): after a crash, only remote work that"
                " carries a marker is found again"
            )
        stored = self._read()
        same = stored.get("request") == self._request
        # Airflow raises a task's max_tries when the task is cleared, and at no other time.
        self._max_tries: int | None = getattr(context["ti"], "max_tries", None)
        unrecorded = self._max_tries is not None and stored.get("taken_by") == self._max_tries
        self.is_known = same and (unrecorded or not stored.get("closed"))
        remote_id = stored.get("remote_id")
        remote_id = remote_id if isinstance(remote_id, str) else None
        self.remote_id: str | None = remote_id if self.is_known else None
        self.note: Any = stored.get("note") if self.is_known else None
        self.earlier_id: str | None = None if self.is_known else remote_id
        self.earlier_was_same = same
        generation = stored.get("generation", -1)
        self.generation = generation if isinstance(generation, int) else -1
        self.generation += 0 if self.is_known else 1
        self._salt = self._stored_salt(stored)

    @property
    def remembers(self) -> bool:
        """Return whether there is a state store; without it, an attempt may have made unknown work."""
        return self._store is not None

    @property
    def marker(self) -> str:
        """The marker that the remote work carries: stable over retries, different for new work."""
        work = fingerprint([self._request, self._salt]) if self._salt else self._request
        return f"{self.task_marker}{work[:8]}.{self.generation}"

    @property
    def task_marker(self) -> str:
        """The common prefix of the markers of this task's work, for all requests."""
        return f"airflow:{fingerprint(self._task)[:12]}-"

    def intend(self, note: Any = None) -> None:
        """Record, before the work is created, that it may exist from now on.

        :param note: small JSON that helps to find the work where it cannot carry the marker; a retry that
            does not know the id reads it as ``note``.
        """
        self.is_known, self.note = True, note
        self._write(**self._noted())

    def created(self, remote_id: str, note: Any = None) -> None:
        """Record the id of the created work.

        :param note: small JSON about the work; a later attempt that knows the id reads it as ``note``.
        """
        self.remote_id, self.note = remote_id, note
        self._write(remote_id=remote_id, **self._noted())

    def renew(self) -> None:
        """Close the work: the next work is new, with a marker of its own."""
        self._close()

    def finished(self) -> None:
        """Record that the results were fetched; when the task is cleared later, its work is new."""
        self._close(taken_by=self._max_tries)

    def _close(self, **more: Any) -> None:
        known = {"remote_id": self.remote_id, **self._noted()} if self.remote_id else {}
        self._write(closed=True, **known, **more)
        self.generation += 1
        self.remote_id = None
        self.is_known = False

    def _noted(self) -> dict[str, Any]:
        return {} if self.note is None else {"note": self.note}

    def _stored_salt(self, stored: Mapping[str, Any]) -> str:
        """Return what distinguishes this task's markers from those of a task with the same identity.

        There is one in another Airflow, and in a DAG run that was deleted and created again. Without a store
        no later attempt would know the salt, and work that an earlier release recorded has none: both empty.
        """
        if self._store is None or (stored and "salt" not in stored):
            return ""
        return str(stored.get("salt") or os.urandom(4).hex())

    def _read(self) -> dict[str, Any]:
        value = self._store.get(self._name) if self._store is not None else None
        return value if isinstance(value, dict) else {}

    def _write(self, **more: Any) -> None:
        if self._store is not None:
            salt = {"salt": self._salt} if self._salt else {}
            value = {"request": self._request, "generation": self.generation, **salt, **more}
            self._store.set(self._name, value, **without_expiry())
