"""Arguments of an export in a fixed state: what does not fit together, found before the first request."""

from __future__ import annotations

from typing import Any

from airflow_provider.amigocloud.export.parts.part import Part
from airflow_provider.amigocloud.sql.statement import Statement
from airflow_provider.amigocloud.values import path_problems
from airflow_provider.core.files.paths.parts import outlet_assets, outlet_problems, path_template
from airflow_provider.core.input.values import shown

__all__ = ["fixed_state_problems", "outlet_assets", "path_template", "query_problems"]


def fixed_state_problems(
    task: Any, part: Part | None, given: list[str], statement: Statement | None
) -> list[str]:
    """Return what is wrong with ``part`` and ``state`` of an export, and with arguments beside them.

    :param task: the operator, after its templates were rendered.
    :param part: the part, if ``part`` is one.
    :param given: the arguments that name the source.
    :param statement: the query, if the source is ``sql``.
    """
    problems = [] if part is None else _part_problems(task, part)
    if task.state is not None:
        problems += path_problems(task.state, "state")
        if given == ["url"]:
            problems.append("'state' is used with 'dataset' and 'sql'; a list has no states")
        elif statement is not None:
            problems += query_problems(statement)
    if task.incremental_column is not None:
        problems += [
            f"'incremental_column' reads the latest state; leave it or '{name}' out"
            for name in ("part", "state")
            if getattr(task, name) is not None
        ]
    return problems


def query_problems(statement: Statement) -> list[str]:
    """Return why a query cannot be read in a given state."""
    if len(statement.datasets) == 1:
        return []
    names = ", ".join(map(str, statement.datasets)) or "none"
    return [f"'state' is a state of one dataset, and the query is about the datasets {names}"]


def _part_problems(task: Any, part: Part) -> list[str]:
    problems = []
    if task.dataset is not None and str(task.dataset).strip() != str(part.dataset):
        problems.append(f"'part' is a part of dataset {part.dataset}, 'dataset' is {shown(task.dataset)}")
    if isinstance(task.state, str) and task.state.strip() != part.state:
        problems.append(f"'part' was planned in state {part.state}, 'state' is {shown(task.state)}")
    problems += outlet_problems(task, part)
    return problems
