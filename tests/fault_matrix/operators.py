"""Operators and sensors under faults: run each of them in the sandbox, break it in the middle, and retry.

Afterwards the sandbox and the files must be as a faultless run leaves them. When the task has failed
permanently, they may hold nothing else.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any
from unittest.mock import patch

from airflow_provider.amigocloud.sync import execute
from airflow_provider.core import polling, triggers
from airflow_provider.core.hook import ApiHook
from airflow_provider.core.http import rate_limit
from airflow_provider.errors import ProviderError
from airflow_provider.iotstudio import actions
from airflow_provider.iotstudio.export import incremental
from airflow_provider.iotstudio.sync import sync as things_sync
from airflow_provider.mapsindoors.sync import verify
from airflow_provider.sandbox.server import Sandbox
from tests.fault_matrix.faults import FAULTS, LONGEST, QUICK, Injection, fresh
from tests.support import every_task
from tests.support.airflow_names import AirflowFailException
from tests.support.budgets import forget_tokens
from tests.support.sandbox_state import Snapshot, files, snapshot
from tests.support.task_runner import TaskRunner

VENDORS = {
    "mapsindoors": every_task.mapsindoors_tasks,
    "amigocloud": every_task.amigocloud_tasks,
    "iotstudio": every_task.iotstudio_tasks,
    "leanix": every_task.leanix_tasks,
}
CHANGING = {"requests", "seconds", "run_id", "job", "dataset_ids", "action_id", "uri", "files", "plan"}
"""Fields of results that differ between equal runs."""
PARTLY_DONE = {
    "updated", "written", "skipped", "verified", "created", "existing", "create", "update", "unchanged",
    "deleted", "gone", "changed", "differences",
}  # fmt: skip
"""Fields of results that differ when an earlier attempt has done a part of the work."""

FOLDER = "{folder}"
QUERY = {
    "source": None,
    "sql": "SELECT 'Bohr' AS name, 7.5 AS value UNION ALL SELECT 'Noether', 1.0 ORDER BY 1",
    "sql_conn_id": "warehouse",
}
TABLES = {"output_path": FOLDER + "/tables/", "output_format": "jsonl"}

FURTHER: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "amigocloud": {
        "`AmigoCloudUploadOperator`, of a query": (
            "AmigoCloudUploadOperator",
            {**QUERY, "deferrable": False},
        ),
        "`AmigoCloudUploadOperator`, of a query into a dataset": (
            "AmigoCloudUploadOperator",
            {**QUERY, "dataset": 1, "deferrable": False},
        ),
    },
    "leanix": {
        "`LeanIXRunOperator`, as tables": (
            "LeanIXRunOperator",
            {**TABLES, "deferrable": False},
        ),
        "`LeanIXFetchResultsOperator`, as tables": (
            "LeanIXFetchResultsOperator",
            TABLES,
        ),
        "`LeanIXStartRunOperator`, of a group": (
            "LeanIXStartRunOperator",
            {"execution_group": every_task.GROUP},
        ),
        "`LeanIXPutConfigurationOperator`, planned": ("LeanIXPutConfigurationOperator", {"mode": "plan"}),
    },
}
"""Further rows of classes: label to class name and further arguments, by vendor.

:data:`FOLDER` in a text is the folder of the task's files."""

FOLLOWS = {"AmigoCloudExportPhotosOperator"}
"""Tasks that follow links of the service to another host."""

FULFILLED_AT = 4
"""Number of the request at which the condition of a sensor is fulfilled."""

_OF_A_RUN = re.compile(r"-[0-9a-f]{8}(?=\.)")
"""What a run adds to the names of its tables."""

PLAN = "plan."
"""Prefix of the files that a sync writes before it changes the service, and when rows fail."""


@dataclass
class TaskRun:
    """Result of a task with its attempts, and the state afterwards.

    :param errors: the error of each failed attempt.
    :param requests: method and path of each request, except those for tokens.
    :param before: content of the service before the run.
    :param after: content of the service after the run.
    """

    value: Any = None
    errors: list[Exception] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    before: Snapshot = field(default_factory=Snapshot)
    after: Snapshot = field(default_factory=Snapshot)
    files: dict[str, bytes] = field(default_factory=dict)
    is_green: bool = False
    hit: bool = True
    leaked: bool = False
    followed: bool = False

    @property
    def result(self) -> Any:
        """Comparable part of what the task returned."""
        return self.comparable(retried=bool(self.errors))

    def comparable(self, *, retried: bool) -> Any:
        """Return the result without the fields that differ between equal runs.

        :param retried: whether to leave out the fields that depend on an earlier attempt, too.
        """
        return _without(self.value, CHANGING | PARTLY_DONE if retried else CHANGING)


