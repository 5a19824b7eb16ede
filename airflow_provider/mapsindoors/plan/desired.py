"""What a source wants the map to be: rows read, matched with the world and checked, before any write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider.core.files.reader import read_rows
from airflow_provider.core.json_types import Json
from airflow_provider.errors import InputError
from airflow_provider.mapsindoors.geodata import geometry, validation
from airflow_provider.mapsindoors.geodata.diff import NESTED, is_empty
from airflow_provider.mapsindoors.geodata.rows import as_sent, from_feature, from_flat, is_feature
from airflow_provider.mapsindoors.geodata.snapshot import PARENTS, Ambiguity, World, key_of


@dataclass(slots=True)
class Desired:
    """One row of a source.

    :param number: its number, from 1.
    :param item: the fields that it owns, as they are sent.
    :param references: how it names its parent, beside ``parentId``.
    :param problems: what is wrong with it.
    :param key: its value of the match key.
    :param found: id of the object that it is about; empty when that is still to be created.
    :param base_type: its base type, or that of its object.
    :param parent: the row that is its parent, when that does not exist yet.
    """

    number: int
    item: Json
    references: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    key: str = ""
    found: str = ""
    parent: Desired | None = None
    base_type: str = ""

    def __post_init__(self) -> None:
        self.base_type = str(self.item.get("baseType") or "")

    def is_about(self, found: str, world: World) -> None:
        """Note which object it is about."""
        self.found = found
        self.base_type = self.base_type or str(world.base_types[found] or "")


def read_desired(source: object, language: str, defaults: Mapping[str, Any] | None = None) -> list[Desired]:
    """Read the rows of a source.

    :param source: a list of objects, or the path of a JSON, JSON Lines, GeoJSON, CSV or (Geo)Parquet file,
        see :func:`airflow_provider.mapsindoors.geodata.rows.from_flat` for the columns.
    :param language: the solution's base language.
    :param defaults: fields for rows that do not have them.
    """
    base, base_references, wrong = from_flat(defaults or {}, language)
    if wrong:
        raise InputError(wrong, "defaults")
    out = []
    for number, row in _numbered(source):
        if not isinstance(row, Mapping):
            out.append(Desired(number, {}, problems=[f"is no object but {type(row).__name__}"]))
            continue
        flat = from_feature(row) if is_feature(row) else row
        item, references, problems = from_flat(_known(flat), language)
        if not any(key in item or key in references for key in ("parentId", *base_references)):
            references = {**base_references, **references}
        merged = _with_defaults(item, base)
        problems += validation.problems(merged)
        if not problems:
            merged = as_sent(merged)
        out.append(Desired(number, merged, references, problems))
    return out


def _known(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out fields that this package does not know, if the row is an object as the service gave it."""
    if "datasetId" not in row or "id" not in row:
        return row
    return {key: value for key, value in row.items() if key in validation.FIELDS or "@" in key}


def _numbered(source: object) -> Iterable[tuple[int, Any]]:
    if isinstance(source, list):
        return enumerate(source, 1)
    rows = read_rows(source, "source")
    path = str(source).lower().removesuffix(".gz")
    # A table as text cannot tell an empty value from none.
    return _without_empty(rows) if path.endswith(".csv") else rows


def _without_empty(rows: Iterable[tuple[int, Json]]) -> Iterator[tuple[int, Json]]:
    for number, row in rows:
        yield number, {key: value for key, value in row.items() if value != ""}


def _with_defaults(item: Json, base: Json) -> Json:
    out = {**base, **item}
    for name in NESTED:
        if name in base and isinstance(item.get(name), dict):
            out[name] = {**base[name], **item[name]}
    return out


def match(rows: list[Desired], world: World) -> None:
    """Find the object that each row is about; changes the rows.

    :param rows: as :func:`read_desired` gives them.
    """
    by_key: dict[str, Desired] = {}
    by_id: dict[str, Desired] = {}
    for row in rows:
        row.problems += _match(row, world)
        row.problems += _twice(row, by_key, by_id)


def settle(rows: list[Desired], world: World) -> None:
    """Look up what matched rows refer to, and note what is wrong with each; changes the rows."""
    by_external_id = {key: row for row in rows if (key := key_of(row.item, "externalId"))}
    for row in rows:
        for step in (_resolve_types, _resolve_parent):
            try:
                step(row, world, by_external_id)
            except Ambiguity as error:
                row.problems.append(str(error))
        if not row.problems:
            row.problems += _against_world(row, world)
    for row in sorted(rows, key=level):
        if row.parent is not None and row.parent.problems:
            row.problems.append(f"its parent, row {row.parent.number}, is left out")


def level(row: Desired) -> int:
    """Say how deep in the tree a row is, so that parents come first."""
    return validation.BASE_TYPES.index(row.base_type) if row.base_type in validation.BASE_TYPES else -1


