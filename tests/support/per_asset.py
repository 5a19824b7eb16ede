"""What Airflow lends a task for each of its assets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class PerAsset:
    """One thing an asset, made when it is first asked for.

    A dictionary would do, but in Airflow 3.1 an asset cannot be a key.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._kept: dict[str, Any] = {}

    def __getitem__(self, asset: Any) -> Any:
        return self._kept.setdefault(asset.name, self._make())
