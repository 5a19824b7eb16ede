"""Mapping of assets to what Airflow provides for each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class PerAsset:
    """One object per asset, created at first access.

    A dictionary does not serve here, because an asset of Airflow 3.1 cannot be its key.

    :param make: creates the object.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._by_name: dict[str, Any] = {}

    def __getitem__(self, asset: Any) -> Any:
        return self._by_name.setdefault(asset.name, self._make())
