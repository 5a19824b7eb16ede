"""Plan page: a plan as a self-contained HTML page with counts, maps and a table of all changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import islice

from airflow_provider.core.json_types import Json
from airflow_provider.core.pages.page import PLAN, page_parts, page_prefix

MOST_ROWS = 2_000
"""Maximum rows of a table."""

WORDS = {
    "create": "new",
    "moved": "moved",
    "update": "changed",
    "deactivate": "deactivated",
    "delete": "deleted",
}
"""Kinds of changes, in the order of the page, with the words for them."""

Field = tuple[str, str, str]
"""Difference of a field: its name, its old and its new value; an empty text for no value."""


def page_path(plan_output: str) -> str:
    """Return the path of a plan's page: beside the plan, with the suffix ``.html``."""
    return f"{plan_output.removesuffix('.json')}.html"


def plan_page_parts(title: str, fingerprint: str, parts: Iterable[str]) -> Iterator[str]:
    """Yield the parts of a plan's page. It loads nothing and runs no script.

    :param title: its title.
    :param fingerprint: fingerprint of the plan.
    :param parts: the HTML of its content; empty parts are left out.
    """
    return page_parts(page_prefix(fingerprint, PLAN), title, parts)


def render_cards(counts: Mapping[str, int], unchanged: int, failed: int) -> str:
    """Return the counts of a plan.

    :param counts: number of changes by kind, see :data:`WORDS`; a kind that is not in it is not shown.
    :param unchanged: number of rows without a difference.
    :param failed: number of rows that are left out.
    """
    cards = [
        f'<div class="{kind}"><b>{counts[kind]}</b>{word}</div>'
        for kind, word in WORDS.items()
        if kind in counts
    ]
    cards += [f"<div><b>{unchanged}</b>unchanged</div>", f"<div><b>{failed}</b>left out</div>"]
    return f'<div class="cards">{"".join(cards)}</div>'


def render_chip(kind: str, count: int | None = None) -> str:
    """Return a kind of change in its colour, with the number of changes if there is one."""
    return f'<span class="chip {kind}">{"" if count is None else f"{count} "}{WORDS[kind]}</span>'


def render_legend(counts: Mapping[str, int]) -> str:
    """Return the legend of a map: its colours, with the number of changes of each kind."""
    chips = [render_chip(kind, counts[kind]) for kind in WORDS if counts.get(kind)]
    chips += ['<span class="chip was">was here</span>'] if counts.get("moved") else []
    return f'<p>{" ".join(chips)} <span class="chip calm">stays</span></p>'


def render_changes(columns: Sequence[str], rows: Iterable[Sequence[str]], count: int) -> Iterator[str]:
    """Yield the table of all changes, numbered from 1; without any, a sentence that says so.

    :param columns: names of the columns after the number.
    :param rows: HTML of the cells of each change; only the first ones are read.
    :param count: number of changes.
    """
    if not count:
        yield "<section><h2>Nothing changes</h2><p>All is as the source wants it.</p></section>"
        return
    head = "".join(f"<th>{name}</th>" for name in ("#", *columns))
    yield f"<section><h2>All changes</h2><table><tr>{head}</tr>"
    for number, row in enumerate(islice(rows, MOST_ROWS), 1):
        cells = "".join(f"<td>{cell}</td>" for cell in row)
        yield f'<tr id="change-{number}"><td class="number">{number}</td>{cells}</tr>'
    rest = f"<p>And {count - MOST_ROWS} more; the plan's JSON has all.</p>" if count > MOST_ROWS else ""
    yield f"</table>{rest}</section>"


def render_name(name: str, key: str) -> str:
    """Return what a change is about: its name, and below it its key or id unless that is the same."""
    below = f'<br><span class="quiet">{escape(key)}</span>' if key and key != name else ""
    return f"<b>{escape(name)}</b>{below}"


def render_fields(fields: Iterable[Field]) -> str:
    """Return the differences of a change, one a line."""
    return "<br>".join(_field(*one) for one in fields)


def _field(name: str, old: str, new: str) -> str:
    before = f'<span class="old-value">{escape(old)}</span> → ' if old else ""
    after = f'<span class="new-value">{escape(new)}</span>' if new else "nothing"
    return f"{escape(name)}: {before}{after}"


def render_failures(failed: Iterable[Json]) -> Iterator[str]:
    """Yield the table of rows that are left out.

    :param failed: the rows, each ``{"row", "key", "reasons"}``.
    """
    head = "<section><h2>Rows left out</h2><table><tr><th>Row</th><th>Key</th><th>Why</th></tr>"
    is_empty = True
    for failure in islice(failed, MOST_ROWS):
        reasons = "<br>".join(escape(str(reason)) for reason in failure["reasons"])
        row, key = escape(str(failure["row"])), escape(str(failure["key"]))
        yield f"{head if is_empty else ''}<tr><td>{row}</td><td>{key}</td><td>{reasons}</td></tr>"
        is_empty = False
    if not is_empty:
        yield "</table></section>"
