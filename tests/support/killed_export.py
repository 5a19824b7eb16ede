"""One attempt of an AmigoCloud export, for a process that a test kills at any moment."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

# Loaded here, because a task loads them when it runs: a forked process then starts at once.
import requests  # noqa: F401
import tenacity  # noqa: F401
from airflow.sdk import ObjectStoragePath  # noqa: F401

from airflow_provider.amigocloud.export import checkpoint
from airflow_provider.amigocloud.operators import AmigoCloudExportOperator
from tests.support.state_store import FakeStateStore
from tests.support.task_runner import TaskRunner


def attempt(connection: str, store: str, result: str, part_rows: int, arguments: dict[str, Any]) -> None:
    """Run the export, and write its manifest into a file.

    :param connection: the connection as JSON.
    :param store: path of the task's state store.
    :param result: path of the manifest.
    :param part_rows: rows per part, after which the export writes a checkpoint.
    :param arguments: arguments of the operator.
    """
    os.environ["AIRFLOW_CONN_AMIGOCLOUD_DEFAULT"] = connection
    checkpoint.PART_ROWS = part_rows
    context: Any = {"ti": TaskRunner().ti, "task_state_store": FakeStateStore(Path(store))}
    manifest = AmigoCloudExportOperator(task_id="export", **arguments).execute(context)
    Path(result).write_text(json.dumps(manifest))
