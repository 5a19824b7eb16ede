"""Pagination: sorted lists cut into pages with opaque cursors."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from airflow_provider.sandbox.iotstudio.request import ApiRequest
from airflow_provider.sandbox.iotstudio.responses import ApiError

EMPTY_PAGE_SENT = "empty page shown"
"""Last value of a cursor that follows an empty page in the middle."""


MAX_LIMIT = 1000
"""Maximum items of a page."""


def limit_of(request: ApiRequest) -> int:
    """Return ``limit``: 1 to 1000, 50 by default; raise ``ApiError`` (400) for other values."""
    text = request.param("limit", "50")
    if text.isdigit() and int(text) > MAX_LIMIT and request.service.above_limit == "clamp":
        return MAX_LIMIT
    if not text.isdigit() or not 1 <= int(text) <= MAX_LIMIT:
        raise ApiError(400, "invalid limit", {"limit": "must be between 1 and 1000"})
    return int(text)


def encode_cursor(values: Sequence[Any]) -> str:
    """Return a cursor with the sort keys of a page's last item."""
    return base64.b64encode(msgspec.json.encode(values)).decode()


def decode_cursor(request: ApiRequest, cursor: str) -> list[Any]:
    """Return the sort keys of a cursor; raise ``ApiError`` (400) when it is not valid, or too old."""
    service = request.service
    if service.cursor_seconds is not None:
        issued = service.cursor_times.get(cursor, 0.0)
        if service.around.clock.now() - issued > service.cursor_seconds:
            raise ApiError(400, "invalid cursor")
    try:
        values = msgspec.json.decode(base64.b64decode(cursor, validate=True))
    except (binascii.Error, msgspec.DecodeError, ValueError) as error:
        raise ApiError(400, "invalid cursor") from error
    if not isinstance(values, list) or not values:
        raise ApiError(400, "invalid cursor")
    return values


def page_body(
    request: ApiRequest, data: list[Any], next_cursor: str = "", previous_cursor: str = ""
) -> dict[str, Any]:
    """Return the body of a page, and count its rows."""
    service = request.service
    service.count_rows(len(data))
    if service.cursor_seconds is not None:
        service.cursor_times |= dict.fromkeys((next_cursor, previous_cursor), service.around.clock.now())
    return {"data": data, "paging": {"next_cursor": next_cursor, "previous_cursor": previous_cursor}}


@dataclass(frozen=True)
class Order:
    """The order of a list.

    :param values: returns the sort keys of an item, which its cursor contains; the last key is unique.
    :param descending: for each sort key, whether it is sorted downwards.
    """

    values: Callable[[Any], list[Any]]
    descending: tuple[bool, ...]

    def rank(self, values: list[Any]) -> tuple[Any, ...]:
        """Return sort keys in comparable form: of any type, absent keys last, descending keys reversed."""
        if len(values) != len(self.descending):
            raise ApiError(400, "invalid cursor")
        return tuple(
            (value is None, _Descending(_comparable(value)) if down else _comparable(value))
            for value, down in zip(values, self.descending, strict=True)
        )


@dataclass(frozen=True)
class _Descending:
    value: tuple[int, Any]

    def __lt__(self, other: _Descending) -> bool:
        return other.value < self.value


def _comparable(value: Any) -> tuple[int, Any]:
    if value is None:
        return (0, 0)
    if isinstance(value, (bool, int, float)):
        return (1, value)
    return (2, value) if isinstance(value, str) else (3, msgspec.json.encode(value))


def order_by(attribute: str, *, descending: bool = False) -> Order:
    """Return the order by a unique attribute."""
    return Order(lambda item: [getattr(item, attribute)], (descending,))


def list_page(
    request: ApiRequest, items: Iterable[Any], order: Order, describe: Callable[[Any], Any]
) -> dict[str, Any]:
    """Return the page of a list after ``next_cursor``, or before ``previous_cursor``.

    :param describe: returns the JSON body of an item.
    """
    limit = limit_of(request)
    ranked = sorted(((order.rank(order.values(item)), item) for item in items), key=lambda pair: pair[0])
    start, stop = 0, limit
    if after := request.param("next_cursor"):
        values = decode_cursor(request, after)
        if values[-1] == EMPTY_PAGE_SENT:
            values.pop()
        elif request.service.empty_page_in_the_middle:
            return page_body(request, [], encode_cursor([*values, EMPTY_PAGE_SENT]))
        if request.service.sorted_cursor == "unsorted":
            values = values[-1:]
        key = order.rank(values)
        start = sum(1 for rank, _ in ranked if not key < rank)
        stop = start + limit
    elif before := request.param("previous_cursor"):
        key = order.rank(decode_cursor(request, before))
        stop = sum(1 for rank, _ in ranked if rank < key)
        start = max(0, stop - limit)
    chosen = [item for _, item in ranked[start:stop]]
    forward = encode_cursor(order.values(chosen[-1])) if chosen and stop < len(ranked) else ""
    back = encode_cursor(order.values(chosen[0])) if chosen and start > 0 else ""
    return page_body(request, [describe(item) for item in chosen], forward, back)
