"""What each hook method does on a bad day: called against the sandbox, which breaks one answer."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.core import auth
from airflow_provider.errors import AmbiguousWriteError, ProviderError
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.sandbox.server import Sandbox
from tests import every_task
from tests.every_task import THING
from tests.faults import FAULTS, HOOKS, LONGEST, QUICK, Strike, fresh


@dataclass(frozen=True)
class Row:
    """One method of a hook.

    :param call: calls it; gets the hook and what ``prepare`` made.
    :param count: for a write, how often it has taken effect, as the service shows it afterwards.
    :param prepare: makes what the call needs, on a good day.
    """

    vendor: str
    method: str
    call: Callable[[Any, Any], Any]
    count: Callable[[Any, Any], int] | None = None
    prepare: Callable[[Any], Any] = field(default=lambda hook: None)


LDIF = {**every_task.LDIF, "description": "matrix"}
CONFIGURATION = {
    **{name: value for name, value in LDIF.items() if name not in {"lxVersion", "description", "content"}},
    "connectorId": "matrix",
    "processors": [],
    "scope": {},
}


def _room(hook: MapsIndoorsHook) -> dict[str, Any]:
    return hook.list_geodata(base_types="room")[0]


def _poi(hook: MapsIndoorsHook) -> dict[str, Any]:
    poi = hook.list_geodata(base_types="poi")[0]
    return {**{name: value for name, value in poi.items() if name != "id"}, "externalId": "matrix"}


def _leaf(hook: MapsIndoorsHook) -> str:
    return str(hook.list_geodata(base_types="poi")[0]["id"])


def _things_named(hook: MapsIndoorsHook, name: str) -> int:
    return sum(one["properties"].get("name@en") == name for one in hook.list_geodata())


def _rows(hook: AmigoCloudHook, name: str) -> int:
    return int(hook.get_records(f"SELECT count(*) AS n FROM dataset_1 WHERE name = '{name}'")[0]["n"])


def _datasets(hook: AmigoCloudHook) -> int:
    return sum(one["name"] == "matrix" for one in hook.get_cursor("datasets"))


def _run_of(hook: LeanIXHook) -> str:
    return hook.create_run(LDIF)


def _started(hook: LeanIXHook) -> str:
    run_id = hook.create_run(LDIF)
    hook.start_run(run_id)
    return run_id


def _status_is(*statuses: str) -> Callable[[Any, Any], int]:
    return lambda hook, run_id: int(hook.get_run_status(run_id) in statuses)


def _results(hook: LeanIXHook, run_id: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        made = hook.download_results(run_id, f"{folder}/results.json")
        return made and made["sha256"]


def _is_set(record: dict[str, Any]) -> bool:
    return bool(record["properties"]["setpoint"] == 17.25)


def _actions(hook: IoTStudioHook) -> int:
    return len(list(hook.list_actions(THING, "reboot")))


def _upload(hook: AmigoCloudHook, _: Any) -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "upload.csv")
        file.write_text("name,lat,lon\nmatrix,55.1,12.1\n")
        return hook.upload_file(str(file))


ROWS = [
    Row("mapsindoors", "get_dataset", lambda h, _: h.get_dataset()),
    Row("mapsindoors", "list_display_types", lambda h, _: h.list_display_types()),
    Row("mapsindoors", "list_categories", lambda h, _: h.list_categories()),
    Row("mapsindoors", "list_app_user_roles", lambda h, _: h.list_app_user_roles()),
    Row("mapsindoors", "list_geodata", lambda h, _: h.list_geodata(base_types="room")),
    Row("mapsindoors", "reverse_geocode", lambda h, _: h.reverse_geocode(55.78045, 12.57048, 0)),
    Row("mapsindoors", "list_route_elements", lambda h, _: h.list_route_elements()),
    Row(
        "mapsindoors",
        "create_geodata",
        lambda h, poi: h.create_geodata([poi]),
        lambda h, _: sum(one.get("externalId") == "matrix" for one in h.list_geodata()),
        _poi,
    ),
    Row(
        "mapsindoors",
        "update_geodata",
        lambda h, one: h.update_geodata([{"id": one["id"], "properties": {"name@en": "matrix"}}]),
        lambda h, _: _things_named(h, "matrix"),
        _room,
    ),
    Row(
        "mapsindoors",
        "delete_geodata",
        lambda h, one: h.delete_geodata([one]),
        lambda h, one: int(one not in {other["id"] for other in h.list_geodata()}),
        _leaf,
    ),
    Row("amigocloud", "get", lambda h, _: h.get("/me")),
    Row("amigocloud", "get_cursor", lambda h, _: [one["id"] for one in h.get_cursor("datasets")]),
    Row("amigocloud", "get_records", lambda h, _: h.get_records("SELECT * FROM dataset_1 LIMIT 9")),
    Row("amigocloud", "get_first", lambda h, _: h.get_first("SELECT 1 AS one")),
    Row("amigocloud", "get_master", lambda h, _: h.get_master(1)),
    Row("amigocloud", "get_schema", lambda h, _: h.get_schema(1)),
    Row(
        "amigocloud",
        "run",
        lambda h, _: h.run("INSERT INTO dataset_1 (amigo_id, name) VALUES ('m1', 'matrix')"),
        lambda h, _: _rows(h, "matrix"),
    ),
    Row(
        "amigocloud",
        "create_dataset",
        lambda h, _: h.create_dataset("matrix", [{"name": "a", "type": "string"}])["name"],
        lambda h, _: _datasets(h),
    ),
    Row(
        "amigocloud",
        "post",
        lambda h, _: h.post("datasets/create", {"name": "matrix", "schema": "[]"}) and None,
        lambda h, _: _datasets(h),
    ),
    Row(
        "amigocloud",
        "submit_change",
        lambda h, _: len(h.submit_change(1, "INSERT", [{"amigo_id": "m2", "name": "matrix"}])),
        lambda h, _: _rows(h, "matrix"),
    ),
    Row(
        "amigocloud",
        "delete_dataset",
        lambda h, _: h.delete_dataset(1),
        lambda h, _: int(1 not in {one["id"] for one in h.get_cursor("datasets")}),
    ),
    Row(
        "amigocloud",
        "upload_file",
        _upload,
        lambda h, _: sum("upload" in one["name"] for one in h.get_cursor("datasets")),
    ),
    Row("amigocloud", "get_job", lambda h, job: h.get_job(job)["status"], prepare=lambda h: _upload(h, None)),
    Row("iotstudio", "list_things", lambda h, _: [one["uid"] for one in h.list_things()]),
    Row("iotstudio", "get_thing", lambda h, _: h.get_thing(THING)["title"]),
    Row("iotstudio", "list_categories", lambda h, _: h.list_categories()),
    Row("iotstudio", "get_properties", lambda h, _: h.get_properties(THING)),
    Row("iotstudio", "get_property", lambda h, _: h.get_property(THING, "temperature")),
    Row("iotstudio", "iter_history", lambda h, _: list(h.iter_history(THING, name="temperature"))),
    Row("iotstudio", "list_actions", lambda h, _: list(h.list_actions(THING, "reboot"))),
    Row("iotstudio", "list_models", lambda h, _: list(h.list_models())),
    Row("iotstudio", "list_events", lambda h, _: list(h.list_events(THING))),
    Row(
        "iotstudio",
        "set_properties",
        lambda h, _: h.set_properties(THING, {"setpoint": 17.25}),
        lambda h, _: len([one for one in h.iter_history(THING, name="setpoint") if _is_set(one)]),
    ),
    Row(
        "iotstudio",
        "invoke_action",
        lambda h, _: h.invoke_action(THING, "reboot", {}) and None,
        lambda h, _: _actions(h),
    ),
    Row(
        "iotstudio",
        "get_action",
        lambda h, one: h.get_action(THING, "reboot", one)["id"] == one,
        prepare=lambda h: h.invoke_action(THING, "reboot", {})["id"],
    ),
    Row("iotstudio", "request", lambda h, _: h.request("GET", f"things/{THING}").status),
    Row("iotstudio", "last_values", lambda h, _: h.last_values(THING, "2026-01-02T00:00:00Z")),
    Row(
        "iotstudio",
        "delete_things",
        lambda h, _: h.delete_things(thing_ids=[THING]) and None,
        lambda h, _: int(THING not in {one["uid"] for one in h.list_things()}),
    ),
    Row(
        "iotstudio",
        "add_event",
        lambda h, _: h.add_event(THING, "highTemperature", 61.5) and None,
        lambda h, _: len(list(h.list_events(THING))),
    ),
    Row("leanix", "list_runs", lambda h, run: len(h.list_runs()), prepare=_run_of),
    Row("leanix", "get_run_status", lambda h, run: h.get_run_status(run), prepare=_run_of),
    Row("leanix", "get_run_progress", lambda h, run: h.get_run_progress(run) and None, prepare=_started),
    Row("leanix", "get_run_stats", lambda h, run: h.get_run_stats(run) and None, prepare=_started),
    Row("leanix", "iter_run_warnings", lambda h, run: list(h.iter_run_warnings(run)), prepare=_started),
    Row("leanix", "list_configurations", lambda h, _: h.list_configurations()),
    Row("leanix", "download_results", _results, prepare=_started),
    Row(
        "leanix",
        "create_run",
        lambda h, _: h.create_run(LDIF) and None,
        lambda h, _: sum(one["description"] == "matrix" for one in h.list_runs()),
    ),
    Row(
        "leanix",
        "start_run",
        lambda h, run: h.start_run(run) and None,
        _status_is("SEQUENTIALIZED", "PENDING", "IN_PROGRESS", "FINISHED"),
        _run_of,
    ),
    Row("leanix", "stop_run", lambda h, run: h.stop_run(run) and None, _status_is("STOPPED"), _started),
    Row(
        "leanix",
        "put_configuration",
        lambda h, _: h.put_configuration(CONFIGURATION),
        lambda h, _: sum(one["connectorId"] == "matrix" for one in h.list_configurations()),
    ),
]


def _prepared(sandbox: Sandbox, row: Row) -> Any:
    """Put the world back, and make what the call needs."""
    fresh(sandbox, row.vendor)
    sandbox.leanix.queue_seconds = sandbox.leanix.run_seconds = 1e4 if row.count else 0.0
    with HOOKS[row.vendor]() as hook:
        return row.prepare(hook)


@dataclass
class Outcome:
    """How one call ended."""

    value: Any = None
    error: Exception | None = None
    requests: int = 0
    seconds: float = 0.0


def _call(row: Row, prepared: Any) -> Outcome:
    outcome, started = Outcome(), time.monotonic()
    with HOOKS[row.vendor]() as hook:
        hook.patience = QUICK
        try:
            outcome.value = row.call(hook, prepared)
        except ProviderError as error:
            outcome.error = error
        outcome.requests = hook.requests
    outcome.seconds = time.monotonic() - started
    return outcome


def cell(sandbox: Sandbox, row: Row, fault: str, usual: Outcome) -> str:
    """Say what a method does under a fault; one of :data:`BAD` when it should not.

    :param usual: how the same call ends on a good day.
    """
    prepared = _prepared(sandbox, row)
    if FAULTS[fault].get("path"):
        auth._slots.clear()
    strike = Strike(sandbox, fault)
    outcome = _call(row, prepared)
    strike.end()
    if outcome.seconds > LONGEST:
        return "HUNG"
    if strike.leaked:
        return "LEAKED"
    if not strike.hit:
        return "-"
    return _judged(row, outcome, usual, _effects(row, prepared))


def _effects(row: Row, prepared: Any) -> int | None:
    if row.count is None:
        return None
    with HOOKS[row.vendor]() as hook:
        return row.count(hook, prepared)


def _judged(row: Row, outcome: Outcome, usual: Outcome, effects: int | None) -> str:
    if effects is not None and effects > 1:
        return "DUPLICATED"
    if outcome.error is None:
        if effects == 0:
            return "LOST"
        if effects is None and outcome.value != usual.value:
            return "WRONG"
        return "fine" if outcome.requests <= usual.requests else "tried again, fine"
    if isinstance(outcome.error, AmbiguousWriteError):
        return "ambiguous, done" if effects else "ambiguous, not done"
    name = type(outcome.error).__name__
    return f"{name}, although done" if effects else name


def usual(sandbox: Sandbox, row: Row) -> Outcome:
    """Call a method on a good day."""
    prepared = _prepared(sandbox, row)
    outcome = _call(row, prepared)
    effects = _effects(row, prepared)
    if outcome.error is not None or effects not in {None, 1}:
        raise AssertionError(
            f"{row.vendor}.{row.method}: {outcome.error}, {effects} effects, without a fault"
        )
    return outcome


def cells(sandbox: Sandbox, vendor: str) -> dict[str, list[str]]:
    """Give the cells of a vendor's methods, in the order of the faults."""
    out = {}
    for row in ROWS:
        if row.vendor == vendor:
            good = usual(sandbox, row)
            out[f"`{row.method}`"] = [cell(sandbox, row, fault, good) for fault in FAULTS]
    return out
