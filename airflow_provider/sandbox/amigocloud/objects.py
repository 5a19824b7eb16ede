"""The JSON shapes of the account's objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider.sandbox.amigocloud import seed as world

if TYPE_CHECKING:
    from airflow_provider.sandbox.amigocloud.jobs import Job
    from airflow_provider.sandbox.amigocloud.service import AmigoCloudService
    from airflow_provider.sandbox.amigocloud.sql.store import Dataset


def me(service: AmigoCloudService) -> dict[str, Any]:
    """Describe the user."""
    root = service.api_root
    return {
        "id": world.USER,
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


def project_url(service: AmigoCloudService, project: int) -> str:
    """Give a project's own URL."""
    return f"{service.api_root}/users/{world.USER}/projects/{project}"


def project(service: AmigoCloudService, item: dict[str, Any], *, summary: bool = False) -> dict[str, Any]:
    """Describe a project."""
    url = project_url(service, item["id"])
    brief = {
        "id": item["id"],
        "uuid": world.PROJECT_UUID if item["id"] == world.PROJECT else None,
        "url": url,
        "name": item["name"],
        "description": item["description"],
        "owner_id": world.USER,
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
        "owner": f"{service.api_root}/users/{world.USER}",
        "organization": None,
        "created_on": "2024-03-01 08:00:00+00:00",
        "last_updated": "2025-01-01 06:00:00+00:00",
        "public_read": False,
        "public_write": False,
        "dataset_count": sum(one.project == item["id"] for one in service.store.datasets.values()),
        "my_permission_level": "ADMIN",
        "permission_level": "ADMIN",
        "create_dataset": f"{url}/datasets/create",
        "chunked_upload_complete": f"{url}/datasets/chunked_upload/complete",
        **{name: f"{url}/{paths.get(name, name)}" for name in links},
    }


def dataset(service: AmigoCloudService, item: Dataset, *, summary: bool = False) -> dict[str, Any]:
    """Describe a dataset."""
    url = f"{project_url(service, item.project)}/datasets/{item.id}"
    shape = next((column for column in item.columns if column["type"] == "geometry"), None)
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
        "project": project_url(service, item.project),
        "visible": True,
        "read_only": False,
        "geometry_column": item.geometry_column,
        "geo_type": shape.get("geometry_type") if shape else None,
        "wkt_geo_type": shape.get("geometry_type") if shape else None,
        "feature_count": service.store.count(item.id),
        "created_on": item.created_on,
        "last_updated": service.now_text(),
        "master_state": item.states[-1],
        **{name: f"{url}/{name}" for name in links},
    }


def schema(item: Dataset) -> list[dict[str, Any]]:
    """Describe a dataset's fields."""
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


def job(service: AmigoCloudService, item: Job) -> dict[str, Any]:
    """Describe a job."""
    return {
        "id": item.id,
        "url": f"{service.api_root}/me/jobs/{item.id}",
        "status": item.status,
        "extra": item.extra,
    }


def saved_query(service: AmigoCloudService, item: dict[str, Any]) -> dict[str, Any]:
    """Describe a saved query."""
    return {**item, "url": f"{project_url(service, item['project'])}/queries/{item['id']}"}
