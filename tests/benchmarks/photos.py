"""Exports of photos, beside a script with eight threads, in one run.

Run: ``python -m tests.benchmarks.photos [photos] [--kilobytes 100]``. The script reads the list of photos
once, and downloads each by ``requests`` in eight threads, with a session for each, whole in memory; it checks
nothing, and cannot resume. The export runs with a tenth of the photos and with all of them, for its memory,
and once more with ``incremental``. Each runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

DATASETS = (2001, 2002)
THREADS = 8


def export(folder: str, dataset: int, *, incremental: bool = False) -> int:
    """Export the photos of a dataset; return their number."""
    from airflow_provider.amigocloud.operators import AmigoCloudExportPhotosOperator
    from tests.support.task_runner import TaskRunner

    task = AmigoCloudExportPhotosOperator(
        task_id="photos", dataset=dataset, output_path=folder, incremental=incremental
    )
    return int(TaskRunner().run(task)["rows"])


def script(folder: str, dataset: int) -> int:
    """Download the photos of a dataset as a script does; return their number."""
    import requests

    from airflow_provider.amigocloud.hooks import AmigoCloudHook

    with AmigoCloudHook() as hook:
        host, token = hook.settings.host, hook.settings.password
        (gallery,) = hook.get_cursor(f"datasets/{dataset}/related_tables")
    params = {"token": token}
    rows = requests.get(f"{gallery['url']}/entries", params, timeout=60).json()["data"]
    sessions = threading.local()

    def save(row: dict[str, Any]) -> None:
        sessions.one = getattr(sessions, "one", None) or requests.Session()
        names = f"{row['source_amigo_id']}/{row['amigo_id']}/{row['filename']}"
        url = f"{host}/related_tables/{gallery['id']}/files/{names}"
        reply = sessions.one.get(url, params=params, timeout=60)
        Path(folder, row["amigo_id"]).write_bytes(reply.content)

    Path(folder).mkdir()
    with ThreadPoolExecutor(THREADS) as pool:
        return len(list(pool.map(save, rows)))


def _run(work: Any, arguments: tuple[Any, ...], more: dict[str, Any], result: Any) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    # Imported before the clock starts.
    import requests  # noqa: F401
    from airflow.sdk import ObjectStoragePath  # noqa: F401

    from airflow_provider.amigocloud.export import sources  # noqa: F401
    from airflow_provider.amigocloud.photos import export as _  # noqa: F401
    from tests.benchmarks.measured_process import memory

    before, clock, cpu = memory("VmRSS"), time.perf_counter(), time.process_time()
    rows = work(*arguments, **more)
    result.put(
        {
            "rows": rows,
            "seconds": time.perf_counter() - clock,
            "cpu": time.process_time() - cpu,
            "mb": memory("VmHWM") - before,
        }
    )


def measured(work: Any, *arguments: Any, **more: Any) -> dict[str, Any]:
    """Run in a process of its own; return its rows, seconds, seconds of CPU, and memory above the start."""
    context = multiprocessing.get_context("spawn")
    result = context.Queue()
    process = context.Process(target=_run, args=(work, arguments, more, result))
    process.start()
    found: dict[str, Any] = result.get(timeout=1800)
    process.join(60)
    return found


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=int, nargs="?", default=5000)
    parser.add_argument("--kilobytes", type=int, default=100)
    given = parser.parse_args()
    from airflow_provider.sandbox.server import Sandbox

    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
    with Sandbox() as sandbox, tempfile.TemporaryDirectory() as folder:
        os.environ |= {f"AIRFLOW_CONN_{name.upper()}": text for name, text in sandbox.connections.items()}
        for dataset, photos in zip(DATASETS, (given.photos, given.photos // 10), strict=True):
            sandbox.load("amigocloud.photos", dataset=dataset, photos=photos, kilobytes=given.kilobytes)
        all_, few = DATASETS
        for name, found in {
            "script": measured(script, f"{folder}/script", all_),
            "export, a tenth": measured(export, f"{folder}/few", few),
            "export": measured(export, f"{folder}/all", all_),
            "export, nothing new": measured(export, f"{folder}/all", all_, incremental=True),
        }.items():
            print(f"{name:22} {json.dumps({key: round(value, 2) for key, value in found.items()})}")


if __name__ == "__main__":
    main()
