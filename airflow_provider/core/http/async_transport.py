"""Asynchronous transport: sends calls with ``httpx``, for event loops: a triggerer's, or a task's own."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary, WeakSet

from airflow_provider.core.diagnosis import proxy_of, unusable_proxy
from airflow_provider.core.http.call import Call
from airflow_provider.core.http.endpoint import MAX_RENEWALS, Endpoint, Request
from airflow_provider.core.http.reply import BodyReader, NoResponse, Reply, no_proxy_response
from airflow_provider.core.http.retry import Outcome, result_or_raise, tenacity_options
from airflow_provider.core.state.pauses import TaskPauses
from airflow_provider.core.urls import is_loopback
from airflow_provider.errors import InputError

if TYPE_CHECKING:
    import httpx
    from airflow.sdk.types import Logger


T = TypeVar("T")


MAX_REQUESTS = 100
"""Maximum requests at once of one loop's clients with the same options."""

_CONNECTIONS = 10
"""Maximum connections of a client: each request costs it time by the square of their number."""

_KEPT_SECONDS = 5.0
"""Seconds for which a further client is kept without a request, while others have some."""

_CHUNKS_AT_ONCE = 50
"""Chunks of a body after which the event loop has a turn: a service may send thousands of a byte at once."""

_LAST_SECONDS = 2.0
"""Seconds after which the exchange of a cancelled caller is cancelled, too, and its client retired."""


@dataclass(eq=False)
class SharedClient:
    """A client, and the number of its requests in progress.

    :param is_retired: whether it takes no further requests, and is closed with the end of its last one.
    :param used_at: when its last request ended, in seconds of the loop's clock.
    """

    client: httpx.AsyncClient
    requests: int = 0
    is_retired: bool = False
    used_at: float = 0.0

    async def retire(self) -> None:
        """Close the client, as soon as it has no request in progress."""
        self.is_retired = True
        if not self.requests:
            await self.client.aclose()


class SharedClients:
    """Clients with the same options: a second one is opened while the first one has no connection left.

    :param new_client: opens a client.
    """

    def __init__(self, new_client: Callable[[], httpx.AsyncClient]) -> None:
        self.users: WeakSet[AsyncTransport] = WeakSet()
        self.clients = [SharedClient(new_client())]
        self._is_closed = False
        self._new_client = new_client
        self._places = asyncio.Semaphore(MAX_REQUESTS)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[SharedClient]:
        """Wait for a place, and yield a client with a free connection."""
        async with self._places:
            self.clients = [one for one in self.clients if not one.is_retired]
            chosen = next((one for one in self.clients if one.requests < _CONNECTIONS), None)
            if chosen is None:
                chosen = SharedClient(self._new_client())
                self.clients.append(chosen)
            chosen.requests += 1
            try:
                yield chosen
            finally:
                chosen.requests -= 1
                chosen.used_at = asyncio.get_running_loop().time()
                for one in self._unused(chosen):
                    await one.retire()

    def _unused(self, released: SharedClient) -> list[SharedClient]:
        """Return the clients to close after a request.

        While others wait for a place, or requests come in waves, none is closed: the next one would open as
        many connections again.

        :param released: the client of the request.
        """
        unused = [one for one in self.clients[1:] if not one.requests]
        if self._places.locked():
            unused = []
        elif any(one.requests for one in self.clients):
            unused = [one for one in unused if released.used_at - one.used_at >= _KEPT_SECONDS]
        if not released.requests and (self._is_closed or released.is_retired) and released not in unused:
            unused.append(released)
        return unused

    async def aclose(self) -> None:
        """Close all clients, each with the end of its last request: other tasks may be waiting for it."""
        self._is_closed = True
        for one in self.clients:
            await one.retire()


_clients: WeakKeyDictionary[Any, dict[str, SharedClients]] = WeakKeyDictionary()

_contexts: dict[bool | str, ssl.SSLContext] = {}


