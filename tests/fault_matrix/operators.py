"""What each operator and sensor does on a bad day: run in the sandbox, broken in the middle, tried again.

The judge is the sandbox: afterwards it must hold, and the files must be, what a good day leaves, or, where
the task failed for good, nothing that a good day does not leave.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any
from unittest.mock import patch

from airflow_provider.core import polling, triggers
from airflow_provider.core.hook import ApiHook
from airflow_provider.core.http import auth, rate_limit
from airflow_provider.errors import ProviderError
from airflow_provider.iotstudio import actions
from airflow_provider.iotstudio.export import incremental
from airflow_provider.mapsindoors.sync import verify
from airflow_provider.sandbox.server import Sandbox
from tests.fault_matrix.faults import FAULTS, LONGEST, QUICK, Strike, fresh
from tests.support import every_task
from tests.support.airflow_names import AirflowFailException
from tests.support.sandbox_state import World, files, world
from tests.support.task_runner import Tries

VENDORS = {
    "mapsindoors": every_task.mapsindoors_tasks,
    "amigocloud": every_task.amigocloud_tasks,
    "iotstudio": every_task.iotstudio_tasks,
    "leanix": every_task.leanix_tasks,
}
CHANGING = {"requests", "seconds", "run_id", "job", "dataset_ids", "action_id", "uri", "files", "plan"}
"""What an operator returns that differs from day to day."""
DONE_BEFORE = {
    "updated", "written", "skipped", "verified", "created", "existing", "create", "update", "unchanged",
    "deleted", "gone", "changed", "differences",
}  # fmt: skip
"""What differs when an earlier try has done a part of the work."""

LOOKS = 4
"""What a sensor waits for is so at this request."""
PLAN = "plan."
"""How the names of files begin that a sync makes before it writes to the service, and when rows fail."""


@dataclass
class Day:
    """How a task went, and what was there afterwards.

    :param errors: one for each try that failed.
    :param requests: method and path of each, those for tokens left out.
    """

    value: Any = None
    errors: list[Exception] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    before: World = field(default_factory=World)
    world: World = field(default_factory=World)
    files: dict[str, bytes] = field(default_factory=dict)
    is_green: bool = False
    hit: bool = True
    leaked: bool = False

    @property
    def result(self) -> Any:
        """What the task returned, as far as it can be compared."""
        return self.told(bool(self.errors))

    def told(self, again: bool) -> Any:
        """Give what the task returned, without what differs from day to day.

        :param again: also without what differs when an earlier try has done a part of the work.
        """
        return _without(self.value, CHANGING | DONE_BEFORE if again else CHANGING)


def _without(value: Any, left_out: set[str]) -> Any:
    if isinstance(value, dict):
        return {name: _without(one, left_out) for name, one in value.items() if name not in left_out}
    return "a text" if isinstance(value, str) else value


@contextmanager
def no_waiting() -> Iterator[None]:
    """Let all pauses take no time: between tries, polls and looks, and for a request's turn."""
    at_once = partial(repeat, 0.001)
    with (
        patch.object(ApiHook, "retry_limits", QUICK),
        patch.object(rate_limit.Budget, "reserve", lambda self, now=None: 0.0),
        patch.object(polling, "intervals", lambda *_, **__: at_once()),
        patch.object(triggers, "intervals", lambda *_, **__: at_once()),
        patch.object(actions, "SEARCH_DELAYS", (0.0, 0.0)),
        patch.object(incremental, "CLOCK_MARGIN", 0.0),
        patch.object(verify, "wait", lambda _: None),
    ):
        yield


