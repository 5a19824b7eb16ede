"""Scripts: calls of every method of the four hooks that sends, run on a worker and from an event loop."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.core.hook import ApiHook
from airflow_provider.core.http.call import Call
from airflow_provider.errors import ProviderError
from airflow_provider.iotstudio import api as iot_api
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.sandbox.leanix.seed import WORKSPACE_ID
from airflow_provider.sandbox.mapsindoors.seed import CUSTOMER

HOOKS: tuple[type[ApiHook], ...] = (MapsIndoorsHook, AmigoCloudHook, IoTStudioHook, LeanIXHook)


class Step(NamedTuple):
    """A call of a method: its name, and arguments; functions get the results so far, by name."""

    name: str
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed


def step(name: str, /, *args: Any, **options: Any) -> Step:
    """Return a step."""
    return Step(name, args, options)


THING = "01GQ2E9M2Y45BX9EW0F2BM032Q"
OLD = [{"at": "2025-03-01T10:00:00Z", "properties": {"humidity": 40}}]
PATCH = [{"op": "replace", "path": "/title", "value": "Patched"}]
ROW = {"amigo_id": "new-1", "name": "Added"}
DATASET, POINT = 2001, (57.05, 9.93, 0)

SHARED = [
    step("test_connection"),
    step("probe"),
    step("diagnose", ProviderError("a problem")),
    step("access_token"),
    step("cached_access_token"),
    step("forget_access_token", "unknown"),
]

SCRIPTS: dict[type[ApiHook], list[Step]] = {
    IoTStudioHook: [
        *SHARED,
        step("send", lambda _: iot_api.thing("my-iot-project", THING)),
        step("list_things", category="Sensors"),
        step("list_things", params={"property:temperature": ""}),
        step("list_things", params={"thingID[]": []}),
        step("get_thing", THING),
        step("get_thing", "01UNKNOWN"),
        step("list_categories"),
        step("get_properties", THING),
        step("get_property", THING, "temperature"),
        step("set_properties", THING, {"setpoint": 20.5}),
        step("set_properties", THING, {"setpoint": object()}),
        step("iter_history", THING, name="temperature", start="2100"),
        step("history_page", THING, end="1990"),
        step("invoke_action", THING, "reboot"),
        step("get_action", THING, "reboot", lambda found: found["invoke_action"]["id"]),
        step("list_actions", THING, "reboot"),
        step("create_thing", {"title": "New"}),
        step("create_thing", {"titel": "New"}),
        step("update_thing", THING, {"title": "Changed"}),
        step("create_category", "Made"),
        step("create_model", "pump"),
        step("get_model", "pump"),
        step("update_model", "pump", "A pump"),
        step("list_models"),
        step("create_model_version", "pump", {"title": "First"}),
        step("get_model_version", "pump", 1),
        step("list_model_versions", "pump"),
        step("delete_model", "pump"),
        step("add_event", THING, "highTemperature", 40),
        step("list_events", THING),
        step("get_event", THING, "highTemperature", lambda found: found["add_event"]["id"]),
        step("delete_event", THING, "highTemperature", lambda found: found["add_event"]["id"]),
        step("add_history", THING, OLD),
        step("add_history", THING, OLD),
        step("last_values", THING, "2025-03-01T10:00:00Z"),
        step("delete_history", THING, start="2025-01", end="2026-01", names=["humidity"]),
        step("patch_things", [{"id": THING, "patch": PATCH}]),
        step("patch_results", [{"id": THING, "patch": PATCH}, {"id": "01UNKNOWN", "patch": PATCH}]),
        step("query", "FOR i IN RANGE(0,7) RETURN i", batch_size=3),
        step("set_mqtt_credentials", THING, create=True),
        step("get_mqtt_credentials", THING),
        step("get_mqtt_credentials"),
        step("delete_mqtt_credentials", THING),
        step("pages", lambda _: lambda cursor: iot_api.categories("my-iot-project", cursor)),
        step("request", "GET", f"things/{THING}/events"),
        step("delete_things", thing_ids=[lambda found: found["create_thing"]["uid"], THING]),
        step("revoke_token"),
    ],
    MapsIndoorsHook: [
        *SHARED,
        step("get_dataset"),
        step("list_display_types"),
        step(
            "create_display_types", [{"name": "Nook", "properties": {"name@en": "Nook", "name@da": "Krog"}}]
        ),
        step(
            "update_display_types",
            lambda found: [{"id": found["list_display_types"][0]["id"], "aliases": []}],
        ),
        step("list_categories"),
        step("create_categories", [{"key": "NOOK", "name": {"en": "Nook", "da": "Krog"}}]),
        step(
            "update_categories", lambda found: [{"id": found["list_categories"][0]["id"], "properties": {}}]
        ),
        step("list_app_user_roles"),
        step("list_geodata", base_types=["room"]),
        step("list_geodata", base_types=[]),
        step("iter_geodata"),
        step("create_geodata", [{"id": "given"}]),
        step("create_geodata", [lambda found: copied(found["iter_geodata"])]),
        step("update_geodata", [{"id": lambda found: found["create_geodata"][0], "status": 3}]),
        step("delete_geodata", [lambda found: found["create_geodata"][0]]),
        step("reverse_geocode", *POINT),
        step("list_route_elements"),
        step(
            "update_route_elements",
            [{"id": lambda found: found["list_route_elements"][0]["id"], "waitTime": 5}],
        ),
        step("list_client_secrets", CUSTOMER),
        step("create_client_secret", CUSTOMER, "nightly"),
        step("delete_client_secret", CUSTOMER, "unknown"),
    ],
    AmigoCloudHook: [
        *SHARED,
        step("get", "datasets"),
        step("get", "nowhere"),
        step("post", "/nowhere", {"a": 1}),
        step("put", "/nowhere", {"a": 1}),
        step("patch", "/nowhere", {"a": 1}),
        step("delete", "/nowhere"),
        step("get_cursor", "datasets"),
        step("get_records", f"SELECT name FROM dataset_{DATASET} LIMIT 3"),
        step("get_records", "DELETE FROM nowhere"),
        step("get_first", f"SELECT name FROM dataset_{DATASET} ORDER BY amigo_id"),
        step("run", f"UPDATE dataset_{DATASET} SET name = 'x' WHERE name = 'nothing'"),
        step("get_saved_query", 77),
        step("get_master", DATASET),
        step("get_schema", DATASET),
        step("create_dataset", "Made", [{"name": "title", "type": "string"}]),
        step("delete_dataset", lambda found: found["create_dataset"]["id"]),
        step("submit_change", DATASET, "INSERT", [ROW]),
        step("get_job", lambda found: found["submit_change"][0]),
        step("revert", DATASET, lambda found: found["get_master"]),
        step("start_export", DATASET, "CSV"),
        step("upload_file", "{folder}/up.csv"),
        step("upload_file", "{folder}/none.csv"),
    ],
    LeanIXHook: [
        *SHARED,
        step("create_run", {"content": []}),
        step("create_run", lambda _: run_request()),
        step("start_run", lambda found: found["create_run"]),
        step("get_run_status", lambda found: found["create_run"]),
        step("list_runs"),
        step("get_run_progress", lambda found: found["create_run"]),
        step("get_run_stats", lambda found: found["create_run"]),
        step("iter_run_warnings", lambda found: found["create_run"]),
        step("stop_run", lambda found: found["create_run"]),
        step("download_results", lambda found: found["create_run"], "{folder}/out.json"),
        step("list_configurations", processing_direction="outbound"),
        step("list_configurations", processing_direction="sideways"),
        step("put_configuration", lambda found: found["list_configurations"][0]),
        step("check_workspace", WORKSPACE_ID),
        step("check_workspace", "another"),
        step("sync_log_url"),
        step("iter_sync_items", status="OK"),
        step("iter_sync_items", status="GREEN"),
        step("list_synchronizations"),
    ],
}


READS_AND_WRITES: dict[type[ApiHook], list[Step]] = {
    MapsIndoorsHook: [step("get_dataset"), step("create_client_secret", CUSTOMER, "nightly")],
    AmigoCloudHook: [step("get", "datasets"), step("run", f"UPDATE dataset_{DATASET} SET name = 'x'")],
    IoTStudioHook: [step("get_thing", THING), step("create_model", "pump")],
    LeanIXHook: [step("list_runs"), step("create_run", lambda _: run_request())],
}
"""A read and a write of each hook."""


def run_request() -> dict[str, Any]:
    """Return the header of a run."""
    return {
        "connectorType": "report",
        "connectorId": "landscape",
        "connectorVersion": "1.0.0",
        "lxVersion": "1.0.0",
        "processingDirection": "outbound",
        "processingMode": "partial",
    }


def copied(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the first place without its id, as a new one."""
    place = next(item for item in items if item["baseType"] == "poi")
    return {name: value for name, value in place.items() if name not in ("id", "externalId")}


