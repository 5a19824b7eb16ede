"""JSON bodies of the account's objects: user, projects, datasets, jobs, saved queries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_provider.sandbox.amigocloud.jobs import Job
from airflow_provider.sandbox.amigocloud.seed import PROJECT, PROJECT_UUID, USER
from airflow_provider.sandbox.amigocloud.sql.store import Dataset
from airflow_provider.sandbox.amigocloud.state import AmigoCloudState


def describe_user(service: AmigoCloudState) -> dict[str, Any]:
    """Return the body of the user."""
    root = service.api_root
    return {
        "id": USER,
        "email": "facilities@campus.example",
        "first_name": "Ada",
        "last_name": "Lund",
        "custom_id": "ada",
        "organization": None,
        "projects": f"{root}/me/projects",
        "visible_projects": f"{root}/me/visible_projects",
        "images": f"{root}/me/images",
        "start_websocket_session": f"{root}/me/start_websocket_session",
    }


def describe_project(
    service: AmigoCloudState, item: dict[str, Any], *, summary: bool = False
) -> dict[str, Any]:
    """Return the body of a project; the summary leaves out links and permissions."""
    url = service.project_url(item["id"])
    brief = {
        "id": item["id"],
        "uuid": PROJECT_UUID if item["id"] == PROJECT else None,
        "url": url,
        "name": item["name"],
        "description": item["description"],
        "owner_id": USER,
    }
    if summary:
        return brief
    links = ("datasets", "sql", "queries", "submit_changeset", "upload_datasets", "chunked_upload_datasets")
    paths = {
        "upload_datasets": "datasets/upload",
        "chunked_upload_datasets": "datasets/chunked_upload",
    }
    return {
        **brief,
        "owner": f"{service.api_root}/users/{USER}",
        "organization": None,
        "created_on": "2024-03-01 08:00:00+00:00",
        "last_updated": "2025-01-01 06:00:00+00:00",
        "public_read": False,
        "public_write": False,
        "dataset_count": sum(
            dataset.project == item["id"] and not dataset.hidden
            for dataset in service.store.datasets.values()
        ),
        "my_permission_level": "ADMIN",
        "permission_level": "ADMIN",
        "create_dataset": f"{url}/datasets/create",
        "chunked_upload_complete": f"{url}/datasets/chunked_upload/complete",
        **{name: f"{url}/{paths.get(name, name)}" for name in links},
    }


def describe_dataset(service: AmigoCloudState, item: Dataset, *, summary: bool = False) -> dict[str, Any]:
    """Return the body of a dataset; the summary leaves out links and counts."""
    url = service.dataset_url(item)
    geometry = next((column for column in item.columns if column["type"] == "geometry"), None)
    brief = {
        "id": item.id,
        "url": url,
        "name": item.name,
        "table_name": item.table,
        "type": "vector",
        "description": item.description,
    }
    if summary:
        return brief
    links = (
        "schema",
        "master",
        "states",
        "changeset",
        "submit_change",
        "export",
        "related_tables",
        "relationships",
        "start_websocket_session",
    )
    return {
        **brief,
        "project": service.project_url(item.project),
        "visible": True,
        "read_only": False,
        "geometry_column": item.geometry_column,
        "geo_type": geometry.get("geometry_type") if geometry else None,
        "wkt_geo_type": geometry.get("geometry_type") if geometry else None,
        "feature_count": service.store.count(item.id),
        "created_on": item.created_on,
        "last_updated": service.now_text(),
        "master_state": item.states[-1],
        **{name: f"{url}/{name}" for name in links},
    }


def describe_fields(item: Dataset) -> list[dict[str, Any]]:
    """Return the bodies of a dataset's fields."""
    fields = []
    for column in item.columns:
        key = column["name"] == "amigo_id"
        fields.append(
            {
                "nullable": not key,
                "default": "GENERATE_UUID" if key else None,
                "alias": column["name"].replace("_", " ").capitalize(),
                "visible": not key,
                "editable": not key,
                "auto_populate": key,
                **column,
            }
        )
    return fields


def describe_options(name: str, fields: Iterable[str]) -> dict[str, Any]:
    """Return the body of an OPTIONS request, in the form of Django REST framework's SimpleMetadata."""
    described = {field: {"type": "field", "required": False, "read_only": True} for field in fields}
    return {
        "name": name,
        "description": "",
        "renders": ["application/json", "text/html"],
        "parses": ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"],
        "actions": {"PUT": described},
    }


def describe_job(service: AmigoCloudState, item: Job) -> dict[str, Any]:
    """Return the body of a job."""
    running = item.status in {"PENDING", "STARTED"}
    return {
        "id": item.id,
        "url": f"{service.api_root}/me/jobs/{item.id}",
        "status": service.shown_job_status if running and service.shown_job_status else item.status,
        "extra": item.extra,
    }


def describe_query(service: AmigoCloudState, item: dict[str, Any]) -> dict[str, Any]:
    """Return the body of a saved query."""
    return {**item, "url": f"{service.project_url(item['project'])}/queries/{item['id']}"}
