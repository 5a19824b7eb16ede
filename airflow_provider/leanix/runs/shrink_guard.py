"""Keeps a full run from deleting what is only missing by mistake.

A full run deletes what its content does not hold. So its content is compared with that of the last run that
ended well, whose size is kept on the task's outlet asset.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider.errors import InputError

_NAME = "leanix_full_run_items"


class LastItemCount:
    """How many items the last full run of a connector took in.

    :param context: the task's context.
    :param outlets: the task's outlets; the first asset among them keeps the count, without one nothing does.
    :param connector: what tells the connector from others that write to the same asset.
    """

    def __init__(self, context: Mapping[str, Any], outlets: Iterable[Any], connector: str) -> None:
        from airflow.sdk import Asset

        stores = context.get("asset_state_store")
        asset = next((one for one in outlets if isinstance(one, Asset)), None)
        self._store: Any = stores[asset] if stores is not None and asset is not None else None
        self._connector = connector

    def raise_if_shrunk(self, count: int, max_shrink: float) -> None:
        """Refuse a content that is much smaller than the last one.

        :param max_shrink: the share of the last count that may be missing.
        """
        last = self._all().get(self._connector)
        if isinstance(last, int) and count < last * (1 - max_shrink):
            raise InputError(
                f"the content has {count} items, the last full run had {last}; a full run deletes what it"
                f" does not hold, and more than {max_shrink:.0%} less is refused (see 'max_shrink')",
                "the LDIF",
            )

    def record(self, count: int) -> None:
        """Remember the count of a run that ended well."""
        if self._store is not None:
            self._store.set(_NAME, {**self._all(), self._connector: count})

    def _all(self) -> dict[str, Any]:
        value = self._store.get(_NAME) if self._store is not None else None
        return value if isinstance(value, dict) else {}
