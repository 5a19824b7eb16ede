from __future__ import annotations

import asyncio
import gc
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from airflow_provider.core import redaction
from airflow_provider.core.http import auth
from airflow_provider.core.http.auth import (
    Credential,
    MintedToken,
    QueryToken,
    Token,
    _as_authentication_error,
    _token_request,
    lead_time,
    read_token,
)
from airflow_provider.core.http.call import Call
from airflow_provider.core.http.reply import Reply
from airflow_provider.core.tokens.record import IssuedToken
from airflow_provider.errors import (
    ApiError,
    AuthenticationError,
    InputError,
    PermissionDeniedError,
    RequestRejectedError,
)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    clock = [1000.0]
    monkeypatch.setattr(auth, "monotonic", lambda: clock[0])
    monkeypatch.setattr(auth, "_slots", {})
    return clock


def minted(life: float) -> tuple[MintedToken, list[Token]]:
    issued: list[Token] = []
    credential = MintedToken(Call("POST", "token", form={"secret": "s"}))
    credential.issue = lambda _: issued.append(Token(f"token-{len(issued)}", life)) or issued[-1]  # type: ignore[attr-defined]
    return credential, issued


@pytest.mark.parametrize(("life", "lead"), [(86400, 60), (600, 60), (100, 10), (10, 1)])
def test_a_token_is_renewed_60_seconds_early_or_after_nine_tenths_of_a_short_life(
    life: float, lead: float, now: list[float]
) -> None:
    assert lead_time(life) == lead
    credential, issued = minted(life)
    credential.token(credential.issue, "r", float)
    now[0] += life - lead - 0.01
    credential.token(credential.issue, "r", float)
    assert len(issued) == 1
    now[0] += 0.02
    assert credential.token(credential.issue, "r", float) == "token-1"


def test_a_token_is_valid_until_the_moment_of_its_renewal(now: list[float]) -> None:
    slot = auth._Slot()
    assert slot.keep(IssuedToken("t", 2.0, 10.0)) == "t"
    for moment, found in ((1007.5, "t"), (1008.0, "")):
        now[0] = moment
        assert (slot.valid(), slot.age("t"), slot.age("u")) == (found, moment - 998.0, float("inf"))


def test_a_token_lasts_as_long_as_its_service_says() -> None:
    assert read_token(Reply(200, {}, b'{"access_token": "t", "expires_in": 120}')) == Token("t", 120.0)
    assert read_token(Reply(200, {}, b'{"access_token": "t", "expires_in": "90"}')) == Token("t", 90.0)
    assert read_token(Reply(200, {}, b'{"access_token": "t", "expires_in": 0.5}')) == Token("t", 0.5)


async def test_requests_without_a_credential_have_no_token() -> None:
    def no_request(call: Call[Token]) -> Any:
        raise AssertionError("a token was requested")

    assert (Credential().token(no_request, "r", float), await Credential().atoken(no_request, "r")) == (
        "",
        "",
    )
    assert not Credential().is_from_store("t", "r")


def test_a_token_is_from_the_store_until_another_one_has_replaced_it(now: list[float]) -> None:
    slot = auth._Slot()
    slot.keep(IssuedToken("first", 0.0, 90.0, is_from_store=True))
    assert slot.is_from_store("first")
    assert not slot.is_from_store("other")
    slot.keep(IssuedToken("second", 0.0, 90.0))
    assert not slot.is_from_store("first")
    assert not slot.is_from_store("second")


def test_a_credential_knows_whether_its_token_is_from_the_store(now: list[float]) -> None:
    credential = MintedToken(Call("POST", "token", form={"secret": "s"}))
    credential._slot("r").keep(IssuedToken("t", 0.0, 90.0, is_from_store=True))
    assert credential.is_from_store("t", "r") is True
    assert credential.is_from_store("other", "r") is False
    assert credential.is_from_store("t", "another realm") is False


def test_hooks_that_share_tokens_with_processes_and_others_keep_theirs_apart(now: list[float]) -> None:
    request = _token_request(Call("POST", "token", form={"secret": "s"}), "r")
    kept = [auth._slot(request, is_shared=shared) for shared in (True, False, True, False)]
    assert kept[0] is kept[2]
    assert kept[1] is kept[3]
    assert kept[0] is not kept[1]


def test_sixteen_threads_cause_one_token_request(echo, connect) -> None:
    hook = connect()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: hook.send(Call("GET", "closed/x")), range(32)))
    assert echo.counters.tokens_issued["echo"] == 1


def test_hooks_of_one_process_share_a_token(echo, connect) -> None:
    for _ in range(3):
        with connect() as hook:
            hook.send(Call("GET", "closed/x"))
    assert echo.counters.tokens_issued["echo"] == 1


