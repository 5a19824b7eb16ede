"""Geodata: the tree is read whole; writes come in batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from starlette.responses import Response

from airflow_provider.sandbox.mapsindoors import rules, shapes
from airflow_provider.sandbox.mapsindoors.answers import RefusedError, answer
from airflow_provider.sandbox.mapsindoors.solution import Json, Objects, Solution, in_order

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider.sandbox.mapsindoors.service import MapsIndoorsService

Errors = dict[str, list[str]]


class BadObjectError(Exception):
    """One object of a batch cannot be written.

    :param faults: ``(field, message)``.
    """

    def __init__(self, *faults: tuple[str, str], status: int = 400) -> None:
        super().__init__(faults)
        self.faults, self.status = faults, status


async def read(service: MapsIndoorsService, solution: Solution, request: Request) -> Response:
    """Answer GET: a subtree, some base types, or all; parents before children."""
    world = solution.seen_at(service.around.clock.now() - service.stale_seconds)
    found = in_order(world, many(request, "rootElements"))
    base_types = many(request, "baseTypes")
    if base_types is not None:
        found = [one for one in found if one["baseType"] in base_types]
    service.served(len(found))
    return answer(found)


def many(request: Request, name: str) -> list[str] | None:
    """Read a query value that may be repeated, or separated by commas."""
    given = [part for value in request.query_params.getlist(name) for part in value.split(",") if part]
    return given or None


async def create(service: MapsIndoorsService, solution: Solution, request: Request) -> Response:
    """Answer POST: ids in the order of the objects; the same external id twice makes two objects."""

    def add(item: Json, world: Objects) -> str:
        if item.get("id") is not None:
            raise BadObjectError(("id", "A new object has no id."))
        faults = list(rules.faults({k: v for k, v in item.items() if v is not None}, solution, world))
        if faults:
            raise BadObjectError(*faults)
        key = solution.fresh_id()
        guid = str(UUID(key + "8a1b2c3d"))
        world[key] = rules.stored({**item, "id": key}, solution, service, guid)
        return key

    made = apply(service, solution, await service.array(request), add)
    return answer(made, service.post_status)


async def update(service: MapsIndoorsService, solution: Solution, request: Request) -> Response:
    """Answer PUT: each object has an id and what changes."""

    def change(item: Json, world: Objects) -> None:
        key = item.get("id")
        if key is None:
            raise BadObjectError(("id", "The id is required."))
        if key not in world:
            raise BadObjectError(("id", f"There is no object {key}."), status=service.put_unknown_status)
        thing = rules.merged(world[key], item, service)
        faults = list(rules.faults(thing, solution, world))
        if faults:
            raise BadObjectError(*faults)
        world[key] = rules.stored(thing, solution, service, "")

    apply(service, solution, await service.array(request), change)
    return Response(status_code=204)


def apply(
    service: MapsIndoorsService, solution: Solution, items: list[Any], act: Callable[[Json, Objects], Any]
) -> list[Any]:
    """Run a batch on a copy of the world, and commit as much of it as the batch mode says.

    :param act: writes one object, or raises :class:`BadObjectError`.
    """
    world, done = dict(solution.geodata), []
    errors: Errors = {}
    status = 400
    for index, item in enumerate(items):
        try:
            if not isinstance(item, dict):
                raise BadObjectError(("", "Must be an object."))
            done.append(act(item, world))
        except BadObjectError as bad:
            for field, said in bad.faults:
                errors.setdefault(f"[{index}].{field}".rstrip("."), []).append(said)
            status = bad.status
            if service.batch_mode == "stop-at-first":
                break
    if not errors or service.batch_mode != "atomic":
        solution.commit(world, service.around.clock.now(), service.stale_seconds)
    if errors:
        raise RefusedError(status, errors=errors)
    return done


async def delete(service: MapsIndoorsService, solution: Solution, request: Request) -> Response:
    """Answer DELETE: the body is a list of ids."""
    ids = await service.array(request)
    world = dict(solution.geodata)
    unknown = [key for key in ids if key not in world]
    if unknown and service.delete_unknown == "refuse":
        raise RefusedError(404, f"There is no object {', '.join(map(str, unknown))}.")
    known = [key for key in ids if key in world]
    below = {one["id"] for one in in_order(world, known)} - set(known)
    if below and service.delete_children == "refuse":
        raise RefusedError(400, "An object has children.", {"ids": [f"{len(below)} children would be left."]})
    gone = set(known) | (below if service.delete_children == "cascade" else set())
    for key in gone:
        del world[key]
    solution.commit(world, service.around.clock.now(), service.stale_seconds)
    return Response(status_code=service.delete_status)


async def geocode(service: MapsIndoorsService, solution: Solution, request: Request) -> Response:
    """Answer which venue, building, floor and room a point is in; ``floor`` is the floor's index."""
    given = request.query_params
    missing = {name: ["Required."] for name in ("lat", "lng", "floor") if name not in given}
    if missing:
        raise RefusedError(400, errors=missing)
    try:
        lat, lng, floor = float(given["lat"]), float(given["lng"]), int(given["floor"])
    except ValueError:
        raise RefusedError(400, "lat and lng are numbers, floor is a whole number.") from None
    found = [
        one
        for one in in_order(solution.geodata)
        if one["baseType"] in ("venue", "building", "floor", "room")
        and _on_floor(one, solution.geodata, floor)
        and shapes.contains(one["geometry"], lng, lat)
    ]
    service.served(len(found))
    return answer(found)


def _on_floor(one: Json, world: Objects, floor: int) -> bool:
    level = one if one["baseType"] == "floor" else world.get(one.get("parentId", ""), {})
    if level.get("baseType") != "floor":
        return True
    return str(level["baseTypeProperties"]["administrativeid"]) == str(floor)
