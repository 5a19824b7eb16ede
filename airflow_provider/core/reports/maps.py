"""Map of a report: a sample of the geometries in the colours of their types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from airflow_provider.core.reports.profile import Outline, Table
from airflow_provider.core.reports.shapes import MOST_POSITIONS, simplify
from airflow_provider.core.reports.texts import count_text, in_html
from airflow_provider.core.sync.drawing import Shape, area, bounds, draw

MOST_COLOURS = 6
"""Types with a colour of their own."""

_NO_TYPE = "\0"
"""Type of a geometry whose row has none; no text of a report has this character."""

_FINEST = 1_400
"""Steps across the map; positions within one step are one."""


def type_classes(table: Table) -> dict[str, str]:
    """Return the CSS class of each type that has a colour of its own.

    :param table: the table.
    """
    column = table.type_column()
    names = [name for name, _ in column.values[:MOST_COLOURS]] if column else []
    return {name: f"c{number}" for number, name in enumerate(names)}


def render_map(table: Table) -> str:
    """Return the section of a table's map; empty without geometries.

    :param table: the table, with its geometries.
    """
    if not table.outlines:
        return _unread(table)
    classes = type_classes(table)
    column = table.type_column()
    own = [
        "c0" if column is None else classes.get(one.types.get(column.name, _NO_TYPE), "rest")
        for one in table.outlines
    ]
    most = max(4, MOST_POSITIONS // len(table.outlines))
    step = _step(table.outlines)
    shapes = [Shape(css, _drawn(one, most, step)) for css, one in zip(own, table.outlines, strict=True)]
    drawn = draw(sorted(shapes, key=area, reverse=True)).replace('role="group"', 'role="img"', 1)
    legend = _legend(own, classes)
    return f"<section><h2>Map</h2>{_sentence(table)}{legend}{drawn}</section>"


def _unread(table: Table) -> str:
    if not table.off_map:
        return ""
    return (
        f"<section><h2>Map</h2><p>The geometries in {in_html(table.geometry)} are not drawn: they are not in"
        " longitude and latitude, or of another kind.</p></section>"
    )


def _sentence(table: Table) -> str:
    column = table.column(table.geometry)
    whole = max(column.filled if column else 0, len(table.outlines) + table.off_map)
    text = f"{len(table.outlines):,} of {count_text(whole, 'geometry').replace('geometrys', 'geometries')}"
    if whole == len(table.outlines):
        text = "All geometries"
    more = f"; {table.off_map:,} of the sample cannot be drawn" if table.off_map else ""
    return f'<p class="quiet">{text}, simplified{more}.</p>'


def _legend(own: Sequence[str], classes: Mapping[str, str]) -> str:
    found = Counter(own)
    names = {css: in_html(name) if name else "<i>empty text</i>" for name, css in classes.items()}
    if found["rest"]:
        names["rest"] = "others"
    chips = [f'<span class="chip {css}">{name}</span>' for css, name in names.items() if found[css]]
    return f'<p class="legend">{" ".join(chips)}</p>' if classes else ""


def _step(outlines: Sequence[Outline]) -> float:
    boxes = [bounds(one.shape) for one in outlines]
    width = max(box[2] for box in boxes) - min(box[0] for box in boxes)
    height = max(box[3] for box in boxes) - min(box[1] for box in boxes)
    return max(width, height) / _FINEST


def _drawn(outline: Outline, most: int, step: float) -> dict[str, object]:
    """Return a geometry without positions that would be drawn at the same place as the one before."""
    shape = simplify(outline.shape, most)
    if shape["type"] != "MultiPoint":
        shape["coordinates"] = [_without_repeated(line, step) for line in shape["coordinates"]]
    return shape


def _without_repeated(line: Sequence[tuple[float, float]], step: float) -> list[tuple[float, float]]:
    kept = [line[0]]
    for x, y in line[1:-1]:
        if abs(x - kept[-1][0]) > step or abs(y - kept[-1][1]) > step:
            kept.append((x, y))
    return [*kept, line[-1]]
