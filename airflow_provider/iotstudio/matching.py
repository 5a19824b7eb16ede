"""Matching Things: polls that the sensors of one triggerer share, so that one request serves many of them."""

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
"""Poll intervals after which a Thing that no sensor has asked for is left out of the shared request."""

MIN_SHARED_LIMIT = 100
"""Minimum number of matches asked for, so that sensors with different ``min_matches`` share a request.

While sensors wait, fewer Things match than they need, so the higher limit costs nothing.
"""

_polled: WeakKeyDictionary[Any, dict[Hashable, dict[str, float]]] = WeakKeyDictionary()
"""By event loop and query: the Things to ask for, each with the loop time until which it is asked for."""


async def find_matches(
    hook: IoTStudioHook,
    wanted: int,
    *,
    space: str | None,
    category: str | None,
    filters: Mapping[str, Any],
    interval: float,
) -> Sequence[str]:
    """Return the ids of Things that match, at most as many as are wanted.

    Sensors with the same filters and category share the request. Other filters are another request: the
    service joins all conditions of a request with "and", and its comparison of values is not documented well
    enough to repeat it here.

    :param hook: the space.
    :param wanted: maximum number of ids.
    :param space: the sensor's own space, None for the connection's.
    :param category: only Things of this category.
    :param filters: conditions as query parameters.
    :param interval: the sensor's poll interval in seconds; a shared result is at most this old.
    """
    limit = max(wanted, MIN_SHARED_LIMIT)
    key = ("iotstudio things", hook.conn_id, space, category, repr(filters), limit)

    async def fetch() -> list[str]:
        return await hook.amatching(limit, category=category, params={**filters, "limit": min(limit, 1000)})

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
    """Return whether one Thing matches.

    Sensors that wait for single Things with the same filters share one request for all of them. For the
    parameters see :func:`find_matches`.
    """
    loop = asyncio.get_running_loop()
    key = ("iotstudio single things", hook.conn_id, space, category, repr(filters))
    polled = _polled.setdefault(loop, {}).setdefault(key, {})
    polled[thing_id] = loop.time() + IDLE_INTERVALS * interval

    async def fetch() -> tuple[frozenset[str], frozenset[str]]:
        for idle in [uid for uid, until in polled.items() if until < loop.time()]:
            del polled[idle]
        ids, found = sorted(polled), set[str]()
        for start in range(0, len(ids), IDS_PER_REQUEST):
            params = {**filters, "thingID[]": ids[start : start + IDS_PER_REQUEST]}
            found.update(await hook.amatching(sys.maxsize, category=category, params=params))
        return frozenset(ids), frozenset(found)

    age = interval * 0.8
    while True:
        try:
            asked, found = await shared_result(key, age, fetch)
        except RequestRejectedError:
            # The refused id may belong to another sensor: each sensor asks for its own Thing.
            alone = {**filters, "thingID[]": thing_id, "limit": 1}
            return bool(await hook.amatching(1, category=category, params=alone))
        if thing_id in asked:
            return thing_id in found
        age = -1.0


def match_query(filters: Mapping[str, Any], thing_id: str | None, wanted: int) -> dict[str, Any]:
    """Build the query for matching Things; the service evaluates the filters.

    :param filters: condition by property name.
    :param thing_id: only this Thing; None for all.
    :param wanted: maximum number of Things per page.
    """
    params = {**api.filters(filters), "limit": max(1, min(wanted, api.PAGE_SIZE))}
    return params if thing_id is None else {**params, "thingID[]": thing_id}


def match_result(thing_ids: Sequence[str], shown: int = 100) -> dict[str, Any]:
    """Return matches as a small result: their number, and the first ids.

    :param thing_ids: all that match.
    :param shown: maximum number of ids in the result.
    """
    return {"matches": len(thing_ids), "thing_ids": list(thing_ids[:shown])}
