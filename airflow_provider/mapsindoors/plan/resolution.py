"""Resolution: replace the references of rows by ids, and validate rows against a snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider.core.input.values import (
    UnreadableValueError,
    hides_values,
    read_integer,
    shown,
    shown_value,
)
from airflow_provider.errors import with_article
from airflow_provider.mapsindoors.geodata import details, geometry, validation
from airflow_provider.mapsindoors.geodata.diff import doubled_keys, is_empty, same_value, timestamp
from airflow_provider.mapsindoors.geodata.snapshot import (
    NEAR,
    PARENTS,
    Bounds,
    SolutionSnapshot,
    UnresolvedReferenceError,
    key_of,
)
from airflow_provider.mapsindoors.plan.desired import DesiredRow, topmost, tree_level
from airflow_provider.mapsindoors.plan.moves import add_floor_problems, move_problems

Json = dict[str, Any]

_NEED_TYPE = ("room", "poi")
"""Base types that need a display type."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules by which rows are validated against a snapshot.

    :param allow_distant: whether places may be far from their venue.
    :param exact: whether the rows are objects of the service, whose values stay as they are.
    :param any_dataset: whether rows may name another solution, which the service ignores.
    :param deletes: whether compared objects without a row are deleted.
    """

    allow_distant: bool = False
    exact: bool = False
    any_dataset: bool = False
    deletes: bool = False


def resolve_references(
    rows: list[DesiredRow], snapshot: SolutionSnapshot, rules: Rules | None = None
) -> None:
    """Resolve the references of matched rows to ids, and validate the rows against the snapshot.

    :param rows: the rows after :func:`~airflow_provider.mapsindoors.plan.desired.match_rows`; they are
        changed.
    :param snapshot: the solution, with display types and categories as far as the rows use them.
    :param rules: the rules of the validation.
    """
    rules = rules or Rules()
    referring = [row for row in rows if row.references]
    known = rows if referring else ()
    by_external_id = {key: row for row in known if (key := key_of(row.item, "externalId"))}
    resolve_types(rows, snapshot)
    for row in referring:
        try:
            _resolve_parent(row, snapshot, by_external_id)
        except UnresolvedReferenceError as error:
            row.problems.append(str(error))
    for row in rows:
        if not row.problems:
            row.problems += _validate_against_snapshot(row, snapshot, rules)
    if not rules.exact:
        add_floor_problems(rows, snapshot, deletes=rules.deletes)
    for row in sorted(rows, key=tree_level):
        if row.parent is not None and row.parent.problems:
            row.problems.append(f"its parent, row {row.parent.number}, is left out")


def resolve_types(rows: Sequence[DesiredRow], snapshot: SolutionSnapshot) -> None:
    """Replace the names of display types and categories in rows by ids.

    :param rows: the rows; they are changed, and unknown names are added to their problems.
    :param snapshot: a snapshot with the display types and categories.
    """
    for row in rows:
        kind, categories = row.item.get("displayTypeId"), row.item.get("categories")
        try:
            if isinstance(kind, str) and kind:
                row.item["displayTypeId"] = snapshot.resolve_display_type(kind)
        except UnresolvedReferenceError as error:
            row.problems.append(str(error))
        try:
            if isinstance(categories, list):
                row.item["categories"] = [snapshot.resolve_category(str(one)) for one in categories]
        except UnresolvedReferenceError as error:
            row.problems.append(str(error))


def _resolve_parent(
    row: DesiredRow, snapshot: SolutionSnapshot, rows_by_external_id: Mapping[str, DesiredRow]
) -> None:
    """Resolve each way in which a row names its parent; they must agree."""
    names, found = row.references, dict[str, str]()
    if "parentExternalId" in names:
        wanted = names["parentExternalId"]
        other = rows_by_external_id.get(wanted)
        if other is not None and not other.object_id:
            row.parent = other
            found["parentExternalId"] = ""
        else:
            found["parentExternalId"] = snapshot.resolve("externalId", wanted)
    if "parentAdministrativeId" in names:
        administrative_id = names["parentAdministrativeId"]
        found["parentAdministrativeId"] = snapshot.resolve("administrativeid", administrative_id)
    if "parentFloor" in names or "parentBuilding" in names:
        if not {"parentFloor", "parentBuilding"} <= set(names):
            raise UnresolvedReferenceError("parentFloor and parentBuilding belong together")
        floor = snapshot.resolve_floor(names["parentBuilding"], names["parentFloor"])
        found["parentBuilding with parentFloor"] = floor
    if found and row.item.get("parentId"):
        found["parentId"] = row.item["parentId"]
    if len(set(found.values())) > 1:
        raise UnresolvedReferenceError(f"names different parents, by {' and by '.join(found)}")
    if parent := next(iter(found.values()), ""):
        row.item["parentId"] = parent


def _validate_against_snapshot(row: DesiredRow, snapshot: SolutionSnapshot, rules: Rules) -> Iterator[str]:
    """Yield the problems of a row that depend on its object, its parent or the solution."""
    item, base_type = row.item, row.base_type
    if row.object_id and base_type != snapshot.base_types[row.object_id]:
        there = snapshot.base_types[row.object_id]
        yield f"baseType {shown_value(base_type)} differs from the object's {there!r}; it cannot change"
        return
    dataset = snapshot.dataset["id"]
    if not rules.any_dataset and item.get("datasetId", dataset) != dataset:
        yield f"datasetId {shown(item['datasetId'])} is not the solution's"
    if "baseType" not in item and base_type in validation.BASE_TYPES:
        yield from validation.base_type_problems(item, base_type)
    yield from _parent_problems(row, snapshot, base_type)
    if row.object_id and not rules.exact:
        yield from move_problems(row, snapshot, allow_distant=rules.allow_distant)
    yield from _place_problems(row, snapshot, rules)
    if not rules.exact:
        yield from _window_problems(row, snapshot)
        yield from _detail_problems(row, snapshot)
    yield from _member_problems(row, snapshot, rules)
    if not row.object_id:
        yield from _missing_field_problems(item, base_type)
        if not row.problems and not snapshot.takes_new(base_type, str(item.get("parentId") or "")):
            yield f"is a new {base_type} outside of the scope"


def _member_problems(row: DesiredRow, snapshot: SolutionSnapshot, rules: Rules) -> Iterator[str]:
    """Yield the problems of a row's properties, display type and floor index."""
    item, base_type = row.item, row.base_type
    if item.get("properties") and not rules.exact:
        item["properties"] = {snapshot.spelling(key): value for key, value in item["properties"].items()}
    name, given = f"name@{snapshot.base_language}", item.get("properties", {})
    text = given.get(name) or ""
    is_blank = not (text if rules.exact else text.strip())
    clears = name in given and is_blank
    missing = not row.object_id and base_type != "floor" and is_blank
    if clears or missing:
        yield f"has no {name}, which is required in the solution's base language"
    if given and row.object_id in snapshot.doubled_keys:
        yield from doubled_keys(given, snapshot.by_id[row.object_id].get("properties") or {})
    if item.get("displayTypeId") == "" and row.object_id and base_type in _NEED_TYPE:
        yield f"displayTypeId is empty; {with_article(base_type)} needs one"
    if item.get("categories") and base_type in ("venue", "building", "floor"):
        yield f"has categories, which {with_article(base_type)} cannot have"
    members = item.get("baseTypeProperties", {})
    if base_type == "floor" and not rules.exact and members.get("administrativeid"):
        try:
            index = str(read_integer(members["administrativeid"]))
        except UnreadableValueError as problem:
            if not _has_member(row, snapshot, "administrativeid"):
                yield f"administrativeid, a floor's index, {problem}"
        else:
            item["baseTypeProperties"] = {**members, "administrativeid": index}


