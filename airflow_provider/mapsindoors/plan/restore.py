"""A backup put back: what was changed is as it was, and what was deleted is made again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from airflow_provider.core.json_types import Json
from airflow_provider.mapsindoors.geodata.snapshot import World, marks_of
from airflow_provider.mapsindoors.plan.desired import Desired, level


def match(rows: list[Desired], world: World) -> None:
    """Find for each object of a backup what it is now; changes the rows.

    An object that is gone becomes a new one, with a new id; below it, parents are named by what they become.
    A new one that an earlier try has made already is recognised by its type, parent, external id and
    administrative id.
    """
    kept = {str(row.item.get("id")): row for row in rows}
    others: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for key, one in world.by_id.items():
        if key not in kept:
            others[marks_of(one)].append(key)
    seen: set[str] = set()
    for row in sorted(rows, key=level):
        row.key = str(row.item.pop("id", ""))
        if not row.key or row.key in seen:
            row.problems.append(f"has the id of another row, {row.key}" if row.key else "has no id")
        seen.add(row.key)
        _rename_parent(row, kept)
        found = row.key if row.key in world.by_id else _made_before(row, others)
        if found:
            row.is_about(found, world)
            row.item = {**_emptied(row.item, world.by_id[found]), "id": found}
            if not world.in_scope(found):
                row.problems.append(f"is about object {found}, which is outside of the scope")


def _rename_parent(row: Desired, kept: Mapping[str, Desired]) -> None:
    parent = kept.get(str(row.item.get("parentId")))
    if parent is None:
        return
    if parent.found:
        row.item["parentId"] = parent.found
    else:
        del row.item["parentId"]
        row.parent = parent


def _made_before(row: Desired, others: Mapping[tuple[str, ...], list[str]]) -> str:
    found = [] if row.parent else others.get(marks_of(row.item), [])
    if len(found) > 1:
        row.problems.append(f"may be any of {len(found)} objects: {', '.join(found[:5])}")
    return found[0] if found else ""


def _emptied(item: Json, found: Json) -> Json:
    """Own also what an object did not have, so that what was added since is emptied.

    Members of ``displaySetting`` and a display type cannot be emptied by any documented means; they stay.
    """
    out = dict(item)
    for name in ("aliases", "categories", "additionalDetails"):
        if found.get(name):
            out[name] = item.get(name) or []
    if found.get("externalId"):
        out["externalId"] = item.get("externalId") or ""
    for name in ("properties", "baseTypeProperties"):
        if found.get(name):
            out[name] = {**dict.fromkeys(found[name], ""), **(item.get(name) or {})}
    return out
