"""History of property values: newest first, in ranges, an item for each value or for each time."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterator
from itertools import groupby, islice
from typing import Any

from airflow_provider.sandbox.iotstudio.formats import parse_time, short_time
from airflow_provider.sandbox.iotstudio.pagination import (
    EMPTY_PAGE_SENT,
    decode_cursor,
    encode_cursor,
    limit_of,
    page_body,
)
from airflow_provider.sandbox.iotstudio.records import Series, Thing
from airflow_provider.sandbox.iotstudio.request import ApiRequest
from airflow_provider.sandbox.iotstudio.responses import ApiError, Reply, not_found
from airflow_provider.sandbox.iotstudio.routes.properties import check_values

Item = tuple[int, str, Any]
"""Milliseconds negated (newest first), property name, value."""

FAR = 1 << 60
"""Milliseconds beyond every recorded time."""


def read(request: ApiRequest) -> Reply:
    """GET T/properties-history[/{p}]."""
    thing, names = request.find_thing(), _names(request)
    at, limit, oldest = request.param("at"), limit_of(request), _oldest_time(request)
    if at and "|" not in at:
        latest = [item for item in _latest(thing, names, parse_time(at)) if -item[0] >= oldest]
        return 200, page_body(request, [_describe(item) for item in latest][:limit])
    start, stop = _range(at) if at else (-FAR, FAR)
    stop += request.service.range_end == "inclusive"
    start = max(start, oldest)
    after_page = request.param("next_cursor")
    cursor = decode_cursor(request, after_page) if after_page else None
    if cursor and cursor[-1] == EMPTY_PAGE_SENT:
        cursor.pop()
    elif cursor and request.service.empty_page_in_the_middle:
        return 200, page_body(request, [], encode_cursor([*cursor, EMPTY_PAGE_SENT]))
    after = (int(cursor[0]), str(cursor[1])) if cursor and len(cursor) == 2 else (-FAR, "")
    if request.service.history_order == "oldest":
        items = _oldest_first(_between(thing, names, start, stop), after if cursor else (FAR, ""))
    else:
        # The cursor names the last item that was sent: items before it are not read at all.
        stop = min(stop, -after[0] + 1)
        items = (item for item in _between(thing, names, start, stop) if item[:2] > after)
    if request.flag("group") and "property" not in request.args:
        if request.service.group_limit == "values":
            return 200, _grouped_values(request, items, limit)
        return 200, _grouped(request, items, limit)
    found = list(islice(items, limit + 1))
    more = encode_cursor(found[limit - 1][:2]) if len(found) > limit else ""
    return 200, page_body(request, [_describe(item) for item in found[:limit]], more)


def _oldest_first(items: Iterator[Item], after: tuple[int, str]) -> Iterator[Item]:
    return (item for item in reversed(list(items)) if item[:2] < after)


def _oldest_time(request: ApiRequest) -> int:
    return parse_time(request.service.forgotten_before) if request.service.forgotten_before else -FAR


def _names(request: ApiRequest) -> list[str]:
    thing = request.find_thing()
    if "property" not in request.args:
        return sorted(thing.history)
    name = request.args["property"]
    if name not in thing.properties and name not in thing.history:
        raise not_found()
    return [name]


def _range(at: str) -> tuple[int, int]:
    start, _, stop = at.partition("|")
    return (parse_time(start) if start else -FAR), (parse_time(stop) if stop else FAR)


def _describe(item: Item) -> dict[str, Any]:
    return {"at": short_time(-item[0]), "properties": {item[1]: item[2]}}


def _latest(thing: Thing, names: list[str], at: int) -> list[Item]:
    found = []
    for name in names:
        series = thing.history.get(name, ())
        index = bisect_left(series, at + 1, key=lambda item: item[0])
        if index:
            when, value = series[index - 1]
            found.append((-when, name, value))
    return sorted(found, key=lambda item: item[:2])


def _backwards(name: str, series: Series, start: int, stop: int) -> Iterator[Item]:
    low = bisect_left(series, start, key=lambda item: item[0])
    high = bisect_left(series, stop, key=lambda item: item[0])
    for index in range(high - 1, low - 1, -1):
        when, value = series[index]
        yield -when, name, value


def _between(thing: Thing, names: list[str], start: int, stop: int) -> Iterator[Item]:
    runs = [_backwards(name, thing.history.get(name, ()), start, stop) for name in names]
    return heapq.merge(*runs, key=lambda item: item[:2])


def _grouped_values(request: ApiRequest, items: Iterator[Item], limit: int) -> dict[str, Any]:
    """Return so many values, those of a time as one item; a time can be divided between two pages."""
    found = list(islice(items, limit + 1))
    rows = [
        {"at": short_time(-when), "properties": {name: value for _, name, value in group}}
        for when, group in groupby(found[:limit], key=lambda item: item[0])
    ]
    return page_body(request, rows, encode_cursor(found[limit - 1][:2]) if len(found) > limit else "")


def _grouped(request: ApiRequest, items: Iterator[Item], limit: int) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    last: tuple[int, str] = (0, "")
    for when, group in groupby(items, key=lambda item: item[0]):
        if len(rows) == limit:
            return page_body(request, rows, encode_cursor(last))
        values = {name: value for _, name, value in group}
        rows.append({"at": short_time(-when), "properties": values})
        last = (when, max(values))
    return page_body(request, rows)


def add(request: ApiRequest) -> Reply:
    """POST T/properties-history[/{p}]: back-dated values; 409 when a time has a value already."""
    thing, body = request.find_thing(), request.json()
    rows = body if isinstance(body, list) else [body]
    new: list[tuple[str, int, Any]] = []
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("properties"), dict) or "at" not in row:
            raise ApiError(400, "malformed body")
        if "property" in request.args and list(row["properties"]) != [request.args["property"]]:
            raise ApiError(400, "malformed body")
        at = parse_time(str(row["at"]))
        if request.service.checks("values"):
            _check_row(request, thing, row)
        new += [(name, at, value) for name, value in row["properties"].items()]
    taken = {(name, at) for name, at, _ in new if _has_value(thing, name, at)}
    if taken or len({item[:2] for item in new}) < len(new):
        raise ApiError(409, "The property already has a value with the same timestamp")
    for name, at, value in new:
        thing.record(name, at, value)
    return 201, rows


def _check_row(request: ApiRequest, thing: Thing, row: dict[str, Any]) -> None:
    if not isinstance(row["at"], str) or not row["properties"]:
        raise ApiError(400, "malformed body")
    check_values(request, thing, row["properties"])


def _has_value(thing: Thing, name: str, at: int) -> bool:
    series = thing.history.get(name, ())
    index = bisect_left(series, at, key=lambda item: item[0])
    return index < len(series) and series[index][0] == at


def remove(request: ApiRequest) -> Reply:
    """DELETE T/properties-history[/{p}]: a range, or exactly one time."""
    thing, at = request.find_thing(), request.param("at")
    if not at:
        raise ApiError(400, "at is required")
    start, stop = _range(at) if "|" in at else (parse_time(at), parse_time(at) + 1)
    names = set(_names(request)) & set(request.params("property_name[]") or _names(request))
    for name in names:
        thing.history[name] = [item for item in thing.history.get(name, ()) if not start <= item[0] < stop]
    return 204, None
