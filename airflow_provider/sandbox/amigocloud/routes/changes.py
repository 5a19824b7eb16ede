"""Handlers that change data by jobs: changes, new datasets, reverts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from airflow_provider.sandbox.amigocloud import notifications as news
from airflow_provider.sandbox.amigocloud import objects
from airflow_provider.sandbox.amigocloud.request import Asked, bad_request
from airflow_provider.sandbox.amigocloud.sql.store import Dataset

if TYPE_CHECKING:
    from airflow_provider.sandbox.amigocloud.service import AmigoCloudService

Statement = tuple[str, Sequence[Any]]
_LEVEL = {"INSERT": "C", "UPDATE": "E", "DELETE": "E", "TRUNCATE": "E"}


async def submit_change(service: AmigoCloudService, asked: Asked) -> Any:
    """Take one change of one dataset."""
    dataset = service.dataset_of(asked)
    about = {"project_id": dataset.project, "dataset_id": dataset.id}
    return _start(service, asked, [_decoded(asked, "change")], about)


async def submit_changeset(service: AmigoCloudService, asked: Asked) -> Any:
    """Take a list of changes of a project's datasets."""
    about = {"project_id": service.project_of(asked)}
    return _start(service, asked, _decoded(asked, "changeset"), about)


def _decoded(asked: Asked, name: str) -> Any:
    text = asked.body.get(name)
    if not isinstance(text, str):
        raise bad_request(f"{name}: JSON text is required.", "required")
    try:
        return json.loads(text)
    except ValueError:
        raise bad_request(f"{name}: not valid JSON") from None


def _start(service: AmigoCloudService, asked: Asked, changes: Any, about: dict[str, int]) -> dict[str, Any]:
    if not isinstance(changes, list) or not all(isinstance(one, dict) for one in changes):
        raise bad_request("a change is an object")
    only = about.get("dataset_id")
    for change in changes:
        asked.need("A" if change.get("type") == "DDL" else _LEVEL.get(str(change.get("action")), "A"))
        if only is not None and change.get("entity", f"dataset_{only}") != f"dataset_{only}":
            raise bad_request("the change is for another dataset")

    def work() -> dict[str, Any]:
        for change in changes:
            apply(service, change)
        return {}

    return {"job": service.start_job("submit_change", work, **about).id}


def apply(service: AmigoCloudService, change: Mapping[str, Any]) -> None:
    """Bring one change into the store; raises ``ValueError`` when it makes no sense."""
    number = int(str(change["entity"]).removeprefix("dataset_"))
    dataset = service.store.datasets[number]
    action, data = change.get("action"), change.get("data") or []
    if change.get("type") == "DDL":
        for item in data:
            _alter(service, number, str(action), item)
        return
    service.store.transaction(_statements(dataset, str(action), data), dict(change))


def _alter(service: AmigoCloudService, number: int, action: str, item: Mapping[str, Any]) -> None:
    if action == "ADD COLUMN":
        service.store.add_column(number, item["new"])
    elif action == "DROP COLUMN":
        service.store.drop_column(number, item["old"]["name"])
    else:
        raise ValueError(f"unknown action {action}")


def _statements(dataset: Dataset, action: str, data: Sequence[Mapping[str, Any]]) -> Iterator[Statement]:
    table = f'"{dataset.table}"'
    if action == "TRUNCATE":
        yield f"DELETE FROM {table}", ()
        return
    for item in data:
        new, key = dict(item.get("new") or {}), item.get("amigo_id")
        if action == "INSERT":
            yield _insert(table, {**new, **({"amigo_id": key} if key else {})})
        elif action == "UPDATE":
            pairs = ", ".join(f'"{name}" = ?' for name in new)
            yield f"UPDATE {table} SET {pairs} WHERE amigo_id = ?", [*new.values(), key]
        elif action == "DELETE":
            yield f"DELETE FROM {table} WHERE amigo_id = ?", [key]
        else:
            raise ValueError(f"unknown action {action}")


def _insert(table: str, values: Mapping[str, Any]) -> Statement:
    """Insert a row; one with the same amigo_id is replaced, so sending it twice does no harm."""
    if not values:
        return f"INSERT INTO {table} DEFAULT VALUES", ()
    names = ", ".join(f'"{name}"' for name in values)
    marks = ", ".join("?" * len(values))
    replaced = ", ".join(f'"{name}" = excluded."{name}"' for name in values)
    sql = f"INSERT INTO {table} ({names}) VALUES ({marks})"
    if "amigo_id" in values:
        sql += f" ON CONFLICT (amigo_id) DO UPDATE SET {replaced}"
    return sql, list(values.values())


async def create_dataset(service: AmigoCloudService, asked: Asked) -> Any:
    """Make an empty dataset."""
    project = service.project_of(asked)
    name, fields = asked.body.get("name"), _decoded(asked, "schema")
    if not name or not isinstance(fields, list):
        raise bad_request("name and schema are required", "required")
    made = Dataset(service.next_dataset_id(), project, str(name), [dict(one) for one in fields])
    made.visible_at = service.around.clock.now() + service.dataset_lag
    service.store.add(made)
    job = service.start_job("create_dataset", lambda: {"dataset_ids": [made.id]}, project_id=project)
    return {
        "id": made.id,
        "name": made.name,
        "url": f"{objects.project_url(service, project)}/datasets/{made.id}",
        "job": job.id,
    }


async def delete_dataset(service: AmigoCloudService, asked: Asked) -> Any:
    """Delete a dataset."""
    dataset = service.dataset_of(asked)
    service.store.drop(dataset.id)
    news.dataset_deleted(service, dataset.project, dataset.id)
    return Response(status_code=204)


async def revert(service: AmigoCloudService, asked: Asked) -> Any:
    """Make a new state that holds what an earlier one held."""
    dataset, state = service.dataset_of(asked), asked.path["state"]
    if state not in dataset.states:
        raise bad_request(f"unknown state {state}")

    def work() -> dict[str, Any]:
        sql = f'SELECT * FROM "{dataset.table}"'
        rows = service.store.select(sql, -1, 0, (dataset.id, state)).rows
        statements: list[Statement] = [(f'DELETE FROM "{dataset.table}"', ())]
        statements += [_insert(f'"{dataset.table}"', row) for row in rows]
        service.store.transaction(statements, {"revert": state})
        return {}

    return {"job": service.start_job("revert", work, project_id=dataset.project, dataset_id=dataset.id).id}


async def create_project(service: AmigoCloudService, asked: Asked) -> Any:
    """Make an empty project."""
    name = asked.body.get("name")
    if not name:
        raise bad_request("name: this field is required.", "required")
    number = max(service.projects) + 1
    service.projects[number] = {
        "id": number,
        "name": str(name),
        "description": str(asked.body.get("description") or ""),
    }
    news.project_created(service, number)
    return objects.project(service, service.projects[number])


async def change_project(service: AmigoCloudService, asked: Asked) -> Any:
    """Change a project's name or description.

    The vendor's docs know of the event; that a project is changed at its own URL is how Django does it.
    """
    number = service.project_of(asked)
    known = service.projects[number]
    if asked.body.get("name", known["name"]) in {None, ""}:
        raise bad_request("name: this field may not be blank.", "blank")
    known.update({key: str(asked.body[key]) for key in ("name", "description") if key in asked.body})
    news.project_changed(service, number)
    return objects.project(service, known)
