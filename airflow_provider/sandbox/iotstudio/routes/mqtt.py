"""MQTT credentials of Things and categories; a broker has its own users."""

from __future__ import annotations

from typing import Any

from airflow_provider.sandbox.iotstudio.request import ApiRequest
from airflow_provider.sandbox.iotstudio.responses import ApiError, Reply, not_found

HIDDEN = "<hidden_secret>"
"""Stands for the password in replies."""


def _key(request: ApiRequest) -> str:
    if "thing" in request.args:
        return f"things/{request.find_thing().uid}"
    if request.category is None:
        raise not_found()
    return f"categories/{request.category.name}"


def _fill(request: ApiRequest, document: dict[str, Any], form: dict[str, Any]) -> dict[str, Any]:
    known = ("enabled", "username", "password", "description")
    document |= {name: form[name] for name in known if name in form}
    if "password" not in form:
        document["password"] = request.service.new_id()
    return document


def create(request: ApiRequest) -> Reply:
    """POST mqtt-credentials."""
    key, form, uid = _key(request), request.json_object(), request.service.new_id()
    if key in request.service.mqtt:
        raise ApiError(400, "This item already exists")
    document = {
        "id": uid,
        "username": f"{uid[-8:].lower()}@{request.space.name}",
        "enabled": True,
        "description": "",
        "created": request.now,
    }
    if "thing" in request.args:  # the vendor's OpenAPI file shows categories without topics
        pattern = [{"pattern": f"spaces/{request.space.name}/{key}/#"}]
        document["topics"] = {"acl": {"publish": pattern, "subscribe": pattern}}
    request.service.mqtt[key] = _fill(request, document, form)
    return 201, request.service.mqtt[key]


def _existing(request: ApiRequest) -> dict[str, Any]:
    document = request.service.mqtt.get(_key(request))
    if document is None:
        raise not_found()
    return document


def get(request: ApiRequest) -> Reply:
    """GET mqtt-credentials: the password is hidden."""
    return 200, {**_existing(request), "password": HIDDEN}


def replace(request: ApiRequest) -> Reply:
    """PUT mqtt-credentials: without a body the service generates a new password."""
    return 200, _fill(request, _existing(request), request.json_object() if request.body.strip() else {})


def delete(request: ApiRequest) -> Reply:
    """DELETE mqtt-credentials."""
    _existing(request)
    del request.service.mqtt[_key(request)]
    return 204, None
