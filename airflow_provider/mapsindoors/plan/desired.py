"""Desired state: read the rows of a source, match them with a snapshot and validate them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider.core.files.reader import read_rows
from airflow_provider.core.json_types import Json
from airflow_provider.errors import InputError
from airflow_provider.mapsindoors.geodata import geometry, validation
from airflow_provider.mapsindoors.geodata.diff import NESTED, is_empty
from airflow_provider.mapsindoors.geodata.rows import from_feature, from_flat, is_feature, normalize
from airflow_provider.mapsindoors.geodata.snapshot import (
    PARENTS,
    SolutionSnapshot,
    UnresolvedReferenceError,
    key_of,
)


@dataclass(slots=True)
class DesiredRow:
    """One row of a source.

    :param number: row number, from 1.
    :param item: the fields that the row owns, as they are sent.
    :param references: the columns that name the parent, beside ``parentId``, with their values.
    :param problems: the problems of the row; a row with problems is not written.
    :param key: the row's value of the match key.
    :param object_id: id of the matched object; empty for a new object.
    :param base_type: base type of the row, or of its object.
    :param parent: the row of the parent, when the parent is a new object.
    """

    number: int
    item: Json
    references: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    key: str = ""
    object_id: str = ""
    parent: DesiredRow | None = None
    base_type: str = ""

    def __post_init__(self) -> None:
        self.base_type = str(self.item.get("baseType") or "")

    def set_object(self, object_id: str, snapshot: SolutionSnapshot) -> None:
        """Set the matched object."""
        self.object_id = object_id
        self.base_type = self.base_type or str(snapshot.base_types[object_id] or "")


def read_desired_rows(
    source: object, language: str, defaults: Mapping[str, Any] | None = None
) -> list[DesiredRow]:
    """Read and validate the rows of a source.

    :param source: a list of objects, or the path of a JSON, JSON Lines, GeoJSON, CSV or (Geo)Parquet file,
        see :func:`airflow_provider.mapsindoors.geodata.rows.from_flat` for the columns.
    :param language: the solution's base language.
    :param defaults: fields for rows that do not have them.
    :return: all rows; the problems of each are in ``problems``.
    :raises InputError: when the source cannot be read, or ``defaults`` are invalid.
    """
    base, base_references, wrong = from_flat(defaults or {}, language)
    if wrong:
        raise InputError(wrong, "defaults")
    out = []
    for number, row in _numbered(source):
        if not isinstance(row, Mapping):
            out.append(DesiredRow(number, {}, problems=[f"is not an object, but {type(row).__name__}"]))
            continue
        flat = from_feature(row) if is_feature(row) else row
        item, references, problems = from_flat(_known(flat), language)
        if not any(key in item or key in references for key in ("parentId", *base_references)):
            references = {**base_references, **references}
        merged = _with_defaults(item, base)
        problems += validation.problems(merged)
        if not problems:
            merged = normalize(merged)
        out.append(DesiredRow(number, merged, references, problems))
    return out


def _known(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Remove unknown fields of a row that is an object as the service returned it."""
    if "datasetId" not in row or "id" not in row:
        return row
    return {key: value for key, value in row.items() if key in validation.FIELDS or "@" in key}


def _numbered(source: object) -> Iterable[tuple[int, Any]]:
    if isinstance(source, list):
        return enumerate(source, 1)
    rows = read_rows(source, "source")
    path = str(source).lower().removesuffix(".gz")
    # CSV has no null, so an empty value stands for it.
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


def match_rows(rows: list[DesiredRow], snapshot: SolutionSnapshot) -> None:
    """Match each row with an object of the snapshot, and set the row's ``object_id``.

    :param rows: the rows of :func:`read_desired_rows`; they are changed.
    :param snapshot: the solution.
    """
    by_key: dict[str, DesiredRow] = {}
    by_id: dict[str, DesiredRow] = {}
    for row in rows:
        row.problems += _match_row(row, snapshot)
        row.problems += _duplicate_problem(row, by_key, by_id)


def resolve_references(rows: list[DesiredRow], snapshot: SolutionSnapshot) -> None:
    """Resolve the references of matched rows to ids, and validate the rows against the snapshot.

    :param rows: the rows after :func:`match_rows`; they are changed.
    :param snapshot: the solution, with display types and categories as far as the rows use them.
    """
    by_external_id = {key: row for row in rows if (key := key_of(row.item, "externalId"))}
    for row in rows:
        for step in (_resolve_types, _resolve_parent):
            try:
                step(row, snapshot, by_external_id)
            except UnresolvedReferenceError as error:
                row.problems.append(str(error))
        if not row.problems:
            row.problems += _validate_against_snapshot(row, snapshot)
    for row in sorted(rows, key=tree_level):
        if row.parent is not None and row.parent.problems:
            row.problems.append(f"its parent, row {row.parent.number}, is left out")


def tree_level(row: DesiredRow) -> int:
    """Return the depth of a row in the tree, by which parents sort before their children."""
    return validation.BASE_TYPES.index(row.base_type) if row.base_type in validation.BASE_TYPES else -1


