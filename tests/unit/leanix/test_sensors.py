"""The sensor that waits for a run, on a worker and deferred."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider.core.http.retry import RetryLimits
from airflow_provider.errors import RunFailedError, ServerError
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.sensors import LeanIXRunSensor
from tests.support.airflow_names import AirflowSensorTimeout
from tests.support.task_runner import TaskRunner
from tests.unit.leanix.started_runs import started

BOTH = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])


def sensor(run_id: str, **arguments: Any) -> LeanIXRunSensor:
    return LeanIXRunSensor(
        task_id="wait", run_id=run_id, **{"poke_interval": 0.05, "timeout": 20, **arguments}
    )


@BOTH
def test_sensor_waits_for_the_run(leanix: Any, task: TaskRunner, deferrable: bool) -> None:
    leanix.run_seconds = 0.1
    (run_id,) = started()
    result = task.run(sensor(run_id, deferrable=deferrable))
    assert result == {"run_id": run_id, "status": "FINISHED"}


@BOTH
@pytest.mark.parametrize("failures", [5, 6])
def test_sensor_tolerates_five_failed_polls_in_a_row(
    leanix: Any,
    sandbox: Any,
    task: TaskRunner,
    monkeypatch: pytest.MonkeyPatch,
    deferrable: bool,
    failures: int,
) -> None:
    monkeypatch.setattr(LeanIXHook, "retry_limits", RetryLimits(attempts=1))
    (run_id,) = started()
    sandbox.faults.add("status", status=503, path="/status$", times=failures)
    if failures == 5:
        assert task.run(sensor(run_id, deferrable=deferrable)) == {"run_id": run_id, "status": "FINISHED"}
    else:
        with pytest.raises(ServerError):
            task.run(sensor(run_id, deferrable=deferrable))


@BOTH
@pytest.mark.parametrize("ending", ["FAILED", "STOPPED"])
def test_sensor_fails_when_the_run_did(leanix: Any, task: TaskRunner, deferrable: bool, ending: str) -> None:
    leanix.ending = ending
    (run_id,) = started()
    with pytest.raises(RunFailedError, match=ending):
        task.run(sensor(run_id, deferrable=deferrable))


@BOTH
def test_sensor_times_out_and_leaves_the_run_alone(leanix: Any, task: TaskRunner, deferrable: bool) -> None:
    leanix.stuck_in = "PENDING"
    (run_id,) = started()
    with pytest.raises(AirflowSensorTimeout):
        task.run(sensor(run_id, deferrable=deferrable, timeout=0.2))
    assert leanix.live_runs


def test_deferrable_default_is_airflows_option(leanix: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support.airflow_names import TaskDeferred

    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    (run_id,) = started()
    assert isinstance(TaskRunner().begin(sensor(run_id)), TaskDeferred)
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "False")
    assert TaskRunner().begin(sensor(run_id)) == {"run_id": run_id, "status": "FINISHED"}
