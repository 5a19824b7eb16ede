"""Page of a plan: its counts, and a table of all changes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from airflow_provider.core.sync.page import (
    MOST_ROWS,
    plan_page_parts,
    render_cards,
    render_chip,
    render_failures,
    render_field,
    render_rest,
)
from airflow_provider.core.sync.summary import Field, PlanSummary
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
    if plan.changes:
        head = "<tr><th>Row</th><th></th><th>Which</th><th>Change</th></tr>"
        yield f"<section><h2>Changes</h2><table>{head}"
        yield from map(_row, plan.changes[:MOST_ROWS])
        yield f"</table>{render_rest(len(plan.changes))}</section>"
    yield from render_failures(plan.failed)


def _row(change: Change) -> str:
    differences = "<br>".join(render_field(*field) for field in _differences(change))
    which = escape(change.key)
    if change.id:
        which += f'<br><span class="quiet">{escape(change.id)}</span>'
    number = escape(str(change.row))
    return (
        f'<tr><td class="number">{number}</td><td>{render_chip(change.operation)}</td><td>{which}</td>'
        f"<td>{differences}</td></tr>"
    )


def _differences(change: Change) -> Iterator[Field]:
    for field, (found, wanted) in change.fields.items():
        yield field, _text(found), _text(wanted)


def _text(value: Any) -> str:
    is_plain = isinstance(value, (str, type(None))) or (
        isinstance(value, list) and all(isinstance(one, str) for one in value)
    )
    return to_text(value if is_plain else json.dumps(value, ensure_ascii=False))