def resolved(value: Any, found: dict[str, Any], folder: str) -> Any:
    """Return an argument with its functions called."""
    if callable(value) and not isinstance(value, (type, Call)):
        result = value(found)
        return str(result) if isinstance(result, Unknown) else result
    if isinstance(value, str):
        return value.replace("{folder}", folder)
    if isinstance(value, (list, tuple)):
        return type(value)(resolved(item, found, folder) for item in value)
    if isinstance(value, dict):
        return {name: resolved(item, found, folder) for name, item in value.items()}
    return value


class Unknown(str):
    """Id of something whose creation has failed."""

    __slots__ = ()

    def __new__(cls) -> Unknown:
        return super().__new__(cls, "00UNKNOWN")

    def __getitem__(self, _: Any) -> Unknown:
        return self


Results = list[tuple[str, Any]]


def run(hook: ApiHook, folder: str, each: Callable[[str], None]) -> Results:
    """Run a hook's script on a worker; return the result or error of each step.

    :param each: called with the method's name after each step.
    """
    results: Results = []
    found: dict[str, Any] = defaultdict(Unknown)
    for one in SCRIPTS[type(hook)]:
        try:
            args, options = resolved(one.args, found, folder), resolved(one.options, found, folder)
            result = getattr(hook, one.name)(*args, **options)
            result = list(result) if isinstance(result, Iterator) else result
        except ProviderError as error:
            result = error
        _keep(one.name, result, found, results)
        each(one.name)
    return results


