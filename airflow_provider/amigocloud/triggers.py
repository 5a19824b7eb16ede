"""Waits for AmigoCloud in the triggerer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Mapping, Sequence
from contextlib import aclosing
from importlib import import_module
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider.amigocloud import api
from airflow_provider.amigocloud.conditions import QUESTIONS, alook
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.watchers.observations import CHANGED, Ledger, Sighting
from airflow_provider.amigocloud.watchers.registry import Wishes
from airflow_provider.core.state.identity import fingerprint
from airflow_provider.core.state.watcher_state import WatcherState
from airflow_provider.core.triggers import PollTrigger

__all__ = ["AmigoCloudDatasetTrigger", "AmigoCloudEventTrigger", "AmigoCloudTrigger"]


class AmigoCloudTrigger(PollTrigger):
    """Fires when a job is done, a dataset has changed, or a query is true, or at the deadline.

    :param amigocloud_conn_id: the connection; nothing else of it is kept.
    :param question: name of the question (``JobIsDone``, ``DatasetHasChanged``, ``QueryIsTrue``).
    :param about: the question's arguments: ids, a query.
    :param deadline: seconds since the epoch.
    :param poll_interval: the longest interval in seconds.
    """

    def __init__(
        self,
        *,
        amigocloud_conn_id: str,
        question: str,
        about: Mapping[str, Any],
        deadline: float,
        poll_interval: float = 10.0,
    ) -> None:
        super().__init__(deadline=deadline, poll_interval=poll_interval)
        self.amigocloud_conn_id = amigocloud_conn_id
        self.question = question
        self.about = dict(about)
        self._hook: AmigoCloudHook | None = None

    def arguments(self) -> dict[str, Any]:
        """Give the constructor's arguments; no credential is among them."""
        return {
            "amigocloud_conn_id": self.amigocloud_conn_id,
            "question": self.question,
            "about": self.about,
            "deadline": self.deadline,
            "poll_interval": self.poll_interval,
        }

    async def poll(self) -> dict[str, Any] | None:
        """Look once."""
        self._hook = self._hook or AmigoCloudHook(self.amigocloud_conn_id)
        return await alook(self._hook, QUESTIONS[self.question](**self.about), self.poll_interval * 0.5)


_wishes: WeakKeyDictionary[Any, dict[Hashable, Wishes]] = WeakKeyDictionary()


class _Watcher(BaseEventTrigger):
    """What both triggers do: take part in the connection's lookout, and fire for what is news.

    On Airflow 3.3 all watchers of a connection share one lookout, and the state of their assets remembers
    what they know. On older versions each has its own, and knows what it has seen since the triggerer began.
    """

    with_socket: ClassVar[bool]
    amigocloud_conn_id: str
    poll_interval: float

    def arguments(self) -> dict[str, Any]:
        """Give the constructor's arguments; no credential is among them."""
        raise NotImplementedError

    def wanted(self) -> tuple[list[str], int | None]:
        """Say which events of which dataset are wanted."""
        raise NotImplementedError

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give Airflow what it needs to make this trigger again elsewhere."""
        return f"airflow_provider.amigocloud.triggers.{type(self).__qualname__}", self.arguments()

    def shared_stream_key(self) -> Hashable:
        """Name what all watchers of a connection share."""
        return _key(type(self), self.amigocloud_conn_id)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Sighting]:
        """Listen and look for all of them."""
        conn_id = kwargs["amigocloud_conn_id"]
        async with aclosing(_sightings(cls, conn_id, _wishes_of(_key(cls, conn_id)))) as sightings:
            async for sighting in sightings:
                yield sighting

    def filter_shared_stream(self, shared_stream: AsyncIterator[Sighting]) -> AsyncIterator[TriggerEvent]:
        """Fire for what is wanted and new."""
        return self._events(shared_stream, _wishes_of(_key(type(self), self.amigocloud_conn_id)))

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Listen and look alone, where Airflow has no shared streams."""
        wishes = Wishes()
        async with (
            aclosing(_sightings(type(self), self.amigocloud_conn_id, wishes)) as sightings,
            aclosing(self._events(sightings, wishes)) as events,
        ):
            async for event in events:
                yield event

    async def _events(
        self, sightings: AsyncIterator[Sighting], wishes: Wishes
    ) -> AsyncGenerator[TriggerEvent, None]:
        patterns, dataset = self.wanted()
        memory = WatcherState(self, f"amigocloud {fingerprint([patterns, dataset])}", self.log)
        ledger = Ledger(patterns, dataset, await memory.read())
        with wishes.one_more(ledger, self.poll_interval) as watching:
            async for sighting in sightings:
                for payload in ledger.take(sighting, asyncio.get_running_loop().time()):
                    yield TriggerEvent(payload)  # type: ignore[no-untyped-call]
                # After the event: a crash in between repeats it, the other way round would lose it.
                if (state := ledger.new_state()) is not None:
                    await memory.write(state)
                wishes.taken(watching)


