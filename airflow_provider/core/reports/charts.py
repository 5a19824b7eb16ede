"""Charts of a report: rows by day as bars of an SVG, and rows by type as lines with a bar."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import pairwise

from airflow_provider.core.reports.days import count_between, fold_to
from airflow_provider.core.reports.texts import count_text, in_html, share_text

MOST_BARS = 100
"""Maximum bars of days."""

WIDEST_GAP = 3
"""Maximum width of a gap, in bars: a day of another century must not make all other bars thin."""

MOST_TYPES = 12
"""Maximum lines of types."""

_HEIGHT = 100

_PERIODS = {10: "day", 7: "month", 4: "year"}


def period_of(days: Mapping[str, int]) -> str:
    """Return the period of the bars that :func:`day_chart` draws: ``day``, ``month`` or ``year``.

    :param days: rows by day.
    """
    return _PERIODS[len(next(iter(fold_to(days, MOST_BARS)), "2000-01-01"))]


def day_chart(days: Mapping[str, int]) -> str:
    """Return the bars of days, with the first and last day below; empty without days.

    Between two bars there is a gap as wide as the days without rows, up to :data:`WIDEST_GAP`.

    :param days: rows by day, month or year.
    """
    bars = fold_to(days, MOST_BARS)
    if not bars:
        return ""
    # Days of the reports of parts come from files.
    names, most, period = [escape(name) for name in bars], max(bars.values()), period_of(days)
    gaps = [0, *(max(count_between(*pair), 0) for pair in pairwise(bars))]
    drawn = "".join(_bars(names, list(bars.values()), gaps, period))
    wide = len(bars) + sum(min(gap, WIDEST_GAP) for gap in gaps)
    # With few bars, one alone would fill the page.
    width = max(wide, 12)
    span = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
    label = f"Rows by {period}, {span}, at most {count_text(most, 'row')} a {period}"
    label += f", {count_text(sum(gaps), period)} without rows" if any(gaps) else ""
    last = f"<span>{names[-1]}</span>" if len(names) > 1 else ""
    ends = f'<div class="axis" style="width:{wide * 100 / width:.1f}%">'
    return (
        f'<div class="chart"><p class="quiet">{label}</p>'
        f'<svg role="img" aria-label="{label}" class="days" viewBox="0 0 {width} {_HEIGHT}"'
        f' preserveAspectRatio="none">{drawn}</svg>{ends}<span>{names[0]}</span>{last}</div></div>'
    )


def _bars(names: Sequence[str], rows: Sequence[int], gaps: Sequence[int], period: str) -> Iterator[str]:
    left, most = 0, max(rows)
    for name, count, gap in zip(names, rows, gaps, strict=True):
        if gap:
            wide = min(gap, WIDEST_GAP)
            yield _rect("gap", left, wide, 2, f"{count_text(gap, period)} without rows")
            left += wide
        yield _rect("bar", left, 1, max(count * _HEIGHT / most, 1), f"{name}: {count_text(count, 'row')}")
        left += 1


def _rect(css: str, left: int, wide: int, height: float, title: str) -> str:
    return (
        f'<rect class="{css}" x="{left + 0.1:.1f}" y="{_HEIGHT - height:.1f}" width="{wide - 0.2:.1f}"'
        f' height="{height:.1f}"><title>{title}</title></rect>'
    )


def type_chart(values: Sequence[tuple[str, int]], whole: int, classes: Mapping[str, str]) -> str:
    """Return a line for each type, the most frequent first.

    :param values: rows by type.
    :param whole: number of all rows.
    :param classes: CSS class of a type's bar, which has the colour of its geometries on the map.
    """
    shown = [(in_html(name) if name else "<i>empty text</i>", rows, classes.get(name, "rest"))
             for name, rows in values[:MOST_TYPES]]  # fmt: skip
    if left := values[MOST_TYPES:]:
        shown.append((f"{len(left):,} others", sum(rows for _, rows in left), "rest"))
    if (without := whole - sum(rows for _, rows in values)) > 0:
        shown.append(("<i>without a value</i>", without, "rest"))
    most = max((rows for _, rows, _ in shown), default=1)
    lines = "".join(
        f'<div class="type"><span>{name}</span>'
        f'<svg aria-hidden="true" class="share" viewBox="0 0 100 10" preserveAspectRatio="none">'
        f'<rect class="{css}" width="{max(rows * 100 / most, 0.5):.1f}" height="10" rx="0"/></svg>'
        f'<span class="count">{rows:,} <span class="quiet">{share_text(rows, whole)}</span></span></div>'
        for name, rows, css in shown
    )
    return f'<div class="types">{lines}</div>'
