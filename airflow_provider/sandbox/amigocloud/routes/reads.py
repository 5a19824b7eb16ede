"""Read-only routes: the account, projects, datasets, states, jobs."""

from __future__ import annotations

import hashlib
from typing import Any

from starlette.responses import Response

from airflow_provider.sandbox.amigocloud.objects import (
    describe_dataset,
    describe_fields,
    describe_job,
    describe_options,
    describe_project,
    describe_query,
    describe_user,
)
from airflow_provider.sandbox.amigocloud.pagination import list_page
from airflow_provider.sandbox.amigocloud.realtime.sockets import MOVED_PATH, SOCKET_PATH
from airflow_provider.sandbox.amigocloud.request import ApiRequest
from airflow_provider.sandbox.amigocloud.responses import ApiError, bad_request, not_found
from airflow_provider.sandbox.amigocloud.seed import USER
from airflow_provider.sandbox.amigocloud.state import AmigoCloudState

_THUMBNAIL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010804000000b51c0c02"
    "0000000b4944415478da6364f80f00010501012718e3660000000049454e44ae426082"
)


async def get_user(service: AmigoCloudState, _request: ApiRequest) -> Any:
    """Return the user of the token."""
    return describe_user(service)


async def list_projects(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Return a page of the user's projects."""
    wanted = request.params.get("search", "").lower()
    found = [item for item in service.projects.values() if wanted in item["name"].lower()]
    brief = "summary" in request.params
    return list_page(service, request, [describe_project(service, item, summary=brief) for item in found])


async def list_images(service: AmigoCloudState, _request: ApiRequest) -> Any:
    """Return the URLs of the user's pictures."""
    return {"thumbnail": f"{service.api_root}/me/images/thumbnail.png"}


async def get_thumbnail(_service: AmigoCloudState, _request: ApiRequest) -> Any:
    """Return the user's thumbnail."""
    return Response(_THUMBNAIL, media_type="image/png")


async def get_job(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Return a job."""
    found = service.jobs.all.get(request.path["job"])
    if found is None:
        raise not_found()
    return describe_job(service, found)


async def get_project(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Return a project."""
    return describe_project(service, service.projects[service.project_of(request)])


async def describe_project_fields(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Describe the fields of a project."""
    project = service.projects[service.project_of(request)]
    return _options(service, "Project", describe_project(service, project))


async def describe_dataset_fields(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Describe the fields of a dataset."""
    return _options(service, "Dataset", describe_dataset(service, service.dataset_of(request)))


def _options(service: AmigoCloudState, name: str, body: dict[str, Any]) -> dict[str, Any]:
    if not service.describes_fields:
        raise ApiError(405, "method_not_allowed", 'Method "OPTIONS" not allowed.')
    return describe_options(name, body)


async def get_settings(service: AmigoCloudState, _request: ApiRequest) -> Any:
    """Return where the socket is.

    A client of the vendor's names this route, and not the fields of its reply; these names are made up.
    """
    path = MOVED_PATH if service.moved_socket else SOCKET_PATH
    return {"socket": {"url": service.around.origin, "path": path}}


async def list_datasets(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Return a page of a project's visible datasets."""
    number, wanted = service.project_of(request), request.params.get("search", "").lower()
    now = service.around.clock.now()
    found = [
        item
        for item in service.store.datasets.values()
        if item.project == number
        and not item.hidden
        and wanted in item.name.lower()
        and now >= item.visible_at
    ]
    brief = "summary" in request.params
    return list_page(service, request, [describe_dataset(service, item, summary=brief) for item in found])


async def get_dataset(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Return a dataset."""
    return describe_dataset(service, service.dataset_of(request))


async def get_schema(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Return a dataset's fields."""
    return {"schema": describe_fields(service.dataset_of(request))}


async def get_master(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Return the hash of a dataset's latest state."""
    return {"master": service.dataset_of(request).states[-1]}


async def list_states(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Return the states after ``from`` and up to ``to``."""
    known = service.dataset_of(request).states
    bounds = []
    for name, default in (("from", -1), ("to", len(known) - 1)):
        state = request.params.get(name)
        if state and state not in known:
            raise bad_request(f"unknown state {state}")
        bounds.append(known.index(state) if state else default)
    return {"states": known[bounds[0] + 1 : bounds[1] + 1]}


async def get_changeset(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Return the change that led to a state."""
    found = service.dataset_of(request)
    state = request.params.get("hash", "")
    if state not in found.states:
        raise bad_request(f"unknown state {state}")
    return {"changeset": found.changes.get(state)}


async def list_queries(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Return a page of a project's saved queries."""
    number = service.project_of(request)
    found = [item for item in service.queries.values() if item["project"] == number]
    return list_page(service, request, [describe_query(service, item) for item in found])


async def get_query(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Return a saved query."""
    number, name = service.project_of(request), request.path["query"]
    found = service.queries.get(int(name)) if name.isdigit() else None
    if found is None or found["project"] != number:
        raise not_found()
    return describe_query(service, found)


async def start_websocket_session(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Return a string that a socket authenticates with; for user tokens only."""
    if request.token.project is not None:
        raise ApiError(403, "permission_denied", "Websocket sessions need a user token.")
    number = service.dataset_of(request).id if "dataset" in request.path else None
    text = f"session {len(service.websocket_sessions)} {number}"
    session = hashlib.sha1(text.encode()).hexdigest()
    service.websocket_sessions[session] = (USER, number)
    return {"websocket_session": session}
