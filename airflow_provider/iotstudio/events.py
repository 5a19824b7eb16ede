"""Starts DAGs when Things begin to match: a trigger for ``AssetWatcher``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from airflow_provider.core.shared_polls import share
from airflow_provider.core.triggers import NewcomerTrigger
from airflow_provider.iotstudio import api
from airflow_provider.iotstudio.hooks import IoTStudioHook


class IoTStudioThingTrigger(NewcomerTrigger):
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

    async def look(self) -> Mapping[str, Any]:
        """Give the ids of the Things that match."""
        params = api.filters(self.filters)
        key = ("iotstudio all things", self.iotstudio_conn_id, self.space, self.category, repr(params))
        hook = IoTStudioHook(self.iotstudio_conn_id, space=self.space)
        fetch = partial(hook.amatching, sys.maxsize, category=self.category, params=params)
        return dict.fromkeys(await share(key, self.poll_interval * 0.8, fetch))

    def events(self, new: Sequence[str], now: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Tell all who have begun to match in one event."""
        return [{"matches": len(now), "new": len(new), "thing_ids": list(new[:100])}]
