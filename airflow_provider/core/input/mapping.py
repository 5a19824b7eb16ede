"""Mapped tasks, of which each one needs a file of its own."""

from __future__ import annotations

import re
from typing import Any

_EXPRESSION = re.compile(r"\{[{%].*?[}%]\}", re.DOTALL)

_OWN = re.compile(r"\b(?:ti|task|task_instance|macros|map_index|params|part)\b|\(")
"""What may differ between the tasks of a mapping: its names in templates, and the result of a call.

``expand()`` takes ``params``, too.
"""


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
    mapped = context["dag"].task_dict.get(ti.task_id)
    given = getattr(mapped, "partial_kwargs", {}).get(argument)
    return isinstance(given, str) and not any(map(_OWN.search, _EXPRESSION.findall(given)))
