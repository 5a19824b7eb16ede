"""Arguments of a history export and of its part, read together before the first request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from airflow_provider.core.files.paths.parts import IN_FOLDER, outlet_problems, part_path, path_template
from airflow_provider.core.input.conditions import raise_problems
from airflow_provider.core.input.values import shown
from airflow_provider.errors import InputError
from airflow_provider.iotstudio.export.history import Selection, Span
from airflow_provider.iotstudio.export.parts.part import PLANNER, HistoryPart, read_part


def read_selection(task: Any) -> tuple[Selection, HistoryPart | None]:
    """Return what a task exports, and its part if it exports one.

    :param task: the operator, after its templates were rendered.
    :raises InputError: with all problems.
    """
    if task.part is None:
        return Selection.read(task), None
    problems: list[str] = []
    part = selection = None
    try:
        part = read_part(task.part)
    except InputError as error:
        problems += [f"'part' {problem}" for problem in error.problems]
    try:
        selection = Selection.read(task)
    except InputError as error:
        problems += error.problems
    problems += _problems_beside(task)
    if part is not None:
        problems += outlet_problems(task, part)
    if part is not None and selection is not None:
        problems += _differences(part, selection)
    raise_problems(problems)
    assert part is not None  # noqa: S101 - a problem otherwise
    assert selection is not None  # noqa: S101 - a problem otherwise
    return _of_part(part, selection), part


def _problems_beside(task: Any) -> list[str]:
    """Return which arguments a part does not go with."""
    problems = [
        f"'part' has its Things; leave {name!r} out, {PLANNER} takes it"
        for name in ("thing_ids", "category", "filters")
        if getattr(task, name) is not None
    ]
    if task.incremental is not False:
        problems.append(
            "'incremental' stores one watermark for all Things, which a part cannot move; give the plan"
            " 'start' and 'end', such as the bounds of the data interval"
        )
    return problems


def _differences(part: HistoryPart, selection: Selection) -> list[str]:
    """Return which arguments are others than those of the plan; what it left open may be given."""
    planned = part.span()
    pairs = {
        "start": (planned.start, selection.span.start),
        "end": (planned.end, selection.span.end),
        "properties": (part.properties, selection.properties),
    }
    return [
        f"{name!r} is {shown(own if name == 'properties' else str(own))}, but the part was planned with"
        f" {shown(plan if name == 'properties' else str(plan))}; leave it out"
        for name, (plan, own) in pairs.items()
        if plan is not None and own is not None and plan != own
    ]


def _of_part(part: HistoryPart, selection: Selection) -> Selection:
    planned, own = part.span(), selection.span
    # Without an end, all parts end when they were planned, so that a part that is redone has the same rows.
    end = own.end or planned.end or HistoryPart.span(replace(part, end=part.until)).end
    span = Span.parse(own.start or planned.start, end)
    properties = part.properties if selection.properties is None else selection.properties
    return replace(selection, thing_ids=part.thing_ids, span=span, properties=properties)


def output_path_of(task: Any, part: HistoryPart | None) -> str:
    """Return the path of a task's file; a part has one of its own.

    :param task: the operator.
    :param part: its part; None for a whole export.
    """
    path: str = task.output_path
    if part is None or not isinstance(path, str):
        return path
    return part_path(path, part, path_template(task), f".{IN_FOLDER}")


def space_problems(part: HistoryPart, space: str) -> list[str]:
    """Return why a part is none of the connection's space."""
    if part.space == space:
        return []
    return [f"'part' was planned in space {shown(part.space)}, and the task reads {shown(space)}"]
