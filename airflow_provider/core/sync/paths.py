"""Paths of a sync's files, as its arguments give them."""

from __future__ import annotations

from typing import Any

from airflow_provider.core.arguments import check_not_empty


def read_paths(task: Any, *names: str) -> list[str]:
    """Read a task's paths that may be left out; return the problems.

    The text of None, which a template makes, is None. An empty text is a path that was lost.

    :param task: the task's operator.
    :param names: names of the arguments.
    """
    problems: list[str] = []
    for name in names:
        path = getattr(task, name)
        if path == "None":
            setattr(task, name, None)
        elif path is not None:
            problems += check_not_empty(name, str(path).strip())
    return problems
