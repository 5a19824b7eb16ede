"""Mapping: the columns of a table as type, id and nested data of LDIF items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider.core.arguments import check_rendered
from airflow_provider.core.input.conditions import rendered_hint
from airflow_provider.core.input.problems import nearest
from airflow_provider.core.input.values import ABSENT, UnreadableValueError, ValueReader, normal_key, shown

_PARTS = ("type", "id", "data")
_COLUMN, _CONSTANT = "column", "constant"

_MAX_DEPTH = 50
"""Maximum levels of objects and lists in a mapping."""

_READER = ValueReader(nan_is_absent=False)


@dataclass(frozen=True, slots=True)
class Column:
    """The value of a column.

    :param name: its name, in normal form.
    """

    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that all items have.

    :param value: a JSON value.
    """

    value: Any


@dataclass(frozen=True, slots=True)
class Fields:
    """An object with a template for each of its fields, not all of them constants."""

    fields: Mapping[str, Template]


@dataclass(frozen=True, slots=True)
class Values:
    """A list with a template for each of its values, not all of them constants."""

    values: Sequence[Template]


Template = Column | Constant | Fields | Values


@dataclass(frozen=True, slots=True)
class ItemMapping:
    """Templates of an item's type, id and data."""

    type: Column | Constant
    id: Column
    data: Template

    def columns(self) -> list[str]:
        """Return the names of all columns, each once."""
        return list(dict.fromkeys(name for one in (self.type, self.id, self.data) for name in _names(one)))


def read_mapping(value: Any) -> tuple[ItemMapping | None, list[str]]:
    """Return a task's mapping, and what is wrong with it; None when there is none, or a problem.

    :param value: the argument: an object with ``type``, ``id`` and ``data``, or its JSON.
    """
    if lost := check_rendered("mapping", value):
        return None, lost
    given = _decoded(value)
    if given is None:
        return None, []
    if not isinstance(given, Mapping):
        hint = rendered_hint(given) if isinstance(given, str) else ""
        return None, [f"mapping must be an object with type, id and data, not {shown(given)}{hint}"]
    problems = [
        f"mapping has {shown(name)}, but takes only type, id and data{nearest(str(name), _PARTS)}"
        for name in given
        if name not in _PARTS
    ]
    problems += [f"mapping has no {name!r}" for name in ("type", "id") if given.get(name) is None]
    kind = _read_type(given.get("type"), problems)
    id_ = _read_id(given.get("id"), problems)
    data = _read_data(given.get("data"), problems)
    if problems or kind is None or id_ is None:
        return None, problems
    return ItemMapping(kind, id_, data), []


def mapping_problems(mapping: Any, *, has_rows: bool) -> list[str]:
    """Return the problems of an operator's mapping, one sentence each.

    :param mapping: the argument.
    :param has_rows: whether the task has a source of rows.
    """
    found, problems = read_mapping(mapping)
    if found and not has_rows:
        problems.append("'mapping' says how rows become items; give it with 'content' or 'sql'")
    return problems


def _decoded(value: Any) -> Any:
    """Return a mapping that a template has made JSON as an object."""
    import msgspec

    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return value


def _read_type(value: Any, problems: list[str]) -> Column | Constant | None:
    """Return the template of the type: a text is the type itself."""
    if isinstance(value, Mapping):
        return _read_reference(value, "type", problems)
    if isinstance(value, str) and value.strip():
        return Constant(normal_key(value))
    if value is not None:
        problems.append(
            f"mapping: type must be a text such as 'Application', or {{'column': 'kind'}}, not {shown(value)}"
        )
    return None


def _read_id(value: Any, problems: list[str]) -> Column | None:
    """Return the template of the id: a text is the name of a column, as all items need ids of their own."""
    if isinstance(value, Mapping):
        found = _read_reference(value, "id", problems)
        if isinstance(found, Constant):
            problems.append("mapping: id must be a column; with a constant, all items would be the same one")
        return found if isinstance(found, Column) else None
    return None if value is None else _read_column(value, "id", problems)


def _read_data(value: Any, problems: list[str]) -> Template:
    if value is None:
        return Constant({})
    if isinstance(value, str) or _is_reference(value):
        found = _read_template(value, "data", problems)
        if isinstance(found, Constant) and not isinstance(found.value, Mapping):
            problems.append(f"mapping: data must be an object, not {shown(found.value)}")
        return found
    if not isinstance(value, Mapping):
        problems.append(f"mapping: data must be an object of columns by names of fields, not {shown(value)}")
        return Constant({})
    return _read_template(value, "data", problems)


