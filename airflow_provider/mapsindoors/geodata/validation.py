"""Validation: check the fields of a geodata object before any request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider.core.input.problems import nearest
from airflow_provider.core.input.values import shown, shown_value
from airflow_provider.errors import with_article
from airflow_provider.mapsindoors.api import BASE_TYPES as BASE_TYPES
from airflow_provider.mapsindoors.geodata import geometry
from airflow_provider.mapsindoors.geodata.values import plain_key

_LOCATION = frozenset(
    {"administrativeid", "class", "imageurl", "activefrom", "activeto", "capacity", "obstacle"}
)


BASE_TYPE_PROPERTIES = {
    "venue": frozenset(
        {"administrativeid", "defaultfloor", "imageurl", "activestylefolder", "graphid", "graphsetup"}
    ),
    "building": frozenset({"administrativeid", "defaultfloor", "imageurl"}),
    "floor": frozenset({"administrativeid", "name"}),
    "room": _LOCATION,
    "area": _LOCATION,
    "poi": _LOCATION,
}
"""Allowed base type properties by base type: from the vendor's docs, two of them from real data."""

MEMBER_KEYS = frozenset().union(*BASE_TYPE_PROPERTIES.values())
"""Base type properties of all base types."""

_TEXTS = ("id", "parentId", "datasetId", "externalId", "baseType", "displayTypeId", "tilesUrl")


_OBJECTS = ("displaySetting", "geometry", "anchor", "baseTypeProperties", "properties")


_LISTS = ("aliases", "categories", "additionalDetails", "tileStyles")


FIELDS = (*_TEXTS, *_OBJECTS, *_LISTS, "status")


_TYPES: dict[str, type] = {
    **dict.fromkeys(_TEXTS, str),
    **dict.fromkeys(_OBJECTS, dict),
    **dict.fromkeys(_LISTS, list),
}
"""The types of fields."""

_NAMED = ((_TEXTS, "a text"), (_OBJECTS, "an object"), (_LISTS, "a list"))
"""Fields of a type, and the type in words."""


def problems(item: Mapping[str, Any]) -> Iterator[str]:
    """Yield the problems of an object's fields, each with the field's name first.

    Fields may be absent or null, because an update has only the fields that change.

    :param item: the object.
    """
    wrong = {
        field
        for field, value in item.items()
        if value is not None and not isinstance(value, _TYPES.get(field, object))
    }
    for fields, what in _NAMED if wrong else ():
        for field in fields:
            if field in wrong:
                yield f"{field} must be {what}, not {type(item[field]).__name__}"
    given = {field: value for field, value in item.items() if value is not None and field not in wrong}
    base_type = given.get("baseType")
    if base_type is not None and base_type not in BASE_TYPES:
        hint = nearest(str(base_type)[:100], BASE_TYPES)
        yield f"baseType {shown_value(base_type)} is unknown; it is one of {', '.join(BASE_TYPES)}{hint}"
        base_type = None
    yield from _shape_problems(given, base_type)
    if "properties" in given:
        yield from _property_problems(given["properties"])
    if "baseTypeProperties" in given:
        yield from _base_type_property_problems(given["baseTypeProperties"], base_type)
    for field in ("aliases", "categories"):
        if field in given and not all(isinstance(text, str) for text in given[field]):
            yield f"{field} must be a list of texts"
    status = given.get("status", 3)
    if not isinstance(status, int) or isinstance(status, bool) or status not in (0, 1, 2, 3):
        yield f"status must be 0, 1, 2 or 3, not {shown_value(status)}"


def base_type_problems(item: Mapping[str, Any], base_type: str) -> Iterator[str]:
    """Yield the problems that an object without problems has as one of a base type.

    :param item: the object, which :func:`problems` has validated without its base type.
    :param base_type: the base type.
    """
    if item.get("geometry") is not None and (wrong := geometry.kind_problem(item["geometry"], base_type)):
        yield f"geometry {wrong}"
    if members := item.get("baseTypeProperties"):
        yield from _base_type_property_problems(members, base_type)


def _shape_problems(given: Mapping[str, Any], base_type: str | None) -> Iterator[str]:
    if "geometry" in given:
        yield from (f"geometry {problem}" for problem in geometry.problems(given["geometry"], base_type))
    if "anchor" in given:
        yield from (f"anchor {problem}" for problem in geometry.problems(given["anchor"], "poi"))


def _property_problems(properties: Mapping[str, Any]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for key, value in properties.items():
        name, at, language = key.partition("@")
        if not name or not at or not language or "@" in language:
            yield f"properties key {shown(key)} must be '<name>@<language>' (or '@generic')"
        elif name != name.strip() or language != language.strip():
            yield f"properties key {shown(key)} has blanks around its name or language"
        if value is not None and not isinstance(value, str):
            yield f"properties value of {shown(key)} must be a text, not {type(value).__name__}"
        other = seen.setdefault(plain_key(key), key)
        if other != key:
            both = f"{shown(other)} and {shown(key)}"
            yield f"properties keys {both} are the same key: keys are matched without case"


def _base_type_property_problems(given: Mapping[str, Any], base_type: str | None) -> Iterator[str]:
    if base_type is None:
        for key in sorted(set(given) - MEMBER_KEYS):
            yield f"baseTypeProperties key {shown(key)} is unknown{nearest(key[:100], MEMBER_KEYS)}"
    else:
        for key in sorted(set(given) - BASE_TYPE_PROPERTIES[base_type]):
            allowed = ", ".join(sorted(BASE_TYPE_PROPERTIES[base_type]))
            hint = nearest(key[:100], BASE_TYPE_PROPERTIES[base_type])
            allowed = f"allowed are {allowed}{hint}"
            owner = with_article(base_type)
            yield f"baseTypeProperties key {shown(key)} is not allowed for {owner}; {allowed}"
    for key, value in given.items():
        if isinstance(value, (dict, list)):
            yield f"baseTypeProperties value of {shown(key)} must be a text, number or boolean"
