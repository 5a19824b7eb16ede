"""Geodata routes: read the tree, and write batches of objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from starlette.responses import Response

from airflow_provider.sandbox.mapsindoors.context import Handler, ServiceContext
from airflow_provider.sandbox.mapsindoors.geometry import contains
from airflow_provider.sandbox.mapsindoors.responses import RequestError, json_response
from airflow_provider.sandbox.mapsindoors.solution import PARENTS, Json, Objects, Solution, parents_first
from airflow_provider.sandbox.mapsindoors.strict.models import GEODATA, TEXT
from airflow_provider.sandbox.mapsindoors.switches import Switches
from airflow_provider.sandbox.mapsindoors.validation import (
    NO_ID,
    change_problems,
    is_id,
    merged,
    shown,
    stored,
)
from airflow_provider.sandbox.mapsindoors.validation import problems as object_problems

if TYPE_CHECKING:
    from starlette.requests import Request


Errors = dict[str, list[str]]


class BadObjectError(Exception):
    """Error of an object in a batch.

    :param problems: pairs of field and message.
    :param status: HTTP status of the response.
    """

    def __init__(self, *problems: tuple[str, str], status: int = 400) -> None:
        super().__init__(problems)
        self.problems, self.status = problems, status


async def read(context: ServiceContext, solution: Solution, request: Request) -> Response:
    """Handle GET: return a subtree, some base types, or all objects; parents come before children."""
    objects = solution.geodata_at(context.around.clock.now() - context.stale_seconds)
    roots = query_values(context, request, "rootElements")
    found = parents_first(objects, roots)
    if roots and not context.root_included:
        found = [item for item in found if item["id"] not in roots]
    base_types = query_values(context, request, "baseTypes")
    if base_types is not None:
        if wrong := [name for name in base_types if name not in PARENTS and context.checks("query")]:
            raise RequestError(400, errors={"baseTypes": [f"The value '{wrong[0]}' is not valid."]})
        found = [item for item in found if item["baseType"] in base_types]
    context.count_served(len(found))
    return json_response([shown(item, solution, context) for item in found])


def query_values(switches: Switches, request: Request, name: str) -> list[str] | None:
    """Return the values of a query parameter that may be repeated or comma-separated; None when absent."""
    values = request.query_params.getlist(name)
    if switches.array_style == "comma":
        values = values[:1]
    given = [part for value in values for part in value.split(",") if part]
    return given or None


async def create(context: ServiceContext, solution: Solution, request: Request) -> Response:
    """Handle POST: return ids in the order of the objects; an external id may exist several times."""

    def add(item: Json, objects: Objects) -> str:
        if item.get("id") is not None:
            raise BadObjectError(("id", "A new object has no id."))
        given = {key: value for key, value in item.items() if value is not None}
        problems = [*change_problems(item, context), *object_problems(given, solution, objects, context)]
        if problems:
            raise BadObjectError(*problems)
        key = solution.next_id()
        guid = str(UUID(key + "8a1b2c3d"))
        objects[key] = stored({**item, "id": key}, solution, context, guid)
        return key

    created = apply_batch(context, solution, await context.read_array(request, GEODATA), add)
    return json_response(created, context.post_status)


async def update(context: ServiceContext, solution: Solution, request: Request) -> Response:
    """Handle PUT: each object has an id and the fields that change."""

    def change(item: Json, objects: Objects) -> None:
        key = item.get("id")
        if key is None:
            raise BadObjectError(("id", "The id is required."))
        if key not in objects:
            raise BadObjectError(("id", f"There is no object {key}."), status=context.put_unknown_status)
        updated = merged(shown(objects[key], solution, context), item, context)
        problems = [*change_problems(item, context), *object_problems(updated, solution, objects, context)]
        if context.put_parent == "refuse" and updated.get("parentId") != objects[key].get("parentId"):
            problems.append(("parentId", "Cannot be changed."))
        if problems:
            raise BadObjectError(*problems)
        objects[key] = stored(updated, solution, context, "")

    apply_batch(context, solution, await context.read_array(request, GEODATA), change)
    return Response(status_code=204)


def apply_batch(
    context: ServiceContext, solution: Solution, items: list[Any], write: Callable[[Json, Objects], Any]
) -> list[Any]:
    """Write a batch to a copy of the geodata, and commit the part that the batch mode allows.

    :param write: writes one object, or raises :class:`BadObjectError`.
    """
    objects, done = dict(solution.geodata), []
    errors: Errors = {}
    status = 400
    for index, item in enumerate(items):
        try:
            if not isinstance(item, dict):
                raise BadObjectError(("", "Must be an object."))
            done.append(write(item, objects))
        except BadObjectError as error:
            for field, message in error.problems:
                errors.setdefault(f"[{index}].{field}".rstrip("."), []).append(message)
            status = error.status
            if context.batch_mode == "stop-at-first":
                break
    if not errors or context.batch_mode != "atomic":
        solution.commit(objects, context.around.clock.now(), context.stale_seconds)
    if errors:
        raise RequestError(status, errors=errors)
    return done


async def delete(context: ServiceContext, solution: Solution, request: Request) -> Response:
    """Handle DELETE: the body is a list of ids."""
    ids = await context.read_array(request, TEXT)
    if wrong := {f"[{n}]": [NO_ID] for n, key in enumerate(ids) if not is_id(key, context)}:
        raise RequestError(400, errors=wrong)
    objects = dict(solution.geodata)
    unknown = [key for key in ids if key not in objects]
    if unknown and context.delete_unknown == "refuse":
        raise RequestError(404, f"There is no object {', '.join(map(str, unknown))}.")
    known = [key for key in ids if key in objects]
    descendants = {item["id"] for item in parents_first(objects, known)} - set(known)
    if descendants and context.delete_children == "refuse":
        raise RequestError(
            400, "An object has children.", {"ids": [f"{len(descendants)} children would be left."]}
        )
    deleted = set(known) | (descendants if context.delete_children == "cascade" else set())
    for key in deleted:
        del objects[key]
    solution.commit(objects, context.around.clock.now(), context.stale_seconds)
    return Response(status_code=context.delete_status)


async def geocode(context: ServiceContext, solution: Solution, request: Request) -> Response:
    """Return the venue, building, floor and room around a point; ``floor`` is the floor's index."""
    given = request.query_params
    missing = {name: ["Required."] for name in ("lat", "lng", "floor") if name not in given}
    if missing:
        raise RequestError(400, errors=missing)
    try:
        lat, lng, floor = float(given["lat"]), float(given["lng"]), int(given["floor"])
    except ValueError:
        raise RequestError(400, "lat and lng are numbers, floor is a whole number.") from None
    if context.checks("query") and not (abs(lat) <= 90 and abs(lng) <= 180):
        raise RequestError(400, "lat is within ±90, lng within ±180.")
    found = [
        item
        for item in parents_first(solution.geodata)
        if item["baseType"] in ("venue", "building", "floor", "room")
        and _on_floor(item, solution.geodata, floor)
        and contains(item["geometry"], lng, lat)
    ]
    context.count_served(len(found))
    return json_response([shown(item, solution, context) for item in found])


def _on_floor(item: Json, objects: Objects, floor: int) -> bool:
    level = item if item["baseType"] == "floor" else objects.get(item.get("parentId", ""), {})
    if level.get("baseType") != "floor":
        return True
    return str(level["baseTypeProperties"]["administrativeid"]) == str(floor)


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "geodata", read),
    ("POST", "geodata", create),
    ("PUT", "geodata", update),
    ("DELETE", "geodata", delete),
    ("GET", "geocode", geocode),
]
"""Method, path below the solution's API, and handler of each route."""