def _read_template(value: Any, where: str, problems: list[str], depth: int = 0) -> Template:
    if depth > _MAX_DEPTH:
        problems.append(f"mapping: {where[:60]}… is nested more than {_MAX_DEPTH} levels deep")
    elif _is_reference(value):
        return _read_reference(value, where, problems) or Constant(None)
    elif isinstance(value, Mapping):
        return _read_fields(value, where, problems, depth)
    elif isinstance(value, (list, tuple)):
        return _read_values(value, where, problems, depth)
    else:
        return _read_column(value, where, problems) or Constant(None)
    return Constant(None)


def _read_values(value: Sequence[Any], where: str, problems: list[str], depth: int) -> Values | Constant:
    values = [
        _read_template(one, f"{where}[{number}]", problems, depth + 1) for number, one in enumerate(value)
    ]
    constants = [one.value for one in values if isinstance(one, Constant)]
    return Constant(constants) if len(constants) == len(values) else Values(values)


def _read_fields(value: Mapping[Any, Any], where: str, problems: list[str], depth: int) -> Fields | Constant:
    fields: dict[str, Template] = {}
    for name, one in value.items():
        if not isinstance(name, str) or not name.strip():
            problems.append(f"mapping: {where} has the field {shown(name)}, which is no name")
            continue
        fields[name] = _read_template(one, f"{where}.{name}", problems, depth + 1)
    constants = {name: one.value for name, one in fields.items() if isinstance(one, Constant)}
    return Constant(constants) if len(constants) == len(fields) else Fields(fields)


def _is_reference(value: Any) -> bool:
    return isinstance(value, Mapping) and (_COLUMN in value or _CONSTANT in value)


def _read_reference(value: Mapping[Any, Any], where: str, problems: list[str]) -> Column | Constant | None:
    """Return the template of ``{"column": name}`` or ``{"constant": value}``."""
    if len(value) != 1 or not _is_reference(value):
        problems.append(
            f"mapping: {where} must have 'column' or 'constant' and nothing beside, not {shown(dict(value))}"
        )
        return None
    if _COLUMN in value:
        return _read_column(value[_COLUMN], where, problems)
    try:
        return Constant(_READER.read(value[_CONSTANT]))
    except UnreadableValueError as problem:
        problems.append(f"mapping: the constant of {where} {problem}")
        return None


def _read_column(value: Any, where: str, problems: list[str]) -> Column | None:
    if isinstance(value, str) and value.strip():
        return Column(normal_key(value))
    hint = "" if value is None or isinstance(value, str) else f"; a value is {{'constant': {shown(value)}}}"
    problems.append(f"mapping: {where} must be the name of a column, not {shown(value)}{hint}")
    return None


def _names(template: Template) -> Iterator[str]:
    if isinstance(template, Column):
        yield template.name
    elif isinstance(template, Fields):
        for one in template.fields.values():
            yield from _names(one)
    elif isinstance(template, Values):
        for one in template.values:
            yield from _names(one)


def fill_data(template: Template, values: Mapping[str, Any]) -> Any:
    """Return the data of an item: as :func:`fill` does, but its constants stay in any case."""
    if not isinstance(template, Fields):
        return fill(template, values)
    filled = {name: fill(one, values) for name, one in template.fields.items()}
    return {name: value for name, value in filled.items() if value is not ABSENT}


def fill(template: Template, values: Mapping[str, Any]) -> Any:
    """Return a template with a row's values; :data:`ABSENT` when none of its columns has a value.

    A list has no null; it is null itself when its columns have nothing else.

    :param values: JSON values by names of columns.
    """
    if isinstance(template, Column):
        return values.get(template.name, ABSENT)
    if isinstance(template, Constant):
        return template.value
    if isinstance(template, Fields):
        found = {}
        has_value = False
        for name, one in template.fields.items():
            if (value := fill(one, values)) is not ABSENT:
                found[name] = value
                has_value = has_value or not isinstance(one, Constant)
        return found if has_value else ABSENT
    listed = [(one, fill(one, values)) for one in template.values]
    given = [value for one, value in listed if value is not ABSENT and not isinstance(one, Constant)]
    if not given or all(value is None for value in given):
        return None if given else ABSENT
    return [value for _, value in listed if value is not ABSENT and value is not None]
