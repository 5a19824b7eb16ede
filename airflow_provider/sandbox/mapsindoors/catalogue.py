"""Catalogue: datasets, display types, categories, user roles and route elements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from airflow_provider.sandbox.mapsindoors.context import Handler, ServiceContext
from airflow_provider.sandbox.mapsindoors.responses import RequestError, json_response
from airflow_provider.sandbox.mapsindoors.solution import Json, Objects, Solution
from airflow_provider.sandbox.mapsindoors.strict.models import (
    CATEGORY,
    DISPLAY_TYPE,
    ROUTE_ELEMENT,
    TEXT,
    Model,
)
from airflow_provider.sandbox.mapsindoors.strict.texts import key_problems
from airflow_provider.sandbox.mapsindoors.validation import Problems, is_blank

if TYPE_CHECKING:
    from starlette.requests import Request


def to_dataset(solution: Solution) -> Json:
    """Return a solution as ``GET dataset`` does, with its venues as root objects."""
    roots = [key for key, item in solution.geodata.items() if item["baseType"] == "venue"]
    return {**solution.dataset, "rootObjects": roots}


async def dataset(context: ServiceContext, solution: Solution, _: Request) -> Response:
    """Return the solution of a key."""
    context.count_served(1)
    return json_response(to_dataset(solution))


async def roles(context: ServiceContext, solution: Solution, _: Request) -> Response:
    """Return the app user roles."""
    context.count_served(len(solution.roles))
    return json_response(list(solution.roles.values()))


class Collection:
    """Routes of display types or categories: read, create, update and delete.

    :param attribute: attribute of the solution with the entries by id.
    :param second_key: unique field that references may have instead of the id.
    :param model: type of the entries.
    """

    def __init__(self, attribute: str, second_key: str, model: Model) -> None:
        self.attribute, self.second_key, self.model = attribute, second_key, model

    def _entries(self, solution: Solution) -> Objects:
        entries: Objects = getattr(solution, self.attribute)
        return entries

    async def read(self, context: ServiceContext, solution: Solution, _: Request) -> Response:
        """Handle GET: return all entries."""
        entries = solution.entries_at(self.attribute, context.around.clock.now() - context.stale_seconds)
        context.count_served(len(entries))
        return json_response(list(entries.values()))

    async def create(self, context: ServiceContext, solution: Solution, request: Request) -> Response:
        """Handle POST: return the new ids, in the order of the entries."""
        items = await context.read_array(request, self.model)
        entries = dict(self._entries(solution))
        errors: dict[str, list[str]] = {}
        created = []
        for index, item in enumerate(items):
            if self._add_problems(errors, index, self._problems(item, context, solution, entries)):
                if context.batch_mode == "stop-at-first":
                    break
                continue
            key = solution.next_id()
            entries[key] = {**item, "id": key}
            created.append(key)
        self._commit(context, solution, entries, errors)
        return json_response(created, context.post_status)

    def _commit(
        self, context: ServiceContext, solution: Solution, entries: Objects, errors: dict[str, list[str]]
    ) -> None:
        """Write the part of a batch that the batch mode allows, and reject it when it has errors."""
        if not errors or context.batch_mode != "atomic":
            now = context.around.clock.now()
            solution.commit_entries(self.attribute, entries, now, context.stale_seconds)
        if errors:
            raise RequestError(400, errors=errors)

    async def update(self, context: ServiceContext, solution: Solution, request: Request) -> Response:
        """Handle PUT: update the fields that the entries have."""
        entries = dict(self._entries(solution))
        errors: dict[str, list[str]] = {}
        for index, item, old in _known(await context.read_array(request, self.model), entries, errors):
            new = _updated(old, item, context.catalogue_put)
            others = {key: entry for key, entry in entries.items() if key != old["id"]}
            problems = self._problems({**new, "id": None}, context, solution, others)
            if not self._add_problems(errors, index, problems):
                entries[old["id"]] = new
            elif context.batch_mode == "stop-at-first":
                break
        self._commit(context, solution, entries, errors)
        return Response(status_code=204)

    async def delete(self, context: ServiceContext, solution: Solution, request: Request) -> Response:
        """Handle DELETE; entries that geodata uses cannot be deleted."""
        ids = set(await context.read_array(request, TEXT))
        used = {entry.get("displayTypeId") for entry in solution.geodata.values()}
        for entry in solution.geodata.values():
            used.update(entry.get("categories", []))
        if ids & used:
            raise RequestError(400, f"Still used: {', '.join(sorted(ids & used))}.")
        remaining = {key: entry for key, entry in self._entries(solution).items() if key not in ids}
        self._commit(context, solution, remaining, {})
        return Response(status_code=context.delete_status)

    @staticmethod
    def _add_problems(errors: dict[str, list[str]], index: int, problems: Problems) -> bool:
        """Add an entry's problems to the errors by their paths; return whether there are any."""
        found = list(problems)
        for field, message in found:
            errors.setdefault(f"[{index}].{field}".rstrip("."), []).append(message)
        return bool(found)

    def _problems(self, item: Any, context: ServiceContext, solution: Solution, entries: Objects) -> Problems:
        if not isinstance(item, dict) or item.get("id") is not None:
            yield "", "Must be an object without an id."
            return
        name = item.get(self.second_key)
        taken = context.catalogue_unique and any(entry[self.second_key] == name for entry in entries.values())
        if not name or taken:
            yield self.second_key, "Required, and once only."
        for language in solution.dataset["availableLanguages"]:
            if is_blank(self._name_in(item, language), context):
                yield self._name_path(language), f"The name in {language} is required."
        yield from self._key_problems(item, context, solution)

    def _key_problems(self, item: Json, context: ServiceContext, solution: Solution) -> Problems:
        """Yield the problems of the keys of properties, and of the languages of a category's names."""
        properties = item.get("properties") or {}
        if context.checks("keys"):
            yield from key_problems(properties)
        if not context.checks("languages"):
            return
        known = {*solution.dataset["availableLanguages"], "generic"}
        for key in properties:
            if key.partition("@")[2] not in known:
                yield f"properties.{key}", "Must be <name>@<language of the solution>."
        if self.second_key == "key":
            for language in set(item.get("name") or {}) - known:
                yield f"name.{language}", "Must be a language of the solution."

    def _name_path(self, language: str) -> str:
        return f"name.{language}" if self.second_key == "key" else f"properties.name@{language}"

    def _name_in(self, item: Json, language: str) -> Any:
        if self.second_key == "key":
            return (item.get("name") or {}).get(language)
        return (item.get("properties") or {}).get(f"name@{language}")


