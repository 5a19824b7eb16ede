"""Recordings of tasks and watchers: the sandbox's replies to each of them, kept in the repository.

``python -m tests.fuzz.task_recordings`` makes them again.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from functools import partial
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

from airflow.sdk import Asset

from tests.fault_matrix import operators
from tests.fuzz.player import Player
from tests.fuzz.recordings import Recording, recorder, recordings, texts, write_file
from tests.support.every_task import THING
from tests.support.state_store import FakeAssetStateStores
from tests.support.task_runner import TaskRunner

FILE = Path(__file__).with_name("task_recordings.json.gz")

FOLDER = "{folder}"
"""Folder of a task's files in its recorded arguments."""

ITEMS = 5
"""Places of a base type, and Things, that the services keep: a reply of hundreds is no other input."""


def _to(name: str) -> dict[str, Any]:
    return {"output_path": f"{operators.FOLDER}/{name}"}


FURTHER: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "mapsindoors": {
        "geojson": ("MapsIndoorsExportGeodataOperator", {**_to("map.geojson"), "report": True}),
        "geoparquet": ("MapsIndoorsExportGeodataOperator", _to("map.geoparquet")),
    },
    "amigocloud": {
        "csv": ("AmigoCloudExportOperator", {**_to("zones.csv"), "report": True}),
        "parquet": ("AmigoCloudExportOperator", _to("zones.parquet")),
        "geojson": ("AmigoCloudExportOperator", _to("zones.geojson")),
        "geoparquet": ("AmigoCloudExportOperator", _to("zones.geoparquet")),
        "incremental": ("AmigoCloudExportOperator", {"incremental_column": "area_m2"}),
    },
    "iotstudio": {
        "things-parquet": ("IoTStudioExportThingsOperator", {**_to("things.parquet"), "report": True}),
        "history-parquet": ("IoTStudioExportHistoryOperator", _to("history.parquet")),
        "history-incremental": ("IoTStudioExportHistoryOperator", {"incremental": True}),
        "events-parquet": ("IoTStudioExportEventsOperator", _to("events.parquet")),
        "events-incremental": ("IoTStudioExportEventsOperator", {"incremental": True}),
        "only-changed": ("IoTStudioWritePropertiesOperator", {"only_changed": True}),
    },
    "leanix": {
        "sync-log-parquet": ("LeanIXExportSyncLogOperator", _to("log.parquet")),
        "sync-log-incremental": ("LeanIXExportSyncLogOperator", {"incremental": True}),
        "tables-parquet": (
            "LeanIXFetchResultsOperator",
            {"output_path": f"{operators.FOLDER}/tables/", "output_format": "parquet"},
        ),
    },
}
"""Tasks with other arguments, whose replies are read by other modules; not rows of the fault matrix."""


