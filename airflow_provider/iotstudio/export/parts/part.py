"""Part of a history export: some of the Things, and the span that all parts have."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from airflow_provider.core.files.paths.parts import (
    fields_of_part,
    number_problems,
    raise_part_problems,
)
from airflow_provider.core.input.conditions import list_condition
from airflow_provider.core.input.values import shown
from airflow_provider.core.state.identity import fingerprint
from airflow_provider.iotstudio.conditions import is_segment, read_bounds
from airflow_provider.iotstudio.export.history import Span

PLANNER = "IoTStudioPlanHistoryOperator"


@dataclass(frozen=True)
class HistoryPart:
    """One part of a planned history export.

    :param space: id of the space.
    :param thing_ids: ids of the part's Things, in their order.
    :param is_listed: whether the space had these Things when they were planned; false for ids that the task
        names.
    :param start: start of the planned span; None for none.
    :param end: end of the planned span; None for none.
    :param until: time of the plan, at which the span ends that has no end; None with ``end``.
    :param properties: the planned properties; None for all.
    :param number: number of the part, from 0, as Airflow counts mapped tasks.
    :param count: number of parts.
    :param plan: fingerprint of all parts together.
    """

    space: str
    thing_ids: list[str]
    is_listed: bool
    start: str | None
    end: str | None
    until: str | None
    properties: list[str] | None
    number: int
    count: int
    plan: str

    def to_json(self) -> dict[str, Any]:
        """Return the part as JSON, for ``expand(part=...)``."""
        return asdict(self)

    def span(self) -> Span:
        """Return the planned span."""
        return Span(_moment(self.start), _moment(self.end))

    def result(self, span: Span, properties: Sequence[str] | None) -> dict[str, Any]:
        """Return what a part's manifest has besides that of a whole export.

        :param span: the span that was exported.
        :param properties: the properties that were exported.
        """
        # Parts of one plan that were exported with other arguments are no parts of one whole.
        plan = fingerprint([self.plan, str(span.start), str(span.end), properties])
        return {"part": self.number, "parts": self.count, "plan": plan}


def make_parts(
    space: str,
    thing_ids: Sequence[str],
    span: Span,
    properties: list[str] | None,
    count: int,
    now: datetime,
    *,
    is_listed: bool,
) -> list[HistoryPart]:
    """Return parts of equal numbers of Things.

    :param space: id of the space.
    :param thing_ids: ids of all Things.
    :param span: the requested span.
    :param properties: the requested properties; None for all.
    :param count: number of parts; fewer Things make fewer parts, and none make one.
    :param now: time of the plan.
    :param is_listed: whether the space has these Things.
    """
    ordered = sorted(thing_ids)
    count = max(1, min(count, len(ordered)))
    cuts = [len(ordered) * number // count for number in range(count + 1)]
    start, end = (None if one is None else one.isoformat() for one in (span.start, span.end))
    until = now.isoformat() if end is None else None
    plan = fingerprint([space, ordered, start, end, until, properties, count])
    return [
        HistoryPart(space, ordered[low:high], is_listed, start, end, until, properties, number, count, plan)
        for number, (low, high) in enumerate(itertools.pairwise(cuts))
    ]


def read_part(value: Any) -> HistoryPart:
    """Return a part from its JSON.

    :param value: the argument ``part``.
    :raises InputError: when it is no part of a plan, with all problems.
    """
    fields = fields_of_part(value, HistoryPart.__dataclass_fields__, PLANNER)
    raise_part_problems(_problems(fields))
    return HistoryPart(**fields)


def _problems(value: Mapping[str, Any]) -> list[str]:
    problems = number_problems(value)
    for name in ("thing_ids", "properties"):
        problems += [f"has a bad {problem}" for problem in list_condition(value[name], name)]
    if not isinstance(value["thing_ids"], list):
        problems.append(f"has {shown(value['thing_ids'])} as 'thing_ids', which is no list")
    elif not problems:
        problems += [f"has the id {shown(one)}" for one in value["thing_ids"] if not is_segment(one)]
    problems += [
        f"has {shown(value[name])} as {name!r}, which is no text"
        for name in ("space", "plan")
        if not isinstance(value[name], str) or not value[name].strip()
    ]
    if not isinstance(value["is_listed"], bool):
        problems.append(f"has {shown(value['is_listed'])} as 'is_listed', which is neither true nor false")
    for name in ("start", "end", "until"):
        given = value[name]
        if given is not None and not (isinstance(given, str) and _is_moment(given)):
            problems.append(f"has {shown(given)} as {name!r}, which is no time")
    return problems


def _is_moment(text: str) -> bool:
    return not read_bounds(text, None)[1]


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
