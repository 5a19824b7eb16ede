"""A plan as one self-contained HTML page: what changes, on the map, floor by floor, and in a table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from html import escape
from math import cos, radians
from typing import Any

from airflow_provider.mapsindoors import geometry
from airflow_provider.mapsindoors.plan import Change, Plan
from airflow_provider.mapsindoors.world import World

Json = dict[str, Any]

MOST_ROWS = 2_000
MOST_SHAPES = 2_000
_WIDTH = 900.0

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:960px;padding:0 1rem;color:#1d2733}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
td,th{border-bottom:1px solid #dde3ea;padding:.3rem .5rem;text-align:left;vertical-align:top}
td{overflow-wrap:anywhere}svg{width:100%;height:auto;border:1px solid #dde3ea;background:#fbfcfd}
.calm{fill:#eef1f5;stroke:#c4ccd6}.floor{fill:none;stroke:#8794a5}.create{fill:#2e9e5b;stroke:#1c6e3d}
.update{fill:#e5a50a;stroke:#9a6e00}.moved{fill:#2f7bd9;stroke:#174f96}.old{fill:none;stroke:#2f7bd9}
.delete,.deactivate{fill:#d64545;stroke:#8f2323}svg *{fill-opacity:.55;stroke-width:1;
vector-effect:non-scaling-stroke}.old{stroke-dasharray:4 3}.key span{padding:.1rem .5rem;margin-right:.4rem;
border-radius:.2rem;color:#fff}.key .create{background:#1c6e3d}.key .update{background:#9a6e00}
.key .moved{background:#174f96}.key .delete{background:#8f2323}
"""
_KEY = (
    '<p class="key"><span class="create">new</span><span class="moved">moved</span>'
    '<span class="update">changed</span><span class="delete">removed or deactivated</span></p>'
)


def page(plan: Plan, world: World) -> str:
    """Give the page.

    :param plan: what will be written.
    :param world: the map it was planned against.
    """
    title = f"Plan for {escape(str(world.dataset.get('name') or plan.dataset))}"
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>',
        f"<style>{_STYLE}</style><h1>{title}</h1>",
        f"<p>{_summary(plan)}</p>",
        _KEY if plan.changes else "",
        *_maps(plan, world),
        *_table(plan.changes),
        *_failures(plan.failed),
        "</html>",
    ]
    return "\n".join(part for part in parts if part)


def _summary(plan: Plan) -> str:
    said = [
        f"{operation}: {', '.join(f'{number} {kind}' for kind, number in kinds.items())}"
        for operation, kinds in plan.counts().items()
        if kinds
    ]
    said += [f"unchanged: {plan.unchanged}", f"left out: {len(plan.failed)}"]
    return escape("; ".join(said))


def _maps(plan: Plan, world: World) -> Iterator[str]:
    """Draw each floor (or venue, for what is outdoors) on which something changes."""
    places: defaultdict[str, list[Change]] = defaultdict(list)
    parents = {one.key: one for one in plan.changes if one.operation == "create"}
    for one in plan.changes:
        places[_place(one, world, parents)].append(one)
    for place, changes in sorted(places.items(), key=lambda pair: _title(pair[0], world)):
        shapes = list(_drawn(place, changes, world))
        if shapes:
            yield f"<h2>{escape(_title(place, world))}</h2>"
            yield _svg(shapes)


def _place(one: Change, world: World, parents: dict[str, Change]) -> str:
    """Find the floor or venue that a change belongs to."""
    while one.parent_key in parents:
        one = parents[one.parent_key]
    key = one.id or str(one.body.get("parentId") or "")
    while key in world.by_id and world.by_id[key].get("baseType") not in ("floor", "venue", "building"):
        key = world.by_id[key].get("parentId") or ""
    return key


def _title(place: str, world: World) -> str:
    """Name a place: venue, building, floor."""
    names = []
    while place in world.by_id:
        thing = world.by_id[place]
        name = (thing.get("properties") or {}).get(f"name@{world.base_language}")
        floor = f"floor {(thing.get('baseTypeProperties') or {}).get('name', '')}"
        names.append(str(name or (floor if thing.get("baseType") == "floor" else place)))
        place = thing.get("parentId") or ""
    return " · ".join(reversed(names)) or "New places"


