"""The hook of IoT Studio, over TCP."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote_plus

import pytest

from airflow_provider.core.http import auth
from airflow_provider.errors import (
    AmbiguousWriteError,
    AuthenticationError,
    InputError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    RequestRejectedError,
    ServerError,
    TransportError,
)
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.iotstudio.formats import ulid
from airflow_provider.sandbox.iotstudio.records import Thing
from airflow_provider.sandbox.iotstudio.seed import CLIENT_ID, CLIENT_SECRET
from airflow_provider.sandbox.server import Sandbox

from .conftest import LIST, PUT, READ, THING

Connect = Callable[..., IoTStudioHook]


def a_token(hook: IoTStudioHook, service: IoTStudioService) -> str:
    """Get a token for the static-token mode."""
    hook.list_categories()
    return next(iter(service.tokens))


# -- what the vendor's own client shows ---------------------------------------------------------------


def test_categories_things_properties_and_actions_work_as_in_the_vendors_examples(
    hook: IoTStudioHook, service: IoTStudioService
) -> None:
    assert [one["name"] for one in hook.list_categories()] == ["Meters", "Sensors"]
    assert hook.get_thing(THING)["title"] == "Climate A-0.01"
    assert len(list(hook.list_things(category="Sensors"))) == 240
    warm = list(hook.list_things(params={"property:temperature": "gt:20"}))
    assert warm
    assert all(thing["status"]["temperature"] > 20 for thing in warm)
    assert hook.get_properties(THING)["temperature"] == 21.0
    assert hook.get_property(THING, "temperature") == 21.0
    assert hook.set_properties(THING, {"temperature": 17.3}) == {"temperature": 17.3}
    assert hook.get_property(THING, "temperature") == 17.3
    action = hook.invoke_action(THING, "updateFirmware", "v2.0.0")
    assert (action["input"], action["status"]) == ("v2.0.0", "pending")
    assert hook.get_action(THING, "updateFirmware", action["id"])["input"] == "v2.0.0"


def test_a_static_token_is_sent_as_it_is(connect: Connect, service: IoTStudioService) -> None:
    token = a_token(connect(), service)
    hook = connect(login=None, password=None, extra={"access_token": token, "scopes": None})
    assert hook.get_property(THING, "setpoint") == 21.5
    assert service.around.counters.tokens_issued["iotstudio"] == 1


def test_credentials_that_change_when_quoted_arrive_whole(hook: IoTStudioHook) -> None:
    assert quote_plus(CLIENT_SECRET) != CLIENT_SECRET
    assert hook.list_categories()


def test_revoke_token_ends_it_and_the_next_request_gets_a_new_one(
    hook: IoTStudioHook, service: IoTStudioService
) -> None:
    hook.list_categories()
    (first,) = service.tokens
    hook.revoke_token()
    assert service.revoked == [first]
    assert hook.list_categories()
    assert list(service.tokens) != [first]


def test_revoking_nothing_sends_nothing(hook: IoTStudioHook, sandbox: Sandbox) -> None:
    hook.revoke_token()
    assert sandbox.counters.total("iotstudio") == 0


def test_a_static_token_cannot_be_revoked(connect: Connect) -> None:
    with pytest.raises(InputError, match="static access token"):
        connect(extra={"access_token": "ory_at_x"}).revoke_token()


def test_leaving_the_block_revokes_only_where_the_connection_says_so(
    connect: Connect, service: IoTStudioService
) -> None:
    with connect() as hook:
        hook.list_categories()
    assert service.revoked == []
    with connect(extra={"revoke_on_close": True}) as hook:
        hook.list_categories()
    assert len(service.revoked) == 1


def test_a_failed_revocation_does_not_fail_the_work(connect: Connect, sandbox: Sandbox) -> None:
    sandbox.faults.add("status", path="/oauth2/revoke", status=400)
    with connect(extra={"revoke_on_close": True}) as hook:
        assert hook.list_categories()


def test_the_raw_response_is_there_for_anything_else(hook: IoTStudioHook) -> None:
    reply = hook.request("GET", f"/spaces/my-iot-project/things/{THING}/events")
    assert (reply.status_code, reply.json()["data"]) == (200, [])
    assert reply.headers["content-type"] == "application/json"
    assert json.loads(reply.content) == reply.json()
    body = {"highTemperature": {"data": 61.5}}
    made = hook.request("post", f"things/{THING}/events/highTemperature", json=body)
    assert made.status_code == 201
    assert made.json()["highTemperature"]["data"] == 61.5
    patch = [{"id": THING, "patch": [{"op": "replace", "path": "/title", "value": "New"}]}]
    assert hook.request("PATCH", "things", json=patch).json()["has_errors"] == []
    assert hook.request("DELETE", "things", params={"thingID[]": [THING]}).json() == [THING]


def test_errors_are_typed_and_carry_what_the_service_said(hook: IoTStudioHook) -> None:
    with pytest.raises(RequestRejectedError) as caught:
        hook.set_properties(THING, {"setpoint": 99})
    assert caught.value.status == 400
    assert caught.value.message == "invalid property values (setpoint: 99 is beyond the limit 30)"
    with pytest.raises(NotFoundError, match="Item not found"):
        hook.get_thing("01ARZ3NDEKTSV4RRFFQ69G5FAV")


def test_an_error_on_a_list_is_not_hidden(hook: IoTStudioHook) -> None:
    with pytest.raises(RequestRejectedError, match="invalid limit"):
        list(hook.list_things(params={"limit": 5000}))


# -- names, pages, versions ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a/b", "a?b", "a#b", "50%", "%2F", "Wärme °C", "a b", "a+b"])
def test_any_property_name_can_be_read_and_written(
    hook: IoTStudioHook, service: IoTStudioService, name: str
) -> None:
    service.unknown_property = "accept"
    hook.set_properties(THING, {name: 1})
    assert hook.get_property(THING, name) == 1
    service.space.things[THING].status[name] = "changed"
    assert hook.get_property(THING, name) == "changed"


def test_lists_take_large_pages(hook: IoTStudioHook, sandbox: Sandbox) -> None:
    assert len(list(hook.list_things())) == 264
    assert sandbox.counters.requests[LIST] == 1


def test_five_thousand_things_are_listed_in_five_requests(
    hook: IoTStudioHook, service: IoTStudioService, sandbox: Sandbox
) -> None:
    for index in range(5000 - len(service.space.things)):
        uid = ulid(1_700_000_000_000 + index, f"more {index}")
        service.space.things[uid] = Thing(uid)
    assert len({thing["uid"] for thing in hook.list_things()}) == 5000
    assert sandbox.counters.requests[LIST] == 5


def test_a_limit_sets_the_size_of_pages_not_the_end(hook: IoTStudioHook, sandbox: Sandbox) -> None:
    params = {"property:temperature": "gte:20", "limit": 100}
    found = list(hook.list_things(params=params))
    assert len(found) > 100
    assert sandbox.counters.requests[LIST] == 2


def test_an_empty_page_in_the_middle_does_not_end_a_list(
    hook: IoTStudioHook, service: IoTStudioService
) -> None:
    service.empty_page_in_the_middle = True
    assert len({thing["uid"] for thing in hook.list_things(params={"limit": 100})}) == 264
    assert len(list(hook.iter_history(THING))) == 144


def test_pages_are_fetched_as_they_are_needed(hook: IoTStudioHook, sandbox: Sandbox) -> None:
    things = hook.list_things(params={"limit": 10})
    next(things)
    assert sandbox.counters.requests[LIST] == 1


def test_a_list_that_repeats_its_cursor_is_an_error(hook: IoTStudioHook, sandbox: Sandbox) -> None:
    page = json.dumps({"data": [], "paging": {"next_cursor": "abc"}})
    sandbox.faults.add(
        "status", path="/things$", status=200, body=page, content_type="application/json", times=None
    )
    with pytest.raises(ServerError, match="same cursor twice"):
        list(hook.list_things())


def test_a_list_whose_cursors_lead_back_is_an_error(hook: IoTStudioHook, sandbox: Sandbox) -> None:
    for cursor in ["a", "b", "c"] * 9:
        page = json.dumps({"data": [], "paging": {"next_cursor": cursor}})
        sandbox.faults.add("status", path="/things$", status=200, body=page, content_type="application/json")
    with pytest.raises(ServerError, match="same cursor twice"):
        list(hook.list_things())
    assert sandbox.counters.requests[LIST] <= 12


async def test_the_async_list_gives_the_same(hook: IoTStudioHook, service: IoTStudioService) -> None:
    service.empty_page_in_the_middle = True
    found = [one["uid"] async for one in hook.alist_things(category="Meters", params={"limit": 10})]
    assert found == [one["uid"] for one in hook.list_things(category="Meters")]
    assert await hook.aget_property(THING, "setpoint") == 21.5
    action = hook.invoke_action(THING, "reboot", {"delay": 5})
    assert (await hook.aget_action(THING, "reboot", action["id"]))["input"] == {"delay": 5}


def test_history_comes_in_a_range_and_for_one_property(hook: IoTStudioHook) -> None:
    rows = list(hook.iter_history(THING, start="2026-01-01", end="2026-01-02", name="temperature"))
    assert [row["at"] for row in rows[::23]] == ["2026-01-01T23:00:00Z", "2026-01-01T00:00:00Z"]
    assert all(set(row["properties"]) == {"temperature"} for row in rows)
    assert len(list(hook.iter_history(THING, start="2026-01-03"))) == 48


@pytest.mark.parametrize(("preview", "status"), [("2023.1", 201), ("2024.1", 200)])
def test_the_preview_is_sent_and_any_2xx_is_a_success(connect: Connect, preview: str, status: int) -> None:
    hook = connect(extra={"api_preview": preview})
    assert hook.set_properties(THING, {"setpoint": 22}) == {"setpoint": 22}
    reply = hook.request("PUT", f"things/{THING}/properties", json={"setpoint": 23})
    assert reply.status_code == status


def test_the_space_can_be_named_by_the_hook_or_is_asked_for(connect: Connect, sandbox: Sandbox) -> None:
    assert connect(extra={"space": None}, space="my-iot-project").list_categories()
    with pytest.raises(InputError, match="no space"):
        next(connect(extra={"space": None}).list_things())


# -- tokens -------------------------------------------------------------------------------------------


def test_sixteen_threads_and_many_hooks_get_one_token(connect: Connect, service: IoTStudioService) -> None:
    hooks = [connect() for _ in range(4)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda i: hooks[i % 4].get_property(THING, "setpoint"), range(32)))
    assert service.around.counters.tokens_issued["iotstudio"] == 1


def test_an_hour_of_tasks_in_one_process_takes_one_token(
    connect: Connect, service: IoTStudioService, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = sandbox.clock.now()
    monkeypatch.setattr(auth, "monotonic", lambda: sandbox.clock.now() - began)
    for _ in range(60):
        with connect() as hook:
            assert hook.get_property(THING, "setpoint") == 21.5
        sandbox.clock.advance(60)
    assert service.around.counters.tokens_issued["iotstudio"] == 1


def test_a_short_token_is_renewed_before_it_ends(
    connect: Connect, service: IoTStudioService, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = sandbox.clock.now()
    monkeypatch.setattr(auth, "monotonic", lambda: sandbox.clock.now() - began)
    service.token_lifetime = 300
    for _ in range(60):
        with connect() as hook:
            hook.get_property(THING, "setpoint")
        sandbox.clock.advance(10)
    assert service.around.counters.tokens_issued["iotstudio"] == 3
    assert sandbox.counters.total("/properties/") == 60  # none was refused and sent again


def test_a_token_that_dies_early_is_renewed_once(hook: IoTStudioHook, service: IoTStudioService) -> None:
    hook.list_categories()
    service.tokens.clear()
    assert hook.list_categories()
    assert service.around.counters.tokens_issued["iotstudio"] == 2


def test_a_token_that_is_refused_twice_is_not_replaced_again(hook: IoTStudioHook, sandbox: Sandbox) -> None:
    refused = sandbox.faults.add("status", path="/things", status=401, times=None)
    with pytest.raises(AuthenticationError):
        list(hook.list_things())
    assert refused.hits == 2


def test_a_refused_static_token_is_not_retried(connect: Connect, sandbox: Sandbox) -> None:
    with pytest.raises(AuthenticationError, match="Unauthenticated"):
        connect(extra={"access_token": "ory_at_unknown"}).list_categories()
    assert sandbox.counters.total("iotstudio") == 1


# -- bad days -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("status", {"status": 429, "headers": {"Retry-After": "0"}}),
        ("html", {"status": 503}),
        ("reset_before", {}),
        ("reset_after", {}),
        ("truncate", {}),
    ],
)
def test_a_property_write_survives_a_transient_fault(
    hook: IoTStudioHook, sandbox: Sandbox, service: IoTStudioService, kind: str, options: dict[str, Any]
) -> None:
    fault = sandbox.faults.add(kind, method="PUT", path="/properties", **options)
    assert hook.set_properties(THING, {"setpoint": 19.5}) == {"setpoint": 19.5}
    assert fault.hits == 1
    assert service.space.things[THING].status["setpoint"] == 19.5
    assert len(service.space.things[THING].history["setpoint"]) == 1


def test_a_write_without_history_is_repeated_without_reading(
    hook: IoTStudioHook, sandbox: Sandbox, service: IoTStudioService
) -> None:
    sandbox.faults.add("reset_after", method="PUT", path="/properties")
    assert hook.set_properties(THING, {"setpoint": 19.5}, update_history=False) == {"setpoint": 19.5}
    assert (sandbox.counters.requests[PUT], sandbox.counters.requests[READ]) == (2, 0)
    assert "setpoint" not in service.space.things[THING].history


def test_a_write_that_never_takes_effect_is_an_error_with_the_number_of_attempts(
    hook: IoTStudioHook, sandbox: Sandbox
) -> None:
    lost = sandbox.faults.add("html", method="PUT", status=502, times=None)
    said = r"write setpoint of Thing .*the value is not stored after 6 attempts; last reason: HTTP 502"
    with pytest.raises(TransportError, match=said):
        hook.set_properties(THING, {"setpoint": 19.5})
    assert lost.hits == sandbox.counters.requests[READ] == 6


def test_a_write_of_which_a_part_is_stored_does_not_say_that_nothing_is(
    hook: IoTStudioHook, sandbox: Sandbox, service: IoTStudioService, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox.faults.add("html", method="PUT", status=502, times=None)
    service.space.things[THING].status["setpoint"] = 19.5  # as of a part of the write
    with pytest.raises(TransportError, match="not all of the values are stored after 6 attempts"):
        hook.set_properties(THING, {"setpoint": 19.5, "mode": "eco"})
    assert "and not all of the values are stored" in capsys.readouterr().out


def test_an_action_is_not_sent_again_after_a_lost_response(
    hook: IoTStudioHook, sandbox: Sandbox, service: IoTStudioService
) -> None:
    sandbox.faults.add("reset_after", method="POST", path="/actions/")
    with pytest.raises(AmbiguousWriteError):
        hook.invoke_action(THING, "reboot")
    assert len(service.space.things[THING].actions) == 1


def test_a_403_names_the_scope_and_is_not_retried(connect: Connect, sandbox: Sandbox) -> None:
    hook = connect(extra={"scopes": "thing.read"})
    with pytest.raises(
        PermissionDeniedError, match=r"needs the scope thing\.update \(the connection asks for thing\.read\)"
    ):
        hook.set_properties(THING, {"setpoint": 20})
    assert sandbox.counters.requests[PUT] == 1


async def test_a_403_names_the_scope_in_the_triggerer_too(connect: Connect) -> None:
    hook = connect(extra={"scopes": "category"})
    with pytest.raises(PermissionDeniedError, match=r"thing\.read"):
        await hook.aget_property(THING, "setpoint")


# -- connections --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"extra": {"colour": "red"}}, "unknown extra 'colour'"),
        ({"login": None}, "login missing"),
        ({"login": None, "password": None}, "login and password missing"),
        ({"host": "http://iot.example.com"}, "plain http"),
        ({"host": "https://user:secret@iot.example.com"}, "must not hold a user name"),
        ({"extra": {"revoke_on_close": "perhaps"}}, "'revoke_on_close' must be true or false"),
    ],
)
def test_a_connection_that_cannot_work_is_refused_before_any_request(
    connect: Connect, sandbox: Sandbox, fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        connect(**fields).list_categories()
    assert sandbox.counters.total("iotstudio") == 0


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_a_good_connection_says_so(connect: Connect) -> None:
    assert connect().test_connection() == (True, "Connected; the space 'my-iot-project' can be read.")


def test_a_missing_host_is_diagnosed(connect: Connect) -> None:
    good, said = connect(host=f"http://127.0.0.1:{free_port()}").test_connection()
    assert not good
    assert said.startswith("The host cannot be reached")


def test_a_host_of_another_service_is_diagnosed(connect: Connect, sandbox: Sandbox) -> None:
    good, said = connect(host=f"{sandbox.url}/elsewhere").test_connection()
    assert not good
    assert said.startswith("The host answers, but not as IoT Studio's token service: 404")


def test_a_wrong_secret_is_diagnosed(connect: Connect) -> None:
    good, said = connect(password="wrong-secret").test_connection()
    assert not good
    assert said.startswith(
        "The host answers, but does not accept the credentials: Client authentication failed"
    )


def test_a_scope_that_was_not_granted_is_diagnosed(connect: Connect) -> None:
    good, said = connect(extra={"scopes": ["thing", "nonsense"]}).test_connection()
    assert not good
    assert said.startswith("The client may not use one of the connection's scopes")
    assert "'nonsense'" in said


def test_a_missing_scope_is_diagnosed(connect: Connect) -> None:
    good, said = connect(extra={"scopes": ["category"]}).test_connection()
    assert not good
    assert said.startswith("The credentials are valid, but may not read the space 'my-iot-project'")
    assert "needs the scope thing.read" in said


@pytest.mark.parametrize("status", [400, 401])
def test_a_space_that_is_not_there_is_told_from_wrong_credentials(
    connect: Connect, service: IoTStudioService, status: int
) -> None:
    service.unknown_space_status = status
    good, said = connect(extra={"space": "nowhere"}).test_connection()
    assert not good
    assert said.startswith("The credentials are valid, but requests to the space 'nowhere' are refused: ")
    assert said.endswith("; check the extra 'space'.")


@pytest.mark.parametrize("status", [401, 403])
def test_a_static_token_that_is_refused_is_not_called_valid(
    connect: Connect, service: IoTStudioService, status: int
) -> None:
    service.refused_token_status = status
    good, said = connect(login=None, password=None, extra={"access_token": "0123456789abc"}).test_connection()
    assert not good
    assert "valid" not in said


def test_a_missing_policy_is_diagnosed(connect: Connect, service: IoTStudioService) -> None:
    service.client.policies = []
    good, said = connect().test_connection()
    assert not good
    assert "an access policy" in said


def test_a_wrong_space_is_diagnosed(connect: Connect) -> None:
    good, said = connect(extra={"space": "nowhere"}).test_connection()
    assert (good, said) == (False, "The credentials are valid, but the space 'nowhere' was not found.")


def test_an_older_server_is_diagnosed_and_works_with_a_preview(
    connect: Connect, service: IoTStudioService
) -> None:
    service.requires_preview = True
    good, said = connect().test_connection()
    assert not good
    assert said.endswith("needs the extra 'api_preview', such as 2023.1, to know this API.")
    with pytest.raises(NotFoundError, match="needs the extra 'api_preview'"):
        connect().get_thing(THING)
    for preview in ("2023.1", "2024.1"):
        hook = connect(extra={"api_preview": preview})
        assert hook.test_connection()[0]
        assert hook.set_properties(THING, {"setpoint": 20.5}) == {"setpoint": 20.5}


def test_an_unknown_item_of_an_older_server_is_only_unknown(
    connect: Connect, service: IoTStudioService
) -> None:
    service.requires_preview = True
    with pytest.raises(NotFoundError) as caught:
        connect(extra={"api_preview": "2023.1"}).get_thing("01ARZ3NDEKTSV4RRFFQ69G5FAV")
    assert "api_preview" not in str(caught.value)


def test_a_missing_space_and_a_missing_login_are_diagnosed(connect: Connect) -> None:
    assert "no space" in connect(extra={"space": None}).test_connection()[1]
    assert "login missing" in connect(login=None).test_connection()[1]


# -- secrets ------------------------------------------------------------------------------------------


def test_no_secret_is_in_any_error_or_log(
    connect: Connect, sandbox: Sandbox, service: IoTStudioService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    texts = [connect(password=CLIENT_SECRET + "x").test_connection()[1]]
    hook = connect()
    token = a_token(hook, service)
    echo = json.dumps({"error": {"status": 400, "message": f"bad {token} {quote_plus(CLIENT_SECRET)}"}})
    for status in (400, 403, 503):
        sandbox.faults.clear()
        sandbox.faults.add("status", path="/properties", status=status, body=echo, times=None)
        with pytest.raises(ProviderError) as caught:
            hook.get_properties(THING)
        texts += [str(caught.value), repr(caught.value), repr(vars(caught.value))]
    texts += [record.getMessage() for record in caplog.records]
    for text in texts:
        assert token not in text
        assert CLIENT_SECRET not in text
        assert quote_plus(CLIENT_SECRET) not in text
    assert CLIENT_ID not in repr(hook)
