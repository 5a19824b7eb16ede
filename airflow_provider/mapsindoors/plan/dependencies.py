"""Dependencies: what a plan depends on, so that it is applied to a map that changed elsewhere only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider.core.input.row_numbers import encode_row_number
from airflow_provider.errors import shorten
from airflow_provider.mapsindoors.geodata.diff import differences
from airflow_provider.mapsindoors.geodata.snapshot import SolutionSnapshot, key_of, natural_key
from airflow_provider.mapsindoors.plan.document import Change, Plan

Json = dict[str, Any]

_MAP = "map"
"""Name of the hash of all compared objects. It makes the fingerprint unique, and is not compared again."""

FAILED = "failed"
"""Name of the hash of the rows that are left out: they forbid removals."""

_SHOWN = 10
"""Maximum changes on the map that an error lists."""


def fingerprint_of(dependencies: Mapping[str, str]) -> str:
    """Return the hash of all dependencies of a plan."""
    return _digest(dict(dependencies))


def fingerprint_of_scope(snapshot: SolutionSnapshot) -> str:
    """Return the fingerprint of plans of 0.1.0: a hash of all objects in the scope, with sorted fields."""
    import msgspec

    digest = hashlib.sha256()
    for key in sorted(snapshot.ids_in_scope()):
        digest.update(msgspec.json.encode(snapshot.by_id[key], order="deterministic"))
    return digest.hexdigest()


def digest_of_scope(snapshot: SolutionSnapshot) -> str:
    """Return a hash of all objects in the scope, as the service sent them: nothing is decoded."""
    digest = hashlib.sha256()
    for key in sorted(snapshot.ids_in_scope()):
        digest.update(snapshot.by_id.undecoded(key))
    return digest.hexdigest()


def dependencies(plan: Plan, snapshot: SolutionSnapshot, of_map: str) -> dict[str, str]:
    """Return a hash of each part of the map that a plan depends on, by name.

    These are the rows that are left out; the objects that it changes, with their ancestors; the objects that
    have the keys of its rows; and the parents of new and moved objects. The names follow from the plan alone.

    :param plan: the plan.
    :param snapshot: the solution.
    :param of_map: hash of all objects that were compared for the plan.
    """
    import msgspec

    found: Json = {}
    twins = _natural_keys(plan, snapshot)
    for change in plan.changes:
        if change.id:
            there = snapshot.by_id.get(change.id)
            found[f"object: {change.id}"] = there and [there, snapshot.ancestors(change.id)]
        for name, value in _keys(change, plan.match_on):
            found[f"{name}: {value}"] = sorted(snapshot.ids_by(name, value))
        if parent := change.body.get("parentId"):
            found[f"parent: {parent}"] = snapshot.ancestors(str(parent), itself=True)
        if twins is not None and change.operation == "create":
            found[f"copy: {change.key}"] = twins.get(natural_key(change.body), [])
    hashes = {name: _digest(value)[:16] for name, value in found.items()}
    failed = hashlib.sha256(
        msgspec.json.encode(plan.failed, enc_hook=encode_row_number, order="deterministic")
    )
    return {_MAP: of_map, FAILED: failed.hexdigest()[:16], **hashes}


def _keys(change: Change, match_on: str) -> Iterator[tuple[str, str]]:
    """Yield the keys whose owners a change depends on: the match key, and a new external id."""
    if match_on != "id" and change.key:
        yield match_on, change.key
    if match_on != "externalId" and (external_id := key_of(change.body, "externalId")):
        yield "externalId", external_id


def _natural_keys(plan: Plan, snapshot: SolutionSnapshot) -> dict[tuple[str, ...], list[str]] | None:
    """Return the objects by what recognises them when a restore has created them; None for other plans."""
    if plan.match_on != "id" or not any(change.operation == "create" for change in plan.changes):
        return None
    found: dict[tuple[str, ...], list[str]] = {}
    for key, item in snapshot.by_id.items():
        found.setdefault(natural_key(item), []).append(key)
    return found


def _digest(value: Any) -> str:
    import msgspec

    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()


def dependencies_now(plan: Plan, snapshot: SolutionSnapshot) -> dict[str, str]:
    """Return what a loaded plan depends on, as the map is now."""
    now = dependencies(plan, snapshot, plan.depends.get(_MAP, ""))
    if FAILED not in plan.depends:  # made by an earlier release
        del now[FAILED]
    return now


def describe_drift(plan: Plan, snapshot: SolutionSnapshot, names: list[str]) -> str:
    """Describe the changes on the map since a plan was made, as far as the plan has the earlier values.

    :param plan: the plan.
    :param snapshot: the solution as it is now.
    :param names: the changed dependencies; all objects are looked through when there is none.
    """
    by_object = {f"object: {change.id}": change for change in plan.changes if change.id}
    lines: list[str] = []
    for name in names or by_object:
        kind, _, value = name.partition(": ")
        if name in by_object:
            lines += _drifted(by_object[name], snapshot) or ([_other_field(by_object[name])] if names else [])
        elif kind == "parent":
            there = value in snapshot.by_id
            lines.append(f"the parent {value} {'was moved or changed its type' if there else 'is gone'}")
        elif kind == "copy":
            lines.append(f"a copy of the deleted object {value} was made or deleted")
        else:
            owners = snapshot.ids_by(kind, value)
            lines.append(f"{kind} {value!r} is now that of {', '.join(shorten(owners, 5)) or 'no object'}")
    return "; ".join(shorten(lines, _SHOWN)) or "an object that was compared, but is not to be changed"


def _described(change: Change) -> str:
    return f"{change.base_type} {change.id} ({change.key})"


def _other_field(change: Change) -> str:
    return f"{_described(change)}: another field, or its place in the tree, changed"


def _drifted(change: Change, snapshot: SolutionSnapshot) -> list[str]:
    found = snapshot.by_id.get(change.id)
    if found is None:
        return [f"{_described(change)} is gone"]
    different, out = differences(change.body, found), []
    for path, pair in change.fields.items():
        if path == "parentId" and change.parent_key:
            continue
        if path not in different:
            out.append(f"{_described(change)}: {path} is already as planned")
        elif list(different[path]) != pair:
            was, now = next(iter(pair), None), different[path][0]
            out.append(f"{_described(change)}: {path} was {was!r}, now it is {now!r}")
    return out
