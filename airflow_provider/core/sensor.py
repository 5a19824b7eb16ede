"""Sensors: poll on a worker, or defer to a trigger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider.core.compat import is_deferrable, sensor_timeout, task_skip, task_timeout
from airflow_provider.core.input.rendered import render_checked
from airflow_provider.core.polling import MAX_TOLERATED_FAILURES, Tolerance, bounded, clock, shown_bound
from airflow_provider.core.trigger_events import raise_for

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger


_COUNT = "failures in a row"
"""Key of the task's state."""

_LEAST_POLL_SECONDS = 10.0
"""Seconds that a poll has, however near the end is: it may have to wait for its turn."""


class PollSensor(BaseSensorOperator):
    """The base of sensors; on a worker they tolerate the failures that a trigger tolerates.

    In mode ``reschedule`` each poll is a process of its own: the count of failures is in the task's state
    (Airflow 3.3). On older versions there is no count, and the first failure fails the task.

    Airflow's own arguments mean the same in the triggerer as on a worker: ``execution_timeout`` is a further
    bound, and ``never_fail`` skips the task after an error. With ``silent_fail`` a sensor waits on the
    worker, where it polls again after each error.
    """

    deferrable: bool | None = None
    polls_before_deferring = False
    """Whether a deferrable sensor polls once on the worker, which may spare the deferral."""

    _tolerance: Tolerance | None = None
    _end: float | None = None

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], context: Any, jinja_env: Any, seen_oids: set[int]
    ) -> None:
        render = super()._do_render_template_fields
        render_checked(self, render, parent, template_fields, context, jinja_env, seen_oids)

    def check_arguments(self) -> None:
        """Raise for invalid arguments, before the first request."""

    def poll(self, context: Context) -> dict[str, Any] | None:
        """Poll the service; returns the task's result, or None when the condition is not met yet."""
        raise NotImplementedError

    def build_trigger(self, context: Context) -> BaseTrigger:
        """Build the trigger that waits for the same condition.

        Triggers take time to import: an implementation imports its trigger inside the method, so that tasks
        that do not defer do not load it.
        """
        raise NotImplementedError

    def unmet_condition(self) -> str:
        """Return what is not so at the timeout, for the error: "run 7 is not over"."""
        raise NotImplementedError

    def result(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return the task's result from the event of its trigger: by default all but the event's status."""
        return {name: value for name, value in event.items() if name != "status"}

    def execute(self, context: Context) -> Any:
        """Wait on the worker or, when deferrable, in the triggerer; returns the task's result."""
        self.check_arguments()
        self._end = None
        if not is_deferrable(self.deferrable):
            return super().execute(context)
        if self.silent_fail:
            self.log.info("'silent_fail' polls again after errors: waiting on the worker")
            return super().execute(context)
        with self._skipping():
            if self.polls_before_deferring and (polled := self.poke(context)).is_done:
                return polled.xcom_value
            trigger = self.build_trigger(context)
        return self.defer(trigger=trigger, method_name="execute_complete")

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Return the task's result from the event of its trigger, or raise the error that it carries."""
        if event["status"] == "timeout":
            waited = shown_bound(self.timeout, self.execution_timeout)
            is_shorter = bounded(self.timeout, self.execution_timeout) < self.timeout
            raise (task_timeout if is_shorter else sensor_timeout)(f"{self.unmet_condition()} after {waited}")
        with self._skipping():
            raise_for(event)
            return self.result(event)

    @contextmanager
    def _skipping(self) -> Iterator[None]:
        """Within the block, turn an error into a skip with ``never_fail``, as Airflow does on workers."""
        try:
            yield
        except Exception as error:
            if self.never_fail:
                raise task_skip("Skipping due to never_fail is set to True.") from error
            raise

    @property
    def end(self) -> float:
        """Time at which the sensor stops waiting, in seconds since the epoch."""
        if self._end is None:
            self._end = clock() + bounded(self.timeout, self.execution_timeout)
        return self._end

    def poll_end(self) -> float:
        """Return the time after which a poll is not retried, in seconds since the epoch."""
        return max(self.end, clock() + _LEAST_POLL_SECONDS)

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll once; up to five transient failures in a row count as "not yet"."""
        tolerance = self._tolerance = self._tolerance or Tolerance(self.log)
        if self.reschedule:
            self._restore_failures(tolerance, context)
        result = None
        try:
            with tolerance:
                result = self.poll(context)
        finally:
            if self.reschedule:
                self._store_failures(tolerance, context)
        return PokeReturnValue(is_done=result is not None, xcom_value=result)

    @staticmethod
    def _restore_failures(tolerance: Tolerance, context: Context) -> None:
        store: Any = context.get("task_state_store")
        count = MAX_TOLERATED_FAILURES if store is None else store.get(_COUNT)
        tolerance.failures = count if isinstance(count, int) else 0

    @staticmethod
    def _store_failures(tolerance: Tolerance, context: Context) -> None:
        store: Any = context.get("task_state_store")
        # Beyond the limit the task fails, and a retry starts with a count of 0.
        failures = tolerance.failures if tolerance.failures <= MAX_TOLERATED_FAILURES else 0
        if store is not None and failures != (store.get(_COUNT) or 0):
            store.set(_COUNT, failures)
