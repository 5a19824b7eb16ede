"""Plan page: a plan as a self-contained HTML page with counts, maps and a table of all changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from itertools import islice

from airflow_provider.core.json_types import Json

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


_STYLE = """
:root{color-scheme:light dark;--page:#f4f6f9;--text:#18212c;--quiet:#4a5868;--box:#fff;--line:#d9e0e8;
--target:#fff6d6;--calm:#edf1f5;--calm-line:#8794a5;--floor:#fafbfc;--old:#8a2020;--new:#0d5c2f;
--create:#d9f3e3;--create-line:#14713b;--moved:#dceafd;--moved-line:#154f9e;--update:#fdf0cf;
--update-line:#946600; --deactivate:#ebe0fa;--deactivate-line:#5b3494;--delete:#fbdede;
--delete-line:#961f1f} @media (prefers-color-scheme:dark){:root{--page:#10161d;--text:#e6ebf1;
--quiet:#a9b6c4;--box:#18212b;--line:#344252; --target:#3a3413;--calm:#2a3644;--calm-line:#7b8998;
--floor:#141c25;--old:#ff9f9f;--new:#7fdca5; --create:#12402a;--create-line:#5fd394;--moved:#173b66;
--moved-line:#7ab3ff;--update:#4a3a0a;--update-line:#f0c04a; --deactivate:#3d2a5c;--deactivate-line:#c3a3f2;
--delete:#5a1f22;--delete-line:#ff8f8f}} @media print{:root{color-scheme:light}body{background:#fff}section{
break-inside:avoid}} body{font:15px/1.5 system-ui,sans-serif;margin:0;background:var(--page);
color:var(--text)} main{max-width:1120px;margin:0 auto;padding:1.5rem 1rem 4rem}h1{font-size:1.6rem;
margin:0} h2{font-size:1.15rem;margin:0 0 .6rem}section{background:var(--box);border:1px solid var(--line);
border-radius:.6rem;padding:1rem 1.2rem;margin-top:1.2rem}p{margin:.3rem 0}.quiet{color:var(--quiet)}
.cards{display:flex;flex-wrap:wrap;gap:.7rem;margin-top:1.2rem}.cards div{background:var(--box);
border:1px solid var(--line);border-left-width:.45rem;border-radius:.5rem;padding:.5rem .9rem;
min-width:6.2rem} .cards b{display:block;font-size:1.7rem;line-height:1.2}.cards .create{
border-left-color:var(--create-line)} .cards .moved{border-left-color:var(--moved-line)}.cards .update{
border-left-color:var(--update-line)} .cards .deactivate{border-left-color:var(--deactivate-line)}
.cards .delete{border-left-color:var(--delete-line)} table{border-collapse:collapse;width:100%}td,th{
border-bottom:1px solid var(--line);padding:.35rem .6rem; text-align:left;vertical-align:top}th{
color:var(--quiet);font-weight:600}td{overflow-wrap:anywhere} tr:target{background:var(--target)}td.number{
white-space:nowrap}td.where{min-width:9.5rem} .counts{width:auto}.counts td+td{text-align:right} .chip{
padding:.1rem .5rem;border-radius:.3rem;border:1px solid;white-space:nowrap} .chip.create{
background:var(--create);border-color:var(--create-line)} .chip.moved{background:var(--moved);
border-color:var(--moved-line)} .chip.update{background:var(--update);border-color:var(--update-line)}
.chip.deactivate{background:var(--deactivate);border-color:var(--deactivate-line)} .chip.delete{
background:var(--delete);border-color:var(--delete-line)} .chip.calm{background:var(--calm);
border-color:var(--calm-line)} .chip.was{border-style:dashed;border-color:var(--moved-line)}.old-value{
color:var(--old);text-decoration:line-through} .new-value{color:var(--new)}svg{display:block;width:100%;
height:auto;margin:.7rem auto 0} svg path,svg circle{stroke-width:1.3;vector-effect:non-scaling-stroke}
svg .floor{fill:var(--floor);stroke:var(--calm-line);stroke-width:2} svg .calm{fill:var(--calm);
stroke:var(--calm-line)}svg .create{fill:var(--create);stroke:var(--create-line)} svg .update{
fill:var(--update);stroke:var(--update-line)}svg .moved{fill:var(--moved);stroke:var(--moved-line)}
svg .old{fill:none;stroke:var(--moved-line);stroke-dasharray:5 4} svg .deactivate{fill:var(--deactivate);
stroke:var(--deactivate-line);stroke-dasharray:3 2} svg .delete{fill:var(--delete);
stroke:var(--delete-line)}svg .line{fill:none;stroke-width:3} svg text{font:11px system-ui,sans-serif;
fill:var(--quiet);text-anchor:middle;pointer-events:none} svg text.changed{fill:var(--text);font-weight:700}
@media (max-width:640px){section{padding:.8rem .7rem}td.where{min-width:0}
table:not(.counts),table:not(.counts) :is(tbody,tr,td){display:block}table:not(.counts) th{display:none}
table:not(.counts) tr{border-bottom:1px solid var(--line);padding:.4rem 0}
table:not(.counts) td{border:0;padding:.1rem 0}table:not(.counts) td:empty{display:none}
.counts{font-size:.75rem}.counts :is(td,th){padding:.2rem}}
"""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page_path(plan_output: str) -> str:
    """Return the path of a plan's page: beside the plan, with the suffix ``.html``."""
    return f"{plan_output.removesuffix('.json')}.html"


def page_prefix(fingerprint: str) -> str:
    """Return the beginning of a plan's page, with the fingerprint, which only readers of the plan know."""
    return f'<!doctype html><html lang="en" data-plan="{escape(fingerprint)}">'


def page_parts(title: str, fingerprint: str, parts: Iterable[str]) -> Iterator[str]:
    """Yield the parts of a page. It loads nothing and runs no script.

    :param title: its title.
    :param fingerprint: fingerprint of the plan.
    :param parts: the HTML of its content; empty parts are left out.
    """
    return document_parts(page_prefix(fingerprint), title, parts)


def document_parts(prefix: str, title: str, parts: Iterable[str], style: str = "") -> Iterator[str]:
    """Yield the parts of a self-contained page in the style of plans.

    :param prefix: its beginning: the document type, and the tag ``html``.
    :param title: its title, as a text.
    :param parts: the HTML of its content; empty parts are left out.
    :param style: further CSS.
    """
    title = escape(title)
    yield f'{prefix}<meta charset="utf-8"><title>{title}</title>'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width">'
    yield f"<style>{_STYLE}{style}</style><main><h1>{title}</h1>"
    yield from filter(None, parts)
    yield "</main></html>"


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
