"""Write requests: property values by Thing, built from rows and validated before the first request."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider.core.files.reader import read_rows
from airflow_provider.errors import InputError

MAX_MESSAGE_BYTES = 5 * 1024
"""Maximum size of a message in bytes, as the vendor's docs state it."""

ROW_FIELDS = frozenset({"thing_id", "properties"})
"""Fields of a row."""


@dataclass(frozen=True, slots=True)
class Write:
    """New values of one Thing, sent in one request.

    :param rows: numbers of the source rows, counted from 1.
    :param thing_id: the Thing's id.
    :param properties: value by property name.
    """

    rows: tuple[int, ...]
    thing_id: str
    properties: dict[str, Any]


def plan_writes(
    *, thing_id: str | None = None, properties: object = None, writes: object = None
) -> list[Write]:
    """Build one write per Thing, from one Thing's values or from rows.

    :param thing_id: id of a single Thing; used with ``properties``.
    :param properties: its values by name.
    :param writes: rows instead: a list of ``{"thing_id", "properties"}``, or a path to such rows (JSON, JSON
        Lines, CSV, Parquet). In CSV ``properties`` is the text of a JSON object. In a Parquet struct null
        leaves the property unchanged.
    :raises InputError: with every problem of every row.
    """
    if writes is None:
        if thing_id is None or properties is None:
            raise InputError("set thing_id and properties, or writes")
        rows: Iterable[tuple[int, object]] = [(1, {"thing_id": thing_id, "properties": properties})]
    elif thing_id is not None or properties is not None:
        raise InputError("set either thing_id and properties, or writes, not both")
    else:
        rows = _numbered_rows(writes)
    problems: list[str] = []
    planned: dict[str, Write] = {}
    for number, row in rows:
        found = _read_row(number, row, problems)
        if found is not None:
            _merge(planned, found, problems)
    problems += [problem for write in planned.values() if (problem := _size_problem(write))]
    if problems:
        raise InputError(problems, "the writes")
    return list(planned.values())


def _numbered_rows(writes: object) -> Iterator[tuple[int, object]]:
    if isinstance(writes, str):
        sparse = writes.lower().endswith(".parquet")
        for number, row in read_rows(writes, "writes", _decode):
            yield number, _without_nulls(row) if sparse else row
    elif isinstance(writes, Iterable) and not isinstance(writes, (bytes, Mapping)):
        yield from enumerate(writes, start=1)
    else:
        raise InputError(
            f"must be a list of rows or the path of a file, not {type(writes).__name__}", "writes"
        )


def _without_nulls(row: dict[str, Any]) -> dict[str, Any]:
    values = row.get("properties")
    if not isinstance(values, dict):
        return row
    return {**row, "properties": {name: value for name, value in values.items() if value is not None}}


def _read_row(number: int, row: object, problems: list[str]) -> Write | None:
    """Read one row; append its problems to the list."""
    if not isinstance(row, Mapping):
        problems.append(f"row {number}: is not an object but {type(row).__name__}")
        return None
    before = len(problems)
    if unknown := sorted(str(name) for name in row if name not in ROW_FIELDS):
        problems.append(f"row {number}: unknown field {', '.join(map(repr, unknown))}")
    thing_id = row.get("thing_id")
    if not isinstance(thing_id, str) or not thing_id.strip():
        problems.append(f"row {number}: thing_id is {'missing' if not thing_id else 'not a text'}")
    values = _read_values(number, row, problems)
    for name, value in values.items():
        if not isinstance(name, str) or not name:
            problems.append(f"row {number}: {name!r} is not a property name")
        elif problem := json_problem(value):
            problems.append(f"row {number}: property '{name}': {problem}")
    if len(problems) > before:
        return None
    return Write((number,), str(thing_id).strip(), dict(values))


def _read_values(number: int, row: Mapping[str, Any], problems: list[str]) -> Mapping[Any, Any]:
    """Return a row's values by name; CSV holds them as the text of a JSON object."""
    values = row.get("properties")
    try:
        values = _decode(values) if isinstance(values, str) else values
    except (ValueError, RecursionError) as error:
        problems.append(f"row {number}: properties is not JSON: {error}")
        return {}
    if isinstance(values, Mapping) and values:
        return values
    reason = "must be an object of values by name"
    if isinstance(values, Mapping):
        reason = "is empty"
    elif values is None:
        reason = "is missing"
    problems.append(f"row {number}: properties {reason}")
    return {}


def _decode(text: str | bytes) -> Any:
    """Decode JSON; a duplicate name in an object is an error, where decoders commonly keep the last value."""
    return json.loads(text, object_pairs_hook=_reject_duplicates)


def _reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        duplicates = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"{', '.join(map(repr, duplicates))} is there more than once")
    return values


def _merge(planned: dict[str, Write], new: Write, problems: list[str]) -> None:
    old = planned.get(new.thing_id)
    if old is None:
        planned[new.thing_id] = new
        return
    for name in old.properties.keys() & new.properties.keys():
        first = ", ".join(map(str, old.rows))
        problems.append(
            f"row {new.rows[0]}: property '{name}' of Thing {new.thing_id} is set already (row {first})"
        )
    planned[new.thing_id] = Write(old.rows + new.rows, new.thing_id, {**old.properties, **new.properties})


def _size_problem(write: Write) -> str:
    import msgspec

    size = len(msgspec.json.encode(write.properties))
    if size <= MAX_MESSAGE_BYTES:
        return ""
    return (
        f"{row_label(write.rows)}: the values of Thing {write.thing_id} take {size} bytes as JSON;"
        f" a message may have {MAX_MESSAGE_BYTES}"
    )


def row_label(rows: tuple[int, ...]) -> str:
    """Return a label of rows for a message."""
    return f"row {rows[0]}" if len(rows) == 1 else f"rows {', '.join(map(str, rows))}"


def json_problem(value: object) -> str:
    """Return why a value cannot be sent as JSON unchanged; empty when it can."""
    import msgspec

    try:
        if problem := _encoding_problem(value):
            return problem
        msgspec.json.encode(value)
    except RecursionError:
        return "is nested too deeply"
    except (TypeError, UnicodeError) as error:
        return f"is not a JSON value: {error}"
    return ""


def _encoding_problem(value: object) -> str:
    if value is None or isinstance(value, (bool, str)):
        return ""
    if isinstance(value, (int, float)):
        return "" if math.isfinite(value) else f"{value} is not a JSON number"
    if isinstance(value, (list, tuple)):
        return next((problem for item in value if (problem := _encoding_problem(item))), "")
    if isinstance(value, Mapping):
        if other_keys := [key for key in value if not isinstance(key, str)]:
            return f"the key {other_keys[0]!r} is not a text"
        return next((problem for item in value.values() if (problem := _encoding_problem(item))), "")
    return f"a {type(value).__name__} is not a JSON value"
