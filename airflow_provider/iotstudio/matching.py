"""Polls that sensors of one triggerer share: one request looks for as many of them as it can."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from airflow_provider.core.shared_polls import shared_result
from airflow_provider.errors import RequestRejectedError
from airflow_provider.iotstudio import api
from airflow_provider.iotstudio.api import IDS_PER_REQUEST

if TYPE_CHECKING:
    from airflow_provider.iotstudio.hooks import IoTStudioHook


IDLE_INTERVALS = 4
"""Poll intervals after which a Thing that nobody asked for again is left out."""

MIN_SHARED_LIMIT = 100
"""So many matches are asked for at least, so that sensors which need different numbers share a request; as
long as they wait, there are fewer than they need."""

_polled: WeakKeyDictionary[Any, dict[Hashable, dict[str, float]]] = WeakKeyDictionary()


async def find_matches(
    hook: IoTStudioHook,
    wanted: int,
    *,
    space: str | None,
    category: str | None,
    filters: Mapping[str, Any],
    interval: float,
) -> Sequence[str]:
    """Give the ids of Things that match, as many as are wanted if there are so many.

    Sensors that ask with the same filters of the same category share the request. With other filters it is
    another request: the service joins all conditions of one with "and", and how it compares values is not
    documented well enough to do it here.

    :param interval: the sensor's poll interval; a shared answer is at most so old.
    """
    most = max(wanted, MIN_SHARED_LIMIT)
    key = ("iotstudio things", hook.conn_id, space, category, repr(filters), most)

    async def fetch() -> list[str]:
        return await hook.amatching(most, category=category, params={**filters, "limit": min(most, 1000)})

    return (await shared_result(key, interval * 0.8, fetch))[:wanted]


async def thing_matches(
    hook: IoTStudioHook,
    thing_id: str,
    *,
    space: str | None,
    category: str | None,
    filters: Mapping[str, Any],
    interval: float,
) -> bool:
    """Tell whether one Thing matches.

    Sensors that wait for single Things with the same filters share one request for all of them.
    """
    loop = asyncio.get_running_loop()
    key = ("iotstudio single things", hook.conn_id, space, category, repr(filters))
    waiting = _polled.setdefault(loop, {}).setdefault(key, {})
    waiting[thing_id] = loop.time() + IDLE_INTERVALS * interval

    async def fetch() -> tuple[frozenset[str], frozenset[str]]:
        for gone in [key for key, until in waiting.items() if until < loop.time()]:
            del waiting[gone]
        ids, found = sorted(waiting), set[str]()
        for start in range(0, len(ids), IDS_PER_REQUEST):
            params = {**filters, "thingID[]": ids[start : start + IDS_PER_REQUEST]}
            found.update(await hook.amatching(sys.maxsize, category=category, params=params))
        return frozenset(ids), frozenset(found)

    age = interval * 0.8
    while True:
        try:
            asked, found = await shared_result(key, age, fetch)
        except RequestRejectedError:
            # Perhaps for the id of another one: each asks for itself.
            alone = {**filters, "thingID[]": thing_id, "limit": 1}
            return bool(await hook.amatching(1, category=category, params=alone))
        if thing_id in asked:
            return thing_id in found
        age = -1.0


def match_query(filters: Mapping[str, Any], thing_id: str | None, wanted: int) -> dict[str, Any]:
    """Make the query for Things that match: no more of them than are wanted, evaluated by the service."""
    params = {**api.filters(filters), "limit": max(1, min(wanted, api.PAGE_SIZE))}
    return {**params, "thingID[]": thing_id} if thing_id else params


def match_result(thing_ids: Sequence[str], shown: int = 100) -> dict[str, Any]:
    """Give what was found as a small result: how many, and the first ids."""
    return {"matches": len(thing_ids), "thing_ids": list(thing_ids[:shown])}
