"""Sensor of LeanIX: wait for a run that was started elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider.core.compat import is_deferrable, sensor_timeout
from airflow_provider.core.sensor import PollSensor
from airflow_provider.core.trigger_events import raise_for
from airflow_provider.errors import RunFailedError
from airflow_provider.leanix.api import ENDED, UNSUCCESSFUL
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.runs import wait

if TYPE_CHECKING:
    from airflow.sdk import Context


class LeanIXRunSensor(PollSensor):
    """Wait until a run is FINISHED; a FAILED or STOPPED run fails the task.

    :param run_id: id of the run.
    :param deferrable: wait in the triggerer instead of on a worker; None means Airflow's option
        ``[operators] default_deferrable``.
    :param leanix_conn_id: the connection.

    The interval and the timeout are the sensor's ``poke_interval`` and ``timeout``. The run is not stopped at
    the timeout. Returns ``run_id`` and ``status``.
    """

    template_fields: Sequence[str] = ("run_id", "leanix_conn_id")
    ui_color = "#d9e8f6"

    _deadline = float("inf")

    def __init__(
        self,
        *,
        run_id: str,
        deferrable: bool | None = None,
        leanix_conn_id: str = LeanIXHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id
        self.deferrable = deferrable
        self.leanix_conn_id = leanix_conn_id

    def execute(self, context: Context) -> Any:
        """Wait on the worker or in the triggerer."""
        if is_deferrable(self.deferrable):
            # Imported here, so that tasks that do not defer need not load triggers.
            from airflow_provider.leanix.triggers import LeanIXRunTrigger

            self.defer(
                trigger=LeanIXRunTrigger(
                    leanix_conn_id=self.leanix_conn_id,
                    run_id=self.run_id,
                    deadline=wait.deadline_after(self.timeout),
                    poll_interval=self.poke_interval,
                ),
                method_name="execute_complete",
            )
        self._deadline = wait.deadline_after(self.timeout)
        return super().execute(context)

    def look(self, context: Context) -> dict[str, Any] | None:
        """Return the result when the run has ended, else None."""
        with LeanIXHook(self.leanix_conn_id) as hook, hook.until(self._deadline):
            status = hook.get_run_status(self.run_id)
        return self._result(status) if status in ENDED else None

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Return the result of the run that the trigger has waited for, or raise when it is no success."""
        raise_for(event)
        if event["status"] == "timeout":
            raise sensor_timeout(f"run {self.run_id} has not ended after {self.timeout:g} s")
        return self._result(event["run_status"])

    def _result(self, status: str) -> dict[str, Any]:
        if status in UNSUCCESSFUL:
            raise RunFailedError(self.run_id, status)
        return {"run_id": self.run_id, "status": status}
