"""Changes: changesets, new datasets and projects, deletions, reverts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from starlette.responses import Response

from airflow_provider.sandbox.amigocloud.notifications import (
    notify_dataset_deleted,
    notify_project_changed,
    notify_project_created,
)
from airflow_provider.sandbox.amigocloud.objects import describe_project
from airflow_provider.sandbox.amigocloud.request import ApiRequest
from airflow_provider.sandbox.amigocloud.responses import ApiError, bad_request
from airflow_provider.sandbox.amigocloud.routes import galleries
from airflow_provider.sandbox.amigocloud.sql.store import Dataset, Statement, quoted
from airflow_provider.sandbox.amigocloud.state import AmigoCloudState

_REMOVED = 204
_LEVEL = {"INSERT": "C", "UPDATE": "E", "DELETE": "E", "TRUNCATE": "E"}


async def submit_change(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Start a job that applies a change to a dataset."""
    dataset = service.dataset_of(request)
    about = {"project_id": dataset.project, "dataset_id": dataset.id}
    return _start(service, request, [_decode(request, "change")], about)


async def submit_changeset(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Start a job that applies a list of changes to a project's datasets."""
    about = {"project_id": service.project_of(request)}
    return _start(service, request, _decode(request, "changeset"), about)


def _decode(request: ApiRequest, name: str) -> Any:
    text = request.body.get(name)
    if not isinstance(text, str):
        raise bad_request(f"{name}: JSON text is required.", "required")
    try:
        return json.loads(text)
    except ValueError:
        raise bad_request(f"{name}: not valid JSON") from None


def _start(
    service: AmigoCloudState, request: ApiRequest, changes: Any, about: dict[str, int]
) -> dict[str, Any]:
    if not isinstance(changes, list) or not all(isinstance(change, dict) for change in changes):
        raise bad_request("a change is an object")
    expected = about.get("dataset_id")
    for change in changes:
        request.require_level(
            "A" if change.get("type") == "DDL" else _LEVEL.get(str(change.get("action")), "A")
        )
        if expected is not None and change.get("entity", f"dataset_{expected}") != f"dataset_{expected}":
            raise bad_request("the change is for another dataset")

    def work() -> dict[str, Any]:
        for change in changes:
            apply(service, change)
        return {}

    return {"job": service.start_job("submit_change", work, **about).id}


def apply(service: AmigoCloudState, change: Mapping[str, Any]) -> None:
    """Apply a change to the store; raise ``ValueError`` when its action is unknown."""
    number = int(str(change["entity"]).removeprefix("dataset_"))
    dataset = service.store.datasets[number]
    action, data = change.get("action"), change.get("data") or []
    if change.get("type") == "DDL":
        for item in data:
            _alter(service, number, str(action), item)
        return
    if action in {"UPDATE", "DELETE"} and service.keyed_changes != "apply":
        if service.keyed_changes == "refuse":
            raise ValueError(f"{action} needs another form of its rows")
        return
    statements = _statements(dataset, str(action), data, service.repeated_insert)
    service.store.transaction(statements, dict(change))


def _alter(service: AmigoCloudState, number: int, action: str, item: Mapping[str, Any]) -> None:
    if action == "ADD COLUMN":
        service.store.add_column(number, item["new"])
    elif action == "DROP COLUMN":
        service.store.drop_column(number, item["old"]["name"])
    else:
        raise ValueError(f"unknown action {action}")


def _statements(
    dataset: Dataset, action: str, data: Sequence[Mapping[str, Any]], repeated: str
) -> Iterator[Statement]:
    table = f'"{dataset.table}"'
    if action == "TRUNCATE":
        yield f"DELETE FROM {table}", ()
        return
    for item in data:
        new, key = dict(item.get("new") or {}), item.get("amigo_id")
        if action == "INSERT":
            yield _insert(dataset, {**new, **({"amigo_id": key} if key else {})}, repeated)
        elif action == "UPDATE":
            pairs = ", ".join(f"{quoted(name)} = ?" for name in new)
            yield f"UPDATE {table} SET {pairs} WHERE amigo_id = ?", [*_values(dataset, new), key]
        elif action == "DELETE":
            yield f"DELETE FROM {table} WHERE amigo_id = ?", [key]
        else:
            raise ValueError(f"unknown action {action}")


def _insert(dataset: Dataset, values: Mapping[str, Any], repeated: str) -> Statement:
    """Return the statement that inserts a row.

    :param repeated: what happens to a row with its amigo_id. By default it is replaced, which makes a retry
        safe.
    """
    table = f'"{dataset.table}"'
    if not values:
        return f"INSERT INTO {table} DEFAULT VALUES", ()
    names = ", ".join(map(quoted, values))
    marks = ", ".join("?" * len(values))
    updates = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in values)
    sql = f"INSERT INTO {table} ({names}) VALUES ({marks})"
    given = _values(dataset, values)
    if "amigo_id" not in values or repeated == "refuse":
        return sql, given
    if repeated == "add":
        key = list(values).index("amigo_id")
        other = f"CASE WHEN EXISTS (SELECT 1 FROM {table} WHERE amigo_id = ?) THEN generate_uuid() ELSE ? END"
        marks = ", ".join(other if name == "amigo_id" else "?" for name in values)
        given[key : key + 1] = [given[key], given[key]]
        return f"INSERT INTO {table} ({names}) VALUES ({marks})", given
    action = "NOTHING" if repeated == "ignore" else f"UPDATE SET {updates}"
    return f"{sql} ON CONFLICT (amigo_id) DO {action}", given


