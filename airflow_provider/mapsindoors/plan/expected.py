"""Expected objects: read the rows of a sensor, and check that they can be met."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow_provider.errors import InputError
from airflow_provider.mapsindoors.geodata.snapshot import SolutionSnapshot, key_of
from airflow_provider.mapsindoors.geodata.values import is_object_id
from airflow_provider.mapsindoors.plan.desired import (
    DesiredRow,
    raise_for_rows,
    read_desired_rows,
    set_languages,
)
from airflow_provider.mapsindoors.plan.resolution import resolve_types

if TYPE_CHECKING:
    from airflow_provider.mapsindoors.hooks import MapsIndoorsHook

_SUBJECT = "expected"


def read_expected(expected: object, match_on: str) -> list[DesiredRow]:
    """Read the expected objects.

    :param expected: a list of objects, or the path of a file.
    :param match_on: the match key.
    :raises InputError: with the problems of all rows.
    """
    rows = read_desired_rows(expected, _SUBJECT, match_on=match_on)
    set_languages(rows, "")
    seen: dict[str, DesiredRow] = {}
    for row in rows:
        if row.references:
            row.problems.append("has a reference to its parent; use parentId")
        if row.problems:
            continue
        if not (key := key_of(row.item, match_on)):
            row.problems.append(f"has no {match_on}")
        elif (other := seen.setdefault(key, row)) is not row:
            row.problems.append(f"is about the same object as row {other.number} ({key[:60]})")
        if row.columns > 1 and row.item.keys() <= {"id", match_on}:
            row.problems.append("has no expected value: each is null")
    raise_for_rows(rows, _SUBJECT, match_on)
    if not rows:
        raise InputError("is empty", _SUBJECT)
    return rows


def has_names(rows: Sequence[DesiredRow]) -> bool:
    """Return whether rows name display types or categories otherwise than by id."""
    given = [
        text
        for row in rows
        for text in (row.item.get("displayTypeId"), *(row.item.get("categories") or ()))
        if text
    ]
    return not all(is_object_id(text) for text in given)


def resolve_expected(hook: MapsIndoorsHook, rows: Sequence[DesiredRow], match_on: str) -> None:
    """Replace names of display types and categories by ids, and check the languages of the properties.

    :param hook: the connection to the solution.
    :param rows: the rows of :func:`read_expected`; they are changed.
    :param match_on: the match key.
    :raises InputError: with each name that the solution does not have, as no wait would find it.
    """
    uses = {name for row in rows for name in ("displayTypeId", "categories") if row.item.get(name)}
    snapshot = SolutionSnapshot(
        hook.get_dataset() if any(row.item.get("properties") for row in rows) else {},
        (),
        display_types=hook.list_display_types() if "displayTypeId" in uses else (),
        categories=hook.list_categories() if "categories" in uses else (),
    )
    set_languages(rows, "", snapshot.languages)
    resolve_types(rows, snapshot)
    raise_for_rows(rows, _SUBJECT, match_on)
