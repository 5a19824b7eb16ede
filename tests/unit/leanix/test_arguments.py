"""Arguments of LeanIX's tasks: templated, read as their types, and never empty where they select."""

from __future__ import annotations

import asyncio
import inspect
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider.core.trigger_events import raise_for
from airflow_provider.errors import InputError, RunFailedError
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.operators import (
    LeanIXFetchResultsOperator,
    LeanIXPutConfigurationOperator,
    LeanIXRunOperator,
    LeanIXStartRunOperator,
)
from airflow_provider.leanix.sensors import LeanIXRunSensor
from airflow_provider.sandbox.leanix.seed import tutorial_items
from tests.support.airflow_names import AirflowTaskTimeout, TaskDeferred
from tests.support.task_runner import TaskRunner, first_event
from tests.unit.leanix.started_runs import trigger_for

from .conftest import INBOUND, OUTBOUND

NOT_TEMPLATED = {"deferrable", "kwargs", "self"}
EMPTY: list[Any] = ["", "  ", float("nan")]


def run_operator(**arguments: Any) -> LeanIXRunOperator:
    return LeanIXRunOperator(**{"task_id": "run", "poll_interval": 0.02, "timeout": 20, **arguments})


@pytest.mark.parametrize(
    "kind",
    [
        LeanIXRunOperator,
        LeanIXStartRunOperator,
        LeanIXFetchResultsOperator,
        LeanIXPutConfigurationOperator,
        LeanIXRunSensor,
    ],
)
def test_every_argument_is_templated(kind: type[Any]) -> None:
    names = {
        name
        for one in kind.__mro__
        if one.__module__.startswith("airflow_provider.leanix")
        for name in inspect.signature(one.__init__).parameters
    }
    assert names - NOT_TEMPLATED <= set(kind.template_fields)


def test_texts_are_read_as_their_types(leanix: Any, task: TaskRunner) -> None:
    texts = {
        "test_run": "True",
        "allow_duplicates": "true",
        "allow_unprocessed": "False",
        "allow_no_results": "false",
        "min_content": " 2 ",
        "min_rows": "2",
        "max_errors": "0",
        "max_shrink": "0.5",
        "poll_interval": "0.02",
        "timeout": "0:00:20",
    }
    task.run(run_operator(**INBOUND, content=tutorial_items(), **texts))
    assert leanix.runs[0].test
    run = run_operator(**INBOUND, content=tutorial_items(), test_run="False", timeout="20")
    TaskRunner().run(run)
    assert not leanix.runs[1].test
    assert (run.test_run, run.timeout) == (False, 20)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("test_run", "maybe"),
        ("test_run", ""),
        ("allow_duplicates", 2),
        ("allow_no_results", "None"),
        ("allow_unprocessed", [True]),
        ("min_content", "-1"),
        ("min_content", 1.5),
        ("min_content", ""),
        ("min_rows", "many"),
        ("max_errors", "1.5"),
        ("max_errors", None),
        ("max_shrink", "1.5"),
        ("max_shrink", ""),
        ("max_shrink", float("nan")),
        ("poll_interval", "0"),
        ("poll_interval", "soon"),
        ("timeout", "-5"),
        ("timeout", float("inf")),
        ("timeout", None),
        ("fail_on", "warning"),
        ("fail_on", ""),
        ("fail_on", ["errors"]),
        ("output_format", "LDIF "),
    ],
)
@pytest.mark.parametrize("deferrable", [False, True])
def test_texts_of_another_type_are_refused_before_any_request(
    leanix: Any, sandbox: Any, task: TaskRunner, name: str, value: Any, deferrable: bool
) -> None:
    arguments = {**INBOUND, "content": tutorial_items(), "output_path": "/tmp/never.json", name: value}
    with pytest.raises(InputError, match=name):
        task.run(run_operator(**arguments, deferrable=deferrable))
    assert sandbox.counters.total() == 0


def test_all_problems_of_the_arguments_are_told_at_once(leanix: Any, task: TaskRunner) -> None:
    with pytest.raises(InputError) as caught:
        task.run(run_operator(**OUTBOUND, timeout="x", fail_on="x", output_path="x.csv", max_shrink=7))
    assert len(caught.value.problems) == 4


