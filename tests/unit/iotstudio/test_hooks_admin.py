"""Administration of a space by the hook, over TCP."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider.errors import (
    AmbiguousWriteError,
    InputError,
    NotFoundError,
    PartialWriteError,
    PermissionDeniedError,
    RequestRejectedError,
)
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.server import Sandbox

from .conftest import THING


def test_models_are_created_read_updated_and_deleted(hook: IoTStudioHook) -> None:
    made = hook.create_model("pump:v_1-a", "A pump")
    assert (made["name"], made["description"]) == ("pump:v_1-a", "A pump")
    assert hook.get_model("pump:v_1-a") == made
    assert [model["name"] for model in hook.list_models()] == ["pump:v_1-a"]
    assert hook.update_model("pump:v_1-a", "Another pump")["description"] == "Another pump"
    with pytest.raises(RequestRejectedError, match="already exists"):
        hook.create_model("pump:v_1-a")
    hook.delete_model("pump:v_1-a")
    with pytest.raises(NotFoundError):
        hook.get_model("pump:v_1-a")


def test_versions_of_a_model_are_added_and_numbered(hook: IoTStudioHook) -> None:
    hook.create_model("pump")
    template = {"properties": {"speed": {"type": "number"}}}
    assert hook.create_model_version("pump", {"title": "First", "template": template})["version"] == 1
    assert hook.create_model_version("pump", {"title": "Second"})["version"] == 2
    assert hook.get_model_version("pump", 1)["template"] == template
    assert [version["title"] for version in hook.list_model_versions("pump")] == ["First", "Second"]


def test_a_model_in_use_is_not_deleted_and_the_error_has_the_reason(
    hook: IoTStudioHook, service: IoTStudioService
) -> None:
    hook.create_model("pump")
    service.space.things[THING].fields["model"] = {"name": "pump", "version": 1}
    with pytest.raises(PermissionDeniedError, match="in use"):
        hook.delete_model("pump")


@pytest.mark.parametrize("wanted", ["create_model", "create_model_version"])
def test_a_model_or_version_is_not_created_twice_after_a_lost_response(
    hook: IoTStudioHook, service: IoTStudioService, sandbox: Sandbox, wanted: str
) -> None:
    hook.create_model("pump")
    sandbox.faults.add("reset_after", method="POST", path="/models")
    with pytest.raises(AmbiguousWriteError):
        getattr(hook, wanted)(*(["valve"] if wanted == "create_model" else ["pump", {"title": "First"}]))
    assert len(service.space.models) + len(service.space.models["pump"].versions) == 2


def test_an_event_is_read_and_deleted_by_its_id(hook: IoTStudioHook) -> None:
    made = hook.add_event(THING, "highTemperature", 40)
    found = hook.get_event(THING, "highTemperature", made["id"])
    assert (found["id"], found["data"]) == (made["id"], 40)
    hook.delete_event(THING, "highTemperature", made["id"])
    assert list(hook.list_events(THING)) == []


@pytest.mark.parametrize("data", [61.5, "on", 1, True, "1", {"a": [0.0]}, 0])
def test_events_keep_their_data_as_it_is(hook: IoTStudioHook, service: IoTStudioService, data: Any) -> None:
    service.space.things[THING].fields["events"] = {"any": {}}
    made = hook.add_event(THING, "any", data)
    assert made["data"] == data
    (stored,) = hook.list_events(THING, "any")
    assert stored["any"]["data"] == data
    assert type(stored["any"]["data"]) is type(data)


def test_an_event_is_not_sent_again_after_a_lost_response(
    hook: IoTStudioHook, service: IoTStudioService, sandbox: Sandbox
) -> None:
    sandbox.faults.add("reset_after", method="POST", path="/events/")
    with pytest.raises(AmbiguousWriteError):
        hook.add_event(THING, "highTemperature", 40)
    assert len(list(hook.list_events(THING))) == 1


OLD = [{"at": "2025-06-01T00:00:00Z", "properties": {"temperature": 20.5, "humidity": 40}}]


def test_history_can_be_added_and_deleted(hook: IoTStudioHook) -> None:
    hook.add_history(THING, OLD)
    assert len(list(hook.iter_history(THING, start="2025-01", end="2026-01"))) == 2
    hook.delete_history(THING, start="2025-01", end="2026-01", names=["humidity"])
    (left,) = hook.iter_history(THING, start="2025-01", end="2026-01")
    assert left["properties"] == {"temperature": 20.5}


def test_history_that_is_there_already_is_fine_and_another_value_is_not(hook: IoTStudioHook) -> None:
    hook.add_history(THING, OLD)
    hook.add_history(THING, OLD)
    other = [{"at": "2025-06-01T00:00:00Z", "properties": {"temperature": 21}}]
    with pytest.raises(RequestRejectedError, match="same timestamp"):
        hook.add_history(THING, other)


def test_history_is_added_once_after_a_lost_response(
    hook: IoTStudioHook, sandbox: Sandbox, service: IoTStudioService
) -> None:
    sandbox.faults.add("reset_after", method="POST", path="/properties-history")
    hook.add_history(THING, OLD)
    values = [value for at, value in service.space.things[THING].history["temperature"]]
    assert values.count(20.5) == 1


def test_many_descriptions_change_in_one_request(hook: IoTStudioHook, service: IoTStudioService) -> None:
    uids = list(service.space.things)[:2]
    patch = [{"op": "replace", "path": "/title", "value": "New"}]
    changed = hook.patch_things([{"id": uid, "patch": patch} for uid in uids])
    assert [thing["title"] for thing in changed] == ["New", "New"]


def test_a_refused_patch_is_named_and_the_others_are_done(
    hook: IoTStudioHook, service: IoTStudioService
) -> None:
    patch = [{"op": "replace", "path": "/title", "value": "New"}]
    with pytest.raises(PartialWriteError, match="Thing 01UNKNOWN: 404") as caught:
        hook.patch_things([{"id": "01UNKNOWN", "patch": patch}, {"id": THING, "patch": patch}])
    assert caught.value.counts == {"changed": 1}
    assert service.space.things[THING].title == "New"


def test_things_are_deleted_by_id_category_or_value(hook: IoTStudioHook, service: IoTStudioService) -> None:
    assert hook.delete_things(thing_ids=[THING]) == [THING]
    assert len(hook.delete_things(category="Meters")) == 24
    eco = {uid for uid, thing in service.space.things.items() if thing.status["mode"] == "eco"}
    left = service.space.things.keys() - eco
    assert set(hook.delete_things(filters={"mode": "eco"})) == eco
    assert service.space.things.keys() == left
    assert eco
    assert left


def test_deleting_without_a_condition_is_refused(hook: IoTStudioHook, sandbox: Sandbox) -> None:
    with pytest.raises(InputError, match="name the Things"):
        hook.delete_things()
    assert sandbox.counters.total("iotstudio") == 0


@pytest.mark.parametrize("arguments", [{}, {"category": "Meters"}, {"filters": {"mode": "eco"}}])
def test_an_empty_list_of_ids_deletes_nothing(
    hook: IoTStudioHook, sandbox: Sandbox, arguments: dict[str, Any]
) -> None:
    assert hook.delete_things(thing_ids=[], **arguments) == []
    assert sandbox.counters.total("iotstudio") == 0


def test_a_query_is_followed_batch_by_batch(hook: IoTStudioHook, sandbox: Sandbox) -> None:
    found = list(hook.query("FOR i IN RANGE(@min,@max) RETURN i", {"min": 0, "max": 7}, batch_size=3))
    assert found == list(range(8))
    assert sandbox.counters.total("/query/cursor") == 3


def test_a_query_reads_things(hook: IoTStudioHook, service: IoTStudioService) -> None:
    warm = set(
        hook.query("FOR t IN things FILTER t.status.temperature > @limit RETURN t._key", {"limit": 23})
    )
    things = service.space.things.items()
    assert warm == {uid for uid, thing in things if thing.status.get("temperature", 0) > 23}
    assert warm


def test_an_invalid_query_is_an_error_with_the_place(hook: IoTStudioHook) -> None:
    with pytest.raises(RequestRejectedError, match="syntax error near"):
        list(hook.query("SELECT 1"))
    with pytest.raises(NotFoundError, match="collection"):
        list(hook.query("FOR t IN nowhere RETURN t"))


def test_a_cursor_that_waited_too_long_is_gone(hook: IoTStudioHook, sandbox: Sandbox) -> None:
    rows = hook.query("FOR i IN RANGE(0,9) RETURN i", batch_size=2, ttl=30)
    assert [next(rows), next(rows)] == [0, 1]
    sandbox.clock.advance(31)
    with pytest.raises(NotFoundError, match="cursor not found"):
        next(rows)


def test_mqtt_credentials_are_created_read_updated_and_deleted(hook: IoTStudioHook) -> None:
    made = hook.set_mqtt_credentials(THING, create=True)
    assert made["password"]
    assert hook.get_mqtt_credentials(THING)["password"] == "<hidden_secret>"
    assert hook.set_mqtt_credentials(THING)["password"] != made["password"]
    assert hook.set_mqtt_credentials(THING, {"enabled": False, "password": "chosen-one"})["enabled"] is False
    hook.delete_mqtt_credentials(THING)
    with pytest.raises(NotFoundError):
        hook.get_mqtt_credentials(THING)


def test_a_category_has_mqtt_credentials_of_its_own(hook: IoTStudioHook, service: IoTStudioService) -> None:
    made = hook.set_mqtt_credentials(category="Sensors", create=True)
    assert list(service.mqtt) == ["categories/Sensors"]
    assert hook.get_mqtt_credentials(category="Sensors")["username"] == made["username"]
    with pytest.raises(NotFoundError):
        hook.get_mqtt_credentials(THING)
    hook.delete_mqtt_credentials(category="Sensors")
    with pytest.raises(NotFoundError):
        hook.get_mqtt_credentials(category="Sensors")
    with pytest.raises(InputError, match="either a Thing or a category"):
        hook.get_mqtt_credentials()


def test_a_password_for_mqtt_is_in_no_log(hook: IoTStudioHook, monkeypatch: pytest.MonkeyPatch) -> None:
    masked: list[str] = []
    monkeypatch.setattr("airflow_provider.core.redaction.mask", masked.extend)
    made = hook.set_mqtt_credentials(THING, create=True)
    hook.set_mqtt_credentials(THING, {"password": "chosen-one"})
    assert {made["password"], "chosen-one"} <= set(masked)


def test_a_password_for_mqtt_is_in_no_error(hook: IoTStudioHook, sandbox: Sandbox) -> None:
    echo = {"error": {"status": 400, "message": "bad password chosen/one"}}
    sandbox.faults.add("status", path="/mqtt-credentials", status=400, body=echo)
    with pytest.raises(RequestRejectedError, match="bad password") as caught:
        hook.set_mqtt_credentials(THING, {"password": "chosen/one"})
    assert "chosen" not in repr(vars(caught.value)) + str(caught.value)
