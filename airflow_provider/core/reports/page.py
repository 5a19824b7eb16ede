"""Report page: a profile as a self-contained HTML page with charts, a map and a table of columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import islice

import msgspec

from airflow_provider.core.pages.page import REPORT, page_parts, page_prefix
from airflow_provider.core.reports.changes import MOST_CHANGES, Change, changes
from airflow_provider.core.reports.charts import MOST_BARS, day_chart, period_of, type_chart
from airflow_provider.core.reports.days import fold_to
from airflow_provider.core.reports.maps import render_map, type_classes
from airflow_provider.core.reports.profile import MOST_FURTHER, Column, Outline, Profile, Table, to_script
from airflow_provider.core.reports.shapes import simplify
from airflow_provider.core.reports.texts import (
    count_text,
    in_html,
    number_text,
    share_text,
    size_text,
)

_STYLE = """
:root{--teal:#d5f0f0;--teal-line:#0b6b70;--bar:#2f6fc0}
@media (prefers-color-scheme:dark){:root{--teal:#0f3f42;--teal-line:#5fd0d4;--bar:#6aa5f2}}
main{overflow-wrap:anywhere}h3{font-size:1rem;margin:1rem 0 .4rem}
.cards .c0,.cards .now{border-left-color:var(--moved-line)}
.cards b{overflow-wrap:normal}.cards small{color:var(--quiet);font-size:.85rem}
.chip.c0{background:var(--moved);border-color:var(--moved-line)}
.chip.c1{background:var(--update);border-color:var(--update-line)}
.chip.c2{background:var(--create);border-color:var(--create-line)}
.chip.c3{background:var(--deactivate);border-color:var(--deactivate-line)}
.chip.c4{background:var(--delete);border-color:var(--delete-line)}
.chip.c5{background:var(--teal);border-color:var(--teal-line)}
.chip.rest{background:var(--calm);border-color:var(--calm-line)}
.legend{line-height:2}.chip{white-space:normal}
svg .c0{fill:var(--moved);stroke:var(--moved-line)}svg .c1{fill:var(--update);stroke:var(--update-line)}
svg .c2{fill:var(--create);stroke:var(--create-line)}
svg .c3{fill:var(--deactivate);stroke:var(--deactivate-line)}
svg .c4{fill:var(--delete);stroke:var(--delete-line)}svg .c5{fill:var(--teal);stroke:var(--teal-line)}
svg .rest{fill:var(--calm);stroke:var(--calm-line)}
svg circle{stroke-width:.8;stroke:var(--box)!important;fill-opacity:.85}
svg circle.c0{fill:var(--moved-line)}svg circle.c1{fill:var(--update-line)}
svg circle.c2{fill:var(--create-line)}svg circle.c3{fill:var(--deactivate-line)}
svg circle.c4{fill:var(--delete-line)}svg circle.c5{fill:var(--teal-line)}
svg circle.rest{fill:var(--calm-line)}svg path:not(.line){fill-opacity:.6}svg .line{fill:none}
svg.days{height:9rem;margin:.3rem 0 0;border-bottom:1px solid var(--calm-line)}svg .bar{fill:var(--bar)}
svg .gap{fill:var(--update-line)}svg.days rect:hover{fill:var(--text)}
.axis{display:flex;justify-content:space-between;color:var(--quiet);font-size:.8rem;min-width:9rem}
.types{display:grid;grid-template-columns:minmax(6rem,14rem) 1fr auto;gap:.3rem .8rem;align-items:center}
.type{display:contents}svg.share{height:.9rem;margin:0}svg.share rect{stroke:none}
svg.share .c0{fill:var(--moved-line)}svg.share .c1{fill:var(--update-line)}
svg.share .c2{fill:var(--create-line)}svg.share .c3{fill:var(--deactivate-line)}
svg.share .c4{fill:var(--delete-line)}svg.share .c5{fill:var(--teal-line)}
svg.share .rest{fill:var(--calm-line)}
.count{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.count .quiet{display:inline-block;min-width:3rem}
th{white-space:nowrap}td{font-variant-numeric:tabular-nums}table.columns td{padding:.45rem .6rem}
td[data-label=Column]{min-width:7.5rem}td:is([data-label=Type],[data-label=Distinct]){white-space:nowrap}
td:is([data-label=Least],[data-label=Greatest]){overflow-wrap:normal}
.filled{display:block;width:4.5rem;height:.35rem;margin:.2rem 0;background:var(--calm);border-radius:.2rem}
.filled i{display:block;height:100%;background:var(--bar);border-radius:.2rem}
.filled.gap i{background:var(--update-line)}
.values span{display:inline-block;margin-right:.7rem}.values small,td small{color:var(--quiet)}
.was-new{color:var(--new)}.was-old{color:var(--old)}
@media (max-width:640px){main{padding:1rem .6rem 3rem}
.types{grid-template-columns:minmax(5rem,9rem) 1fr auto;gap:.3rem .5rem}.count .quiet{min-width:2.6rem}
svg.days{height:7rem}.cards{gap:.5rem}.cards div{min-width:5.4rem;padding:.4rem .7rem;flex:1 1 auto}
.cards b{font-size:1.35rem}
table.columns tr{display:grid!important;grid-template-columns:1fr 1fr;column-gap:.6rem}
table.columns td:is([data-label=Column],.values){grid-column:1/-1}
table.columns td{padding:.1rem 0}td[data-label=What]::before{content:""!important}
td[data-label]::before{content:attr(data-label) ": ";color:var(--quiet)}
td[data-label=Column]::before{content:""}td.values span{margin-right:.5rem}
td:is([data-label=Least],[data-label=Greatest]){overflow-wrap:anywhere}
.filled{display:inline-block;width:4rem;margin:0 .3rem;vertical-align:middle}}
"""
"""CSS that a report has beyond that of plans."""

PREFIX = page_prefix("", REPORT).removesuffix('">')
"""Beginning of each report."""

DATA_START = '<script type="application/json" id="profile">'
"""Tag before a report's data, which no browser runs as a script."""

DATA_END = "</script>"

_MOST_FREQUENT = 5
"""Values that a column's line shows."""

_TELLING = 0.05
"""Least share of a frequent value in a column of very many values."""

_PART_SHAPES, _PART_POSITIONS = 400, 12
"""Geometries, and positions of each, that the report of a part keeps for the map of all parts."""


def render(profile: Profile, before: Profile | None, note: str, fingerprint: str) -> Iterator[str]:
    """Yield the parts of a report. It loads nothing, runs no script, and escapes every text.

    :param profile: the export.
    :param before: the last export; None for none.
    :param note: why there is no last export.
    :param fingerprint: fingerprint of the report.
    """
    prefix = page_prefix(fingerprint, REPORT)
    return page_parts(prefix, profile.title, _content(profile, before, note), style=_STYLE)


def _content(profile: Profile, before: Profile | None, note: str) -> Iterator[str]:
    yield _head(profile)
    yield _cards(profile, before)
    yield from _since(profile, before, note)
    if len(profile.tables) > 1:
        yield _by_table(profile)
    for table in profile.tables:
        yield from _table(table)
    if profile.more_tables:
        yield f"<p>And {count_text(profile.more_tables, 'table')} more, which the report leaves out.</p>"
    if not profile.rows:
        yield "<section><h2>No rows</h2><p>The export has no rows.</p></section>"
    yield f"{DATA_START}{to_script(_saved(profile))}{DATA_END}"


def _head(profile: Profile) -> str:
    task = f", by the task {in_html(profile.task, 200)}" if profile.task else ""
    part = "<p>This is one part of an export in parts.</p>" if profile.is_part else ""
    return (
        f'<p class="quiet">{in_html(profile.source, 300)}, exported at {escape(profile.at)}{task} to'
        f" {in_html(profile.uri, 300)}</p>{part}"
    )


def _cards(profile: Profile, before: Profile | None) -> str:
    rows = f"{profile.rows:,}"
    cards = [f'<div class="now"><b>{rows}</b>{"row" if profile.rows == 1 else "rows"}</div>']
    if before is not None:
        difference = profile.rows - before.rows
        text = f"{'+' if difference > 0 else '−' if difference else '±'}{abs(difference):,}"
        cards.append(f"<div><b>{text}</b>since the last export</div>")
    if len(profile.tables) > 1 or profile.more_tables:
        cards.append(f"<div><b>{len(profile.tables) + profile.more_tables:,}</b>tables</div>")
    elif profile.tables:
        table = profile.tables[0]
        count = len(table.columns) + table.more_columns
        over = "over " if table.more_columns >= MOST_FURTHER else ""
        cards.append(f"<div><b>{over}{count:,}</b>columns</div>")
    cards.append(f"<div><b>{size_text(profile.bytes)}</b>{escape(profile.format)}</div>")
    if profile.files > 1:
        cards.append(f"<div><b>{profile.files:,}</b>files</div>")
    return f'<div class="cards">{"".join(cards)}</div>'


def _since(profile: Profile, before: Profile | None, note: str) -> Iterator[str]:
    yield "<section><h2>Since the last export</h2>"
    if profile.is_slice:
        yield "<p>The file is a slice: the rows that are new since the last export.</p>"
    if before is None:
        yield f'<p class="quiet">{escape(note)}</p></section>'
        return
    which = "The last slice" if before.is_slice else "The last export"
    yield (
        f'<p class="quiet">{which} was written at {escape(before.at)} to {in_html(before.uri, 300)},'
        f" with {count_text(before.rows, 'row')}.</p>"
    )
    found = changes(before, profile)
    if not found:
        yield "<p>Columns, nulls, ranges and frequent values are as they were.</p></section>"
        return
    yield '<table class="changes"><tr><th>What</th><th>Before</th><th>Now</th></tr>'
    yield from map(_change, found[:MOST_CHANGES])
    yield "</table>"
    if len(found) > MOST_CHANGES:
        yield f"<p>And {len(found) - MOST_CHANGES:,} more.</p>"
    yield "</section>"


def _change(change: Change) -> str:
    return (
        f'<tr><td data-label="What"><b>{in_html(change.what, 200)}</b></td>'
        f'<td data-label="Before"><span class="was-old">{in_html(change.before, 300)}</span></td>'
        f'<td data-label="Now"><span class="was-new">{in_html(change.now, 300)}</span></td></tr>'
    )


def _by_table(profile: Profile) -> str:
    values = sorted(((table.name, table.rows) for table in profile.tables), key=lambda pair: -pair[1])
    chart = type_chart(values, profile.rows, {name: "c0" for name, _ in values})
    return f"<section><h2>Rows by table</h2>{chart}</section>"


def _table(table: Table) -> Iterator[str]:
    title = f": {in_html(table.name, 100)}" if table.name else ""
    if chart := day_chart(table.days):
        others = f'<p class="quiet">{count_text(table.not_days, "row")} without such a time.</p>'
        early = sum(table.days.values()) - sum(fold_to(table.days, MOST_BARS).values())
        before = f'<p class="quiet">{count_text(early, "row")} of the years before.</p>'
        yield (
            f"<section><h2>Rows by {period_of(table.days)} of {in_html(table.day_column)}{title}</h2>"
            f"{chart}{before if early else ''}{others if table.not_days else ''}</section>"
        )
    column = table.type_column()
    if column is not None:
        classes = type_classes(table) if table.outlines else {name: "c0" for name, _ in column.values}
        chart = type_chart(column.values, table.rows, classes)
        yield f"<section><h2>Rows by {in_html(column.name)}{title}</h2>{chart}</section>"
    yield render_map(table)
    yield from _columns(table, title)


_HEADINGS = ("Column", "Type", "Filled", "Least", "Greatest", "Distinct", "Most frequent")


def _columns(table: Table, title: str) -> Iterator[str]:
    if not table.columns:
        return
    head = "".join(f"<th>{name}</th>" for name in _HEADINGS)
    yield f'<section><h2>Columns{title}</h2><table class="columns"><tr>{head}</tr>'
    for column in table.columns:
        cells = _cells(column, table)
        yield (
            "<tr>"
            + "".join(
                f'<td data-label="{name}"{" class=values" if name == "Most frequent" else ""}>{cell}</td>'
                if cell
                else "<td></td>"
                for name, cell in zip(_HEADINGS, cells, strict=True)
            )
            + "</tr>"
        )
    yield "</table>"
    if table.more_columns:
        over = "over " if table.more_columns >= MOST_FURTHER else ""
        more = count_text(table.more_columns, "column")
        yield f"<p>And {over}{more} more, which the report leaves out.</p>"
    yield "</section>"


def _cells(column: Column, table: Table) -> Sequence[str]:
    name, filled = f"<b>{in_html(column.name, 100)}</b>", _filled(column, table.rows)
    if column.name == table.geometry and table.off_map < column.filled:
        return (name, "geometry", filled, "", "", "", "")
    least, greatest = _range(column)
    return (
        name,
        _types(column),
        filled,
        least,
        greatest,
        _distinct(column),
        _frequent(column),
    )


def _types(column: Column) -> str:
    if not column.kinds:
        return '<span class="quiet">no values</span>'
    kinds = sorted(column.kinds.items(), key=lambda pair: -pair[1])
    if len(kinds) == 1:
        return escape(kinds[0][0])
    return "<br>".join(
        f"{escape(kind)} <small>{share_text(rows, column.filled)}</small>" for kind, rows in kinds
    )


def _filled(column: Column, rows: int) -> str:
    share = column.filled * 100 / rows if rows else 0
    gap = "" if column.filled == rows else " gap"
    absent = rows - column.filled - column.nulls
    notes = [f"{column.nulls:,} null"] if column.nulls else []
    notes += [f"{absent:,} absent"] if absent > 0 else []
    bar = f'<span class="filled{gap}"><i style="width:{share:.1f}%"></i></span>'
    note = f"<small>{', '.join(notes)}</small>" if notes else ""
    return f"{share_text(column.filled, rows)}{bar}{note}"


def _range(column: Column) -> tuple[str, str]:
    """Return the least and the greatest value; of texts, lists and objects their lengths."""
    parts: list[tuple[str, str]] = []
    if column.numbers:
        parts.append((number_text(column.numbers[0]), number_text(column.numbers[1])))
    if column.times:
        parts.append((in_html(column.times[0]), in_html(column.times[1])))
    elif column.lengths:
        units = [unit for kind, unit in _UNITS.items() if kind in column.kinds]
        unit = " or ".join(units)
        parts.append(tuple(f"{length:,} <small>{unit}</small>" for length in column.lengths))  # type: ignore[arg-type]
    return "<br>".join(part[0] for part in parts), "<br>".join(part[1] for part in parts)


_UNITS = {"text": "characters", "list": "entries", "object": "fields"}


def _distinct(column: Column) -> str:
    if not column.distinct:
        return ""
    return f"{'over ' if column.is_more else ''}{column.distinct:,}"


def _frequent(column: Column) -> str:
    """Return the most frequent values of a column, if some are much more frequent than others."""
    most = column.values[0][1] if column.values else 0
    if most < 2 or (not column.has_all_values and most < column.filled * _TELLING):
        return ""
    shown = [
        f"<span>{in_html(value, 40) if value else '<i>empty text</i>'} <small>{rows:,}</small></span>"
        for value, rows in islice(column.values, _MOST_FREQUENT)
    ]
    return " ".join(shown)


def _saved(profile: Profile) -> Profile:
    """Return the profile as the page keeps it: with geometries only when the parts are to be merged."""
    tables = [
        msgspec.structs.replace(table, outlines=_few(table.outlines) if profile.is_part else [])
        for table in profile.tables
    ]
    return msgspec.structs.replace(profile, tables=tables)


def _few(outlines: Sequence[Outline]) -> list[Outline]:
    step = max(1, -(-len(outlines) // _PART_SHAPES))
    return [Outline(simplify(one.shape, _PART_POSITIONS, 5), one.types) for one in outlines[::step]]
