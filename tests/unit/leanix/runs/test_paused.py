"""Paused attempts: their successor's run is neither stopped nor started twice, and idle runs are named."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time import task_runner

from airflow_provider.core.state.pauses import TaskPauses
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.operators import LeanIXRunOperator
from tests.support.state_store import FakeStateStore
from tests.support.task_runner import TaskRunner
from tests.unit.leanix.started_runs import OUTBOUND as DOCUMENT
from tests.unit.leanix.started_runs import started, trigger_for

from ..conftest import OUTBOUND
from .test_submit import Crash, die_once


def run_operator(**arguments: Any) -> LeanIXRunOperator:
    arguments = {"task_id": "run", "poll_interval": 0.02, "timeout": 20, **arguments}
    return LeanIXRunOperator(**{**OUTBOUND, **arguments})


class RefusingStore(FakeStateStore):
    """Task state store of an attempt that another one has replaced: Airflow accepts no id of a run."""

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        if value.get("remote_id"):
            raise RuntimeError("Task instance not found")
        super().set(key, value, retention=retention)


def test_a_run_that_nobody_started_is_named_by_the_next_attempt(leanix: Any, capsys: Any) -> None:
    task = TaskRunner()
    task.attempts = 1
    with LeanIXHook() as hook:
        marked = f"nightly {task.submission().task_marker}12345678.0"
        idle = hook.create_run({**DOCUMENT, "description": marked})
        hook.create_run({**DOCUMENT, "description": "of another task"})
        hook.start_run(hook.create_run({**DOCUMENT, "description": marked}))
    assert task.run(run_operator())["status"] == "FINISHED"
    output = capsys.readouterr().out
    assert f"Run {idle} of an earlier attempt was created and never started" in output
    assert output.count("created and never started") == 1
    assert [run.status for run in leanix.runs] == ["CREATED", "CREATED", "FINISHED", "FINISHED"]


def test_an_attempt_whose_state_airflow_refuses_does_not_start_its_run(leanix: Any, capsys: Any) -> None:
    task = TaskRunner()
    task.store = RefusingStore()
    with pytest.raises(RuntimeError, match="not found"):
        task.run(run_operator())
    (run,) = leanix.runs
    assert (run.status, leanix.starts) == ("CREATED", 0)
    assert f"Run {run.id} was created and is not started here" in capsys.readouterr().out


def test_an_attempt_that_is_ended_after_a_pause_does_not_stop_the_run(
    leanix: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    leanix.stuck_in = "PENDING"
    (run_id,) = started()
    operator = run_operator()
    operator._submission = SimpleNamespace(remote_id=run_id)  # type: ignore[assignment]
    monkeypatch.setattr(TaskPauses, "within", lambda self, seconds: 45.0 if seconds == 60.0 else 0.0)
    operator.on_kill()
    assert sandbox.counters.total("/stop") == 0
    assert f"Run {run_id} is not stopped: this task did not run for 45 s" in capsys.readouterr().out
    monkeypatch.setattr(TaskPauses, "within", lambda self, seconds: 0.0)
    operator.on_kill()
    assert leanix.runs[0].status == "STOPPED"


@pytest.mark.parametrize("state", ["deferred", "failed", None])
def test_a_triggerer_that_lost_its_task_to_another_one_does_not_stop_the_run(
    leanix: Any, monkeypatch: pytest.MonkeyPatch, state: str | None
) -> None:
    leanix.stuck_in = "PENDING"
    (run_id,) = started()
    trigger = trigger_for(run_id)
    trigger.task_instance = SimpleNamespace(  # type: ignore[assignment]
        dag_id="dag", task_id="run", run_id="r", map_index=3
    )
    asked: list[Any] = []

    def states(**names: Any) -> Any:
        asked.append(names)
        return {"r": {"run": state}}

    monkeypatch.setattr(task_runner.RuntimeTaskInstance, "get_task_states", staticmethod(states))
    asyncio.run(trigger.on_kill())
    assert asked == [{"dag_id": "dag", "task_ids": ["run"], "run_ids": ["r"], "map_index": 3}]
    assert (leanix.runs[0].status == "PENDING") == (state == "deferred")


def test_a_run_that_is_started_now_is_not_named_as_one_that_never_was(
    leanix: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    task = TaskRunner()
    die_once(monkeypatch, LeanIXHook, "start_run", "before")
    with pytest.raises(Crash):
        task.run(run_operator())
    assert task.run(run_operator())["status"] == "FINISHED"
    output = capsys.readouterr().out
    assert f"Resuming run {leanix.runs[0].id} of an earlier attempt, it is CREATED" in output
    assert "never started" not in output


def test_idle_runs_that_cannot_be_searched_for_stop_no_attempt(
    leanix: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    task = TaskRunner()
    die_once(monkeypatch, LeanIXHook, "start_run", "before")
    with pytest.raises(Crash):
        task.run(run_operator())
    sandbox.faults.add("status", status=403, method="GET", path="/synchronizationRuns$", times=None)
    assert task.run(run_operator())["status"] == "FINISHED"
    assert "Runs that were never started are not searched for" in capsys.readouterr().out
    assert leanix.starts == 1
