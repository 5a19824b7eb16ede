"""Renames: names that changes take and free, so that no name is ever that of two entries."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from airflow_provider.core.input.values import normal_key
from airflow_provider.mapsindoors.catalogue.document import Change
from airflow_provider.mapsindoors.catalogue.entries import Catalogue, folded


def renames(change: Change, catalogue: Catalogue) -> bool:
    """Return whether a change gives another name or key to an entry."""
    return change.operation == "update" and catalogue.kind.key in change.fields


def takes_name(change: Change, catalogue: Catalogue) -> bool:
    """Return whether an entry has a new name or key after a change."""
    return change.operation == "create" or renames(change, catalogue)


def renamed_ids(changes: Iterable[Change], catalogue: Catalogue) -> set[str]:
    """Return the ids of the entries that changes rename."""
    return {change.id for change in changes if renames(change, catalogue)}


def rivals(change: Change, catalogue: Catalogue, renamed: Collection[str]) -> list[str]:
    """Return the ids of other entries that have the new name of a change, whatever its case.

    :param change: the change; only creations and renames can have rivals.
    :param catalogue: the display types or categories.
    :param renamed: the ids of the entries that lose their names.
    """
    if not takes_name(change, catalogue):
        return []
    return [one for one in catalogue.ids_like(change.key) if one != change.id and one not in renamed]


def stages(changes: Iterable[Change], catalogue: Catalogue) -> tuple[list[list[Change]], list[Change]]:
    """Return updates in stages, so that each takes names only that an earlier stage has freed.

    :param changes: the updates.
    :param catalogue: the display types or categories before the first write.
    :return: the stages, and the renames that wait for each other, as in a swap.
    """
    left, found = list(changes), []
    while left:
        held: dict[str, set[str]] = {}
        for change in left:
            if renames(change, catalogue):
                old = catalogue.kind.key_of(catalogue.by_id.get(change.id, {}))
                held.setdefault(folded(old), set()).add(change.id)
        waiting = [
            change
            for change in left
            if renames(change, catalogue) and held.get(folded(change.key), set()) - {change.id}
        ]
        if len(waiting) == len(left):
            break
        still = set(map(id, waiting))
        found.append([change for change in left if id(change) not in still])
        left = waiting
    return found, left


def spelling(object_id: str, catalogue: Catalogue) -> str:
    """Return the name or key of an entry, in its own spelling."""
    return normal_key(catalogue.kind.key_of(catalogue.by_id[object_id]))