def _detail_problems(row: DesiredRow, snapshot: SolutionSnapshot) -> Iterator[str]:
    """Set the types of a row's new details, and yield the problems that the solution shows."""
    given = row.item.get("additionalDetails")
    if not given:
        return
    found = snapshot.by_id[row.object_id].get("additionalDetails") if row.object_id else None
    wrong: list[str] = []
    if isinstance(given, details.PartialDetails):
        given, wrong = details.with_types(given, found)
        row.item["additionalDetails"] = given or None
        yield from details.spelling_problems(given, found)
        if (unclear := details.ambiguities(found)) and not details.may_stay(given, found):
            yield (
                f"additionalDetails cannot be written: the object has {' and '.join(unclear)}, of which a"
                " write would lose one; mend it in the CMS"
            )
    if given != found:
        yield from dict.fromkeys([*wrong, *details.problems(given, snapshot.languages, found)])


def _window_problems(row: DesiredRow, snapshot: SolutionSnapshot) -> Iterator[str]:
    """Yield a problem for dates between which an object would never be shown.

    A row may have one of both; the other one is that of its object.
    """
    given = row.item.get("baseTypeProperties") or {}
    names = ("activefrom", "activeto")
    if not any(name in given for name in names):
        return
    found = (snapshot.by_id[row.object_id].get("baseTypeProperties") or {}) if row.object_id else {}
    if all(timestamp(given[name]) == timestamp(found.get(name)) for name in names if name in given):
        return
    first, last = (given.get(name, found.get(name)) for name in names)
    begins, ends = timestamp(first), timestamp(last)
    if isinstance(ends, datetime) and ends.year == 1 and "activeto" not in given:
        return  # The service's way to say that there is no date.
    if isinstance(begins, datetime) and isinstance(ends, datetime) and ends <= begins:
        ended, begun = ("", "") if hides_values() else (f" {last}", f" {first}")
        yield (
            f"activeto{ended} is not after activefrom{begun}, so the object would never be shown; a date"
            " alone is its midnight"
        )


