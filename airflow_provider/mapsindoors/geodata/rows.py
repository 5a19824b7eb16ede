"""Flat rows, as tables and GeoJSON properties have them, as geodata objects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider.core.files.reader import read_rows
from airflow_provider.core.json_types import Json
from airflow_provider.errors import InputError
from airflow_provider.mapsindoors.geodata import validation
from airflow_provider.mapsindoors.geodata.wkt_wkb import read_shape

REFERENCES = ("parentExternalId", "parentAdministrativeId", "parentBuilding", "parentFloor")
"""How a row may name its parent, beside ``parentId``: by external id, by administrative id, or by the index
of a floor within a building (named by id or external id)."""

_BASE_TYPE_KEYS = frozenset().union(*validation.BASE_TYPE_PROPERTIES.values()) - {"name"}


_TRANSLATED = ("name", "description")


_LONGITUDE, _LATITUDE = ("lon", "lng", "longitude"), ("lat", "latitude")


def is_feature(row: Any) -> bool:
    """Tell whether a row is a GeoJSON feature."""
    return isinstance(row, Mapping) and row.get("type") == "Feature"


def from_feature(feature: Mapping[str, Any]) -> Json:
    """Give a GeoJSON feature as a flat row.

    The id is the feature's ``id`` when that is a text (map tools number features, and such a number is not
    the service's id), or else the property ``id``.
    """
    row = dict(feature.get("properties") or {})
    if isinstance(feature.get("id"), str):
        row["id"] = feature["id"]
    shape = feature.get("geometry")
    if shape is not None:
        row["geometry"] = shape
        if row.get("anchor") is None and isinstance(shape, dict) and shape.get("type") == "Point":
            row["anchor"] = {"type": "Point", "coordinates": shape.get("coordinates")}
    return row


def from_flat(row: Mapping[str, Any], language: str = "") -> tuple[Json, dict[str, str], list[str]]:
    """Give a flat row as an object.

    Columns named like a field of geodata are that field, columns with a language (``name@en``) and the
    members of a column ``properties`` are properties, columns named like a base type property
    (``administrativeid``, ``capacity``, ...) are that, null is left out, names that begin with ``_`` are
    ignored. Texts are read: lists are separated by ``;``, shapes are WKT or GeoJSON.

    :param language: what ``name`` and ``description`` without a language mean; empty to refuse them.
    :return: the object, how it names its parent (see :data:`REFERENCES`), and what is wrong.
    """
    item: Json = {}
    references: dict[str, str] = {}
    problems: list[str] = []
    place: dict[str, Any] = {}
    for key, value in row.items():
        if value is None or key.startswith("_"):
            continue
        if key in REFERENCES:
            references[key] = str(value)
        elif key in (*_LONGITUDE, *_LATITUDE):
            place["x" if key in _LONGITUDE else "y"] = value
        else:
            problems += _put(item, key, value, language)
    if place:
        problems += _put_point(item, place)
    return item, references, problems


def _put(item: Json, key: str, value: Any, language: str) -> list[str]:
    field = {"wkt": "geometry", "displayType": "displayTypeId"}.get(key, key)
    try:
        if "@" in key or (key in _TRANSLATED and language):
            return _put_text(item, key if "@" in key else f"{key}@{language}", value)
        if field in ("properties", "baseTypeProperties"):
            members = _read(field, value)
            if not isinstance(members, Mapping):
                return [f"{field} must be an object, not {type(members).__name__}"]
            twice = sorted(set(members) & set(item.get(field, {})))
            item[field] = {**members, **item.get(field, {})}
            return [f"{key!r} is given twice" for key in twice]
        if field in validation.FIELDS:
            item[field] = _read(field, value)
        elif key in _BASE_TYPE_KEYS:
            item.setdefault("baseTypeProperties", {})[key] = value
        else:
            return [f"{key!r} is no field of geodata, and has no language as in '{key}@en'"]
    except ValueError as error:
        return [f"{key} {error}"]
    return []


def _put_text(item: Json, key: str, value: Any) -> list[str]:
    texts = item.setdefault("properties", {})
    if key in texts:
        return [f"{key!r} is given twice"]
    texts[key] = value
    return []


def _read(field: str, value: Any) -> Any:
    """Read a value that a table could only hold as text."""
    if field in ("geometry", "anchor"):
        return read_shape(value)
    if not isinstance(value, str):
        return value
    if field == "status":
        return int(value) if value.strip().isdigit() else value
    if value.lstrip().startswith(("{", "[")) and field not in ("id", "externalId"):
        return json.loads(value)
    if field in ("aliases", "categories"):
        return [part.strip() for part in value.split(";") if part.strip()]
    return value


def _put_point(item: Json, place: Mapping[str, Any]) -> list[str]:
    if "geometry" in item or len(place) < 2:
        return ["needs either a geometry, or one longitude and one latitude"]
    try:
        item["geometry"] = {"type": "Point", "coordinates": [float(place["x"]), float(place["y"])]}
    except (TypeError, ValueError):
        return [f"longitude {place['x']!r} and latitude {place['y']!r} must be numbers"]
    return []


Numbered = tuple[int, Json]


def read_updates(source: object) -> Iterator[Numbered]:
    """Give the objects of a source one by one, each with its row number, as they are sent.

    :param source: a list of objects, or the path of a JSON, JSON Lines or GeoJSON file. A GeoJSON feature
        becomes an object like this: ``id`` from the feature's ``id``, or else from its property ``id``;
        ``geometry`` from its geometry (and ``anchor`` too, for a point); properties that are named like a
        field of geodata (``status``, ``categories``, ...) are that field; properties with a language
        (``name@en``) go to ``properties``, those named like a base type property (``capacity``, ...) to
        ``baseTypeProperties``; null is left out; anything else is a problem.
    :raises InputError: when the source cannot be read.
    """
    for number, row in _rows(source):
        yield number, as_sent(from_flat(from_feature(row))[0] if is_feature(row) else row)


def check_updates(source: object) -> int:
    """Read a source to its end and check every object; gives how many there are.

    :raises InputError: with all problems of all rows.
    """
    problems: list[str] = []
    seen: dict[str, int] = {}
    count = 0
    try:
        for number, row in _rows(source):
            count += 1
            problems += [f"row {number}: {said}" for said in _update_problems(number, row, seen)]
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(problems, "geodata")
    return count


def _rows(source: object) -> Iterator[tuple[int, Any]]:
    # Rows of a list are checked here, so that each that is no object is reported, not only the first.
    return enumerate(source, 1) if isinstance(source, list) else read_rows(source, "geodata")


def _update_problems(number: int, row: Any, seen: dict[str, int]) -> Iterator[str]:
    if not isinstance(row, Mapping):
        yield f"is no object but {type(row).__name__}"
        return
    item = dict(row)
    if is_feature(row):
        item, parents, wrong = from_flat(from_feature(row))
        yield from wrong
        yield from (f"{name} is not looked up in an update; give parentId" for name in parents)
    key = item.get("id")
    if not isinstance(key, str) or not key.strip():
        yield "has no id; every object to update needs one"
    elif seen.setdefault(key, number) != number:
        yield f"has the id {key} of row {seen[key]}"
    yield from validation.problems(item)


def as_sent(item: Mapping[str, Any]) -> Json:
    """Give an object in the service's spelling.

    Property keys are in lower case, base type properties are texts, and an area has no ``bbox``, which the
    service derives.
    """
    out = dict(item)
    if out.get("properties"):
        out["properties"] = {key.lower(): value for key, value in out["properties"].items()}
    if out.get("baseTypeProperties"):
        out["baseTypeProperties"] = {
            key: value if value is None else spelled(value)
            for key, value in out["baseTypeProperties"].items()
        }
    if isinstance(out.get("geometry"), Mapping):
        out["geometry"] = {key: value for key, value in out["geometry"].items() if key != "bbox"}
    return out


def spelled(value: Any) -> str:
    """Spell a value as text, as the service keeps it: ``true``, ``4``, ``2.5``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
