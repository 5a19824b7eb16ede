"""Datasets, display types, categories, user roles and route elements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from airflow_provider.sandbox.mapsindoors.answers import RefusedError, answer
from airflow_provider.sandbox.mapsindoors.solution import Json, Objects, Solution

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider.sandbox.mapsindoors.service import MapsIndoorsService


def described(solution: Solution) -> Json:
    """Give a solution as ``GET dataset`` shows it, with its venues as roots."""
    roots = [key for key, one in solution.geodata.items() if one["baseType"] == "venue"]
    return {**solution.dataset, "rootObjects": roots}


async def dataset(service: MapsIndoorsService, solution: Solution, _: Request) -> Response:
    """Answer which solution a key belongs to."""
    service.served(1)
    return answer(described(solution))


async def roles(service: MapsIndoorsService, solution: Solution, _: Request) -> Response:
    """Answer the app user roles."""
    service.served(len(solution.roles))
    return answer(list(solution.roles.values()))


class Collection:
    """Display types or categories: read, create, change, delete.

    :param attribute: the solution's dict.
    :param second_key: the field that may stand for the id, unique.
    """

    def __init__(self, attribute: str, second_key: str) -> None:
        self.attribute, self.second_key = attribute, second_key

    def _things(self, solution: Solution) -> Objects:
        things: Objects = getattr(solution, self.attribute)
        return things

    async def read(self, service: MapsIndoorsService, solution: Solution, _: Request) -> Response:
        """Answer GET."""
        things = self._things(solution)
        service.served(len(things))
        return answer(list(things.values()))

    async def create(self, service: MapsIndoorsService, solution: Solution, request: Request) -> Response:
        """Answer POST with the new ids, in order."""
        items = await service.array(request)
        things = dict(self._things(solution))
        errors: dict[str, list[str]] = {}
        made = []
        for index, item in enumerate(items):
            said = self._faults(item, solution, things)
            if said:
                errors[f"[{index}]"] = said
                continue
            key = solution.fresh_id()
            things[key] = {**item, "id": key}
            made.append(key)
        if errors:
            raise RefusedError(400, errors=errors)
        setattr(solution, self.attribute, things)
        return answer(made, service.post_status)

    async def update(self, service: MapsIndoorsService, solution: Solution, request: Request) -> Response:
        """Answer PUT: only what changes."""
        things = dict(self._things(solution))
        errors: dict[str, list[str]] = {}
        for index, item in enumerate(await service.array(request)):
            old = things.get(str(item.get("id"))) if isinstance(item, dict) else None
            if old is None:
                errors[f"[{index}].id"] = ["A known id is required."]
                continue
            new = {**old, **item}
            others = {key: one for key, one in things.items() if key != old["id"]}
            said = self._faults({**new, "id": None}, solution, others)
            if said:
                errors[f"[{index}]"] = said
            things[old["id"]] = new
        if errors:
            raise RefusedError(400, errors=errors)
        setattr(solution, self.attribute, things)
        return Response(status_code=204)

    async def delete(self, service: MapsIndoorsService, solution: Solution, request: Request) -> Response:
        """Answer DELETE; what geodata still uses cannot go."""
        ids = set(await service.array(request))
        used = {one.get("displayTypeId") for one in solution.geodata.values()}
        for one in solution.geodata.values():
            used.update(one.get("categories", []))
        if ids & used:
            raise RefusedError(400, f"Still used: {', '.join(sorted(ids & used))}.")
        left = {key: one for key, one in self._things(solution).items() if key not in ids}
        setattr(solution, self.attribute, left)
        return Response(status_code=service.delete_status)

    def _faults(self, item: Any, solution: Solution, things: Objects) -> list[str]:
        if not isinstance(item, dict) or item.get("id") is not None:
            return ["Must be an object without an id."]
        said, name = [], item.get(self.second_key)
        if not name or any(one[self.second_key] == name for one in things.values()):
            said.append(f"{self.second_key} is required, and once only.")
        languages = solution.dataset["availableLanguages"]
        missing = [language for language in languages if not self._name_in(item, language)]
        return said + [f"The name in {language} is required." for language in missing]

    def _name_in(self, item: Json, language: str) -> Any:
        if self.second_key == "key":
            return (item.get("name") or {}).get(language)
        return (item.get("properties") or {}).get(f"name@{language}")


DISPLAY_TYPES = Collection("display_types", "name")
CATEGORIES = Collection("categories", "key")


async def read_routes(service: MapsIndoorsService, solution: Solution, _: Request) -> Response:
    """Answer the route elements."""
    service.served(len(solution.route_elements))
    return answer(list(solution.route_elements.values()))


async def update_routes(service: MapsIndoorsService, solution: Solution, request: Request) -> Response:
    """Answer PUT of route elements: only waiting time, direction and restrictions change."""
    things = dict(solution.route_elements)
    errors: dict[str, list[str]] = {}
    for index, item in enumerate(await service.array(request)):
        old = things.get(str(item.get("id"))) if isinstance(item, dict) else None
        if old is None:
            errors[f"[{index}].id"] = ["A known id is required."]
            continue
        changed = {key: item[key] for key in ("waitTime", "onewayDirection", "restrictions") if key in item}
        said = _route_faults(changed, solution)
        if said:
            errors[f"[{index}]"] = said
        things[old["id"]] = {**old, **changed}
    if errors:
        raise RefusedError(400, errors=errors)
    solution.route_elements = things
    return Response(status_code=204)


def _route_faults(changed: Json, solution: Solution) -> list[str]:
    said = []
    wait, direction = changed.get("waitTime", 0), changed.get("onewayDirection")
    if not isinstance(wait, int) or wait < 0:
        said.append("waitTime is a whole number of seconds, 0 or more.")
    if direction is not None and not (isinstance(direction, (int, float)) and 0 <= direction <= 360):
        said.append("onewayDirection is between 0 and 360.")
    if not set(changed.get("restrictions") or []) <= {"locked", *solution.roles}:
        said.append("restrictions are 'locked' or ids of app user roles.")
    return said
