"""Filters and sorting of Things, as the query asks for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from airflow_provider.sandbox.iotstudio.pagination import Order
from airflow_provider.sandbox.iotstudio.records import Thing
from airflow_provider.sandbox.iotstudio.request import ApiRequest
from airflow_provider.sandbox.iotstudio.responses import ApiError

OPERATORS = ("eq", "neq", "gt", "gte", "lt", "lte", "contains")
Check = Callable[[Thing], bool]


def thing_order(request: ApiRequest) -> Order:
    """Return the order of ``sort``: names separated by commas, ``-`` for descending; the uid comes last."""
    names = [name.strip() for name in request.param("sort").split(",") if name.strip()]
    if names and request.param("next_cursor"):
        if request.service.sorted_cursor == "refuse":
            raise ApiError(400, "invalid cursor")
        if request.service.sorted_cursor == "unsorted":
            names = []
    paths = [name.lstrip("+-").split(".") for name in names]
    descending = tuple(name.startswith("-") for name in names)

    def values(thing: Thing) -> list[Any]:
        return [*(_attribute(thing, path) for path in paths), thing.uid]

    return Order(values, (*descending, False))


def _attribute(thing: Thing, path: list[str]) -> Any:
    found: Any = thing.describe("", categories=True)
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def thing_filter(request: ApiRequest) -> Check:
    """Return a predicate for all filters of the query together."""
    checks: list[Check] = []
    if ids := set(request.params("thingID[]")):
        checks.append(lambda thing: thing.uid in ids)
    if wanted := set(request.params("category[]")):
        checks.append(lambda thing: bool(wanted & set(thing.categories)))
    if title := request.param("title"):
        checks.append(lambda thing: thing.title == title)
    if kind := request.param("@type"):
        checks.append(lambda thing: kind in _list(thing.fields.get("@type")))
    in_category = request.flag("in_category")
    if in_category is not None:
        checks.append(lambda thing: bool(thing.categories) is in_category)
    checks += _model_checks(request) + _link_checks(request)
    checks += [
        _property_check(key.removeprefix("property:"), condition)
        for key, condition in request.query
        if key.startswith("property:")
    ]
    return lambda thing: all(check(thing) for check in checks)


def _model_checks(request: ApiRequest) -> list[Check]:
    name, version = request.param("model"), request.param("version")
    if version and not name:
        raise ApiError(400, "version needs model")
    checks: list[Check] = []
    if name:
        checks.append(lambda thing: (thing.fields.get("model") or {}).get("name") == name)
    if version:
        checks.append(lambda thing: str((thing.fields.get("model") or {}).get("version")) == version)
    return checks


def _link_checks(request: ApiRequest) -> list[Check]:
    def check(field: str, wanted: str) -> Check:
        return lambda thing: any(link.get(field) == wanted for link in thing.fields.get("links") or [])

    return [check(field, wanted) for field in ("rel", "href") if (wanted := request.param(f"links.{field}"))]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _property_check(name: str, condition: str) -> Check:
    head, colon, rest = condition.partition(":")
    operator, operand = (head, rest) if colon and head in OPERATORS else ("eq", condition)
    return lambda thing: name in thing.status and matches(operator, thing.status[name], operand)


def matches(operator: str, value: Any, operand: str) -> bool:
    """Return whether a stored value meets a condition.

    :param operator: a name of :data:`OPERATORS`.
    :param operand: text, converted to the value's own type.
    """
    if operator == "contains":
        return isinstance(value, (str, list, dict)) and (
            operand in value or (isinstance(value, list) and operand in map(_text, value))
        )
    wanted = _as_type_of(value, operand)
    if wanted is None:
        return operator == "neq"
    comparisons: dict[str, Callable[[Any, Any], bool]] = {
        "eq": lambda a, b: a == b,
        "neq": lambda a, b: a != b,
        "gt": lambda a, b: a > b,
        "gte": lambda a, b: a >= b,
        "lt": lambda a, b: a < b,
        "lte": lambda a, b: a <= b,
    }
    return bool(comparisons[operator](value, wanted))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _as_type_of(value: Any, operand: str) -> Any:
    if isinstance(value, str):
        return operand
    if isinstance(value, bool):
        return {"true": True, "false": False}.get(operand.lower())
    if isinstance(value, (int, float)):
        try:
            return float(operand)
        except ValueError:
            return None
    return None
