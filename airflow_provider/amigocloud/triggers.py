"""Triggers for AmigoCloud: deferred conditions, and watchers of events for assets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Mapping, Sequence
from contextlib import aclosing
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider.amigocloud import api
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.values import problems_of
from airflow_provider.amigocloud.watchers.observations import CHANGED, Observation, ObservedState
from airflow_provider.core.state.identity import fingerprint
from airflow_provider.core.triggers import PollTrigger, read_interval
from airflow_provider.errors import InputError

if TYPE_CHECKING:
    from airflow_provider.amigocloud.watchers.registry import WatchRegistry
    from airflow_provider.core.state.firing import Decision

__all__ = ["AmigoCloudDatasetTrigger", "AmigoCloudEventTrigger", "AmigoCloudTrigger"]


class AmigoCloudTrigger(PollTrigger):
    """Fire when a job is done, a dataset has changed, a query is true, or the deadline has passed.

    :param amigocloud_conn_id: id of the Airflow connection; the trigger holds no credential.
    :param question: name of the condition (``JobIsDone``, ``DatasetHasChanged``, ``QueryIsTrue``).
    :param about: arguments of the condition: ids, a query.
    :param deadline: seconds since the epoch.
    :param poll_interval: maximum seconds between polls.
    """

    late_modules = ("airflow_provider.amigocloud.conditions", "airflow_provider.amigocloud.sql.statement")

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
        """Return the constructor's arguments; no credential is among them."""
        return {
            "amigocloud_conn_id": self.amigocloud_conn_id,
            "question": self.question,
            "about": self.about,
            "deadline": self.deadline,
            "poll_interval": self.poll_interval,
        }

    async def poll(self) -> dict[str, Any] | None:
        """Evaluate the condition once."""
        from airflow_provider.amigocloud.conditions import CONDITIONS, acheck

        self._hook = self._hook or AmigoCloudHook(self.amigocloud_conn_id)
        condition = CONDITIONS[self.question](**self.about)
        return await acheck(self._hook, condition, max_age=self.poll_interval * 0.5)


_registries: WeakKeyDictionary[Any, dict[Hashable, WatchRegistry]] = WeakKeyDictionary()
"""Registries of the watchers by event loop and shared stream."""


