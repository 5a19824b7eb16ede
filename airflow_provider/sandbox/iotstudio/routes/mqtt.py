"""MQTT credentials of Things and categories; there is no broker."""

from __future__ import annotations

from typing import Any

from airflow_provider.sandbox.iotstudio.formats import Answer, Ask, RefusedError, missing, rfc3339
from airflow_provider.sandbox.iotstudio.routes.things import find

HIDDEN = "<hidden_secret>"


def _key(ask: Ask) -> str:
    if "thing" in ask.args:
        return f"things/{find(ask).uid}"
    if ask.category is None:
        raise missing()
    return f"categories/{ask.category.name}"


def _fill(ask: Ask, document: dict[str, Any], form: dict[str, Any]) -> dict[str, Any]:
    known = ("enabled", "username", "password", "description")
    document |= {name: form[name] for name in known if name in form}
    if "password" not in form:
        document["password"] = ask.service.new_id()
    return document


def create(ask: Ask) -> Answer:
    """POST mqtt-credentials."""
    key, form, uid = _key(ask), ask.fields(), ask.service.new_id()
    if key in ask.service.mqtt:
        raise RefusedError(400, "This item already exists")
    document = {
        "id": uid,
        "username": f"{uid[-8:].lower()}@{ask.space.name}",
        "enabled": True,
        "description": "",
        "created": rfc3339(int(ask.service.around.clock.now() * 1e9)),
    }
    if "thing" in ask.args:  # a category's are shown without, in the vendor's OpenAPI file
        pattern = [{"pattern": f"spaces/{ask.space.name}/{key}/#"}]
        document["topics"] = {"acl": {"publish": pattern, "subscribe": pattern}}
    ask.service.mqtt[key] = _fill(ask, document, form)
    return 201, ask.service.mqtt[key]


def _existing(ask: Ask) -> dict[str, Any]:
    document = ask.service.mqtt.get(_key(ask))
    if document is None:
        raise missing()
    return document


def get(ask: Ask) -> Answer:
    """GET mqtt-credentials: the password is hidden."""
    return 200, {**_existing(ask), "password": HIDDEN}


def replace(ask: Ask) -> Answer:
    """PUT mqtt-credentials: without a body the password is a new one."""
    return 200, _fill(ask, _existing(ask), ask.fields() if ask.body.strip() else {})


def delete(ask: Ask) -> Answer:
    """DELETE mqtt-credentials."""
    _existing(ask)
    del ask.service.mqtt[_key(ask)]
    return 204, None