def test_the_sensors_interval_and_timeout_may_be_templates(leanix: Any, sandbox: Any) -> None:
    run_id = TaskRunner().run(LeanIXStartRunOperator(task_id="start", **OUTBOUND))
    sensor = LeanIXRunSensor(task_id="wait", run_id=run_id, timeout="{{ seconds }}", poke_interval="0.05")
    sensor.timeout = "20"  # what a template renders
    assert TaskRunner().run(sensor) == {"run_id": run_id, "status": "FINISHED"}
    deferral = TaskRunner().begin(
        LeanIXRunSensor(task_id="w", run_id=run_id, timeout="20", poke_interval="0.05", deferrable=True)
    )
    assert isinstance(deferral, TaskDeferred)
    assert deferral.trigger.poll_interval == 0.05
    before = sandbox.counters.total()
    for wrong in ({"timeout": "soon"}, {"poke_interval": ""}, {"timeout": "-1"}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            TaskRunner().run(LeanIXRunSensor(task_id="w", run_id=run_id, **wrong))
    assert sandbox.counters.total() == before


# Conditions


@pytest.mark.parametrize("empty", EMPTY)
@pytest.mark.parametrize(
    "name",
    ["connector_type", "connector_id", "connector_version", "processing_direction", "processing_mode"],
)
def test_an_empty_filter_of_configurations_is_refused(
    leanix: Any, sandbox: Any, name: str, empty: Any
) -> None:
    with LeanIXHook() as hook:
        with pytest.raises(InputError, match=name):
            hook.list_configurations(**{"connector_type": "cmdb", name: empty})
        assert sandbox.counters.total() == 0
        assert len(hook.list_configurations(**{name: None})) == 3


def test_filters_of_configurations_are_values_that_exist(leanix: Any, sandbox: Any) -> None:
    with LeanIXHook() as hook:
        for wrong in ({"processing_direction": "in"}, {"processing_mode": "all"}):
            with pytest.raises(InputError, match="must be one of"):
                hook.list_configurations(**wrong)
        assert sandbox.counters.total() == 0
        assert len(hook.list_configurations(processing_mode="FULL")) == 1


FILTERS = st.dictionaries(
    st.sampled_from(["connector_type", "connector_id", "connector_version", "processing_mode"]),
    st.sampled_from(["", " ", None, float("nan"), "cmdb", "campus", "1.0.0", "partial", [], {}]),
)


@settings(max_examples=40, deadline=None)
@given(filters=FILTERS)
def test_no_filter_of_configurations_widens(filters: dict[str, Any]) -> None:
    from airflow_provider.leanix import hooks

    sent: list[Any] = []
    hook = LeanIXHook()
    hook.send = lambda call: sent.append(dict(call.params))  # type: ignore[method-assign,assignment]
    try:
        hook.list_configurations(**filters)
    except InputError:
        assert sent == []
    else:
        named = {name for name, value in filters.items() if value is not None}
        assert sum(value is not None for value in sent[0].values()) == len(named)
    assert hooks.KEY_FIELDS


@pytest.mark.parametrize("empty", [*EMPTY, None, [], {}])
def test_an_empty_run_id_is_refused_by_every_task_and_method(
    leanix: Any, sandbox: Any, tmp_path: Any, empty: Any
) -> None:
    fetch = LeanIXFetchResultsOperator(task_id="f", run_id=empty, output_path=str(tmp_path / "o.json"))
    tasks = [fetch, *(LeanIXRunSensor(task_id="w", run_id=empty, deferrable=one) for one in (True, False))]
    for task in tasks:
        with pytest.raises(InputError, match="run_id"):
            TaskRunner().run(task)
    with LeanIXHook() as hook:
        methods = [hook.start_run, hook.stop_run, hook.get_run_status, hook.get_run_progress]
        methods += [hook.get_run_stats, lambda run_id: list(hook.iter_run_warnings(run_id))]
        methods += [lambda run_id: hook.download_results(run_id, str(tmp_path / "o.json"))]
        for method in methods:
            with pytest.raises(InputError, match="run_id"):
                method(empty)
        for coroutine in (hook.aget_run_status, hook.astop_run):
            with pytest.raises(InputError, match="run_id"):
                asyncio.run(coroutine(empty))
    event = asyncio.run(first_event(trigger_for(empty)))
    with pytest.raises(InputError, match="run_id"):
        raise_for(event)
    assert sandbox.counters.total("integration-api") == 0


# execution_timeout


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
def test_execution_timeout_bounds_the_wait_and_stops_the_run(
    leanix: Any, task: TaskRunner, deferrable: bool
) -> None:
    leanix.stuck_in = "IN_PROGRESS"
    operator = run_operator(
        **OUTBOUND, timeout=3600, deferrable=deferrable, execution_timeout=timedelta(seconds=0.3)
    )
    with pytest.raises(RunFailedError, match="deadline; it was stopped"):
        task.run(operator)
    assert leanix.runs[0].status == "STOPPED"


def test_the_shorter_of_both_timeouts_is_the_triggers_deadline(leanix: Any) -> None:
    from airflow_provider.core import polling

    for timeout, bound in ((50, 1000), (1000, 50)):
        operator = run_operator(
            **OUTBOUND, timeout=timeout, deferrable=True, execution_timeout=timedelta(seconds=bound)
        )
        deferral = TaskRunner(task_id=str(timeout)).begin(operator)
        assert isinstance(deferral, TaskDeferred)
        assert 0 < deferral.trigger.deadline - polling.clock() <= 50


def test_execution_timeout_bounds_a_deferred_sensor(leanix: Any) -> None:
    leanix.stuck_in = "IN_PROGRESS"
    run_id = TaskRunner().run(LeanIXStartRunOperator(task_id="start", **OUTBOUND))
    sensor = LeanIXRunSensor(
        task_id="wait",
        run_id=run_id,
        timeout=3600,
        poke_interval=0.05,
        deferrable=True,
        execution_timeout=timedelta(seconds=0.2),
    )
    with pytest.raises(AirflowTaskTimeout, match="execution_timeout"):
        TaskRunner().run(sensor)
    assert leanix.live_runs


def test_a_run_that_a_template_has_lost_is_named_by_its_argument(leanix: Any, sandbox: Any) -> None:
    """The error was of no argument: `'None' cannot be a name or an id in a request`."""
    wait = LeanIXRunSensor(task_id="w", run_id="None", timeout="soon")
    with pytest.raises(InputError, match="run_id: 'None' cannot be") as caught:
        TaskRunner().run(wait)
    assert len(caught.value.problems) == 2
    assert sandbox.counters.total() == 0


def test_a_missing_run_is_told_with_all_other_problems(leanix: Any, sandbox: Any) -> None:
    fetch = LeanIXFetchResultsOperator(task_id="f", run_id="", output_path="a.csv", allow_no_results="x")
    wait = LeanIXRunSensor(task_id="w", run_id=" ", timeout="soon")
    for task, count in ((fetch, 3), (wait, 2)):
        with pytest.raises(InputError, match="run_id is empty") as caught:
            TaskRunner().run(task)
        assert len(caught.value.problems) == count
    assert sandbox.counters.total() == 0
