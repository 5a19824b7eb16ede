"""Rows from a warehouse or a map tool, as geodata objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider.core.files.reader import read_rows
from airflow_provider.errors import InputError
from airflow_provider.mapsindoors import checks
from airflow_provider.mapsindoors.flat import from_feature, from_flat, is_feature

Json = dict[str, Any]
Numbered = tuple[int, Json]


def read_updates(source: object) -> Iterator[Numbered]:
    """Give the objects of a source one by one, each with its row number, as they are sent.

    :param source: a list of objects, or the path of a JSON, JSON Lines or GeoJSON file. A GeoJSON feature
        becomes an object like this: ``id`` from the feature's ``id``, or else from its property ``id``;
        ``geometry`` from its geometry (and ``anchor`` too, for a point); properties that are named like a
        field of geodata (``status``, ``categories``, ...) are that field; properties with a language
        (``name@en``) go to ``properties``, those named like a base type property (``capacity``, ...) to
        ``baseTypeProperties``; null is left out; anything else is a problem.
    :raises InputError: when the source cannot be read.
    """
    for number, row in _rows(source):
        yield number, as_sent(from_flat(from_feature(row))[0] if is_feature(row) else row)


def check_updates(source: object) -> int:
    """Read a source to its end and check every object; gives how many there are.

    :raises InputError: with all problems of all rows.
    """
    problems: list[str] = []
    seen: dict[str, int] = {}
    count = 0
    try:
        for number, row in _rows(source):
            count += 1
            problems += [f"row {number}: {said}" for said in _update_problems(number, row, seen)]
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(problems, "geodata")
    return count


def _rows(source: object) -> Iterator[tuple[int, Any]]:
    # Rows of a list are checked here, so that each that is no object is reported, not only the first.
    return enumerate(source, 1) if isinstance(source, list) else read_rows(source, "geodata")


def _update_problems(number: int, row: Any, seen: dict[str, int]) -> Iterator[str]:
    if not isinstance(row, Mapping):
        yield f"is no object but {type(row).__name__}"
        return
    item = dict(row)
    if is_feature(row):
        item, parents, wrong = from_flat(from_feature(row))
        yield from wrong
        yield from (f"{name} is not looked up in an update; give parentId" for name in parents)
    key = item.get("id")
    if not isinstance(key, str) or not key.strip():
        yield "has no id; every object to update needs one"
    elif seen.setdefault(key, number) != number:
        yield f"has the id {key} of row {seen[key]}"
    yield from checks.problems(item)


def as_sent(item: Mapping[str, Any]) -> Json:
    """Give an object in the service's spelling.

    Property keys are in lower case, base type properties are texts, and an area has no ``bbox``, which the
    service derives.
    """
    out = dict(item)
    if out.get("properties"):
        out["properties"] = {key.lower(): value for key, value in out["properties"].items()}
    if out.get("baseTypeProperties"):
        out["baseTypeProperties"] = {
            key: value if value is None else spelled(value)
            for key, value in out["baseTypeProperties"].items()
        }
    if isinstance(out.get("geometry"), Mapping):
        out["geometry"] = {key: value for key, value in out["geometry"].items() if key != "bbox"}
    return out


def spelled(value: Any) -> str:
    """Spell a value as text, as the service keeps it: ``true``, ``4``, ``2.5``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