def rows(vendor: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the fuzzed tasks of a vendor: label to class name and further arguments."""
    return {**operators.rows(vendor), **FURTHER[vendor]}


def task_recordings() -> dict[str, Recording]:
    """Return the recordings of tasks and watchers, by vendor and label."""
    return recordings(FILE)


def label_of(vendor: str, row: str) -> str:
    """Return the label of a row of the fault matrix: a text without spaces."""
    return f"{vendor}.{row.replace('`', '').replace(',', '').replace(' ', '-')}"


def watcher_label(name: str) -> str:
    """Return the label of a watcher, which is named after its vendor and what it watches."""
    return name.replace(" ", ".watcher-")


def write() -> None:
    """Record every task and watcher against the sandbox."""
    from tests.support.every_watcher import WATCHERS

    out = {}
    with recorder() as (sandbox, player):
        for vendor in operators.VENDORS:
            for name, row in rows(vendor).items():
                out[label_of(vendor, name)] = _record_task(sandbox, player, vendor, row)
        for name in WATCHERS:
            out[watcher_label(name)] = _record_watcher(sandbox, player, name)
    write_file(FILE, {"calls": out})


def _record_task(sandbox: Any, player: Player, vendor: str, row: tuple[str, dict[str, Any]]) -> Any:
    from tests.support.budgets import forget_budgets
    from tests.support.sandbox_state import files

    name, further = row
    with tempfile.TemporaryDirectory() as folder:
        operators.reset(sandbox, vendor)
        _shrink(sandbox)
        make = operators.VENDORS[vendor](sandbox, Path(folder))[name]
        task, inputs = make(task_id="task", outlets=[Asset("asset")]), files(Path(folder))
        for argument, value in further.items():
            setattr(task, argument, operators.in_folder(value, folder))
        prepared = {
            "class": f"{type(task).__module__}.{type(task).__name__}",
            "arguments": _with_folder(arguments_of(task), folder, FOLDER),
            "files": {path: data.decode() for path, data in inputs.items()},
        }
        forget_budgets()
        player.exchanges.clear()
        with operators.recorded(sandbox, operators.TaskRun(), vendor if name.endswith("Sensor") else ""):
            new_runner().run(task)
    return {"prepared": prepared, "exchanges": texts(player, shorten=False)}


def _record_watcher(sandbox: Any, player: Player, name: str) -> Any:
    from tests.support.budgets import forget_budgets
    from tests.support.every_watcher import WATCHERS
    from tests.support.state_store import FakeStateStore
    from tests.support.task_runner import first_event

    vendor = name.split()[0]
    operators.reset(sandbox, vendor)
    _shrink(sandbox)
    operators.VENDORS[vendor](sandbox, Path(tempfile.mkdtemp()))  # it starts what the sensors wait for
    forget_budgets()
    player.exchanges.clear()
    trigger = WATCHERS[name]()
    path, arguments = trigger.serialize()
    trigger.asset_state_store = FakeStateStore()
    with operators.recorded(sandbox, operators.TaskRun(), vendor):
        asyncio.run(asyncio.wait_for(first_event(trigger), 60))
    prepared = {"class": path, "arguments": arguments, "files": {}}
    return {"prepared": prepared, "exchanges": texts(player, shorten=False)}


def _shrink(sandbox: Any) -> None:
    """Delete most places, of those that hold no others, and most Things."""
    geodata, things = sandbox.mapsindoors.campus.geodata, sandbox.iotstudio.space.things
    parents = {item.get("parentId") for item in geodata.values()}
    kept = Counter[str]()
    for item in list(geodata.values()):
        kept[item["baseType"]] += 1
        if item["id"] not in parents and kept[item["baseType"]] > ITEMS:
            del geodata[item["id"]]
    for uid in [uid for uid in things if uid != THING][ITEMS:]:
        del things[uid]


def new_runner() -> TaskRunner:
    """Return a runner whose assets have state, as Airflow 3.3 has."""
    runner = TaskRunner()
    runner.extra_context["asset_state_store"] = FakeAssetStateStores()
    return runner


def arguments_of(task: Any) -> dict[str, Any]:
    """Return the arguments of a task that are not the default: it keeps each under its own name."""
    out = {}
    for kind in type(task).__mro__:
        if kind.__module__.startswith("airflow_provider."):
            for name, parameter in signature(kind.__init__).parameters.items():
                value = getattr(task, name, parameter.default)
                if value is not parameter.default and name not in ("self", parameter.VAR_KEYWORD):
                    out[name] = value
    return out


def build(prepared: Any, folder: str, **further: Any) -> Any:
    """Return the task or watcher of a recording."""
    module, _, name = prepared["class"].rpartition(".")
    arguments = _with_folder(prepared["arguments"], FOLDER, folder)
    return partial(getattr(import_module(module), name), **further)(**arguments)


def _with_folder(value: Any, before: str, now: str) -> Any:
    if isinstance(value, str):
        return value.replace(before, now)
    if isinstance(value, dict):
        return {key: _with_folder(item, before, now) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_folder(item, before, now) for item in value]
    return value


if __name__ == "__main__":
    write()
