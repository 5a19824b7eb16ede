"""Charts of a report: rows by day as bars of an SVG, and rows by type as lines with a bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from airflow_provider.core.reports.days import fold_to
from airflow_provider.core.reports.texts import count_text, in_html, share_text

MOST_BARS = 100
"""Maximum bars of days."""

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

    :param days: rows by day, month or year.
    """
    bars = fold_to(days, MOST_BARS)
    if not bars:
        return ""
    # Days of the reports of parts come from files.
    names, most, period = [escape(name) for name in bars], max(bars.values()), period_of(days)
    pairs = zip(names, bars.values(), strict=True)
    drawn = "".join(_bar(number, name, rows, most) for number, (name, rows) in enumerate(pairs))
    # With few bars, one alone would fill the page.
    width = max(len(bars), 12)
    span = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
    label = f"Rows by {period}, {span}, at most {count_text(most, 'row')} a {period}"
    middle = f"<span>{names[len(names) // 2]}</span>" if len(names) > 4 and width == len(bars) else ""
    last = f"<span>{names[-1]}</span>" if len(names) > 1 else ""
    ends = f'<div class="axis" style="width:{len(bars) * 100 / width:.1f}%">'
    return (
        f'<div class="chart"><p class="quiet">{label}</p>'
        f'<svg role="img" aria-label="{label}" class="days" viewBox="0 0 {width} {_HEIGHT}"'
        f' preserveAspectRatio="none">{drawn}</svg>{ends}<span>{names[0]}</span>{middle}{last}</div></div>'
    )


def _bar(number: int, name: str, rows: int, most: int) -> str:
    height = max(rows * _HEIGHT / most, 1)
    return (
        f'<rect class="bar" x="{number + 0.1:.1f}" y="{_HEIGHT - height:.1f}" width="0.8"'
        f' height="{height:.1f}"><title>{name}: {count_text(rows, "row")}</title></rect>'
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
