"""Pages for people: self-contained HTML documents in one style, which load nothing and run no script."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

PLAN, REPORT = "plan", "report"
KINDS = (PLAN, REPORT)
"""Kinds of pages: the last part of the URL, and the beginning of the keys of XComs."""

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
white-space:nowrap}.counts{width:auto}.counts td+td{text-align:right} .chip{
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
@media (max-width:640px){section{padding:.8rem .7rem}
table:not(.counts),table:not(.counts) :is(tbody,tr,td){display:block}table:not(.counts) th{display:none}
table:not(.counts) tr{border-bottom:1px solid var(--line);padding:.4rem 0}
table:not(.counts) td{border:0;padding:.1rem 0}table:not(.counts) td:empty{display:none}
.counts{font-size:.75rem}.counts :is(td,th){padding:.2rem}}
:is(h1,p,td,span){unicode-bidi:isolate}
"""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page_prefix(fingerprint: str, kind: str) -> str:
    """Return the beginning of a page, with the fingerprint, which only readers of the plan or report know.

    :param fingerprint: fingerprint of the plan or report.
    :param kind: see :data:`KINDS`.
    """
    return f'<!doctype html><html lang="en" data-{kind}="{escape(fingerprint)}">'


def page_parts(prefix: str, title: str, parts: Iterable[str], style: str = "") -> Iterator[str]:
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
