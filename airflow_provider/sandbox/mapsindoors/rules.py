"""What a geodata object must be, and how the service stores it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_provider.sandbox.mapsindoors import shapes
from airflow_provider.sandbox.mapsindoors.details import faults as detail_faults
from airflow_provider.sandbox.mapsindoors.solution import PARENTS, Json, Objects, Solution
from airflow_provider.sandbox.mapsindoors.switches import Switches

Faults = Iterator[tuple[str, str]]

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
    """Give an object with a PUT's fields in it: what the PUT does not name stays, null takes it away."""
    out = dict(old)
    for key in FIELDS:
        if key not in change or key == "id":
            continue
        value = change[key]
        if key in NESTED and isinstance(value, dict):
            value = _lowered(key, value, switches)
            if switches.nested_put == "merge":
                value = {**old.get(key, {}), **value}
        out[key] = value
    if not switches.put_checks_dataset and "datasetId" in old:
        out["datasetId"] = old["datasetId"]
    if switches.derive_anchor_on_put and "geometry" in change and change.get("anchor") is None:
        out.pop("anchor", None)
    return {key: value for key, value in out.items() if value is not None}


def _lowered(key: str, value: Json, switches: Switches) -> Json:
    if key != "properties" or not switches.lower_case_keys:
        return value
    return {name.lower(): text for name, text in value.items()}


def stored(thing: Json, solution: Solution, switches: Switches, guid: str) -> Json:
    """Give a valid object as the service keeps it: derived fields in, names resolved, the rest dropped.

    :param guid: the administrative id if the object has none.
    """
    out = {key: thing[key] for key in FIELDS if thing.get(key) is not None}
    out["geometry"] = shapes.with_bbox(out["geometry"], switches.decimals)
    out["anchor"] = shapes.with_bbox(
        out.get("anchor") or shapes.anchor_of(out["geometry"]), switches.decimals
    )
    out.setdefault("status", 3)
    if "displayTypeId" in out:
        out["displayTypeId"] = resolve(solution.display_types, "name", out["displayTypeId"])
    if "categories" in out:
        out["categories"] = [resolve(solution.categories, "key", one) for one in out["categories"]]
    given = out.get("baseTypeProperties", {})
    strings = {key: _spelled(value) for key, value in given.items() if value is not None}
    out["baseTypeProperties"] = {"administrativeid": guid, **strings}
    out["properties"] = _lowered("properties", out.get("properties", {}), switches)
    return {key: out[key] for key in FIELDS if key in out}


def _spelled(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def resolve(things: Objects, second_key: str, given: Any) -> str | None:
    """Find a display type by id or name, a category by id or key."""
    if given in things:
        return str(given)
    return next((key for key, one in things.items() if one.get(second_key) == given), None)


def faults(thing: Json, solution: Solution, world: Objects) -> Faults:
    """Say everything that is wrong with an object, as ``(field, message)``.

    :param world: the objects that may be its parent.
    """
    base_type = thing.get("baseType")
    if base_type not in PARENTS:
        yield "baseType", f"Must be one of {', '.join(PARENTS)}."
        return
    yield from _place_faults(thing, solution, world)
    yield from (("geometry", said) for said in shapes.faults(thing.get("geometry"), base_type))
    if "anchor" in thing:
        yield from (("anchor", said) for said in shapes.faults(thing["anchor"], "poi"))
    yield from _type_faults(thing, solution)
    yield from _property_faults(thing, solution)
    yield from _list_faults(thing, solution)
    status = thing.get("status", 3)
    if isinstance(status, bool) or status not in (0, 1, 2, 3):
        yield "status", "Must be 0, 1, 2 or 3."
    yield from (("additionalDetails", said) for said in detail_faults(thing.get("additionalDetails", [])))


def _place_faults(thing: Json, solution: Solution, world: Objects) -> Faults:
    if thing.get("datasetId") != solution.id:
        yield "datasetId", "Must be the solution's id."
    parent_id, allowed = thing.get("parentId"), PARENTS[thing["baseType"]]
    if parent_id is None:
        if None not in allowed:
            yield "parentId", f"A {thing['baseType']} needs a parent."
        return
    parent = world.get(parent_id)
    if parent is None:
        yield "parentId", "There is no such object."
    elif parent["baseType"] not in allowed:
        yield "parentId", f"A {thing['baseType']} cannot be below a {parent['baseType']}."


def _type_faults(thing: Json, solution: Solution) -> Faults:
    base_type, given = thing["baseType"], thing.get("baseTypeProperties", {})
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
    kind = thing.get("displayTypeId")
    if kind is None:
        if base_type in ("room", "poi"):
            yield "displayTypeId", f"A {base_type} needs a display type."
    elif resolve(solution.display_types, "name", kind) is None:
        yield "displayTypeId", "There is no such display type."


def _property_faults(thing: Json, solution: Solution) -> Faults:
    given = thing.get("properties", {})
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
    if thing["baseType"] != "floor" and not {k.lower(): v for k, v in given.items()}.get(base):
        yield f"properties.{base}", "The name in the solution's base language is required."


def _list_faults(thing: Json, solution: Solution) -> Faults:
    for key in ("aliases", "categories"):
        if not all(isinstance(one, str) for one in thing.get(key, [])):
            yield key, "Must be a list of strings."
            return
    for one in thing.get("categories", []):
        if resolve(solution.categories, "key", one) is None:
            yield "categories", f"There is no category {one}."
    if thing.get("categories") and thing["baseType"] in ("venue", "building", "floor"):
        yield "categories", f"A {thing['baseType']} has no categories."
