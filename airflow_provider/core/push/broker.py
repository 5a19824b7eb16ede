"""Connection to an MQTT broker: opened and read in threads, so that no event loop waits for the network."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from airflow_provider.core.http.reply import truncate
from airflow_provider.core.urls import is_loopback
from airflow_provider.errors import InputError, ProviderError, TransportError

KEEP_ALIVE_SECONDS = 30
"""Seconds without any packet after which the client sends a ping, and again until the connection is dead."""

QOS = 1
"""Quality of service of subscriptions: at least once. Duplicates are harmless, as values are compared."""

MAX_KEPT_BYTES = 512 << 10
"""Maximum bytes that are kept of a packet, whatever its length: more than any payload that is read."""

_RECEIVED_BYTES = 64 << 10
"""Maximum bytes that are received at once."""

_REFUSED = {1, 2, 4, 5, 132, 133, 134, 135, 138, 140}
"""Reason codes of a broker that answers, but does not accept the client or its credentials."""


class BrokerRefusedError(ProviderError):
    """The broker refuses the credentials: retries do not help until a person acts."""


@dataclass(frozen=True)
class Broker:
    """A broker as one Airflow connection sees it.

    :param url: its address, for messages.
    :param host: name of its host.
    :param port: its port.
    :param tls: whether the connection is encrypted.
    :param verify: whether the broker's certificate is verified, or the path of a CA bundle.
    :param username: user name; empty for none.
    :param password: password; empty for none.
    :param connect_timeout: maximum seconds to connect.
    :param topics: templates of the topics to subscribe to.
    :param names: values of the names in these templates.
    """

    url: str
    host: str
    port: int
    tls: bool = True
    verify: bool | str = True
    username: str = ""
    password: str = field(default="", repr=False)
    connect_timeout: float = 10.0
    topics: tuple[str, ...] = ()
    names: Mapping[str, str | None] = field(default_factory=dict)


Receive = Callable[[str, bytes], None]
"""Receives topic and payload of a message, in the network's thread."""


class BrokerConnection:
    """A connection to a broker, from ``async with`` until it breaks; ``broken`` then has the error.

    :param broker: the broker.
    :param receive: see :data:`Receive`.
    :raises TransportError: when the broker cannot be reached.
    :raises BrokerRefusedError: when it refuses the credentials.
    :raises InputError: when the package of the client is not installed.
    """

    def __init__(self, broker: Broker, receive: Receive) -> None:
        self._broker = broker
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._connected: asyncio.Future[None] = self._loop.create_future()
        self.broken: asyncio.Future[None] = self._loop.create_future()
        self._granted: dict[int, asyncio.Future[Sequence[Any]]] = {}
        self._client: Any = None
        self._is_closed = False

    async def __aenter__(self) -> Self:
        broker = self._broker
        context = await _tls_context(broker) if broker.tls else None
        client = self._client = await asyncio.to_thread(_new_client, broker, context)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_message, client.on_subscribe = self._on_message, self._on_subscribe
        try:
            async with asyncio.timeout(2 * broker.connect_timeout + 1):
                await asyncio.to_thread(self._open)
                await self._connected
        except BaseException as error:
            await self._close()
            if isinstance(error, TimeoutError):
                raise TransportError(f"the broker {broker.url} did not answer in time") from None
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._close()

    async def subscribe(self, topics: Sequence[str]) -> set[str]:
        """Subscribe to topics; return those that the broker refuses.

        :raises TransportError: when it does not answer.
        """
        if not topics:
            return set()
        try:
            result, mid = self._client.subscribe([(topic, QOS) for topic in topics])
        except ValueError as error:
            raise InputError(f"{', '.join(topics):.300}: {error}", "topics") from None
        if result:
            raise TransportError(f"the connection to {self._broker.url} has broken")
        granted = self._granted.setdefault(mid, self._loop.create_future())
        try:
            async with asyncio.timeout(self._broker.connect_timeout):
                futures: list[asyncio.Future[Any]] = [granted, self.broken]
                await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise TransportError(f"the broker {self._broker.url} did not confirm a subscription") from None
        if self.broken.done():
            self.broken.result()
        codes = self._granted.pop(mid).result()
        # A topic that the answer leaves out is not subscribed to.
        granted_topics = {topic for topic, code in zip(topics, codes, strict=False) if not code.is_failure}
        return {*topics} - granted_topics

    def unsubscribe(self, topics: Sequence[str]) -> None:
        """Cancel subscriptions, without waiting for the broker's confirmation."""
        if topics:
            self._client.unsubscribe(list(topics))

    def _open(self) -> None:
        client, broker = self._client, self._broker
        try:
            client.connect(broker.host, broker.port, KEEP_ALIVE_SECONDS)
        except (OSError, ValueError) as error:
            text = error.strerror if isinstance(error, OSError) else None
            reason = text or type(error).__name__
            raise TransportError(f"the broker {broker.url} cannot be reached: {reason}") from None
        if not self._is_closed:  # else the client closes its socket when it is deleted
            client.loop_start()

    async def _close(self) -> None:
        self._is_closed = True
        for future in (self._connected, self.broken):
            future.cancel()
        if self._client is not None:
            # The thread ends by itself when this coroutine is cancelled meanwhile.
            await asyncio.shield(asyncio.to_thread(_shut, self._client))

    # -- callbacks of the network's thread

    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any = None) -> None:
        error = _refusal(self._broker, reason) if reason.is_failure else None
        self._on_loop(_complete, self._connected, None, error)

    def _on_disconnect(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any = None) -> None:
        why = truncate(str(reason))
        error = TransportError(f"the connection to the broker {self._broker.url} has broken: {why}")
        self._on_loop(self._break, error)

    def _break(self, error: ProviderError) -> None:
        _complete(self._connected, None, error)
        _complete(self.broken, None, error)

    def _on_message(self, client: Any, data: Any, message: Any) -> None:
        with suppress(UnicodeDecodeError):
            self._receive(message.topic, message.payload)

    def _on_subscribe(self, client: Any, data: Any, mid: int, codes: Any, properties: Any = None) -> None:
        self._on_loop(self._grant, mid, codes)

    def _grant(self, mid: int, codes: Sequence[Any]) -> None:
        _complete(self._granted.setdefault(mid, self._loop.create_future()), codes, None)

    def _on_loop(self, call: Callable[..., None], *arguments: Any) -> None:
        with suppress(RuntimeError):  # the loop was closed
            self._loop.call_soon_threadsafe(call, *arguments)