def _match_row(row: DesiredRow, snapshot: SolutionSnapshot) -> Iterator[str]:
    """Match a row with an object by its id or by the match key, and yield the problems."""
    row.key = key_of(row.item, snapshot.match_on)
    given = row.item.get("id")
    matching = snapshot.ids_with_key(row.key) if row.key else []
    if given is not None:
        if isinstance(given, str) and given in snapshot.by_id:
            row.set_object(given, snapshot)
        else:
            yield f"there is no object with id {given}"
        others = [object_id for object_id in matching if object_id != given]
        if others:
            yield f"{snapshot.match_on} {row.key!r} belongs to object {others[0]}, but id names {given}"
    elif not row.key:
        yield f"has no {snapshot.match_on}, by which it could be matched, and no id"
    elif len(matching) > 1:
        yield f"{snapshot.match_on} {row.key!r} is that of {len(matching)} objects: {', '.join(matching[:5])}"
    elif matching:
        row.set_object(matching[0], snapshot)
    yield from _external_id_conflict(row, snapshot)
    if row.object_id and not snapshot.in_scope(row.object_id):
        yield f"is about object {row.object_id}, which is outside of the scope"


def _external_id_conflict(row: DesiredRow, snapshot: SolutionSnapshot) -> Iterator[str]:
    """Yield a problem when a row gives its object the external id of another object.

    An external id that both objects have already is accepted.
    """
    wanted = key_of(row.item, "externalId")
    owners = snapshot.ids_by("externalId", wanted)
    if row.object_id and owners and row.object_id not in owners and snapshot.match_on != "externalId":
        yield f"externalId {wanted!r} belongs to object {owners[0]}, but the row is about {row.object_id}"


def _duplicate_problem(
    row: DesiredRow, by_key: dict[str, DesiredRow], by_id: dict[str, DesiredRow]
) -> Iterator[str]:
    for value, seen in ((row.key, by_key), (row.object_id, by_id)):
        if value and (other := seen.setdefault(value, row)) is not row:
            yield f"is about the same object as row {other.number} ({value})"
            return


def _resolve_types(row: DesiredRow, snapshot: SolutionSnapshot, _: Mapping[str, DesiredRow]) -> None:
    kind, categories = row.item.get("displayTypeId"), row.item.get("categories")
    if isinstance(kind, str) and kind:
        row.item["displayTypeId"] = snapshot.resolve_display_type(kind)
    if isinstance(categories, list):
        row.item["categories"] = [snapshot.resolve_category(str(category)) for category in categories]


def _resolve_parent(
    row: DesiredRow, snapshot: SolutionSnapshot, rows_by_external_id: Mapping[str, DesiredRow]
) -> None:
    names = row.references
    if "parentExternalId" in names:
        wanted = names["parentExternalId"]
        other = rows_by_external_id.get(wanted)
        if other is not None and not other.object_id:
            row.parent = other
        else:
            row.item["parentId"] = snapshot.resolve("externalId", wanted)
    elif "parentAdministrativeId" in names:
        row.item["parentId"] = snapshot.resolve("administrativeid", names["parentAdministrativeId"])
    elif "parentFloor" in names or "parentBuilding" in names:
        if not {"parentFloor", "parentBuilding"} <= set(names):
            raise UnresolvedReferenceError("parentFloor and parentBuilding belong together")
        row.item["parentId"] = snapshot.resolve_floor(names["parentBuilding"], names["parentFloor"])


def _validate_against_snapshot(row: DesiredRow, snapshot: SolutionSnapshot) -> Iterator[str]:
    """Yield the problems of a row that depend on its object, its parent or the solution."""
    item, base_type = row.item, row.base_type
    if row.object_id and base_type != snapshot.base_types[row.object_id]:
        there = snapshot.base_types[row.object_id]
        yield f"baseType {base_type!r} differs from the object's {there!r}; it cannot change"
        return
    if item.get("datasetId", snapshot.dataset["id"]) != snapshot.dataset["id"]:
        yield f"datasetId {item['datasetId']!r} is not the solution's"
    if "baseType" not in item:
        yield from validation.problems({**item, "baseType": base_type or None})
    yield from _parent_problems(row, snapshot, base_type)
    if not is_empty(item.get("geometry")):
        x, y = next(geometry.positions(item["geometry"]))
        if not snapshot.is_near_venue((x, y)) and snapshot.is_near_venue((y, x)):
            yield f"geometry has longitude and latitude swapped: {[x, y]} is far from the venue"
    name = f"name@{snapshot.base_language}"
    given = item.get("properties", {})
    clears = name in given and not given[name]
    missing = not row.object_id and base_type != "floor" and not given.get(name)
    if clears or missing:
        yield f"has no {name}, which is required in the solution's base language"
    if not row.object_id:
        yield from _missing_field_problems(item, base_type)


def _parent_problems(row: DesiredRow, snapshot: SolutionSnapshot, base_type: str) -> Iterator[str]:
    allowed = PARENTS.get(base_type, ())
    above: str | None = None
    if row.parent is not None:
        above = row.parent.base_type
    elif parent_id := row.item.get("parentId"):
        if parent_id not in snapshot.by_id:
            yield f"there is no object with the parentId {parent_id}"
            return
        above = str(snapshot.base_types[parent_id])
    if above is None:
        if not row.object_id and allowed:
            yield f"has no parent; a {base_type} needs one"
    elif above not in allowed:
        yield f"a {base_type} cannot be below a {above}"


def _missing_field_problems(item: Mapping[str, Any], base_type: str) -> Iterator[str]:
    """Yield the required fields that a new object does not have."""
    if not base_type:
        yield "has no baseType, which a new object needs"
        return
    needed = ["geometry"] + (["displayTypeId"] if base_type in ("room", "poi") else [])
    yield from (
        f"has no {name}, which a new {base_type} needs" for name in needed if is_empty(item.get(name))
    )
    given = item.get("baseTypeProperties") or {}
    if base_type == "floor" and not all(given.get(key) for key in ("name", "administrativeid")):
        yield "a new floor needs baseTypeProperties name and administrativeid (its index)"