def _without(value: Any, left_out: set[str]) -> Any:
    if isinstance(value, dict):
        return {name: _without(item, left_out) for name, item in value.items() if name not in left_out}
    return "a text" if isinstance(value, str) else value


@contextmanager
def no_waiting() -> Iterator[None]:
    """Shorten all pauses: between attempts and polls, and of the rate limit."""
    at_once = partial(repeat, 0.001)
    with (
        patch.object(ApiHook, "retry_limits", QUICK),
        patch.object(rate_limit.Budget, "acquire", lambda *_: 0.0),
        patch.object(rate_limit.Budget, "aacquire", lambda *_: asyncio.sleep(0, 0.0)),
        patch.object(polling, "intervals", lambda *_, **__: at_once()),
        patch.object(triggers, "intervals", lambda *_, **__: at_once()),
        patch.object(actions, "SEARCH_DELAYS", (0.0, 0.0)),
        patch.object(incremental, "CLOCK_MARGIN", 0.0),
        patch.object(things_sync, "LATE_SECONDS", 0.0),
        patch.object(verify, "wait", lambda _: None),
        patch.object(execute, "wait", lambda _: None),
    ):
        yield


def rows(vendor: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return a vendor's rows of the table: label to class name and further arguments."""
    out: dict[str, tuple[str, dict[str, Any]]] = {}
    for name, kind in sorted(every_task.public_classes().items()):
        if kind.__module__.split(".")[1] != vendor:
            continue
        if every_task.can_defer(kind):
            out[f"`{name}`"] = (name, {"deferrable": False})
            out[f"`{name}`, deferred"] = (name, {"deferrable": True})
        else:
            out[f"`{name}`"] = (name, {})
    return {**out, **FURTHER.get(vendor, {})}


def run_task(
    sandbox: Sandbox, vendor: str, row: tuple[str, dict[str, Any]], fault: str = "", after: int = 0
) -> TaskRun:
    """Run a task, and retry it once, without the fault, after a failure.

    :param fault: the fault to inject; empty for a faultless run.
    :param after: number of requests before the fault.
    """
    name, arguments = row
    run = TaskRun()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        reset(sandbox, vendor)
        make = VENDORS[vendor](sandbox, folder)[name]
        forget_tokens()
        inputs, run.before = files(folder), snapshot(sandbox, vendor)
        with recorded(sandbox, run, vendor if name.endswith("Sensor") else ""):
            injection = Injection(sandbox, fault, after) if fault else None
            given = {name: in_folder(value, temporary) for name, value in arguments.items()}
            _run_attempts(run, lambda: make(task_id="task", **given), injection)
        if injection:
            run.hit, run.leaked = injection.hit, injection.leaked
            run.followed = name in FOLLOWS and injection.leaked and not injection.leaked_secret
        run.after = snapshot(sandbox, vendor)
        run.files = {path: data for path, data in files(folder).items() if path not in inputs}
    return run


def in_folder(value: Any, folder: str) -> Any:
    """Return an argument of a row, with the folder of a task's files."""
    return value.replace(FOLDER, folder) if isinstance(value, str) else value


def _run_attempts(run: TaskRun, make: Callable[[], Any], injection: Injection | None) -> None:
    runner = TaskRunner()
    for _ in range(2):
        began = time.monotonic()
        try:
            run.value = runner.run(make())
            run.is_green = True
            break
        except (ProviderError, TimeoutError) as error:
            run.errors.append(error)
            if isinstance(error, AirflowFailException):
                break
        finally:
            run.seconds = max(run.seconds, time.monotonic() - began)
            if injection:
                injection.end()


def reset(sandbox: Sandbox, vendor: str) -> None:
    """Reset a service, whose runs, actions and jobs then end at once."""
    fresh(sandbox, vendor)
    sandbox.leanix.queue_seconds = sandbox.leanix.run_seconds = sandbox.leanix.seconds_per_item = 0.0
    sandbox.iotstudio.device_seconds = 0.0
    sandbox.amigocloud.job_latency = 0.0


@contextmanager
def recorded(sandbox: Sandbox, run: TaskRun, sensors_of: str) -> Iterator[None]:
    """Record every request.

    :param sensors_of: the vendor whose sensors' conditions to fulfil after some requests; empty for none.
    """
    take = sandbox.faults.take

    def recording(service: str, method: str, path: str) -> Any:
        if "/token" not in path:
            run.requests.append((method, path))
            if sensors_of and len(run.requests) == FULFILLED_AT:
                every_task.fulfil_sensors(sandbox, sensors_of)
        return take(service, method, path)

    sandbox.faults.take = recording  # type: ignore[method-assign]
    yield
    sandbox.faults.take = take  # type: ignore[method-assign]


def middle(expected: TaskRun) -> int:
    """Return the index of the request that the short form breaks: the first write, else the middle one."""
    for index, (method, _) in enumerate(expected.requests):
        if method != "GET":
            return index
    return len(expected.requests) // 2


def cell(
    sandbox: Sandbox, vendor: str, row: tuple[str, dict[str, Any]], fault: str, expected: TaskRun, after: int
) -> str:
    """Return the behaviour of a task under a fault, in a few words; one of :data:`BAD` for a defect.

    :param expected: the same task without a fault.
    """
    run = run_task(sandbox, vendor, row, fault, after)
    if run.seconds > LONGEST:
        return "HUNG"
    if run.followed:
        return "followed without credentials"
    if run.leaked:
        return "LEAKED"
    if not run.hit:
        return "-"
    return _success(run, expected) if run.is_green else _failure(run, expected)


def _success(run: TaskRun, expected: TaskRun) -> str:
    if _surplus(run, expected):
        return "DUPLICATED"
    if expected.after - run.after:
        return "LOST"
    if _line_counts(run.files) != _line_counts(expected.files):
        return "WRONG"
    if run.result != expected.comparable(retried=bool(run.errors)):
        return "WRONG"
    if run.errors:
        return f"`{_name(run.errors[0])}`; next attempt fine"
    return "fine" if len(run.requests) <= len(expected.requests) else "retried, fine"


def _failure(run: TaskRun, expected: TaskRun) -> str:
    if _surplus(run, expected):
        return "DUPLICATED"
    if not all(name.startswith(PLAN) for name in run.files):
        return "WRONG"
    known = [(expected.after, "done"), (expected.before, "not done")]
    done = next((word for content, word in known if run.after == content), "partly done")
    return f"{'; next attempt '.join(f'`{_name(error)}`' for error in run.errors)}, {done}"


def _surplus(run: TaskRun, expected: TaskRun) -> Snapshot:
    """Return the content that was neither there before nor is the effect of the task."""
    return run.after - (expected.after | expected.before)


def _line_counts(created: dict[str, bytes]) -> dict[str, int]:
    """Return the number of lines per file, as ids and times differ; plans differ between attempts."""
    return {
        _OF_A_RUN.sub("", name): len(data.splitlines())
        for name, data in created.items()
        if not name.startswith(PLAN)
    }


def _name(error: Exception) -> str:
    return type(error).__name__


def cells(sandbox: Sandbox, vendor: str, faults: Iterable[str] = tuple(FAULTS)) -> dict[str, list[str]]:
    """Return the cells of a vendor's operators and sensors, in the order of the faults: each fault once."""
    out = {}
    with no_waiting():
        for label, row in rows(vendor).items():
            expected = faultless(sandbox, vendor, row)
            after = middle(expected)
            out[label] = [cell(sandbox, vendor, row, fault, expected, after) for fault in faults]
    return out


def faultless(sandbox: Sandbox, vendor: str, row: tuple[str, dict[str, Any]]) -> TaskRun:
    """Run a task without a fault."""
    run = run_task(sandbox, vendor, row)
    if run.errors:
        raise AssertionError(f"{row} fails without a fault") from run.errors[0]
    if row[0].endswith("Sensor") and len(run.requests) < FULFILLED_AT:
        raise AssertionError(f"{row} did not wait: its condition was fulfilled before")
    return run


def long_cells(sandbox: Sandbox, vendor: str, fault: str) -> dict[str, str]:
    """Return the behaviour of each task of a vendor for a fault at each of its requests."""
    out = {}
    with no_waiting():
        for label, row in rows(vendor).items():
            expected = faultless(sandbox, vendor, row)
            for after, (method, path) in enumerate(expected.requests):
                result = cell(sandbox, vendor, row, fault, expected, after)
                out[f"{label}, request {after}: {method} {path}"] = result
    return out
