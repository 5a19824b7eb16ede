"""Values of users' rows and bodies: understood as JSON has them, or refused before the first request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider.core.input.values import (
    ABSENT,
    UnreadableValueError,
    ValueReader,
    is_blank,
    is_missing,
    normal_key,
    read_text,
    shown,
)
from airflow_provider.errors import InputError

if TYPE_CHECKING:
    from airflow_provider.core.input.problems import Problems

KEY = "amigo_id"
"""The column that identifies a row of every dataset."""

_READER = ValueReader()

_MISSING_TEXTS = frozenset({"none", "null", "nan", "nat", "<na>", "undefined"})
"""Texts, in lower case, that templates and libraries make of a missing value."""


def _is_missing_text(text: str) -> bool:
    """Return whether a text is blank, or what a template makes of a missing value."""
    return is_blank(text) or text.strip().lower() in _MISSING_TEXTS


def read_id(value: Any) -> str | None:
    """Return an id or a name as text, from a text, a whole number or a UUID of any library.

    :param value: the value.
    :return: the text without blanks around it; None for any other value.
    """
    try:
        found = _READER.read(value)
    except UnreadableValueError:
        return None
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    if isinstance(found, bool) or not isinstance(found, (str, int)):
        return None
    return str(found).strip()


def text_problems(value: Any, name: str) -> list[str]:
    """Return what is wrong with an argument that must be an id or a name.

    :param value: the argument.
    :param name: its name.
    """
    if value is None or is_missing(value):
        return [f"'{name}' is empty ({shown(value)}), which names nothing"]
    if isinstance(value, str) and _is_missing_text(value):
        return [f"'{name}' is {value!r}: a template made it of a value that is missing"]
    if read_id(value) is None:
        return [f"'{name}' must be one id or name, not {shown(value)}"]
    return []


def path_problems(value: Any, name: str) -> list[str]:
    """Return what is wrong with an argument that must be a text, such as a path or a column.

    :param value: the argument.
    :param name: its name.
    """
    problems = text_problems(value, name)
    if not problems and not isinstance(value, str):
        return [f"'{name}' must be a text, not {shown(value)}"]
    return problems


def given_params(params: Any) -> Iterator[tuple[str, Any]]:
    """Yield query parameters as pairs.

    :param params: a mapping, or pairs; None for none.
    :raises InputError: when they are neither, or when one is null or an empty list: left out, it would select
        everything.
    """
    if isinstance(params, (str, bytes)):
        raise InputError(f"must be an object or pairs, not {shown(params)}", "params")
    given: Any = list(params.items()) if isinstance(params, Mapping) else list(params or ())
    if empty := [str(name) for name, value in given if value is None or _is_empty(value)]:
        names = ", ".join(map(repr, empty))
        raise InputError(f"nothing for {names}; leave it out for no condition", "params")
    yield from given


def _is_empty(value: Any) -> bool:
    return isinstance(value, (list, tuple, set, frozenset, dict)) and not value


def problems_of(name: str, read: Callable[[], object]) -> list[str]:
    """Return the problems of an argument as sentences that begin with its name.

    :param name: the argument.
    :param read: reads it, and raises ``InputError``.
    """
    try:
        read()
    except InputError as error:
        return [f"'{name}' {problem}" for problem in error.problems]
    return []


def read_json(value: Any, subject: str) -> Any:
    """Return a body as JSON has it; NaN and ``pandas.NA`` in an object are left out.

    :param value: any value of Python, NumPy or pandas.
    :param subject: the argument, for the error.
    :raises InputError: for a value without a JSON form, with its place.
    """
    try:
        found = _READER.read(value)
    except UnreadableValueError as problem:
        raise InputError(str(problem), subject) from None
    if found is ABSENT:
        raise InputError(f"is {shown(value)}, which is no value", subject)
    return found


def read_options(options: Any) -> tuple[dict[str, str], list[str]]:
    """Return further form fields as texts, and what is wrong with them.

    :param options: the argument; None for none.
    """
    if options is None:
        return {}, []
    if not isinstance(options, Mapping):
        from airflow_provider.core.input.conditions import rendered_hint

        hint = rendered_hint(options) if isinstance(options, str) else ""
        return {}, [f"'options' must be an object, not {shown(options)}{hint}"]
    fields: dict[str, str] = {}
    problems: list[str] = []
    for name, value in options.items():
        if not isinstance(name, str) or not name.strip():
            problems.append(f"'options' has the name {shown(name)}, which is no text")
            continue
        try:
            fields[name] = read_text(_READER.read(value))
        except UnreadableValueError:
            problems.append(f"'options': {name!r} must be a text, not {shown(value)}")
    return fields, problems


def read_changes(rows: Any, *, with_fields: bool = True) -> list[dict[str, Any]]:
    """Return rows of a change, with values as JSON has them.

    A NaN, ``pandas.NA`` or ``NaT`` is a value that the row does not have; None is null, which clears a field.
    Ids are compared and sent in their normal form.

    :param rows: objects, each with an ``amigo_id``.
    :param with_fields: whether fields other than the id are read.
    :raises InputError: with all problems, each with the row's number, its id, and the field.
    """
    if isinstance(rows, (str, bytes, Mapping)) or not isinstance(rows, Iterable) or hasattr(rows, "columns"):
        hint = "; pass its rows, such as frame.to_dict('records')" if hasattr(rows, "columns") else ""
        raise InputError(f"must be a list of objects, not {_kind(rows)}{hint}", "rows")
    from airflow_provider.core.input.problems import Problems

    problems = Problems("rows")
    found: list[dict[str, Any]] = []
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            problems.add(f"must be an object, not {shown(row)}", number)
            continue
        key = _row_key(row.get(KEY))
        if key is None:
            problems.add(f"row {number} has no {KEY}")
        elif key in seen:
            problems.add(f"row {number} has the {KEY} of row {seen[key]}: {key}")
        else:
            seen[key] = number
        found.append({KEY: key, **(_fields(row, number, key, problems) if with_fields else {})})
    problems.raise_if_any()
    return found


def _kind(value: Any) -> str:
    return type(value).__name__ if hasattr(value, "columns") else shown(value)


def _row_key(value: Any) -> str | None:
    """Return a row's id in its normal form; None when it is none."""
    key = None if isinstance(value, (int, float)) else read_id(value)
    return None if key is None or _is_missing_text(key) else normal_key(key)


