"""Compares objects as the service stores them, so that a difference is one that a write would make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from airflow_provider.core.json_types import Json
from airflow_provider.mapsindoors.geodata import geometry
from airflow_provider.mapsindoors.geodata.rows import spelled

NESTED = ("properties", "baseTypeProperties", "displaySetting")
"""Fields of members. A row owns the members it has; all of them are sent together, because the docs do not
say whether the service merges members or replaces the field."""

_NEVER = ("id", "datasetId")


_SETS = ("aliases", "categories")


_MOMENTS = ("activefrom", "activeto")


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Say in which fields an object differs from what is wanted.

    Absent, null, an empty text and an empty list are the same. Only fields that ``wanted`` has count; null
    there means that the field is not owned. Property keys have no case, base type properties are texts,
    aliases and categories have no order, geometry is compared as a place.

    :return: by field, for members ``properties.name@en``, what is found and what is wanted.
    """
    out: dict[str, tuple[Any, Any]] = {}
    for field, value in wanted.items():
        if value is None or field in _NEVER:
            continue
        if field in NESTED:
            out.update(_member_differences(field, value, found.get(field) or {}))
        elif not _equal(field, value, found.get(field)):
            out[field] = (found.get(field), value)
    return out


def _member_differences(
    field: str, wanted: Mapping[str, Any], found: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    there = {_member(field, key): value for key, value in found.items()}
    out = {}
    for key, value in wanted.items():
        name = _member(field, key)
        if value is not None and not _same_member(field, name, value, there.get(name)):
            out[f"{field}.{name}"] = (there.get(name), value)
    return out


def _member(field: str, key: str) -> str:
    return key.lower() if field == "properties" else key


def _same_member(field: str, name: str, wanted: Any, found: Any) -> bool:
    if is_empty(wanted) or is_empty(found):
        return is_empty(wanted) and is_empty(found)
    if field != "baseTypeProperties":
        return bool(wanted == found)
    if name in _MOMENTS:
        return bool(_moment(wanted) == _moment(found))
    return spelled(wanted) == spelled(found)


def is_empty(value: Any) -> bool:
    """Tell whether a value is one of the spellings of nothing."""
    return bool(value is None or value in ("", [], {}))


def _equal(field: str, wanted: Any, found: Any) -> bool:
    try:
        return _same(field, wanted, found)
    except (TypeError, KeyError, IndexError, ValueError, AttributeError):
        return False  # The service holds something that cannot be of this field.


def _same(field: str, wanted: Any, found: Any) -> bool:
    if is_empty(wanted) or is_empty(found):
        return is_empty(wanted) and is_empty(found)
    if field in ("geometry", "anchor"):
        return geometry.same(wanted, found)
    if field in _SETS:
        return set(wanted) == set(found)
    if field == "additionalDetails":
        return _details(wanted) == _details(found)
    return bool(wanted == found)


def _moment(value: Any) -> Any:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return value
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _details(value: Any) -> dict[Any, Any]:
    return {one.get("key"): _pruned(one) for one in value}


def _pruned(value: Any) -> Any:
    """Leave out what is empty, and the seconds of opening hours, which the service drops."""
    if isinstance(value, Mapping):
        pruned = {key: _pruned(one) for key, one in value.items() if not is_empty(one)}
        for key in ("startTime", "endTime"):
            if isinstance(pruned.get(key), str) and pruned[key].count(":") == 2:
                pruned[key] = pruned[key].rpartition(":")[0]
        return pruned
    return [_pruned(one) for one in value] if isinstance(value, list) else value


def change(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[Json, dict[str, tuple[Any, Any]]]:
    """Give the body of an update that makes an object as wanted, and the differences it removes.

    The body has the fields that differ, members whole. When an area or a point moves, its anchor moves
    along. Both are empty when nothing differs.
    """
    wanted = with_anchor(wanted, found)
    different = differences(wanted, found)
    body: Json = {}
    for path in different:
        field = path.partition(".")[0]
        body[field] = whole(field, wanted[field], found.get(field))
    return ({"id": found["id"], **body}, different) if body else ({}, different)


def with_anchor(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Add the anchor that belongs to a geometry which differs, unless the anchor itself is wanted."""
    shape = wanted.get("geometry")
    if not shape or wanted.get("anchor") or _equal("geometry", shape, found.get("geometry")):
        return wanted
    return {**wanted, "anchor": geometry.anchor(shape)}


def whole(field: str, wanted: Any, found: Any) -> Any:
    """Give a field as it is sent: members that the row does not own as they are."""
    if field not in NESTED:
        return wanted
    own = {_member(field, key): value for key, value in wanted.items() if value is not None}
    if field == "baseTypeProperties":
        own = {key: spelled(value) for key, value in own.items()}
    return {**(found or {}), **own}


def unlike(expected: Iterable[Mapping[str, Any]], objects: Iterable[Json], match_on: str) -> list[str]:
    """Say where live objects differ from what is expected; compared like in a sync.

    :param expected: the match key and some fields of each object.
    :param objects: the live objects.
    """
    from airflow_provider.mapsindoors.geodata.snapshot import key_of

    found: dict[str, list[Json]] = {}
    for one in objects:
        found.setdefault(key_of(one, match_on), []).append(one)
    out = []
    for wanted in expected:
        key = key_of(wanted, match_on)
        there = found.get(key, [])
        if len(there) != 1:
            out.append(f"{match_on} {key!r} is that of {len(there)} objects")
            continue
        for path, (live, value) in differences(wanted, there[0]).items():
            out.append(f"{match_on} {key!r}: {path} is {live!r}, not {value!r}")
    return out
