"""Sends the same calls with ``httpx``, for the triggerer's event loop."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from airflow_provider.core.http.call import Call
from airflow_provider.core.http.endpoint import Endpoint, Request
from airflow_provider.core.http.reply import BodyReader, NoResponse, Reply
from airflow_provider.core.http.retry import Outcome, result_or_raise, tenacity_options
from airflow_provider.core.urls import is_loopback
from airflow_provider.errors import InputError

if TYPE_CHECKING:
    import httpx
    from airflow.sdk.types import Logger


T = TypeVar("T")

_clients: WeakKeyDictionary[Any, dict[str, httpx.AsyncClient]] = WeakKeyDictionary()


_contexts: dict[bool | str, ssl.SSLContext] = {}


class AsyncTransport:
    """Sends calls to an endpoint without blocking the loop.

    All transports of one loop and one set of network options share a client, and the process shares one TLS
    context, so that a thousand waiting triggers cost as much as one.

    :param endpoint: where calls go.
    :param log: gets a line for each repeated try.
    """

    def __init__(self, endpoint: Endpoint, log: Logger) -> None:
        self.endpoint = endpoint
        self._log = log

    async def send(self, call: Call[T]) -> T:
        """Send a call, again where that is safe and may help, and give what its reader made of the reply.

        :raises ProviderError: what the outcome means, see :mod:`airflow_provider.errors`.
        """
        from tenacity import AsyncRetrying

        options = tenacity_options(self.endpoint.retry_limits, self.endpoint.budget, self._log)
        result: T = await AsyncRetrying(**options)(self._attempt, call)
        return result

    async def _attempt(self, call: Call[Any]) -> Any:
        """Send once; when the token is refused, get a new one and send once more."""
        credential, realm = self.endpoint.credential, self.endpoint.bases[call.base]
        token = await credential.atoken(self.send, realm) if call.authenticated else ""
        outcome = await self._exchange(call, token)
        if self.endpoint.can_renew_token(call, outcome, token):
            credential.forget(token, realm)
            outcome = await self._exchange(call, await credential.atoken(self.send, realm))
        return result_or_raise(outcome)

    async def _exchange(self, call: Call[Any], token: str) -> Outcome:
        return self.endpoint.classify(call, await self._perform(call, self.endpoint.prepare(call, token)))

    async def _perform(self, call: Call[Any], request: Request) -> Reply | NoResponse:
        if not isinstance(request.body, (bytes, type(None))):
            raise TypeError("a streamed body is for workers")
        if self.endpoint.budget and (wait := self.endpoint.budget.reserve()) > 0:
            await asyncio.sleep(wait)
        client = await self._client(here=is_loopback(urlsplit(request.url).hostname))
        import httpx  # it is loaded by now

        try:
            with _cancellable():
                return await _exchange(client, call, request)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, UnicodeError) as error:
            raise InputError(f"the request cannot be made: {type(error).__name__}") from None
        except httpx.HTTPError as error:
            return _no_response(error)

    async def _client(self, *, here: bool) -> httpx.AsyncClient:
        settings = self.endpoint.settings
        mine = _clients.setdefault(asyncio.get_running_loop(), {})
        options = (settings.verify, settings.timeout, settings.host, here)
        key = hashlib.sha256(repr(options).encode()).hexdigest()
        if key not in mine:
            await asyncio.to_thread(_load_libraries)
            context = await tls_context(settings.verify)
            if key not in mine:
                mine[key] = _new_client(context, settings.timeout, here=here)
        return mine[key]


async def _exchange(client: httpx.AsyncClient, call: Call[Any], request: Request) -> Reply | NoResponse:
    """Send a request, and read the body of its answer, as far as it may go."""
    sent = client.stream(request.method, request.url, content=request.body, headers=request.headers)
    async with sent as response:
        gathering = BodyReader(call.good, response.status_code, response.headers)
        if not gathering.fits or (call.status_only and response.status_code in call.good):
            return gathering.outcome()
        async for chunk in response.aiter_bytes():
            if not gathering.add(chunk):
                break
        return gathering.outcome()


async def close_clients() -> None:
    """Close the clients of an event loop that is about to end."""
    for client in _clients.pop(asyncio.get_running_loop(), {}).values():
        await client.aclose()


@contextmanager
def _cancellable() -> Iterator[None]:
    """Raise a cancellation that was swallowed inside.

    AnyIO, below httpx, did that before version 4.16 with one that came just as a connection was opened: a
    trigger that was told to end went on for ever.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        yield
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError


def _load_libraries() -> None:
    """Import what the first request needs, in a thread: on an event loop that takes too long.

    AnyIO, below httpx, imports most of itself when it is first used.
    """
    import anyio.streams.tls
    import httpx  # noqa: F401

    anyio.run(_use_anyio)


async def _use_anyio() -> None:
    import anyio

    async with anyio.Lock():
        anyio.Event()


def _new_client(context: ssl.SSLContext, timeout: tuple[float, float], *, here: bool) -> httpx.AsyncClient:
    from http.cookiejar import DefaultCookiePolicy

    import httpx

    connect, read = timeout
    client = httpx.AsyncClient(
        verify=context,
        timeout=httpx.Timeout(read, connect=connect),
        follow_redirects=False,
        trust_env=not here,  # No proxy to this machine: what may be plain http here must not leave it.
    )
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


async def tls_context(verify: bool | str) -> ssl.SSLContext:
    """Give the process's one TLS context; loading certificates takes too long for an event loop."""
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


def _no_response(error: Exception) -> NoResponse:
    """Say whether the service may have seen a request that ended in this exception."""
    import httpx

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return NoResponse(sent=False, why=f"TLS: {cause.reason or type(cause).__name__}", hopeless=True)
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)):
        return NoResponse(sent=False, why=f"no connection ({type(error).__name__})")
    if isinstance(error, httpx.TimeoutException):
        return NoResponse(sent=True, why="no answer in time")
    return NoResponse(sent=True, why=f"the connection broke ({type(error).__name__})")
