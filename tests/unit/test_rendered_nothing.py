"""A template without a value makes the text ``None`` or an empty one: no argument is dropped for that."""

from __future__ import annotations

from inspect import Parameter, signature
from pathlib import Path

import pytest

from airflow_provider.errors import InputError
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
