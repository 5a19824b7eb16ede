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
from airflow_provider.mapsindoors.catalogue.document import Change, Plan
from airflow_provider.mapsindoors.plan.text import to_text


def page(plan: Plan, solution: str) -> Iterator[bytes]:
    """Yield the page of a plan, in parts. It loads nothing, runs no script, and escapes every text.

    :param plan: the plan.
    :param solution: name of the solution.
    """
    parts = plan_page_parts(_title(plan, solution), plan.fingerprint, _content(plan))
    return (f"{part}\n".encode() for part in parts)


def summarize(plan: Plan, solution: str, exceeded: Sequence[str]) -> PlanSummary:
    """Return a plan in words.

    :param plan: the plan.
    :param solution: name of the solution.
    :param exceeded: a sentence for each limit that the plan exceeds.
    """
    return PlanSummary(
        title=_title(plan, solution),
        compared=f"compared with {plan.compared} {plan.kind}",
        counts=plan.counts(),
        unchanged=plan.unchanged,
        failed=len(plan.failed),
        changes=((change.operation, change.key, _differences(change)) for change in plan.changes),
        exceeded=exceeded,
    )


def _title(plan: Plan, solution: str) -> str:
    return f"Plan for the {plan.kind} of {solution}"


def _content(plan: Plan) -> Iterator[str]:
    yield f'<p class="quiet">Compared with {plan.compared} {escape(plan.kind)}. Nothing is written yet.</p>'
    yield render_cards(plan.counts(), plan.unchanged, len(plan.failed))
    yield from render_changes(
        ("What", "Which", "Row", "Fields"), map(_cells, plan.changes), len(plan.changes)
    )
    yield from render_failures(plan.failed)


def _cells(change: Change) -> tuple[str, ...]:
    fields = render_fields(_differences(change))
    return render_chip(change.operation), render_name(change.key, change.id), escape(str(change.row)), fields


def _differences(change: Change) -> Iterator[Field]:
    for field, (found, wanted) in change.fields.items():
        yield field, _text(found), _text(wanted)


def _text(value: Any) -> str:
    is_plain = isinstance(value, (str, type(None))) or (
        isinstance(value, list) and all(isinstance(one, str) for one in value)
    )
    return to_text(value if is_plain else json.dumps(value, ensure_ascii=False))
