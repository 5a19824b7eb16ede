"""Writes and tokens under both settings of the switches of a strict IoT Studio."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider.errors import PartialWriteError, ProviderError, RateLimitedError, RequestRejectedError
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.iotstudio.operators import IoTStudioWritePropertiesOperator
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.server import Sandbox

from .conftest import THING

Connect = Callable[..., IoTStudioHook]
SETTINGS: dict[str, dict[str, Any]] = {
    "strict": {},
    "tolerant": {"strict": False},
    "no null": {"null_values": "reject"},
    "further keywords": {"further_keywords": "enforce"},
    "no models": {"apply_models": False},
    "no values": {"check_values": False},
    "no descriptions": {"check_descriptions": False},
    "any number of tokens": {"max_tokens": None},
    "one token": {"max_tokens": 1, "token_above_max": "end_oldest"},
}


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS.keys())
def test_good_values_are_written_and_verified(service: IoTStudioService, setting: dict[str, Any]) -> None:
    for name, value in setting.items():
        setattr(service, name, value)
    values = {"setpoint": 20, "mode": "eco", "window/open": True, "co2": 700}
    write = IoTStudioWritePropertiesOperator(task_id="w", thing_id=THING, properties=values)
    assert write.execute({}) == {"written": 4, "skipped": 0, "verified": 4}
    assert service.space.things[THING].status.items() >= values.items()


@pytest.mark.parametrize(
    ("setting", "values"),
    [
        ({}, {"setpoint": 99}),
        ({}, {"mode": 5}),
        ({"null_values": "reject"}, {"mode": None}),
        ({"further_keywords": "enforce"}, {"mode": "party"}),
        ({"read_only": "reject"}, {"co2": 700}),
    ],
)
def test_a_refused_value_fails_the_task_and_names_thing_and_property(
    service: IoTStudioService, setting: dict[str, Any], values: dict[str, Any]
) -> None:
    for name, value in setting.items():
        setattr(service, name, value)
    before = dict(service.space.things[THING].status)
    other = next(uid for uid in service.space.things if uid != THING)
    rows = [{"thing_id": THING, "properties": values}, {"thing_id": other, "properties": {"setpoint": 22}}]
    write = IoTStudioWritePropertiesOperator(task_id="w", writes=rows)
    with pytest.raises(ProviderError) as caught:
        write.execute({})
    assert isinstance(caught.value, PartialWriteError)
    assert THING in str(caught.value)
    assert next(iter(values)) in str(caught.value)
    assert service.space.things[THING].status == before
    assert service.space.things[other].status["setpoint"] == 22


def test_history_of_a_wrong_type_is_refused(service: IoTStudioService, hook: IoTStudioHook) -> None:
    item = {"at": "2025-01-01T00:00:00Z", "properties": {"co2": "many"}}
    with pytest.raises(RequestRejectedError, match="co2"):
        hook.add_history(THING, [item])
    service.strict = False
    hook.add_history(THING, [item])


def test_a_thing_of_a_model_can_be_written_to(service: IoTStudioService, hook: IoTStudioHook) -> None:
    template = {"properties": {"rpm": {"type": "integer", "maximum": 900}}}
    hook.request("POST", "models", json={"name": "pump"})
    hook.request("POST", "models/pump/versions", json={"template": template})
    made = hook.request("POST", "things", json={"title": "P", "model": {"name": "pump"}}).json()
    assert hook.set_properties(made["uid"], {"rpm": 800}) == {"rpm": 800}
    with pytest.raises(RequestRejectedError, match="rpm"):
        hook.set_properties(made["uid"], {"rpm": 901})


def test_two_workers_of_which_each_ends_the_others_token_both_go_on(
    service: IoTStudioService, connect: Connect, sandbox: Sandbox
) -> None:
    service.max_tokens, service.token_above_max = 1, "end_oldest"
    own = {"rate_limit_store": "process", "share_tokens": False}
    first, second = (connect(extra=own) for _ in range(2))
    for _ in range(3):
        for hook in (first, second):
            hook.forget_access_token(hook.cached_access_token() or "")
            assert hook.get_property(THING, "setpoint") == 21.5
    assert sandbox.counters.tokens_issued["iotstudio"] >= 4


def test_a_refused_token_says_so_and_waits_for_no_week(service: IoTStudioService, connect: Connect) -> None:
    service.max_tokens = 1
    own = {"rate_limit_store": "process", "share_tokens": False}
    first = connect(extra=own)
    first.get_property(THING, "setpoint")
    first.forget_access_token(first.cached_access_token() or "")
    with pytest.raises(RateLimitedError, match="valid tokens"):
        connect(extra=own).get_property(THING, "setpoint")
