"""Validation: check geodata objects, and normalize them for storage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_provider.sandbox.mapsindoors.additional_details import problems as detail_problems
from airflow_provider.sandbox.mapsindoors.geometry import anchor_of, with_bbox
from airflow_provider.sandbox.mapsindoors.geometry import problems as geometry_problems
from airflow_provider.sandbox.mapsindoors.solution import PARENTS, Json, Objects, Solution
from airflow_provider.sandbox.mapsindoors.switches import Switches

Problems = Iterator[tuple[str, str]]

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
                value = {**old.get(key, {}), **value}
        out[key] = value
    if not switches.put_checks_dataset and "datasetId" in old:
        out["datasetId"] = old["datasetId"]
    if switches.derive_anchor_on_put and "geometry" in change and change.get("anchor") is None:
        out.pop("anchor", None)
    return {key: value for key, value in out.items() if value is not None}


def _with_lower_case_keys(key: str, value: Json, switches: Switches) -> Json:
    if key != "properties" or not switches.lower_case_keys:
        return value
    return {name.lower(): text for name, text in value.items()}


def stored(item: Json, solution: Solution, switches: Switches, guid: str) -> Json:
    """Return a valid object as it is stored: with derived fields and ids, without unknown fields.

    :param guid: administrative id of an object that has none.
    """
    out = {key: item[key] for key in FIELDS if item.get(key) is not None}
    out["geometry"] = with_bbox(out["geometry"], switches.decimals)
    out["anchor"] = with_bbox(out.get("anchor") or anchor_of(out["geometry"]), switches.decimals)
    out.setdefault("status", 3)
    if "displayTypeId" in out:
        out["displayTypeId"] = resolve(solution.display_types, "name", out["displayTypeId"])
    if "categories" in out:
        out["categories"] = [resolve(solution.categories, "key", category) for category in out["categories"]]
    given = out.get("baseTypeProperties", {})
    strings = {key: _as_text(value) for key, value in given.items() if value is not None}
    out["baseTypeProperties"] = {"administrativeid": guid, **strings}
    out["properties"] = _with_lower_case_keys("properties", out.get("properties", {}), switches)
    return {key: out[key] for key in FIELDS if key in out}


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def resolve(entries: Objects, second_key: str, given: Any) -> str | None:
    """Return the id of a display type by id or name, or of a category by id or key."""
    if given in entries:
        return str(given)
    return next((key for key, entry in entries.items() if entry.get(second_key) == given), None)


def problems(item: Json, solution: Solution, objects: Objects) -> Problems:
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
    yield from _type_problems(item, solution)
    yield from _property_problems(item, solution)
    yield from _list_problems(item, solution)
    status = item.get("status", 3)
    if isinstance(status, bool) or status not in (0, 1, 2, 3):
        yield "status", "Must be 0, 1, 2 or 3."
    yield from (
        ("additionalDetails", message) for message in detail_problems(item.get("additionalDetails", []))
    )


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


def _type_problems(item: Json, solution: Solution) -> Problems:
    base_type, given = item["baseType"], item.get("baseTypeProperties", {})
    if not isinstance(given, dict):
        yield "baseTypeProperties", "Must be an object."
        return
    for key in sorted(set(given) - BASE_TYPE_PROPERTIES[base_type]):
        yield f"baseTypeProperties.{key}", f"A {base_type} has no such property."
    if base_type == "floor":
        if not str(given.get("administrativeid", "")).lstrip("-").isdigit():
            yield "baseTypeProperties.administrativeid", "A floor needs its index, a whole number."
        if not given.get("name"):
            yield "baseTypeProperties.name", "A floor needs a name."
    kind = item.get("displayTypeId")
    if kind is None:
        if base_type in ("room", "poi"):
            yield "displayTypeId", f"A {base_type} needs a display type."
    elif resolve(solution.display_types, "name", kind) is None:
        yield "displayTypeId", "There is no such display type."


def _property_problems(item: Json, solution: Solution) -> Problems:
    given = item.get("properties", {})
    if not isinstance(given, dict):
        yield "properties", "Must be an object."
        return
    languages = {*solution.dataset["availableLanguages"], "generic"}
    for key, value in given.items():
        name, _, language = key.partition("@")
        if not name or language not in languages:
            yield f"properties.{key}", "Must be <name>@<language of the solution>."
        if value is not None and not isinstance(value, str):
            yield f"properties.{key}", "Must be a string."
    base = f"name@{solution.dataset['baseLanguage']}"
    if item["baseType"] != "floor" and not {k.lower(): v for k, v in given.items()}.get(base):
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
