"""Current values of many Things with few requests."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from airflow_provider.errors import NotFoundError
from airflow_provider.iotstudio.api import IDS, PAGE
from airflow_provider.iotstudio.hooks import IoTStudioHook

FEW = 3
"""Up to so many Things are read one by one."""

PAGES = 3
"""Pages of the list for each 1000 Things, at the most, before the rest is asked for by id."""


def read_values(hook: IoTStudioHook, thing_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Give the current values of Things, by id; those that do not exist are absent.

    The Thing list carries current values: 1000 Things cost one to three requests, unless the space has more
    than three times as many as are asked for. Those that did not come by then are asked for by id.
    """
    wanted = list(dict.fromkeys(thing_ids))
    found: dict[str, dict[str, Any]] = {}
    if len(wanted) <= FEW:
        for thing_id in wanted:
            with suppress(NotFoundError):
                found[thing_id] = hook.get_properties(thing_id)
        return found
    if len(wanted) > PAGES * IDS:
        most = PAGES * math.ceil(len(wanted) / PAGE) * PAGE
        _collect(hook, islice(hook.list_things(), most), set(wanted), found)
    missing = [thing_id for thing_id in wanted if thing_id not in found]
    for start in range(0, len(missing), IDS):
        some = missing[start : start + IDS]
        _collect(hook, hook.list_things(params={"thingID[]": some}), set(some), found)
    return found


def _collect(
    hook: IoTStudioHook,
    things: Iterator[dict[str, Any]],
    wanted: set[str],
    found: dict[str, dict[str, Any]],
) -> None:
    left = len(wanted - found.keys())
    for thing in things:
        uid = str(thing.get("uid") or str(thing.get("id")).rpartition("/")[2])
        if uid not in wanted or uid in found:
            continue
        status = thing.get("status")
        found[uid] = hook.get_properties(uid) if status is None else status
        left -= 1
        if not left:
            return
