"""The asynchronous transport alone: cancellation and time limits."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import ssl
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import certifi
import httpx
import pytest
from anyio._backends._asyncio import CancelScope

from airflow_provider.core.http import async_transport
from airflow_provider.core.http.async_transport import AsyncTransport
from airflow_provider.core.http.call import Call
from airflow_provider.core.http.endpoint import Request
from airflow_provider.core.http.rate_limit import Budget
from airflow_provider.core.http.reply import Reply
from airflow_provider.core.http.sync_transport import Transport
from airflow_provider.core.limits.plan import Rate
from airflow_provider.core.limits.semaphore import Permit
from airflow_provider.core.state import pauses
from airflow_provider.errors import ProviderError
from tests.support.fake_clock import set_in_module

READ = Call[Any]("GET", "open/thing")


async def test_a_cancellation_while_a_connection_opens_is_raised(
    echo: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending = asyncio.create_task(connect().asend(READ))
    cancel_scope, moments = CancelScope.cancel, list[CancelScope]()

    def cancel_task_too(scope: CancelScope, *args: Any, **options: Any) -> None:
        cancel_scope(
            scope, *args, **options
        )  # the connection is open; the other attempts to open it are cancelled
        if not moments:
            sending.cancel()
        moments.append(scope)

    monkeypatch.setattr(CancelScope, "cancel", cancel_task_too)
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert moments


async def test_a_time_limit_around_a_call_is_still_a_time_limit(echo: Any, connect: Any) -> None:
    echo.faults.add("delay", path="open/thing", seconds=5)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await connect().asend(READ)
    assert await connect().asend(READ)


async def test_a_body_without_end_is_read_up_to_the_limit_only(connect: Any) -> None:
    sent, ended = 0, asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\r\n")
        with suppress(ConnectionError):
            while sent < 1 << 30:
                writer.write(b"x" * 65_536)
                await writer.drain()
                sent += 65_536
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    hook = connect(host=f"http://127.0.0.1:{port}")
    with pytest.raises(ProviderError):
        await hook.asend(Call[Any]("GET", "open/thing", authenticated=False))
    await asyncio.wait_for(ended.wait(), 60)
    server.close()
    assert sent < 1 << 27


# -- what a cancelled call leaves behind -----------------------------------------------------------


def pool_states() -> list[str]:
    clients = (one for shared in async_transport._clients_here().values() for one in shared.clients)
    return [connection.info() for one in clients for connection in one.client._transport._pool.connections]  # type: ignore[attr-defined]


async def cancel_after(turns: int, sending: asyncio.Task[Any]) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)


async def cancel_when_received(echo: Any, hook: Any, call: Call[Any], seconds: float) -> None:
    fault = echo.faults.add("delay", path="open/thing", seconds=seconds)
    sending = asyncio.create_task(hook.asend(call))
    while not fault.hits:
        await asyncio.sleep(0.001)
    await cancel_after(0, sending)


@pytest.mark.parametrize("path", ["open/thing", "closed/thing"])
async def test_calls_cancelled_at_any_moment_leave_the_pool_whole(echo: Any, connect: Any, path: str) -> None:
    hook = connect()
    await hook.asend(READ)
    for turns in range(60):
        await cancel_after(turns, asyncio.create_task(hook.asend(Call("GET", path))))
    await asyncio.gather(*async_transport._left_behind)
    assert pool_states()
    assert [state for state in pool_states() if "IDLE" not in state] == []


async def test_a_cancelled_exchange_that_does_not_end_frees_its_place_and_its_client(
    echo: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(async_transport, "_LAST_SECONDS", 0.05)
    hook = connect()
    await hook.asend(READ)
    (shared,) = async_transport._clients_here().values()
    (first,) = shared.clients
    await cancel_when_received(echo, hook, READ, 1)
    await asyncio.gather(*async_transport._left_behind)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert first.client.is_closed
    assert await hook.asend(READ)
    assert first not in shared.clients


async def test_a_cancelled_exchange_counts_in_max_concurrency_until_its_end(echo: Any, connect: Any) -> None:
    hook = connect({"max_concurrency": 1})
    await hook.asend(READ)
    await cancel_when_received(echo, hook, READ, 1)
    limit, other = (await hook.aendpoint()).concurrency, Permit()
    assert not limit._semaphore.try_enter(other)
    await asyncio.gather(*async_transport._left_behind)
    assert limit._semaphore.try_enter(other)
    limit._semaphore.leave(other)
    echo.counters.peak_in_flight = 0
    await hook.asend(READ)
    assert echo.counters.peak_in_flight == 1


@pytest.mark.parametrize(("method", "lines"), [("POST", 1), ("GET", 0)])
async def test_a_cancelled_write_leaves_a_line_in_the_log(
    method: str, lines: int, echo: Any, connect: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    hook = connect()
    await hook.asend(READ)
    await cancel_when_received(echo, hook, Call[Any](method, "open/thing"), 0.3)
    assert capsys.readouterr().out.count("was cancelled after it was sent; it may have taken effect") == lines


# -- missing responses ----------------------------------------------------------------------------


def caused(error: Exception, cause: Exception) -> Exception:
    error.__context__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            caused(httpx.ConnectError("x"), caused(OSError(), ssl.SSLError(1, "[SSL: BAD] bad (_ssl.c:1)"))),
            (False, "TLS: SSLError", True, "tls"),
        ),
        (httpx.ProxyError("407 Auth"), (False, "the proxy refuses the connection (407 Auth)", True, "proxy")),
        (
            caused(httpx.ConnectError("x"), socket.gaierror()),
            (False, "no connection (ConnectError)", False, "name"),
        ),
        (httpx.ConnectError("x"), (False, "no connection (ConnectError)", False, "refused")),
        (
            caused(
                httpx.ConnectError("x"),
                caused(OSError("all attempts failed"), ConnectionRefusedError(111, "no")),
            ),
            (False, "no connection (ConnectionRefusedError: [Errno 111] no)", False, "refused"),
        ),
        (
            caused(httpx.ConnectError("x"), socket.gaierror(-2, "Name not known")),
            (False, "no connection (gaierror: [Errno -2] Name not known)", False, "name"),
        ),
        (
            caused(httpx.ReadError("https://x?token=1"), ConnectionResetError(104, "reset")),
            (True, "the connection broke (ConnectionResetError: [Errno 104] reset)", False, ""),
        ),
        (httpx.ConnectTimeout("x"), (False, "no connection (ConnectTimeout)", False, "timeout")),
        (httpx.PoolTimeout("x"), (False, "no connection (PoolTimeout)", False, "timeout")),
        (httpx.ReadTimeout("x"), (True, "the read timed out", False, "timeout")),
        (httpx.ReadError("https://x?token=1"), (True, "the connection broke (ReadError)", False, "")),
    ],
    ids=repr,
)
def test_a_missing_response_is_classified_by_its_cause(error: Exception, expected: tuple[Any, ...]) -> None:
    assert tuple(async_transport._no_response(error)) == expected


async def test_a_further_client_is_closed_with_its_last_request_but_not_while_others_wait_for_a_place() -> (
    None
):
    made: list[httpx.AsyncClient] = []

    def make() -> httpx.AsyncClient:
        made.append(httpx.AsyncClient())
        return made[-1]

    shared = async_transport.SharedClients(make)
    places = [shared.client() for _ in range(async_transport.MAX_REQUESTS)]
    held = [await place.__aenter__() for place in places]
    last = held[-1]
    waiting = [shared.client() for _ in range(10)]
    entering = [asyncio.create_task(place.__aenter__()) for place in waiting]
    await asyncio.sleep(0)
    for place, client in zip(places, held, strict=True):
        if client is last:
            await place.__aexit__(None, None, None)
    assert {await task for task in entering} == {last}
    assert len(made) == 10
    for place in [place for place, client in zip(places, held, strict=True) if client is not last] + waiting:
        await place.__aexit__(None, None, None)
    assert [client.is_closed for client in made] == [False, *[True] * 9]
    await shared.aclose()
    assert made[0].is_closed


async def test_a_further_client_is_kept_for_the_next_wave_of_requests() -> None:
    shared = async_transport.SharedClients(httpx.AsyncClient)
    places = [shared.client() for _ in range(12)]
    held = [await place.__aenter__() for place in places]
    first, further = held[0], held[11]
    assert held == [first] * 10 + [further] * 2
    for place in places[10:]:
        await place.__aexit__(None, None, None)
    assert not further.client.is_closed
    further.used_at -= 5
    await places[0].__aexit__(None, None, None)
    assert further.client.is_closed
    assert shared.clients == [first, further]  # It is left out when the next request comes.
    for place in places[1:10]:
        await place.__aexit__(None, None, None)
    assert not first.client.is_closed
    await shared.aclose()


async def test_a_bundle_of_certificates_is_a_file_or_a_folder_and_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(async_transport, "_contexts", {})
    file = await async_transport.tls_context(certifi.where())
    folder = await async_transport.tls_context(str(tmp_path))
    assert (file.verify_mode, folder.verify_mode) == (ssl.CERT_REQUIRED, ssl.CERT_REQUIRED)
    assert len(file.get_ca_certs()) > 50
    assert folder.get_ca_certs() == []
    assert await async_transport.tls_context(certifi.where()) is file
    assert (await async_transport.tls_context(True)).verify_mode is ssl.CERT_REQUIRED
    assert (await async_transport.tls_context(False)).verify_mode is ssl.CERT_NONE
    assert len(async_transport._contexts) == 4


async def test_the_clients_of_an_event_loop_are_closed_with_it(echo: Any, connect: Any) -> None:
    await connect().asend(READ)
    (shared,) = async_transport._clients_here().values()
    await async_transport.close_clients()
    assert [one.client.is_closed for one in shared.clients] == [True]
    assert async_transport._clients_here() == {}
    await async_transport.close_clients()


async def test_a_body_of_chunks_needs_a_worker(echo: Any, connect: Any) -> None:
    with pytest.raises(TypeError, match="^a streamed body needs the synchronous transport$"):
        await connect().asend(Call("PUT", "open/thing", content=lambda: iter([b"x"])))
    assert echo.counters.total("open") == 0


async def test_a_client_that_is_opened_after_the_end_is_closed_with_its_request() -> None:
    shared = async_transport.SharedClients(httpx.AsyncClient)
    async with shared.client() as first:
        await shared.aclose()
        assert not first.client.is_closed
        async with shared.client() as late:
            assert late is not first
        assert (first.client.is_closed, late.client.is_closed) == (False, True)
    assert first.client.is_closed


@pytest.mark.parametrize("local", [True, False])
async def test_a_client_has_the_context_the_time_limits_and_the_proxies_of_its_host(local: bool) -> None:
    context = ssl.create_default_context()
    async with async_transport._new_client(context, (1.5, 2.5), local=local) as client:
        assert client.timeout == httpx.Timeout(2.5, connect=1.5)
        assert (client.trust_env, client.follow_redirects) == (not local, False)
        pool: Any = client._transport._pool  # type: ignore[attr-defined]
        assert pool._ssl_context is context
        most = async_transport._CONNECTIONS
        assert (pool._max_connections, pool._max_keepalive_connections) == (most, most)


@pytest.mark.parametrize(
    ("error", "url", "expected"),
    [
        (
            caused(httpx.ConnectError("x"), ConnectionRefusedError(111, "no")),
            "http://far.invalid/x",
            (False, "no connection to the proxy (ConnectionRefusedError: [Errno 111] no)", False, "proxy"),
        ),
        (
            httpx.ConnectTimeout("x"),
            "http://far.invalid/x",
            (False, "no connection to the proxy (ConnectTimeout)", False, "proxy"),
        ),
        (
            httpx.PoolTimeout("x"),
            "http://far.invalid/x",
            (False, "no connection (PoolTimeout)", False, "timeout"),
        ),
        (
            httpx.ConnectError("x"),
            "https://far.invalid/x",
            (False, "no connection (ConnectError)", False, "refused"),
        ),
        (httpx.ReadError("x"), "http://far.invalid/x", (True, "the connection broke (ReadError)", False, "")),
    ],
    ids=repr,
)
def test_a_host_that_is_reached_by_a_proxy_has_its_errors_named_by_it(
    error: Exception, url: str, expected: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert tuple(async_transport._no_response(error, url)) == expected


def test_the_reason_of_a_tls_error_is_told() -> None:
    error = ssl.SSLError(1, "[SSL] bad")
    error.reason = "CERTIFICATE_VERIFY_FAILED"
    outer = httpx.ConnectError("x")
    outer.__cause__ = error
    found = async_transport._no_response(outer)
    assert found.reason == "TLS: CERTIFICATE_VERIFY_FAILED"


async def test_hooks_with_the_same_options_share_a_client_until_the_last_one_ends(
    echo: Any, connect: Any
) -> None:
    hooks = []
    for extra in ({}, {}, {"timeout": 7}):
        hooks.append(connect(extra))
        await hooks[-1].asend(READ)
    first, other = async_transport._clients_here().values()
    clients = [one.client for shared in (first, other) for one in shared.clients]
    assert len(clients) == 2
    await hooks[0].aclose()
    assert [client.is_closed for client in clients] == [False, False]
    await hooks[1].aclose()
    assert [client.is_closed for client in clients] == [True, False]
    assert list(async_transport._clients_here().values()) == [other]
    await hooks[2].aclose()
    assert [client.is_closed for client in clients] == [True, True]
    assert async_transport._clients_here() == {}


def test_clients_of_loops_that_were_closed_are_forgotten(echo: Any, connect: Any) -> None:
    loop = asyncio.new_event_loop()
    hook = connect()
    loop.run_until_complete(hook.asend(READ))
    assert loop in async_transport._clients
    loop.close()
    asyncio.run(connect().asend(READ))
    assert loop not in async_transport._clients


async def test_requests_are_counted_and_have_the_budget_of_their_call(echo: Any, connect: Any) -> None:
    hook = connect()
    endpoint = await hook.aendpoint()
    endpoint.budget, endpoint.token_budget = Budget(10), Budget(10)
    await hook.asend(Call("GET", "closed/x"))
    await hook.asend(Call("GET", "closed/y"))
    rate = Rate.per_second(10)
    used = [
        10 - sum(budget.store.reserve(budget._key, rate, 0).taken for _ in range(10))
        for budget in (endpoint.budget, endpoint.token_budget)
    ]
    assert used == [2, 1]
    assert hook.requests == 3


async def test_a_body_of_many_chunks_lets_other_tasks_run(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = 0

    async def sleep(seconds: float) -> None:
        nonlocal turns
        turns += 1

    async def chunks() -> Any:
        for _ in range(151):
            yield b"x"

    set_in_module(monkeypatch, async_transport, "asyncio", sleep=sleep)
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=chunks()))
    async with httpx.AsyncClient(transport=transport) as client:
        reply = await async_transport._exchange(client, READ, Request("GET", "http://host/x", {}))
    assert isinstance(reply, Reply)
    assert (len(reply.body), turns) == (151, 3)


@pytest.mark.parametrize("ends", [True, False])
async def test_an_exchange_that_its_cancellation_does_not_end_is_not_waited_for(
    ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(async_transport, "_LAST_SECONDS", 0.01)
    go_on, left = asyncio.Event(), list[str]()

    async def exchange() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        if not ends:
            await go_on.wait()

    shared = async_transport.SharedClient(httpx.AsyncClient())
    held = AsyncExitStack()
    held.callback(left.append, "place")
    running = asyncio.create_task(exchange())
    await async_transport._end(running, shared, held)
    assert (running.done(), shared.is_retired, left) == (ends, True, ["place"])
    go_on.set()
    await running
    await shared.retire()


@pytest.mark.parametrize("error", [ValueError("late"), None])
async def test_an_error_of_an_exchange_without_a_caller_is_told_nobody(error: Exception | None) -> None:
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

    async def exchange() -> None:
        if error:
            raise error

    client = async_transport.SharedClient(httpx.AsyncClient())
    running = asyncio.create_task(exchange())
    await async_transport._end(running, client, AsyncExitStack())
    assert not client.is_retired
    del running
    gc.collect()
    assert told == []
    await client.retire()


@pytest.mark.parametrize("kind", [AsyncTransport, Transport])
async def test_pauses_of_a_process_are_noticed_from_its_first_transport_on(
    kind: Any, echo: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = await connect().aendpoint()
    monkeypatch.setattr(pauses, "_task_pauses", {})
    assert kind(endpoint, logging.getLogger("pauses")).requests == 0
    assert list(pauses._task_pauses) == [os.getpid()]
