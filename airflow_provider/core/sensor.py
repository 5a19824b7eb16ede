"""The sensor that looks now and then until something has happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider.core.polling import MAX_TOLERATED_FAILURES, Tolerance

if TYPE_CHECKING:
    from airflow.sdk import Context


_COUNT = "failures in a row"


class PollSensor(BaseSensorOperator):
    """The base of sensors; on a worker they tolerate the failures that a trigger tolerates.

    In mode ``reschedule`` each look is a process of its own: the task's state counts (Airflow 3.3); before,
    nobody does, and the first failure fails the task.
    """

    _tolerance: Tolerance | None = None

    def look(self, context: Context) -> Any:
        """Look once; give what the task should return, or None for not yet."""
        raise NotImplementedError

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once; a failure that may pass is "not yet", five times in a row."""
        tolerance = self._tolerance = self._tolerance or Tolerance(self.log)
        if self.reschedule:
            self._recall(tolerance, context)
        found = None
        try:
            with tolerance:
                found = self.look(context)
        finally:
            if self.reschedule:
                self._remember(tolerance, context)
        return PokeReturnValue(is_done=found is not None, xcom_value=found)

    @staticmethod
    def _recall(tolerance: Tolerance, context: Context) -> None:
        store: Any = context.get("task_state_store")
        tolerance.failures = MAX_TOLERATED_FAILURES if store is None else store.get(_COUNT) or 0

    @staticmethod
    def _remember(tolerance: Tolerance, context: Context) -> None:
        store: Any = context.get("task_state_store")
        failures = (
            tolerance.failures if tolerance.failures <= MAX_TOLERATED_FAILURES else 0
        )  # the next try counts anew
        if store is not None and failures != (store.get(_COUNT) or 0):
            store.set(_COUNT, failures)
