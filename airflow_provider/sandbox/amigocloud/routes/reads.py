"""Handlers that only read: the account, projects, datasets, states, jobs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from airflow_provider.sandbox.amigocloud import objects
from airflow_provider.sandbox.amigocloud import seed as world
from airflow_provider.sandbox.amigocloud.request import Asked, RefusedError, bad_request, not_found

if TYPE_CHECKING:
    from airflow_provider.sandbox.amigocloud.service import AmigoCloudService

_DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010804000000b51c0c02"
    "0000000b4944415478da6364f80f00010501012718e3660000000049454e44ae426082"
)


def listed(service: AmigoCloudService, asked: Asked, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Give one page of a list."""
    limit = min(asked.number("limit", service.list_default), service.list_clamp) or service.list_default
    offset = asked.number("offset", 0)
    results = items[offset : offset + limit]
    if service.take_empty_page():
        results, following = [], offset
    else:
        following = offset + limit
    service.count_rows(len(results))
    links = {"limit": limit, "offset": following}
    before = {"limit": limit, "offset": max(0, offset - limit)}
    return {
        "count": len(items),
        "next": asked.link(service.next_origin, **links) if following < len(items) else None,
        "previous": asked.link(service.next_origin, **before) if offset else None,
        "results": list(results),
    }


async def me(service: AmigoCloudService, _asked: Asked) -> Any:
    """Tell who asks."""
    return objects.me(service)


async def my_projects(service: AmigoCloudService, asked: Asked) -> Any:
    """List the user's projects."""
    wanted = asked.params.get("search", "").lower()
    found = [item for item in service.projects.values() if wanted in item["name"].lower()]
    brief = "summary" in asked.params
    return listed(service, asked, [objects.project(service, item, summary=brief) for item in found])


async def my_images(service: AmigoCloudService, _asked: Asked) -> Any:
    """List the user's pictures."""
    return {"thumbnail": f"{service.api_root}/me/images/thumbnail.png"}


async def thumbnail(_service: AmigoCloudService, _asked: Asked) -> Any:
    """Give a picture."""
    return Response(_DOT, media_type="image/png")


async def job(service: AmigoCloudService, asked: Asked) -> Any:
    """Give a job."""
    found = service.jobs.all.get(asked.path["job"])
    if found is None:
        raise not_found()
    return objects.job(service, found)


async def project(service: AmigoCloudService, asked: Asked) -> Any:
    """Give a project."""
    return objects.project(service, service.projects[service.project_of(asked)])


async def datasets(service: AmigoCloudService, asked: Asked) -> Any:
    """List a project's datasets."""
    number, wanted = service.project_of(asked), asked.params.get("search", "").lower()
    now = service.around.clock.now()
    found = [
        item
        for item in service.store.datasets.values()
        if item.project == number and wanted in item.name.lower() and now >= item.visible_at
    ]
    brief = "summary" in asked.params
    return listed(service, asked, [objects.dataset(service, item, summary=brief) for item in found])


async def dataset(service: AmigoCloudService, asked: Asked) -> Any:
    """Give a dataset."""
    return objects.dataset(service, service.dataset_of(asked))


async def schema(service: AmigoCloudService, asked: Asked) -> Any:
    """Give a dataset's fields."""
    return {"schema": objects.schema(service.dataset_of(asked))}


async def master(service: AmigoCloudService, asked: Asked) -> Any:
    """Give the hash of a dataset's latest state."""
    return {"master": service.dataset_of(asked).states[-1]}


async def states(service: AmigoCloudService, asked: Asked) -> Any:
    """List the states after one and up to another."""
    known = service.dataset_of(asked).states
    places = []
    for name, default in (("from", -1), ("to", len(known) - 1)):
        state = asked.params.get(name)
        if state and state not in known:
            raise bad_request(f"unknown state {state}")
        places.append(known.index(state) if state else default)
    return {"states": known[places[0] + 1 : places[1] + 1]}


async def changeset(service: AmigoCloudService, asked: Asked) -> Any:
    """Give what made a state."""
    found = service.dataset_of(asked)
    state = asked.params.get("hash", "")
    if state not in found.states:
        raise bad_request(f"unknown state {state}")
    return {"changeset": found.changes.get(state)}


async def queries(service: AmigoCloudService, asked: Asked) -> Any:
    """List a project's saved queries."""
    number = service.project_of(asked)
    found = [item for item in service.queries.values() if item["project"] == number]
    return listed(service, asked, [objects.saved_query(service, item) for item in found])


async def query(service: AmigoCloudService, asked: Asked) -> Any:
    """Give a saved query."""
    number, name = service.project_of(asked), asked.path["query"]
    found = service.queries.get(int(name)) if name.isdigit() else None
    if found is None or found["project"] != number:
        raise not_found()
    return objects.saved_query(service, found)


async def websocket_session(service: AmigoCloudService, asked: Asked) -> Any:
    """Give a string that a socket authenticates with; for user tokens only."""
    if asked.token.project is not None:
        raise RefusedError(403, "permission_denied", "Websocket sessions need a user token.")
    number = service.dataset_of(asked).id if "dataset" in asked.path else None
    text = f"session {len(service.websocket_sessions)} {number}"
    session = hashlib.sha1(text.encode()).hexdigest()
    service.websocket_sessions[session] = (world.USER, number)
    return {"websocket_session": session}