def test_workers_and_event_loops_share_a_token(echo, connect) -> None:
    connect().send(Call("GET", "closed/x"))
    asyncio.run(connect().asend(Call("GET", "closed/x")))
    assert echo.counters.tokens_issued["echo"] == 1


def test_many_coroutines_cause_one_token_request(echo, connect) -> None:
    hook = connect()

    async def send_all() -> None:
        await asyncio.gather(*(hook.asend(Call("GET", "closed/x")) for _ in range(16)))

    asyncio.run(send_all())
    assert echo.counters.tokens_issued["echo"] == 1


def test_a_401_causes_one_new_token_and_one_retry(echo, connect) -> None:
    hook = connect()
    hook.send(Call("GET", "closed/x"))
    echo.echo.tokens.clear()
    echo.echo.tokens.add("makes the next one new")
    assert hook.send(Call("GET", "closed/x"))["path"].endswith("/closed/x")
    assert echo.counters.tokens_issued["echo"] == 2


def test_a_second_401_ends_at_once(echo, connect) -> None:
    echo.faults.add("status", path="closed", status=401, times=None)
    with pytest.raises(AuthenticationError):
        connect().send(Call("GET", "closed/x"))
    assert echo.counters.total("closed") == 2


def test_many_threads_with_an_expired_token_cause_one_renewal(echo, connect) -> None:
    hook = connect()
    hook.send(Call("GET", "closed/x"))
    echo.echo.tokens.clear()
    echo.echo.tokens.add("makes the next one new")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: hook.send(Call("GET", "closed/x")), range(8)))
    assert echo.counters.tokens_issued["echo"] == 2


def test_a_refused_token_request_is_an_authentication_error_with_the_reason(echo, connect) -> None:
    with pytest.raises(AuthenticationError, match="invalid_client"):
        connect(password="wrong").send(Call("GET", "closed/x"))


@pytest.mark.parametrize("mode", ["minted", "header", "query"])
def test_a_hook_returns_its_access_token_to_workers_and_event_loops(mode: str, echo, connect) -> None:
    hook = connect({"mode": mode}, **({} if mode == "minted" else {"password": "plain"}))
    assert hook.cached_access_token() == ""
    token = hook.access_token()
    assert token == ("tok/0+x" if mode == "minted" else "plain")
    assert asyncio.run(hook.aaccess_token()) == token
    assert hook.cached_access_token() == (token if mode == "minted" else "")
    hook.forget_access_token(token)
    assert hook.access_token() == ("tok/1+x" if mode == "minted" else "plain")


def test_a_query_token_replaces_any_that_is_in_the_query_already() -> None:
    query = [("token", "old"), ("limit", "2"), ("token", "older")]
    QueryToken("new+").apply("new+", {}, query)
    assert query == [("limit", "2"), ("token", "new+")]


@pytest.mark.parametrize("token", ["t\0", "\x1b[31m", "é", "a\nb", "", 7, None])
def test_a_token_that_no_header_can_carry_is_not_kept(token: object) -> None:
    with pytest.raises(ValueError, match="^access_token "):
        read_token(Reply(200, {}, json.dumps({"access_token": token}).encode()))


@pytest.mark.parametrize("expires_in", [10**400, "nan", "inf", -1, 0, [1], None, "soon"])
def test_an_invalid_lifetime_counts_as_an_hour(expires_in: object) -> None:
    body = json.dumps({"access_token": "t", "expires_in": expires_in}).encode()
    assert read_token(Reply(200, {}, body)).expires_in == 3600.0


@pytest.fixture(params=["sync", "async"])
def send(request: pytest.FixtureRequest):
    """Sends a call with one of the two transports."""
    if request.param == "sync":
        return lambda hook, call: hook.send(call)
    return lambda hook, call: asyncio.run(hook.asend(call))


def renew_on(hook, *statuses: int) -> None:
    """Let the hook's token be renewed on some statuses."""
    original = hook.credential
    hook.credential = lambda settings: MintedToken(original(settings).call, renew_on=statuses)


def test_a_403_renews_a_token_older_than_a_minute_once(echo, connect, send, now: list[float]) -> None:
    hook = connect()
    renew_on(hook, 401, 403)
    send(hook, Call("GET", "closed/x"))
    now[0] += 60.5
    fault = echo.faults.add("status", path="closed", status=403)
    assert send(hook, Call("GET", "closed/x"))["path"].endswith("/closed/x")
    assert (fault.hits, echo.counters.tokens_issued["echo"]) == (1, 2)


