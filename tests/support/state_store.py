"""Fake state stores: the key-value stores that Airflow 3.3 passes to tasks and triggers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.per_asset import PerAsset


class FakeStateStore(dict[str, Any]):
    """State store of a task or an asset, in memory or in a file.

    Values are stored and returned as JSON, so that no test depends on an object that Airflow would not store.

    :param file: JSON file that outlives a killed process, read when the store is created.
    """

    def __init__(self, file: Path | None = None) -> None:
        super().__init__(json.loads(file.read_text()) if file and file.exists() else {})
        self._file = file

    def get(self, key: str, default: Any = None) -> Any:  # type: ignore[override]
        """Return a copy of a value."""
        return _as_json(self[key]) if key in self else default

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        """Store a value; like Airflow, refuse None."""
        if value is None:
            raise ValueError(f"{key}: a state store cannot hold None")
        self[key] = _as_json(value)
        self._write()

    def delete(self, key: str) -> None:
        """Remove a value if there is one."""
        self.pop(key, None)
        self._write()

    async def aget(self, key: str, default: Any = None) -> Any:
        """Return a copy of a value, in the triggerer."""
        return self.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        """Store a value, in the triggerer."""
        self.set(key, value)

    async def adelete(self, key: str) -> None:
        """Remove a value, in the triggerer."""
        self.delete(key)

    def _write(self) -> None:
        if self._file:
            temporary = self._file.with_suffix(".tmp")
            temporary.write_text(json.dumps(self))
            temporary.replace(self._file)


class FakeAssetStateStores(PerAsset):
    """State stores of a task's assets: one store per asset, created at first access."""

    def __init__(self) -> None:
        super().__init__(FakeStateStore)


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))