def _fields(row: Mapping[Any, Any], number: int, key: str | None, problems: Problems) -> dict[str, Any]:
    """Return the row's fields apart from its id; problems are added to the others."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        if name == KEY:
            continue
        if not isinstance(name, str) or not name.strip():
            problems.add_column(f"the field {shown(name)} has no name", number)
            continue
        try:
            read = _READER.read(value)
        except UnreadableValueError as problem:
            problems.add(str(problem), number, key, name)
            continue
        if read is not ABSENT:
            found[name] = read
    return found


def read_schema(fields: Any) -> list[dict[str, Any]]:
    """Return the fields of a new dataset.

    :param fields: objects, each with ``name`` and ``type``.
    :raises InputError: with all problems.
    """
    if isinstance(fields, (str, bytes, Mapping)) or not isinstance(fields, Iterable):
        raise InputError(f"must be a list of objects, not {shown(fields)}", "schema")
    from airflow_provider.core.input.problems import Problems

    problems = Problems("schema")
    found: list[dict[str, Any]] = []
    names: set[str] = set()
    for number, field in enumerate(fields, start=1):
        if not isinstance(field, Mapping):
            problems.add(f"field {number} must be an object, not {shown(field)}")
            continue
        try:
            read = _READER.read(field)
        except UnreadableValueError as problem:
            problems.add(f"field {number} {problem}")
            continue
        for part in ("name", "type"):
            if not isinstance(read.get(part), str) or not read[part].strip():
                problems.add(f"field {number} has no {part}")
        if (name := str(read.get("name"))) in names:
            problems.add(f"field {number} has the name of another field: {name}")
        names.add(name)
        found.append(read)
    problems.raise_if_any()
    return found
