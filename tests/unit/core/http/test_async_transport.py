"""The asynchronous transport alone: cancellation and time limits."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import certifi
import httpx
import pytest
from anyio._backends._asyncio import CancelScope

from airflow_provider.core.http import async_transport
from airflow_provider.core.http.call import Call
from airflow_provider.core.limits.semaphore import Permit
from airflow_provider.errors import ProviderError

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
