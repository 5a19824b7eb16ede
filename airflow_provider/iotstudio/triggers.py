"""Waits for actions and property values in the triggerer."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from airflow_provider.core.shared_polls import shared_result
from airflow_provider.core.triggers import NewItemsTrigger, PollTrigger
from airflow_provider.errors import NotFoundError
from airflow_provider.iotstudio import api
from airflow_provider.iotstudio.actions import Verdicts, Wish, gone
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.iotstudio.matching import first_matches, matched, matches

__all__ = ["IoTStudioActionTrigger", "IoTStudioPropertyTrigger", "IoTStudioThingTrigger"]


class IoTStudioActionTrigger(PollTrigger):
    """Fires when an action is over, with its id and ``action_status``, or at the deadline.

    :param iotstudio_conn_id: the connection; nothing else of it is kept.
    :param space: id of the space; the connection's own when it is None.
    :param thing_id: the Thing.
    :param action: the action's name.
    :param action_id: the request.
    :param success_statuses: statuses that mean it was done.
    :param failure_statuses: statuses that mean it was not.
    :param deadline: seconds since the epoch.
    :param poll_interval: the longest interval in seconds.
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
    ) -> None:
        super().__init__(deadline=deadline, poll_interval=poll_interval)
        self.iotstudio_conn_id = iotstudio_conn_id
        self.space = space
        self.thing_id = thing_id
        self.action = action
        self.action_id = action_id
        self.success_statuses = success_statuses
        self.failure_statuses = failure_statuses
        self._hook: IoTStudioHook | None = None

    def arguments(self) -> dict[str, Any]:
        """Give ids, statuses, deadline and interval."""
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
        }

    async def poll(self) -> dict[str, Any] | None:
        """Look once. The output is left to the task: events are logged in full."""
        self._hook = self._hook or IoTStudioHook(self.iotstudio_conn_id, space=self.space)
        try:
            entry = await self._hook.aget_action(self.thing_id, self.action, self.action_id)
        except NotFoundError as error:
            raise gone(Wish(self.thing_id, self.action), self.action_id, error) from None
        status = str(entry.get("status"))
        over = Verdicts(tuple(self.success_statuses), tuple(self.failure_statuses)).is_over(status)
        return {"action_status": status} if over else None

    async def _outcome(self) -> dict[str, Any]:
        # Each event has it, the one of a deadline too: what a task gives to defer() beside the trigger is not
        # kept everywhere (not by ``dag.test()``).
        return {**await super()._outcome(), "action_id": self.action_id}


class IoTStudioPropertyTrigger(PollTrigger):
    """Fires when enough Things match, with their ids, or at the deadline.

    Triggers of one space share their polls where they have the same filters and category; those for single
    Things go into one request.

    :param iotstudio_conn_id: the connection; nothing else of it is kept.
    :param space: id of the space; the connection's own when it is None.
    :param filters: condition by property name, as the API writes it.
    :param category: only Things of this category.
    :param thing_id: only this Thing.
    :param min_matches: how many Things must match.
    :param deadline: seconds since the epoch.
    :param poll_interval: the longest interval in seconds.
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
        """Give ids, filters, deadline and interval."""
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
        """Look once, or take what another trigger has just seen."""
        hook = self._hook = self._hook or IoTStudioHook(self.iotstudio_conn_id, space=self.space)
        shared: dict[str, Any] = {
            "space": self.space,
            "category": self.category,
            "filters": api.filters(self.filters),
            "interval": self.poll_interval,
        }
        if self.thing_id:
            found = [self.thing_id] if await matches(hook, self.thing_id, **shared) else []
        else:
            found = list(await first_matches(hook, self.min_matches, **shared))
        return matched(found) if len(found) >= self.min_matches else None


class IoTStudioThingTrigger(NewItemsTrigger):
    """Fires for an ``AssetWatcher`` whenever Things begin to match; not again while they go on to.

    An event has ``matches`` (how many match now), ``new`` (how many have begun to since the last look) and
    ``thing_ids`` (at most 100 of the new ones). On Airflow 3.3 the asset's state remembers who matched, so
    that a restart of the triggerer repeats nothing; before, the first look after a restart fires for all that
    match. The service evaluates the filters; watchers that ask the same share one list request.

    :param iotstudio_conn_id: the connection; nothing else of it is kept.
    :param filters: condition by property name, as the API writes it: ``{"temperature": "gt:20"}``.
    :param category: only Things of this category.
    :param poll_interval: seconds between looks.
    :param space: id of the space; the connection's own when it is None.
    """

    def __init__(
        self,
        *,
        iotstudio_conn_id: str = IoTStudioHook.default_conn_name,
        filters: Mapping[str, Any],
        category: str | None = None,
        poll_interval: float = 30.0,
        space: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.iotstudio_conn_id = iotstudio_conn_id
        self.filters = filters
        self.category = category
        self.poll_interval = poll_interval
        self.space = space

    def arguments(self) -> dict[str, Any]:
        """Give ids, filters and interval."""
        return {
            "iotstudio_conn_id": self.iotstudio_conn_id,
            "filters": dict(self.filters),
            "category": self.category,
            "poll_interval": self.poll_interval,
            "space": self.space,
        }

    async def list_items(self) -> Mapping[str, Any]:
        """Give the ids of the Things that match."""
        params = api.filters(self.filters)
        key = ("iotstudio all things", self.iotstudio_conn_id, self.space, self.category, repr(params))
        hook = IoTStudioHook(self.iotstudio_conn_id, space=self.space)
        fetch = partial(hook.amatching, sys.maxsize, category=self.category, params=params)
        return dict.fromkeys(await shared_result(key, self.poll_interval * 0.8, fetch))

    def events(self, new: Sequence[str], now: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Tell all who have begun to match in one event."""
        return [{"matches": len(now), "new": len(new), "thing_ids": list(new[:100])}]
