"""Mapped tasks: which arguments all tasks of a mapping share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_EXPRESSION = re.compile(r"\{[{%].*?[}%]\}", re.DOTALL)

_OWN = re.compile(r"\b(?:ti|task|task_instance|macros|map_index|params|part)\b|\(")
"""What may differ between the tasks of a mapping: its names in templates, and the result of a call.

``expand()`` takes ``params``, too.
"""


def shared_arguments(task: Any) -> Mapping[str, Any] | None:
    """Return the arguments that ``partial`` got for all tasks of a mapping; None for a task without one.

    :param task: the operator of the running task.
    """
    return getattr(task.dag.task_dict.get(task.task_id), "partial_kwargs", None)


def shared_by_mapping(argument: str) -> bool:
    """Return whether the running task has the same value of an argument as the first task of its mapping.

    Only what is certain counts: a text that ``partial`` got, whose templates name nothing of one task. A task
    that reads a part adds the part's number to its path. The first task itself is none of these: it may be
    the only one.

    :param argument: name of the operator's argument.
    """
    from airflow.sdk import get_current_context

    try:
        context: Any = get_current_context()
    except RuntimeError:  # No task is running.
        return False
    ti, task = context["ti"], context["task"]
    if (getattr(ti, "map_index", None) or 0) < 1 or getattr(task, "part", None) is not None:
        return False
    given = (shared_arguments(task) or {}).get(argument)
    return isinstance(given, str) and not any(map(_OWN.search, _EXPRESSION.findall(given)))
