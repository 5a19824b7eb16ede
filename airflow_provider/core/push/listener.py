"""Listener: one connection to a broker for all watchers of an Airflow connection, reopened forever.

A broker delivers what is published while a client is connected. After each connect the watchers therefore
poll; the poll finds what was published meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator, Mapping
from contextlib import asynccontextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import msgspec

from airflow_provider.core.polling import backoff_delays
from airflow_provider.core.push.broker import Broker, BrokerConnection, BrokerRefusedError
from airflow_provider.core.push.inbox import Inbox
from airflow_provider.core.push.topics import TopicPattern
from airflow_provider.core.redaction import redact
from airflow_provider.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

STABLE_SECONDS = 10.0
"""Seconds after which a connection counts as stable, so that the backoff starts over when it breaks."""

REFUSED_SECONDS = 300.0
"""Maximum seconds between attempts while the broker refuses the credentials, or the connection is invalid."""

REPEATED_SECONDS = 600.0
"""Seconds after which a problem that lasts is logged as before."""

MAX_PAYLOAD_BYTES = 256 << 10
"""Maximum bytes of a message that is read."""

LoadBroker = Callable[[], Awaitable[Broker]]
"""Reads the broker from the Airflow connection, which may have changed since the last attempt."""

ReadMessage = Callable[[Mapping[str, str], Mapping[str, Any], Inbox], None]
"""Puts the values of a message into the inbox, in the network's thread: gets the names in its topic, and its
payload."""


class Repeats:
    """Notes of what was logged, so that it is logged again only after :data:`REPEATED_SECONDS`."""

    def __init__(self) -> None:
        self._logged: dict[Hashable, float] = {}

    def is_due(self, key: Hashable) -> bool:
        """Return whether to log something now, and note it."""
        now = _now()
        self._logged = {one: at for one, at in self._logged.items() if now - at < REPEATED_SECONDS}
        is_due = key not in self._logged
        self._logged.setdefault(key, now)
        return is_due


@dataclass(eq=False)
class Subscription:
    """The subscription of one watcher.

    :param names: values of the names in topics, such as the id of a space; None for the broker's.
    :param read: see :data:`ReadMessage`.
    :param inbox: receives the values.
    :param log: receives what is wrong with the connection, and with this watcher's topics.
    """

    names: Mapping[str, str | None]
    read: ReadMessage
    inbox: Inbox
    log: Logger
    patterns: list[TopicPattern] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    repeats: Repeats = field(default_factory=Repeats)
    knows_unreadable: bool = False
    context: Context = field(default_factory=copy_context)  # the log of a watcher belongs to its task

    def set_topics(self, broker: Broker) -> set[str]:
        """Take the topics of a broker; return the filters to subscribe to.

        A topic that this watcher's names make impossible is left out, and is an error of this watcher alone.
        """
        names = {**broker.names, **{name: value for name, value in self.names.items() if value is not None}}
        patterns = [TopicPattern(template, names) for template in broker.topics]
        self.patterns = [pattern for pattern in patterns if not pattern.problem]
        self.problems = [pattern.problem for pattern in patterns if pattern.problem]
        text = redact("; ".join(self.problems))[:1000]
        if text and self.repeats.is_due(text):
            self.write("error", "changes of this watcher's Things are found by polling: %s", text)
        return self.filters

    def write(self, level: str, message: str, *arguments: Any) -> None:
        """Write into the watcher's log, from any thread."""
        self.context.copy().run(getattr(self.log, level), message, *arguments)

    @property
    def filters(self) -> set[str]:
        """The filters to subscribe to."""
        return {pattern.subscription for pattern in self.patterns}

    def is_whole(self, subscribed: set[str]) -> bool:
        """Return whether all topics are subscribed to."""
        return not self.problems and self.filters <= subscribed

    def receive(self, topic: str, payload: Mapping[str, Any]) -> None:
        """Read a message whose topic is one of this subscription."""
        for pattern in self.patterns:
            names = pattern.read(topic)
            if names is not None:
                self.read(names, payload, self.inbox)
                return


