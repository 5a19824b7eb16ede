"""Things: find, list, create, replace, patch, delete, one by one and in bulk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider.sandbox.iotstudio import json_patch as jsonpatch
from airflow_provider.sandbox.iotstudio.auth import Client
from airflow_provider.sandbox.iotstudio.formats import Answer, Ask, RefusedError, missing, rfc3339
from airflow_provider.sandbox.iotstudio.pagination import page, thing_filter, thing_order
from airflow_provider.sandbox.iotstudio.records import Thing

if TYPE_CHECKING:
    from collections.abc import Callable

SERVER_FIELDS = frozenset({"uid", "id", "href", "base", "created", "modified", "client_id"})
OWN_FIELDS = frozenset({"title", "categories", "status"})


def find(ask: Ask) -> Thing:
    """Give the Thing that the path names, if it is in the category that the path names."""
    thing = ask.space.things.get(ask.args["thing"])
    if thing is None or (ask.category is not None and ask.category.name not in thing.categories):
        raise missing()
    return thing


def _prefix(ask: Ask) -> str:
    scope = f"/categories/{ask.category.name}" if ask.category else ""
    return f"{ask.service.base_url}/spaces/{ask.space.name}{scope}"


def _show(ask: Ask) -> Callable[[Thing], dict[str, Any]]:
    prefix, categories = _prefix(ask), ask.category is None
    return lambda thing: thing.shown(prefix, categories=categories)


def _chosen(ask: Ask) -> list[Thing]:
    passes = thing_filter(ask)
    name = ask.category.name if ask.category else None
    return [
        thing
        for thing in ask.space.things.values()
        if (name is None or name in thing.categories) and passes(thing)
    ]


def list_things(ask: Ask) -> Answer:
    """GET things."""
    return 200, page(ask, _chosen(ask), thing_order(ask), _show(ask))


def create(ask: Ask) -> Answer:
    """POST things."""
    now = ask.service.around.clock.now()
    thing = Thing(ask.service.new_id(), created=rfc3339(int(now * 1e9)))
    if ask.category is not None:
        thing.categories = [ask.category.name]
    _fill(ask, thing, ask.fields())
    ask.space.things[thing.uid] = thing
    return 201, _show(ask)(thing)


def _fill(ask: Ask, thing: Thing, body: dict[str, Any]) -> None:
    _check_shapes(body)
    categories = body.get("categories") or []
    if ask.category is not None and "categories" in body:
        raise RefusedError(400, "categories are not allowed here")
    if unknown := [name for name in categories if name not in ask.space.categories]:
        raise RefusedError(404, f"Category {unknown[0]} not found")
    if ask.category is None:
        thing.categories = list(categories)
    thing.title = str(body.get("title") or "")
    thing.fields = {
        name: value for name, value in body.items() if name not in SERVER_FIELDS and name not in OWN_FIELDS
    }
    thing.status = dict(body.get("status") or {})
    thing.modified = rfc3339(int(ask.service.around.clock.now() * 1e9))


def _check_shapes(body: dict[str, Any]) -> None:
    for name in ("status", "properties", "model"):
        if not isinstance(body.get(name) or {}, dict):
            raise RefusedError(400, "malformed body")
    for name, kind in (("categories", str), ("links", dict)):
        items = body.get(name) or []
        if not isinstance(items, list) or not all(isinstance(item, kind) for item in items):
            raise RefusedError(400, "malformed body")


def get(ask: Ask) -> Answer:
    """GET T."""
    return 200, _show(ask)(find(ask))


def replace(ask: Ask) -> Answer:
    """PUT T: the whole description; current values stay unless ``status`` is given."""
    thing, body = find(ask), ask.fields()
    body.setdefault("status", thing.status)
    _fill(ask, thing, body)
    return 200, _show(ask)(thing)


def delete(ask: Ask) -> Answer:
    """DELETE T: its history goes too."""
    del ask.space.things[find(ask).uid]
    return 204, None


def delete_many(ask: Ask) -> Answer:
    """DELETE things: refused without a filter."""
    if not any(
        key in {"@type", "thingID[]", "category[]"} or key.startswith("property:") for key, _ in ask.query
    ):
        raise RefusedError(400, "a filter is required")
    gone = [thing.uid for thing in _chosen(ask)]
    for uid in gone:
        del ask.space.things[uid]
    return 200, gone


def _patch(ask: Ask, thing: Thing, operations: Any) -> dict[str, Any]:
    show = _show(ask)
    try:
        body = jsonpatch.apply(show(thing), operations)
    except jsonpatch.PatchError as error:
        raise RefusedError(400, str(error)) from error
    if ask.category is not None:
        body.pop("categories", None)
    _fill(ask, thing, body)
    return show(thing)


def patch(ask: Ask) -> Answer:
    """PATCH T: a JSON Patch."""
    return 200, _patch(ask, find(ask), ask.json())


def patch_many(ask: Ask) -> Answer:
    """PATCH things: one JSON Patch a Thing, one result each, in order."""
    items = ask.json()
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise RefusedError(400, "malformed body")
    results: list[dict[str, Any]] = []
    for item in items:
        ask.args = {**ask.args, "thing": str(item.get("id"))}
        try:
            results.append({"status": 200, "response": _patch(ask, find(ask), item.get("patch"))})
        except RefusedError as refused:
            results.append({"status": refused.status, "response": refused.body})
    errors = [index for index, result in enumerate(results) if result["status"] >= 400]
    return 207, {"has_errors": errors, "results": results}


def reset_secret(ask: Ask) -> Answer:
    """POST T/reset-secret: gives the Thing an OAuth2 client of its own, or a new secret."""
    thing = find(ask)
    thing.client_id = f"{ask.space.name}::{thing.uid}"
    secret = ask.service.new_id()
    ask.service.clients[thing.client_id] = Client(
        thing.client_id, secret, {"thing", "thing.read", "thing.update"}, [f"spaces/{ask.space.name}/#"]
    )
    return 201, {"client_id": thing.client_id, "client_secret": secret}
