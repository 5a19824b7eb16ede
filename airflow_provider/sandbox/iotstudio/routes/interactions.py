"""Actions and events: stored, listed, capped at 100 a name; a device that gets actions done."""

from __future__ import annotations

from typing import Any

from airflow_provider.sandbox.iotstudio.formats import Answer, Ask, RefusedError, blank_time, missing
from airflow_provider.sandbox.iotstudio.pagination import by, page
from airflow_provider.sandbox.iotstudio.records import Entry, Thing
from airflow_provider.sandbox.iotstudio.routes.properties import violation
from airflow_provider.sandbox.iotstudio.routes.things import find

CAP = 100
NEWEST_FIRST = by("uid", descending=True)


def _href(ask: Ask, kind: str, thing: Thing, entry: Entry) -> str:
    scope = f"/categories/{ask.category.name}" if ask.category else ""
    return f"/spaces/{ask.space.name}{scope}/things/{thing.uid}/{kind}/{entry.name}/{entry.uid}"


def _let_the_device_work(ask: Ask, thing: Thing) -> None:
    service = ask.service
    if service.device_seconds is None:
        return
    now = service.around.clock.now()
    for entry in thing.actions:
        done = entry.at + service.device_seconds
        if entry.status == "pending" and done <= now:
            entry.status, output = service.device_answers.get(entry.name, ("completed", {"ok": True}))
            entry.output = {"output": output}
            entry.completed = done


def _action(ask: Ask, thing: Thing, entry: Entry) -> dict[str, Any]:
    shown: dict[str, Any] = {**entry.payload, "status": entry.status, "timeRequested": blank_time(entry.at)}
    if entry.completed is not None:
        shown["timeCompleted"] = blank_time(entry.completed)
    if ask.service.actions_show_output:
        shown |= entry.output
    return {entry.name: shown | {"href": _href(ask, "actions", thing, entry)}}


def _event(ask: Ask, thing: Thing, entry: Entry) -> dict[str, Any]:
    shown = {**entry.payload, "timestamp": blank_time(entry.at)}
    return {entry.name: shown | {"href": _href(ask, "events", thing, entry)}}


def _add(ask: Ask, thing: Thing, kind: str, key: str) -> Entry:
    """Store one; beyond the cap the oldest of its name rolls off."""
    name, body = ask.args["name"], ask.fields()
    if list(body) != [name] or not isinstance(body[name], dict):
        raise RefusedError(400, "malformed body")
    declared = (thing.fields.get(kind) or {}).get(name)
    if declared is None:
        raise missing()
    payload = {key: body[name][key]} if key in body[name] else {}
    if payload and (text := violation(declared.get(key) or {}, payload[key])):
        raise RefusedError(400, f"invalid {key}", {key: text})
    entry = Entry(ask.service.new_id(), name, ask.service.around.clock.now(), payload)
    entries: list[Entry] = getattr(thing, kind)
    entries.append(entry)
    same = [one for one in entries if one.name == name]
    for old in same[:-CAP]:
        entries.remove(old)
    return entry


def _one(ask: Ask, entries: list[Entry]) -> Entry:
    for entry in entries:
        if entry.name == ask.args["name"] and entry.uid == ask.args["entry"]:
            return entry
    raise missing()


def _named(ask: Ask, thing: Thing, kind: str) -> list[Entry]:
    entries: list[Entry] = getattr(thing, kind)
    name = ask.args.get("name")
    if name is not None and name not in (thing.fields.get(kind) or {}):
        raise missing()
    return [entry for entry in entries if name in {None, entry.name}]


def list_actions(ask: Ask) -> Answer:
    """GET T/actions[/{a}]."""
    thing = find(ask)
    _let_the_device_work(ask, thing)
    entries = _named(ask, thing, "actions")
    return 200, page(ask, entries, NEWEST_FIRST, lambda entry: _action(ask, thing, entry))


def request_action(ask: Ask) -> Answer:
    """POST T/actions/{a}."""
    thing = find(ask)
    return 201, _action(ask, thing, _add(ask, thing, "actions", "input"))


def get_action(ask: Ask) -> Answer:
    """GET T/actions/{a}/{id}."""
    thing = find(ask)
    _let_the_device_work(ask, thing)
    return 200, _action(ask, thing, _one(ask, thing.actions))


def update_action(ask: Ask) -> Answer:
    """PUT T/actions/{a}/{id}: what a device does; the status is free text."""
    thing, body = find(ask), ask.fields()
    entry = _one(ask, thing.actions)
    change = body.get(entry.name)
    if list(body) != [entry.name] or not isinstance(change, dict):
        raise RefusedError(400, "malformed body")
    entry.status = str(change.get("status", entry.status))
    if "output" in change:
        entry.output = {"output": change["output"]}
    if entry.status == "completed":
        entry.completed = ask.service.around.clock.now()
    return 200, _action(ask, thing, entry)


def delete_action(ask: Ask) -> Answer:
    """DELETE T/actions/{a}/{id}."""
    thing = find(ask)
    thing.actions.remove(_one(ask, thing.actions))
    return 204, None


def list_events(ask: Ask) -> Answer:
    """GET T/events[/{e}]."""
    thing = find(ask)
    entries = _named(ask, thing, "events")
    return 200, page(ask, entries, NEWEST_FIRST, lambda entry: _event(ask, thing, entry))


def add_event(ask: Ask) -> Answer:
    """POST T/events/{e}."""
    thing = find(ask)
    return 201, _event(ask, thing, _add(ask, thing, "events", "data"))


def get_event(ask: Ask) -> Answer:
    """GET T/events/{e}/{id}."""
    thing = find(ask)
    return 200, _event(ask, thing, _one(ask, thing.events))


def delete_event(ask: Ask) -> Answer:
    """DELETE T/events/{e}/{id}."""
    thing = find(ask)
    thing.events.remove(_one(ask, thing.events))
    return 204, None
