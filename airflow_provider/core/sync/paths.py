"""Paths of a sync's files, as its arguments give them."""

from __future__ import annotations

from typing import Any

from airflow_provider.core.arguments import check_rendered


def rendered_path_problems(task: Any, *names: str) -> list[str]:
    """Return the problems of a task's paths that may be left out: those that a template has lost.

    :param task: the task's operator.
    :param names: names of the arguments.
    """
    return [
        problem
        for name in names
        if (path := getattr(task, name)) is not None
        for problem in check_rendered(name, str(path))
    ]
