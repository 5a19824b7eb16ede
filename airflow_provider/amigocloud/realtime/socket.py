"""Engine.IO client: one connection to AmigoCloud's socket over a WebSocket.

No maintained library speaks Engine.IO 3, which the vendor's clients use. Frames are parsed in
:mod:`airflow_provider.amigocloud.realtime.engineio`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from airflow_provider.amigocloud import api
from airflow_provider.amigocloud.realtime import engineio
from airflow_provider.core.http.reply import truncate
from airflow_provider.core.polling import backoff_delays as backoff_delays
from airflow_provider.core.redaction import redact_token, without_query
from airflow_provider.core.urls import is_loopback
from airflow_provider.errors import InputError, ProviderError, RequestRejectedError, TransportError

if TYPE_CHECKING:
    from airflow_provider.amigocloud.hooks_base import ProjectHook


SILENT_INTERVALS = 2.5
"""Ping intervals without any frame after which the connection counts as dead: two without an answer, and time
for the answer to the last ping."""

MAX_MESSAGE_BYTES = 4 << 20
"""Maximum bytes of a message; a larger one breaks the connection."""

PING_LIMITS = {3: (1.0, 30.0), 4: (1.0, 300.0)}
"""Minimum and maximum seconds between pings by protocol, whatever the server requests. In protocol 3 the
client sends the pings."""

_wire = logging.getLogger(f"{__name__}.wire")
_wire.setLevel(logging.WARNING)  # lower levels would log sessions


def limited_ping_interval(seconds: float, protocol: int) -> float:
    """Return the server's ping interval in seconds, within the limits of the protocol."""
    shortest, longest = PING_LIMITS[protocol]
    return min(max(seconds, shortest), longest)


