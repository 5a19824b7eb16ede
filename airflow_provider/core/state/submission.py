"""What a task remembers of its remote work, so that no try starts again what another try has started.

Airflow 3.3 keeps it in the task's state store, which survives crashes and retries. On older versions there
is no store, and only the marker that the remote work itself carries can be looked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider.core.state.identity import fingerprint, task_identity, without_expiry

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


class Submission:
    """The memory of one piece of remote work across the tries of a task.

    The order of use is the protocol: :meth:`intend` before the work is created, with :attr:`marker` on it;
    :meth:`created` with its id, before it is started; :meth:`finished` once its results are taken;
    :meth:`renew` when it ended badly and the next one is to be new.

    :param context: the task's context.
    :param request: what is asked for, as JSON; a changed request is new work.
    :param log: gets one line when this Airflow has no state store.
    :param name: tells several submissions of one task apart.

    A task that is tried again after its results were taken has died before Airflow heard of its success: its
    work is still the same. Only a task that was cleared since starts new work.

    ``remote_id`` is the id of this work, once it is known. ``earlier_id`` is the id of work that came before:
    of the same request when ``earlier_was_same`` (it had ended, or its task was cleared since), else of
    another one, which may still be going on.
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
                "No task state store here (it came with Airflow 3.3): after a crash, remote work is found"
                " again by its marker only"
            )
        stored = self._read()
        same = stored.get("request") == self._request
        # Airflow raises a task's last try number when the task is cleared, and at no other time.
        self._last_try: int | None = getattr(context["ti"], "max_tries", None)
        unheard_of = self._last_try is not None and stored.get("taken_by") == self._last_try
        self.is_known = same and (unheard_of or not stored.get("closed"))
        self.remote_id: str | None = stored.get("remote_id") if self.is_known else None
        self.note: Any = stored.get("note") if self.is_known else None
        self.earlier_id: str | None = None if self.is_known else stored.get("remote_id")
        self.earlier_was_same = same
        self.generation = int(stored.get("generation", -1)) + (0 if self.is_known else 1)

    @property
    def remembers(self) -> bool:
        """Whether there is a state store; without one, an earlier try can have made work unknown here."""
        return self._store is not None

    @property
    def marker(self) -> str:
        """What the remote work carries, to be found again by: stable over retries, new for new work."""
        return f"{self.task_marker}{self._request[:8]}.{self.generation}"

    @property
    def task_marker(self) -> str:
        """What the markers of all work of this task begin with, whatever was asked for."""
        return f"airflow:{fingerprint(self._task)[:12]}-"

    def intend(self, note: Any = None) -> None:
        """Remember, before the work is created, that it may exist from now on.

        :param note: small JSON that helps to find the work again, where it cannot carry the marker; a later
            try that does not know the id finds it as ``note``.
        """
        self.is_known, self.note = True, note
        self._write(**({} if note is None else {"note": note}))

    def created(self, remote_id: str) -> None:
        """Remember the id of the work."""
        self.remote_id = remote_id
        self._write(remote_id=remote_id)

    def renew(self) -> None:
        """Forget the work: the next one is new, with a marker of its own."""
        self._close()

    def finished(self) -> None:
        """Remember that the results were taken; when the task is cleared later, its work is new."""
        self._close(taken_by=self._last_try)

    def _close(self, **more: Any) -> None:
        self._write(closed=True, **({"remote_id": self.remote_id} if self.remote_id else {}), **more)
        self.generation += 1
        self.remote_id = None
        self.is_known = False

    def _read(self) -> dict[str, Any]:
        value = self._store.get(self._name) if self._store is not None else None
        return value if isinstance(value, dict) else {}

    def _write(self, **more: Any) -> None:
        if self._store is not None:
            value = {"request": self._request, "generation": self.generation, **more}
            self._store.set(self._name, value, **without_expiry())
