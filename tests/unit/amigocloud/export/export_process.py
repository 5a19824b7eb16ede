"""One attempt of an export in its own process, which can be killed at any moment."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

# Modules that a task imports when it runs are imported here, so that a forked process starts at once.
import requests  # noqa: F401
import tenacity  # noqa: F401
from airflow.sdk import ObjectStoragePath  # noqa: F401

from airflow_provider.amigocloud.export import checkpoint
from airflow_provider.amigocloud.operators import AmigoCloudExportOperator
from tests.unit.amigocloud.running import Task


class FileStore:
    """A state store that outlives the process, as Airflow's does."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, Any]:
        return json.loads(self._path.read_text()) if self._path.exists() else {}

    def get(self, key: str) -> Any:
        return self.read().get(key)

    def set(self, key: str, value: Any, **_: Any) -> None:
        self._write({**self.read(), key: value})

    def delete(self, key: str) -> None:
        self._write({name: value for name, value in self.read().items() if name != key})

    def _write(self, values: dict[str, Any]) -> None:
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(values))
        new.replace(self._path)


def attempt(connection: str, store: str, result: str, part_rows: int, arguments: dict[str, Any]) -> None:
    """Run the export, and write the manifest into a file."""
    os.environ["AIRFLOW_CONN_AMIGOCLOUD_DEFAULT"] = connection
    checkpoint.PART_ROWS = part_rows
    context: Any = {"ti": Task().ti, "task_state_store": FileStore(Path(store))}
    manifest = AmigoCloudExportOperator(task_id="export", **arguments).execute(context)
    Path(result).write_text(json.dumps(manifest))
