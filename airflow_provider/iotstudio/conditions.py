"""Conditions: filters, ids and time bounds, validated before any request.

A condition that is named but empty would select everything, and a condition that the service does not
understand would select nothing, or be waited for until the timeout. Both are refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from airflow_provider.core.http.call import segment
from airflow_provider.core.input.conditions import (
    list_problems,
    mapping_condition,
    raise_problems,
    rendered_hint,
)
from airflow_provider.core.input.values import (
    ABSENT,
    UnreadableValueError,
    ValueReader,
    is_blank,
    is_missing,
    read_moment,
    shown,
)
from airflow_provider.errors import InputError

OPERATORS = ("eq", "neq", "gt", "gte", "lt", "lte", "contains")
"""The service's operators, written before the value: ``gt:20``; none means ``eq``."""

MILLISECONDS_FROM = 1e11
"""Smallest epoch number read as milliseconds; smaller numbers are seconds (this many would be year 5138)."""

SECONDS_FROM = 1e8
"""Smallest epoch number but 0 that is read as seconds (in 1973); smaller numbers may be years."""

_READER = ValueReader(naive=UTC)
_CONDITIONS = ValueReader()
_PREFIX = "property:"
_SYMBOLS = dict(
    pair.split(" ")
    for pair in (
        *(">= gte", "=> gte", "≥ gte", "<= lte", "=< lte", "≤ lte", "!= neq", "<> neq", "≠ neq"),
        *("== eq", "> gt", "< lt", "! neq", "= eq"),
    )
)
"""Operators as people write them, the longer first, and the service's names of them."""

_SYMBOL = rf"(?s)\s*({'|'.join(re.escape(one) for one in _SYMBOLS)})\s*(.*)"
_WORD = r"\s*([A-Za-z_]+)\s*"
_BLANK = rf"(?si)\s*({'|'.join(OPERATORS)})\s+(\S.*)"
_JOINED = r"(?i)\s*(gte|lte|gt|lt)([+-]?[0-9]+(?:\.[0-9]+)?)\s*"
_SECOND = rf"(?:^|[\s,;&|])({'|'.join(OPERATORS)}):"
_MINUS = r"[\u2010-\u2015\u2212]\s*[0-9]"
_ALIASES = {
    alias: operator
    for operator, aliases in {
        "eq": "is equals equal",
        "neq": "ne not",
        "gt": "above over greater",
        "gte": "ge min from",
        "lt": "below under less",
        "lte": "le max to",
        "contains": "like has",
    }.items()
    for alias in aliases.split()
}
_URI_SCHEMES = {"urn", "mailto", "tel", "geo", "data"}
_ORDERING = {"gt", "gte", "lt", "lte"}
_RENDERED_NOTHING = {"None", "nan", "NaN", "NaT", "<NA>", "[]", "{}", "()"}
"""Texts that a template makes of a missing value."""

_NO_NUMBERS = {"none", "nan", "nat", "null", "<na>", "inf", "-inf", "infinity", "-infinity"}
_COMMA = r"[+-]?[0-9.]*,[0-9]+"
_EPOCH = r"-?[0-9]{9,14}(\.[0-9]+)?"
_COMPACT = r"(19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])([01][0-9]|2[0-3])([0-5][0-9]){0,2}"
"""A date and time without separators, to the hour, minute or second, which an epoch number may look like."""

_SHORT_TIMES = {4: "-01-01", 7: "-01"}
"""What completes the API's short forms of a time, a year or a month, by their length."""


# -- filters ---------------------------------------------------------------------------------------------


def filter_problems(filters: Any, name: str = "filters") -> list[str]:
    """Return what is wrong with conditions on property values; nothing for None.

    :param filters: condition by property name.
    :param name: the argument's name.
    """
    if isinstance(filters, str):
        return [f"'{name}' must have a condition by property name, not a text{rendered_hint(filters)}"]
    problems = mapping_condition(filters, f"'{name}'")
    if not isinstance(filters, Mapping):
        return problems
    if not filters:
        return [f"'{name}' must have a condition by property name; it is empty"]
    seen: set[str] = set()
    for key, condition in filters.items():
        found = property_name(str(key))
        if is_blank(found) and not is_blank(str(key)):
            problems.append(f"'{name}' has a condition without a property name: {shown(key)}")
        if found in seen:
            problems.append(f"'{name}' has {found!r} twice")
        seen.add(found)
        if not is_missing(condition):
            problems += [
                f"'{name}': the condition of {shown(found)} {problem}" for problem in _problems(condition)
            ]
    return problems


