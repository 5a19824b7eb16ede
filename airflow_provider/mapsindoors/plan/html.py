"""Plan page: a plan as a self-contained HTML page with counts, a map of each floor and a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape

from airflow_provider.core.sync.page import (
    WORDS,
    plan_page_parts,
    render_cards,
    render_changes,
    render_chip,
    render_failures,
    render_fields,
    render_legend,
    render_name,
)
from airflow_provider.core.sync.summary import PlanSummary
from airflow_provider.mapsindoors.geodata.snapshot import SolutionSnapshot
from airflow_provider.mapsindoors.geodata.validation import BASE_TYPES
from airflow_provider.mapsindoors.plan.document import Change, Plan
from airflow_provider.mapsindoors.plan.svg import NumberedChange, group_by_place, render_svg
from airflow_provider.mapsindoors.plan.text import describe_change, kind_of, place_name, to_text

Places = Sequence[tuple[str, list[NumberedChange]]]

MOST_PLACES = 40
"""Maximum maps of a page."""


def render_page(plan: Plan, snapshot: SolutionSnapshot) -> str:
    """Return the page. It loads nothing, runs no script, and escapes every text.

    :param plan: the plan.
    :param snapshot: the solution that the plan was made against.
    """
    places = group_by_place(plan.changes, snapshot)
    parts = [
        *_summary(plan, snapshot),
        *_maps(places, snapshot),
        *_table(plan.changes, places, snapshot),
        *render_failures(plan.failed),
    ]
    return "\n".join(plan_page_parts(_title(plan, snapshot), plan.fingerprint, parts))


def summarize(plan: Plan, snapshot: SolutionSnapshot, exceeded: Sequence[str]) -> PlanSummary:
    """Return a plan in words.

    :param plan: the plan.
    :param snapshot: the solution that the plan was made against.
    :param exceeded: a sentence for each limit that the plan exceeds.
    """
    return PlanSummary(
        title=_title(plan, snapshot),
        compared=f"compared with {plan.compared} objects by {plan.match_on}",
        counts=_counts(plan),
        unchanged=plan.unchanged,
        failed=len(plan.failed),
        changes=(
            (
                kind_of(change),
                f"{change.base_type} {change.name or change.key or change.id}",
                describe_change(change, snapshot),
            )
            for change in plan.changes
        ),
        exceeded=exceeded,
    )


def _title(plan: Plan, snapshot: SolutionSnapshot) -> str:
    return f"Plan for {snapshot.dataset.get('name') or plan.dataset}"


def _counts(plan: Plan) -> dict[str, int]:
    found = Counter(kind_of(change) for change in plan.changes)
    return {kind: found[kind] for kind in WORDS}


def _summary(plan: Plan, snapshot: SolutionSnapshot) -> Iterator[str]:
    """Yield the counts: in total, and by base type."""
    types, root = plan.scope.get("base_types"), plan.scope.get("root_element")
    scope = f", only {escape(to_text(types))}" if types else ""
    scope += f", only below {escape(place_name(str(root), snapshot))}" if root else ""
    yield (
        f'<p class="quiet">Compared with {plan.compared} objects by {escape(plan.match_on)}{scope}.'
        " Nothing is written yet.</p>"
    )
    found = Counter((kind_of(change), change.base_type) for change in plan.changes)
    total = _counts(plan)
    yield render_cards(total, plan.unchanged, len(plan.failed))
    kinds = [kind for kind in WORDS if total[kind]]
    if not kinds:
        return
    yield '<section><h2>By type</h2><table class="counts"><tr><th></th>'
    yield "".join(f"<th>{WORDS[kind]}</th>" for kind in kinds) + "</tr>"
    for base_type in BASE_TYPES:
        if any(found[kind, base_type] for kind in kinds):
            cells = "".join(f"<td>{found[kind, base_type] or ''}</td>" for kind in kinds)
            yield f"<tr><td>{base_type}</td>{cells}</tr>"
    yield "</table></section>"


def _maps(places: Places, snapshot: SolutionSnapshot) -> Iterator[str]:
    """Yield a map of each place with changes."""
    for place, changes in places[:MOST_PLACES]:
        if drawn := render_svg(place, changes, snapshot):
            title = escape(place_name(place, snapshot))
            legend = render_legend(Counter(kind_of(change) for _, change in changes))
            yield f"<section><h2>{title}</h2>{legend}{drawn}</section>"
    if len(places) > MOST_PLACES:
        yield f"<p>And {len(places) - MOST_PLACES} more floors, in the table only.</p>"


def _table(changes: list[Change], places: Places, snapshot: SolutionSnapshot) -> Iterator[str]:
    where = {number: place_name(place, snapshot, 2) for place, there in places for number, _ in there}
    rows = (_cells(change, where[number], snapshot) for number, change in enumerate(changes, 1))
    yield from render_changes(("What", "Which", "Where", "Row", "Fields"), rows, len(changes))


def _cells(change: Change, where: str, snapshot: SolutionSnapshot) -> tuple[str, ...]:
    key = change.key or change.id
    name = f"{escape(change.base_type)} {render_name(change.name or key, key)}"
    row = escape(str(change.row or ""))
    return (
        render_chip(kind_of(change)),
        name,
        escape(where),
        row,
        render_fields(describe_change(change, snapshot)),
    )