def _updated(old: Json, item: Json, mode: str) -> Json:
    """Return an entry after a PUT that merges field by field, member by member, or replaces it."""
    if mode == "replace":
        return dict(item)
    if mode == "fields":
        return {**old, **item}
    return {**old, **{name: _merged(old.get(name), value) for name, value in item.items()}}


def _merged(old: Any, new: Any) -> Any:
    return {**old, **new} if isinstance(old, dict) and isinstance(new, dict) else new


ROUTE_FIELDS = ("waitTime", "onewayDirection", "restrictions")
"""Fields of a route element that an update can change."""


async def read_routes(context: ServiceContext, solution: Solution, _: Request) -> Response:
    """Return the route elements."""
    context.count_served(len(solution.route_elements))
    return json_response(list(solution.route_elements.values()))


async def update_routes(context: ServiceContext, solution: Solution, request: Request) -> Response:
    """Handle PUT of route elements: only waiting time, direction and restrictions can change."""
    entries = dict(solution.route_elements)
    errors: dict[str, list[str]] = {}
    for index, item, old in _known(await context.read_array(request, ROUTE_ELEMENT), entries, errors):
        changed: Json = {key: item[key] for key in ROUTE_FIELDS if key in item}
        for field, message in _route_problems(changed, solution):
            errors.setdefault(f"[{index}].{field}", []).append(message)
        entries[old["id"]] = {**old, **changed}
    if errors:
        raise RequestError(400, errors=errors)
    solution.route_elements = entries
    return Response(status_code=204)


def _known(
    items: list[Any], entries: dict[str, Json], errors: dict[str, list[str]]
) -> Iterator[tuple[int, Json, Json]]:
    """Yield index, item and stored entry of each item with a known id; add the others to the errors."""
    for index, item in enumerate(items):
        old = entries.get(str(item.get("id"))) if isinstance(item, dict) else None
        if old is None:
            errors[f"[{index}].id"] = ["A known id is required."]
        else:
            yield index, item, old


def _route_problems(changed: Json, solution: Solution) -> Problems:
    wait, direction = changed.get("waitTime", 0), changed.get("onewayDirection")
    if not isinstance(wait, int) or wait < 0:
        yield "waitTime", "Must be a whole number of seconds, 0 or more."
    if direction is not None and not (isinstance(direction, (int, float)) and 0 <= direction <= 360):
        yield "onewayDirection", "Must be between 0 and 360."
    if not set(changed.get("restrictions") or []) <= {"locked", *solution.roles}:
        yield "restrictions", "Must be 'locked' or ids of app user roles."


DISPLAY_TYPES = Collection("display_types", "name", DISPLAY_TYPE)
CATEGORIES = Collection("categories", "key", CATEGORY)

ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "dataset", dataset),
    ("GET", "displaytypes", DISPLAY_TYPES.read),
    ("POST", "displaytypes", DISPLAY_TYPES.create),
    ("PUT", "displaytypes", DISPLAY_TYPES.update),
    ("DELETE", "displaytypes", DISPLAY_TYPES.delete),
    ("GET", "categories", CATEGORIES.read),
    ("POST", "categories", CATEGORIES.create),
    ("PUT", "categories", CATEGORIES.update),
    ("DELETE", "categories", CATEGORIES.delete),
    ("GET", "appUserRoles", roles),
    ("GET", "routing/routeelements", read_routes),
    ("PUT", "routing/routeelements", update_routes),
]
"""Method, path below the solution's API, and handler of each route."""
