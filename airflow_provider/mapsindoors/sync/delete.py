"""Deletes objects by id: looked up first, leaves before parents, within a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider.core.files.reader import read_rows
from airflow_provider.errors import InputError
from airflow_provider.mapsindoors.geodata.snapshot import World, read_undecoded
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.mapsindoors.plan.document import Change, Plan, fingerprint, stage
from airflow_provider.mapsindoors.plan.guards import Guards
from airflow_provider.mapsindoors.sync.execute import Application
from airflow_provider.mapsindoors.sync.verify import verify

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


def read_ids(source: list[str] | str) -> list[str]:
    """Read ids from a list, or from the ``id`` of each object of a file.

    :raises InputError: naming every row that is no id.
    """
    given = [row.get("id") for _, row in read_rows(source, "ids")] if isinstance(source, str) else source
    wrong = [
        f"row {number}: {one!r} is no id"
        for number, one in enumerate(given, 1)
        if not isinstance(one, str) or not one.strip()
    ]
    if wrong:
        raise InputError(wrong, "ids")
    return list(dict.fromkeys(one for one in given if one))


def delete(hook: MapsIndoorsHook, ids: list[str], most: int, batch_size: int, log: Logger) -> dict[str, int]:
    """Delete objects; gives how many were deleted and how many did not exist.

    :param most: refuse to delete more than this.
    :raises PlanRejectedError: when that is more, or when an object below one of them would stay.
    """
    world = World(hook.get_dataset(), read_undecoded(hook), match_on="id")
    plan = Plan(world.dataset["id"], "id", {}, fingerprint(world), compared=len(world.by_id))
    known = [one for one in ids if one in world.by_id]
    plan.changes = sorted((Change("delete", one, world.base_types[one], one) for one in known), key=stage)
    Guards(max_deletes=most, max_delete_ratio=1.0).check(plan, world)
    application = Application(hook, plan, batch_size=batch_size, log=log)
    application.run(skip_bad=False)
    if plan.changes:
        verify(hook, application.written, plan.match_on)
    return {"deleted": application.done["delete"], "gone": len(ids) - len(known)}