def property_name(key: str) -> str:
    """Return the property that a filter's key names, with or without the API's prefix.

    :param key: ``temperature`` or ``property:temperature``.
    """
    return key.removeprefix(_PREFIX)


def query_filters(filters: Mapping[str, Any] | None, name: str = "filters") -> dict[str, Any]:
    """Return conditions on property values as query parameters; empty for None.

    :param filters: condition by property name.
    :param name: the argument's name.
    :raises InputError: for a condition that is empty, or that the service does not understand.
    """
    raise_problems(filter_problems(filters, name))
    return {
        f"{_PREFIX}{property_name(key)}": [_value(one) for one in condition]
        if isinstance(condition, (list, tuple, set, frozenset))
        else _value(condition)
        for key, condition in (filters or {}).items()
    }


def _value(condition: Any) -> Any:
    return _CONDITIONS.read(condition)


def _problems(condition: Any) -> list[str]:
    several = isinstance(condition, (list, tuple, set, frozenset))
    items = list(condition) if several else [condition]
    problems = [problem for item in items if not is_missing(item) and (problem := _item_problem(item))]
    if several and not problems and (conflict := _conflict(items)):
        problems.append(conflict)
    return problems


def _item_problem(item: Any) -> str:
    if isinstance(item, Mapping):
        hint = "".join(f"; write {f'{_operator(key)}:{one}'!r}" for key, one in list(item.items())[:1])
        return f"must be a text such as 'gt:20', not an object{hint}"
    try:
        value = _value(item)
    except UnreadableValueError as problem:
        return str(problem)
    if value is ABSENT or value is None:
        return "is empty"
    if isinstance(value, (list, dict)):
        return f"must be a text such as 'gt:20', not {shown(item)}"
    return _text_problem(value) if isinstance(value, str) else ""


def _operator(word: Any) -> str:
    plain = str(word).strip().lower().lstrip("$")
    return _SYMBOLS.get(plain) or _ALIASES.get(plain) or (plain if plain in OPERATORS else "eq")


def _text_problem(text: str) -> str:
    head, colon, rest = text.partition(":")
    if colon and head in OPERATORS:
        return _operand_problem(head, rest)
    if symbol := re.fullmatch(_SYMBOL, text):
        operator = _SYMBOLS[symbol[1]]
        return f"is {shown(text)}, but the API writes operators as words: {f'{operator}:{symbol[2]}'!r:.60}"
    if colon and head.strip().lower() in OPERATORS:
        right = f"{head.strip().lower()}:{rest}"
        return f"is {shown(text)}; operators are in lower case and without blanks: {right!r:.60}"
    if blank := re.fullmatch(_BLANK, text) or re.fullmatch(_JOINED, text):
        return (
            f"is {shown(text)}; an operator is followed by a colon: {f'{blank[1].lower()}:{blank[2]}'!r:.60}"
        )
    if colon and re.fullmatch(_WORD, head) and not rest.startswith("//") and head.lower() not in _URI_SCHEMES:
        return _unknown_operator(head, rest)
    return "is the text of a missing value" if text.strip() in _RENDERED_NOTHING else ""


def _unknown_operator(head: str, rest: str) -> str:
    from airflow_provider.core.input.problems import nearest

    plain = head.strip().lower()
    alias = _ALIASES.get(plain)
    hint = f"; did you mean {alias!r}?" if alias else nearest(plain, OPERATORS)
    return (
        f"has the unknown operator {shown(head)}{hint or '.'} The operators are {', '.join(OPERATORS)}; for a"
        f" text with a colon write {f'eq:{head}:{rest}'!r:.60}"
    )


