"""Plan page: a plan as a self-contained HTML page with counts, a map of each floor and a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape

from airflow_provider.core.json_types import Json
from airflow_provider.mapsindoors.geodata.snapshot import SolutionSnapshot
from airflow_provider.mapsindoors.geodata.validation import BASE_TYPES
from airflow_provider.mapsindoors.plan.document import Change, Plan
from airflow_provider.mapsindoors.plan.svg import NumberedChange, group_by_place, render_svg
from airflow_provider.mapsindoors.plan.text import describe_change, kind_of, place_name, to_text

Places = Sequence[tuple[str, list[NumberedChange]]]

MOST_ROWS = 2_000
"""Maximum rows of a table."""


MOST_PLACES = 40
"""Maximum maps of a page."""

_WORDS = {
    "create": "new",
    "moved": "moved",
    "update": "changed",
    "deactivate": "deactivated",
    "delete": "deleted",
}


_STYLE = """
:root{color-scheme:light}body{font:15px/1.5 system-ui,sans-serif;margin:0;background:#f4f6f9;color:#18212c}
main{max-width:1120px;margin:0 auto;padding:1.5rem 1rem 4rem}h1{font-size:1.6rem;margin:0}
h2{font-size:1.15rem;margin:0 0 .6rem}section{background:#fff;border:1px solid #d9e0e8;border-radius:.6rem;
padding:1rem 1.2rem;margin-top:1.2rem}p{margin:.3rem 0}.quiet{color:#4a5868}
.cards{display:flex;flex-wrap:wrap;gap:.7rem;margin-top:1.2rem}.cards div{background:#fff;border:1px solid
#d9e0e8;border-left-width:.45rem;border-radius:.5rem;padding:.5rem .9rem;min-width:6.2rem}
.cards b{display:block;font-size:1.7rem;line-height:1.2}.cards .create{border-left-color:#1f9d55}
.cards .moved{border-left-color:#2470d6}.cards .update{border-left-color:#e09c00}
.cards .deactivate{border-left-color:#8250c4}.cards .delete{border-left-color:#d33a3a}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #e3e8ee;padding:.35rem .6rem;
text-align:left;vertical-align:top}th{color:#4a5868;font-weight:600}td{overflow-wrap:anywhere}
tr:target{background:#fff6d6}td.number{white-space:nowrap}td.where{min-width:9.5rem}
.counts{width:auto}.counts td+td{text-align:right}
.chip{padding:.1rem .5rem;border-radius:.3rem;border:1px solid;white-space:nowrap}
.chip.create{background:#d9f3e3;border-color:#1f9d55}.chip.moved{background:#dceafd;border-color:#2470d6}
.chip.update{background:#fdf0cf;border-color:#c98c00}.chip.deactivate{background:#ebe0fa;border-color:#8250c4}
.chip.delete{background:#fbdede;border-color:#d33a3a}.chip.calm{background:#edf1f5;border-color:#b6c1cd}
.chip.was{border-style:dashed;border-color:#2470d6}.old-value{color:#8a2020;text-decoration:line-through}
.new-value{color:#0d5c2f}svg{display:block;width:100%;height:auto;margin:.7rem auto 0}
svg path,svg circle{stroke-width:1.3;vector-effect:non-scaling-stroke}
svg .floor{fill:#fafbfc;stroke:#8794a5;stroke-width:2}svg .calm{fill:#eaeef3;stroke:#b6c1cd}
svg .create{fill:#8ad8ab;stroke:#14713b}svg .update{fill:#ffd769;stroke:#946600}
svg .moved{fill:#9cc5fb;stroke:#154f9e}svg .old{fill:none;stroke:#154f9e;stroke-dasharray:5 4}
svg .deactivate{fill:#ccb2ee;stroke:#5b3494;stroke-dasharray:3 2}svg .delete{fill:#f5a3a3;stroke:#961f1f}
svg text{font:11px system-ui,sans-serif;fill:#4a5868;text-anchor:middle;pointer-events:none}
svg text.changed{fill:#10171f;font-weight:700}@media print{body{background:#fff}section{break-inside:avoid}}
"""


_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page_prefix(fingerprint: str) -> str:
    """Return the beginning of a plan's page, with the fingerprint, which only readers of the plan know."""
    return f'<!doctype html><html lang="en" data-plan="{escape(fingerprint)}">'


def render_page(plan: Plan, snapshot: SolutionSnapshot) -> str:
    """Return the page. It loads nothing, runs no script, and escapes every text.

    :param plan: the plan.
    :param snapshot: the solution that the plan was made against.
    """
    title = f"Plan for {escape(str(snapshot.dataset.get('name') or plan.dataset))}"
    places = group_by_place(plan.changes, snapshot)
    parts = [
        f'{page_prefix(plan.fingerprint)}<meta charset="utf-8"><title>{title}</title>',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style><main><h1>{title}</h1>',
        *_summary(plan, snapshot),
        *_maps(places, snapshot),
        *_table(plan.changes, places, snapshot),
        *_failures(plan.failed),
        "</main></html>",
    ]
    return "\n".join(part for part in parts if part)


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
    total = Counter(kind_of(change) for change in plan.changes)
    cards = [f'<div class="{kind}"><b>{total[kind]}</b>{word}</div>' for kind, word in _WORDS.items()]
    cards += [f"<div><b>{plan.unchanged}</b>unchanged</div>", f"<div><b>{len(plan.failed)}</b>left out</div>"]
    yield f'<div class="cards">{"".join(cards)}</div>'
    kinds = [kind for kind in _WORDS if total[kind]]
    if not kinds:
        return
    yield '<section><h2>By type</h2><table class="counts"><tr><th></th>'
    yield "".join(f"<th>{_WORDS[kind]}</th>" for kind in kinds) + "</tr>"
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
            yield f"<section><h2>{title}</h2>{_legend(changes)}{drawn}</section>"
    if len(places) > MOST_PLACES:
        yield f"<p>And {len(places) - MOST_PLACES} more floors, in the table only.</p>"


def _legend(changes: Sequence[NumberedChange]) -> str:
    """Return the legend of a map: its colours, with the number of changes of each."""
    counts = Counter(kind_of(change) for _, change in changes)
    kinds = [kind for kind in _WORDS if counts[kind]]
    chips = [f'<span class="chip {kind}">{counts[kind]} {_WORDS[kind]}</span>' for kind in kinds]
    chips += ['<span class="chip was">was here</span>'] if counts["moved"] else []
    return f'<p>{" ".join(chips)} <span class="chip calm">stays</span></p>'


def _table(changes: list[Change], places: Places, snapshot: SolutionSnapshot) -> Iterator[str]:
    if not changes:
        yield "<section><h2>Nothing changes</h2><p>The map is as the source wants it.</p></section>"
        return
    where = {number: place_name(place, snapshot, 2) for place, there in places for number, _ in there}
    yield "<section><h2>All changes</h2>"
    yield "<table><tr><th>#</th><th>What</th><th>Which</th><th>Where</th><th>Row</th><th>Fields</th></tr>"
    for number, change in enumerate(changes[:MOST_ROWS], 1):
        chip = f'<span class="chip {kind_of(change)}">{_WORDS[kind_of(change)]}</span>'
        which = f"{escape(change.base_type)} <b>{escape(change.name)}</b><br>"
        which += f'<span class="quiet">{escape(change.key or change.id)}</span>'
        fields = "<br>".join(_field(*difference) for difference in describe_change(change, snapshot))
        cells = f'<td class="number">{number}</td><td>{chip}</td><td>{which}</td>'
        cells += f"<td>{escape(where[number])}</td><td>{change.row or ''}</td>"
        yield f'<tr id="change-{number}">{cells}<td>{fields}</td></tr>'
    yield "</table>"
    if len(changes) > MOST_ROWS:
        yield f"<p>And {len(changes) - MOST_ROWS} more; the plan's JSON has all.</p>"
    yield "</section>"


def _field(name: str, old: str, new: str) -> str:
    before = f'<span class="old-value">{escape(old)}</span> → ' if old else ""
    after = f'<span class="new-value">{escape(new)}</span>' if new else "nothing"
    return f"{escape(name)}: {before}{after}"


def _failures(failed: list[Json]) -> Iterator[str]:
    if not failed:
        return
    yield "<section><h2>Rows left out</h2><table><tr><th>Row</th><th>Key</th><th>Why</th></tr>"
    for failure in failed[:MOST_ROWS]:
        reasons = "<br>".join(escape(str(reason)) for reason in failure["reasons"])
        row, key = escape(str(failure["row"])), escape(str(failure["key"]))
        yield f"<tr><td>{row}</td><td>{key}</td><td>{reasons}</td></tr>"
    yield "</table></section>"
