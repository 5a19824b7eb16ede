"""Triggers for actions and property values."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from datetime import datetime
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_provider.core.input.conditions import raise_problems
from airflow_provider.core.triggers import NewItemsTrigger, PollTrigger, read_interval
from airflow_provider.errors import NotFoundError, ProviderError
from airflow_provider.iotstudio import api
from airflow_provider.iotstudio.actions import (
    ActionRequest,
    StatusClassifier,
    StatusLog,
    done_query,
    missing_action_error,
)
from airflow_provider.iotstudio.conditions import filter_problems, name_problems
from airflow_provider.iotstudio.events.trigger_bases import EventWatcher, FleetPollTrigger
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.iotstudio.hooks_base import aread_twice

if TYPE_CHECKING:
    from airflow.triggers.base import TriggerEvent

    from airflow_provider.core.push.broker import Broker
    from airflow_provider.core.state.firing import Firing
    from airflow_provider.iotstudio.events.silence import Silence
    from airflow_provider.iotstudio.push.watch import PushWatch

__all__ = [
    "IoTStudioActionTrigger",
    "IoTStudioEventPollTrigger",
    "IoTStudioEventTrigger",
    "IoTStudioPropertyTrigger",
    "IoTStudioSilenceTrigger",
    "IoTStudioThingTrigger",
]


class IoTStudioActionTrigger(PollTrigger):
    """Fire when an action is finished, with its id and ``action_status``, or at the deadline.

    :param iotstudio_conn_id: id of the Airflow connection; nothing else of it is serialised.
    :param space: id of the space; None for the connection's.
    :param thing_id: the Thing's id.
    :param action: the action's name.
    :param action_id: id of the request.
    :param success_statuses: statuses of an action that was done.
    :param failure_statuses: statuses of an action that was not done.
    :param deadline: time of the timeout, in seconds since the epoch.
    :param poll_interval: maximum seconds between polls.
    :param done_when: condition by property name under which the action is done, too, whatever its status.
    """

    def __init__(
        self,
        *,
        iotstudio_conn_id: str,
        space: str | None,
        thing_id: str,
        action: str,
        action_id: str,
        success_statuses: Sequence[str],
        failure_statuses: Sequence[str],
        deadline: float,
        poll_interval: float,
        done_when: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(deadline=deadline, poll_interval=poll_interval)
        self.iotstudio_conn_id = iotstudio_conn_id
        self.space = space
        self.thing_id = thing_id
        self.action = action
        self.action_id = action_id
        self.success_statuses = success_statuses
        self.failure_statuses = failure_statuses
        self.done_when = done_when
        self._hook: IoTStudioHook | None = None
        self._statuses: StatusLog | None = None

    def arguments(self) -> dict[str, Any]:
        """Return ids, statuses, deadline and interval."""
        return {
            "iotstudio_conn_id": self.iotstudio_conn_id,
            "space": self.space,
            "thing_id": self.thing_id,
            "action": self.action,
            "action_id": self.action_id,
            "success_statuses": list(self.success_statuses),
            "failure_statuses": list(self.failure_statuses),
            "deadline": self.deadline,
            "poll_interval": self.poll_interval,
            "done_when": None if self.done_when is None else dict(self.done_when),
        }

    async def poll(self) -> dict[str, Any] | None:
        """Poll once. The task reads the output itself, because events are logged in full."""
        hook = self._hook = self._hook or IoTStudioHook(self.iotstudio_conn_id, space=self.space)
        request = ActionRequest(self.thing_id, self.action)
        classifier = StatusClassifier(tuple(self.success_statuses), tuple(self.failure_statuses))
        try:
            entry = await aread_twice(lambda: hook.aget_action(self.thing_id, self.action, self.action_id))
        except NotFoundError as error:
            raise missing_action_error(request, self.action_id, error) from None
        status = str(entry.get("status"))
        if classifier.is_final(status):
            return {"action_status": status}
        self._statuses = self._statuses or StatusLog(self.log, classifier, request)
        self._statuses.check(status)
        query = done_query(self.thing_id, self.done_when)
        if query and await hook.amatching(1, params=query):
            return {"action_status": status, "done_when": True}
        return None

    async def _outcome(self) -> dict[str, Any]:
        # Every event has the id, the timeout included: ``dag.test()`` drops the keyword arguments that a task
        # passes to ``defer()``.
        return {**await super()._outcome(), "action_id": self.action_id}


class IoTStudioPropertyTrigger(PollTrigger):
    """Fire when enough Things match, with their ids, or at the deadline.

    Triggers of one space share their polls when they have the same filters and category. Triggers for single
    Things share one request.

    :param iotstudio_conn_id: id of the Airflow connection; nothing else of it is serialised.
    :param space: id of the space; None for the connection's.
    :param filters: condition by property name, as the API writes it.
    :param category: only Things of this category.
    :param thing_id: only this Thing.
    :param min_matches: number of Things that must match.
    :param deadline: time of the timeout, in seconds since the epoch.
    :param poll_interval: maximum seconds between polls.
    """

    def __init__(
        self,
        *,
        iotstudio_conn_id: str,
        space: str | None,
        filters: Mapping[str, Any],
        category: str | None,
        thing_id: str | None,
        min_matches: int,
        deadline: float,
        poll_interval: float,
    ) -> None:
        super().__init__(deadline=deadline, poll_interval=poll_interval)
        self.iotstudio_conn_id = iotstudio_conn_id
        self.space = space
        self.filters = filters
        self.category = category
        self.thing_id = thing_id
        self.min_matches = min_matches
        self._hook: IoTStudioHook | None = None

    def arguments(self) -> dict[str, Any]:
        """Return ids, filters, deadline and interval."""
        return {
            "iotstudio_conn_id": self.iotstudio_conn_id,
            "space": self.space,
            "filters": dict(self.filters),
            "category": self.category,
            "thing_id": self.thing_id,
            "min_matches": self.min_matches,
            "deadline": self.deadline,
            "poll_interval": self.poll_interval,
        }

    async def poll(self) -> dict[str, Any] | None:
        """Poll once, or use the result of another trigger's recent poll."""
        from airflow_provider.iotstudio.matching import find_matches, match_result, thing_matches

        hook = self._hook = self._hook or IoTStudioHook(self.iotstudio_conn_id, space=self.space)
        shared: dict[str, Any] = {
            "space": self.space,
            "category": self.category,
            "filters": api.filters(self.filters),
            "interval": self.poll_interval,
        }

        async def matching() -> list[str]:
            if self.thing_id is not None:
                return [self.thing_id] if await thing_matches(hook, self.thing_id, **shared) else []
            return list(await find_matches(hook, self.min_matches, **shared))

        found = await aread_twice(matching)
        return match_result(found) if len(found) >= self.min_matches else None


