"""Methods of IoT Studio's hook in the fault matrix."""

from __future__ import annotations

from typing import Any

from airflow_provider.errors import NotFoundError
from airflow_provider.iotstudio import api
from airflow_provider.iotstudio.hooks import IoTStudioHook
from tests.fault_matrix.method_rows import Row
from tests.support.every_task import THING

OLD = [{"at": "2025-06-01T00:00:00Z", "properties": {"humidity": 40}}]
LAST_YEAR = {"start": "2025-01", "end": "2026-01"}
RENAMED = [{"op": "replace", "path": "/title", "value": "matrix"}]


def _is_set(record: dict[str, Any]) -> bool:
    return bool(record["properties"]["setpoint"] == 17.25)


def _actions(hook: IoTStudioHook) -> int:
    return len(list(hook.list_actions(THING, "reboot")))


def _old(hook: IoTStudioHook) -> list[Any]:
    return list(hook.iter_history(THING, **LAST_YEAR))


def _model(hook: IoTStudioHook) -> None:
    hook.create_model("matrix")


def _models(hook: IoTStudioHook) -> list[str]:
    return [model["name"] for model in hook.list_models()]


def _version(hook: IoTStudioHook) -> None:
    hook.create_model("matrix")
    hook.create_model_version("matrix", {"title": "First"})


def _versions(hook: IoTStudioHook) -> list[Any]:
    return list(hook.list_model_versions("matrix"))


def _event(hook: IoTStudioHook) -> str:
    return str(hook.add_event(THING, "highTemperature", 61.5)["id"])


def _mqtt(hook: IoTStudioHook) -> None:
    hook.set_mqtt_credentials(THING, create=True)


def _has_mqtt(hook: IoTStudioHook) -> int:
    try:
        hook.get_mqtt_credentials(THING)
    except NotFoundError:
        return 0
    return 1


