"""Waiting in the triggerer and with sensors."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from airflow_provider.errors import RunFailedError
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.sensors import LeanIXRunSensor
from airflow_provider.leanix.triggers import LeanIXRunTrigger
from tests.airflow_names import AirflowSensorTimeout

from .conftest import Task, first_event

BOTH = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
OUTBOUND = {
    "connectorType": "report",
    "connectorId": "landscape",
    "connectorVersion": "1.0.0",
    "processingDirection": "outbound",
}


def started(count: int = 1) -> list[str]:
    with LeanIXHook() as hook:
        ids = [hook.create_run(OUTBOUND) for _ in range(count)]
        for run_id in ids:
            hook.start_run(run_id)
    return ids


def trigger_for(run_id: str, seconds: float = 20, poll_interval: float = 0.05) -> LeanIXRunTrigger:
    return LeanIXRunTrigger(
        leanix_conn_id="leanix_default",
        run_id=run_id,
        deadline=time.time() + seconds,
        poll_interval=poll_interval,
    )


def test_trigger_serialises_ids_deadline_and_interval_only(leanix: Any) -> None:
    _, arguments = trigger_for("r1").serialize()
    assert set(arguments) == {"leanix_conn_id", "run_id", "deadline", "poll_interval"}


def test_trigger_fires_when_the_run_is_over(leanix: Any) -> None:
    leanix.run_seconds = 0.2
    (run_id,) = started()
    event = asyncio.run(first_event(trigger_for(run_id)))
    assert event == {"status": "done", "run_id": run_id, "run_status": "FINISHED"}


def test_deadline_is_kept_over_a_restart_of_the_triggerer(leanix: Any) -> None:
    leanix.stuck_in = "IN_PROGRESS"
    (run_id,) = started()
    first = trigger_for(run_id, seconds=0.5)
    _, arguments = first.serialize()
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(first_event(first), 0.3))
    assert asyncio.run(first_event(LeanIXRunTrigger(**arguments))) == {
        "run_id": run_id,
        "status": "timeout",
    }
    assert time.monotonic() - begun < 2.0
    assert leanix.runs[0].status == "IN_PROGRESS"


def test_kill_stops_the_run_once_and_cleanup_does_not(leanix: Any, sandbox: Any) -> None:
    leanix.stuck_in = "PENDING"
    (run_id,) = started()
    trigger = trigger_for(run_id)
    asyncio.run(trigger.cleanup())
    assert leanix.live_runs
    asyncio.run(trigger.on_kill())
    assert leanix.runs[0].status == "STOPPED"
    asyncio.run(trigger.on_kill())
    assert sandbox.counters.total("/stop") == 2
    assert leanix.runs[0].status == "STOPPED"


def test_many_waiting_triggers_share_one_list_a_tick(leanix: Any, sandbox: Any) -> None:
    leanix.run_seconds = 1.0
    ids = started(40)
    sandbox.counters.clear()

    async def wait_for_all() -> list[dict[str, Any]]:
        return await asyncio.gather(*(first_event(trigger_for(one, poll_interval=0.3)) for one in ids))

    events = asyncio.run(wait_for_all())
    assert {event["run_status"] for event in events} == {"FINISHED"}
    assert {event["run_id"] for event in events} == set(ids)
    assert sandbox.counters.total("GET /services/integration-api/v1/synchronizationRuns") <= 40
    assert sandbox.counters.tokens_issued["leanix"] <= 1


def test_few_waiting_triggers_do_not_read_the_list(leanix: Any, sandbox: Any) -> None:
    (run_id,) = started()
    sandbox.counters.clear()
    asyncio.run(first_event(trigger_for(run_id)))
    assert sandbox.counters.requests["leanix GET /services/integration-api/v1/synchronizationRuns"] == 0


def test_run_that_the_list_does_not_show_is_asked_for_itself(leanix: Any) -> None:
    leanix.run_seconds = 0.2
    ids = started(8)
    leanix.hidden_runs = set(ids)

    async def wait_for_all() -> list[dict[str, Any]]:
        return await asyncio.gather(*(first_event(trigger_for(one)) for one in ids))

    assert {event["run_status"] for event in asyncio.run(wait_for_all())} == {"FINISHED"}


def test_waiting_never_blocks_the_event_loop(leanix: Any) -> None:
    leanix.run_seconds = 0.5
    ids = started(20)
    gaps: list[float] = []

    async def watch_the_loop() -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0.005)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now

    async def main() -> None:
        # Loading httpx and its TLS context happens once in a process.
        await first_event(trigger_for(ids[0], poll_interval=0.1))
        watcher = asyncio.create_task(watch_the_loop())
        await asyncio.gather(*(first_event(trigger_for(one, poll_interval=0.1)) for one in ids))
        watcher.cancel()

    asyncio.run(main())
    assert not gaps or sorted(gaps)[int(len(gaps) * 0.9)] < 0.1


# The sensor


def sensor(run_id: str, **arguments: Any) -> LeanIXRunSensor:
    return LeanIXRunSensor(
        task_id="wait", run_id=run_id, **{"poke_interval": 0.05, "timeout": 20, **arguments}
    )


@BOTH
def test_sensor_waits_for_the_run(leanix: Any, task: Task, deferrable: bool) -> None:
    leanix.run_seconds = 0.1
    (run_id,) = started()
    result = task.run(sensor(run_id, deferrable=deferrable))
    assert result == {"run_id": run_id, "status": "FINISHED"}


@BOTH
@pytest.mark.parametrize("ending", ["FAILED", "STOPPED"])
def test_sensor_fails_when_the_run_did(leanix: Any, task: Task, deferrable: bool, ending: str) -> None:
    leanix.ending = ending
    (run_id,) = started()
    with pytest.raises(RunFailedError, match=ending):
        task.run(sensor(run_id, deferrable=deferrable))


@BOTH
def test_sensor_times_out_and_leaves_the_run_alone(leanix: Any, task: Task, deferrable: bool) -> None:
    leanix.stuck_in = "PENDING"
    (run_id,) = started()
    with pytest.raises(AirflowSensorTimeout):
        task.run(sensor(run_id, deferrable=deferrable, timeout=0.2))
    assert leanix.live_runs


def test_deferrable_default_is_airflows_option(leanix: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.airflow_names import TaskDeferred

    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    (run_id,) = started()
    assert isinstance(Task().begin(sensor(run_id)), TaskDeferred)
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "False")
    assert Task().begin(sensor(run_id)) == {"run_id": run_id, "status": "FINISHED"}
