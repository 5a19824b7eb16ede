"""Export request: the arguments of an export, validated together before the first request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow_provider.amigocloud import api
from airflow_provider.amigocloud.export.formats import choose_format
from airflow_provider.amigocloud.export.parts.arguments import (
    fixed_state_problems,
    outlet_assets,
    path_template,
)
from airflow_provider.amigocloud.export.parts.part import Part, part_path, read_part
from airflow_provider.amigocloud.sql.statement import Kind, Statement, read_query
from airflow_provider.amigocloud.values import path_problems, problems_of, text_problems
from airflow_provider.core.arguments import check_exactly_one
from airflow_provider.core.files.formats import Format
from airflow_provider.core.files.paths.parts import IN_FOLDER
from airflow_provider.core.input.conditions import raise_problems
from airflow_provider.core.input.scalars import Scalar, read_scalar, read_scalars
from airflow_provider.core.input.values import shown
from airflow_provider.errors import InputError

_SCALARS = {
    "page_size": Scalar("integer", least=1),
    "concurrency": Scalar("integer", optional=True, least=1),
    "full_refresh": Scalar("boolean"),
    "report": Scalar("boolean"),
}
_SOURCES = ("sql", "dataset", "url", "saved_query")
_NUMBER = re.compile(r"[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class ExportRequest:
    """The validated arguments of an export; the numbers are on the task, see :func:`read_request`.

    :param source: the argument that names the source.
    :param file_format: format of the file.
    :param statement: the query, if the source is ``sql``.
    :param lag: distance before the watermark from which rows are read again.
    :param output_path: path of the file; that of a part's file if the export is one.
    :param part: the part to export.
    :param state: hash of the state to read; None for the latest one.
    """

    source: str
    file_format: Format
    statement: Statement | None
    lag: timedelta | float | None
    output_path: str
    part: Part | None = None
    state: str | None = None


def read_request(task: Any) -> ExportRequest:
    """Validate the arguments of an export; numbers and booleans that a template made are replaced.

    :param task: the operator, after its templates were rendered.
    :raises InputError: with all problems.
    """
    problems: list[str] = []
    part = _part(task, problems)
    given = _sources(task, problems)
    statement = _statement(task, problems)
    file_format = _format(task, problems)
    for name in ("key", "incremental_column", "url", "format"):
        problems += _text_problems(name, getattr(task, name))
    if task.saved_query is not None:
        problems += text_problems(task.saved_query, "saved_query")
    if task.dataset is not None:
        problems += problems_of("dataset", lambda: api.dataset_number(task.dataset))
    lag = _lag(task.lag, problems)
    problems += read_scalars(task, _SCALARS)
    if task.key is not None and given not in (["sql"], ["saved_query"]):
        problems.append("'key' is used with 'sql' only; a dataset's key is amigo_id")
    problems += _increment_problems(task, given)
    problems += fixed_state_problems(task, part, given, statement)
    raise_problems(problems)
    assert file_format is not None  # noqa: S101 - a problem otherwise
    path = task.output_path
    if part:
        path = part_path(path, part, path_template(task), f".{file_format.name}")
    state = part.state if part else None if task.state is None else task.state.strip()
    return ExportRequest(given[0], file_format, statement, lag, path, part, state)


def _part(task: Any, problems: list[str]) -> Part | None:
    try:
        return None if task.part is None else read_part(task.part)
    except InputError as error:
        problems += [f"'part' {problem}" for problem in error.problems]
        return None


def _sources(task: Any, problems: list[str]) -> list[str]:
    """Return the arguments that name a source; a part names its dataset."""
    sources = {name: getattr(task, name) for name in _SOURCES}
    given = [name for name, value in sources.items() if value is not None]
    if task.part is None:
        problems += check_exactly_one(sources)
        return given
    if others := [name for name in given if name != "dataset"]:
        problems.append(f"'part' is a part of a dataset; leave {' and '.join(map(repr, others))} out")
    return ["dataset", *others]


def read_statement(sql: Any, key: str | None, name: str) -> Statement:
    """Return the query of an export.

    :param sql: the SQL.
    :param key: column to read by; None to follow ``next`` links.
    :param name: the argument, for the error.
    :raises InputError: when it is not one query, or cannot be read by a key.
    """
    statement = read_query(sql, name)
    if key is not None and statement.kind is Kind.REPORT:
        raise InputError(f"{statement.verb} cannot be read by 'key', only whole; leave 'key' out", name)
    return statement


def _statement(task: Any, problems: list[str]) -> Statement | None:
    if task.sql is None:
        return None
    try:
        return read_statement(task.sql, task.key, "sql")
    except InputError as error:
        problems += [f"'sql' {problem}" for problem in error.problems]
        return None


def _format(task: Any, problems: list[str]) -> Format | None:
    if not isinstance(task.output_path, str):
        problems.append(f"'output_path' must be a path, not {shown(task.output_path)}")
        return None
    try:
        given = None if task.format is None else str(task.format).strip()
        if task.part is not None and given is None and task.output_path.endswith("/"):
            given = IN_FOLDER
        return choose_format(task.output_path, given)
    except InputError as error:
        problems += [f"'{error.subject}': {problem}" for problem in error.problems]
        return None


def _text_problems(name: str, value: Any) -> list[str]:
    if value is None:
        return []
    if name == "url" and isinstance(value, str) and not value.strip():
        return ["'url': the URL is empty"]
    if name == "url" and isinstance(value, str) and not path_problems(value, name):
        return problems_of("url", lambda: api.read_request(value))
    return path_problems(value, name)


def _increment_problems(task: Any, given: list[str]) -> list[str]:
    if task.incremental_column is None:
        return ["'lag' is used with 'incremental_column' only"] if task.lag is not None else []
    if given == ["url"]:
        return ["'incremental_column' is used with 'dataset' and 'sql'; a list cannot be filtered"]
    if given in (["sql"], ["saved_query"]) and task.key is None:
        return ["'incremental_column' with 'sql' needs a 'key', a unique column of the result"]
    if (assets := len(outlet_assets(task))) != 1:
        return [
            "'incremental_column' needs one outlet asset, on which the watermark is kept; the task has"
            f" {assets}"
        ]
    return []


def _lag(value: Any, problems: list[str]) -> timedelta | float | None:
    """Return a lag as it was given, or as the text of it says: a number, or a ``timedelta``."""
    if value is None or isinstance(value, timedelta):
        found: Any = value
    else:
        is_number = not isinstance(value, str) or _NUMBER.fullmatch(value.strip())
        try:
            found = read_scalar("lag", value, Scalar("number" if is_number else "seconds", least=0))
        except InputError:
            problems.append(
                f"'lag' must be a number of at least 0, or a timedelta (as text: 1:30:00), not {shown(value)}"
            )
            return None
        if not is_number:
            found = timedelta(seconds=found)
    if isinstance(found, timedelta) and found < timedelta(0):
        problems.append(f"'lag' must be a timedelta of at least 0, not {found}")
    return found  # type: ignore[no-any-return]
