"""Validation: check geodata objects, and normalize them for storage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_provider.sandbox.mapsindoors.additional_details import merged_by_key, stored_detail
from airflow_provider.sandbox.mapsindoors.additional_details import problems as detail_problems
from airflow_provider.sandbox.mapsindoors.geometry import anchor_of, polygons, with_bbox
from airflow_provider.sandbox.mapsindoors.geometry import problems as geometry_problems
from airflow_provider.sandbox.mapsindoors.solution import PARENTS, Json, Objects, Solution
from airflow_provider.sandbox.mapsindoors.strict.polygons import problems as polygon_problems
from airflow_provider.sandbox.mapsindoors.strict.texts import (
    DATES,
    DAYS,
    ID,
    NUMBERS,
    is_index,
    is_time_of_day,
    key_problems,
    text_problems,
    twice,
)
from airflow_provider.sandbox.mapsindoors.switches import Switches

Problems = Iterator[tuple[str, str]]
NO_ID = "Must be an id of 24 hexadecimal digits."

FIELDS = (
    "id",
    "parentId",
    "datasetId",
    "externalId",
    "baseType",
    "displayTypeId",
    "displaySetting",
    "geometry",
    "anchor",
    "aliases",
    "categories",
    "status",
    "baseTypeProperties",
    "properties",
    "additionalDetails",
    "tilesUrl",
    "tileStyles",
)
NESTED = ("properties", "baseTypeProperties", "displaySetting")
LOCATION = {"administrativeid", "class", "imageurl", "activefrom", "activeto", "capacity", "obstacle"}
BASE_TYPE_PROPERTIES = {
    "venue": {"administrativeid", "defaultfloor", "imageurl", "activestylefolder", "graphid", "graphsetup"},
    "building": {"administrativeid", "defaultfloor", "imageurl"},
    "floor": {"administrativeid", "name"},
    "room": LOCATION,
    "area": LOCATION,
    "poi": LOCATION,
}


def merged(old: Json, change: Json, switches: Switches) -> Json:
    """Return an object updated by a PUT: absent fields stay, null removes a field."""
    out = dict(old)
    for key in FIELDS:
        if key not in change or key == "id":
            continue
        value = change[key]
        if key in NESTED and isinstance(value, dict):
            value = _with_lower_case_keys(key, value, switches)
            if switches.nested_put == "merge":
                value = {**_with_lower_case_keys(key, old.get(key, {}), switches), **value}
        out[key] = value
    if switches.put_parent == "ignore" and "parentId" in old:
        out["parentId"] = old["parentId"]
    if switches.details_put == "merge" and isinstance(change.get("additionalDetails"), list):
        out["additionalDetails"] = merged_by_key(old.get("additionalDetails"), change["additionalDetails"])
    _keep_dates(out, old, switches)
    if not switches.put_checks_dataset and "datasetId" in old:
        out["datasetId"] = old["datasetId"]
    if switches.derive_anchor_on_put and "geometry" in change and change.get("anchor") is None:
        out.pop("anchor", None)
    return {key: value for key, value in out.items() if value is not None}


def _keep_dates(out: Json, old: Json, switches: Switches) -> None:
    """Put back the dates that a PUT would clear, where an empty text leaves them."""
    members, there = out.get("baseTypeProperties"), old.get("baseTypeProperties") or {}
    if switches.empty_dates == "keep" and isinstance(members, dict):
        kept = {key: there[key] for key in DATES if members.get(key) == "" and there.get(key)}
        out["baseTypeProperties"] = {**members, **kept}


def _with_lower_case_keys(key: str, value: Json, switches: Switches) -> Json:
    return _lower(value) if key == "properties" and switches.lower_case_keys else value


def _lower(properties: Json) -> Json:
    return {name.lower(): text for name, text in properties.items()}


def shown(item: Json, solution: Solution, switches: Switches) -> Json:
    """Return an object as a read returns it: its property keys in lower case, or as they were written."""
    properties = item.get("properties")
    if not isinstance(properties, dict):
        return item
    if switches.lower_case_keys:
        is_lower = all(key == key.lower() for key in properties)
        return item if is_lower else {**item, "properties": _lower(properties)}
    written = solution.spellings.get(str(item.get("id")), {})
    if not written.keys() & properties.keys() or set(written.values()) & properties.keys():
        return item
    return {**item, "properties": {written.get(key, key): value for key, value in properties.items()}}


def stored(item: Json, solution: Solution, switches: Switches, guid: str) -> Json:
    """Return a valid object as it is stored: with derived fields and ids, without unknown fields.

    :param guid: administrative id of an object that has none.
    """
    out = {key: item[key] for key in FIELDS if item.get(key) is not None}
    out["geometry"] = with_bbox(out["geometry"], switches.decimals)
    out["anchor"] = with_bbox(out.get("anchor") or anchor_of(out["geometry"]), switches.decimals)
    out.setdefault("status", 3)
    if "displayTypeId" in out:
        given = out["displayTypeId"]
        out["displayTypeId"] = resolve(solution.display_types, "name", given) or given
    if "categories" in out:
        out["categories"] = [resolve(solution.categories, "key", category) for category in out["categories"]]
    members = out.get("baseTypeProperties", {})
    strings = {key: _as_text(value) for key, value in members.items() if value is not None}
    out["baseTypeProperties"] = {"administrativeid": guid, **strings}
    if "additionalDetails" in out:
        to_24 = switches.opening_hours == "24-hours"
        out["additionalDetails"] = [stored_detail(detail, to_24) for detail in out["additionalDetails"]]
    out["properties"] = _with_lower_case_keys("properties", out.get("properties", {}), switches)
    return {key: out[key] for key in FIELDS if key in out}


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def resolve(entries: Objects, second_key: str, given: Any) -> str | None:
    """Return the id of a display type by id or name, or of a category by id or key."""
    if given in entries:
        return str(given)
    return next((key for key, entry in entries.items() if entry.get(second_key) == given), None)


def is_blank(text: Any, switches: Switches) -> bool:
    """Return whether a required text is missing; blanks are none to a strict service."""
    return not text or (switches.strict and isinstance(text, str) and not text.strip())


def is_id(text: Any, switches: Switches) -> bool:
    """Return whether a text is an id, as far as the switches want that."""
    return not switches.checks("ids") or (isinstance(text, str) and bool(ID.fullmatch(text)))


def change_problems(item: Json, switches: Switches) -> Problems:
    """Yield the problems of the fields of a request, as pairs of field and message; some may be absent."""
    for key in ("id", "parentId", "datasetId"):
        if item.get(key) is not None and not is_id(item[key], switches):
            yield key, NO_ID
    properties = item.get("properties")
    if isinstance(properties, dict) and switches.checks("keys"):
        yield from key_problems(properties)
        if switches.lower_case_keys:
            yield from twice(properties)
    if switches.checks("geometry") and not list(geometry_problems(item.get("geometry"), None, any_kind=True)):
        shape = item["geometry"]
        if shape["type"] != "Point":
            found = polygon_problems(polygons(shape), switches.ring_order)
            yield from (("geometry", message) for message in found)


def problems(item: Json, solution: Solution, objects: Objects, switches: Switches) -> Problems:
    """Yield all problems of an object, as pairs of field and message.

    :param objects: the objects that may be its parent.
    """
    base_type = item.get("baseType")
    if base_type not in PARENTS:
        yield "baseType", f"Must be one of {', '.join(PARENTS)}."
        return
    yield from _place_problems(item, solution, objects)
    yield from (("geometry", message) for message in geometry_problems(item.get("geometry"), base_type))
    if "anchor" in item:
        yield from (("anchor", message) for message in geometry_problems(item["anchor"], "poi"))
    yield from _type_problems(item, solution, switches)
    yield from _property_problems(item, solution, switches)
    yield from _list_problems(item, solution)
    status = item.get("status", 3)
    if switches.check_status and (isinstance(status, bool) or status not in (0, 1, 2, 3)):
        yield "status", "Must be 0, 1, 2 or 3."
    yield from (
        ("additionalDetails", message)
        for message in detail_problems(item.get("additionalDetails", []), _languages(solution, switches))
    )
    if switches.checks("dates"):
        yield from _opening_problems(item)


def _languages(solution: Solution, switches: Switches) -> set[str] | None:
    """Return the languages that a text of an object may be in; None for any."""
    return {*solution.dataset["availableLanguages"], "generic"} if switches.check_languages else None


def _opening_problems(item: Json) -> Problems:
    """Yield the opening hours that are no times of day."""
    for number, detail in enumerate(item.get("additionalDetails", [])):
        hours = detail.get("openingHours") or {} if isinstance(detail, dict) else {}
        for day, span in (hours.get("standardOpeningHours") or {}).items():
            path = f"additionalDetails[{number}].openingHours.standardOpeningHours.{day}"
            if day not in DAYS:
                yield path, "Must be a day of the week."
            elif isinstance(span, dict) and not span.get("closedAllDay"):
                for key in ("startTime", "endTime"):
                    if not is_time_of_day(str(span.get(key, ""))):
                        yield f"{path}.{key}", "Must be a time of day."


def _place_problems(item: Json, solution: Solution, objects: Objects) -> Problems:
    if item.get("datasetId") != solution.id:
        yield "datasetId", "Must be the solution's id."
    parent_id, allowed = item.get("parentId"), PARENTS[item["baseType"]]
    if parent_id is None:
        if None not in allowed:
            yield "parentId", f"A {item['baseType']} needs a parent."
        return
    parent = objects.get(parent_id)
    if parent is None:
        yield "parentId", "There is no such object."
    elif parent["baseType"] not in allowed:
        yield "parentId", f"A {item['baseType']} cannot be below a {parent['baseType']}."


def _type_problems(item: Json, solution: Solution, switches: Switches) -> Problems:
    base_type, given = item["baseType"], item.get("baseTypeProperties", {})
    if not isinstance(given, dict):
        yield "baseTypeProperties", "Must be an object."
        return
    for key in sorted(set(given) - BASE_TYPE_PROPERTIES[base_type]):
        yield f"baseTypeProperties.{key}", f"A {base_type} has no such property."
    if base_type == "floor":
        if not is_index(str(given.get("administrativeid", "")), switches.checks("numbers")):
            yield "baseTypeProperties.administrativeid", "A floor needs its index, a whole number."
        if not given.get("name"):
            yield "baseTypeProperties.name", "A floor needs a name."
    if switches.empty_dates == "refuse":
        empty = [key for key in DATES if given.get(key) == ""]
        yield from ((f"baseTypeProperties.{key}", "Must not be empty.") for key in empty)
    if switches.checks("dates"):
        yield from text_problems(given, DATES)
    if switches.checks("numbers"):
        yield from text_problems(given, NUMBERS)
    yield from _display_type_problems(item, solution, switches)


def _display_type_problems(item: Json, solution: Solution, switches: Switches) -> Problems:
    base_type = item["baseType"]
    kind = item.get("displayTypeId")
    if kind is None:
        if base_type in ("room", "poi"):
            yield "displayTypeId", f"A {base_type} needs a display type."
    elif switches.check_display_types and resolve(solution.display_types, "name", kind) is None:
        yield "displayTypeId", "There is no such display type."


def _property_problems(item: Json, solution: Solution, switches: Switches) -> Problems:
    given = item.get("properties", {})
    if not isinstance(given, dict):
        yield "properties", "Must be an object."
        return
    languages = _languages(solution, switches)
    for key, value in given.items():
        name, _, language = key.partition("@")
        if not name or (language not in languages if languages else not language):
            yield f"properties.{key}", "Must be <name>@<language of the solution>."
        if value is not None and not isinstance(value, str):
            yield f"properties.{key}", "Must be a string."
    base = f"name@{solution.dataset['baseLanguage']}"
    name = {key.lower(): value for key, value in given.items()}.get(base.lower())
    if item["baseType"] != "floor" and is_blank(name, switches):
        yield f"properties.{base}", "The name in the solution's base language is required."


def _list_problems(item: Json, solution: Solution) -> Problems:
    for key in ("aliases", "categories"):
        if not all(isinstance(category, str) for category in item.get(key, [])):
            yield key, "Must be a list of strings."
            return
    for category in item.get("categories", []):
        if resolve(solution.categories, "key", category) is None:
            yield "categories", f"There is no category {category}."
    if item.get("categories") and item["baseType"] in ("venue", "building", "floor"):
        yield "categories", f"A {item['baseType']} has no categories."
