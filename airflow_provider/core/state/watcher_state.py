"""Watcher state: a value stored with assets, so that a restart neither loses nor repeats events."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from airflow_provider.core.polling import intervals

if TYPE_CHECKING:
    from airflow.sdk.types import Logger
    from airflow.triggers.base import BaseEventTrigger


MAX_BYTES = 60_000
"""Maximum bytes of a value as JSON, encoded as Airflow does: the store accepts 64 KiB."""


class WatcherState:
    """One JSON value, stored in the state of each asset that a trigger fires for (Airflow 3.3).

    Without a store, and for a value that is too large for it, nothing outlives the process.

    :param trigger: the watcher; the triggerer sets its store before it runs.
    :param name: key of the value in the asset's state.
    :param log: receives one line when there is no store.
    """

    def __init__(self, trigger: BaseEventTrigger, name: str, log: Logger) -> None:
        self._name = name
        self._log = log
        self._stores = _stores_of(trigger)
        if not self._stores:
            log.info(
                "No asset state store here (it came with Airflow 3.3): after a restart this watcher starts"
                " over, and changes during the restart do not fire"
            )

    @property
    def has_store(self) -> bool:
        """True if the value outlives the process."""
        return bool(self._stores)

    @staticmethod
    def fits(value: Any) -> bool:
        """Return whether the store accepts a value."""
        return len(json.dumps(value)) <= MAX_BYTES

    async def read(self) -> Any:
        """Return the value, None when there is none; a failed read is retried without end."""
        for store in self._stores:
            for pause in intervals(30.0):
                try:
                    value = await store.aget(self._name)
                    break
                except Exception as error:
                    self._log.warning(
                        "the asset's state cannot be read; next attempt in %.1f s: %s", pause, error
                    )
                    await asyncio.sleep(pause)
            if value is not None:
                return value
        return None

    async def write(self, value: Any) -> bool:
        """Store a value, and return whether it was stored.

        A failed write is logged only, as a later write replaces the value anyway.
        """
        if not self.fits(value):
            self._log.warning(
                "the value is too large for the asset's state: it is remembered in this process only"
            )
            return False
        stored = bool(self._stores)
        for store in self._stores:
            try:
                await store.aset(self._name, value)
            except Exception as error:
                stored = False
                self._log.warning("the asset's state cannot be written: %s", error)
        return stored


def _stores_of(trigger: BaseEventTrigger) -> list[Any]:
    store = getattr(trigger, "asset_state_store", None)
    if store is None:
        return []
    # The store's own ``aget`` is for a single asset, but assets with equal watchers share a trigger.
    by_asset = [*getattr(store, "_by_name", {}).values(), *getattr(store, "_by_uri", {}).values()]
    return by_asset or [store]
