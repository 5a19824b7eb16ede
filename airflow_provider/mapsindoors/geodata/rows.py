"""Rows: read table rows and GeoJSON features as geodata objects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider.core.files.reader import read_rows
from airflow_provider.core.json_types import Json
from airflow_provider.errors import InputError
from airflow_provider.mapsindoors.geodata import validation
from airflow_provider.mapsindoors.geodata.wkt_wkb import parse_geometry

REFERENCES = ("parentExternalId", "parentAdministrativeId", "parentBuilding", "parentFloor")
"""Columns that name a parent, beside ``parentId``: by external id, by administrative id, or by the index of a
floor within a building (named by id or external id)."""

_BASE_TYPE_KEYS = frozenset().union(*validation.BASE_TYPE_PROPERTIES.values()) - {"name"}


_TRANSLATED = ("name", "description")


_LONGITUDE, _LATITUDE = ("lon", "lng", "longitude"), ("lat", "latitude")


def is_feature(row: Any) -> bool:
    """Return whether a row is a GeoJSON feature."""
    return isinstance(row, Mapping) and row.get("type") == "Feature"


def from_feature(feature: Mapping[str, Any]) -> Json:
    """Return a GeoJSON feature as a flat row.

    The id is the feature's ``id`` if that is a text, or else the property ``id``: map tools number features,
    and such a number is not an id of the service.
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
    """Parse a flat row into an object.

    A column with the name of a geodata field is that field. Columns with a language (``name@en``) and the
    members of a column ``properties`` are properties. A column with the name of a base type property
    (``administrativeid``, ``capacity``, ...) is that property. Null values and columns whose names begin with
    ``_`` are ignored. Texts are parsed: ``;`` separates the values of a list, a geometry is WKT or GeoJSON.

    :param row: values by column.
    :param language: the language of ``name`` and ``description`` without one; empty to reject these columns.
    :return: the object, its references to a parent (see :data:`REFERENCES`), and the problems of the row.
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
            problems += _set_field(item, key, value, language)
    if place:
        problems += _set_point(item, place)
    return item, references, problems


def _set_field(item: Json, key: str, value: Any, language: str) -> list[str]:
    field = {"wkt": "geometry", "displayType": "displayTypeId"}.get(key, key)
    try:
        if "@" in key or (key in _TRANSLATED and language):
            return _set_property(item, key if "@" in key else f"{key}@{language}", value)
        if field in ("properties", "baseTypeProperties"):
            members = _parse_text(field, value)
            if not isinstance(members, Mapping):
                return [f"{field} must be an object, not {type(members).__name__}"]
            twice = sorted(set(members) & set(item.get(field, {})))
            item[field] = {**members, **item.get(field, {})}
            return [f"{key!r} is given twice" for key in twice]
        if field in validation.FIELDS:
            item[field] = _parse_text(field, value)
        elif key in _BASE_TYPE_KEYS:
            item.setdefault("baseTypeProperties", {})[key] = value
        else:
            return [f"{key!r} is not a field of geodata, and has no language as in '{key}@en'"]
    except ValueError as error:
        return [f"{key} {error}"]
    return []


def _set_property(item: Json, key: str, value: Any) -> list[str]:
    texts = item.setdefault("properties", {})
    if key in texts:
        return [f"{key!r} is given twice"]
    texts[key] = value
    return []


def _parse_text(field: str, value: Any) -> Any:
    """Parse a value that a table can only hold as text."""
    if field in ("geometry", "anchor"):
        return parse_geometry(value)
    if not isinstance(value, str):
        return value
    if field == "status":
        return int(value) if value.strip().isdigit() else value
    if value.lstrip().startswith(("{", "[")) and field not in ("id", "externalId"):
        return json.loads(value)
    if field in ("aliases", "categories"):
        return [part.strip() for part in value.split(";") if part.strip()]
    return value


def _set_point(item: Json, place: Mapping[str, Any]) -> list[str]:
    if "geometry" in item or len(place) < 2:
        return ["needs either a geometry, or one longitude and one latitude"]
    try:
        item["geometry"] = {"type": "Point", "coordinates": [float(place["x"]), float(place["y"])]}
    except (TypeError, ValueError):
        return [f"longitude {place['x']!r} and latitude {place['y']!r} must be numbers"]
    return []


NumberedRow = tuple[int, Json]


def read_updates(source: object) -> Iterator[NumberedRow]:
    """Yield the objects of a source as they are sent, each with its row number.

    :param source: a list of objects, or the path of a JSON, JSON Lines or GeoJSON file. A GeoJSON feature
        becomes an object: ``id`` is the feature's ``id``, or else its property ``id``; ``geometry`` is its
        geometry (and ``anchor``, too, for a point). Properties with the name of a geodata field (``status``,
        ``categories``, ...) are that field, properties with a language (``name@en``) go to ``properties``,
        those with the name of a base type property (``capacity``, ...) to ``baseTypeProperties``. Null values
        are ignored; any other property is a problem.
    :raises InputError: when the source cannot be read.
    """
    for number, row in _rows(source):
        yield number, normalize(from_flat(from_feature(row))[0] if is_feature(row) else row)


def validate_updates(source: object) -> int:
    """Validate every object of a source and return their number.

    :param source: see :func:`read_updates`.
    :raises InputError: with all problems of all rows.
    """
    problems: list[str] = []
    seen: dict[str, int] = {}
    count = 0
    try:
        for number, row in _rows(source):
            count += 1
            problems += [f"row {number}: {problem}" for problem in _update_problems(number, row, seen)]
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(problems, "geodata")
    return count


def _rows(source: object) -> Iterator[tuple[int, Any]]:
    # Rows of a list are checked in _update_problems, which reports every row that is not an object.
    return enumerate(source, 1) if isinstance(source, list) else read_rows(source, "geodata")


def _update_problems(number: int, row: Any, seen: dict[str, int]) -> Iterator[str]:
    if not isinstance(row, Mapping):
        yield f"is not an object, but {type(row).__name__}"
        return
    item = dict(row)
    if is_feature(row):
        item, parents, wrong = from_flat(from_feature(row))
        yield from wrong
        yield from (f"{name} is not resolved in an update; use parentId" for name in parents)
    key = item.get("id")
    if not isinstance(key, str) or not key.strip():
        yield "has no id; every object to update needs one"
    elif seen.setdefault(key, number) != number:
        yield f"has the id {key} of row {seen[key]}"
    yield from validation.problems(item)


def normalize(item: Mapping[str, Any]) -> Json:
    """Return an object as the service stores it.

    Property keys are in lower case, base type properties are texts, and a geometry has no ``bbox``, which the
    service derives.
    """
    out = dict(item)
    if out.get("properties"):
        out["properties"] = {key.lower(): value for key, value in out["properties"].items()}
    if out.get("baseTypeProperties"):
        out["baseTypeProperties"] = {
            key: value if value is None else as_text(value)
            for key, value in out["baseTypeProperties"].items()
        }
    if isinstance(out.get("geometry"), Mapping):
        out["geometry"] = {key: value for key, value in out["geometry"].items() if key != "bbox"}
    return out


def as_text(value: Any) -> str:
    """Return a base type property as the text that the service stores: ``true``, ``4``, ``2.5``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