class AmigoCloudEventTrigger(_Watcher):
    """Fires for an ``AssetWatcher`` when AmigoCloud tells an event, or when a look shows that one was missed.

    An event's payload has ``event`` (its name), the ids that the service tells (``dataset_id``,
    ``project_id``, ``user_id``, ``job``...), ``source`` (``socket`` or ``poll``), and for a watched dataset
    ``master``, the state it is in. Lists are counted, not repeated.

    The service tells an event once, to who listens, so there is a look after each connect and at an interval:
    at the state of ``dataset``, at the project's list for new and deleted datasets, and at jobs whose
    beginning was told. What is neither is lost while the socket is down.

    :param amigocloud_conn_id: the connection, with a user's token: the socket refuses those of projects, and
        then there are looks only.
    :param events: names, or patterns with ``*``: ``["dataset:creation_*"]``; names are those of the vendor's
        docs. ``realtime`` is a change of ``dataset``.
    :param dataset: only events of the dataset with this id, and its broadcasts.
    :param poll_interval: seconds between looks; of several watchers of a connection the shortest holds.
    """

    with_socket = True

    def __init__(
        self,
        *,
        amigocloud_conn_id: str = AmigoCloudHook.default_conn_name,
        events: Sequence[str],
        dataset: int | str | None = None,
        poll_interval: float = 60.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.amigocloud_conn_id = amigocloud_conn_id
        self.events = events
        self.dataset = dataset
        self.poll_interval = poll_interval

    def arguments(self) -> dict[str, Any]:
        """Give connection id, names, dataset and interval."""
        return {
            "amigocloud_conn_id": self.amigocloud_conn_id,
            "events": [self.events] if isinstance(self.events, str) else list(self.events),
            "dataset": self.dataset,
            "poll_interval": self.poll_interval,
        }

    def wanted(self) -> tuple[list[str], int | None]:
        """Give the names and the dataset's id."""
        return self.arguments()["events"], None if self.dataset is None else api.dataset_number(self.dataset)


class AmigoCloudDatasetTrigger(_Watcher):
    """Fires for an ``AssetWatcher`` when a dataset has changed, by looking at its state; needs no socket.

    Several changes between two looks are one event: ``{"event": "dataset:changed", "dataset_id", "master",
    "source": "poll"}``. Each look is one tiny request for each dataset that is watched on the connection.

    :param amigocloud_conn_id: the connection.
    :param dataset: the dataset's id.
    :param poll_interval: seconds between looks; of several watchers of a connection the shortest holds.
    """

    with_socket = False

    def __init__(
        self,
        *,
        amigocloud_conn_id: str = AmigoCloudHook.default_conn_name,
        dataset: int | str,
        poll_interval: float = 60.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.amigocloud_conn_id = amigocloud_conn_id
        self.dataset = dataset
        self.poll_interval = poll_interval

    def arguments(self) -> dict[str, Any]:
        """Give connection id, dataset and interval."""
        return {
            "amigocloud_conn_id": self.amigocloud_conn_id,
            "dataset": self.dataset,
            "poll_interval": self.poll_interval,
        }

    def wanted(self) -> tuple[list[str], int | None]:
        """Give the dataset's id."""
        return [CHANGED], api.dataset_number(self.dataset)


def _key(kind: type[_Watcher], conn_id: str) -> Hashable:
    return ("amigocloud", "events" if kind.with_socket else "states", conn_id)


def _wishes_of(key: Hashable) -> Wishes:
    return _wishes.setdefault(asyncio.get_running_loop(), {}).setdefault(key, Wishes())


async def _sightings(kind: type[_Watcher], conn_id: str, wishes: Wishes) -> AsyncGenerator[Sighting, None]:
    # Not above: DAG files with a watcher are read often. In a thread: it takes too long for an event loop.
    lookout = await asyncio.to_thread(import_module, "airflow_provider.amigocloud.watchers.monitor")
    out = lookout.Lookout(lambda: AmigoCloudHook(conn_id), wishes, with_socket=kind.with_socket)
    async with aclosing(out.sightings()) as sightings:
        async for sighting in sightings:
            yield sighting