class AsyncTransport:
    """Sends calls to an endpoint without blocking the event loop.

    All transports of one loop and one set of network options share a client, and the process shares one TLS
    context, so that a thousand waiting triggers cost as much as a single trigger.

    :param endpoint: the service.
    :param log: receives a line for each attempt that is retried.
    """

    def __init__(self, endpoint: Endpoint, log: Logger) -> None:
        self.endpoint = endpoint
        self.requests = 0
        self._log = log
        TaskPauses.here()

    async def send(self, call: Call[T]) -> T:
        """Send a call with retries, and return the result that its reader makes of the reply.

        :raises ProviderError: for an outcome without result, see :mod:`airflow_provider.errors`.
        """
        from tenacity import AsyncRetrying

        options = tenacity_options(self.endpoint.retry_limits, self.endpoint.budget_of(call), self._log)
        result: T = await AsyncRetrying(**options)(self._attempt, call)
        return result

    async def access_token(self) -> str:
        """Return the token that authenticates calls to the API, fetched when the process holds none."""
        return await self.endpoint.credential.atoken(self.send, self.endpoint.bases["api"])

    async def aclose(self) -> None:
        """Close the running loop's clients that no other transport uses; the next call opens a new one."""
        clients = _clients.get(asyncio.get_running_loop(), {})
        for key, shared in list(clients.items()):
            shared.users.discard(self)
            if not shared.users:
                del clients[key]
                await shared.aclose()

    async def _attempt(self, call: Call[Any]) -> Any:
        """Send a call; when the token is refused, send it once more with a new token."""
        credential, realm = self.endpoint.credential, self.endpoint.bases[call.base]
        token = await credential.atoken(self.send, realm) if call.authenticated else ""
        outcome = await self._exchange(call, token)
        for _ in range(MAX_RENEWALS):
            if not self.endpoint.can_renew_token(call, outcome, token):
                break
            credential.forget(token, realm)
            token = await credential.atoken(self.send, realm)
            outcome = await self._exchange(call, token)
            if not credential.is_from_store(token, realm):
                break
        return result_or_raise(outcome)

    async def _exchange(self, call: Call[Any], token: str) -> Outcome:
        request = self.endpoint.prepare(call, token)
        async with AsyncExitStack() as held:
            if request.concurrency:
                # Left with the end of the exchange, which may be later than that of a cancelled caller.
                await held.enter_async_context(request.concurrency.aentered())
            outcome = self.endpoint.classify(call, await self._perform(call, request, held))
        if request.budget and (seconds := self.endpoint.pause_after(outcome)):
            await request.budget.apause(seconds)
        return outcome

    async def _perform(self, call: Call[Any], request: Request, held: AsyncExitStack) -> Reply | NoResponse:
        if not isinstance(request.body, (bytes, type(None))):
            raise TypeError("a streamed body needs the synchronous transport")
        if request.budget:
            await request.budget.aacquire()
        clients = await self._clients(local=is_loopback(urlsplit(request.url).hostname))
        import httpx  # loaded by now, in a thread

        if request.method != "GET":
            await TaskPauses.here().arest(self._log)
        shared = await held.enter_async_context(clients.client())
        self.requests += 1
        try:
            return await _uncut(_exchange(shared.client, call, request), shared, held)
        except asyncio.CancelledError:
            if request.method != "GET":
                described = self.endpoint.describe(call)
                self._log.warning("%s was cancelled after it was sent; it may have taken effect", described)
            raise
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, UnicodeError) as error:
            raise InputError(f"the request cannot be made: {type(error).__name__}") from None
        except httpx.HTTPError as error:
            return _no_response(error, request.url)

    async def _clients(self, *, local: bool) -> SharedClients:
        settings = self.endpoint.settings
        clients = _clients_here()
        options = (settings.verify, settings.timeout, settings.host, local)
        key = hashlib.sha256(repr(options).encode()).hexdigest()
        if key not in clients:
            await asyncio.to_thread(_load_libraries)
            context = await tls_context(settings.verify)
            if key not in clients:
                clients[key] = SharedClients(lambda: _new_client(context, settings.timeout, local=local))
        clients[key].users.add(self)
        return clients[key]


def _clients_here() -> dict[str, SharedClients]:
    """Return the clients of the running event loop, and forget those of loops that were closed."""
    loop = asyncio.get_running_loop()
    if loop not in _clients:
        for other in [other for other in _clients if other.is_closed()]:
            _clients.pop(other, None)
    return _clients.setdefault(loop, {})


async def _exchange(client: httpx.AsyncClient, call: Call[Any], request: Request) -> Reply | NoResponse:
    """Send a request, and read the body of its response, up to the maximum size."""
    sent = client.stream(request.method, request.url, content=request.body, headers=request.headers)
    async with sent as response:
        body = BodyReader(call.success_statuses, response.status_code, response.headers)
        if not body.readable or (call.status_only and response.status_code in call.success_statuses):
            return body.result()
        chunks = 0
        async for chunk in response.aiter_bytes():
            if not body.add(chunk, response.num_bytes_downloaded):
                break
            chunks += 1
            if chunks % _CHUNKS_AT_ONCE == 0:
                await asyncio.sleep(0)  # Those that have arrived are read without a pause.
        return body.result()


_left_behind: set[asyncio.Task[None]] = set()
"""Tasks that wait for the ends of exchanges whose callers were cancelled."""


