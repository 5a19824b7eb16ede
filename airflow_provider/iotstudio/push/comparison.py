"""Comparison of pushed values with filters: whether the service must be asked about a Thing. No I/O.

The service evaluates filters; its comparison is documented for numbers only. So a pushed value never decides
that a Thing matches: it tells whether a Thing may have started or stopped to match.
"""

from __future__ import annotations

import hashlib
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider.iotstudio.conditions import OPERATORS, property_name

MAX_REMEMBERED = 10_000
"""Maximum Things whose last values are remembered; to forget them costs some requests."""

MAX_ASKS = 6
"""Maximum requests about a Thing that contradict a value that was pushed: the service may be slower than its
broker."""

MAX_UNSURE_ASKS = 2
"""Maximum requests about a Thing whose values only the service can compare, when its answer is the one
before: it may not have stored them yet."""

MAX_TEXT = 64 + 2
"""Maximum length of a text that is kept as it is, with its quotes."""

_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"

_NUMBERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "eq": operator.eq,
    "neq": operator.ne,
}


def holds(condition: Any, value: Any) -> bool | None:
    """Return whether a condition holds for a value; None where only the service knows.

    :param condition: a condition of a filter, or a list of which all must hold.
    :param value: the value.
    """
    if isinstance(condition, (list, tuple, set, frozenset)):
        found = [holds(one, value) for one in condition]
        return False if False in found else (None if None in found else True)
    if isinstance(condition, bool):
        return condition is value if isinstance(value, bool) else None
    head, colon, rest = str(condition).partition(":")
    name, operand = (head, rest) if colon and head in OPERATORS else ("eq", str(condition))
    if isinstance(value, bool):
        plain = operand.strip().lower()
        return (plain == "true") is value if name == "eq" and plain in ("true", "false") else None
    if not isinstance(value, (int, float)) or name not in _NUMBERS:
        return None
    return _compare(_NUMBERS[name], value, operand.strip())


def _compare(compare: Callable[[Any, Any], bool], value: float, operand: str) -> bool | None:
    """Return a comparison; None for what is no number, and where it depends on the precision of numbers."""
    if not re.fullmatch(_NUMBER, operand, re.ASCII):
        return None
    try:
        exact = compare(value, int(operand) if operand.lstrip("+-").isdigit() else float(operand))
        same = compare(float(value), float(operand)) == exact
    except (ValueError, OverflowError):
        return None
    return exact if same else None


def compact(value: Any) -> Any:
    """Return a value, or a short text in the place of a long one, to be kept and compared with later ones.

    :param value: a value of a property; only numbers and booleans are compared with conditions.
    """
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = repr(value)
    if len(text) <= MAX_TEXT:
        return value
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


class PushedValues:
    """The Things about which the service must be asked, by the values that were pushed.

    :param filters: condition by property name.
    """

    def __init__(self, filters: Mapping[str, Any]) -> None:
        self._conditions = {property_name(key): condition for key, condition in filters.items()}
        self._last: dict[str, dict[str, Any]] = {}
        self._asks: dict[str, _Ask] = {}

    def relevant(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of the filters' properties, with short texts in the place of long ones."""
        return {name: compact(values[name]) for name in self._conditions if name in values}

    def add(self, thing_id: str, values: Mapping[str, Any], *, matches: bool, now: float) -> None:
        """Note values of a Thing.

        :param thing_id: the Thing.
        :param values: values of the filters' properties.
        :param matches: whether the Thing matches as far as is known.
        :param now: the time.
        """
        found = {name: holds(self._conditions[name], value) for name, value in values.items()}
        results = {
            name: compact(values[name]) if result is None else result for name, result in found.items()
        }
        last = self._last.get(thing_id, {})
        is_news = any(name not in last or last[name] != result for name, result in results.items())
        if len(self._last) >= MAX_REMEMBERED and thing_id not in self._last:
            self._last.clear()
        self._last[thing_id] = {**last, **results}
        if False in found.values():
            expected: bool | None = False
        else:
            expected = True if None not in found.values() and len(found) == len(self._conditions) else None
        if expected is matches:
            self._asks.pop(thing_id, None)
        elif is_news and not self._is_sure(matches, found):
            self._asks[thing_id] = _Ask(now, expected, before=matches)

    @staticmethod
    def _is_sure(matches: bool, found: Mapping[str, bool | None]) -> bool:
        """Return whether a Thing that matches still does: no other property has changed."""
        return matches and all(found.values())

    def due(self, now: float) -> list[str]:
        """Return the Things to ask about now.

        :param now: the time.
        """
        return sorted(thing_id for thing_id, ask in self._asks.items() if ask.at <= now)

    @property
    def next_at(self) -> float:
        """The time of the next request; infinite when there is none."""
        return min((ask.at for ask in self._asks.values()), default=float("inf"))

    def answered(self, thing_id: str, *, matches: bool, now: float) -> None:
        """Note the service's answer about a Thing.

        :param thing_id: the Thing.
        :param matches: whether it matches.
        :param now: the time.
        """
        ask = self._asks.pop(thing_id, None)
        if ask and ask.is_open(matches):
            self._asks[thing_id] = ask.repeated(now)

    def forget(self) -> None:
        """Forget all values: a poll has found what there was to find."""
        self._last.clear()


class _Ask:
    """A request about a Thing that is due.

    :param at: its time.
    :param expected: whether the Thing matches, by the pushed values; None when they do not tell.
    :param before: whether it matched before they came, as far as is known.
    :param count: number of the request.
    """

    def __init__(self, at: float, expected: bool | None, *, before: bool, count: int = 1) -> None:
        self.at = at
        self.expected = expected
        self.before = before
        self.count = count

    def is_open(self, matches: bool) -> bool:
        """Return whether the service should be asked once more.

        :param matches: its answer.
        """
        if self.expected is None:
            return matches is self.before and self.count < MAX_UNSURE_ASKS
        return matches is not self.expected and self.count < MAX_ASKS

    def repeated(self, now: float) -> _Ask:
        """Return the next request.

        :param now: the time.
        """
        at = now + 2.0 ** (self.count - 1)
        return _Ask(at, self.expected, before=self.before, count=self.count + 1)
