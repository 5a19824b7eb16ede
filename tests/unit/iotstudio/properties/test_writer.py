"""Property writes: IoTStudioWritePropertiesOperator, over TCP."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from airflow.sdk import DAG, task

from airflow_provider.errors import (
    AuthenticationError,
    InputError,
    NotFoundError,
    PartialWriteError,
    PermissionDeniedError,
    RateLimitedError,
    RequestRejectedError,
    TransportError,
    VerificationError,
)
from airflow_provider.iotstudio.equality import same_value
from airflow_provider.iotstudio.hooks import MAY_BE_STORED
from airflow_provider.iotstudio.operators import IoTStudioWritePropertiesOperator
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.iotstudio.formats import ulid
from airflow_provider.sandbox.iotstudio.records import Thing
from airflow_provider.sandbox.server import Sandbox

from ..conftest import LIST, PUT, READ, THING

UNKNOWN = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def write(try_number: int = 1, **arguments: Any) -> dict[str, int]:
    """Run the operator as a worker would."""
    operator = IoTStudioWritePropertiesOperator(task_id="write", **arguments)
    return operator.execute({"ti": SimpleNamespace(try_number=try_number)})  # type: ignore[typeddict-item]


def sensors(service: IoTStudioService) -> list[str]:
    return [uid for uid, thing in service.space.things.items() if "Sensors" in thing.categories]


def rows_for(things: list[str], **values: Any) -> list[dict[str, Any]]:
    return [{"thing_id": uid, "properties": dict(values)} for uid in things]


def more_things(service: IoTStudioService, count: int) -> list[str]:
    """Add Things to the space."""
    uids = [ulid(1_700_000_000_000 + index, f"more {index}") for index in range(count)]
    for uid in uids:
        service.space.things[uid] = Thing(uid, fields={"properties": {"x": {}}}, status={"x": 0})
    return uids


# -- a single 404 is not believed ------------------------------------------------------------------


def test_a_retry_writes_nothing_twice_because_of_a_single_404(
    service: IoTStudioService, sandbox: Sandbox
) -> None:
    write(thing_id=THING, properties={"setpoint": 20.5})
    sandbox.faults.add("stray_404", path="/properties$", method="GET")
    assert write(2, thing_id=THING, properties={"setpoint": 20.5})["skipped"] == 1
    assert sandbox.counters.requests[PUT] == 1


def test_a_single_404_after_a_lost_response_is_no_failure(
    service: IoTStudioService, sandbox: Sandbox
) -> None:
    sandbox.faults.add("reset_after", path="/properties$", method="PUT")
    sandbox.faults.add("stray_404", path="/properties$", method="GET")
    assert write(thing_id=THING, properties={"setpoint": 20.5})["verified"] == 1
    assert sandbox.counters.requests[PUT] == 1


@pytest.mark.parametrize("only_changed", [False, True])
def test_a_single_404_of_the_list_ends_no_write(
    service: IoTStudioService, sandbox: Sandbox, only_changed: bool
) -> None:
    uids = sensors(service)
    sandbox.faults.add("stray_404", path="/things$", method="GET")
    counts = write(writes=rows_for(uids, setpoint=20.5), only_changed=only_changed)
    assert counts["verified"] == len(uids)
    more = more_things(service, 800)
    sandbox.faults.add("stray_404", path="/things$", method="GET")
    assert write(writes=rows_for(more, x=1), only_changed=only_changed)["verified"] == len(more)


# -- one Thing ----------------------------------------------------------------------------------------


def test_one_thing_is_written_in_one_request_and_read_back(
    service: IoTStudioService, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    result = write(thing_id=THING, properties={"setpoint": 19.5, "mode": "eco"})
    assert result == {"written": 2, "skipped": 0, "verified": 2}
    status = service.space.things[THING].status
    assert (status["setpoint"], status["mode"]) == (19.5, "eco")
    assert (sandbox.counters.requests[PUT], sandbox.counters.requests[READ]) == (1, 1)
    assert "Values: 2 written, 0 skipped, 2 verified; 0 Things failed; 3 requests" in capsys.readouterr().out


def test_json_types_are_kept_exactly(service: IoTStudioService) -> None:
    values = {"a": 61.5, "b": "1", "c": 1, "d": True, "e": None, "f": [0, 0.0, "x"], "g": {"on": "on"}}
    values |= {"h": 2**53 + 1, "i": -(2**70), "j": {"k": [{"l": [1, True, 1.0, None, "Wärme"]}]}, "m": 1e-9}
    service.unknown_property = "accept"
    assert write(thing_id=THING, properties=values)["verified"] == 11
    stored = service.space.things[THING].status
    for name, value in values.items():
        assert stored[name] == value
        assert type(stored[name]) is type(value)


def test_the_history_is_spared_when_asked(service: IoTStudioService) -> None:
    before = len(service.space.things[THING].history["temperature"])
    write(thing_id=THING, properties={"temperature": 20.5}, update_history=False)
    assert len(service.space.things[THING].history["temperature"]) == before
    write(thing_id=THING, properties={"temperature": 20.5})
    assert len(service.space.things[THING].history["temperature"]) == before + 1


def test_a_failed_write_fails_the_task_with_what_the_service_said(service: IoTStudioService) -> None:
    with pytest.raises(NotFoundError, match="Item not found"):
        write(thing_id=UNKNOWN, properties={"setpoint": 20})
    with pytest.raises(RequestRejectedError, match="setpoint: 99 is beyond the limit 30"):
        write(thing_id=THING, properties={"setpoint": 99})


# -- input --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"thing_id": THING}, "thing_id and properties, or writes"),
        ({"thing_id": THING, "properties": {}}, "properties is empty"),
        ({"thing_id": "", "properties": {"a": 1}}, "thing_id is missing"),
        ({"writes": [{"thing_id": THING, "properties": {"a": {1, 2}}}]}, "is a set, which has no JSON form"),
        ({"writes": ""}, "the path is empty"),
        ({"writes": "/nowhere/rows.jsonl"}, "there is no file"),
        (
            {"thing_id": THING, "properties": {"a": 1}, "concurrency": 0},
            "'concurrency' must be a whole number from 1 to 32",
        ),
        ({"thing_id": THING, "properties": {"a": "x" * 6000}}, "take 6008 bytes as JSON"),
    ],
)
def test_bad_input_is_refused_before_any_request(
    service: IoTStudioService, sandbox: Sandbox, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        write(**arguments)
    assert sandbox.counters.total("iotstudio") == 0


def test_no_rows_write_nothing(service: IoTStudioService, sandbox: Sandbox) -> None:
    assert write(writes=[]) == {"written": 0, "skipped": 0, "verified": 0}
    assert sandbox.counters.total("iotstudio") == 0


def test_rows_come_from_a_file(service: IoTStudioService, tmp_path: Path) -> None:
    path = tmp_path / "setpoints.jsonl"
    rows = rows_for(sensors(service)[:5], setpoint=18.5)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert write(writes=f"file://{path}")["written"] == 5


# -- many Things --------------------------------------------------------------------------------------


def test_many_things_share_a_bounded_pool_of_connections(service: IoTStudioService, sandbox: Sandbox) -> None:
    sandbox.faults.add("delay", method="PUT", times=None, seconds=0.02)
    things = sensors(service)[:64]
    assert write(writes=rows_for(things, setpoint=18.5), concurrency=8)["verified"] == 64
    assert sandbox.counters.requests[PUT] == 64
    assert 4 <= sandbox.counters.peak_in_flight <= 8
    assert sandbox.counters.connections <= 9


def test_things_are_written_at_the_same_time_but_no_more_than_allowed(
    service: IoTStudioService, sandbox: Sandbox
) -> None:
    sandbox.faults.add("delay", method="PUT", times=None, seconds=0.3)
    write(writes=rows_for(sensors(service)[:24], setpoint=18.5), concurrency=8)
    assert sandbox.counters.peak_in_flight == 8


@pytest.mark.slow
def test_reading_back_takes_at_most_three_requests_for_a_thousand_things(
    service: IoTStudioService, sandbox: Sandbox
) -> None:
    things = more_things(service, 1000)
    assert write(writes=rows_for(things, x=1), concurrency=16)["verified"] == 1000
    assert sandbox.counters.requests[PUT] == 1000
    assert sandbox.counters.requests[LIST] + sandbox.counters.requests[READ] <= 3


@pytest.mark.slow
def test_few_things_of_a_large_space_are_read_back_with_few_requests(
    service: IoTStudioService, sandbox: Sandbox
) -> None:
    more_things(service, 4000)
    assert write(writes=rows_for(sensors(service), setpoint=18.5))["verified"] == 240
    assert sandbox.counters.requests[LIST] == 1
    assert sandbox.counters.rows_served["iotstudio"] == 240


# -- verification -------------------------------------------------------------------------------------


def test_values_that_are_clamped_lost_or_rounded_are_named(service: IoTStudioService) -> None:
    service.out_of_range = "clamp"
    service.lost_writes = {"mode"}
    service.rounding = {"temperature": 0}
    with pytest.raises(VerificationError) as caught:
        write(thing_id=THING, properties={"setpoint": 40, "mode": "off", "temperature": 20.4, "co2": 500})
    assert sorted(caught.value.differences) == [
        f'Thing {THING}, property \'mode\': wanted "off", found "auto"',
        f"Thing {THING}, property 'setpoint': wanted 40, found 30",
        f"Thing {THING}, property 'temperature': wanted 20.4, found 20.0",
    ]


@pytest.mark.slow
def test_one_lost_value_among_hundreds_is_found(service: IoTStudioService) -> None:
    things = sensors(service)
    service.lost_writes = {(things[100], "setpoint")}
    with pytest.raises(VerificationError) as caught:
        write(writes=rows_for(things, setpoint=18.5))
    assert caught.value.differences == [f"Thing {things[100]}, property 'setpoint': wanted 18.5, found 21.5"]


def test_a_value_that_was_never_stored_is_found_as_nothing(service: IoTStudioService) -> None:
    service.unknown_property = "accept"
    service.lost_writes = {"new"}
    things = sensors(service)[:10]
    with pytest.raises(VerificationError, match="wanted 1, found nothing"):
        write(writes=rows_for(things, new=1))


def test_without_verify_nothing_is_read_back(service: IoTStudioService, sandbox: Sandbox) -> None:
    service.lost_writes = {"mode"}
    result = write(thing_id=THING, properties={"mode": "off"}, verify=False)
    assert result == {"written": 1, "skipped": 0, "verified": 0}
    assert sandbox.counters.requests[READ] == 0


@pytest.mark.parametrize(
    ("wanted", "found", "same"),
    [
        (1_700_000_000_000, 1_700_000_000_001.0, False),
        (2**53 + 1, float(2**53), False),
        (55.78051, 55.78052, False),
        (16777217.0, 16777216.0, True),
        (61.5, 61, False),
        (0.1, 0.0, False),
        (float(2**53), 2**53, True),
        (None, 0, False),
        ({"on": 1}, {"on": True}, False),
        (21.1, 21.100000381469727, True),
        (21.1, 21.11, False),
        (21, 21.0, True),
        (1, True, False),
        (0, False, False),
        ("1", 1, False),
        (2**53 + 1, 2**53, False),
        (None, None, True),
        ([1, {"a": 0.1}], [1, {"a": 0.1 + 1e-12}], True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ([1, 2], [1], False),
        (0.0, 1e-12, True),
    ],
)
def test_values_are_compared_with_their_types_and_a_float_tolerance(
    wanted: Any, found: Any, same: bool
) -> None:
    assert same_value(wanted, found) is same


# -- only what differs --------------------------------------------------------------------------------


def test_only_changed_writes_what_differs_and_spares_the_history(
    service: IoTStudioService, sandbox: Sandbox
) -> None:
    things = sensors(service)[:20]
    for uid in things[:15]:
        service.space.things[uid].status["setpoint"] = 18
    rows = rows_for(things, setpoint=18.0)
    assert write(writes=rows, only_changed=True) == {"written": 5, "skipped": 15, "verified": 5}
    assert sandbox.counters.requests[PUT] == 5
    assert "setpoint" not in service.space.things[things[0]].history
    assert write(writes=rows, only_changed=True) == {"written": 0, "skipped": 20, "verified": 0}
    assert sandbox.counters.requests[PUT] == 5


def test_only_changed_sends_only_the_properties_that_differ(service: IoTStudioService) -> None:
    result = write(thing_id=THING, properties={"setpoint": 21.5, "mode": "eco"}, only_changed=True)
    assert result == {"written": 1, "skipped": 1, "verified": 1}
    assert "setpoint" not in service.space.things[THING].history


# -- partial failure ----------------------------------------------------------------------------------


def test_bad_rows_do_not_stop_good_ones_and_each_is_named(service: IoTStudioService) -> None:
    things = sensors(service)[:6]
    rows = rows_for(things, setpoint=18.5)
    rows.insert(2, {"thing_id": UNKNOWN, "properties": {"setpoint": 18.5}})
    rows.append({"thing_id": list(service.space.things)[-1], "properties": {"limit": 501}})
    with pytest.raises(PartialWriteError) as caught:
        write(writes=rows)
    assert [service.space.things[uid].status["setpoint"] for uid in things] == [18.5] * 6
    unknown, beyond = caught.value.failures
    assert unknown.startswith(f"row 3: Thing {UNKNOWN}: ")
    assert "404: Item not found" in unknown
    assert beyond.startswith("row 8: ")
    assert "501 is beyond the limit 500" in beyond
    assert caught.value.counts == {"written": 6, "skipped": 0, "verified": 6}


def test_a_retry_writes_only_values_that_differ(service: IoTStudioService, sandbox: Sandbox) -> None:
    things = sensors(service)[:10]
    sandbox.faults.add("status", method="PUT", path=things[4], status=403, times=1)
    with pytest.raises(PartialWriteError):
        write(writes=rows_for(things, setpoint=18.5))
    assert write(2, writes=rows_for(things, setpoint=18.5)) == {"written": 1, "skipped": 9, "verified": 1}
    assert sandbox.counters.requests[PUT] == 11


def test_a_difference_and_a_failure_are_both_reported(service: IoTStudioService) -> None:
    things = sensors(service)[:4]
    service.lost_writes = {(things[0], "setpoint")}
    with pytest.raises(PartialWriteError) as caught:
        write(writes=[*rows_for(things, setpoint=18.5), *rows_for([UNKNOWN], setpoint=18.5)])
    assert len(caught.value.failures) == 2
    assert caught.value.counts == {"written": 4, "skipped": 0, "verified": 3}


def test_failures_are_named_though_the_rest_cannot_be_read_back(
    service: IoTStudioService, sandbox: Sandbox
) -> None:
    sandbox.faults.add("status", method="GET", status=403, times=None)
    rows = [*rows_for(sensors(service)[:4], setpoint=18.5), *rows_for([UNKNOWN], setpoint=18.5)]
    with pytest.raises(PartialWriteError, match=f"row 5: Thing {UNKNOWN}") as caught:
        write(writes=rows)
    assert caught.value.counts == {"written": 4, "skipped": 0, "verified": 0}
    assert "could not be read back" in caught.value.failures[1]
    with pytest.raises(PermissionDeniedError) as unread:
        write(writes=rows[:4])
    assert unread.value.__notes__ == ["4 values were written, but could not be read back"]


def test_every_failure_of_many_is_in_the_log(
    service: IoTStudioService, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown = [ulid(1_700_000_000_000 + index, f"unknown {index}") for index in range(30)]
    with pytest.raises(PartialWriteError) as caught:
        write(writes=rows_for([*unknown, THING], setpoint=18.5))
    assert len(caught.value.failures) == 30
    logged = capsys.readouterr().out
    assert all(f"row {number}: Thing {uid}: " in logged for number, uid in enumerate(unknown, start=1))


def test_every_difference_of_many_is_in_the_log(
    service: IoTStudioService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.lost_writes = {"setpoint"}
    things = sensors(service)[:30]
    with pytest.raises(VerificationError) as caught:
        write(writes=rows_for(things, setpoint=18.5))
    assert len(caught.value.differences) == 30
    logged = capsys.readouterr().out
    assert all(difference in logged for difference in caught.value.differences)


def test_a_thing_that_went_away_is_found_when_reading_back(
    service: IoTStudioService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider.iotstudio.properties.writer.read_values", lambda *_: {})
    with pytest.raises(VerificationError, match="found no such Thing") as caught:
        write(thing_id=THING, properties={"setpoint": 20, "mode": "eco"})
    assert len(caught.value.differences) == 2


# -- bad days -----------------------------------------------------------------------------------------


def test_a_write_that_was_lost_again_and_again_is_right_after_the_next_try(
    service: IoTStudioService, sandbox: Sandbox
) -> None:
    things = sensors(service)[:10]
    sandbox.faults.add("reset_before", method="PUT", path=things[3], times=6)
    with pytest.raises(PartialWriteError, match="row 4: ") as caught:
        write(writes=rows_for(things, setpoint=18.5))
    assert caught.value.counts["written"] == 9
    again = write(2, writes=rows_for(things, setpoint=18.5))
    assert again == {"written": 1, "skipped": 9, "verified": 1}
    assert len(service.space.things[things[3]].history["setpoint"]) == 1


def test_a_write_whose_answers_are_all_lost_is_recorded_once(
    service: IoTStudioService, sandbox: Sandbox
) -> None:
    things = sensors(service)[:10]
    sandbox.faults.add("reset_after", method="PUT", times=None)
    assert write(writes=rows_for(things, setpoint=18.5))["verified"] == 10
    assert [len(service.space.things[uid].history["setpoint"]) for uid in things] == [1] * 10


@pytest.mark.parametrize("preview", ["2023.1", "2024.1"])
def test_any_2xx_is_a_success_for_the_operator(
    service: IoTStudioService, connect: Callable[..., Any], preview: str
) -> None:
    connect(extra={"api_preview": preview})
    assert write(writes=rows_for(sensors(service)[:5], setpoint=18.5))["verified"] == 5


@pytest.mark.parametrize("name", ["a/b", "a?b=c", "a#b", "50%", "%2F", "Wärme °C", "温度", "a+b", ".."])
def test_any_property_name_is_written_and_verified(service: IoTStudioService, name: str) -> None:
    service.unknown_property = "accept"
    assert write(thing_id=THING, properties={name: 1})["verified"] == 1
    assert service.space.things[THING].status[name] == 1


def test_nothing_written_for_one_kind_of_reason_raises_that_reason(service: IoTStudioService) -> None:
    with pytest.raises(NotFoundError) as caught:
        write(writes=rows_for([UNKNOWN, UNKNOWN[:-1] + "W"], setpoint=18.5))
    assert caught.value.__notes__ == [
        "no write succeeded: 2 Things failed with like errors, or were not sent",
        "check that 'my-iot-project' is the right space",
    ]


@pytest.mark.parametrize("partial", ["none", "valid"])
def test_a_refused_write_of_several_values_says_that_some_may_be_stored(
    service: IoTStudioService, partial: Literal["none", "valid"], capsys: pytest.CaptureFixture[str]
) -> None:
    service.partial_writes = partial
    one, two, *_ = sensors(service)
    wrong = {"setpoint": 18.5, "nosuch": 1}
    with pytest.raises(RequestRejectedError) as caught:
        write(writes=rows_for([one, two], **wrong))
    assert (service.space.things[one].status["setpoint"] == 18.5) is (partial == "valid")
    assert caught.value.__notes__ == [
        MAY_BE_STORED,
        "no write succeeded: 2 Things failed with like errors, or were not sent",
    ]
    logged = capsys.readouterr().out
    assert logged.count("; the service may have stored its other values") == 2
    assert "nothing was written" not in logged

    with pytest.raises(PartialWriteError) as partly:
        write(writes=[*rows_for([one], **wrong), *rows_for([two], setpoint=19.5)])
    assert partly.value.failures[0].endswith("; the service may have stored its other values")
    assert partly.value.__notes__ == [MAY_BE_STORED]


@pytest.mark.parametrize("values", [{"nosuch": 1}, {"setpoint": 18.5, "mode": "eco"}])
def test_a_write_that_can_have_stored_nothing_does_not_say_that_it_may(
    service: IoTStudioService, values: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    thing = UNKNOWN if "setpoint" in values else sensors(service)[0]
    with pytest.raises((NotFoundError, RequestRejectedError)) as caught:
        write(thing_id=thing, properties=values)
    assert MAY_BE_STORED not in getattr(caught.value, "__notes__", [])
    assert "may have stored" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("status", {"status": 429, "headers": {"Retry-After": "0"}}),
        ("status", {"status": 401}),
        ("html", {"status": 503}),
        ("reset_before", {}),
        ("reset_after", {}),
        ("truncate", {}),
    ],
)
def test_transient_faults_lose_no_writes(
    service: IoTStudioService, sandbox: Sandbox, kind: str, options: dict[str, Any]
) -> None:
    # A request that is refused with two tokens in a row fails permanently.
    times = 1 if options.get("status") == 401 else 4
    fault = sandbox.faults.add(kind, method="PUT", after=10, times=times, **options)
    things = sensors(service)[:40]
    assert write(writes=rows_for(things, setpoint=18.5))["verified"] == 40
    assert fault.hits == times
    assert all(service.space.things[uid].status["setpoint"] == 18.5 for uid in things)


def test_a_token_that_ends_in_the_middle_is_renewed_once(service: IoTStudioService, sandbox: Sandbox) -> None:
    write(thing_id=THING, properties={"setpoint": 20})
    service.tokens.clear()
    write(writes=rows_for(sensors(service)[:40], setpoint=18.5))
    assert sandbox.counters.tokens_issued["iotstudio"] == 2


def test_a_403_is_not_retried_and_names_the_scope(service: IoTStudioService, sandbox: Sandbox) -> None:
    service.client.policies = ["spaces/other/#"]
    with pytest.raises(PermissionDeniedError, match=r"needs the scope thing\.update"):
        write(thing_id=THING, properties={"setpoint": 20})
    assert sandbox.counters.requests[PUT] == 1


def test_a_token_without_the_scope_is_an_error_that_names_the_scope(
    service: IoTStudioService, connect: Callable[..., Any]
) -> None:
    connect(extra={"scopes": ["thing.read"]})
    said = r"write setpoint, mode of .*needs the scope thing\.update \(the connection asks for thing\.read\)"
    with pytest.raises(PermissionDeniedError, match=said):
        write(thing_id=THING, properties={"setpoint": 20, "mode": "eco"})


def test_a_scope_that_does_not_exist_points_to_the_connections_scopes(
    service: IoTStudioService, connect: Callable[..., Any]
) -> None:
    connect(extra={"scopes": ["thing", "nonsense"]})
    with pytest.raises(AuthenticationError, match=r"'nonsense'.*See the connection's extra 'scopes'"):
        write(thing_id=THING, properties={"setpoint": 20})


def test_a_long_limit_is_an_error_that_has_its_seconds(service: IoTStudioService, sandbox: Sandbox) -> None:
    sandbox.faults.add("status", method="PUT", status=429, headers={"Retry-After": "3600"}, times=None)
    with pytest.raises(RateLimitedError, match="asks to wait 3600 s"):
        write(thing_id=THING, properties={"setpoint": 20})


def test_dead_credentials_end_the_run_early(service: IoTStudioService, sandbox: Sandbox) -> None:
    refused = sandbox.faults.add("status", method="PUT", path="/properties", status=401, after=5, times=None)
    said = r"23\d rows, from \d+ to 240: not sent, because the credentials are not accepted"
    with pytest.raises(PartialWriteError, match=said) as caught:
        write(writes=rows_for(sensors(service), setpoint=18.5), concurrency=4, verify=False)
    assert refused.hits <= 8
    assert len(caught.value.failures) <= 5
    sandbox.faults.clear()
    sandbox.faults.add(
        "status", path="/oauth2/token", status=401, body='{"error":"invalid_client"}', times=None
    )
    service.tokens.clear()
    with pytest.raises(AuthenticationError):
        write(thing_id=THING, properties={"setpoint": 20})


def test_a_service_that_is_down_ends_the_run_early(service: IoTStudioService, sandbox: Sandbox) -> None:
    down = sandbox.faults.add("html", method="PUT", status=502, times=None)
    with pytest.raises(TransportError, match="502"):
        write(writes=rows_for(sensors(service), setpoint=18.5), concurrency=2)
    assert down.hits <= 8 * 6


# -- in Airflow ---------------------------------------------------------------------------------------


def test_constructors_only_assign(service: IoTStudioService, sandbox: Sandbox) -> None:
    operator = IoTStudioWritePropertiesOperator(task_id="w", thing_id="{{ nope }}", concurrency=-1)
    assert operator.thing_id == "{{ nope }}"
    assert set(operator.template_fields) >= {"thing_id", "properties", "writes", "space"}
    assert sandbox.counters.total("iotstudio") == 0


def test_the_result_is_small_json(service: IoTStudioService) -> None:
    result = write(writes=rows_for(sensors(service), setpoint=18.5))
    assert len(json.dumps(result)) < 100


def test_the_example_dag_sets_and_verifies(
    service: IoTStudioService, run_dag: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(__file__).resolve().parents[4] / "example_dags" / "example_iotstudio_write_properties.py"
    spec = importlib.util.spec_from_file_location("example", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.dag.doc_md
    assert run_dag(module.dag).state == "success"
    assert service.space.things[THING].status["temperature"] == 17.3


def test_a_value_that_is_not_stored_fails_the_dag(
    service: IoTStudioService, run_dag: Callable[..., Any]
) -> None:
    service.out_of_range = "clamp"
    with DAG("iotstudio_write_that_fails", schedule=None) as dag:
        IoTStudioWritePropertiesOperator(task_id="write", thing_id=THING, properties={"setpoint": 40})
    assert run_dag(dag).state == "failed"


def test_templates_and_upstream_rows_work(service: IoTStudioService, run_dag: Callable[..., Any]) -> None:
    with DAG("iotstudio_write_rows", schedule=None, params={"thing": THING}) as dag:

        @task
        def rows() -> list[dict[str, Any]]:
            return [{"thing_id": sensors(service)[1], "properties": {"setpoint": 18.5}}]

        IoTStudioWritePropertiesOperator(task_id="many", writes=rows())
        IoTStudioWritePropertiesOperator(
            task_id="one", thing_id="{{ params.thing }}", properties={"mode": "{{ 'eco' }}", "setpoint": 19}
        )
    run = run_dag(dag)
    assert run.state == "success"
    assert service.space.things[THING].status["mode"] == "eco"
    assert service.space.things[THING].status["setpoint"] == 19
    assert service.space.things[sensors(service)[1]].status["setpoint"] == 18.5
