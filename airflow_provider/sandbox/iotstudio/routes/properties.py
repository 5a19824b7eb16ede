"""Property values: reading, writing with the declaration's limits, and what verification tests need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider.sandbox.iotstudio.formats import Answer, Ask, RefusedError, missing, rfc3339
from airflow_provider.sandbox.iotstudio.routes.things import find

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider.sandbox.iotstudio.records import Thing

TYPES: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}


def violation(schema: Mapping[str, Any], value: Any) -> str:
    """Say how a value breaks its declared type; empty when it does not."""
    declared = schema.get("type")
    if declared is None or value is None:
        return ""
    fits = isinstance(value, TYPES[declared]) and (declared == "boolean" or not isinstance(value, bool))
    return "" if fits else f"must be of type {declared}"


def beyond(schema: Mapping[str, Any], value: Any) -> Any:
    """Give the limit that a number is beyond; None when it is within."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and value < low:
        return low
    return high if high is not None and value > high else None


def read_all(ask: Ask) -> Answer:
    """GET T/properties: declared properties without a value are null."""
    thing = find(ask)
    return 200, dict.fromkeys(thing.properties) | thing.status


def read_one(ask: Ask) -> Answer:
    """GET T/properties/{p}."""
    thing, name = find(ask), ask.args["property"]
    if name not in thing.properties and name not in thing.status:
        raise missing()
    return 200, {name: thing.status.get(name)}


def write_all(ask: Ask) -> Answer:
    """PUT T/properties: all of the values, or none."""
    return _write(ask, find(ask), ask.fields())


def write_one(ask: Ask) -> Answer:
    """PUT T/properties/{p}: the body is keyed by the name all the same."""
    thing, values = find(ask), ask.fields()
    if list(values) != [ask.args["property"]]:
        raise RefusedError(400, "malformed body")
    return _write(ask, thing, values)


def _write(ask: Ask, thing: Thing, values: dict[str, Any]) -> Answer:
    service = ask.service
    if not values:
        raise RefusedError(400, "malformed body")
    if service.max_message_bytes is not None and len(ask.body) > service.max_message_bytes:
        raise RefusedError(413, "message too large")
    keep = ask.flag("update_history") is not False
    if problems := {
        name: text for name, value in values.items() if (text := _refusal(ask, thing, name, value))
    }:
        raise RefusedError(400, "invalid property values", problems)
    store(ask, thing, values, keep=keep)
    return (201 if ask.preview and ask.preview < "2024.1" else 200), values


def _refusal(ask: Ask, thing: Thing, name: str, value: Any) -> str:
    service, schema = ask.service, thing.properties.get(name)
    if schema is None:
        return "unknown property" if service.unknown_property == "reject" else ""
    if schema.get("readOnly") and service.read_only == "reject":
        return "is read-only"
    if text := violation(schema, value):
        return text
    limit = beyond(schema, value)
    if limit is not None and service.out_of_range == "reject":
        return f"{msgspec.json.encode(value).decode()} is beyond the limit {limit}"
    return ""


def store(ask: Ask, thing: Thing, values: Mapping[str, Any], *, keep: bool) -> None:
    """Put values in place, as far as the switches for lost, clamped and rounded writes let them."""
    service = ask.service
    now = service.around.clock.now()
    for name, value in values.items():
        if name in service.lost_writes or (thing.uid, name) in service.lost_writes:
            continue
        kept = _altered(ask, thing, name, value)
        thing.status[name] = kept
        if keep:
            at = int(now * 1000)
            while not thing.record(name, at, kept):
                at += 1
    thing.modified = rfc3339(int(now * 1e9))


def _altered(ask: Ask, thing: Thing, name: str, value: Any) -> Any:
    limit = beyond(thing.properties.get(name, {}), value)
    if limit is not None and ask.service.out_of_range == "clamp":
        return limit
    digits = ask.service.rounding.get(name)
    return round(value, digits) if digits is not None and isinstance(value, float) else value
