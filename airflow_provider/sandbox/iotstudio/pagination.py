"""Lists: pages with opaque cursors, and the filters and sorting of Things."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider.sandbox.iotstudio.formats import Ask, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from airflow_provider.sandbox.iotstudio.records import Thing

OPERATORS = ("eq", "neq", "gt", "gte", "lt", "lte", "contains")
EMPTY_SHOWN = "empty page shown"


def limit_of(ask: Ask) -> int:
    """Read ``limit``: 1 to 1000, 50 by default; anything else is refused."""
    text = ask.one("limit", "50")
    if not text.isdigit() or not 1 <= int(text) <= 1000:
        raise RefusedError(400, "invalid limit", {"limit": "must be between 1 and 1000"})
    return int(text)


def pack(values: Sequence[Any]) -> str:
    """Make a cursor of the sort keys that a page ended with."""
    return base64.b64encode(msgspec.json.encode(values)).decode()


def unpack(cursor: str) -> list[Any]:
    """Read a cursor; one that is not ours is refused."""
    try:
        values = msgspec.json.decode(base64.b64decode(cursor, validate=True))
    except (binascii.Error, msgspec.DecodeError, ValueError) as error:
        raise RefusedError(400, "invalid cursor") from error
    if not isinstance(values, list) or not values:
        raise RefusedError(400, "invalid cursor")
    return values


def envelope(ask: Ask, data: list[Any], next_cursor: str = "", previous_cursor: str = "") -> dict[str, Any]:
    """Wrap a page, and count its rows."""
    ask.service.around.counters.rows_served[ask.service.name] += len(data)
    return {"data": data, "paging": {"next_cursor": next_cursor, "previous_cursor": previous_cursor}}


@dataclass(frozen=True)
class Order:
    """How a list is sorted.

    :param values: what an item is sorted by; goes into the cursor, ends with something unique.
    :param descending: for each of the values, whether it counts downwards.
    """

    values: Callable[[Any], list[Any]]
    descending: tuple[bool, ...]

    def rank(self, values: list[Any]) -> tuple[Any, ...]:
        """Make values comparable: of any type, absent ones last, descending ones turned round."""
        if len(values) != len(self.descending):
            raise RefusedError(400, "invalid cursor")
        return tuple(
            (value is None, _Down(_typed(value)) if down else _typed(value))
            for value, down in zip(values, self.descending, strict=True)
        )


@dataclass(frozen=True)
class _Down:
    value: tuple[int, Any]

    def __lt__(self, other: _Down) -> bool:
        return other.value < self.value


def _typed(value: Any) -> tuple[int, Any]:
    if value is None:
        return (0, 0)
    if isinstance(value, (bool, int, float)):
        return (1, value)
    return (2, value) if isinstance(value, str) else (3, msgspec.json.encode(value))


def page(ask: Ask, items: Iterable[Any], order: Order, show: Callable[[Any], Any]) -> dict[str, Any]:
    """Cut one page out of a list: after ``next_cursor``, or before ``previous_cursor``."""
    limit = limit_of(ask)
    ranked = sorted(((order.rank(order.values(item)), item) for item in items), key=lambda pair: pair[0])
    start, stop = 0, limit
    if after := ask.one("next_cursor"):
        values = unpack(after)
        if values[-1] == EMPTY_SHOWN:
            values.pop()
        elif ask.service.empty_page_in_the_middle:
            return envelope(ask, [], pack([*values, EMPTY_SHOWN]))
        key = order.rank(values)
        start = sum(1 for rank, _ in ranked if not key < rank)
        stop = start + limit
    elif before := ask.one("previous_cursor"):
        key = order.rank(unpack(before))
        stop = sum(1 for rank, _ in ranked if rank < key)
        start = max(0, stop - limit)
    chosen = [item for _, item in ranked[start:stop]]
    forward = pack(order.values(chosen[-1])) if chosen and stop < len(ranked) else ""
    back = pack(order.values(chosen[0])) if chosen and start > 0 else ""
    return envelope(ask, [show(item) for item in chosen], forward, back)


def by(attribute: str, *, descending: bool = False) -> Order:
    """Sort by one unique attribute."""
    return Order(lambda item: [getattr(item, attribute)], (descending,))


def thing_order(ask: Ask) -> Order:
    """Read ``sort``: names parted by commas, ``-`` before those that count downwards; uid comes last."""
    names = [name.strip() for name in ask.one("sort").split(",") if name.strip()]
    paths = [name.lstrip("+-").split(".") for name in names]
    descending = tuple(name.startswith("-") for name in names)

    def values(thing: Thing) -> list[Any]:
        return [*(_attribute(thing, path) for path in paths), thing.uid]

    return Order(values, (*descending, False))


def _attribute(thing: Thing, path: list[str]) -> Any:
    found: Any = thing.shown("", categories=True)
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def thing_filter(ask: Ask) -> Callable[[Thing], bool]:
    """Make one predicate of all the query's filters; a Thing must pass each."""
    checks: list[Callable[[Thing], bool]] = []
    if ids := set(ask.all("thingID[]")):
        checks.append(lambda thing: thing.uid in ids)
    if wanted := set(ask.all("category[]")):
        checks.append(lambda thing: bool(wanted & set(thing.categories)))
    if title := ask.one("title"):
        checks.append(lambda thing: thing.title == title)
    if kind := ask.one("@type"):
        checks.append(lambda thing: kind in _list(thing.fields.get("@type")))
    in_category = ask.flag("in_category")
    if in_category is not None:
        checks.append(lambda thing: bool(thing.categories) is in_category)
    checks += _model_checks(ask) + _link_checks(ask)
    checks += [
        _property_check(key.removeprefix("property:"), condition)
        for key, condition in ask.query
        if key.startswith("property:")
    ]
    return lambda thing: all(check(thing) for check in checks)


def _model_checks(ask: Ask) -> list[Callable[[Thing], bool]]:
    name, version = ask.one("model"), ask.one("version")
    if version and not name:
        raise RefusedError(400, "version needs model")
    checks: list[Callable[[Thing], bool]] = []
    if name:
        checks.append(lambda thing: (thing.fields.get("model") or {}).get("name") == name)
    if version:
        checks.append(lambda thing: str((thing.fields.get("model") or {}).get("version")) == version)
    return checks


def _link_checks(ask: Ask) -> list[Callable[[Thing], bool]]:
    def check(field: str, wanted: str) -> Callable[[Thing], bool]:
        return lambda thing: any(link.get(field) == wanted for link in thing.fields.get("links") or [])

    return [check(field, wanted) for field in ("rel", "href") if (wanted := ask.one(f"links.{field}"))]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _property_check(name: str, condition: str) -> Callable[[Thing], bool]:
    head, colon, rest = condition.partition(":")
    operator, operand = (head, rest) if colon and head in OPERATORS else ("eq", condition)
    return lambda thing: name in thing.status and matches(operator, thing.status[name], operand)


def matches(operator: str, value: Any, operand: str) -> bool:
    """Say whether a stored value meets a condition; the operand is read as the value's own type."""
    if operator == "contains":
        return isinstance(value, (str, list, dict)) and (
            operand in value or (isinstance(value, list) and operand in map(_spelled, value))
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


def _spelled(value: Any) -> str:
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
