"""Sensor of LeanIX: wait for a run that was started elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider.core.input.conditions import raise_problems
from airflow_provider.core.input.scalars import read_scalars
from airflow_provider.core.sensor import PollSensor
from airflow_provider.errors import RunFailedError
from airflow_provider.leanix.api import ENDED, UNSUCCESSFUL, run_id_problems
from airflow_provider.leanix.arguments import SENSOR_SCALARS
from airflow_provider.leanix.hooks import LeanIXHook

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider.leanix.triggers import LeanIXRunTrigger


class LeanIXRunSensor(PollSensor):
    """Wait until a run is FINISHED; a FAILED or STOPPED run fails the task.

    :param run_id: id of the run.
    :param deferrable: wait in the triggerer instead of on a worker; None means Airflow's option
        ``[operators] default_deferrable``.
    :param leanix_conn_id: the connection.

    The interval and the timeout are the sensor's ``poke_interval`` and ``timeout``, which may be templates;
    ``execution_timeout`` is a further bound, also while the task is deferred. The run is not stopped at the
    timeout. Returns ``run_id`` and ``status``.
    """

    template_fields: Sequence[str] = ("run_id", "poke_interval", "timeout", "leanix_conn_id")
    ui_color = "#d9e8f6"

    def __init__(
        self,
        *,
        run_id: str,
        deferrable: bool | None = None,
        leanix_conn_id: str = LeanIXHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        # Airflow's sensor accepts numbers only; a template is a text until it is rendered.
        texts = {name: kwargs.pop(name) for name in SENSOR_SCALARS if isinstance(kwargs.get(name), str)}
        super().__init__(**kwargs)
        for name, text in texts.items():
            setattr(self, name, text)
        self.run_id = run_id
        self.deferrable = deferrable
        self.leanix_conn_id = leanix_conn_id

    def check_arguments(self) -> None:
        """Raise for invalid arguments, before the first request."""
        raise_problems([*run_id_problems(self.run_id), *read_scalars(self, SENSOR_SCALARS)])

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Return the result of the run that the trigger has waited for, or raise the error of its end."""
        raise_problems(read_scalars(self, SENSOR_SCALARS))
        return super().execute_complete(context, event)

    def build_trigger(self, context: Context) -> LeanIXRunTrigger:
        """Build the trigger that waits for the same run."""
        from airflow_provider.leanix.triggers import LeanIXRunTrigger

        return LeanIXRunTrigger(
            leanix_conn_id=self.leanix_conn_id,
            run_id=self.run_id,
            deadline=self.end,
            poll_interval=self.poke_interval,
        )

    def unmet_condition(self) -> str:
        """Return the text for the timeout's error."""
        return f"run {self.run_id} has not ended"

    def poll(self, context: Context) -> dict[str, Any] | None:
        """Return the result when the run has ended, else None."""
        with LeanIXHook(self.leanix_conn_id) as hook, hook.until(self.poll_end()):
            status = hook.get_run_status(self.run_id)
        return self._result(status) if status in ENDED else None

    def result(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return the run's id and last status; raise for a run that was not successful."""
        return self._result(event["run_status"])

    def _result(self, status: str) -> dict[str, Any]:
        if status in UNSUCCESSFUL:
            raise RunFailedError(self.run_id, status)
        return {"run_id": self.run_id, "status": status}