def _operand_problem(operator: str, operand: str) -> str:
    plain = operand.strip()
    if is_blank(plain):
        return f"has no value after '{operator}:'"
    if plain in _RENDERED_NOTHING:
        return f"has the text of a missing value after '{operator}:': {plain}"
    if operator not in _ORDERING:
        return ""
    if plain.lower() in _NO_NUMBERS:
        return f"compares with {plain}, which nothing is above or below"
    if re.fullmatch(_COMMA, plain):
        return f"has {shown(plain)} after '{operator}:'; a number has a decimal point, not a comma"
    if re.match(_MINUS, plain):
        return f"has {shown(plain)} after '{operator}:'; a minus sign is written as a hyphen, -"
    if re.search(_SECOND, plain) or re.fullmatch(_SYMBOL, plain):
        whole = shown(f"{operator}:{operand}")
        return f"has two operators: {whole}; several conditions are a list: ['gt:20', 'lt:30']"
    return ""


def _conflict(items: Iterable[Any]) -> str:
    """Return why several conditions of one property can never hold together; empty when they can."""
    low, high, low_open, high_open = -math.inf, math.inf, False, False
    equal, unequal = set[Any](), set[Any]()
    for item in items:
        head, colon, rest = str(item).partition(":")
        operator, text = (head, rest) if colon and head in OPERATORS else ("eq", str(item))
        number = _number(text)
        if operator in ("eq", "neq"):
            (equal if operator == "eq" else unequal).add(text if number is None else number)
        elif number is not None and operator in ("gt", "gte") and number >= low:
            low, low_open = number, operator == "gt"
        elif number is not None and operator in ("lt", "lte") and number <= high:
            high, high_open = number, operator == "lt"
    if len(equal) > 1:
        return f"asks for several values at once, which all must be equal: {shown(sorted(map(str, equal)))}"
    if low > high or (low == high and (low_open or high_open)):
        return f"can never hold: above {low:g} and below {high:g}"
    outside = [
        one
        for one in equal
        if one in unequal
        or (isinstance(one, float) and (one < low or one > high))
        or (low_open and one == low)
        or (high_open and one == high)
    ]
    return f"can never hold: another condition excludes {shown(outside[0])}" if outside else ""


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def unfit_condition(condition: Any, kinds: Collection[str]) -> str:
    """Return why a condition can never hold for values of a type; empty when it can, or may.

    :param condition: one condition, or a list of them.
    :param kinds: the types that Things declare for the property; several types are not examined.
    """
    for item in condition if isinstance(condition, (list, tuple, set, frozenset)) else [condition]:
        text = str(item).lower() if isinstance(item, bool) else str(item)
        head, colon, rest = text.partition(":")
        operator, operand = (head, rest) if colon and head in OPERATORS else ("eq", text)
        plain = operand.strip().lower()
        is_unfit = {
            "number": operator == "contains" or (operator != "neq" and _number(plain) is None),
            "boolean": operator == "contains" or (operator == "eq" and plain not in ("true", "false")),
        }
        if len(kinds) == 1 and is_unfit.get(next(iter(kinds))):
            return f"is a {next(iter(kinds))}, so {shown(text)} never holds"
    return ""


# -- ids, names and query parameters -----------------------------------------------------------------------


def name_problems(value: Any, name: str) -> list[str]:
    """Return what is wrong with one id or name; nothing for None.

    :param value: the argument.
    :param name: its name.
    """
    if value is None:
        return []
    if is_missing(value):
        return [f"'{name}' is empty"]
    if not isinstance(value, str):
        return [f"'{name}' must be a text, not {shown(value)}"]
    return [] if is_segment(value) else [f"'{name}' is {value!r}, which cannot be a name or an id"]


def is_segment(name: str) -> bool:
    """Return whether a text can be an id or a name in a path: no dots alone, no text of a missing value.

    :param name: the id or name.
    """
    try:
        segment(name)
    except InputError:
        return False
    return True


def require_name(value: Any, name: str) -> list[str]:
    """Return what is wrong with an id or name that must be there.

    :param value: the argument.
    :param name: its name.
    """
    return [f"'{name}' is missing"] if value is None else name_problems(value, name)