def _drawn(place: str, changes: Iterable[Change], world: World) -> Iterator[tuple[str, str, Json]]:
    """Give what is drawn: class, tooltip, geometry; what changes comes last, on top."""
    listed = list(changes)
    touched = {one.id for one in listed}
    if place in world.by_id and world.by_id[place].get("geometry"):
        yield "floor", "", world.by_id[place]["geometry"]
    if world.by_id.get(place, {}).get("baseType") == "floor":
        for key in world.below(place)[:MOST_SHAPES]:
            if key not in touched and world.by_id[key].get("geometry"):
                yield "calm", "", world.by_id[key]["geometry"]
    for one in listed[:MOST_SHAPES]:
        old = world.by_id.get(one.id, {}).get("geometry")
        new = one.body.get("geometry")
        label = f"{one.operation}: {one.base_type} {one.name or one.key}"
        if new and old:
            yield "old", "", old
        if shape := new or old:
            yield str("moved" if new and old else one.operation), label, shape


def _svg(shapes: list[tuple[str, str, Json]]) -> str:
    boxes = [geometry.bounds(shape) for _, _, shape in shapes]
    west, south = min(box[0] for box in boxes), min(box[1] for box in boxes)
    east, north = max(box[2] for box in boxes), max(box[3] for box in boxes)
    across = cos(radians((south + north) / 2))
    size = max((east - west) * across, north - south) or 1e-4
    scale, margin = _WIDTH / size, 12

    def at(position: geometry.Position) -> str:
        x, y = position
        return f"{margin + (x - west) * across * scale:.1f},{margin + (north - y) * scale:.1f}"

    wide = (east - west) * across * scale + 2 * margin
    high = (north - south) * scale + 2 * margin
    drawn = "\n".join(_shape(kind, label, shape, at) for kind, label, shape in shapes)
    return f'<svg viewBox="0 0 {wide:.0f} {high:.0f}">\n{drawn}\n</svg>'


def _shape(kind: str, label: str, shape: Json, at: Any) -> str:
    title = f"<title>{escape(label)}</title>" if label else ""
    if shape["type"] == "Point":
        x, y = at(shape["coordinates"][:2]).split(",")
        return f'<circle class="{kind}" cx="{x}" cy="{y}" r="5">{title}</circle>'
    rings = (ring for polygon in geometry.polygons(shape) for ring in polygon)
    path = " ".join(f"M{' L'.join(at(position) for position in ring)}Z" for ring in rings)
    return f'<path class="{kind}" fill-rule="evenodd" d="{path}">{title}</path>'


def _table(changes: list[Change]) -> Iterator[str]:
    if not changes:
        yield "<p>Nothing changes.</p>"
        return
    yield "<h2>Changes</h2><table><tr><th>What</th><th>Which</th><th>Row</th><th>Fields</th></tr>"
    for one in changes[:MOST_ROWS]:
        which = escape(" ".join(part for part in (one.base_type, one.name, f"({one.key or one.id})") if part))
        fields = "<br>".join(_field(path, pair) for path, pair in one.fields.items())
        yield f"<tr><td>{one.operation}</td><td>{which}</td><td>{one.row or ''}</td><td>{fields}</td></tr>"
    yield "</table>"
    if len(changes) > MOST_ROWS:
        yield f"<p>And {len(changes) - MOST_ROWS} more; the plan's JSON has all.</p>"


def _field(path: str, pair: list[Any]) -> str:
    if path in ("geometry", "anchor"):
        return f"{path} moves"
    old, new = (escape("nothing" if value is None else str(value)) for value in pair)
    return f"{escape(path)}: {old} → {new}"


def _failures(failed: list[Json]) -> Iterator[str]:
    if not failed:
        return
    yield "<h2>Left out</h2><table><tr><th>Row</th><th>Key</th><th>Why</th></tr>"
    for one in failed[:MOST_ROWS]:
        why = "<br>".join(escape(reason) for reason in one["reasons"])
        yield f"<tr><td>{one['row']}</td><td>{escape(str(one['key']))}</td><td>{why}</td></tr>"
    yield "</table>"