def test_a_403_that_lasts_ends_after_one_renewal_a_minute(echo, connect, send, now: list[float]) -> None:
    hook = connect()
    renew_on(hook, 401, 403)
    send(hook, Call("GET", "closed/x"))
    now[0] += 61
    echo.faults.add("status", path="closed", status=403, times=None)
    before = echo.counters.total("closed")
    for requests in (2, 1, 1):
        with pytest.raises(PermissionDeniedError):
            send(hook, Call("POST", "closed/x", repeatable=False))
        assert echo.counters.total("closed") - before == requests
        before = echo.counters.total("closed")
        now[0] += 20
    assert echo.counters.tokens_issued["echo"] == 2


@pytest.mark.parametrize(("statuses", "age"), [((401,), 3000), ((401, 403), 30)])
def test_a_403_is_final_for_a_young_token_and_where_it_has_no_such_meaning(
    echo, connect, send, now: list[float], statuses: tuple[int, ...], age: float
) -> None:
    hook = connect()
    renew_on(hook, *statuses)
    send(hook, Call("GET", "closed/x"))
    now[0] += age
    echo.faults.add("status", path="closed", status=403, times=None)
    with pytest.raises(PermissionDeniedError):
        send(hook, Call("GET", "closed/x"))
    assert (echo.counters.total("closed"), echo.counters.tokens_issued["echo"]) == (2, 1)


def test_a_call_that_needs_the_status_only_reads_no_body(echo, connect, send) -> None:
    call = Call("GET", "open/x", status_only=True, read=lambda reply: (reply.status, reply.body))
    assert send(connect(), call) == (200, b"")
    echo.faults.add("status", path="open", status=422, body={"message": "why"})
    with pytest.raises(Exception, match="why"):
        send(connect(), call)


# -- cancelled callers ------------------------------------------------------------------------------


class SlowTokens:
    """A token service that answers when it is told to."""

    def __init__(self) -> None:
        self.requests = 0
        self.answer = asyncio.Event()

    async def send(self, call: Call[Token]) -> Token:
        self.requests += 1
        await self.answer.wait()
        return Token(f"token-{self.requests}", 3600)


async def _cancelled(credential: MintedToken, service: SlowTokens) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await credential.atoken(service.send, "r")


async def test_a_token_whose_callers_were_cancelled_is_kept_for_the_next_one(now: list[float]) -> None:
    credential, service = MintedToken(Call("POST", "token", form={"secret": "s"})), SlowTokens()
    for _ in range(5):
        await _cancelled(credential, service)
    next_one = asyncio.create_task(credential.atoken(service.send, "r"))
    await asyncio.sleep(0)
    service.answer.set()
    assert (await next_one, credential.cached("r"), service.requests) == ("token-1", "token-1", 1)


async def test_a_request_that_has_a_caller_again_is_not_ended_for_the_lack_of_one(now: list[float]) -> None:
    credential, service = MintedToken(Call("POST", "token", form={"secret": "s"})), SlowTokens()
    await _cancelled(credential, service)
    slot = credential._slot("r")
    (timer,) = slot._timers.values()
    next_one = asyncio.create_task(credential.atoken(service.send, "r"))
    await asyncio.sleep(0)
    assert (timer.cancelled(), len(slot._timers)) == (True, 0)
    service.answer.set()
    assert await next_one == "token-1"


async def test_a_token_that_comes_after_its_last_caller_is_kept(now: list[float]) -> None:
    credential, service = MintedToken(Call("POST", "token", form={"secret": "s"})), SlowTokens()
    await _cancelled(credential, service)
    service.answer.set()
    while not credential.cached("r"):
        await asyncio.sleep(0.001)
    assert (await credential.atoken(service.send, "r"), service.requests) == ("token-1", 1)


async def test_a_token_request_without_callers_ends_after_a_short_time(
    now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "_LAST_SECONDS", 0.01)
    credential, service = MintedToken(Call("POST", "token", form={"secret": "s"})), SlowTokens()
    await _cancelled(credential, service)
    while credential._slot("r")._fetches:
        await asyncio.sleep(0.001)
    service.answer.set()
    assert (await credential.atoken(service.send, "r"), service.requests) == ("token-2", 2)


@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_fetched_token_is_redacted_in_the_process_s_logs(
    way: str, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redaction, "_redactor", redaction.Redactor())
    hook = connect()
    call: Call[Any] = Call("GET", "closed/x")
    _ = hook.send(call) if way == "sync" else asyncio.run(hook.asend(call))
    assert redaction.redact("with tok/0+x") == "with ***"


@pytest.mark.parametrize("kind", [RequestRejectedError, PermissionDeniedError])
@pytest.mark.parametrize(
    ("status", "becomes"), [(400, True), (401, True), (403, True), (422, True), (409, False)]
)
def test_a_refused_token_request_is_an_authentication_error_unless_it_was_something_else(
    kind: Any, status: int, becomes: bool
) -> None:
    error = kind(status, "code", "message", request="POST /token")
    with pytest.raises(ApiError) as caught, _as_authentication_error():
        raise error
    found = caught.value
    assert (type(found) is AuthenticationError) is becomes
    assert (found is error) is not becomes
    assert (found.status, found.code, found.message, found.request) == (
        status,
        "code",
        "message",
        "POST /token",
    )


