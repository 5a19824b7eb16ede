"""Request of a load: the operator's arguments, checked before the database is touched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from airflow_provider.core.arguments import check_choice
from airflow_provider.core.files.row_source import RowOptions
from airflow_provider.core.input.conditions import list_problems, raise_problems, rendered_hint
from airflow_provider.core.input.scalars import Scalar, read_scalars
from airflow_provider.core.input.values import shown
from airflow_provider.errors import InputError
from airflow_provider.warehouse.load.columns.names import TableName, parse_table

MODES = ("replace", "merge", "append")

SCALARS = {
    "create": Scalar("boolean"),
    "allow_empty": Scalar("boolean"),
    "hive": Scalar("boolean"),
    "max_shrink": Scalar("number", optional=True, guard=True, least=0, most=1),
}

_NONE = ("None", "")

_OWN = ("_twin_stage", "_twin_loads")
"""Tables of the loads themselves."""


class LoadRequest(NamedTuple):
    """Source, table and mode of a load.

    :param source: location of the file, or a manifest's.
    :param expected: result of the export that the source is, with ``rows`` and more to check.
    :param options: how rows are read; its ``columns`` and ``ignore`` name the source's columns.
    :param table: name as it was given.
    :param parts: its parts.
    :param key: columns that identify a row; empty for none.
    """

    source: str
    expected: Mapping[str, Any]
    options: RowOptions
    table: str
    parts: TableName
    mode: str
    key: tuple[str, ...]
    create: bool
    max_shrink: float | None
    allow_empty: bool


def read_request(task: Any) -> LoadRequest:
    """Return the request of an operator.

    :param task: the operator, after its templates were rendered.
    :raises InputError: with every problem of its arguments.
    """
    problems = read_scalars(task, SCALARS)
    problems += check_choice("mode", task.mode, MODES)
    source, expected, wrong = _read_source(task.source)
    problems += wrong
    problems += _text_problems("sql_conn_id", task.sql_conn_id)
    parts: TableName = ()
    try:
        parts = parse_table(task.table)
    except InputError as error:
        problems += error.problems
    if parts and parts[-1].lower() in _OWN:
        problems.append(f"'table' must not be '{parts[-1]}', which loads use themselves")
    key, wrong = _read_key(task.key)
    problems += wrong
    if task.mode == "merge" and not key and not wrong:
        problems.append("'key' is needed for mode 'merge': the columns that identify a row")
    if task.mode == "append" and task.max_shrink is not None:
        problems.append("'max_shrink' does not apply to mode 'append', which deletes nothing")
    options = _read_options(task)
    problems += options.problems()
    if options.complete == "None":  # A template without a value must not switch the check off.
        problems.append("complete must be the name of a file, such as '_SUCCESS', not the text 'None'")
    raise_problems(problems)
    return LoadRequest(
        source=source,
        expected=expected,
        options=options,
        table=task.table.strip(),
        parts=parts,
        mode=task.mode,
        key=key,
        create=task.create,
        max_shrink=task.max_shrink,
        allow_empty=task.allow_empty,
    )


def _read_options(task: Any) -> RowOptions:
    names = ("columns", "ignore", "csv_delimiter", "encoding", "source_format", "complete")
    given: dict[str, Any] = {
        name: None if name != "complete" and getattr(task, name) in _NONE else getattr(task, name)
        for name in names
    }
    if given["csv_delimiter"] == "\\t":
        given["csv_delimiter"] = "\t"
    return RowOptions(**given, hive=task.hive)


def _read_source(source: Any) -> tuple[str, Mapping[str, Any], list[str]]:
    """Return a source's location, what is known of it, and what is wrong with the argument."""
    expected: Mapping[str, Any] = {}
    if isinstance(source, Mapping):
        expected, source = source, source.get("uri")
        if not isinstance(source, str):
            return "", {}, ["'source' must be the path of a file, or the result of an export with its 'uri'"]
    hint = rendered_hint(source) if isinstance(source, str) else ""
    if hint or not isinstance(source, str):
        return "", {}, [f"'source' must be the path of a file, not {shown(source)}{hint}"]
    if not source.strip() or source.strip() == "None":
        return "", {}, [f"'source' is empty: {shown(source)}"]
    return source.strip(), expected, []


def _text_problems(name: str, value: Any) -> list[str]:
    if isinstance(value, str) and value.strip() and value.strip() != "None":
        return []
    return [f"'{name}' must be a text, not {shown(value)}"]


def _read_key(key: Any) -> tuple[tuple[str, ...], list[str]]:
    if key is None or key == "None":
        return (), []
    if isinstance(key, str) and key.strip() and not rendered_hint(key):
        key = [key.strip()]
    if problems := list_problems(key, "key"):
        return (), problems
    if not key:
        return (), ["'key' is empty; leave it out for no key"]
    twice = sorted({name for name in key if list(key).count(name) > 1})
    return tuple(key), [f"'key' names the column {name!r} twice" for name in twice]
