"""What the service tells its user about jobs and projects.

The names of projects' and uploads' events, and of new datasets, are the vendor's; those of other jobs follow
the same pattern, because that page of the vendor's docs could not be read to its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider.sandbox.amigocloud import seed as world
from airflow_provider.sandbox.amigocloud.jobs import Job

if TYPE_CHECKING:
    from airflow_provider.sandbox.amigocloud.service import AmigoCloudService

ENDED = {
    "upload": "dataset:creation",
    "create_dataset": "dataset:creation",
    "export": "dataset:export",
    "submit_change": "dataset:change",
    "revert": "dataset:revert",
}
"""The first part of the event that a job of a kind ends with."""


def job_started(service: AmigoCloudService, job: Job) -> None:
    """Tell that a file is being processed."""
    if job.kind == "upload":
        _tell(service, "project:process_file_started", job)


def job_ended(service: AmigoCloudService, job: Job) -> None:
    """Tell how a job ended."""
    worked = job.status == "SUCCESS"
    if job.kind == "upload":
        _tell(service, f"project:process_{'file_finished' if worked else 'datasource_failed'}", job)
    if job.kind in ENDED:
        _tell(service, f"{ENDED[job.kind]}_{'succeeded' if worked else 'failed'}", job)


def project_created(service: AmigoCloudService, number: int) -> None:
    """Tell that there is a new project."""
    job = service.start_job("create_project", dict)
    payload = {"user_id": world.USER, "project_id": number, "job": job.id}
    service.sockets.emit("project:creation_succeeded", payload)


def project_changed(service: AmigoCloudService, number: int) -> None:
    """Tell that a project's name or description has changed."""
    service.sockets.emit("project:metadata_updated", {"user_id": world.USER, "project_id": number})


def dataset_deleted(service: AmigoCloudService, project: int, number: int) -> None:
    """Tell that a dataset is gone."""
    payload = {"user_id": world.USER, "project_id": project, "dataset_id": number}
    service.sockets.emit("dataset:deleted", payload)


def _tell(service: AmigoCloudService, name: str, job: Job) -> None:
    payload = {"user_id": world.USER, **job.about, "job": job.id}
    if made := job.extra.get("dataset_ids"):
        payload["dataset_id"] = made[0]
    service.sockets.emit(name, payload)
