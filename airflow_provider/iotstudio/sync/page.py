"""Page of a plan: its counts, and a table of all changes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from airflow_provider.core.sync.page import (
    Field,
    plan_page_parts,
    render_cards,
    render_changes,
    render_chip,
    render_failures,
    render_fields,
    render_name,
)
from airflow_provider.core.sync.summary import PlanSummary
from airflow_provider.iotstudio.sync.document import Change, Plan

MAX_VALUE = 300
"""Maximum characters of a value."""


def page(plan: Plan) -> Iterator[bytes]:
    """Yield the page of a plan, in parts. It loads nothing, runs no script, and escapes every text.

    :param plan: the plan.
    """
    parts = plan_page_parts(_title(plan), plan.fingerprint, _content(plan))
    return (f"{part}\n".encode() for part in parts)


def summarize(plan: Plan, exceeded: Sequence[str]) -> PlanSummary:
    """Return a plan in words.

    :param plan: the plan.
    :param exceeded: a sentence for each limit that the plan exceeds.
    """
    return PlanSummary(
        title=_title(plan),
        compared=f"compared with {_compared(plan)}",
        counts=plan.counts(),
        unchanged=plan.unchanged,
        failed=len(plan.failed),
        changes=(
            (change.operation, change.title or change.key or change.id, _differences(change))
            for change in plan.changes
        ),
        exceeded=exceeded,
    )


def _title(plan: Plan) -> str:
    return f"Plan for the Things of {plan.space}"


def _compared(plan: Plan) -> str:
    where = "" if plan.category is None else f" of the category {plan.category}"
    return f"{plan.compared} Things{where}, by {plan.match_on}"


def _content(plan: Plan) -> Iterator[str]:
    yield f'<p class="quiet">Compared with {escape(_compared(plan))}. Nothing is written yet.</p>'
    yield render_cards(plan.counts(), plan.unchanged, len(plan.failed))
    yield from render_changes(
        ("What", "Which", "Row", "Fields"), map(_cells, plan.changes), len(plan.changes)
    )
    yield from render_failures(plan.failed)


def _cells(change: Change) -> tuple[str, ...]:
    name = render_name(change.title, change.id or change.key)
    fields = render_fields(_differences(change))
    return render_chip(change.operation), name, escape(str(change.row or "")), fields


def _differences(change: Change) -> Iterator[Field]:
    for field, (found, wanted) in change.fields.items():
        yield field, _text(found), _text(wanted)


def _text(value: Any) -> str:
    if value in (None, "", [], {}):
        return ""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        value = ", ".join(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}… ({len(text)} characters)"
