"""Planner: build the plan that brings a solution to its desired state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_provider.mapsindoors.geodata import geometry
from airflow_provider.mapsindoors.geodata.diff import (
    NESTED,
    build_update,
    complete_value,
    has_values,
    is_empty,
)
from airflow_provider.mapsindoors.geodata.snapshot import SolutionSnapshot, key_of
from airflow_provider.mapsindoors.geodata.validation import BASE_TYPES
from airflow_provider.mapsindoors.plan.dependencies import (
    dependencies,
    digest_of_scope,
    fingerprint_of,
)
from airflow_provider.mapsindoors.plan.desired import DesiredRow
from airflow_provider.mapsindoors.plan.document import ACTIVE, Change, Plan, write_order

Json = dict[str, Any]


def make_plan(
    rows: Iterable[DesiredRow],
    snapshot: SolutionSnapshot,
    scope: Mapping[str, Any],
    missing: str = "ignore",
    *,
    exact: bool = False,
) -> Plan:
    """Build the plan that brings a solution to its desired state.

    :param rows: the rows after :func:`~airflow_provider.mapsindoors.plan.resolution.resolve_references`; rows
        with problems are left out and listed as failed.
    :param snapshot: the solution.
    :param scope: the scope of the comparison.
    :param missing: action for compared objects without a row: ``ignore``, ``deactivate`` or ``delete``.
        Objects without the match key are never changed.
    :param exact: whether a row's anchor is never replaced, as in a restore.
    """
    plan = Plan(snapshot.dataset["id"], snapshot.match_on, dict(scope), "")
    listed = list(rows)
    for row in listed:
        if row.problems:
            reasons = [str(problem) for problem in row.problems]
            plan.failed.append({"row": row.number, "key": row.key, "reasons": reasons})
        elif row.object_id:
            found = snapshot.by_id[row.object_id]
            _plan_update(plan, row, _wanted(row, found, missing), found, snapshot, exact)
        else:
            plan.changes.append(_plan_create(row, snapshot))
    keyed = comparable_ids(snapshot)
    plan.compared = len(keyed)
    if missing != "ignore":
        about = {row.object_id for row in listed if row.object_id}
        about |= {key for row in listed if row.key for key in snapshot.ids_with_key(row.key)}
        plan.changes += _plan_removals(
            (snapshot.by_id[key] for key in keyed if key not in about), missing, snapshot
        )
    plan.changes.sort(key=write_order)
    plan.depends = dependencies(plan, snapshot, digest_of_scope(snapshot))
    plan.fingerprint = fingerprint_of(plan.depends)
    return plan


def comparable_ids(snapshot: SolutionSnapshot) -> list[str]:
    """Return the ids of the objects in the scope that have the match key and a known base type."""
    return [
        key
        for key in snapshot.keyed_ids()
        if snapshot.in_scope(key) and snapshot.base_types[key] in BASE_TYPES
    ]


def _plan_create(row: DesiredRow, snapshot: SolutionSnapshot) -> Change:
    body = {key: value for key, value in row.item.items() if value is not None}
    if "additionalDetails" in body:
        body["additionalDetails"] = complete_value("additionalDetails", body["additionalDetails"], None)
    for name in NESTED:
        if body.get(name):
            members = {key: value for key, value in body[name].items() if not is_empty(value)}
            body = {**body, name: members} if members else {k: v for k, v in body.items() if k != name}
    body["datasetId"] = snapshot.dataset["id"]
    body.setdefault("anchor", geometry.anchor(body["geometry"]))
    parent = row.parent.key if row.parent else ""
    return Change(
        "create",
        row.key,
        row.base_type,
        row=row.number,
        name=_name(body, snapshot),
        body=body,
        parent_key=parent,
    )


def _wanted(row: DesiredRow, found: Json, missing: str) -> Json:
    wanted = dict(row.item)
    if missing == "deactivate" and wanted.get("status") is None:
        # An object that was deactivated because its row was missing is activated with the row.
        wanted["status"] = _status(found) | ACTIVE
    return wanted


def _plan_update(
    plan: Plan, row: DesiredRow, wanted: Json, found: Json, snapshot: SolutionSnapshot, exact: bool
) -> None:
    if row.parent is None and has_values(wanted, found):
        plan.unchanged += 1
        return
    body, different = build_update(wanted, found, exact=exact)
    if row.parent is not None:
        different["parentId"] = (found.get("parentId"), f"(new: {row.parent.key})")
        body = {"id": found["id"], **body}
    if not body:
        plan.unchanged += 1
        return
    fields = {path: list(pair) for path, pair in different.items()}
    parent = row.parent.key if row.parent else ""
    name = _name(wanted, snapshot) or _name(found, snapshot)
    plan.changes.append(
        Change("update", row.key, found["baseType"], found["id"], row.number, name, fields, body, parent)
    )


def _plan_removals(objects: Iterable[Json], missing: str, snapshot: SolutionSnapshot) -> Iterator[Change]:
    for item in objects:
        key, name = key_of(item, snapshot.match_on), _name(item, snapshot)
        if missing == "delete":
            yield Change("delete", key, item["baseType"], item["id"], name=name)
        elif _status(item) & ACTIVE:
            old = _status(item)
            new = old & ~ACTIVE
            body = {"id": item["id"], "status": new}
            yield Change(
                "deactivate", key, item["baseType"], item["id"], 0, name, {"status": [old, new]}, body
            )


def _status(item: Mapping[str, Any]) -> int:
    """Return the status bits; an object without a status is active and searchable."""
    status = item.get("status")
    return status if isinstance(status, int) else 3


def _name(item: Mapping[str, Any], snapshot: SolutionSnapshot) -> str:
    return str((item.get("properties") or {}).get(f"name@{snapshot.base_language}") or "")
