"""Arguments of operators, sensors and the hook: names, choices, and types that templates may make texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider.core.arguments import check_choice, check_file_path
from airflow_provider.core.input.conditions import raise_problems, text_condition
from airflow_provider.core.input.scalars import Scalar
from airflow_provider.core.input.values import shown

if TYPE_CHECKING:
    from airflow_provider.core.files.formats import Format

FAIL_ON = ("failed", "errors", "warnings")
"""Values of the argument ``fail_on``, from the most tolerant to the strictest."""

OUTPUT_FORMATS = ("ldif", "jsonl")
"""Values of the argument ``output_format``."""

_FORMATS_BY_ENDING = {"json": "ldif", "ldif": "ldif", "jsonl": "jsonl", "ndjson": "jsonl"}
"""Formats by endings of the path; each ending also with ``.gz``."""

START_SCALARS: Mapping[str, Scalar] = {
    "allow_duplicates": Scalar("boolean"),
    "min_content": Scalar("integer", optional=True, guard=True, least=0),
    "test_run": Scalar("boolean"),
    "write_to_ldif": Scalar("boolean", optional=True),
}
"""Arguments of the operator that starts a run."""

RUN_SCALARS: Mapping[str, Scalar] = {
    **START_SCALARS,
    "max_shrink": Scalar("number", optional=True, guard=True, least=0, most=1),
    "max_errors": Scalar("integer", least=0),
    "allow_unprocessed": Scalar("boolean"),
    "allow_no_results": Scalar("boolean"),
    "poll_interval": Scalar("seconds", above=0),
    "timeout": Scalar("seconds", above=0),
}
"""Arguments of the operator that starts a run and waits for it."""

FETCH_SCALARS: Mapping[str, Scalar] = {"allow_no_results": Scalar("boolean")}
"""Arguments of the operator that downloads results."""

SENSOR_SCALARS: Mapping[str, Scalar] = {
    "poke_interval": Scalar("seconds", least=0),
    "timeout": Scalar("seconds", least=0),
}
"""Arguments of the sensor."""


def group_problems(execution_group: Any) -> list[str]:
    """Return the problems of the name of an execution group, one sentence each."""
    if execution_group == "None":
        return ["execution_group is the text 'None', which a template made of a value that is not there"]
    return text_condition(execution_group, "execution_group")


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


def output_problems(output_path: Any, output_format: Any = None) -> list[str]:
    """Return the problems of an operator's output arguments, one sentence each."""
    if not isinstance(output_path, str):
        return [f"'output_path' must be the path of a file, not {shown(output_path)}"]
    problems = check_file_path("output_path", output_path)
    if output_format is not None:
        problems += check_choice("output_format", output_format, OUTPUT_FORMATS)
    if problems:
        return problems
    _, has_ending, ending = _split(output_path)
    found = _FORMATS_BY_ENDING.get(ending)
    if found is None and (has_ending or output_format is None):
        known = ", ".join(f".{name}" for name in _FORMATS_BY_ENDING)
        return [f"'output_path' must end in one of {known} (each also with .gz), not {output_path[:200]!r}"]
    if output_format is not None and found not in (None, output_format):
        return [f"'output_format' {output_format!r} does not fit 'output_path', which ends in .{ending}"]
    return []


def _split(output_path: str) -> tuple[str, bool, str]:
    """Return a path's name, whether it has an ending besides ``.gz``, and the ending."""
    name = output_path.lower().rpartition("/")[2]
    stem, dot, ending = name.removesuffix(".gz").rpartition(".")
    return name, bool(dot and stem), ending if dot and stem else ""
