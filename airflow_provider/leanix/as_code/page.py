"""Page of a plan: its counts, and a table of the differences of each configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any

from airflow_provider.core.sync.page import (
    Field,
    plan_page_parts,
    render_cards,
    render_changes,
    render_chip,
    render_fields,
    render_name,
)
from airflow_provider.core.sync.summary import PlanSummary
from airflow_provider.leanix.as_code.plan import Entry, Plan

_TITLE = "Plan for processor configurations"

_MAX_VALUE = 300
"""Maximum characters of a value."""


def page(plan: Plan) -> Iterator[bytes]:
    """Yield the page of a plan, in parts. It loads nothing, runs no script, and escapes every text.

    :param plan: the plan.
    """
    parts = plan_page_parts(_TITLE, plan.fingerprint, _content(plan))
    return (f"{part}\n".encode() for part in parts)


def summarize(plan: Plan) -> PlanSummary:
    """Return a plan in words.

    :param plan: the plan.
    """
    counts = plan.counts()
    return PlanSummary(
        title=_TITLE,
        compared=f"compared with those of {plan.host}",
        counts=_written(counts),
        unchanged=counts["unchanged"],
        failed=0,
        changes=((entry.operation, entry.name, _differences(entry)) for entry in _changed(plan)),
    )


def _written(counts: dict[str, int]) -> dict[str, int]:
    return {name: counts[name] for name in ("create", "update")}


def _changed(plan: Plan) -> list[Entry]:
    return [entry for entry in plan.entries if entry.operation != "unchanged"]


def _content(plan: Plan) -> Iterator[str]:
    counts = plan.counts()
    yield f'<p class="quiet">Compared with those of {escape(plan.host)}. Nothing is written yet.</p>'
    yield render_cards(_written(counts), counts["unchanged"], 0)
    changed = _changed(plan)
    yield from render_changes(("What", "Which", "Fields"), map(_cells, changed), len(changed))


def _cells(entry: Entry) -> tuple[str, ...]:
    return render_chip(entry.operation), render_name(entry.name, ""), render_fields(_differences(entry))


def _differences(entry: Entry) -> Iterator[Field]:
    for one in entry.changes:
        old, new = ("" if one.sign == "+" else _text(one.old)), ("" if one.sign == "-" else _text(one.new))
        yield one.path, old, new


def _text(value: Any) -> str:
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}… ({len(text)} characters)"