def check_broker(broker: Broker, topics: Sequence[str] = ()) -> list[str]:
    """Connect once, subscribe, and disconnect; return the topics that the broker refuses.

    :param broker: the broker.
    :param topics: the filters to subscribe to.
    :raises ProviderError: when that fails, see :class:`BrokerConnection`, or when all topics are refused.
    """

    async def connect() -> list[str]:
        async with BrokerConnection(broker, lambda *_: None) as connection:
            return sorted(await connection.subscribe(topics))

    # In a thread of its own: in a notebook, the caller's thread runs an event loop.
    with ThreadPoolExecutor(1) as thread:
        refused = thread.submit(asyncio.run, connect()).result()
    if topics and len(refused) == len(set(topics)):
        raise BrokerRefusedError(
            f"the broker {broker.url} accepts the credentials, but refuses to subscribe to all topics, see"
            f" its access list: {', '.join(refused):.300}"
        )
    return refused


async def _tls_context(broker: Broker) -> ssl.SSLContext:
    from airflow_provider.core.http.async_transport import tls_context

    return await tls_context(broker.verify)


def _complete(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
        future.exception()  # no warning when it is never awaited


def _refusal(broker: Broker, reason: Any) -> ProviderError:
    text = f"the broker {broker.url} refuses the connection: {truncate(str(reason))}"
    if int(reason.value) in _REFUSED:
        return BrokerRefusedError(f"{text}; check the user name and the password of the broker")
    return TransportError(text)


def _new_client(broker: Broker, context: ssl.SSLContext | None) -> Any:
    try:
        make = _client_class(is_local=is_loopback(broker.host))
    except ImportError:
        raise InputError(
            "pushed values need the package 'paho-mqtt': pip install 'airflow-provider-digital-twin[mqtt]'"
        ) from None

    from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

    client = make(
        CallbackAPIVersion.VERSION2,
        client_id=f"airflow-{secrets.token_hex(7)}",
        protocol=MQTTProtocolVersion.MQTTv311,
        reconnect_on_failure=False,
    )
    client.connect_timeout = broker.connect_timeout
    client.suppress_exceptions = True
    if broker.username:
        client.username_pw_set(broker.username, broker.password or None)
    if context is not None:
        client.tls_set_context(context)
    return client


def _client_class(*, is_local: bool) -> Any:
    from paho.mqtt.client import Client
    from paho.mqtt.enums import MQTTErrorCode

    class BrokerClient(Client):
        """Client that connects to this machine without a proxy, and that no packet fills or ends."""

        def _get_proxy(self) -> Any:
            return None if is_local else super()._get_proxy()

        def _sock_recv(self, bufsize: int) -> bytes:
            # The end of a packet that is too large is received and dropped: a message of 256 MB is valid.
            del self._in_packet["packet"][MAX_KEPT_BYTES:]
            return super()._sock_recv(min(bufsize, _RECEIVED_BYTES))

        def _packet_handle(self) -> MQTTErrorCode:
            try:
                return super()._packet_handle()
            except Exception:  # Of any kind: older releases end their thread with it, unseen.
                return MQTTErrorCode.MQTT_ERR_PROTOCOL

    return BrokerClient


def _shut(client: Any) -> None:
    client.on_message = None
    client.disconnect()
    client.loop_stop()