ROWS = [
    Row("iotstudio", "list_things", lambda h, _: [one["uid"] for one in h.list_things()]),
    Row("iotstudio", "get_thing", lambda h, _: h.get_thing(THING)["title"]),
    Row("iotstudio", "list_categories", lambda h, _: h.list_categories()),
    Row("iotstudio", "get_properties", lambda h, _: h.get_properties(THING)),
    Row("iotstudio", "get_property", lambda h, _: h.get_property(THING, "temperature")),
    Row("iotstudio", "iter_history", lambda h, _: list(h.iter_history(THING, name="temperature"))),
    Row("iotstudio", "list_actions", lambda h, _: list(h.list_actions(THING, "reboot"))),
    Row("iotstudio", "list_models", lambda h, _: list(h.list_models())),
    Row("iotstudio", "list_events", lambda h, _: list(h.list_events(THING))),
    Row(
        "iotstudio",
        "set_properties",
        lambda h, _: h.set_properties(THING, {"setpoint": 17.25}),
        lambda h, _: len([one for one in h.iter_history(THING, name="setpoint") if _is_set(one)]),
    ),
    Row(
        "iotstudio",
        "invoke_action",
        lambda h, _: h.invoke_action(THING, "reboot", {}) and None,
        lambda h, _: _actions(h),
    ),
    Row(
        "iotstudio",
        "get_action",
        lambda h, one: h.get_action(THING, "reboot", one)["id"] == one,
        prepare=lambda h: h.invoke_action(THING, "reboot", {})["id"],
    ),
    Row("iotstudio", "request", lambda h, _: h.request("GET", f"things/{THING}").status),
    Row("iotstudio", "last_values", lambda h, _: h.last_values(THING, "2026-01-02T00:00:00Z")),
    Row(
        "iotstudio",
        "delete_things",
        lambda h, _: h.delete_things(thing_ids=[THING]) and None,
        lambda h, _: int(THING not in {one["uid"] for one in h.list_things()}),
    ),
    Row(
        "iotstudio",
        "add_event",
        lambda h, _: h.add_event(THING, "highTemperature", 61.5) and None,
        lambda h, _: len(list(h.list_events(THING))),
    ),
    Row("iotstudio", "probe", lambda h, _: h.probe()),
    Row("iotstudio", "pages", lambda h, _: list(h.pages(lambda cursor: api.categories(h.space, cursor)))),
    Row("iotstudio", "history_page", lambda h, _: h.history_page(THING, name="temperature").items),
    Row("iotstudio", "query", lambda h, _: list(h.query("FOR t IN things RETURN t._key"))),
    Row(
        "iotstudio",
        "add_history",
        lambda h, _: h.add_history(THING, OLD),
        lambda h, _: len(_old(h)),
    ),
    Row(
        "iotstudio",
        "delete_history",
        lambda h, _: h.delete_history(THING, **LAST_YEAR),
        lambda h, _: 1 - len(_old(h)),
        lambda h: h.add_history(THING, OLD),
    ),
    Row(
        "iotstudio",
        "patch_things",
        lambda h, _: len(h.patch_things([{"id": THING, "patch": RENAMED}])),
        lambda h, _: int(h.get_thing(THING)["title"] == "matrix"),
    ),
    Row(
        "iotstudio",
        "create_thing",
        lambda h, _: h.create_thing({"title": "matrix"}) and None,
        lambda h, _: sum(one["title"] == "matrix" for one in h.list_things()),
    ),
    Row(
        "iotstudio",
        "update_thing",
        lambda h, _: h.update_thing(THING, {"title": "matrix"})["title"],
        lambda h, _: int(h.get_thing(THING)["title"] == "matrix"),
    ),
    Row(
        "iotstudio",
        "create_category",
        lambda h, _: h.create_category("matrix")["name"],
        lambda h, _: [one["name"] for one in h.list_categories()].count("matrix"),
    ),
    Row("iotstudio", "get_model", lambda h, _: h.get_model("matrix")["name"], prepare=_model),
    Row(
        "iotstudio",
        "create_model",
        lambda h, _: h.create_model("matrix") and None,
        lambda h, _: _models(h).count("matrix"),
    ),
    Row(
        "iotstudio",
        "update_model",
        lambda h, _: h.update_model("matrix", "new") and None,
        lambda h, _: int(h.get_model("matrix")["description"] == "new"),
        _model,
    ),
    Row(
        "iotstudio",
        "delete_model",
        lambda h, _: h.delete_model("matrix"),
        lambda h, _: int("matrix" not in _models(h)),
        _model,
    ),
    Row("iotstudio", "list_model_versions", lambda h, _: len(_versions(h)), prepare=_version),
    Row(
        "iotstudio",
        "get_model_version",
        lambda h, _: h.get_model_version("matrix", 1)["title"],
        prepare=_version,
    ),
    Row(
        "iotstudio",
        "create_model_version",
        lambda h, _: h.create_model_version("matrix", {"title": "First"}) and None,
        lambda h, _: len(_versions(h)),
        _model,
    ),
    Row(
        "iotstudio",
        "get_event",
        lambda h, one: h.get_event(THING, "highTemperature", one)["data"],
        prepare=_event,
    ),
    Row(
        "iotstudio",
        "delete_event",
        lambda h, one: h.delete_event(THING, "highTemperature", one),
        lambda h, _: 1 - len(list(h.list_events(THING))),
        _event,
    ),
    Row(
        "iotstudio",
        "get_mqtt_credentials",
        lambda h, _: h.get_mqtt_credentials(THING)["username"] and None,
        prepare=_mqtt,
    ),
    Row(
        "iotstudio",
        "set_mqtt_credentials",
        lambda h, _: h.set_mqtt_credentials(THING, {"enabled": False}) and None,
        lambda h, _: int(h.get_mqtt_credentials(THING)["enabled"] is False),
        _mqtt,
    ),
    Row(
        "iotstudio",
        "delete_mqtt_credentials",
        lambda h, _: h.delete_mqtt_credentials(THING),
        lambda h, _: 1 - _has_mqtt(h),
        _mqtt,
    ),
]