def test_the_identity_of_a_token_request_holds_no_secret() -> None:
    form = {
        "grant_type": "password",
        "client_id": "c",
        "username": "u",
        "password": "p/w",
        "client_secret": "s/c",
    }
    request = _token_request(Call("POST", "token", params={"a": 1}, form=form), "realm")
    # Releases that share tokens find them by these bytes.
    assert request.identity == b"realm\0token\0a=1\0grant_type=password&client_id=c&username=u"
    assert not [secret for secret in (b"p%2Fw", b"s%2Fc") if secret in request.identity]
    assert all(part in request.secret for part in (b"realm", b"token", b"a=1", b"p%2Fw", b"s%2Fc"))
    assert request.is_guessable
    assert not _token_request(Call("POST", "token", form={"secret": "s"}), "realm").is_guessable


def test_the_last_refused_tokens_are_known_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "_MAX_REFUSED", 3)
    slot = auth._Slot()
    for number in range(5):
        slot.refuse(f"token-{number}")
    assert list(slot._refused) == ["token-2", "token-3", "token-4"]


def test_a_token_of_exactly_a_minute_is_not_renewed_for_a_403(now: list[float]) -> None:
    credential = MintedToken(Call("POST", "token", form={"secret": "s"}), renew_on=(401, 403))
    credential._slot("r").keep(IssuedToken("t", 0.0, 900.0))
    now[0] += 60.0
    assert [credential.can_renew_after(status, "t", "r") for status in (401, 403, 404)] == [
        True,
        False,
        False,
    ]
    now[0] += 0.1
    assert credential.can_renew_after(403, "t", "r")
    assert credential.can_renew_after(403, "another", "r")


def test_a_refused_token_request_keeps_the_parts_of_its_error() -> None:
    error = RequestRejectedError(400, "c", "m", request="POST /token", body="b", is_page=True)
    with pytest.raises(AuthenticationError) as caught, _as_authentication_error():
        raise error
    assert (caught.value.body, caught.value.is_page) == ("b", True)
    assert caught.value.__suppress_context__


def test_all_that_is_sent_with_a_token_request_tells_it_from_others() -> None:
    call = Call("POST", "token", params={"a": 1}, form={"client_secret": "s"}, headers={"X-A": "b c"})
    request = _token_request(call, "realm")
    assert request.secret == b"realm\0token\0a=1\0client_secret=s\0X-A=b+c"
    assert request.identity == b"realm\0token\0a=1\0"
    assert _token_request(Call("POST", "token"), "realm").secret == b"realm\0token\0\0\0"


def test_a_token_of_a_named_service_is_apart_from_that_of_its_api(now: list[float]) -> None:
    call = Call("POST", "token", form={"secret": "s"})
    assert MintedToken(call)._request("r").secret.startswith(b"r\0\0token")
    assert MintedToken(call, service="other")._request("r").secret.startswith(b"r\0other\0token")


def test_a_token_is_put_into_a_header_unless_it_is_empty() -> None:
    headers: dict[str, str] = {}
    query: list[tuple[str, str]] = []
    Credential().apply("", headers, query)
    assert (headers, query) == ({}, [])
    Credential().apply("tok", headers, query)
    assert (headers, query) == ({"Authorization": "Bearer tok"}, [])
    QueryToken("v", "key").apply("v", headers, query)
    assert query == [("key", "v")]
    for token in ("a\nb", "ü"):
        with pytest.raises(
            InputError, match="^the token holds characters that no HTTP header can carry; copy"
        ):
            Credential().apply(token, {}, [])


def test_a_credential_without_a_token_request_renews_and_holds_nothing() -> None:
    for credential in (Credential(), QueryToken("v")):
        assert credential.cached("r") == ""
        assert credential.can_renew_after(401, "v", "r") is False
        assert credential.requests_token_with(Call("GET", "x")) is False
    minted_with = MintedToken(Call("POST", "token"))
    assert minted_with.requests_token_with(minted_with.call)
    assert not minted_with.requests_token_with(Call("POST", "token"))


async def test_a_failed_request_that_lost_its_callers_is_told_nobody(now: list[float]) -> None:
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    credential, answer = MintedToken(Call("POST", "token", form={"secret": "s"})), asyncio.Event()

    async def send(call: Call[Token]) -> Token:
        await answer.wait()
        raise ValueError("late")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await credential.atoken(send, "r")
    answer.set()
    while credential._slot("r")._fetches:
        await asyncio.sleep(0)
    gc.collect()
    assert told == []
    assert not credential._slot("r")._timers
