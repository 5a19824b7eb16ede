"""A template without a value makes the text ``None`` or an empty one: no argument is dropped for that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, task

from airflow_provider.core.input import rendered
from airflow_provider.errors import InputError
from airflow_provider.iotstudio.operators import (
    IoTStudioExportHistoryOperator,
    IoTStudioExportThingsOperator,
    IoTStudioWritePropertiesOperator,
)
from airflow_provider.sandbox.server import Sandbox
from tests.support import every_task
from tests.support.task_runner import TaskRunner

HARMLESS = {
    "deferrable": "how to wait",
    "concurrency": "how fast",
    "poll_interval": "how fast",
    "timeout": "how long",
    "csv_delimiter": "detected",
    "encoding": "detected",
    "source_format": "by the name of the file",
    "hive": "no columns in folders, which the rows then miss",
    "columns": "no column has another name",
    "ignore": "no column is left out, so unknown ones are refused",
    "description": "a text for readers",
    "write_to_ldif": "decided by the task's other arguments",
}
"""Arguments for which such a text may be the default, with what they say."""


def optional_fields(kind: type) -> list[str]:
    """Return the templated arguments of a class that may be left out, and change what it does."""
    parameters: dict[str, Parameter] = {}
    for one in reversed(kind.__mro__):
        if "__init__" in vars(one):
            parameters |= dict(signature(vars(one)["__init__"]).parameters)
    return [
        name
        for name in kind.template_fields  # type: ignore[attr-defined]
        if name in parameters and parameters[name].default is None and name not in HARMLESS
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(every_task.public_classes()))
def test_no_argument_is_dropped_because_a_template_has_lost_its_value(
    sandbox: Sandbox, tmp_path: Path, name: str
) -> None:
    make = every_task.tasks(sandbox, tmp_path)[name]
    given = make(task_id="given")
    accepted = []
    for field in optional_fields(every_task.public_classes()[name]):
        for text in ("None", ""):
            operator = make(task_id="task")
            setattr(operator, field, text)
            if getattr(given, field) is not None:
                continue  # Without it, the task has nothing to do.
            try:
                TaskRunner().run(operator)
            except InputError:
                continue
            accepted.append(f"{field}={text!r}")
    assert accepted == []


NATIVE = "{{ none }}"


@pytest.mark.parametrize("name", sorted(every_task.public_classes()))
def test_no_argument_is_dropped_because_what_it_comes_from_is_none(
    sandbox: Sandbox, tmp_path: Path, name: str
) -> None:
    make = every_task.tasks(sandbox, tmp_path)[name]
    with DAG(f"native_{name}", schedule=None, render_template_as_native_obj=True) as dag:
        for number, field in enumerate(optional_fields(every_task.public_classes()[name])):
            operator = make(task_id=f"task{number}")
            setattr(operator, field, NATIVE)
            with pytest.raises(InputError, match=f"'{field}' has no value"):
                operator.render_template_fields({}, dag.get_template_env())


@pytest.mark.parametrize("field", sorted(HARMLESS.keys() & IoTStudioWritePropertiesOperator.template_fields))
def test_an_argument_whose_default_drops_nothing_may_be_none(field: str) -> None:
    with DAG("native_harmless", schedule=None, render_template_as_native_obj=True) as dag:
        operator = IoTStudioWritePropertiesOperator(task_id="task", writes=[])
        setattr(operator, field, NATIVE)
        operator.render_template_fields({}, dag.get_template_env())
    assert getattr(operator, field) is None


def test_none_of_a_task_selects_nothing_and_ends_the_export(
    sandbox: Sandbox, tmp_path: Path, run_dag: Callable[..., Any]
) -> None:
    with DAG("none_of_a_task", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        found = task(task_id="found")(lambda: None)()
        arguments: dict[str, Any] = {"output_path": str(tmp_path / "x.jsonl"), "retries": 0}
        IoTStudioExportHistoryOperator(task_id="one", thing_ids=found, **arguments)
        mapped = IoTStudioExportHistoryOperator.partial(task_id="mapped", category=found, **arguments)
        mapped.expand(properties=[["temperature"], ["humidity"]])
    states = Counter((one.task_id, str(one.state)) for one in run_dag(dag).get_task_instances())
    assert states == {("found", "success"): 1, ("one", "failed"): 1, ("mapped", "failed"): 2}
    assert sandbox.counters.total("iotstudio") == 0
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("kwargs", [False, True], ids=["expand", "expand_kwargs"])
@pytest.mark.parametrize("literal", [False, True], ids=["of a task", "literal"])
def test_none_among_mapped_values_selects_nothing_and_ends_its_task(
    sandbox: Sandbox, tmp_path: Path, run_dag: Callable[..., Any], kwargs: bool, literal: bool
) -> None:
    values: Any = ["Sensors", None, ""]
    dag_id = f"none_mapped_{kwargs}_{literal}"
    with DAG(dag_id, schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        path = str(tmp_path / "{{ ti.map_index }}.jsonl")
        mapped = IoTStudioExportThingsOperator.partial(
            task_id="mapped", output_path=path, filters=None, retries=0
        )
        if kwargs:
            values = [{"category": value} for value in values]
        found = values if literal else task(task_id="found")(lambda: values)()
        if kwargs:
            mapped.expand_kwargs(found)
        else:
            mapped.expand(category=found)
    states = {
        one.map_index: str(one.state) for one in run_dag(dag).get_task_instances() if one.task_id == "mapped"
    }
    assert states == {0: "success", 1: "failed", 2: "failed"}
    assert [path.name for path in tmp_path.iterdir()] == ["0.jsonl"]


def test_the_arguments_whose_default_drops_nothing_are_these() -> None:
    assert {
        *("description", "columns", "ignore", "csv_delimiter", "encoding", "source_format", "hive"),
        *("concurrency", "poll_interval", "timeout", "poke_interval", "write_to_ldif"),
    } == rendered._HARMLESS