def _values(dataset: Dataset, values: Mapping[str, Any]) -> list[Any]:
    """Return a row's values as parameters: JSON as text, except the elements of arrays."""
    arrays = {column["name"] for column in dataset.columns if column["type"].endswith("[]")}
    return [
        json.dumps(value) if isinstance(value, (dict, list)) and name not in arrays else value
        for name, value in values.items()
    ]


async def create_dataset(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Create an empty dataset."""
    project = service.project_of(request)
    name, fields = request.body.get("name"), _decode(request, "schema")
    if not name or not isinstance(fields, list):
        raise bad_request("name and schema are required", "required")
    made = Dataset(service.next_dataset_id(), project, str(name), [dict(field) for field in fields])
    made.visible_at = service.around.clock.now() + service.dataset_lag
    service.store.add(made)
    job = service.start_job("create_dataset", lambda: {"dataset_ids": [made.id]}, project_id=project)
    return {
        "id": made.id,
        "name": made.name,
        "url": service.dataset_url(made),
        "job": job.id,
    }


async def delete_dataset(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Delete a dataset."""
    try:
        dataset = service.dataset_of(request)
    except ApiError:
        if service.deleted_dataset_status != _REMOVED:
            raise
        return Response(status_code=_REMOVED)
    galleries.drop_galleries(service, dataset)
    service.store.drop(dataset.id)
    notify_dataset_deleted(service.sockets, dataset.project, dataset.id)
    return Response(status_code=_REMOVED)


async def revert(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Start a job that restores an earlier state's rows, in a new state."""
    dataset, state = service.dataset_of(request), request.path["state"]
    if state not in dataset.states:
        raise bad_request(f"unknown state {state}")

    def work() -> dict[str, Any]:
        service.store.revert(dataset.id, state, {"revert": state})
        return {}

    return {"job": service.start_job("revert", work, project_id=dataset.project, dataset_id=dataset.id).id}


async def create_project(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Create an empty project."""
    name = request.body.get("name")
    if not name:
        raise bad_request("name: this field is required.", "required")
    number = max(service.projects) + 1
    service.projects[number] = {
        "id": number,
        "name": str(name),
        "description": str(request.body.get("description") or ""),
    }
    notify_project_created(service.sockets, number, service.start_job("create_project", dict))
    return describe_project(service, service.projects[number])


async def change_project(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Change a project's name or description.

    The vendor's docs name the event only. That a project is changed at its own URL is Django's convention.
    """
    number = service.project_of(request)
    known = service.projects[number]
    if request.body.get("name", known["name"]) in {None, ""}:
        raise bad_request("name: this field may not be blank.", "blank")
    known.update({key: str(request.body[key]) for key in ("name", "description") if key in request.body})
    notify_project_changed(service.sockets, number)
    return describe_project(service, known)