class EventSocket:
    """Receiver of events of a user and of datasets, until the connection breaks.

    It is a context manager; within the block, the client is in the namespace. The service does not replay
    events, so the caller polls the watched objects after each connect.

    :param hook: hook of the connection; its token must be a user's.
    :param protocol: 3 for Engine.IO 3; 4 for Engine.IO 4, in which the server sends the pings (in case the
        vendor upgrades).
    :raises TransportError: when the connection fails.
    :raises RequestRejectedError: when the server refuses the protocol or the namespace.
    """

    def __init__(self, hook: ProjectHook, protocol: int = 3) -> None:
        self._hook = hook
        self._protocol = protocol
        self._socket: Any = None
        self._handshake = engineio.Handshake()
        self._last_frame = self._last_ping = 0.0

    async def __aenter__(self) -> Self:
        settings = await self._hook.aload()
        self._url = without_query(self._hook.websocket_url)
        self._socket = await self._connect()
        try:
            async with asyncio.timeout(settings.timeout[0]):
                await self._join()
        except BaseException as error:
            await self._socket.close()
            if isinstance(error, TimeoutError):
                raise TransportError(f"the socket at {self._url} opened, but sent no handshake") from None
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._socket.close()

    async def authenticate(
        self, user_id: int, dataset: int | None = None, where: api.Location | None = None
    ) -> None:
        """Subscribe to the user's events, or to the broadcasts of a dataset, with a new session.

        The service does not confirm the subscription (seen in clients).

        :param user_id: id of the token's user.
        :param dataset: id of the dataset.
        :param where: location of the dataset; None for a dataset of the connection's project.
        """
        payload: dict[str, Any] = {"userid": user_id}
        if dataset is not None:
            where = where or api.dataset_path(dataset, in_project=self._hook.has_project)
            payload["datasetid"] = dataset
        session = await self._hook.asend(api.websocket_session(where))
        redact_token(session)
        payload["websocket_session"] = session
        await self._send(engineio.format_event("authenticate", payload))

    async def receive(self) -> engineio.Event:
        """Wait for the next event, and return it.

        :raises TransportError: when the connection has broken, or is silent for two ping intervals.
        """
        self._last_frame = self._now()  # nothing was received before, so silence starts now
        while True:
            frame = await self._next()
            if isinstance(frame, engineio.Event):
                return frame
            if isinstance(frame, engineio.Closed):
                raise TransportError(f"the socket at {self._url} was closed by the service")

    # -- the connection

    async def _connect(self) -> Any:
        client = await load_client()
        settings = self._hook.settings
        uri = f"{self._hook.websocket_url}?EIO={self._protocol}&transport=websocket"
        options: dict[str, Any] = {}
        if uri.startswith("wss:"):
            from airflow_provider.core.http.async_transport import tls_context

            options["ssl"] = await tls_context(settings.verify)
        try:
            # Engine.IO has its own pings.
            return await client(
                uri,
                open_timeout=settings.timeout[0],
                ping_interval=None,
                close_timeout=1.0,
                max_size=MAX_MESSAGE_BYTES,
                logger=_wire,
                **options,
            )
        except Exception as error:
            failure = self._failure(error)
        # Out of its block, so that the error has not the library's as its context, with the proxy's password.
        raise failure

    def _failure(self, error: Exception) -> ProviderError:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status is not None and 300 <= status < 500:
            return RequestRejectedError(status, request=f"GET {self._url} (open the socket)")
        problem = f"answered {status}" if status else f"cannot be reached ({type(error).__name__})"
        return TransportError(f"the socket at {self._url} {problem}")

    async def _join(self) -> None:
        self._last_frame = self._last_ping = self._now()
        await self._send(engineio.JOIN)
        while True:
            frame = await self._next()
            if isinstance(frame, engineio.Joined):
                return
            if isinstance(frame, engineio.Refused):
                where = f"join {engineio.NAMESPACE} at {self._url}"
                raise RequestRejectedError(400, message=truncate(frame.reason), request=where)
            if isinstance(frame, engineio.Closed):
                raise TransportError(f"the socket at {self._url} was closed before it was joined")

    async def _next(self) -> engineio.Frame:
        """Return the next frame for the caller; send and answer pings, and detect silence meanwhile."""
        while True:
            wait = await self._keep_alive()
            try:
                async with asyncio.timeout(wait):
                    text = await self._socket.recv()
            except TimeoutError:
                continue
            except Exception as error:
                raise self._broke(error) from None
            self._last_frame = self._now()
            frame = engineio.parse_frame(text) if isinstance(text, str) else engineio.Ignored()
            if isinstance(frame, engineio.Handshake):
                self._handshake = frame
            elif isinstance(frame, engineio.Ping):
                await self._send(engineio.PONG + frame.data)
            else:
                return frame

    async def _keep_alive(self) -> float:
        """Send a ping when it is due; return the seconds until the next ping or timeout.

        :raises TransportError: when the connection is silent for too long.
        """
        now = self._now()
        interval = limited_ping_interval(self._handshake.ping_interval, self._protocol)
        silent_at = self._last_frame + SILENT_INTERVALS * interval
        if now >= silent_at:
            raise TransportError(f"the socket at {self._url} is silent for {now - self._last_frame:.0f} s")
        if self._protocol != 3:
            return silent_at - now
        if now >= self._last_ping + interval:
            self._last_ping = now
            await self._send(engineio.PING)
        return max(0.0, min(silent_at, self._last_ping + interval) - now)

    async def _send(self, text: str) -> None:
        try:
            await self._socket.send(text)
        except Exception as error:
            raise self._broke(error) from None

    def _broke(self, error: Exception) -> TransportError:
        return TransportError(f"the socket at {self._url} broke ({type(error).__name__})")

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


async def load_client() -> Any:
    """Return the WebSocket client class, imported in a thread, as the import would block the event loop.

    :raises InputError: when ``websockets`` is not installed.
    """
    return await asyncio.to_thread(_load_client)


def _load_client() -> Any:
    try:
        from websockets.asyncio.client import connect
    except ImportError:
        raise InputError(
            "events need the package 'websockets': pip install 'airflow-provider-digital-twin[realtime]'"
        ) from None

    class Connect(connect):
        """Connection to the given address only: it follows no redirect."""

        def __init__(self, uri: str, **options: Any) -> None:
            super().__init__(uri, **options)
            if is_loopback(urlsplit(uri).hostname):
                self.proxy = None  # plain http is allowed on this machine, so it must not leave it

        def process_redirect(self, exc: Exception) -> Exception:
            return exc

    return Connect
