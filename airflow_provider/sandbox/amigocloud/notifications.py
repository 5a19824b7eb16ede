"""Notifications: events about jobs, projects and datasets, sent to the user's sockets.

The names of projects' and uploads' events, and of new datasets, are the vendor's. Those of other jobs follow
the same pattern, because the vendor's page on them could not be read to its end.
"""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider.sandbox.amigocloud.jobs import Job
from airflow_provider.sandbox.amigocloud.realtime.sockets import Sockets
from airflow_provider.sandbox.amigocloud.seed import USER
from airflow_provider.sandbox.amigocloud.sql.store import Store

FINAL_EVENTS = {
    "upload": "dataset:creation",
    "create_dataset": "dataset:creation",
    "export": "dataset:export",
    "submit_change": "dataset:change",
    "revert": "dataset:revert",
}
"""First part of the final event's name, by kind of job."""


def notify_job_started(sockets: Sockets, job: Job) -> None:
    """Send the event that a file is being processed."""
    if job.kind == "upload":
        _emit(sockets, "project:process_file_started", job)


def notify_job_ended(sockets: Sockets, job: Job) -> None:
    """Send the events about the success or the failure of a job."""
    succeeded = job.status == "SUCCESS"
    if job.kind == "upload":
        _emit(sockets, f"project:process_{'file_finished' if succeeded else 'datasource_failed'}", job)
    if job.kind in FINAL_EVENTS:
        _emit(sockets, f"{FINAL_EVENTS[job.kind]}_{'succeeded' if succeeded else 'failed'}", job)


def notify_project_created(sockets: Sockets, number: int, job: Job) -> None:
    """Send the event that a project was created by a job."""
    sockets.emit("project:creation_succeeded", {"user_id": USER, "project_id": number, "job": job.id})


def notify_project_changed(sockets: Sockets, number: int) -> None:
    """Send the event that a project's name or description has changed."""
    sockets.emit("project:metadata_updated", {"user_id": USER, "project_id": number})


def notify_dataset_deleted(sockets: Sockets, project: int, number: int) -> None:
    """Send the event that a dataset was deleted."""
    sockets.emit("dataset:deleted", {"user_id": USER, "project_id": project, "dataset_id": number})


def broadcast_states(sockets: Sockets, store: Store, numbers: Iterable[int]) -> None:
    """Broadcast the objects of each dataset that has a new state, as ``realtime``."""
    for number in numbers:
        if sockets.listeners(number):
            payload = {"dataset_id": number, "data": store.latest_objects(number)}
            sockets.emit("realtime", payload, number)


def _emit(sockets: Sockets, name: str, job: Job) -> None:
    payload = {"user_id": USER, **job.about, "job": job.id}
    if made := job.extra.get("dataset_ids"):
        payload["dataset_id"] = made[0]
    sockets.emit(name, payload)
