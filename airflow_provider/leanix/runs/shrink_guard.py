"""Shrink guard: reject a full run whose content is much smaller than the previous one.

A full run deletes fact sheets that are missing from its content. So the number of items is compared with that
of the last successful full run, which is stored on the task's outlet asset.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from airflow_provider.errors import InputError

_NAME = "leanix_full_run_items"
"""Key in the asset's state store."""


class LastItemCount:
    """Number of items in the last successful full run of a connector.

    :param context: the task's context.
    :param outlets: the task's outlets; the count is stored on the first asset. Without an asset, or without
        state stores (before Airflow 3.3), nothing is stored and nothing is rejected.
    :param connector: identifies the connector among those that write to the same asset.
    """

    def __init__(self, context: Mapping[str, Any], outlets: Iterable[Any], connector: str) -> None:
        from airflow.sdk import Asset

        stores = context.get("asset_state_store")
        asset = next((outlet for outlet in outlets if isinstance(outlet, Asset)), None)
        self._store: Any = stores[asset] if stores is not None and asset is not None else None
        self._connector = connector

    def raise_if_shrunk(self, count: int, max_shrink: float) -> None:
        """Raise when the content is much smaller than that of the last full run.

        :param count: number of items in the content.
        :param max_shrink: share of the last count that may be missing, from 0 to 1.
        :raises InputError: with both counts.
        """
        last = self._counts().get(self._connector)
        if isinstance(last, int) and count < Fraction(last) * (1 - Fraction(str(max_shrink))):
            raise InputError(
                f"the content has {count} items, the last full run had {last}; a full run deletes what it"
                f" does not contain, so a decrease of more than {max_shrink:.0%} is rejected"
                " ('max_shrink'; 1 or None accepts any content)",
                "the LDIF",
            )

    def record(self, count: int) -> None:
        """Store the number of items of a successful run."""
        if self._store is not None:
            self._store.set(_NAME, {**self._counts(), self._connector: count})

    def _counts(self) -> dict[str, Any]:
        value = self._store.get(_NAME) if self._store is not None else None
        return value if isinstance(value, dict) else {}