def selects_nothing(params: Any) -> bool:
    """Validate the selecting parameters of a query; return whether an empty list among them selects nothing.

    :param params: query parameters, a mapping or pairs.
    :raises InputError: for a condition that is empty, or that the service does not understand.
    """
    items = list(params.items()) if isinstance(params, Mapping) else list(params or ())
    problems: list[str] = []
    nothing = False
    for key, value in items:
        if str(key).startswith(_PREFIX):
            problems += filter_problems({key: value}, "params")
        elif str(key).endswith("[]") and not isinstance(value, str):
            problems += ["params: 'thingID[]' is empty"] if value is None else list_problems(value, str(key))
            nothing = nothing or (value is not None and not len(value))
        elif key not in ("limit", "sort", "next_cursor", "previous_cursor") and is_missing(value):
            problems.append(f"params: {str(key)!r} is empty; leave it out for no condition")
    raise_problems(problems, "the query")
    return nothing


# -- times -------------------------------------------------------------------------------------------------


def incremental_problems(task: Any, lost: str) -> list[str]:
    """Return what is wrong with the arguments of an incremental export.

    :param task: the operator, with ``incremental``, ``lag`` and ``filters``.
    :param lost: what it exports.
    """
    problems = []
    if task.lag is not None and task.incremental is False:
        problems.append("'lag' goes with incremental=True only")
    if task.filters is not None and task.incremental is True:
        problems.append(
            "'filters' do not go with incremental=True: a Thing that does not match during a run would"
            f" lose its {lost}; select by 'category' or 'thing_ids'"
        )
    return problems


def read_bound(value: Any, name: str) -> datetime | None:
    """Return a bound of a time span, in UTC; None for None.

    Texts are ISO 8601, also as the API's short forms (``2026``, ``2026-01``). Numbers, and texts of at least
    nine digits, are times since the epoch: seconds, and from 100,000,000,000 on milliseconds. Numbers below
    100,000,000 (but 0) are refused, because they may be years, and so are numbers that look like a date and
    time without separators (``20260131120000``). A date is its midnight. Without a time zone a bound is in
    UTC.

    :param value: a datetime, a date, a text or a number.
    :param name: the argument's name.
    :raises InputError: for an empty value, and for a value that is no time.
    """
    if value is None:
        return None
    if is_missing(value):
        raise InputError(f"'{name}' is empty; leave it out for no limit", name)
    try:
        read = _READER.read(value)
        if isinstance(read, str) and re.fullmatch(_EPOCH, read.strip()):
            read = float(read)
        if isinstance(read, (int, float)) and not isinstance(read, bool):
            return _from_epoch(read)
        text = read.strip() if isinstance(read, str) else read
        return read_moment(f"{text}{_SHORT_TIMES.get(len(text), '')}", UTC).astimezone(UTC)
    except (UnreadableValueError, TypeError, ValueError, OverflowError, OSError):
        raise InputError(
            f"'{name}' is not a time: {shown(value)}; use ISO 8601, a datetime, a date, or seconds or"
            " milliseconds since the epoch",
            name,
        ) from None


def read_bounds(start: Any, end: Any) -> tuple[tuple[datetime | None, datetime | None], list[str]]:
    """Return both bounds of a time span, and what is wrong with them; see :func:`read_bound`.

    :param start: the argument ``start``.
    :param end: the argument ``end``.
    """
    found: list[datetime | None] = []
    problems: list[str] = []
    for name, value in (("start", start), ("end", end)):
        try:
            found.append(read_bound(value, name))
        except InputError as error:
            found.append(None)
            problems += error.problems
    return (found[0], found[1]), problems


def _from_epoch(number: float) -> datetime:
    seconds = number / 1000 if abs(number) >= MILLISECONDS_FROM else number
    if abs(seconds) >= MILLISECONDS_FROM or 0 < abs(seconds) < SECONDS_FROM:
        raise ValueError("microseconds or finer, or a year")
    if re.fullmatch(_COMPACT, f"{number:.0f}"):
        raise ValueError("a date and time without separators")
    return datetime.fromtimestamp(seconds, UTC)
