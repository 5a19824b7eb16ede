"""Things: list, create, replace, patch and delete, singly and in bulk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_provider.sandbox.iotstudio.auth import Client
from airflow_provider.sandbox.iotstudio.filters import thing_filter, thing_order
from airflow_provider.sandbox.iotstudio.json_patch import PatchError, apply_patch
from airflow_provider.sandbox.iotstudio.pagination import list_page
from airflow_provider.sandbox.iotstudio.records import Thing
from airflow_provider.sandbox.iotstudio.request import ApiRequest
from airflow_provider.sandbox.iotstudio.responses import ApiError, Reply, not_found
from airflow_provider.sandbox.iotstudio.routes.properties import check_values
from airflow_provider.sandbox.iotstudio.routes.templates import model_of, templated
from airflow_provider.sandbox.iotstudio.validation import description_errors

SERVER_FIELDS = frozenset({"uid", "id", "href", "base", "created", "modified", "client_id"})
OWN_FIELDS = frozenset({"title", "categories", "status"})


def _describer(request: ApiRequest) -> Callable[[Thing], dict[str, Any]]:
    prefix, categories = request.prefix, request.category is None
    return lambda thing: thing.describe(prefix, categories=categories)


def _selected(request: ApiRequest) -> list[Thing]:
    passes = thing_filter(request)
    name = request.category.name if request.category else None
    return [
        thing
        for thing in request.space.things.values()
        if (name is None or name in thing.categories) and passes(thing)
    ]


def list_things(request: ApiRequest) -> Reply:
    """GET things."""
    return 200, list_page(request, _selected(request), thing_order(request), _describer(request))


def create(request: ApiRequest) -> Reply:
    """POST things."""
    now = request.now
    thing = Thing(request.service.new_id(), created=now)
    if request.category is not None:
        thing.categories = [request.category.name]
    _fill(request, thing, request.json_object())
    request.space.things[thing.uid] = thing
    return 201, _describer(request)(thing)


def _fill(request: ApiRequest, thing: Thing, body: dict[str, Any]) -> None:
    _check_shapes(body, strict=request.service.checks("descriptions"))
    categories = body.get("categories") or []
    if request.category is not None and "categories" in body:
        raise ApiError(400, "categories are not allowed here")
    if unknown := [name for name in categories if name not in request.space.categories]:
        raise ApiError(404, f"Category {unknown[0]} not found")
    own = list(categories) if request.category is None else thing.categories
    if request.service.strict and request.service.apply_models:
        body = templated(request.space, body, model_of(request.space, body.get("model"), own))
    if request.service.checks("values"):
        _check_status(request, thing, body)
    thing.categories = own
    thing.title = str(body.get("title") or "")
    thing.fields = {
        name: value for name, value in body.items() if name not in SERVER_FIELDS and name not in OWN_FIELDS
    }
    thing.status = dict(body.get("status") or {})
    thing.modified = request.now


def _check_status(request: ApiRequest, thing: Thing, body: dict[str, Any]) -> None:
    """Check the values of a description that are not stored already."""
    described = Thing(thing.uid, fields={"properties": body.get("properties") or {}})
    given = body.get("status") or {}
    new = {
        name: value
        for name, value in given.items()
        if name not in thing.status or thing.status[name] != value
    }
    check_values(request, described, new)


def _check_shapes(body: dict[str, Any], *, strict: bool) -> None:
    for name in ("status", "properties", "model", *(("actions", "events") if strict else ())):
        if not isinstance(body.get(name) or {}, dict):
            raise ApiError(400, "malformed body")
    for name, kind in (("categories", str), ("links", dict)):
        items = body.get(name) or []
        if not isinstance(items, list) or not all(isinstance(item, kind) for item in items):
            raise ApiError(400, "malformed body")
    if strict and (errors := dict(description_errors(body))):
        raise ApiError(400, "malformed body", errors)


def get(request: ApiRequest) -> Reply:
    """GET T."""
    if request.service.is_stray():
        raise not_found()
    return 200, _describer(request)(request.find_thing())


def replace(request: ApiRequest) -> Reply:
    """PUT T: the whole description; without ``status`` the current values stay, or go."""
    thing, body = request.find_thing(), request.json_object()
    if request.service.put_without_status == "keep":
        body.setdefault("status", thing.status)
    _fill(request, thing, body)
    return 200, _describer(request)(thing)


def delete(request: ApiRequest) -> Reply:
    """DELETE T: its history goes too."""
    del request.space.things[request.find_thing().uid]
    return 204, None


def delete_many(request: ApiRequest) -> Reply:
    """DELETE things: refused without a filter."""
    if not any(
        key in {"@type", "thingID[]", "category[]"} or key.startswith("property:") for key, _ in request.query
    ):
        raise ApiError(400, "a filter is required")
    deleted = [thing.uid for thing in _selected(request)]
    for uid in deleted:
        del request.space.things[uid]
    return 200, deleted


def _patch(request: ApiRequest, thing: Thing, operations: Any) -> dict[str, Any]:
    describe = _describer(request)
    try:
        body = apply_patch(describe(thing), operations)
    except PatchError as error:
        raise ApiError(400, str(error)) from error
    if request.category is not None:
        body.pop("categories", None)
    _fill(request, thing, body)
    return describe(thing)


def _check_method(request: ApiRequest) -> None:
    if not request.service.has_patch:
        raise ApiError(404, "Requested url does not match any rules")


def patch(request: ApiRequest) -> Reply:
    """PATCH T: a JSON Patch."""
    _check_method(request)
    return 200, _patch(request, request.find_thing(), request.json())


def patch_many(request: ApiRequest) -> Reply:
    """PATCH things: a JSON Patch for each Thing; one result for each, in order."""
    _check_method(request)
    items = request.json()
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ApiError(400, "malformed body")
    results: list[dict[str, Any]] = []
    for item in items:
        request.args = {**request.args, "thing": str(item.get("id"))}
        try:
            results.append(
                {"status": 200, "response": _patch(request, request.find_thing(), item.get("patch"))}
            )
        except ApiError as error:
            results.append({"status": error.status, "response": error.body})
    errors = [index for index, result in enumerate(results) if result["status"] >= 400]
    if request.service.patch_results == "by_id":
        named = {str(item.get("id")): result for item, result in zip(items, results, strict=True)}
        return 207, {"has_errors": errors, "results": named}
    return 207, {"has_errors": errors, "results": results}


def reset_secret(request: ApiRequest) -> Reply:
    """POST T/reset-secret: create the Thing's own OAuth2 client, or a new secret."""
    thing = request.find_thing()
    thing.client_id = f"{request.space.name}::{thing.uid}"
    secret = request.service.new_id()
    request.service.clients[thing.client_id] = Client(
        thing.client_id, secret, {"thing", "thing.read", "thing.update"}, [f"spaces/{request.space.name}/#"]
    )
    return 201, {"client_id": thing.client_id, "client_secret": secret}
