"""The base of all hooks: an Airflow connection that sends calls."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from airflow.sdk import BaseHook

from airflow_provider.core.connection import ConnectionSpec, Settings, read_settings
from airflow_provider.core.http.auth import Credential
from airflow_provider.core.http.call import Call
from airflow_provider.core.http.endpoint import Endpoint
from airflow_provider.core.http.rate_limit import Budget
from airflow_provider.core.http.reply import Reply
from airflow_provider.core.http.reply import read_error as default_read_error
from airflow_provider.core.http.retry import RetryLimits
from airflow_provider.errors import (
    AuthenticationError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    TransportError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider.core.http.async_transport import AsyncTransport
    from airflow_provider.core.http.sync_transport import Stream, Transport

T = TypeVar("T")


class ApiHook(BaseHook):
    """Sends calls to one service, with the credentials, limits and patience of one connection.

    Nothing is read or sent before the first call. A vendor's hook says in :meth:`credential`,
    :meth:`bases` and :meth:`budget` how its service works.

    :param conn_id: id of the Airflow connection.
    """

    spec: ClassVar[ConnectionSpec]
    conn_type: ClassVar[str]
    hook_name: ClassVar[str]
    conn_name_attr: ClassVar[str]
    default_conn_name: ClassVar[str]
    retry_limits: RetryLimits = RetryLimits()

    def __init__(self, conn_id: str) -> None:
        super().__init__()
        self.conn_id = conn_id
        self._opening = Lock()
        self._transport: Transport | None = None
        self._async_transport: AsyncTransport | None = None

    # -- what a vendor says -----------------------------------------------------------------------

    def credential(self, settings: Settings) -> Credential:
        """Say how requests prove who sends them."""
        raise NotImplementedError

    def bases(self, settings: Settings) -> Mapping[str, str]:
        """Name the base URLs that calls go to."""
        return {"api": settings.host}

    def budget(self, settings: Settings) -> Budget | None:
        """Give the request budget of this connection, when the service has a limit."""
        return None

    def read_error(self, reply: Reply) -> tuple[str, str]:
        """Read code and message of an error reply."""
        return default_read_error(reply)

    def probe(self) -> str:
        """Ask the service for something small; give one sentence for a connection that works."""
        raise NotImplementedError

    # -- what everybody uses ----------------------------------------------------------------------

    @cached_property
    def settings(self) -> Settings:
        """The checked connection.

        :raises InputError: naming every problem of the connection.
        """
        from airflow_provider.core.redaction import all_encodings, mask

        settings = read_settings(self.get_connection(self.conn_id), self.spec)
        mask(all_encodings(settings.secrets))
        return settings

    @property
    def transport(self) -> Transport:
        """The connection pool, opened when first needed, once for all threads."""
        with self._opening:
            if self._transport is None:
                from airflow_provider.core.http.sync_transport import Transport

                self._transport = Transport(self._endpoint(), self.log)
            return self._transport

    @property
    def requests(self) -> int:
        """How many requests this hook has sent so far, repeated ones counted."""
        return self._transport.requests if self._transport else 0

    def send(self, call: Call[T]) -> T:
        """Send a call and give its result.

        :raises ProviderError: see :mod:`airflow_provider.errors`.
        """
        return self.transport.send(call)

    def until(self, deadline: float) -> AbstractContextManager[None]:
        """Within a ``with`` block, let no call go on past a moment, however patient the hook is else.

        :param deadline: seconds since the epoch.
        """
        return self.transport.until(deadline)

    async def asend(self, call: Call[T]) -> T:
        """Send the same call from an event loop, without blocking it."""
        if self._async_transport is None:
            from airflow_provider.core.http.async_transport import AsyncTransport

            await self.aload()
            self._async_transport = AsyncTransport(self._endpoint(), self.log)
        return await self._async_transport.send(call)

    async def aload(self) -> Settings:
        """Read the connection without blocking the event loop; needed before ``settings`` is used there."""
        if "settings" not in self.__dict__:
            from airflow_provider.core.redaction import all_encodings, amask

            settings = read_settings(await self.aget_connection(self.conn_id), self.spec)
            await amask(all_encodings(settings.secrets))
            self.__dict__["settings"] = settings
        return self.settings

    def stream(self, call: Call[Any]) -> AbstractContextManager[Stream]:
        """Send a call and read its reply's body in chunks."""
        return self.transport.stream(call)

    def download(self, url: str) -> AbstractContextManager[Stream]:
        """Read a URL that a reply named, in chunks and without credentials."""
        return self.transport.download(url)

    def upload(
        self, url: str, content: bytes | Callable[[], Iterator[bytes]], headers: Mapping[str, str]
    ) -> None:
        """Put a file to a URL that a reply named, without credentials."""
        self.transport.upload(url, content, headers)

    def test_connection(self) -> tuple[bool, str]:
        """Try the connection; gives whether it works, and one sentence that says why not."""
        with type(self)(self.conn_id) as hook:
            hook.retry_limits = RetryLimits(attempts=2, cap=2.0, total=10.0)
            try:
                return True, hook.probe()
            except ProviderError as error:
                return False, hook.diagnose(error)

    def diagnose(self, error: ProviderError) -> str:
        """Say in one sentence what is wrong with the connection."""
        if isinstance(error, TransportError):
            return f"The host cannot be reached: {error}"
        if isinstance(error, AuthenticationError):
            said = error.message or error.code or error.status
            return f"The host answers, but does not accept the credentials: {said}"
        if isinstance(error, PermissionDeniedError):
            said = error.message or error.request
            return f"The credentials are valid, but a permission is missing: {said}"
        if isinstance(error, NotFoundError):
            said = error.message or error.request
            return f"The host answers, but does not know what the connection names: {said}"
        return " ".join(str(error).split())

    def get_conn(self) -> Transport:
        """Give the connection pool."""
        return self.transport

    def _endpoint(self) -> Endpoint:
        settings = self.settings
        return Endpoint(
            settings,
            self.bases(settings),
            self.credential(settings),
            self.budget(settings),
            self.read_error,
            self.retry_limits,
        )

    def close(self) -> None:
        """Close the connection pool."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
