"""MapsIndoorsHook: behaviour over TCP."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from airflow_provider.errors import (
    AmbiguousWriteError,
    AuthenticationError,
    InputError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    RequestRejectedError,
    ServerError,
)
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService, seed
from airflow_provider.sandbox.server import Sandbox
from tests.support.mapsindoors_sync import busiest_second

POI = seed.TUTORIAL_POI
Connect = Callable[..., MapsIndoorsHook]


def poi(**fields: Any) -> dict[str, Any]:
    return {
        "parentId": seed.TUTORIAL_FLOOR,
        "datasetId": seed.CAMPUS_ID,
        "externalId": "NEW-1",
        "baseType": "poi",
        "displayTypeId": seed.PRINTER,
        "geometry": {"type": "Point", "coordinates": [9.9569, 57.0859]},
        "properties": {"name@en": "New printer"},
        **fields,
    }


# Logging in


@pytest.mark.parametrize("client", [False, True])
def test_both_grants_log_in_with_secrets_that_must_be_encoded(connect: Connect, client: bool) -> None:
    hook = connect(client=client)
    hook.update_geodata([{"id": POI, "status": 1}])
    assert next(one for one in hook.list_geodata() if one["id"] == POI)["status"] == 1


def test_one_login_serves_many_threads(connect: Connect, sandbox: Sandbox) -> None:
    connect()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with MapsIndoorsHook() as hook:
                hook.update_geodata([{"id": POI, "status": 3}])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert sandbox.counters.tokens_issued["mapsindoors"] == 1


def test_a_401_requests_a_new_token_once(
    hook: MapsIndoorsHook, service: MapsIndoorsService, sandbox: Sandbox
) -> None:
    hook.update_geodata([{"id": POI, "status": 1}])
    service.auth.revoke_all()
    hook.update_geodata([{"id": POI, "status": 2}])
    assert service.campus.geodata[POI]["status"] == 2
    assert sandbox.counters.tokens_issued["mapsindoors"] == 2


def test_a_401_that_stays_is_an_error(hook: MapsIndoorsHook, sandbox: Sandbox) -> None:
    fault = sandbox.faults.add("status", status=401, method="PUT", path="geodata", times=None)
    with pytest.raises(AuthenticationError):
        hook.update_geodata([{"id": POI, "status": 1}])
    assert fault.hits == 2


def test_a_403_ends_at_once(connect: Connect, sandbox: Sandbox) -> None:
    hook = connect(extra={"api_key": seed.DEMO_ID})
    with pytest.raises(PermissionDeniedError, match="read-only|no access"):
        hook.update_geodata([{"id": POI, "status": 1}])
    assert sandbox.counters.total("PUT") == 1


def test_a_rejected_login_is_not_retried(connect: Connect, sandbox: Sandbox) -> None:
    with pytest.raises(AuthenticationError, match="invalid_grant"):
        connect(password="wrong password here").update_geodata([{"id": POI}])
    assert sandbox.counters.total("connect/token") == 1


# Connection test


def test_a_good_connection_says_which_solution_it_is(hook: MapsIndoorsHook) -> None:
    good, said = hook.test_connection()
    assert good, said
    assert said == "Logged in; solution 'Nordhøj Campus' (languages en, da)."


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"host": "http://127.0.0.1:9/mapsindoors"}, "The host cannot be reached"),
        (
            {"password": "wrong password here"},
            "does not accept the credentials: invalid_username_or_password",
        ),
        ({"login": seed.STRANGER}, "permission is missing: the login has no access to the solution"),
        ({"extra": {"api_key": "0123456789"}}, "has no solution with this key: check the extra 'api_key'"),
        ({"extra": {"api_key": None}}, "extra 'api_key' is missing"),
        (
            {"extra": {"grant_type": "magic"}},
            "extra 'grant_type' must be one of password, client_credentials",
        ),
        ({"extra": {"colour": "red"}}, "unknown extra 'colour'"),
        ({"host": "http://maps.example.com"}, "host uses plain http to maps.example.com"),
    ],
)
def test_each_problem_of_a_connection_has_its_message(
    connect: Connect, changes: dict[str, Any], words: str
) -> None:
    good, said = connect(**changes).test_connection()
    assert not good
    assert words in said
    assert "\n" not in said


def test_a_host_without_the_api_is_no_wrong_key(connect: Connect, service: MapsIndoorsService) -> None:
    good, said = connect(host=f"{service.base_url}/v2").test_connection()
    assert not good
    assert said.startswith("The host responds, but not like MapsIndoors' API")


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_wrong_key_is_told_from_a_wrong_login_whatever_its_status(
    connect: Connect, service: MapsIndoorsService, status: int
) -> None:
    service.unknown_solution_status = status
    good, said = connect(extra={"api_key": "0123456789"}).test_connection()
    assert not good
    assert said.startswith("The login is valid, but the solution with this key is refused: ")
    assert said.endswith("; check the extra 'api_key'.")


def test_a_wrong_login_host_has_its_message(connect: Connect, service: MapsIndoorsService) -> None:
    good, said = connect(extra={"auth_url": f"{service.base_url}/elsewhere"}).test_connection()
    assert not good
    assert "'auth_url'" in said


def test_a_bad_connection_sends_nothing(connect: Connect, sandbox: Sandbox) -> None:
    with pytest.raises(InputError, match="unknown extra 'colour'"):
        connect(extra={"colour": "red"}).get_dataset()
    assert not sandbox.counters.requests


# Reading


def test_the_dataset_id_is_found_not_assumed(hook: MapsIndoorsHook) -> None:
    dataset = hook.get_dataset()
    assert dataset["id"] == seed.CAMPUS_ID != seed.API_KEY
    assert dataset["baseLanguage"] == "en"


@pytest.mark.parametrize("base_types", ["poi", ["poi"], ["poi", "room"], None])
def test_geodata_is_read_by_type(hook: MapsIndoorsHook, base_types: Any) -> None:
    found = {one["baseType"] for one in hook.list_geodata(base_types=base_types)}
    everything = {"venue", "building", "floor", "room", "area", "poi"}
    wanted = {base_types} if isinstance(base_types, str) else set(base_types or everything)
    assert found == wanted


async def test_geodata_is_read_below_a_root_sync_and_async(hook: MapsIndoorsHook) -> None:
    below = hook.list_geodata(root_element=seed.TUTORIAL_FLOOR)
    assert [one["id"] for one in below] == [seed.TUTORIAL_FLOOR, POI]
    assert await hook.alist_geodata(root_element=seed.TUTORIAL_FLOOR) == below


def test_types_categories_roles_and_geocoding_can_be_read(hook: MapsIndoorsHook) -> None:
    assert seed.PRINTER in [one["id"] for one in hook.list_display_types()]
    assert seed.SERVICES in [one["id"] for one in hook.list_categories()]
    assert [one["names"][0]["name"] for one in hook.list_app_user_roles()] == ["Staff", "Visitor"]
    around = hook.reverse_geocode(55.78045, 12.57045, 10)
    assert [one["baseType"] for one in around] == ["venue", "building", "floor", "room"]


def test_an_unknown_solution_is_not_found(connect: Connect) -> None:
    with pytest.raises(NotFoundError):
        connect(extra={"api_key": "0123456789"}).list_geodata()


# Writing


@pytest.mark.parametrize("status", [200, 201])
def test_created_objects_get_their_ids_in_order(
    hook: MapsIndoorsHook, service: MapsIndoorsService, status: int
) -> None:
    service.post_status = status
    keys = hook.create_geodata([poi(externalId="N-1"), poi(externalId="N-2")])
    assert [service.campus.geodata[key]["externalId"] for key in keys] == ["N-1", "N-2"]


@pytest.mark.parametrize("status", [200, 204])
def test_objects_are_deleted_by_id(hook: MapsIndoorsHook, service: MapsIndoorsService, status: int) -> None:
    service.delete_status = status
    hook.delete_geodata([POI])
    assert POI not in service.campus.geodata


def test_a_refused_update_says_why(hook: MapsIndoorsHook, service: MapsIndoorsService) -> None:
    with pytest.raises(RequestRejectedError, match=r"\[0\].status: Must be 0, 1, 2 or 3"):
        hook.update_geodata([{"id": POI, "status": 9}])
    service.error_style = "text"
    with pytest.raises(RequestRejectedError, match=r"\[0\].status: Must be 0, 1, 2 or 3"):
        hook.update_geodata([{"id": POI, "status": 9}])


def test_bad_arguments_are_refused_before_any_request(hook: MapsIndoorsHook, sandbox: Sandbox) -> None:
    with pytest.raises(InputError, match="row 2 has no id"):
        hook.update_geodata([{"id": POI}, {"status": 1}])
    with pytest.raises(InputError, match="row 1 has an id"):
        hook.create_geodata([{"id": POI}])
    with pytest.raises(InputError, match="row 2: '' is not an id"):
        hook.delete_geodata([POI, ""])
    hook.update_geodata([])
    hook.delete_geodata([])
    assert hook.create_geodata([]) == []
    assert not sandbox.counters.requests


def test_a_create_without_response_is_not_retried(
    hook: MapsIndoorsHook, service: MapsIndoorsService, sandbox: Sandbox
) -> None:
    before = len(service.campus.geodata)
    sandbox.faults.add("reset_after", method="POST", path="geodata")
    with pytest.raises(AmbiguousWriteError):
        hook.create_geodata([poi()])
    assert len(service.campus.geodata) == before + 1


@pytest.mark.parametrize("fault", ["reset_before", "reset_after"])
def test_an_update_without_response_is_retried(
    hook: MapsIndoorsHook, service: MapsIndoorsService, sandbox: Sandbox, fault: str
) -> None:
    sandbox.faults.add(fault, method="PUT", path="geodata")
    hook.update_geodata([{"id": POI, "status": 1}])
    assert service.campus.geodata[POI]["status"] == 1


def test_server_errors_are_retried_up_to_the_limit(hook: MapsIndoorsHook, sandbox: Sandbox) -> None:
    sandbox.faults.add("status", status=503, method="PUT", times=2)
    hook.update_geodata([{"id": POI, "status": 1}])
    sandbox.faults.add("html", status=502, method="PUT", times=None)
    with pytest.raises(ServerError):
        hook.update_geodata([{"id": POI, "status": 1}])


def test_route_elements_can_be_locked(hook: MapsIndoorsHook) -> None:
    first = hook.list_route_elements()[0]
    hook.update_route_elements([{"id": first["id"], "restrictions": ["locked"]}])
    assert hook.list_route_elements()[0] == {**first, "restrictions": ["locked"]}


def test_a_client_secret_can_be_changed(connect: Connect) -> None:
    hook = connect(client=True)
    old = hook.list_client_secrets(seed.CUSTOMER)[0]
    made = hook.create_client_secret(seed.CUSTOMER, "nightly")
    hook.delete_client_secret(seed.CUSTOMER, old["id"])
    assert [one["id"] for one in hook.list_client_secrets(seed.CUSTOMER)] == [made["id"]]
    assert connect(client=True, password=made["secret"]).test_connection()[0]


# The limit of requests


def test_no_second_sees_more_than_ten_requests(
    connect: Connect, service: MapsIndoorsService, departures: list[float]
) -> None:
    connect()

    def work() -> None:
        with MapsIndoorsHook() as hook:
            for _ in range(5):
                hook.get_dataset()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(service.limit.arrivals[seed.CAMPUS_ID]) == 25
    assert busiest_second(departures) <= 10


@pytest.mark.parametrize("read", [lambda hook: hook.get_dataset(), lambda hook: hook.list_geodata()])
def test_two_keys_of_one_solution_share_its_limit_once_that_is_known(
    connect: Connect, departures: list[float], read: Callable[[MapsIndoorsHook], Any]
) -> None:
    hooks = []
    for key in (seed.API_KEY, seed.CAMPUS_ID):
        hooks.append(connect(extra={"api_key": key}))
        read(hooks[-1])
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda hook: [hook.get_dataset() for _ in range(8)], hooks))
    assert len(departures) == 2 + 16  # a read each, and the others
    assert busiest_second(departures) <= 10


async def test_what_a_trigger_reads_says_which_solution_it_is(connect: Connect) -> None:
    hook = connect(extra={"api_key": seed.API_KEY})
    await hook.alist_geodata()
    hook.budget(hook.settings).pause(30)
    other = connect(extra={"api_key": seed.CAMPUS_ID})
    assert other.budget(other.settings).reserve().wait > 29


@pytest.mark.parametrize("retry_after", [True, False])
def test_a_429_is_waited_out(
    hook: MapsIndoorsHook, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, retry_after: bool
) -> None:
    slept: list[float] = []
    hook.transport._sleep = slept.append
    headers = {"Retry-After": "7"} if retry_after else {}
    sandbox.faults.add("status", status=429, headers=headers, path="dataset", times=1)
    assert hook.get_dataset()["id"] == seed.CAMPUS_ID
    assert not retry_after or max(slept) >= 7


def test_the_services_own_429s_are_waited_out(connect: Connect, sandbox: Sandbox) -> None:
    hook = connect(extra={"requests_per_second": 1000})
    hook.transport._sleep = sandbox.clock.advance
    for _ in range(25):
        hook.get_dataset()
    assert hook.requests > 25


def test_a_429_that_does_not_end_is_an_error_that_says_when_to_come_back(
    hook: MapsIndoorsHook, sandbox: Sandbox
) -> None:
    sandbox.faults.add("status", status=429, headers={"Retry-After": "600"}, path="dataset", times=None)
    with pytest.raises(RateLimitedError) as caught:
        hook.get_dataset()
    assert caught.value.retry_after == 600


# Secrets


def test_no_secret_is_in_any_log_or_message(
    connect: Connect, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = [connect(password="other & wrong+ pässword").test_connection()[1]]
    body = f"refused: {seed.PASSWORD} {quote(seed.PASSWORD, safe='')} {quote_plus(seed.PASSWORD)}"
    for status in (400, 503):
        sandbox.faults.add("status", status=status, body=body, path="geodata", times=None)
        with pytest.raises((RequestRejectedError, ServerError)) as caught:
            connect().update_geodata([{"id": POI, "status": 1}])
        said += [str(caught.value), repr(caught.value), caught.value.body]
        sandbox.faults.clear()
    said += [record.getMessage() for record in caplog.records if not record.name.startswith("urllib3")]
    assert any("refused" in text for text in said)
    for secret in (seed.PASSWORD, "other & wrong+ pässword", seed.API_KEY):
        for spelling in (secret, quote(secret, safe=""), quote_plus(secret)):
            assert not [text for text in said if spelling in text]
