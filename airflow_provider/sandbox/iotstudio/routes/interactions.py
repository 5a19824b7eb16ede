"""Actions and events of Things, at most 100 of a name; a simulated device completes actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_provider.sandbox.iotstudio.formats import blank_time
from airflow_provider.sandbox.iotstudio.pagination import list_page, order_by
from airflow_provider.sandbox.iotstudio.records import Entry, Thing
from airflow_provider.sandbox.iotstudio.request import ApiRequest
from airflow_provider.sandbox.iotstudio.responses import ApiError, Reply, not_found
from airflow_provider.sandbox.iotstudio.validation import type_error, value_error

Describe = Callable[[ApiRequest, Thing, Entry], dict[str, Any]]

CAP = 100
"""Maximum stored actions, or events, of a name."""
NEWEST_FIRST, OLDEST_FIRST = order_by("uid", descending=True), order_by("uid")


def _href(request: ApiRequest, kind: str, thing: Thing, entry: Entry) -> str:
    return f"{request.scope}/things/{thing.uid}/{kind}/{entry.name}/{entry.uid}"


def _complete_due_actions(request: ApiRequest, thing: Thing) -> None:
    service = request.service
    if service.device_seconds is None:
        return
    now = service.around.clock.now()
    for entry in thing.actions:
        done = entry.at + service.device_seconds
        if entry.status == "pending" and done <= now:
            entry.status, output = service.device_answers.get(entry.name, ("completed", {"ok": True}))
            entry.output = {"output": output}
            entry.completed = done


def _describe_action(request: ApiRequest, thing: Thing, entry: Entry) -> dict[str, Any]:
    described: dict[str, Any] = {
        **entry.payload,
        "status": entry.status,
        "timeRequested": blank_time(entry.at),
    }
    if entry.completed is not None:
        described["timeCompleted"] = blank_time(entry.completed)
    if request.service.actions_show_output:
        described |= entry.output
    return {entry.name: described | {"href": _href(request, "actions", thing, entry)}}


def _describe_event(request: ApiRequest, thing: Thing, entry: Entry) -> dict[str, Any]:
    described = {**entry.payload, "timestamp": blank_time(entry.at)}
    return {entry.name: described | {"href": _href(request, "events", thing, entry)}}


def _add(request: ApiRequest, thing: Thing, kind: str, key: str) -> Entry:
    """Store an action or event; beyond :data:`CAP` the oldest of its name is deleted.

    :param kind: ``actions`` or ``events``.
    :param key: ``input`` or ``data``, the key of the payload.
    """
    name, body = request.args["name"], request.json_object()
    if list(body) != [name] or not isinstance(body[name], dict):
        raise ApiError(400, "malformed body")
    declared = (thing.fields.get(kind) or {}).get(name)
    if declared is None:
        raise not_found()
    payload = {key: body[name][key]} if key in body[name] else {}
    _check_payload(request, declared, key, payload)
    entry = Entry(request.service.new_id(), name, request.service.around.clock.now(), payload)
    entries: list[Entry] = getattr(thing, kind)
    entries.append(entry)
    same = [other for other in entries if other.name == name]
    for old in same[:-CAP]:
        entries.remove(old)
    return entry


def _check_payload(request: ApiRequest, declared: dict[str, Any], key: str, payload: dict[str, Any]) -> None:
    if key not in payload:
        return
    schema, value = declared.get(key) or {}, payload[key]
    strict = request.service.checks("values")
    if text := value_error(schema, value, request.service) if strict else type_error(schema, value):
        raise ApiError(400, f"invalid {key}", {key: text})


def _find(request: ApiRequest, entries: list[Entry]) -> Entry:
    for entry in entries:
        if entry.name == request.args["name"] and entry.uid == request.args["entry"]:
            return entry
    raise not_found()


def _list(request: ApiRequest, thing: Thing, kind: str, describe: Describe) -> Reply:
    entries = _of_name(request, thing, kind)
    from_oldest = kind == "events" and request.service.event_order == "oldest"
    order = OLDEST_FIRST if from_oldest else NEWEST_FIRST
    return 200, list_page(request, entries, order, lambda entry: describe(request, thing, entry))


def _of_name(request: ApiRequest, thing: Thing, kind: str) -> list[Entry]:
    entries: list[Entry] = getattr(thing, kind)
    name = request.args.get("name")
    if name is not None and name not in (thing.fields.get(kind) or {}):
        raise not_found()
    return [entry for entry in entries if name in {None, entry.name}]


def list_actions(request: ApiRequest) -> Reply:
    """GET T/actions[/{a}]."""
    thing = request.find_thing()
    _complete_due_actions(request, thing)
    return _list(request, thing, "actions", _describe_action)


def request_action(request: ApiRequest) -> Reply:
    """POST T/actions/{a}."""
    thing = request.find_thing()
    return 201, _describe_action(request, thing, _add(request, thing, "actions", "input"))


def get_action(request: ApiRequest) -> Reply:
    """GET T/actions/{a}/{id}."""
    thing = request.find_thing()
    _complete_due_actions(request, thing)
    return 200, _describe_action(request, thing, _find(request, thing.actions))


def update_action(request: ApiRequest) -> Reply:
    """PUT T/actions/{a}/{id}: the device's report; the status is free text."""
    thing, body = request.find_thing(), request.json_object()
    entry = _find(request, thing.actions)
    change = body.get(entry.name)
    if list(body) != [entry.name] or not isinstance(change, dict):
        raise ApiError(400, "malformed body")
    if request.service.checks("values"):
        declared = (thing.fields.get("actions") or {}).get(entry.name) or {}
        _check_payload(request, declared, "output", change)
        if not isinstance(change.get("status", ""), str):
            raise ApiError(400, "malformed body")
    entry.status = str(change.get("status", entry.status))
    if "output" in change:
        entry.output = {"output": change["output"]}
    if entry.status == "completed":
        entry.completed = request.service.around.clock.now()
    return 200, _describe_action(request, thing, entry)


def delete_action(request: ApiRequest) -> Reply:
    """DELETE T/actions/{a}/{id}."""
    thing = request.find_thing()
    thing.actions.remove(_find(request, thing.actions))
    return 204, None


def list_events(request: ApiRequest) -> Reply:
    """GET T/events[/{e}]."""
    return _list(request, request.find_thing(), "events", _describe_event)


def add_event(request: ApiRequest) -> Reply:
    """POST T/events/{e}."""
    thing = request.find_thing()
    return 201, _describe_event(request, thing, _add(request, thing, "events", "data"))


def get_event(request: ApiRequest) -> Reply:
    """GET T/events/{e}/{id}."""
    thing = request.find_thing()
    return 200, _describe_event(request, thing, _find(request, thing.events))


def delete_event(request: ApiRequest) -> Reply:
    """DELETE T/events/{e}/{id}."""
    thing = request.find_thing()
    thing.events.remove(_find(request, thing.events))
    return 204, None
