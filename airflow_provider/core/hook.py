"""The base of all hooks: an Airflow connection that sends calls."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cached_property
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar
from weakref import WeakKeyDictionary

from airflow.sdk import BaseHook

from airflow_provider.core.connection import ConnectionSpec, Settings, read_settings, with_store
from airflow_provider.core.http.auth import Credential
from airflow_provider.core.http.call import Call
from airflow_provider.core.http.endpoint import Endpoint
from airflow_provider.core.http.reply import Reply
from airflow_provider.core.http.reply import read_error as default_read_error
from airflow_provider.core.http.retry import RetryLimits
from airflow_provider.core.http.twins import aside, blocking, complete_twins, is_blocking, twin
from airflow_provider.errors import (
    AuthenticationError,
    InputError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    TransportError,
    one_line,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.sdk import Connection

    from airflow_provider.core.http.async_transport import AsyncTransport
    from airflow_provider.core.http.concurrency import ConcurrencyLimit
    from airflow_provider.core.http.rate_limit import Budget
    from airflow_provider.core.http.sync_transport import Stream, Transport

T = TypeVar("T")


class ApiHook(BaseHook):
    """Sends calls to one service, with the credential, rate limit and retry limits of one connection.

    The connection is read, and requests are sent, from the first call on. A vendor's hook describes its
    service in :meth:`credential`, :meth:`bases`, :meth:`budget`, :meth:`read_error` and :meth:`probe`.

    :param conn_id: id of the Airflow connection.
    """

    spec: ClassVar[ConnectionSpec]
    conn_type: ClassVar[str]
    hook_name: ClassVar[str]
    conn_name_attr: ClassVar[str]
    default_conn_name: ClassVar[str]
    service_retry_limits: ClassVar[RetryLimits] = RetryLimits()
    """Retry limits that fit the service, where the connection sets no others."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        complete_twins(cls)

    def __init__(self, conn_id: str) -> None:
        super().__init__()
        self.conn_id = conn_id
        self._opening = Lock()
        self._transport: Transport | None = None
        self._async_transport: AsyncTransport | None = None
        self._loading: WeakKeyDictionary[Any, asyncio.Lock] = WeakKeyDictionary()
        self._heeds_refusals = True
        self._entered = 0

    # -- for vendors to override ------------------------------------------------------------------

    def credential(self, settings: Settings) -> Credential:
        """Return the credential that authenticates requests."""
        raise NotImplementedError

    def bases(self, settings: Settings) -> Mapping[str, str]:
        """Return the base URLs of calls by name; ``api`` is the default of calls."""
        return {"api": settings.host}

    def budget(self, settings: Settings) -> Budget | None:
        """Return the request budget of this connection; None for a service that is not limited."""
        return None

    def token_budget(self, settings: Settings) -> Budget | None:
        """Return the request budget of the connection's token requests; None for a static token."""
        return None

    def shares_tokens(self, settings: Settings) -> bool:
        """Return whether fetched tokens are shared with other processes, in the store of request budgets."""
        return settings.shares_tokens

    def read_error(self, reply: Reply) -> tuple[str, str]:
        """Read code and message of an error reply."""
        return default_read_error(reply)

    def prepared(self, call: Call[T]) -> Call[T]:
        """Return a call as it is sent, with what the connection adds to all of them."""
        return call

    def explained(self, call: Call[Any]) -> AbstractContextManager[None]:
        """Within the ``with`` block, raise a call's errors with what the service's users need to know."""
        return nullcontext()

    @blocking
    async def probe(self) -> str:
        """Send a small request; returns one sentence about a connection that works."""
        raise NotImplementedError

    aprobe = twin(probe)

    # -- shared by all hooks ----------------------------------------------------------------------

    @cached_property
    def settings(self) -> Settings:
        """The validated connection.

        :raises InputError: with all problems of the connection.
        """
        from airflow_provider.core.redaction import all_encodings, mask

        settings = read_settings(self.get_connection(self.conn_id), self.spec, self.conn_type)
        if settings.names_store_connection:
            settings = with_store(settings, self._find_connection(settings.rate_limit_store))
        mask(all_encodings(settings.secrets))
        return settings

    @cached_property
    def retry_limits(self) -> RetryLimits:
        """Limits of retries: the service's, adjusted by the connection; a caller may replace them."""
        return self._adjusted(self.service_retry_limits)

    def _find_connection(self, conn_id: str) -> Connection | None:
        from airflow_provider.core.compat import connection_not_found

        with suppress(connection_not_found()):
            return self.get_connection(conn_id)
        return None

    async def _afind_connection(self, conn_id: str) -> Connection | None:
        from airflow_provider.core.compat import connection_not_found

        with suppress(connection_not_found()):
            return await self.aget_connection(conn_id)
        return None

    @staticmethod
    def shared_budget(settings: Settings, per_second: float | None, *identity: str) -> Budget:
        """Return the budget that all tasks share, in the store that the connection names.

        :param per_second: requests a second; None for a budget that pauses only.
        :param identity: the owner of the limit on the service; stored as a hash only.
        """
        from airflow_provider.core.http.rate_limit import shared_budget

        return shared_budget(settings.rate_limit_store, per_second, *identity)

    @staticmethod
    def shared_token_budget(settings: Settings, *identity: str) -> Budget:
        """Return the budget of one client's token requests, see :meth:`shared_budget`.

        :param identity: the token service's address and the client.
        """
        from airflow_provider.core.http.rate_limit import TOKEN_BURST, TOKENS_PER_SECOND, shared_budget

        address = settings.rate_limit_store
        return shared_budget(address, TOKENS_PER_SECOND, "token", *identity, burst=TOKEN_BURST)

    def _concurrency(self, settings: Settings) -> ConcurrencyLimit | None:
        if settings.max_concurrency is None:
            return None
        from airflow_provider.core.http.concurrency import shared_concurrency

        identity = (settings.conn_id, settings.host, settings.login, settings.password)
        return shared_concurrency(settings.rate_limit_store, settings.max_concurrency, *identity)

    def _adjusted(self, limits: RetryLimits) -> RetryLimits:
        extras = self.settings.extras
        return limits.adjusted(extras["attempts"], extras["patience"])

    @property
    def transport(self) -> Transport:
        """The connection pool, opened at first use and shared by all threads."""
        with self._opening:
            if self._transport is None:
                from airflow_provider.core.http.sync_transport import Transport

                self._transport = Transport(self._endpoint(), self.log)
            return self._transport

    @property
    def requests(self) -> int:
        """The number of requests that this hook has sent, retries included."""
        opened = (self._transport, self._async_transport)
        return sum(transport.requests for transport in opened if transport)

    def send(self, call: Call[T]) -> T:
        """Send a call and return its result.

        :raises ProviderError: for an outcome without result, see :mod:`airflow_provider.errors`.
        """
        with self.explained(call):
            return self.transport.send(self.prepared(call))

    async def asend(self, call: Call[T]) -> T:
        """Send a call without blocking the event loop, and return its result; see :meth:`send`.

        In a method that blocks (``core/http/twins.py``), this is :meth:`send`.
        """
        if is_blocking():
            return self.send(call)
        transport = await self._aopen_transport()
        with self.explained(call):
            return await transport.send(self.prepared(call))

    @blocking
    async def access_token(self) -> str:
        """Return the token that authenticates calls to the API, fetched when the process holds none.

        :raises ProviderError: when the token cannot be fetched.
        """
        if is_blocking():
            return self.transport.access_token()
        return await (await self._aopen_transport()).access_token()

    @blocking
    async def cached_access_token(self) -> str:
        """Return the token that the process holds; empty when it holds none, and for a static token."""
        endpoint = await self.aendpoint()
        return endpoint.credential.cached(endpoint.bases["api"])

    @blocking
    async def forget_access_token(self, token: str) -> None:
        """Drop a token that was revoked, for all processes that share it; the next call gets a new one."""
        endpoint = await self.aendpoint()
        await aside(endpoint.credential.withdraw, token, endpoint.bases["api"])

    aaccess_token = twin(access_token)
    acached_access_token = twin(cached_access_token)
    aforget_access_token = twin(forget_access_token)

    async def aendpoint(self) -> Endpoint:
        """Return the service as this connection sees it."""
        return self.transport.endpoint if is_blocking() else (await self._aopen_transport()).endpoint

    def until(self, deadline: float) -> AbstractContextManager[None]:
        """Within the ``with`` block, stop retrying at ``deadline``.

        :param deadline: seconds since the epoch.
        """
        return self.transport.until(deadline)

    async def _aopen_transport(self) -> AsyncTransport:
        if self._async_transport is None:
            transport = await asyncio.to_thread(_load_async_transport)
            settings = await self.aload()
            # The library of Redis takes too long to load for an event loop.
            slow = "://" in settings.rate_limit_store
            endpoint = await asyncio.to_thread(self._endpoint) if slow else self._endpoint()
            if self._async_transport is None:
                self._async_transport = transport(endpoint, self.log)
        return self._async_transport

    async def aload(self) -> Settings:
        """Read the connection without blocking the event loop; required there before ``settings`` is used."""
        if "settings" not in self.__dict__:
            async with self._loading.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
                if "settings" not in self.__dict__:
                    self.__dict__["settings"] = await self._aread_settings()
        return self.settings

    async def _aread_settings(self) -> Settings:
        from airflow_provider.core.redaction import all_encodings, amask

        await asyncio.to_thread(_load_connections)
        settings = read_settings(await self.aget_connection(self.conn_id), self.spec, self.conn_type)
        if settings.names_store_connection:
            settings = with_store(settings, await self._afind_connection(settings.rate_limit_store))
        await amask(all_encodings(settings.secrets))
        return settings

    def stream(self, call: Call[Any]) -> AbstractContextManager[Stream]:
        """Send a call; the context yields its reply, whose body is read in chunks."""
        return self.transport.stream(call)

    def download(self, url: str) -> AbstractContextManager[Stream]:
        """Open a URL from a reply without credentials; the context yields the reply, read in chunks."""
        return self.transport.download(url)

    def upload(
        self, url: str, content: bytes | Callable[[], Iterator[bytes]], headers: Mapping[str, str]
    ) -> None:
        """Send a file with PUT to a URL from a reply, without credentials."""
        self.transport.upload(url, content, headers)

    @blocking
    async def test_connection(self) -> tuple[bool, str]:
        """Test the connection; returns whether it works, and one sentence about the result."""
        async with type(self)(self.conn_id) as hook:
            hook._heeds_refusals = False  # The service is asked, though it refused the credentials just now.
            hook.retry_limits = RetryLimits(attempts=2, cap=2.0, total=10.0)
            try:
                works, said = True, await hook.aprobe()
            except InputError as error:  # The connection itself may be wrong.
                works, said = False, str(error)
            except ProviderError as error:
                works, said = False, await hook.adiagnose(error)
            # A part of it may be a text of the service, such as the name of a project.
            return works, one_line(hook._redacted(" ".join(said.split())))

    atest_connection = twin(test_connection, loads=False)

    def _redacted(self, text: str) -> str:
        opened = self._transport or self._async_transport
        return opened.endpoint.redactor.redact(text) if opened else text

    @blocking
    async def diagnose(self, error: ProviderError) -> str:
        """Return one sentence about the cause of a connection's failed test."""
        if found := self.diagnose_address(error):
            return found
        if isinstance(error, TransportError):
            return f"The host cannot be reached: {error}"
        if isinstance(error, AuthenticationError):
            detail = error.message or error.code or error.status
            return f"The host answers, but does not accept the credentials: {detail}"
        if isinstance(error, PermissionDeniedError):
            detail = error.message or error.request
            return f"The credentials are valid, but a permission is missing: {detail}"
        if isinstance(error, NotFoundError):
            detail = error.message or error.request
            return f"The host answers, but does not know the resource that the connection names: {detail}"
        return " ".join(str(error).split())

    adiagnose = twin(diagnose)

    def diagnose_address(self, error: ProviderError) -> str:
        """Return one sentence about the network, a proxy or a wrong address; empty for all other causes."""
        from airflow_provider.core.diagnosis import Diagnosis

        return Diagnosis(error, self.spec.default_host).sentence()

    def get_conn(self) -> Transport:
        """Return the connection pool."""
        return self.transport

    def _endpoint(self) -> Endpoint:
        settings, limits = self.settings, self.retry_limits
        if "retry_limits" not in vars(self):  # The class has its own.
            limits = self._adjusted(limits)
        credential = self.credential(settings)
        if self.shares_tokens(settings):
            credential.share(settings.rate_limit_store, heed_refusals=self._heeds_refusals)
        return Endpoint(
            settings,
            self.bases(settings),
            credential,
            self.budget(settings),
            self.token_budget(settings),
            self._concurrency(settings),
            self.read_error,
            limits,
        )

    @blocking
    async def close(self) -> None:
        """Close the connection pool."""
        if self._transport is not None:
            await aside(self._transport.close)
            self._transport = None
        if self._async_transport is not None and not is_blocking():
            await self._async_transport.aclose()
            self._async_transport = None

    aclose = twin(close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        with self._opening:
            self._entered += 1
        return self

    async def __aexit__(self, *exc: object) -> None:
        with self._opening:
            self._entered -= 1
        # Tasks may share a hook: the last one closes it.
        if not self._entered and (self._transport or self._async_transport):
            await self.aclose()


_OF_CONNECTIONS = (
    "asgiref.sync",
    "multiprocessing.reduction",
    "airflow.sdk.definitions.connection",
    "airflow.sdk.execution_time.cache",
    "airflow.sdk.execution_time.context",
    "airflow.sdk.execution_time.supervisor",
)
"""Modules of Airflow that read connections, where it has them, and of what they need."""


def _load_connections() -> None:
    """Import what Airflow imports at the first connection, which takes too long for an event loop.

    A task and a triggerer have most of it loaded; a script has not.
    """
    for name in _OF_CONNECTIONS:
        with suppress(ImportError):
            import_module(name)


def _load_async_transport() -> type[AsyncTransport]:
    """Import what the first request from an event loop needs; in a thread, as it would block the loop."""
    import msgspec  # noqa: F401
    import tenacity  # noqa: F401

    import airflow_provider.core.limits.address
    import airflow_provider.core.limits.machine
    import airflow_provider.core.tokens.sealing
    import airflow_provider.core.tokens.sharing  # noqa: F401
    from airflow_provider.core.http.async_transport import AsyncTransport

    return AsyncTransport