class _Watcher(BaseEventTrigger):
    """Base trigger for assets: register with the connection's monitor, and fire for new events.

    On Airflow 3.3 all watchers of a connection share one monitor, and the state of their assets stores what
    they have observed. On older versions each watcher has its own monitor, and starts with what it finds.
    """

    with_socket: ClassVar[bool]
    amigocloud_conn_id: str
    poll_interval: float

    def arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments; no credential is among them."""
        raise NotImplementedError

    def watched(self) -> tuple[list[str], int | None]:
        """Return the patterns of the wanted events, and the id of the only dataset, or None for all."""
        raise NotImplementedError

    def problems(self) -> list[str]:
        """Return why this watcher could never fire."""
        return read_interval(self)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments from which Airflow makes this trigger elsewhere.

        :raises InputError: when the trigger could never fire; Airflow serialises it when it parses the DAG.
        """
        if problems := self.problems():
            raise InputError(problems, f"the arguments of {type(self).__name__}")
        return f"airflow_provider.amigocloud.triggers.{type(self).__qualname__}", self.arguments()

    def shared_stream_key(self) -> Hashable:
        """Return the key of the stream that all watchers of a connection share."""
        return _stream_key(type(self), self.amigocloud_conn_id)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Observation]:
        """Yield the connection's observations for all its watchers."""
        conn_id = kwargs["amigocloud_conn_id"]
        registry = _registry_of(_stream_key(cls, conn_id))
        async with aclosing(_observations(cls, conn_id, registry)) as observations:
            async for observation in observations:
                yield observation

    def filter_shared_stream(self, shared_stream: AsyncIterator[Observation]) -> AsyncIterator[TriggerEvent]:
        """Yield this watcher's new events from the shared observations."""
        return self._events(shared_stream, _registry_of(self.shared_stream_key()))

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield new events from a monitor of this watcher alone, where Airflow has no shared streams."""
        if self._can_never_fire():
            # Airflow would start a watcher that ends again, without end.
            await asyncio.Event().wait()
        registry = _new_registry()
        async with (
            aclosing(_observations(type(self), self.amigocloud_conn_id, registry)) as observations,
            aclosing(self._events(observations, registry)) as events,
        ):
            async for event in events:
                yield event

    def _can_never_fire(self) -> bool:
        """Log the problems of the arguments, if there are any, as in a trigger of an older version."""
        problems = self.problems()
        if problems:
            self.log.error("This watcher can never fire: %s", "; ".join(problems))
        return bool(problems)

    async def _events(
        self, observations: AsyncIterator[Observation], registry: WatchRegistry
    ) -> AsyncGenerator[TriggerEvent, None]:
        if self._can_never_fire():
            async for _ in observations:
                pass
            return
        from airflow_provider.core.state.firing import Firing

        patterns, dataset = self.watched()
        firing = Firing(self, f"amigocloud {fingerprint([patterns, dataset])}", self.log)
        observed = ObservedState(patterns, dataset, await firing.open())
        decide = _Decider(observed, firing.value)
        with registry.register(observed, self.poll_interval) as request:
            async for observation in observations:
                decide.observation = observed.without_old_state(observation, firing.read_at)
                async with aclosing(firing.events(decide)) as events:
                    async for event in events:
                        yield event
                if firing.is_outdated or decide.observation is None:
                    registry.poll_due.set()
                registry.mark_read(request)


class _Decider:
    """The events of one observation after another, for the state that is known before each."""

    def __init__(self, observed: ObservedState, state: Any) -> None:
        self.observation: Observation | None = None
        self._observed = observed
        self._state = state

    def __call__(self, state: Any) -> Decision:
        if state is not self._state:  # another process has changed it, or the last events were not fired
            self._observed.adopt(state)
        if self.observation is None:
            return (), None
        payloads = self._observed.events(self.observation, asyncio.get_running_loop().time())
        changed = self._observed.changed_state()
        self._state = state if changed is None else changed
        return payloads, changed


class AmigoCloudEventTrigger(_Watcher):
    """Fire for an ``AssetWatcher`` when AmigoCloud sends an event, or when a poll finds a missed one.

    An event's payload has ``event`` (its name), the ids that the service sends (``dataset_id``,
    ``project_id``, ``user_id``, ``job``...), ``source`` (``socket`` or ``poll``), and for a watched dataset
    ``master``, the hash of its state. A list is replaced by its length.

    The service sends an event once, to the clients that are connected. After each connect and at an interval,
    the trigger therefore polls: the state of ``dataset``, the project's list for new and deleted datasets,
    and the jobs whose start event was received. All other events are lost while the socket is down.

    :param amigocloud_conn_id: id of the Airflow connection, with a user's token: the socket refuses a
        project's token, and then the trigger polls only.
    :param events: names, or patterns with ``*``: ``["dataset:creation_*"]``; names are those of the vendor's
        docs. ``realtime`` is a change of ``dataset``.
    :param dataset: id of the only dataset whose events and broadcasts fire.
    :param poll_interval: seconds between polls; the watchers of a connection share the shortest interval.
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
        """Return connection id, events, dataset and interval."""
        return {
            "amigocloud_conn_id": self.amigocloud_conn_id,
            "events": [self.events] if isinstance(self.events, str) else list(self.events),
            "dataset": self.dataset,
            "poll_interval": self.poll_interval,
        }

    def problems(self) -> list[str]:
        """Return why this watcher could never fire."""
        from airflow_provider.core.input.conditions import list_condition

        events = [self.events] if isinstance(self.events, str) else self.events
        found = ["'events' is empty, so no event is wanted"] if not events else []
        found += list_condition(events, "'events'")
        if (dataset := self.dataset) is not None:
            found += problems_of("dataset", lambda: api.dataset_number(dataset))
        return [*found, *super().problems()]

    def watched(self) -> tuple[list[str], int | None]:
        """Return the patterns of the events, and the dataset's id."""
        return self.arguments()["events"], None if self.dataset is None else api.dataset_number(self.dataset)


class AmigoCloudDatasetTrigger(_Watcher):
    """Fire for an ``AssetWatcher`` when a dataset has changed, by polling its state; needs no socket.

    Several changes between two polls are one event: ``{"event": "dataset:changed", "dataset_id", "master",
    "source": "poll"}``. Each poll is one tiny request per watched dataset of the connection.

    :param amigocloud_conn_id: id of the Airflow connection.
    :param dataset: id of the dataset.
    :param poll_interval: seconds between polls; the watchers of a connection share the shortest interval.
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
        """Return connection id, dataset and interval."""
        return {
            "amigocloud_conn_id": self.amigocloud_conn_id,
            "dataset": self.dataset,
            "poll_interval": self.poll_interval,
        }

    def problems(self) -> list[str]:
        """Return why this watcher could never fire."""
        return [
            *problems_of("dataset", lambda: api.dataset_number(self.dataset)),
            *super().problems(),
        ]

    def watched(self) -> tuple[list[str], int | None]:
        """Return the event of a change, and the dataset's id."""
        return [CHANGED], api.dataset_number(self.dataset)


def _stream_key(kind: type[_Watcher], conn_id: str) -> Hashable:
    return ("amigocloud", "events" if kind.with_socket else "states", conn_id)


def _new_registry() -> WatchRegistry:
    # Imported late, because DAG files with a watcher are parsed often.
    from airflow_provider.amigocloud.watchers.registry import WatchRegistry

    return WatchRegistry()


def _registry_of(key: Hashable) -> WatchRegistry:
    return _registries.setdefault(asyncio.get_running_loop(), {}).setdefault(key, _new_registry())


async def _observations(
    kind: type[_Watcher], conn_id: str, registry: WatchRegistry
) -> AsyncGenerator[Observation, None]:
    # Imported late, because DAG files with a watcher are parsed often; in a thread, because the import would
    # block the event loop.
    module = await asyncio.to_thread(import_module, "airflow_provider.amigocloud.watchers.monitor")
    monitor = module.ConnectionMonitor(
        lambda: AmigoCloudHook(conn_id), registry, with_socket=kind.with_socket
    )
    async with aclosing(monitor.observations()) as observations:
        async for observation in observations:
            yield observation
