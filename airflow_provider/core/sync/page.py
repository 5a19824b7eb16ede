"""Plan page: a plan as a self-contained HTML page with counts, maps and a table of all changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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


def render_field(name: str, old: str, new: str) -> str:
    """Return the difference of a field; an empty text is no value."""
    before = f'<span class="old-value">{escape(old)}</span> → ' if old else ""
    after = f'<span class="new-value">{escape(new)}</span>' if new else "nothing"
    return f"{escape(name)}: {before}{after}"


def render_rest(count: int) -> str:
    """Return the sentence about changes that the table does not have; empty without any."""
    return f"<p>And {count - MOST_ROWS} more; the plan's JSON has all.</p>" if count > MOST_ROWS else ""


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