class Listener:
    """The connection to a broker that the watchers of one Airflow connection share.

    What is wrong with it is in the log of each watcher, once, and again after :data:`REPEATED_SECONDS`.

    :param load: see :data:`LoadBroker`.
    """

    def __init__(self, load: LoadBroker) -> None:
        self.connects = 0
        self.messages = 0
        self.unreadable = 0
        self._load = load
        self._refused: set[str] = set()
        self._subscriptions: set[Subscription] = set()
        self._added = asyncio.Event()
        self._delays, self._refused_delays = backoff_delays(), _refused_delays()
        self._task = asyncio.get_running_loop().create_task(self._serve())

    def add(self, subscription: Subscription) -> None:
        """Subscribe a watcher to its topics, now if there is a connection, and after each connect."""
        self._subscriptions = {*self._subscriptions, subscription}  # the network's thread reads it
        self._added.set()

    def remove(self, subscription: Subscription) -> bool:
        """Remove a watcher; return whether another one is left."""
        self._subscriptions = self._subscriptions - {subscription}
        self._added.set()
        return bool(self._subscriptions)

    async def close(self) -> None:
        """Close the connection."""
        self._task.cancel()
        await asyncio.wait([self._task])

    # -- the connection

    async def _serve(self) -> None:
        while True:
            started = _now()
            try:
                broker = await self._load()
                async with BrokerConnection(broker, self._receive) as connection:
                    self._refused_delays = _refused_delays()
                    await self._listen(broker, connection)
                self._note_broken()
            except Exception as error:
                self._note_broken()
                if _now() - started > STABLE_SECONDS:
                    self._delays = backoff_delays()
                is_refused = isinstance(error, (BrokerRefusedError, InputError))
                delay = next(self._refused_delays if is_refused else self._delays)
                self._log_problem(error, delay, is_refused=is_refused)
                await asyncio.sleep(delay)

    async def _listen(self, broker: Broker, connection: BrokerConnection) -> None:
        """Subscribe for each watcher, now and later, until the connection breaks or another one is needed.

        Topics that are refused are asked for again, as a person may have corrected the broker's access list.
        When the Airflow connection was corrected, this one ends.
        """
        subscribed, granted, delays = set[str](), dict[Subscription, set[str]](), _refused_delays()
        while not connection.broken.done():
            self._added.clear()
            current = self._subscriptions
            for one in current - granted.keys():
                one.set_topics(broker)
            wanted = {topic for one in current for topic in one.filters}
            connection.unsubscribe(sorted(subscribed - wanted))
            self._refused = await connection.subscribe(sorted(wanted - subscribed))
            subscribed = wanted - self._refused
            self._log_refused(broker)
            before, granted = granted, {one: one.filters & subscribed for one in current}
            new = [one for one, topics in granted.items() if topics and topics != before.get(one)]
            self._note_connected(broker, new, subscribed)
            pause = next(delays) if self._refused else None
            if not await self._wait(connection, pause) and await self._load() != broker:
                return
        connection.broken.result()

    async def _wait(self, connection: BrokerConnection, seconds: float | None) -> bool:
        """Wait until the connection breaks or the watchers change; return False when neither happens."""
        added = asyncio.ensure_future(self._added.wait())
        futures: list[asyncio.Future[Any]] = [connection.broken, added]
        try:
            done, _ = await asyncio.wait(futures, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            added.cancel()
        return bool(done)

    def _note_connected(self, broker: Broker, new: list[Subscription], subscribed: set[str]) -> None:
        for subscription in new:
            subscription.inbox.set_connected(True, whole=subscription.is_whole(subscribed))
        for subscription in new:
            if subscription.repeats.is_due("connected"):
                subscription.write("info", "values are pushed by the broker %s", broker.url)
        self.connects += bool(new)

    def _note_broken(self) -> None:
        for subscription in self._subscriptions:
            subscription.inbox.set_connected(False)

    def _log_refused(self, broker: Broker) -> None:
        for one in self._subscriptions:
            refused = sorted(self._refused & one.filters)
            if new := [topic for topic in refused if one.repeats.is_due(("refused", topic))]:
                one.write(
                    "error",
                    "the broker %s refuses subscriptions, so that changes of these topics are found by"
                    " polling only; check its access list and the topics of the connection: %s",
                    broker.url,
                    ", ".join(new)[:300],
                )

    def _log_problem(self, error: Exception, delay: float, *, is_refused: bool) -> None:
        text, level = redact(str(error)), "error" if is_refused else "warning"
        message = "no values are pushed, changes are found by polling only; next attempt in %.1f s: %s"
        for subscription in self._subscriptions:
            if subscription.repeats.is_due(text):
                subscription.write(level, message, delay, text)

    # -- messages, in the network's thread

    def _receive(self, topic: str, payload: bytes) -> None:
        self.messages += 1
        try:
            if len(payload) > MAX_PAYLOAD_BYTES:
                raise ValueError(f"more than {MAX_PAYLOAD_BYTES} bytes are too many")
            values = msgspec.json.decode(payload)
            if not isinstance(values, dict):
                raise TypeError("no JSON object")
        except (ValueError, TypeError, RecursionError) as error:
            self._log_unreadable(topic, error)
            return
        for subscription in self._subscriptions:
            subscription.receive(topic, values)

    def _log_unreadable(self, topic: str, error: Exception) -> None:
        self.unreadable += 1
        for one in self._subscriptions:
            if not one.knows_unreadable:
                one.knows_unreadable = True
                one.write(
                    "warning",
                    "a message cannot be read and is ignored, as are later ones like it; topic %r: %s",
                    redact(topic)[:200],
                    redact(str(error))[:200],
                )


_listeners: WeakKeyDictionary[Any, dict[Hashable, Listener]] = WeakKeyDictionary()
"""Running listeners by event loop and key."""


@asynccontextmanager
async def subscribed(
    key: Hashable,
    load: LoadBroker,
    names: Mapping[str, str | None],
    read: ReadMessage,
    log: Logger,
) -> AsyncIterator[Inbox]:
    """Yield an inbox that gets pushed values within the block, over a connection that watchers share.

    :param key: the Airflow connection; watchers with the same key share a connection to its broker.
    :param load: see :data:`LoadBroker`.
    :param names: see :class:`Subscription`.
    :param read: see :data:`ReadMessage`.
    :param log: receives what is wrong with the connection.
    """
    listeners = _listeners.setdefault(asyncio.get_running_loop(), {})
    listener = listeners.get(key) or listeners.setdefault(key, Listener(load))
    subscription = Subscription(names, read, Inbox(), log)
    listener.add(subscription)
    try:
        yield subscription.inbox
    finally:
        if not listener.remove(subscription):
            del listeners[key]
            await listener.close()


def _refused_delays() -> Iterator[float]:
    return backoff_delays(5.0, REFUSED_SECONDS)


def _now() -> float:
    return asyncio.get_running_loop().time()
