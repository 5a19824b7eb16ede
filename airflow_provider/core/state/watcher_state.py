"""What a watcher remembers on the assets it watches for, so that a restart neither loses nor repeats."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from airflow_provider.core.polling import intervals

if TYPE_CHECKING:
    from airflow.sdk.types import Logger
    from airflow.triggers.base import BaseEventTrigger


MAX_BYTES = 60_000
"""Bytes of JSON, as Airflow spells it: a value of the store may have 64 KiB."""


class WatcherState:
    """One JSON value, kept in the state of every asset that a trigger fires for (Airflow 3.3).

    Without such a store, and for a value that is too large for it, the memory ends with the process.

    :param trigger: the watcher; the triggerer lends it the store before it runs.
    :param name: tells the value from others of the same asset.
    :param log: gets one line when nothing will outlive the process.
    """

    def __init__(self, trigger: BaseEventTrigger, name: str, log: Logger) -> None:
        self._name = name
        self._log = log
        self._stores = _stores_of(trigger)
        if not self._stores:
            log.info(
                "No asset state store here (it came with Airflow 3.3): after a restart this watcher begins"
                " with what it finds, and what happened in between does not fire"
            )

    async def read(self) -> Any:
        """Give the value, None when there is none; a store that does not answer is asked again."""
        for store in self._stores:
            for pause in intervals(30.0):
                try:
                    value = await store.aget(self._name)
                    break
                except Exception as error:
                    self._log.warning("the asset's state cannot be read, trying again: %s", error)
                    await asyncio.sleep(pause)
            if value is not None:
                return value
        return None

    async def write(self, value: Any) -> None:
        """Keep a value; one that cannot be kept now is logged, the next one may be."""
        if len(json.dumps(value)) > MAX_BYTES:
            self._log.warning("too much for the asset's state: it is remembered in this process only")
            return
        for store in self._stores:
            try:
                await store.aset(self._name, value)
            except Exception as error:
                self._log.warning("the asset's state cannot be written: %s", error)


def _stores_of(trigger: BaseEventTrigger) -> list[Any]:
    store = getattr(trigger, "asset_state_store", None)
    if store is None:
        return []
    # Its own ``aget`` is for a single asset, but assets with equal watchers share one trigger.
    each = [*getattr(store, "_by_name", {}).values(), *getattr(store, "_by_uri", {}).values()]
    return each or [store]
