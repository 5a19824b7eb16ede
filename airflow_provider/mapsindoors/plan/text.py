"""What a plan's page says of changes, in words of people who know the building."""

from __future__ import annotations

from collections.abc import Iterator
from math import cos, hypot, radians
from typing import Any

from airflow_provider.core.json_types import Json
from airflow_provider.mapsindoors.geodata import geometry
from airflow_provider.mapsindoors.geodata.diff import NESTED, is_empty
from airflow_provider.mapsindoors.geodata.snapshot import World
from airflow_provider.mapsindoors.plan.document import Change

LONGEST = 300
"""Characters of a value that are shown."""

_DEGREE = 111_320
"""Metres of a degree of latitude."""


_STATUS = {0: "hidden", 1: "shown, not searchable", 2: "hidden", 3: "shown"}


_NAMES = {"displayTypeId": "display type", "parentId": "place", "baseTypeProperties.class": "colour class"}


_SHAPES = ("geometry", "anchor")


_TOLD_ELSEWHERE = ("baseType", "datasetId", "externalId", *_SHAPES)


def kind_of(one: Change) -> str:
    """Say what happens, in one word: ``create``, ``moved``, ``update``, ``deactivate`` or ``delete``."""
    moves = one.operation == "update" and ("geometry" in one.fields or "parentId" in one.fields)
    return "moved" if moves else one.operation


def place_name(place: str, world: World, most: int = 6) -> str:
    """Name a place: venue, building, floor, and so on.

    :param most: how many names of these, the last ones.
    """
    names: list[str] = []
    while place in world.by_id and len(names) < most:
        thing = world.by_id[place]
        floor = f"floor {(thing.get('baseTypeProperties') or {}).get('name', '')}"
        names.append(name_of(thing, world) or (floor if thing.get("baseType") == "floor" else place))
        place = thing.get("parentId") or ""
    return " · ".join(reversed(names)) or "New places"


def name_of(thing: Json, world: World) -> str:
    """Give what people call an object, empty when it has no name."""
    return str((thing.get("properties") or {}).get(f"name@{world.base_language}") or "")


def sentences(one: Change, world: World) -> Iterator[tuple[str, str, str]]:
    """Say what a change does: what it is about, how that is, and how it will be; empty for nothing.

    Ids of display types, categories and places are told by name.
    """
    if one.operation == "create":
        if one.parent_key:
            yield "place", "", f"below the new {one.parent_key}"
        for path, value in _flat(one.body):
            if not is_empty(value):
                yield _called(path), "", _said(path, value, world)
        return
    for path, (old, new) in one.fields.items():
        if path == "geometry":
            yield "geometry", "", _moved(old, new)
        elif path != "anchor" or "geometry" not in one.fields:
            yield _called(path), _said(path, old, world), _said(path, new, world)


def _flat(body: Json) -> Iterator[tuple[str, Any]]:
    for field, value in body.items():
        if field in NESTED and isinstance(value, dict):
            yield from ((f"{field}.{key}", inner) for key, inner in value.items())
        elif field not in _TOLD_ELSEWHERE:
            yield field, value


def _called(path: str) -> str:
    plain = path.removeprefix("properties.").removeprefix("baseTypeProperties.")
    return _NAMES.get(path, plain)


def _said(path: str, value: Any, world: World) -> str:
    if path == "status" and isinstance(value, int):
        return f"{_STATUS.get(value, 'unknown')} ({value})"
    if path == "parentId" and isinstance(value, str) and value in world.by_id:
        return place_name(value, world, 2)
    if path == "displayTypeId" and isinstance(value, str):
        return say(world.labels.get(value, value))
    if path == "categories" and isinstance(value, list):
        return say([world.labels.get(str(one), str(one)) for one in value])
    return say(value)


def say(value: Any) -> str:
    """Write a value as text, shortened; a list of texts without brackets."""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        value = ", ".join(value)
    text = "" if is_empty(value) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"


def _moved(old: Any, new: Any) -> str:
    """Say how far a shape goes."""
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