def _has_member(row: DesiredRow, snapshot: SolutionSnapshot, key: str) -> bool:
    """Return whether a row's object has the row's value of a base type property already."""
    if not row.object_id:
        return False
    found = snapshot.by_id[row.object_id].get("baseTypeProperties") or {}
    return bool(found.get(key) == row.item["baseTypeProperties"][key])


def _place_problems(row: DesiredRow, snapshot: SolutionSnapshot, rules: Rules) -> Iterator[str]:
    """Yield a problem for a place that is far from the row's venue, unless its object is there already."""
    for field in ("geometry", "anchor"):
        shape: Any = row.item.get(field)
        if is_empty(shape):
            continue
        wrong = "" if rules.exact else geometry.surface_problem(shape)
        if wrong and not _is_there(row, snapshot, field):
            yield f"{field} {wrong}"
        venues = _venues_of(row, snapshot)
        bounds = geometry.bounds(shape)
        if not venues:
            if not rules.allow_distant and not any(bounds):
                yield f"{field} is at 0, 0, as if it were missing; pass allow_distant=True if it is right"
            continue
        if _is_near(venues, bounds):
            continue
        if _is_there(row, snapshot, field):
            continue
        x, y = max(geometry.positions(shape), key=lambda position: _metres(venues, position))
        if _metres(venues, (y, x)) <= NEAR:
            yield f"{field} has longitude and latitude swapped: {shown_value([x, y])} is far from the venue"
        elif not rules.allow_distant:
            away = f"{_metres(venues, (x, y)) / 1000:,.0f} km away from the venue"
            yield f"{field} is {away}, at {shown_value([x, y])}; pass allow_distant=True if it is right"


def _is_near(venues: list[Bounds], bounds: Bounds) -> bool:
    """Return whether each corner of some bounds is inside of a venue's bounds, or near them."""
    west, south, east, north = bounds
    if any(v[0] <= west and v[1] <= south and east <= v[2] and north <= v[3] for v in venues):
        return True
    corners = ((west, south), (east, north), (west, north), (east, south))
    return all(_metres(venues, corner) <= NEAR for corner in corners)


def _is_there(row: DesiredRow, snapshot: SolutionSnapshot, field: str) -> bool:
    """Return whether a row's object has the row's value of a field already."""
    if not row.object_id:
        return False
    return same_value(field, row.item[field], snapshot.by_id[row.object_id].get(field))


def _metres(venues: list[Bounds], position: tuple[float, float]) -> float:
    return min(geometry.distance(bounds, position) for bounds in venues)


def _venues_of(row: DesiredRow, snapshot: SolutionSnapshot) -> list[Bounds]:
    """Return the bounds of the venue that a row is in; of all venues when its venue is not known."""
    top = topmost(row)
    if top.base_type == "venue" and not top.object_id:
        shape: Any = top.item.get("geometry")
        return [geometry.bounds(shape)] if top is not row and geometry.is_drawable(shape) else []
    venue = snapshot.venue_of(str(top.item.get("parentId") or top.object_id))
    if venue:
        return [snapshot.venues[venue]] if venue in snapshot.venues else []
    return list(snapshot.venues.values())


def _parent_problems(row: DesiredRow, snapshot: SolutionSnapshot, base_type: str) -> Iterator[str]:
    allowed = PARENTS.get(base_type, ())
    above: str | None = None
    if row.parent is not None:
        above = row.parent.base_type
    elif parent_id := row.item.get("parentId"):
        if parent_id not in snapshot.by_id:
            yield f"there is no object with the parentId {str(parent_id)[:60]}"
            return
        above = str(snapshot.base_types[parent_id])
    if above is None:
        if not row.object_id and allowed:
            yield f"has no parent; {with_article(base_type)} needs one"
    elif base_type and above not in allowed:
        yield f"{with_article(base_type)} cannot be below {with_article(above)}"


def _missing_field_problems(item: Mapping[str, Any], base_type: str) -> Iterator[str]:
    """Yield the required fields that a new object does not have."""
    if not base_type:
        yield "has no baseType, which a new object needs"
        return
    needed = ["geometry"] + (["displayTypeId"] if base_type in _NEED_TYPE else [])
    yield from (
        f"has no {name}, which a new {base_type} needs" for name in needed if is_empty(item.get(name))
    )
    given = item.get("baseTypeProperties") or {}
    if base_type == "floor" and not all(given.get(key) for key in ("name", "administrativeid")):
        yield "a new floor needs baseTypeProperties name and administrativeid (its index)"