def rows(vendor: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Give a vendor's lines of the table: its label to the class's name and further arguments."""
    out: dict[str, tuple[str, dict[str, Any]]] = {}
    for name, kind in sorted(every_task.public_classes().items()):
        if kind.__module__.split(".")[1] != vendor:
            continue
        if every_task.can_defer(kind):
            out[f"`{name}`"] = (name, {"deferrable": False})
            out[f"`{name}`, deferred"] = (name, {"deferrable": True})
        else:
            out[f"`{name}`"] = (name, {})
    return out


def live(
    sandbox: Sandbox, vendor: str, row: tuple[str, dict[str, Any]], fault: str = "", after: int = 0
) -> Day:
    """Run a task, with one more try after one that failed; a service that was down is well again by then.

    :param fault: what goes wrong; empty for a good day.
    :param after: how many requests pass before it does.
    """
    name, arguments = row
    day = Day()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _soon(sandbox, vendor)
        make = VENDORS[vendor](sandbox, folder)[name]
        auth._slots.clear()
        given, day.before = files(folder), world(sandbox, vendor)
        tries = Tries()
        with recorded(sandbox, day, vendor if name.endswith("Sensor") else ""):
            strike = Strike(sandbox, fault, after) if fault else None
            for _ in range(2):
                began = time.monotonic()
                try:
                    day.value = tries.run(make(task_id="task", **arguments))
                    day.is_green = True
                    break
                except (ProviderError, TimeoutError) as error:
                    day.errors.append(error)
                    if isinstance(error, AirflowFailException):
                        break
                finally:
                    day.seconds = max(day.seconds, time.monotonic() - began)
                    if strike:
                        strike.end()
        if strike:
            day.hit, day.leaked = strike.hit, strike.leaked
        day.world = world(sandbox, vendor)
        day.files = {path: data for path, data in files(folder).items() if path not in given}
    return day


def _soon(sandbox: Sandbox, vendor: str) -> None:
    fresh(sandbox, vendor)
    sandbox.leanix.queue_seconds = sandbox.leanix.run_seconds = sandbox.leanix.seconds_per_item = 0.0
    sandbox.iotstudio.device_seconds = 0.0
    sandbox.amigocloud.job_latency = 0.0


@contextmanager
def recorded(sandbox: Sandbox, day: Day, happens: str) -> Iterator[None]:
    """Note every request.

    :param happens: what sensors of this vendor wait for is so after they looked some times.
    """
    take = sandbox.faults.take

    def noting(service: str, method: str, path: str) -> Any:
        if "/token" not in path:
            day.requests.append((method, path))
            if happens and len(day.requests) == LOOKS:
                every_task.happen(sandbox, happens)
        return take(service, method, path)

    sandbox.faults.take = noting  # type: ignore[method-assign]
    yield
    sandbox.faults.take = take  # type: ignore[method-assign]


def middle(good: Day) -> int:
    """Say which request the short form breaks: the first that writes, else the one in the middle."""
    for at, (method, _) in enumerate(good.requests):
        if method != "GET":
            return at
    return len(good.requests) // 2


def cell(
    sandbox: Sandbox, vendor: str, row: tuple[str, dict[str, Any]], fault: str, good: Day, after: int
) -> str:
    """Say what a task does under a fault, in a few words.

    :param good: the same on a good day.
    """
    day = live(sandbox, vendor, row, fault, after)
    if day.seconds > LONGEST:
        return "HUNG"
    if day.leaked:
        return "LEAKED"
    if not day.hit:
        return "-"
    return _green(day, good) if day.is_green else _red(day, good)


def _green(day: Day, good: Day) -> str:
    if _more(day, good):
        return "DUPLICATED"
    if good.world - day.world:
        return "LOST"
    if _shape(day.files) != _shape(good.files) or day.result != good.told(bool(day.errors)):
        return "WRONG"
    if day.errors:
        return f"`{_name(day.errors[0])}`; next attempt fine"
    return "fine" if len(day.requests) <= len(good.requests) else "retried, fine"


def _red(day: Day, good: Day) -> str:
    if _more(day, good):
        return "DUPLICATED"
    if not all(name.startswith(PLAN) for name in day.files):
        return "WRONG"
    known = [(good.world, "done"), (good.before, "not done")]
    done = next((word for there, word in known if day.world == there), "partly done")
    return f"{'; next attempt '.join(f'`{_name(one)}`' for one in day.errors)}, {done}"


def _more(day: Day, good: Day) -> World:
    """Give what is neither from before nor to be."""
    return day.world - (good.world | good.before)


def _shape(made: dict[str, bytes]) -> dict[str, int]:
    """Give the lines of each file: ids and times differ from day to day, and plans from try to try."""
    return {name: len(data.splitlines()) for name, data in made.items() if not name.startswith(PLAN)}


def _name(error: Exception) -> str:
    return type(error).__name__


def cells(sandbox: Sandbox, vendor: str) -> dict[str, list[str]]:
    """Give the cells of a vendor's operators and sensors, in the order of the faults: each fault once."""
    out = {}
    with no_waiting():
        for label, row in rows(vendor).items():
            good = good_day(sandbox, vendor, row)
            out[label] = [cell(sandbox, vendor, row, fault, good, middle(good)) for fault in FAULTS]
    return out


def good_day(sandbox: Sandbox, vendor: str, row: tuple[str, dict[str, Any]]) -> Day:
    """Run a task when nothing is wrong."""
    good = live(sandbox, vendor, row)
    if good.errors:
        raise AssertionError(f"{row} fails without a fault") from good.errors[0]
    if row[0].endswith("Sensor") and len(good.requests) < LOOKS:
        raise AssertionError(f"{row} did not wait: what it waits for was so before")
    return good


def long_cells(sandbox: Sandbox, vendor: str, fault: str) -> dict[str, str]:
    """Give what each task of a vendor does when its first request is broken, its second one, and so on."""
    out = {}
    with no_waiting():
        for label, row in rows(vendor).items():
            good = good_day(sandbox, vendor, row)
            for after, (method, path) in enumerate(good.requests):
                said = cell(sandbox, vendor, row, fault, good, after)
                out[f"{label}, request {after}: {method} {path}"] = said
    return out
