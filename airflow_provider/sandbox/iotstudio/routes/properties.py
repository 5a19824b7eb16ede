"""Property values: reads, and writes checked against declarations and changed by the switches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider.sandbox.iotstudio.formats import rfc3339
from airflow_provider.sandbox.iotstudio.records import Thing
from airflow_provider.sandbox.iotstudio.request import ApiRequest
from airflow_provider.sandbox.iotstudio.responses import ApiError, Reply, not_found
from airflow_provider.sandbox.iotstudio.state import IoTStudioState
from airflow_provider.sandbox.iotstudio.validation import exceeded_limit, value_error


def read_all(request: ApiRequest) -> Reply:
    """GET T/properties: declared properties without a value are null."""
    thing = request.find_thing()
    return 200, dict.fromkeys(thing.properties) | thing.status


def read_one(request: ApiRequest) -> Reply:
    """GET T/properties/{p}."""
    thing, name = request.find_thing(), request.args["property"]
    if name not in thing.properties and name not in thing.status:
        raise not_found()
    return 200, {name: thing.status.get(name)}


def write_all(request: ApiRequest) -> Reply:
    """PUT T/properties: all of the values, or none, or the valid ones (``partial_writes``)."""
    return _write(request, request.find_thing(), request.json_object())


def write_one(request: ApiRequest) -> Reply:
    """PUT T/properties/{p}: the body is an object with the name as its key, too."""
    thing, values = request.find_thing(), request.json_object()
    if list(values) != [request.args["property"]]:
        raise ApiError(400, "malformed body")
    return _write(request, thing, values)


def _write(request: ApiRequest, thing: Thing, values: dict[str, Any]) -> Reply:
    service = request.service
    if not values:
        raise ApiError(400, "malformed body")
    if service.max_message_bytes is not None and len(request.body) > service.max_message_bytes:
        raise ApiError(413, "message too large")
    record = request.flag("update_history") is not False
    try:
        check_values(request, thing, values)
    except ApiError:
        if service.partial_writes == "valid":
            valid = {name: v for name, v in values.items() if not _value_error(request, thing, name, v)}
            store_values(request, thing, valid, record=record)
        raise
    store_values(request, thing, values, record=record)
    return (201 if request.preview and request.preview < "2024.1" else 200), values


def check_values(request: ApiRequest, thing: Thing, values: Mapping[str, Any]) -> None:
    """Raise ``ApiError`` (400) with the error of each value that does not fit the Thing's declarations."""
    errors = {name: _value_error(request, thing, name, value) for name, value in values.items()}
    if found := {name: text for name, text in errors.items() if text}:
        raise ApiError(400, "invalid property values", found)


def _value_error(request: ApiRequest, thing: Thing, name: str, value: Any) -> str:
    service, schema = request.service, thing.properties.get(name)
    if schema is None:
        return "unknown property" if service.unknown_property == "reject" else ""
    if schema.get("readOnly") and service.read_only == "reject":
        return "is read-only"
    return value_error(schema, value, service)


def take_published(service: IoTStudioState, space: str, thing: str, payload: Any) -> None:
    """Store values that a device has published; those that the API would refuse are ignored.

    :param space: id of the space.
    :param thing: id of the Thing.
    :param payload: the message's payload.
    """
    found = service.spaces.get(space)
    if found is None or thing not in found.things or not isinstance(payload, dict):
        return
    request = ApiRequest(service, found, None, {}, [], b"", "")
    valid = {
        name: value
        for name, value in payload.items()
        if not _value_error(request, found.things[thing], name, value)
    }
    store_values(request, found.things[thing], valid, record=True, publish=False)


def store_values(
    request: ApiRequest, thing: Thing, values: Mapping[str, Any], *, record: bool, publish: bool = True
) -> None:
    """Store values, with the switches for dropped, clamped and rounded writes applied.

    :param record: whether the values are added to the history.
    :param publish: whether they are published, where there is a broker.
    """
    service = request.service
    now = service.around.clock.now()
    if publish and service.link:
        service.link.publish(request.space.name, thing.uid, values)
    for name, value in values.items():
        if name in service.lost_writes or (thing.uid, name) in service.lost_writes:
            continue
        stored = _stored_value(request, thing, name, value)
        is_new = name not in thing.status or not _equal(stored, thing.status[name])
        thing.status[name] = stored
        if record and (is_new or service.equal_values == "record"):
            at = int(now * 1000)
            while not thing.record(name, at, stored):
                at += 1
    thing.modified = rfc3339(int(now * 1e9))


def _equal(value: Any, other: Any) -> bool:
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)


def _stored_value(request: ApiRequest, thing: Thing, name: str, value: Any) -> Any:
    limit = exceeded_limit(thing.properties.get(name, {}), value)
    if limit is not None and request.service.out_of_range == "clamp":
        return limit
    digits = request.service.rounding.get(name)
    return round(value, digits) if digits is not None and isinstance(value, float) else value