async def _uncut(exchange: Coroutine[Any, Any, T], shared: SharedClient, held: AsyncExitStack) -> T:
    """Run an exchange to its end, in a task of its own, though its caller may be cancelled at once.

    A cancellation in the wrong moment makes the pool below httpx count a connection as used for ever.

    :param shared: its client.
    :param held: the places it holds, until its end.
    """
    running = asyncio.ensure_future(exchange)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        ending = asyncio.ensure_future(_end(running, shared, held.pop_all()))
        _left_behind.add(ending)
        ending.add_done_callback(_left_behind.discard)
        raise


async def _end(running: asyncio.Task[Any], shared: SharedClient, held: AsyncExitStack) -> None:
    """Wait for the end of an exchange without a caller, for a short time; then cancel it."""
    async with held:
        await asyncio.wait([running], timeout=_LAST_SECONDS)
        if not running.done():
            shared.is_retired = True
            running.cancel()
            await asyncio.wait([running], timeout=_LAST_SECONDS)
        if running.done() and not running.cancelled():
            running.exception()  # It is no longer of interest to anyone.


async def close_clients() -> None:
    """Close the clients of the running event loop, before it ends."""
    for shared in _clients.pop(asyncio.get_running_loop(), {}).values():
        await shared.aclose()


def _load_libraries() -> None:
    """Import the libraries that the first request needs; in a thread, as it would block an event loop.

    AnyIO, below httpx, imports most of its modules at first use.
    """
    import anyio.streams.tls
    import httpx  # noqa: F401

    anyio.run(_use_anyio)


async def _use_anyio() -> None:
    import anyio

    async with anyio.Lock():
        anyio.Event()


def _new_client(context: ssl.SSLContext, timeout: tuple[float, float], *, local: bool) -> httpx.AsyncClient:
    """Return a client.

    :raises InputError: when the environment names a proxy that cannot be used.
    """
    from http.cookiejar import DefaultCookiePolicy

    import httpx

    connect, read = timeout
    try:
        client = httpx.AsyncClient(
            verify=context,
            timeout=httpx.Timeout(read, connect=connect),
            limits=httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS),
            follow_redirects=False,
            # No proxy for loopback hosts: plain http is allowed there, and must stay local.
            trust_env=not local,
        )
    except (httpx.InvalidURL, ValueError, ImportError) as error:
        problem = unusable_proxy(error)
    else:
        client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        return client
    # Out of its block, so that the error has not the library's as its context, with the proxy's password.
    raise problem


async def tls_context(verify: bool | str) -> ssl.SSLContext:
    """Return the TLS context that the process shares; certificates are loaded in a thread.

    :param verify: whether certificates are verified, or the path of a CA bundle.
    :raises InputError: when the CA bundle cannot be read.
    """
    if verify not in _contexts:
        try:
            context = await asyncio.to_thread(_load_tls, verify)
        except OSError:
            raise InputError(f"extra 'verify': {verify} cannot be read") from None
        _contexts.setdefault(verify, context)
    return _contexts[verify]


def _load_tls(verify: bool | str) -> ssl.SSLContext:
    if isinstance(verify, str):
        import os

        folder = os.path.isdir(verify)
        return ssl.create_default_context(
            cafile=None if folder else verify, capath=verify if folder else None
        )
    import httpx

    return httpx.create_ssl_context(verify=verify)


def _no_response(error: Exception, url: str = "") -> NoResponse:
    """Return the missing response of a request that raised; the exception shows whether it was sent.

    :param url: the URL of the request.
    """
    import httpx

    cause: BaseException | None = error
    unknown, shown = False, type(error).__name__
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            # One that a library raises itself has no reason.
            reason = f"TLS: {getattr(cause, 'reason', None) or type(cause).__name__}"
            return NoResponse(sent=False, reason=reason, permanent=True, cause="tls")
        unknown = unknown or isinstance(cause, socket.gaierror)
        if isinstance(cause, OSError) and str(cause):  # an innermost one tells most
            shown = f"{type(cause).__name__}: {cause}"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ProxyError):
        return no_proxy_response(str(error))
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)) and proxy_of(url):
        return no_proxy_response(shown)
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
        timeout = isinstance(error, httpx.TimeoutException)
        kind = "name" if unknown else "timeout" if timeout else "refused"
        return NoResponse(sent=False, reason=f"no connection ({shown})", cause=kind)
    if isinstance(error, httpx.TimeoutException):
        return NoResponse(sent=True, reason="the read timed out", cause="timeout")
    return NoResponse(sent=True, reason=f"the connection broke ({shown})")
