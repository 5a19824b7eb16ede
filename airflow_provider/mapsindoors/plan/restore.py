"""Restore: match the objects of a backup, so that changed objects are reset and deleted objects recreated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from airflow_provider.core.json_types import Json
from airflow_provider.errors import shorten
from airflow_provider.mapsindoors.geodata.details import emptied
from airflow_provider.mapsindoors.geodata.snapshot import SolutionSnapshot, natural_key
from airflow_provider.mapsindoors.geodata.values import with_members
from airflow_provider.mapsindoors.plan.desired import DesiredRow, tree_level

_ALWAYS = ("baseType", "datasetId")
"""Fields of every object of the service."""


def match_backup(rows: list[DesiredRow], snapshot: SolutionSnapshot) -> None:
    """Match each object of a backup with the object that it is now.

    A deleted object is created with a new id, and its children get that id as their parent. An object that an
    earlier attempt has recreated is recognised by its base type, parent, external id and administrative id.

    :param rows: the objects of the backup; they are changed.
    :param snapshot: the solution.
    """
    backup_rows = {str(row.item["id"]): row for row in rows if "id" in row.item}
    others: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for key, item in snapshot.by_id.items():
        if key not in backup_rows:
            others[natural_key(item)].append(key)
    seen: set[str] = set()
    for row in sorted(rows, key=tree_level):
        # What a row does not have is emptied, so it must be all of an object.
        row.problems += [
            f"is no object of a backup: it has no {name}" for name in _ALWAYS if not row.item.get(name)
        ]
        row.key = str(row.item.pop("id", ""))
        if not row.key or row.key in seen:
            row.problems.append(f"has the id of another row, {row.key}" if row.key else "has no id")
        seen.add(row.key)
        _rename_parent(row, backup_rows)
        found = row.key if row.key in snapshot.by_id else _find_recreated(row, others)
        if found:
            row.set_object(found, snapshot)
            row.item = {**_emptied(row.item, snapshot.by_id[found]), "id": found}
            if not snapshot.in_scope(found):
                row.problems.append(f"is about object {found}, which is outside of the scope")


def _rename_parent(row: DesiredRow, backup_rows: Mapping[str, DesiredRow]) -> None:
    parent = backup_rows.get(str(row.item.get("parentId")))
    if parent is None:
        return
    if parent.object_id:
        row.item["parentId"] = parent.object_id
    else:
        del row.item["parentId"]
        row.parent = parent


def _find_recreated(row: DesiredRow, others: Mapping[tuple[str, ...], list[str]]) -> str:
    found = [] if row.parent else others.get(natural_key(row.item), [])
    if len(found) > 1:
        row.problems.append(f"may be any of {len(found)} objects: {', '.join(shorten(found, 5))}")
    return found[0] if found else ""


def _emptied(item: Json, found: Json) -> Json:
    """Add empty values for fields that the backup does not have, so that later additions are removed.

    Members of ``displaySetting`` and a display type stay: the vendor's docs have no way to empty them.
    """
    out = dict(item)
    for name in ("aliases", "categories", "additionalDetails"):
        if found.get(name):
            out[name] = item.get(name) or []
    if given := out.get("additionalDetails"):
        out["additionalDetails"] = emptied(given, found.get("additionalDetails"))
    if found.get("externalId"):
        out["externalId"] = item.get("externalId") or ""
    for name in ("properties", "baseTypeProperties"):
        if found.get(name):
            out[name] = with_members(dict.fromkeys(found[name], ""), item.get(name) or {})
    return out