def _match(row: Desired, world: World) -> Iterator[str]:
    """Find the object that a row is about, by its id or by the match key."""
    row.key = key_of(row.item, world.match_on)
    given = row.item.get("id")
    matching = world.matching(row.key) if row.key else []
    if given is not None:
        if isinstance(given, str) and given in world.by_id:
            row.is_about(given, world)
        else:
            yield f"there is no object with id {given}"
        others = [one for one in matching if one != given]
        if others:
            yield f"{world.match_on} {row.key!r} belongs to object {others[0]}, but id names {given}"
    elif not row.key:
        yield f"has no {world.match_on}, by which it could be matched, and no id"
    elif len(matching) > 1:
        yield f"{world.match_on} {row.key!r} is that of {len(matching)} objects: {', '.join(matching[:5])}"
    elif matching:
        row.is_about(matching[0], world)
    yield from _taken(row, world)
    if row.found and not world.in_scope(row.found):
        yield f"is about object {row.found}, which is outside of the scope"


def _taken(row: Desired, world: World) -> Iterator[str]:
    """Refuse to give an object the external id of another one. One that it shares already may stay."""
    wanted = key_of(row.item, "externalId")
    owners = world.having("externalId", wanted)
    if row.found and owners and row.found not in owners and world.match_on != "externalId":
        yield f"externalId {wanted!r} belongs to object {owners[0]}, but the row is about {row.found}"


def _twice(row: Desired, by_key: dict[str, Desired], by_id: dict[str, Desired]) -> Iterator[str]:
    for value, seen in ((row.key, by_key), (row.found, by_id)):
        if value and (other := seen.setdefault(value, row)) is not row:
            yield f"is about the same object as row {other.number} ({value})"
            return


def _resolve_types(row: Desired, world: World, _: Mapping[str, Desired]) -> None:
    kind, categories = row.item.get("displayTypeId"), row.item.get("categories")
    if isinstance(kind, str) and kind:
        row.item["displayTypeId"] = world.display_type(kind)
    if isinstance(categories, list):
        row.item["categories"] = [world.category(str(one)) for one in categories]


def _resolve_parent(row: Desired, world: World, others: Mapping[str, Desired]) -> None:
    names = row.references
    if "parentExternalId" in names:
        wanted = names["parentExternalId"]
        other = others.get(wanted)
        if other is not None and not other.found:
            row.parent = other
        else:
            row.item["parentId"] = world.find("externalId", wanted)
    elif "parentAdministrativeId" in names:
        row.item["parentId"] = world.find("administrativeid", names["parentAdministrativeId"])
    elif "parentFloor" in names or "parentBuilding" in names:
        if not {"parentFloor", "parentBuilding"} <= set(names):
            raise Ambiguity("parentFloor and parentBuilding belong together")
        row.item["parentId"] = world.find_floor(names["parentBuilding"], names["parentFloor"])


def _against_world(row: Desired, world: World) -> Iterator[str]:
    """Say what is wrong with a row that only its object, its parent or the solution shows."""
    item, base_type = row.item, row.base_type
    if row.found and base_type != world.base_types[row.found]:
        there = world.base_types[row.found]
        yield f"baseType {base_type!r} differs from the object's {there!r}; it cannot change"
        return
    if item.get("datasetId", world.dataset["id"]) != world.dataset["id"]:
        yield f"datasetId {item['datasetId']!r} is not the solution's"
    if "baseType" not in item:
        yield from validation.problems({**item, "baseType": base_type or None})
    yield from _parent_problems(row, world, base_type)
    if not is_empty(item.get("geometry")):
        x, y = next(geometry.positions(item["geometry"]))
        if not world.is_near((x, y)) and world.is_near((y, x)):
            yield f"geometry has longitude and latitude swapped: {[x, y]} is far from the venue"
    name = f"name@{world.base_language}"
    given = item.get("properties", {})
    clears = name in given and not given[name]
    missing = not row.found and base_type != "floor" and not given.get(name)
    if clears or missing:
        yield f"has no {name}, which is required in the solution's base language"
    if not row.found:
        yield from _missing(item, base_type)


def _parent_problems(row: Desired, world: World, base_type: str) -> Iterator[str]:
    allowed = PARENTS.get(base_type, ())
    above: str | None = None
    if row.parent is not None:
        above = row.parent.base_type
    elif parent_id := row.item.get("parentId"):
        if parent_id not in world.by_id:
            yield f"parentId names no object: {parent_id}"
            return
        above = str(world.base_types[parent_id])
    if above is None:
        if not row.found and allowed:
            yield f"has no parent; a {base_type} needs one"
    elif above not in allowed:
        yield f"a {base_type} cannot be below a {above}"


def _missing(item: Mapping[str, Any], base_type: str) -> Iterator[str]:
    """Say what a new object lacks."""
    if not base_type:
        yield "has no baseType, which a new object needs"
        return
    needed = ["geometry"] + (["displayTypeId"] if base_type in ("room", "poi") else [])
    yield from (f"has no {one}, which a new {base_type} needs" for one in needed if is_empty(item.get(one)))
    given = item.get("baseTypeProperties") or {}
    if base_type == "floor" and not all(given.get(key) for key in ("name", "administrativeid")):
        yield "a new floor needs baseTypeProperties name and administrativeid (its index)"
