"""Arguments of operators, sensors and the hook: names, choices, and types that templates may make texts."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from airflow_provider.core.arguments import check_choice, check_file_path, check_rendered
from airflow_provider.core.input.conditions import raise_problems, text_condition
from airflow_provider.core.input.scalars import Scalar
from airflow_provider.core.input.values import shown

if TYPE_CHECKING:
    from airflow_provider.core.files.formats import Format

FAIL_ON = ("failed", "errors", "warnings")
"""Values of the argument ``fail_on``, from the most tolerant to the strictest."""

OUTPUT_FORMATS = ("ldif", "jsonl")
"""Values of the argument ``output_format`` for a file."""

TABLE_FORMATS = ("jsonl", "csv", "parquet")
"""Values of the argument ``output_format`` for a folder, which gets a table for each type."""

_FORMATS_BY_ENDING = {"json": "ldif", "ldif": "ldif", "jsonl": "jsonl", "ndjson": "jsonl"}
"""Formats by endings of the path; each ending also with ``.gz``."""

_FOLDER_HINT = "; tables need a folder: a path that ends in '/'"

START_SCALARS: Mapping[str, Scalar] = {
    "allow_duplicates": Scalar("boolean"),
    "min_content": Scalar("integer", optional=True, guard=True, least=0),
    "test_run": Scalar("boolean"),
    "write_to_ldif": Scalar("boolean", optional=True),
}
"""Arguments of the operator that starts a run."""

RUN_SCALARS: Mapping[str, Scalar] = {
    **START_SCALARS,
    "report": Scalar("boolean"),
    "max_shrink": Scalar("number", optional=True, guard=True, least=0, most=1),
    "max_errors": Scalar("integer", least=0),
    "allow_unprocessed": Scalar("boolean"),
    "allow_no_results": Scalar("boolean"),
    "poll_interval": Scalar("seconds", above=0),
    "timeout": Scalar("seconds", above=0),
}
"""Arguments of the operator that starts a run and waits for it."""

FETCH_SCALARS: Mapping[str, Scalar] = {
    "allow_no_results": Scalar("boolean"),
    "report": Scalar("boolean"),
}
"""Arguments of the operator that downloads results."""

SENSOR_SCALARS: Mapping[str, Scalar] = {
    "poke_interval": Scalar("seconds", least=0),
    "timeout": Scalar("seconds", least=0),
}
"""Arguments of the sensor."""


def group_problems(execution_group: Any) -> list[str]:
    """Return the problems of the name of an execution group, one sentence each."""
    return check_rendered("execution_group", execution_group) or text_condition(
        execution_group, "execution_group"
    )


def choose_output(output_path: str, output_format: str | None = None) -> Format:
    """Return the format that a path's ending names, and whether the file is compressed.

    :param output_format: ``ldif`` for the unchanged bytes, ``jsonl`` for the items of the content, one per
        line; needed only for a path without ending.
    :raises InputError: for another ending, or for one of the other format.
    """
    from airflow_provider.core.files.formats import Format

    raise_problems(output_problems(output_path, output_format))
    plain, _, ending = _split(output_path)
    return Format(output_format or _FORMATS_BY_ENDING[ending], compressed=plain.endswith(".gz"))


def is_folder(output_path: Any) -> bool:
    """Return whether results are written as tables into a folder, which ends in ``/``."""
    return isinstance(output_path, str) and output_path.endswith("/") and bool(output_path.strip(" /"))


def output_problems(output_path: Any, output_format: Any = None, ldif_path: Any = None) -> list[str]:
    """Return the problems of an operator's output arguments, one sentence each."""
    if not isinstance(output_path, str):
        return [f"'output_path' must be the path of a file, not {shown(output_path)}"]
    if is_folder(output_path):
        return _table_problems(output_format) + _copy_problems(ldif_path)
    problems = [] if ldif_path is None else ["'ldif_path' goes with a folder as 'output_path' only"]
    problems += check_file_path("output_path", output_path)
    if output_format is not None:
        problems += _format_problems(output_format)
    if problems:
        return problems
    _, has_ending, ending = _split(output_path)
    found = _FORMATS_BY_ENDING.get(ending)
    if found is None and (has_ending or output_format is None):
        known = ", ".join(f".{name}" for name in _FORMATS_BY_ENDING)
        hint = _FOLDER_HINT if ending in TABLE_FORMATS else ""
        return [
            f"'output_path' must end in one of {known} (each also with .gz), not {output_path[:200]!r}{hint}"
        ]
    if output_format is not None and found not in (None, output_format):
        return [f"'output_format' {output_format!r} does not fit 'output_path', which ends in .{ending}"]
    return []


def ensure_output(output_path: str | None, ldif_path: str | None) -> None:
    """Check that results can be written, before the first request.

    :param output_path: path of a file, or a folder for tables; None for no results.
    :param ldif_path: where the LDIF is kept beside the tables; None for nowhere.
    :raises InputError: when a file cannot be written.
    """
    from airflow_provider.core.files.storage import ensure_writable
    from airflow_provider.leanix.tables.write import ensure_folder

    if is_folder(output_path):
        ensure_folder(str(output_path))
    elif output_path:
        ensure_writable(output_path)
    if ldif_path:
        ensure_writable(ldif_path, "ldif_path")


def _format_problems(output_format: Any) -> list[str]:
    problems = check_choice("output_format", output_format, OUTPUT_FORMATS)
    return [problem + _FOLDER_HINT for problem in problems] if output_format in TABLE_FORMATS else problems


def _table_problems(output_format: Any) -> list[str]:
    formats = ", ".join(TABLE_FORMATS)
    if output_format is None:
        return [
            f"'output_path' names no file, and a folder needs 'output_format': one of {formats}, for tables"
        ]
    if output_format == "ldif":
        return [
            "'output_format' 'ldif' needs the path of a file; a folder gets a table for each type, and"
            " 'ldif_path' keeps the LDIF beside them"
        ]
    problems = check_choice("output_format", output_format, TABLE_FORMATS)
    if output_format == "parquet" and find_spec("pyarrow") is None:
        problems.append("'output_format' 'parquet' needs pyarrow: install the extra 'parquet'")
    return problems


def _copy_problems(ldif_path: Any) -> list[str]:
    """Return the problems of the path that keeps the LDIF."""
    if ldif_path is None:
        return []
    if not isinstance(ldif_path, str):
        return [f"'ldif_path' must be the path of a file, not {shown(ldif_path)}"]
    if problems := check_file_path("ldif_path", ldif_path):
        return problems
    name, _, ending = _split(ldif_path)
    if _FORMATS_BY_ENDING.get(ending) != "ldif":
        return [f"'ldif_path' must end in .ldif or .json (each also with .gz), not {ldif_path[:200]!r}"]
    return ["'ldif_path' must not end in manifest.json, the name of manifests"] * name.endswith(
        "manifest.json"
    )


def _split(output_path: str) -> tuple[str, bool, str]:
    """Return a path's name, whether it has an ending besides ``.gz``, and the ending."""
    name = output_path.lower().rpartition("/")[2]
    stem, dot, ending = name.removesuffix(".gz").rpartition(".")
    return name, bool(dot and stem), ending if dot and stem else ""
