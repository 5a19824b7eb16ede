"""Wording: describe changes for readers who know the building, by name instead of by id."""

from __future__ import annotations

from collections.abc import Iterator
from math import cos, hypot, radians
from typing import Any

from airflow_provider.core.json_types import Json
from airflow_provider.mapsindoors.geodata import geometry
from airflow_provider.mapsindoors.geodata.diff import NESTED, is_empty
from airflow_provider.mapsindoors.geodata.snapshot import SolutionSnapshot
from airflow_provider.mapsindoors.plan.document import Change

LONGEST = 300
"""Maximum characters of a value."""

_DEGREE = 111_320
"""Metres per degree of latitude."""


_STATUS = {0: "hidden", 1: "shown, not searchable", 2: "hidden", 3: "shown"}


_NAMES = {"displayTypeId": "display type", "parentId": "place", "baseTypeProperties.class": "colour class"}


_SHAPES = ("geometry", "anchor")


_SHOWN_ELSEWHERE = ("baseType", "datasetId", "externalId", *_SHAPES)


def kind_of(change: Change) -> str:
    """Return the kind of a change: ``create``, ``moved``, ``update``, ``deactivate`` or ``delete``."""
    moves = change.operation == "update" and ("geometry" in change.fields or "parentId" in change.fields)
    return "moved" if moves else change.operation


def place_name(place: str, snapshot: SolutionSnapshot, most: int = 6) -> str:
    """Return the name of a place as a path: venue, building, floor, and so on.

    :param place: id of the place; empty for new places.
    :param snapshot: the solution.
    :param most: maximum number of names, from the end of the path.
    """
    names: list[str] = []
    while place in snapshot.by_id and len(names) < most:
        item = snapshot.by_id[place]
        floor = f"floor {(item.get('baseTypeProperties') or {}).get('name', '')}"
        names.append(name_of(item, snapshot) or (floor if item.get("baseType") == "floor" else place))
        place = item.get("parentId") or ""
    return " · ".join(reversed(names)) or "New places"


def name_of(item: Json, snapshot: SolutionSnapshot) -> str:
    """Return the name of an object in the base language; empty when it has none."""
    return str((item.get("properties") or {}).get(f"name@{snapshot.base_language}") or "")


def describe_change(change: Change, snapshot: SolutionSnapshot) -> Iterator[tuple[str, str, str]]:
    """Yield the differences of a change: field, old value and new value; an empty text for no value.

    Display types, categories and places have their names instead of their ids.
    """
    if change.operation == "create":
        if change.parent_key:
            yield "place", "", f"below the new {change.parent_key}"
        for path, value in _flat(change.body):
            if path == "additionalDetails":
                yield from _describe_details(None, value)
            elif not is_empty(value):
                yield _field_name(path), "", _value_text(path, value, snapshot)
        return
    for path, (old, new) in change.fields.items():
        if path == "geometry":
            yield "geometry", "", _describe_move(old, new)
        elif path == "additionalDetails":
            yield from _describe_details(old, new)
        elif path != "anchor" or "geometry" not in change.fields:
            yield _field_name(path), _value_text(path, old, snapshot), _value_text(path, new, snapshot)


def _describe_details(old: Any, new: Any) -> Iterator[tuple[str, str, str]]:
    """Yield the details that differ, by their keys."""
    before, after = (
        {str(one.get("key")): one for one in given or () if isinstance(one, dict)} for given in (old, new)
    )
    for key in {**before, **after}:
        if before.get(key) != after.get(key):
            yield f"detail {key}", _detail_text(before.get(key)), _detail_text(after.get(key))


def _detail_text(detail: Json | None) -> str:
    """Return a detail in words: its value or its opening hours, and what else it has."""
    if not detail:
        return ""
    days = (detail.get("openingHours") or {}).get("standardOpeningHours") or {}
    parts = [str(detail.get("value") or "")]
    for day, span in days.items():
        if span is None:
            continue
        hours = "closed" if span.get("closedAllDay") else f"{span.get('startTime')}-{span.get('endTime')}"
        parts.append(f"{day} {hours}")
    shown = ("key", "detailType", "value", "openingHours")
    parts += [f"{name} {to_text(value)}" for name, value in detail.items() if name not in shown]
    return to_text(", ".join(filter(None, parts)))


def _flat(body: Json) -> Iterator[tuple[str, Any]]:
    for field, value in body.items():
        if field in NESTED and isinstance(value, dict):
            yield from ((f"{field}.{key}", inner) for key, inner in value.items())
        elif field not in _SHOWN_ELSEWHERE:
            yield field, value


def _field_name(path: str) -> str:
    plain = path.removeprefix("properties.").removeprefix("baseTypeProperties.")
    return _NAMES.get(path, plain)


def _value_text(path: str, value: Any, snapshot: SolutionSnapshot) -> str:
    if path == "status" and isinstance(value, int):
        return f"{_STATUS.get(value, 'unknown')} ({value})"
    if path == "parentId" and isinstance(value, str) and value in snapshot.by_id:
        return place_name(value, snapshot, 2)
    if path == "displayTypeId" and isinstance(value, str):
        return to_text(snapshot.labels.get(value, value))
    if path == "categories" and isinstance(value, list):
        return to_text([snapshot.labels.get(str(category), str(category)) for category in value])
    return to_text(value)


def to_text(value: Any) -> str:
    """Return a value as shortened text; a list of texts without brackets."""
    if isinstance(value, list) and all(isinstance(text, str) for text in value):
        value = ", ".join(value)
    text = "" if is_empty(value) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"


def _describe_move(old: Any, new: Any) -> str:
    """Describe the move of a geometry, with the distance in metres."""
    if not (geometry.is_drawable(old) and geometry.is_drawable(new)):
        return "gets a place"
    (x1, y1), (x2, y2) = map(_centre, (old, new))
    metres = hypot((x2 - x1) * cos(radians(y1)), y2 - y1) * _DEGREE
    if old["type"] == new["type"] == "Point" or metres >= 1:
        return f"moves by {metres:.1f} m"
    return "changes its outline"


def _centre(shape: Json) -> tuple[float, float]:
    west, south, east, north = geometry.bounds(shape)
    return (west + east) / 2, (south + north) / 2