class IoTStudioThingTrigger(NewItemsTrigger):
    """Fire for an ``AssetWatcher`` whenever Things start to match, once per Thing until it stops matching.

    An event has ``matches`` (number of Things that match now), ``new`` (number of Things that started to
    match since the last poll) and ``thing_ids`` (at most 100 of the new ids). On Airflow 3.3 the ids of
    matching Things are stored on the asset, so that a restart of the triggerer repeats nothing. On older
    versions the first poll after a restart fires for all Things that match. The service evaluates the
    filters; watchers with the same filters share one request.

    With ``mqtt``, values that the service or a device publishes tell at once when to ask the service about
    which Things. The poll remains the net below: after each connect, and at an interval that may be long.
    While the broker cannot be used, the watcher polls at least every 30 seconds.

    :param iotstudio_conn_id: id of the Airflow connection; nothing else of it is serialised.
    :param filters: condition by property name, as the API writes it: ``{"temperature": "gt:20"}``.
    :param category: only Things of this category.
    :param poll_interval: seconds between polls.
    :param space: id of the space; None for the connection's.
    :param mqtt: whether values are pushed, too, by the broker of the connection's extra ``mqtt_url``.
    """

    timing = frozenset({"poll_interval", "mqtt"})

    def __init__(
        self,
        *,
        iotstudio_conn_id: str = IoTStudioHook.default_conn_name,
        filters: Mapping[str, Any],
        category: str | None = None,
        poll_interval: float = 30.0,
        space: str | None = None,
        mqtt: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.iotstudio_conn_id = iotstudio_conn_id
        self.filters = filters
        self.category = category
        self.poll_interval = poll_interval
        self.space = space
        self.mqtt = mqtt
        self._push: PushWatch | None = None
        self._names_checked = False

    def arguments(self) -> dict[str, Any]:
        """Return ids, filters and interval."""
        return {
            "iotstudio_conn_id": self.iotstudio_conn_id,
            "filters": dict(self.filters),
            "category": self.category,
            "poll_interval": self.poll_interval,
            "space": self.space,
            "mqtt": self.mqtt,
        }

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what recreates this trigger; Airflow calls this when it parses the DAG.

        :raises InputError: for conditions that are empty or can never hold, so that the DAG is not imported.
        """
        raise_problems(self._problems(), "IoTStudioThingTrigger")
        return super().serialize()

    def _problems(self) -> list[str]:
        filters: object = self.filters
        required = ["'filters' is missing"] if filters is None else filter_problems(filters)
        mqtt: object = self.mqtt
        required += [] if isinstance(mqtt, bool) else [f"'mqtt' is {mqtt!r:.60}, not True or False"]
        required += [*name_problems(self.category, "category"), *name_problems(self.space, "space")]
        return [*required, *read_interval(self)]

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire for Things that start to match; a condition that can never hold is logged once and idles."""
        if problems := self._problems():
            self.log.error("this watcher can never fire, and sends nothing: %s", "; ".join(problems)[:2000])
            await asyncio.Event().wait()
        async with AsyncExitStack() as stack:
            if self.mqtt:
                self._push = await stack.enter_async_context(await self._watch_pushed_values())
            async for event in super().run():
                yield event

    async def _watch_pushed_values(self) -> AbstractAsyncContextManager[PushWatch]:
        # Imported late, because DAG files with a watcher are parsed often; in a thread, because the import
        # would block the event loop.
        module = await asyncio.to_thread(import_module, "airflow_provider.iotstudio.push.watch")
        settings = await asyncio.to_thread(import_module, "airflow_provider.iotstudio.push.settings")
        params = api.filters(self.filters)

        async def load() -> Broker:
            found: Broker = settings.broker_of(await IoTStudioHook(self.iotstudio_conn_id).aload())
            return found

        async def ask(thing_ids: Sequence[str]) -> Sequence[str]:
            hook, found = IoTStudioHook(self.iotstudio_conn_id, space=self.space), list[str]()
            for start in range(0, len(thing_ids), api.IDS_PER_REQUEST):
                block = {**params, "thingID[]": thing_ids[start : start + api.IDS_PER_REQUEST]}
                found += await hook.amatching(sys.maxsize, category=self.category, params=block)
            return found

        names = {"space": self.space, "category": self.category}
        watched: AbstractAsyncContextManager[PushWatch] = module.watch(
            self.iotstudio_conn_id, load, names, self.filters, ask, self.events, self.log
        )
        return watched

    def pause_after_failure(self, interval: float) -> float:
        """Return the seconds until the poll after a failed one."""
        return self._push.pause_after_failure(interval) if self._push else interval

    async def between_polls(
        self, firing: Firing, pause: float, *, failed: bool
    ) -> AsyncGenerator[TriggerEvent, None]:
        """Wait for the next poll, or fire for what is pushed meanwhile."""
        if self._push is None:
            await asyncio.sleep(pause)
            return
        async with aclosing(self._push.events(firing, pause, failed=failed)) as events:
            async for event in events:
                yield event
        self.fresh_from = self._push.fresh_from

    async def list_items(self) -> Mapping[str, Any]:
        """Poll once; return the ids of the Things that match, as keys."""
        params = api.filters(self.filters)
        key = ("iotstudio all things", self.iotstudio_conn_id, self.space, self.category, repr(params))
        hook = IoTStudioHook(self.iotstudio_conn_id, space=self.space)
        fetch = partial(hook.amatching, sys.maxsize, category=self.category, params=params)
        found = await self.shared(key, fetch)
        if not found and not self._names_checked:
            await self._check_names(hook)
        self._names_checked = True
        return dict.fromkeys(found)

    async def _check_names(self, hook: IoTStudioHook) -> None:
        """Log an error for each property that no Thing has; a Thing may get it later."""
        from airflow_provider.iotstudio.known_names import aunknown_properties

        try:
            unknown = await aunknown_properties(hook, self.filters, category=self.category)
        except ProviderError as error:
            self.log.info("the properties of the filters could not be checked: %s", error)
            return
        for problem in unknown:
            self.log.error("filters: %s; nothing matches until then", problem)

    def events(self, new: Sequence[str], now: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return one event for all Things that started to match."""
        return [{"matches": len(now), "new": len(new), "thing_ids": list(new[:100])}]


class IoTStudioEventPollTrigger(FleetPollTrigger):
    """Fire when enough events were reported, with their number and Things, or at the deadline.

    For further arguments see :class:`FleetPollTrigger`.

    :param event: the event's name.
    :param since: only events from this time on, in ISO 8601.
    :param min_events: number of events that must have been reported.
    """

    late_modules = ("airflow_provider.iotstudio.events.reader",)

    def __init__(self, *, event: str, since: str, min_events: int, **fleet: Any) -> None:
        super().__init__(**fleet)
        self.event = event
        self.since = since
        self.min_events = min_events

    def arguments(self) -> dict[str, Any]:
        """Return ids, filters, time, deadline and interval."""
        own = {"event": self.event, "since": self.since, "min_events": self.min_events}
        return {**super().arguments(), **own}

    async def poll(self) -> dict[str, Any] | None:
        """Poll once, or use the result of another trigger's recent poll."""
        from airflow_provider.iotstudio.events.reader import ashared_events, event_result

        found = await ashared_events(
            self.hook(),
            self.fleet(),
            self.event,
            datetime.fromisoformat(self.since),
            space=self.space,
            interval=self.poll_interval,
        )
        found.raise_if_missing()
        return event_result(found.events) if len(found.events) >= self.min_events else None


class IoTStudioSilenceTrigger(FleetPollTrigger):
    """Fire when enough Things have reported no value for some time, with their ids, or at the deadline.

    For further arguments see :class:`FleetPollTrigger`.

    :param silent_for: seconds without a value.
    :param properties: only values of these properties count; None for all.
    :param min_matches: number of Things that must be silent.
    """

    late_modules = ("airflow_provider.iotstudio.events.silence", "airflow_provider.iotstudio.matching")

    def __init__(
        self, *, silent_for: float, properties: Sequence[str] | None, min_matches: int, **fleet: Any
    ) -> None:
        super().__init__(**fleet)
        self.silent_for = silent_for
        self.properties = properties
        self.min_matches = min_matches
        self._silence: Silence | None = None

    def arguments(self) -> dict[str, Any]:
        """Return ids, filters, deadline and intervals."""
        properties = None if self.properties is None else list(self.properties)
        own = {"silent_for": self.silent_for, "properties": properties, "min_matches": self.min_matches}
        return {**super().arguments(), **own}

    async def poll(self) -> dict[str, Any] | None:
        """Poll once, or use the result of another trigger's recent poll.

        Things that have reported lately are asked again only when they may be silent.
        """
        from airflow_provider.iotstudio.events.silence import Silence
        from airflow_provider.iotstudio.matching import match_result

        hook = self.hook()
        self._silence = self._silence or Silence.shared(
            hook, self.space, self.fleet(), self.silent_for, self.properties
        )
        found = await self._silence.ashared_find(hook, self.poll_interval)
        return match_result(found) if len(found) >= self.min_matches else None


class IoTStudioEventTrigger(EventWatcher):
    """Fire for an ``AssetWatcher`` once for each event that a Thing reports.

    An event has ``event``, ``thing_id``, ``event_id``, ``timestamp`` and ``data``, in which texts are cut to
    200 characters, and a list is its length. Events from before the watcher's first start do not fire. On
    Airflow 3.3 the asset's state holds how far the watcher has come, so that events that are reported while
    the triggerer is down fire afterwards, each once. The service keeps the last hundred events of a Thing and
    name: when all of them are new, older ones may be gone, which is a warning. On older versions a restarted
    watcher starts from the present. A Thing that is given by its id and is not there is a warning.

    Each poll is one request for each Thing that declares the event, and one for each 1000 Things; watchers of
    the same event and Things share them.

    :param iotstudio_conn_id: id of the Airflow connection; nothing else of it is serialised.
    :param event: the event's name.
    :param thing_id: only this Thing.
    :param thing_ids: only these Things.
    :param category: only Things of this category.
    :param filters: condition by property name, as the API writes it: ``{"mode": "eco"}``.
    :param poll_interval: seconds between polls.
    :param space: id of the space; by default the connection's.
    """

    def __init__(
        self,
        *,
        iotstudio_conn_id: str = IoTStudioHook.default_conn_name,
        event: str,
        thing_id: str | None = None,
        thing_ids: Sequence[str] | None = None,
        category: str | None = None,
        filters: Mapping[str, Any] | None = None,
        poll_interval: float = 30.0,
        space: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.iotstudio_conn_id = iotstudio_conn_id
        self.event = event
        self.thing_id = thing_id
        self.thing_ids = thing_ids
        self.category = category
        self.filters = filters
        self.poll_interval = poll_interval
        self.space = space

    def arguments(self) -> dict[str, Any]:
        """Return ids, filters and interval."""
        return {
            "iotstudio_conn_id": self.iotstudio_conn_id,
            "event": self.event,
            "thing_id": self.thing_id,
            "thing_ids": None if self.thing_ids is None else list(self.thing_ids),
            "category": self.category,
            "filters": None if self.filters is None else dict(self.filters),
            "poll_interval": self.poll_interval,
            "space": self.space,
        }

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what recreates this trigger; Airflow calls this when it parses the DAG.

        :raises InputError: for conditions that are empty or can never hold, so that the DAG is not imported.
        """
        raise_problems(self.problems(), "IoTStudioEventTrigger")
        return f"{type(self).__module__}.{type(self).__qualname__}", self.arguments()
