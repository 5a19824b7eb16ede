"""One connection to AmigoCloud's socket.

No maintained library speaks Engine.IO 3, which the vendor's clients use; frames are in
:mod:`airflow_provider.amigocloud.realtime.engineio`, this is their way over a WebSocket.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from airflow_provider.amigocloud import api
from airflow_provider.amigocloud.realtime import engineio
from airflow_provider.core.http.reply import truncate
from airflow_provider.core.redaction import redact_token, without_query
from airflow_provider.core.urls import is_loopback
from airflow_provider.errors import InputError, ProviderError, RequestRejectedError, TransportError

if TYPE_CHECKING:
    from airflow_provider.amigocloud.hooks_base import ProjectHook


QUIET = 2.5
"""So many ping intervals without any frame, and the connection counts as dead: two in which nothing came, and
time for the answer to the last ping."""


LARGEST = 4 << 20


INTERVALS = {3: (1.0, 30.0), 4: (1.0, 300.0)}
"""Least and most seconds between pings by protocol, whatever the server says: in 3 we send them."""

_wire = logging.getLogger(f"{__name__}.wire")


_wire.setLevel(logging.WARNING)  # below, it would print sessions


def pauses(first: float = 0.5, longest: float = 60.0) -> Iterator[float]:
    """Give the seconds between attempts to connect: doubling, jittered, for ever."""
    current = first
    while True:
        yield current * random.uniform(0.5, 1.0)  # noqa: S311
        current = min(longest, current * 2)


def interval_of(said: float, protocol: int) -> float:
    """Give the seconds between pings: those that the server says, as far as they make sense."""
    least, most = INTERVALS[protocol]
    return min(max(said, least), most)


class EventSocket:
    """Listens to a user's and datasets' events until the connection breaks.

    A context manager: inside, the namespace is joined. There is no replay, so whoever listens looks at what
    matters after each connect.

    :param hook: whose connection; its token must be a user's.
    :param protocol: Engine.IO 3; or 4, where the server pings (should the vendor upgrade).
    :raises TransportError: when there is no connection.
    :raises RequestRejectedError: when the server refuses the protocol, or the namespace.
    """

    def __init__(self, hook: ProjectHook, protocol: int = 3) -> None:
        self._hook = hook
        self._protocol = protocol
        self._socket: Any = None
        self._opened = engineio.Opened()
        self._heard = self._pinged = 0.0

    async def __aenter__(self) -> Self:
        settings = await self._hook.aload()
        self._where = without_query(self._hook.websocket_url)
        self._socket = await self._connect()
        try:
            async with asyncio.timeout(settings.timeout[0]):
                await self._join()
        except BaseException as error:
            await self._socket.close()
            if isinstance(error, TimeoutError):
                raise TransportError(f"the socket at {self._where} opened, but did not greet") from None
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._socket.close()

    async def authenticate(
        self, user_id: int, dataset: int | None = None, where: api.Place | None = None
    ) -> None:
        """Ask for the user's events, or for the broadcasts of a dataset, with a fresh session.

        The service does not say whether it took it (seen in clients).

        :param user_id: id of the token's user.
        :param dataset: id of the dataset.
        :param where: where the dataset is; below the connection's project when it is None.
        """
        said: dict[str, Any] = {"userid": user_id}
        if dataset is not None:
            where = where or api.dataset_path(dataset, in_project=self._hook.has_project)
            said["datasetid"] = dataset
        session = await self._hook.asend(api.websocket_session(where))
        redact_token(session)
        said["websocket_session"] = session
        await self._send(engineio.event("authenticate", said))

    async def receive(self) -> engineio.Happened:
        """Wait for the next event.

        :raises TransportError: when the connection broke, or is silent for two ping intervals.
        """
        self._heard = self._now()  # nobody listened before, so silence begins now
        while True:
            frame = await self._next()
            if isinstance(frame, engineio.Happened):
                return frame
            if isinstance(frame, engineio.Ended):
                raise TransportError(f"the socket at {self._where} was closed by the service")

    # -- the connection

    async def _connect(self) -> Any:
        client = await load_client()
        settings, uri = (
            self._hook.settings,
            f"{self._hook.websocket_url}?EIO={self._protocol}&transport=websocket",
        )
        options: dict[str, Any] = {}
        if uri.startswith("wss:"):
            from airflow_provider.core.http.async_transport import tls_context

            options["ssl"] = await tls_context(settings.verify)
        try:
            # Engine.IO has pings of its own.
            return await client(
                uri,
                open_timeout=settings.timeout[0],
                ping_interval=None,
                close_timeout=1.0,
                max_size=LARGEST,
                logger=_wire,
                **options,
            )
        except Exception as error:
            raise self._failure(error) from None

    def _failure(self, error: Exception) -> ProviderError:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status is not None and 300 <= status < 500:
            return RequestRejectedError(status, request=f"GET {self._where} (open the socket)")
        what = f"answered {status}" if status else f"cannot be reached ({type(error).__name__})"
        return TransportError(f"the socket at {self._where} {what}")

    async def _join(self) -> None:
        self._heard = self._pinged = self._now()
        await self._send(engineio.JOIN)
        while True:
            frame = await self._next()
            if isinstance(frame, engineio.Joined):
                return
            if isinstance(frame, engineio.Refused):
                where = f"join {engineio.NAMESPACE} at {self._where}"
                raise RequestRejectedError(400, message=truncate(frame.why), request=where)
            if isinstance(frame, engineio.Ended):
                raise TransportError(f"the socket at {self._where} was closed before it was joined")

    async def _next(self) -> engineio.Frame:
        """Read a frame; meanwhile ping, answer pings, and notice silence."""
        while True:
            patience = await self._patience()
            try:
                async with asyncio.timeout(patience):
                    text = await self._socket.recv()
            except TimeoutError:
                continue
            except Exception as error:
                raise self._broke(error) from None
            self._heard = self._now()
            frame = engineio.read(text) if isinstance(text, str) else engineio.Other()
            if isinstance(frame, engineio.Opened):
                self._opened = frame
            elif isinstance(frame, engineio.Pinged):
                await self._send(engineio.PONG + frame.data)
            else:
                return frame

    async def _patience(self) -> float:
        """Ping when it is time to; give the seconds until there is something to do again."""
        now = self._now()
        interval = interval_of(self._opened.ping_interval, self._protocol)
        silent_at = self._heard + QUIET * interval
        if now >= silent_at:
            raise TransportError(f"the socket at {self._where} is silent for {now - self._heard:.0f} s")
        if self._protocol != 3:
            return silent_at - now
        if now >= self._pinged + interval:
            self._pinged = now
            await self._send(engineio.PING)
        return max(0.0, min(silent_at, self._pinged + interval) - now)

    async def _send(self, text: str) -> None:
        try:
            await self._socket.send(text)
        except Exception as error:
            raise self._broke(error) from None

    def _broke(self, error: Exception) -> TransportError:
        return TransportError(f"the socket at {self._where} broke ({type(error).__name__})")

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


async def load_client() -> Any:
    """Give what connects a WebSocket; imported in a thread, as it takes too long for an event loop.

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
        """Connects to the place it is told, and to no other."""

        def __init__(self, uri: str, **options: Any) -> None:
            super().__init__(uri, **options)
            if is_loopback(urlsplit(uri).hostname):
                self.proxy = None  # what may be plain http on this machine must not leave it

        def process_redirect(self, exc: Exception) -> Exception:
            return exc

    return Connect
