"""Watermarks: the progress of incremental exports, stored with the outlet asset (Airflow 3.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider.core.state.identity import fingerprint, task_identity, without_expiry
from airflow_provider.errors import InputError, ProviderError, one_line

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


class Watermark:
    """The state from which the next run's export starts; it moves after a file got its final name.

    When the last run that moved the state is repeated (it died afterwards, or was cleared), it starts from
    the same state as before, so that its file is never replaced by a file that lacks rows. For a run that
    others have followed, its own :meth:`note` says where it started.

    Mapped tasks share the asset, so the source of each has a state of its own. Of other tasks the last one
    has the state: one with another source starts over, and says so.

    The state is read once: what runs that overlap with this one store meanwhile changes nothing in it.

    :param context: the task's context.
    :param outlets: the task's outlets; there must be exactly one.
    :param source: the exported data, as JSON; another source starts over.
    :param log: receives one line when this Airflow has no state store for assets.
    :param name: beginning of the state's key in the store.
    :param argument: the operator's argument for incremental exports, for errors.
    """

    def __init__(
        self,
        context: Mapping[str, Any],
        outlets: Sequence[Any],
        source: Any,
        log: Logger,
        *,
        name: str,
        argument: str,
    ) -> None:
        if len(outlets) != 1:
            raise InputError(
                f"needs one outlet asset, on which the watermark is kept; the task has {len(outlets)}",
                argument,
            )
        stores = context.get("asset_state_store")
        self.store: Any = stores[outlets[0]] if stores is not None else None
        self._own: Any = context.get("task_state_store")
        self._name = name
        self._source = fingerprint(source)
        identity = task_identity(context)
        self.key = name if int(identity[-1]) < 0 else f"{name}_{self._source}"
        self._run = "/".join(identity)
        self._log = log
        self._known: dict[str, Any] | None = None
        if self.store is None:
            log.warning(
                "No state store for assets here (it came with Airflow 3.3): there is no watermark, and all"
                " rows are exported"
            )

    def start(self) -> dict[str, Any]:
        """Return the state from which this run starts; empty when there is none."""
        found = self._first_read().get("start" if self.is_last_run else "latest")
        return found if isinstance(found, dict) else {}

    @property
    def is_last_run(self) -> bool:
        """True if this run was the last one to move the state."""
        return self._first_read().get("run") == self._run

    @contextmanager
    def readable(self) -> Iterator[None]:
        """Within the block, which reads the state, raise an error that says what to do about a damaged one.

        :raises InputError: naming the state.
        """
        try:
            yield
        except ProviderError:
            raise
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise InputError(
                f"the stored state '{self.key}' cannot be read ({type(error).__name__}); delete it from the"
                " state of the asset and of the task, and the export starts over"
            ) from None

    def move(self, state: Mapping[str, Any]) -> None:
        """Store the state from which the next run starts, together with this run's own start."""
        if self.store is not None:
            start = self.start()
            if (other := self._read(self.store).get("run")) not in (self._first_read().get("run"), self._run):
                self._log.warning(
                    "Run %s has moved the watermark during this one: rows may be in the files of both."
                    " Set max_active_runs=1 for the DAG",
                    one_line(str(other)),
                )
            value = {"source": self._source, "run": self._run, "latest": state, "start": start}
            self.store.set(self.key, value)

    def done(self) -> dict[str, Any]:
        """Return the note of this run's own finished export; empty when it has not finished."""
        return self._read(self._own)

    def note(self, exported: Mapping[str, Any]) -> None:
        """Store a note about this run's finished export, in the task's state."""
        if self._own is not None:
            self._own.set(self.key, {"source": self._source, **exported}, **without_expiry())

    def _first_read(self) -> dict[str, Any]:
        if self._known is None:
            self._known = self._read(self.store)
            if not self._known and self.store is not None and self.store.get(self.key) is not None:
                self._log.warning(
                    "The watermark of the outlet asset is that of another source, of this task before it was"
                    " changed or of another task: the export starts over. Each task needs an asset of its own"
                )
        return self._known

    def _read(self, store: Any) -> dict[str, Any]:
        # Release 0.1.0 had one state for all mapped tasks.
        for name in (self.key, self._name) if store is not None else ():
            known = store.get(name)
            if isinstance(known, dict) and known.get("source") == self._source:
                return known
        return {}
