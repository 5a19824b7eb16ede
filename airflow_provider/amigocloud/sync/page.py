"""Page of a plan: counts, a map of the changes, and a table of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import islice
from typing import Any

from airflow_provider.amigocloud.sync.document import PlanHead
from airflow_provider.amigocloud.sync.fields import Schema
from airflow_provider.amigocloud.sync.geometry import read_stored
from airflow_provider.amigocloud.sync.store import CREATE, UPDATE, Change, SyncStore
from airflow_provider.core.input.values import UnreadableValueError
from airflow_provider.core.json_types import Json
from airflow_provider.core.sync.drawing import MOST_SHAPES, Shape, area, draw, positions
from airflow_provider.core.sync.page import (
    WORDS,
    Field,
    plan_page_parts,
    render_cards,
    render_changes,
    render_chip,
    render_failures,
    render_fields,
    render_legend,
    render_name,
)
from airflow_provider.core.sync.summary import PlanSummary

MAX_VALUE = 300
"""Maximum characters of a value."""

_DEGREES = (None, 0, 4326, 4979)
"""SRIDs of geometries that are drawn: longitude and latitude."""


def page(head: PlanHead, store: SyncStore, schema: Schema) -> Iterator[bytes]:
    """Yield the page of a plan, in parts. It loads nothing, runs no script, and escapes every text.

    :param head: the plan.
    :param store: its changes.
    :param schema: fields of the dataset.
    """
    parts = plan_page_parts(_title(head), head.fingerprint, _content(head, store, schema))
    return (f"{part}\n".encode() for part in parts)


def summarize(head: PlanHead, store: SyncStore, schema: Schema, exceeded: Sequence[str]) -> PlanSummary:
    """Return a plan in words.

    :param head: the plan.
    :param store: its changes.
    :param schema: fields of the dataset.
    :param exceeded: a sentence for each limit that the plan exceeds.
    """
    return PlanSummary(
        title=_title(head),
        compared=f"compared with {head.compared} rows of the dataset, {_aim(head)}",
        counts=_counts(store, schema),
        unchanged=head.unchanged,
        failed=store.count("failed"),
        changes=(
            (_kind(change, schema), change.name or change.key, _differences(change, schema))
            for _, change in store.changes()
        ),
        exceeded=exceeded,
    )


def _title(head: PlanHead) -> str:
    return f"Plan for dataset {head.dataset}"


def _aim(head: PlanHead) -> str:
    return f"restores state {head.restores}" if head.restores else f"by {head.key}"


def _content(head: PlanHead, store: SyncStore, schema: Schema) -> Iterator[str]:
    yield (
        f'<p class="quiet">Compared with {head.compared} rows of the dataset, {escape(_aim(head))}, in its'
        f" state {escape(head.state)}. Nothing is written yet.</p>"
    )
    counts = _counts(store, schema)
    yield render_cards(counts, head.unchanged, store.count("failed"))
    if drawn := _map(store, schema):
        yield f"<section><h2>Map</h2>{render_legend(counts)}{drawn}</section>"
    rows = (_cells(change, schema) for _, change in store.changes())
    yield from render_changes(("What", "Which", "Row", "Fields"), rows, store.count("changes"))
    yield from render_failures(store.failed())


def _counts(store: SyncStore, schema: Schema) -> dict[str, int]:
    counts = store.counts()
    moved = sum(_kind(change, schema) == "moved" for _, change in store.changes("operation = 'update'"))
    found = {"moved": moved, **counts, UPDATE: counts[UPDATE] - moved}
    return {kind: found[kind] for kind in WORDS if kind in found}


def _kind(change: Change, schema: Schema) -> str:
    moves = any(schema.fields[name].kind == "geometry" for name in change.fields if name in schema.fields)
    return "moved" if change.operation == UPDATE and moves else change.operation


def _map(store: SyncStore, schema: Schema) -> str:
    shapes: list[Shape] = []
    if schema.geometry is None:
        return ""
    for number, (_, change) in enumerate(islice(store.changes(), MOST_SHAPES), 1):
        kind, name = _kind(change, schema), change.name or change.key
        old = _outline(change.outline)
        new = _outline(change.body.get(schema.geometry)) if schema.geometry in change.body else old
        if kind == "moved" and old:
            shapes.append(Shape("old", old, title=f"{number}: was here"))
        if outline := new or old:
            shapes.append(Shape(kind, outline, name, f"{number}: {WORDS[kind]} {name}", number))
    return draw(sorted(shapes, key=area, reverse=True))


def _outline(text: Any) -> Json | None:
    """Return a geometry to draw; None for what is none in degrees."""
    try:
        shape = read_stored(text)
    except UnreadableValueError:
        return None
    found = shape.to_geojson()
    points = list(positions(found)) if shape.srid in _DEGREES and shape.coordinates else []
    fits = points and all(abs(x) <= 180 and abs(y) <= 90 for x, y in points)
    return found if fits else None


def _cells(change: Change, schema: Schema) -> tuple[str, ...]:
    name = render_name(change.name or change.key, change.key)
    fields = render_fields(_differences(change, schema))
    return render_chip(_kind(change, schema)), name, escape(str(change.row or "")), fields


def _differences(change: Change, schema: Schema) -> Iterator[Field]:
    pairs = change.fields
    if change.operation == CREATE:
        pairs = {name: [None, value] for name, value in change.body.items() if value is not None}
    for name, (old, new) in pairs.items():
        if name in schema.fields and schema.fields[name].kind == "geometry":
            yield name, "", "gets a place" if old is None else "changes" if new else ""
        else:
            yield name, _text(old), _text(new)


def _text(value: Any) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}… ({len(text)} characters)"
