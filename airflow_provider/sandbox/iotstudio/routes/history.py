"""The history of property values: newest first, in ranges, one item a value or one a time."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from airflow_provider.sandbox.iotstudio.formats import (
    Answer,
    Ask,
    RefusedError,
    missing,
    parse_time,
    short_time,
)
from airflow_provider.sandbox.iotstudio.pagination import EMPTY_SHOWN, envelope, limit_of, pack, unpack
from airflow_provider.sandbox.iotstudio.routes.things import find

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider.sandbox.iotstudio.records import Series, Thing

Item = tuple[int, str, Any]
"""Milliseconds negated (newest first), property name, value."""

FAR = 1 << 60


def read(ask: Ask) -> Answer:
    """GET T/properties-history[/{p}]."""
    thing, names = find(ask), _names(ask)
    at, limit, kept = ask.one("at"), limit_of(ask), _kept_from(ask)
    if at and "|" not in at:
        latest = [item for item in _latest(thing, names, parse_time(at)) if -item[0] >= kept]
        return 200, envelope(ask, [_shown(item) for item in latest][:limit])
    start, stop = _range(at) if at else (-FAR, FAR)
    start = max(start, kept)
    cursor = unpack(ask.one("next_cursor")) if ask.one("next_cursor") else None
    if cursor and cursor[-1] == EMPTY_SHOWN:
        cursor.pop()
    elif cursor and ask.service.empty_page_in_the_middle:
        return 200, envelope(ask, [], pack([*cursor, EMPTY_SHOWN]))
    after = (int(cursor[0]), str(cursor[1])) if cursor and len(cursor) == 2 else (-FAR, "")
    # The cursor names the last item that was sent: only what comes after it is read at all.
    stop = min(stop, -after[0] + 1)
    items = (item for item in _between(thing, names, start, stop) if item[:2] > after)
    if ask.flag("group") and "property" not in ask.args:
        return 200, _grouped(ask, items, limit)
    found = list(islice(items, limit + 1))
    more = pack(found[limit - 1][:2]) if len(found) > limit else ""
    return 200, envelope(ask, [_shown(item) for item in found[:limit]], more)


def _kept_from(ask: Ask) -> int:
    return parse_time(ask.service.forgotten_before) if ask.service.forgotten_before else -FAR


def _names(ask: Ask) -> list[str]:
    thing = find(ask)
    if "property" not in ask.args:
        return sorted(thing.history)
    name = ask.args["property"]
    if name not in thing.properties and name not in thing.history:
        raise missing()
    return [name]


def _range(at: str) -> tuple[int, int]:
    start, _, stop = at.partition("|")
    return (parse_time(start) if start else -FAR), (parse_time(stop) if stop else FAR)


def _shown(item: Item) -> dict[str, Any]:
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


def _grouped(ask: Ask, items: Iterator[Item], limit: int) -> dict[str, Any]:
    page: list[dict[str, Any]] = []
    last: tuple[int, str] = (0, "")
    for when, group in groupby(items, key=lambda item: item[0]):
        if len(page) == limit:
            return envelope(ask, page, pack(last))
        values = {name: value for _, name, value in group}
        page.append({"at": short_time(-when), "properties": values})
        last = (when, max(values))
    return envelope(ask, page)


def add(ask: Ask) -> Answer:
    """POST T/properties-history[/{p}]: back-dated values; one at the same time already is a 409."""
    thing, body = find(ask), ask.json()
    rows = body if isinstance(body, list) else [body]
    new: list[tuple[str, int, Any]] = []
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("properties"), dict) or "at" not in row:
            raise RefusedError(400, "malformed body")
        if "property" in ask.args and list(row["properties"]) != [ask.args["property"]]:
            raise RefusedError(400, "malformed body")
        at = parse_time(str(row["at"]))
        new += [(name, at, value) for name, value in row["properties"].items()]
    taken = {(name, at) for name, at, _ in new if _stored(thing, name, at)}
    if taken or len({item[:2] for item in new}) < len(new):
        raise RefusedError(409, "The property already has a value with the same timestamp")
    for name, at, value in new:
        thing.record(name, at, value)
    return 201, rows


def _stored(thing: Thing, name: str, at: int) -> bool:
    series = thing.history.get(name, ())
    index = bisect_left(series, at, key=lambda item: item[0])
    return index < len(series) and series[index][0] == at


def remove(ask: Ask) -> Answer:
    """DELETE T/properties-history[/{p}]: a range, or exactly one time."""
    thing, at = find(ask), ask.one("at")
    if not at:
        raise RefusedError(400, "at is required")
    start, stop = _range(at) if "|" in at else (parse_time(at), parse_time(at) + 1)
    names = set(_names(ask)) & set(ask.all("property_name[]") or _names(ask))
    for name in names:
        thing.history[name] = [item for item in thing.history.get(name, ()) if not start <= item[0] < stop]
    return 204, None