async def arun(hook: ApiHook, folder: str, each: Callable[[str], None]) -> Results:
    """Run the same script from an event loop; see :func:`run`."""
    results: Results = []
    found: dict[str, Any] = defaultdict(Unknown)
    for one in SCRIPTS[type(hook)]:
        try:
            args, options = resolved(one.args, found, folder), resolved(one.options, found, folder)
            result = getattr(hook, f"a{one.name}")(*args, **options)
            if isinstance(result, AsyncIterator):
                result = [item async for item in result]
            else:
                result = await result
        except ProviderError as error:
            result = error
        _keep(one.name, result, found, results)
        each(one.name)
    return results


def _keep(name: str, result: Any, found: dict[str, Any], results: Results) -> None:
    if not isinstance(result, ProviderError):
        found[name] = result
    results.append((name, comparable(result)))


_CHANGING = re.compile(
    r"""[0-9A-HJKMNP-TV-Z]{26} | [0-9a-f]{8}-[0-9a-f-]{27} | \b[0-9a-f]{16,}\b | (?<![\w-])[\w-]{40,}(?![\w-])
    | \d{4}-\d\d-\d\d[T\ ][\d:.]+(?:Z|[+-]\d\d:?\d\d)?
    | '(?:seconds|secret|password|username)':\ [^,}]+ | 127\.0\.0\.1:\d+
    | the\ connection\ broke\ \((?:[^()]|\([^()]*\))*\)""",
    re.VERBOSE,
)
"""Ids that the service makes, times, secrets, durations, and words of the libraries of HTTP."""


def comparable(result: Any) -> str:
    """Return a result as a text that is the same in each run."""
    if isinstance(result, ProviderError):
        result = f"{type(result).__name__}: {result}"
    if hasattr(result, "status") and hasattr(result, "body"):
        result = (result.status, result.body)
    return _CHANGING.sub("#", repr(result))
