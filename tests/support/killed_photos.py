"""One attempt of an export of photos, for a process that is killed after so many of them."""

from __future__ import annotations

import itertools
import json
import os
import signal
from pathlib import Path
from typing import Any

from airflow_provider.amigocloud.operators import AmigoCloudExportPhotosOperator
from airflow_provider.amigocloud.photos import export
from tests.support.task_runner import TaskRunner


def attempt(connection: str, result: str, photos: int | None, arguments: dict[str, Any]) -> None:
    """Run the export, and write its result into a file.

    :param connection: the connection as JSON.
    :param result: path of the result.
    :param photos: photos to download before the process is killed; None for all.
    :param arguments: arguments of the operator.
    """
    os.environ["AIRFLOW_CONN_AMIGOCLOUD_DEFAULT"] = connection
    export.BATCH = 10
    save, done = export.save_photo, itertools.count(1)

    def killed_save(*photo: Any) -> Any:
        if next(done) == photos:
            os.kill(os.getpid(), signal.SIGKILL)
        return save(*photo)

    export.save_photo = killed_save
    found = TaskRunner().run(AmigoCloudExportPhotosOperator(task_id="photos", **arguments))
    Path(result).write_text(json.dumps(found))
