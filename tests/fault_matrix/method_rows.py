"""Hook methods in the fault matrix; those of IoT Studio are in ``method_rows_iotstudio``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.sandbox.amigocloud import seed as amigocloud_seed
from airflow_provider.sandbox.mapsindoors import seed
from tests.support import every_task


@dataclass(frozen=True)
class Row:
    """One method of a hook.

    :param call: calls the method, with the hook and the result of ``prepare``.
    :param count: for a write, counts its effects in the service afterwards.
    :param prepare: creates what the call needs, without a fault.
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

DISPLAY_TYPE = {"name": "matrix", "properties": {"name@en": "Matrix", "name@da": "Matrix"}}
CATEGORY = {"key": "matrix", "name": {"en": "Matrix", "da": "Matrix"}}


def _room(hook: MapsIndoorsHook) -> dict[str, Any]:
    return hook.list_geodata(base_types="room")[0]


def _poi(hook: MapsIndoorsHook) -> dict[str, Any]:
    poi = hook.list_geodata(base_types="poi")[0]
    return {**{name: value for name, value in poi.items() if name != "id"}, "externalId": "matrix"}


def _leaf(hook: MapsIndoorsHook) -> str:
    return str(hook.list_geodata(base_types="poi")[0]["id"])


def _things_named(hook: MapsIndoorsHook, name: str) -> int:
    return sum(item["properties"].get("name@en") == name for item in hook.list_geodata())


def _rows(hook: AmigoCloudHook, name: str) -> int:
    return int(hook.get_records(f"SELECT count(*) AS n FROM dataset_1 WHERE name = '{name}'")[0]["n"])


def _datasets(hook: AmigoCloudHook) -> int:
    return sum(dataset["name"] == "matrix" for dataset in hook.get_cursor("datasets"))


def _created(hook: LeanIXHook) -> str:
    return hook.create_run(LDIF)


def _started(hook: LeanIXHook) -> str:
    run_id = hook.create_run(LDIF)
    hook.start_run(run_id)
    return run_id


def _status_is(*statuses: str) -> Callable[[Any, Any], int]:
    return lambda hook, run_id: int(hook.get_run_status(run_id) in statuses)


def _results(hook: LeanIXHook, run_id: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        manifest = hook.download_results(run_id, f"{folder}/results.json")
        return manifest and manifest["sha256"]


def _upload(hook: AmigoCloudHook, _: Any) -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "upload.csv")
        file.write_text("name,lat,lon\nmatrix,55.1,12.1\n")
        return hook.upload_file(str(file))


def _secrets(hook: MapsIndoorsHook) -> list[Any]:
    return [secret["description"] for secret in hook.list_client_secrets(seed.CUSTOMER)]


def _project(hook: AmigoCloudHook) -> str:
    return f"/{hook.settings.extras['project_url']}"


def _state_before_a_row(hook: AmigoCloudHook) -> str:
    state = hook.get_master(1)
    hook.run("INSERT INTO dataset_1 (amigo_id, name) VALUES ('m3', 'matrix')")
    return state


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
    Row(
        "mapsindoors",
        "create_display_types",
        lambda h, _: h.create_display_types([DISPLAY_TYPE]),
        lambda h, _: sum(one["name"] == "matrix" for one in h.list_display_types()),
    ),
    Row(
        "mapsindoors",
        "update_display_types",
        lambda h, one: h.update_display_types([{**one, "aliases": ["matrix"]}]),
        lambda h, _: sum(one.get("aliases") == ["matrix"] for one in h.list_display_types()),
        lambda h: h.list_display_types()[0],
    ),
    Row(
        "mapsindoors",
        "create_categories",
        lambda h, _: h.create_categories([CATEGORY]),
        lambda h, _: sum(one["key"] == "matrix" for one in h.list_categories()),
    ),
    Row(
        "mapsindoors",
        "update_categories",
        lambda h, one: h.update_categories([{**one, "name": CATEGORY["name"]}]),
        lambda h, _: sum(one["name"] == CATEGORY["name"] for one in h.list_categories()),
        lambda h: h.list_categories()[0],
    ),
    Row("mapsindoors", "iter_geodata", lambda h, _: list(h.iter_geodata())),
    Row("mapsindoors", "probe", lambda h, _: h.probe()),
    Row("mapsindoors", "list_client_secrets", lambda h, _: _secrets(h)),
    Row(
        "mapsindoors",
        "create_client_secret",
        lambda h, _: h.create_client_secret(seed.CUSTOMER, "matrix") and None,
        lambda h, _: _secrets(h).count("matrix"),
    ),
    Row(
        "mapsindoors",
        "delete_client_secret",
        lambda h, made: h.delete_client_secret(seed.CUSTOMER, made),
        lambda h, _: int("matrix" not in _secrets(h)),
        lambda h: h.create_client_secret(seed.CUSTOMER, "matrix")["id"],
    ),
    Row(
        "mapsindoors",
        "update_route_elements",
        lambda h, one: h.update_route_elements([{"id": one, "waitTime": 77}]),
        lambda h, _: sum(one.get("waitTime") == 77 for one in h.list_route_elements()),
        lambda h: h.list_route_elements()[0]["id"],
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
    Row("amigocloud", "get_df", lambda h, _: h.get_df("SELECT name FROM dataset_1").to_dict()),
    Row("amigocloud", "get_saved_query", lambda h, _: h.get_saved_query(amigocloud_seed.QUERY)),
    Row("amigocloud", "probe", lambda h, _: h.probe()),
    Row(
        "amigocloud",
        "put",
        lambda h, _: h.put(_project(h), {"name": "matrix"}) and None,
        lambda h, _: int(h.get(_project(h))["name"] == "matrix"),
    ),
    Row(
        "amigocloud",
        "patch",
        lambda h, _: h.patch(_project(h), {"name": "matrix"}) and None,
        lambda h, _: int(h.get(_project(h))["name"] == "matrix"),
    ),
    Row(
        "amigocloud",
        "delete",
        lambda h, _: h.delete("datasets/1"),
        lambda h, _: int(1 not in {one["id"] for one in h.get_cursor("datasets")}),
    ),
    Row(
        "amigocloud",
        "revert",
        lambda h, state: h.revert(1, state) and None,
        lambda h, _: 1 - _rows(h, "matrix"),
        _state_before_a_row,
    ),
    Row("leanix", "list_runs", lambda h, run: len(h.list_runs()), prepare=_created),
    Row("leanix", "get_run_status", lambda h, run: h.get_run_status(run), prepare=_created),
    Row("leanix", "get_run_progress", lambda h, run: h.get_run_progress(run) and None, prepare=_started),
    Row("leanix", "get_run_stats", lambda h, run: h.get_run_stats(run) and None, prepare=_started),
    Row("leanix", "iter_run_warnings", lambda h, run: list(h.iter_run_warnings(run)), prepare=_started),
    Row("leanix", "iter_sync_items", lambda h, _: [row["type"] for row in h.iter_sync_items()]),
    Row("leanix", "list_synchronizations", lambda h, _: len(h.list_synchronizations())),
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
        _created,
    ),
    Row("leanix", "stop_run", lambda h, run: h.stop_run(run) and None, _status_is("STOPPED"), _started),
    Row(
        "leanix",
        "put_configuration",
        lambda h, _: h.put_configuration(CONFIGURATION),
        lambda h, _: sum(one["connectorId"] == "matrix" for one in h.list_configurations()),
    ),
    Row("leanix", "probe", lambda h, _: h.probe()),
]
