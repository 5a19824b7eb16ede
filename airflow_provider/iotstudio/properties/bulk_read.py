"""Bulk read: current values of many Things with few requests."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from airflow_provider.errors import NotFoundError, RequestRejectedError, TransportError
from airflow_provider.iotstudio.api import IDS_PER_REQUEST, PAGE_SIZE
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.iotstudio.hooks_base import read_twice

IDS_PER_LONG_REQUEST = 375
"""Maximum Things named in one long request: with its headers below the 16 KB that many servers allow."""

REQUESTS_PER_PAGE = 3
"""Requests allowed per 1000 Things, rounded up."""

Values = dict[str, Mapping[str, Any]]


@dataclass(slots=True)
class ReadNotes:
    """Notes of a read about Things, beside their values.

    :param declared: gets the declared properties of each Thing whose description was read, by its id.
    """

    declared: dict[str, Mapping[str, Any]] = field(default_factory=dict)


def read_values(hook: IoTStudioHook, thing_ids: Sequence[str], notes: ReadNotes | None = None) -> Values:
    """Return the current values of Things, by id; Things that do not exist are absent.

    1000 Things cost at most three requests. When the service refuses URLs of 16 KB, and the Things are few in
    a large space, they cost about eight.

    :param hook: the space.
    :param thing_ids: the Things.
    :param notes: see :class:`ReadNotes`.
    """
    notes = notes or ReadNotes()
    wanted = list(dict.fromkeys(thing_ids))
    if len(wanted) == 1:
        one = wanted[0]
        try:
            return {one: read_twice(lambda: hook.get_properties(one))}
        except NotFoundError:
            return {}
    return _BulkReader(hook, wanted, notes).values()


def read_descriptions(hook: IoTStudioHook, thing_ids: Sequence[str]) -> tuple[Values, ReadNotes]:
    """Return the current values of Things and their declared properties, also for a single Thing.

    :param hook: the space.
    :param thing_ids: the Things; those that do not exist are absent.
    """
    notes = ReadNotes()
    wanted = list(dict.fromkeys(thing_ids))
    return (_BulkReader(hook, wanted, notes).values() if wanted else {}), notes


class _BulkReader:
    """Choose the cheaper request each time: a page of the Thing list, or Things by their ids.

    Both carry current values. A page holds between none and 1000 of the wanted Things, which is not known
    before the request.
    """

    def __init__(self, hook: IoTStudioHook, wanted: Sequence[str], notes: ReadNotes) -> None:
        self._hook = hook
        self._declared = notes.declared
        self._left = dict.fromkeys(wanted)
        self._found: Values = {}
        self._requests_left = REQUESTS_PER_PAGE * math.ceil(len(wanted) / PAGE_SIZE)
        self._ids = IDS_PER_LONG_REQUEST
        # When writing a value counts as modifying the Thing (the vendor's docs do not say), Things that were
        # just written come first. Otherwise this order costs nothing.
        self._list = hook.list_things(params={"sort": "-modified"})
        self._last_page = 0

    def values(self) -> Values:
        while self._left:
            if self._should_read_page():
                self._read_page()
            else:
                self._read_block([*self._left][: self._ids])
            self._requests_left -= 1
        return self._found

    def _should_read_page(self) -> bool:
        """Return whether the last page held more than a block of ids, or a page without any is affordable."""
        blocks = math.ceil(len(self._left) / self._ids)
        return blocks > 1 and (self._last_page > self._ids or blocks < self._requests_left)

    def _read_page(self) -> None:
        before = len(self._left)
        try:
            # The list is lazy: this reads one page.
            self._take(islice(self._list, PAGE_SIZE))
        except (RequestRejectedError, NotFoundError):
            # The service does not support this order, or it is a single 404: read by ids.
            self._requests_left = 0
        self._last_page = before - len(self._left)

    def _read_block(self, block: Sequence[str]) -> None:
        try:
            read_twice(lambda: self._take(self._hook.list_things(params={"thingID[]": block})))
        except (RequestRejectedError, TransportError) as error:
            if len(block) > IDS_PER_REQUEST:
                # The URL was too long. Shorter URLs take more requests, so a page may be cheaper.
                self._ids, self._last_page = IDS_PER_REQUEST, PAGE_SIZE
                return
            if isinstance(error, TransportError):
                raise
            if len(block) > 1:
                # One of the ids is invalid.
                self._read_block(block[::2])
                self._read_block(block[1::2])
        for thing_id in block:
            self._left.pop(thing_id, None)

    def _take(self, things: Iterable[dict[str, Any]]) -> None:
        for thing in things:
            uid = str(thing.get("uid") or str(thing.get("id")).rpartition("/")[2])
            if uid in self._left:
                status = thing.get("status")
                self._declared[uid] = thing.get("properties") or {}
                self._found[uid] = self._hook.get_properties(uid) if status is None else status or {}
                del self._left[uid]
