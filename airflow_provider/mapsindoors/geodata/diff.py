"""Differences: compare objects as the service stores them; a write removes each difference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from airflow_provider.core.input.values import normal_key
from airflow_provider.core.json_types import Json
from airflow_provider.mapsindoors.geodata import details, geometry
from airflow_provider.mapsindoors.geodata.rows import as_text
from airflow_provider.mapsindoors.geodata.values import plain_key

NESTED = ("properties", "baseTypeProperties", "displaySetting")
"""Fields that hold members. A row owns the members it has. All members are sent together, because the
vendor's docs do not say whether the service merges members or replaces the field."""

_READ_ONLY = ("id", "datasetId")
"""Fields that an update never changes."""

_UNORDERED = ("aliases", "categories")
"""Fields whose values form a set."""

_TIMESTAMPS = ("activefrom", "activeto")
"""Base type properties that hold an ISO 8601 time; a time without a zone is in UTC."""


_NOT_PLAIN = ("baseTypeProperties", "additionalDetails")
"""Fields whose values are not compared as they are: ``True`` equals 1 in Python, and their texts differ."""


_PARTS = ("properties", "geometry", "anchor")
"""Fields of which an object may have more than is desired, such as a bounding box."""


def has_values(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Return whether an object has exactly the desired values, so that it has no :func:`differences`.

    Most objects of a large sync have. Others may have no differences, too.

    :param wanted: the desired fields.
    :param found: the object as the service returned it.
    """
    for field, value in wanted.items():
        there = found.get(field)
        if value is None or field in _READ_ONLY or (there == value and field not in _NOT_PLAIN):
            continue
        has_parts = value and field in _PARTS and isinstance(there, dict)
        if not (has_parts and value.items() <= (there or {}).items()):
            return False
    return True


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the fields in which an object differs from its desired state.

    Absent, null, an empty text and an empty list are equal. Only fields of ``wanted`` are compared; null
    there means that the field is not owned. Property keys have no case, base type properties are texts,
    aliases and categories have no order, keys are compared in their normal form, and geometries are equal
    when they describe the same place.

    :param wanted: the desired fields.
    :param found: the object as the service returned it.
    :return: field, or ``properties.name@en`` for a member, to the pair of the found and the wanted value.
    """
    out: dict[str, tuple[Any, Any]] = {}
    for field, value in wanted.items():
        if value is None or field in _READ_ONLY:
            continue
        if field in NESTED:
            out.update(_member_differences(field, value, found.get(field) or {}))
        elif not same_value(field, value, found.get(field)):
            out[field] = (found.get(field), complete_value(field, value, found.get(field)))
    return out


def _member_differences(
    field: str, wanted: Mapping[str, Any], found: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    spellings = _spellings(found) if field == "properties" else {}
    out = {}
    for key, value in wanted.items():
        name = key if key in found else spellings.get(plain_key(key), key)
        if value is not None and not _same_member(field, name, value, found.get(name)):
            out[f"{field}.{name}"] = (found.get(name), value)
    return out


def _spellings(properties: Mapping[str, Any]) -> dict[str, str]:
    """Return the spelling of each property key by the form in which keys are compared."""
    return {plain_key(key): key for key in properties}


def doubled_keys(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Return a problem for each wanted property whose key an object has in two spellings.

    The vendor's docs do not say whether the keys have case, so that neither value can be chosen.

    :param wanted: the desired properties.
    :param found: the object's properties.
    """
    names = list(map(plain_key, found))
    if len(set(names)) == len(names):
        return []
    return [
        f"properties key {key!r} is on the object more than once, as"
        f" {' and '.join(ascii(other) for other in found if plain_key(other) == plain_key(key))}; remove one"
        " in the CMS"
        for key in wanted
        if names.count(plain_key(key)) > 1
    ]


def _same_member(field: str, name: str, wanted: Any, found: Any) -> bool:
    if is_empty(wanted) or is_empty(found):
        return is_empty(wanted) and is_empty(found)
    if field != "baseTypeProperties":
        return bool(wanted == found)
    if name in _TIMESTAMPS:
        return bool(timestamp(wanted) == timestamp(found))
    if name == "administrativeid":
        return normal_key(as_text(wanted)) == normal_key(as_text(found))
    return as_text(wanted) == as_text(found)


def is_empty(value: Any) -> bool:
    """Return whether a value is null, an empty text, an empty list or an empty object."""
    return bool(value is None or value in ("", [], {}))


def same_value(field: str, wanted: Any, found: Any) -> bool:
    """Return whether two values of a field are the same to the service."""
    try:
        return _same(field, wanted, found)
    except (TypeError, KeyError, IndexError, ValueError, AttributeError):
        return False  # The stored value is not valid for this field.


def _same(field: str, wanted: Any, found: Any) -> bool:
    if field == "additionalDetails" and not is_empty(wanted):
        return details.same_details(wanted, found or [])
    if is_empty(wanted) or is_empty(found):
        return is_empty(wanted) and is_empty(found)
    if field in ("geometry", "anchor"):
        return geometry.is_same_place(wanted, found)
    if field == "externalId":
        return normal_key(wanted) == normal_key(found)
    if field in _UNORDERED:
        return set(wanted) == set(found)
    return bool(wanted == found)


def timestamp(value: Any) -> Any:
    """Return the moment of an ISO 8601 time, which is in UTC without a zone; another value as it is."""
    try:
        timestamp = datetime.fromisoformat(str(value))
    except ValueError:
        return value
    # Moments of several zones are compared as they are: in UTC, some are outside of the years 1 to 9999.
    return timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)


def build_update(
    wanted: Mapping[str, Any], found: Mapping[str, Any], *, exact: bool = False
) -> tuple[Json, dict[str, tuple[Any, Any]]]:
    """Build the body of an update that brings an object to its desired state.

    The body has the fields that differ; a field of members is complete. When a geometry changes, its anchor
    moves with it, see :func:`with_anchor`.

    :param wanted: the desired fields.
    :param found: the object as the service returned it.
    :param exact: whether a wanted anchor is never replaced.
    :return: the body and the differences that it removes, see :func:`differences`; both are empty when
        nothing differs.
    """
    shape = wanted.get("geometry")
    if shape and same_value("geometry", shape, found.get("geometry")):
        wanted = {field: value for field, value in wanted.items() if field != "geometry"}
    wanted = with_anchor(wanted, found, exact=exact)
    different = differences(wanted, found)
    body: Json = {}
    for path in different:
        field = path.partition(".")[0]
        body[field] = complete_value(field, wanted[field], found.get(field))
    return ({"id": found["id"], **body}, different) if body else ({}, different)


def with_anchor(
    wanted: Mapping[str, Any], found: Mapping[str, Any], *, exact: bool = False
) -> Mapping[str, Any]:
    """Add the anchor of a geometry that differs, unless another anchor is wanted than the object has.

    An anchor that is where the object's was is stale: it is in the row because the row is an edited export.

    :param wanted: the desired fields.
    :param found: the object as the service returned it.
    :param exact: whether a wanted anchor is never replaced.
    """
    shape, given = wanted.get("geometry"), wanted.get("anchor")
    if not shape or same_value("geometry", shape, found.get("geometry")):
        return wanted
    if given and (exact or not same_value("anchor", given, found.get("anchor"))):
        return wanted
    return {**wanted, "anchor": geometry.anchor(shape)}


def complete_value(field: str, wanted: Any, found: Any) -> Any:
    """Return a field as it is sent: with the members that the row does not own, unchanged.

    A property's key has the spelling that it has on the object.
    """
    if field == "additionalDetails":
        return details.complete(wanted, found)
    if field not in NESTED:
        return wanted
    there = found or {}
    spellings = _spellings(there) if field == "properties" else {}
    own = {
        key if key in there else spellings.get(plain_key(key), key): value
        for key, value in wanted.items()
        if value is not None
    }
    # The service may refuse an empty value, so it is not sent where there is nothing to clear.
    own = {key: value for key, value in own.items() if not (is_empty(value) and is_empty(there.get(key)))}
    if field == "baseTypeProperties":
        own = {key: as_text(value) for key, value in own.items()}
    return {**there, **own}


def mismatches(expected: Iterable[Mapping[str, Any]], objects: Iterable[Json], match_on: str) -> list[str]:
    """Return the mismatches between expected and live objects, compared as in a sync.

    :param expected: the expected objects, each with the match key and the fields to compare.
    :param objects: the live objects.
    :param match_on: the match key, see :func:`airflow_provider.mapsindoors.geodata.snapshot.key_of`.
    :return: a sentence for each mismatch; empty when all objects are as expected.
    """
    from airflow_provider.mapsindoors.geodata.snapshot import key_of

    found: dict[str, list[Json]] = {}
    for item in objects:
        found.setdefault(key_of(item, match_on), []).append(item)
    out = []
    for wanted in expected:
        key = key_of(wanted, match_on)
        matches = found.get(key, [])
        if len(matches) != 1:
            out.append(f"{match_on} {key!r} is that of {len(matches)} objects")
            continue
        for path, (live, value) in differences(wanted, matches[0]).items():
            out.append(f"{match_on} {key!r}: {path} is {live!r}, not {value!r}")
    return out
