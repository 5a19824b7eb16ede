"""Parts of a planned export: mapped tasks that each write one file, which no other part writes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol

from airflow_provider.core.input.conditions import rendered_hint
from airflow_provider.core.input.values import UnreadableValueError, read_integer, shown
from airflow_provider.errors import InputError

PLACEHOLDER = "{part}"
"""Text in an output path that the number of the part, such as ``00003-of-00008``, replaces."""

IN_FOLDER = "jsonl"
"""Format of a part's file in a folder, unless the task names another."""

_SUFFIX = re.compile(r"(?:\.[A-Za-z]\w*)?(?:\.gz)?$")

_OWN_TEMPLATE = re.compile(r"\{[{%].*?(?:map_index|part).*?[}%]\}", re.DOTALL)
"""A template whose value can differ between the parts."""


class NumberedPart(Protocol):
    """A part of a plan."""

    @property
    def number(self) -> int:
        """The number of the part, from 0, as Airflow counts mapped tasks."""

    @property
    def count(self) -> int:
        """The number of parts."""


def part_label(part: NumberedPart) -> str:
    """Return the number of a part as the names of files have it, such as ``00003-of-00008``."""
    return f"{part.number:05d}-of-{part.count:05d}"


def part_path(output_path: str, part: NumberedPart, template: str | None = None, ending: str = "") -> str:
    """Return the path of a part's file, which no other part of the plan has.

    ``{part}`` is replaced by the part's number. A path whose last number is the part's is taken as it is: a
    template such as ``{{ ti.map_index }}`` made it. A folder, with ``/`` at its end, gets a file named by the
    part. Any other path gets the number before its suffix, so that ``name.parquet`` becomes
    ``name-00003-of-00008.parquet``.

    :param output_path: the path, after its templates were rendered.
    :param part: the part.
    :param template: the path before, if it is known; a date in a path that is the same for all parts is no
        number of a part.
    :param ending: ending of the file in a folder, such as ``.jsonl``.
    """
    label = part_label(part)
    if output_path.endswith("/"):
        return f"{output_path.replace(PLACEHOLDER, label)}part-{label}{ending}"
    if PLACEHOLDER in output_path:
        return output_path.replace(PLACEHOLDER, label)
    folder, slash, name = output_path.rpartition("/")
    stem = _SUFFIX.sub("", name)
    is_own = template is None or _OWN_TEMPLATE.search(template) is not None
    if is_own and _names_part(folder.rpartition("/")[2], stem, part):
        return output_path
    return f"{folder}{slash}{stem}-{label}{name[len(stem) :]}"


def _names_part(folder: str, stem: str, part: NumberedPart) -> bool:
    """Return whether a file's name or folder ends in the number of the part."""
    if stem.endswith(part_label(part)):
        return True
    numbers: Iterable[str] = re.findall(r"\d+", stem)[-1:]
    if not numbers:
        numbers = re.findall(r"^(?:\w*=)?(\d+)$", folder)
    return [int(number) for number in numbers] == [part.number]


def path_template(task: Any) -> str | None:
    """Return the output path of a mapped task as its DAG has it, before templates; None if it is unknown."""
    if not task.has_dag():
        return None
    mapped = task.dag.task_dict.get(task.task_id)
    template = getattr(mapped, "partial_kwargs", {}).get("output_path")
    return template if isinstance(template, str) else None


def outlet_assets(task: Any) -> list[Any]:
    """Return the outlets of a task that are assets."""
    from airflow.sdk import Asset

    return [outlet for outlet in task.outlets or () if isinstance(outlet, Asset)]


def outlet_problems(task: Any, part: NumberedPart) -> list[str]:
    """Return why a task of a part may not have an outlet asset."""
    return [
        f"'outlets' would have an event for each of the {part.count} parts, before all are there; set the"
        f" outlet {shown(asset.name)} on the CommitManifestOperator"
        for asset in outlet_assets(task)[:1]
    ]


def fields_of_part(value: Any, fields: Collection[str], planner: str) -> Mapping[str, Any]:
    """Return the fields of a part.

    :param value: the argument ``part``.
    :param fields: names of a part's fields.
    :param planner: the operator that plans the parts, for errors.
    :raises InputError: when it is no part of a plan.
    """
    if not isinstance(value, Mapping):
        hint = rendered_hint(value) if isinstance(value, str) else ""
        raise InputError(
            f"must be one of the parts that {planner} returns, not {shown(value)}{hint}; pass its output to"
            " expand(part=...)",
            "part",
        )
    problems = [f"lacks {name!r}" for name in fields if name not in value]
    problems += [f"has {shown(name)}, which is unknown" for name in value if name not in fields]
    raise_part_problems(problems)
    return value


def raise_part_problems(problems: Iterable[str]) -> None:
    """Raise the problems of a part; nothing when there are none.

    :raises InputError: with all of them.
    """
    if found := [f"{problem}; pass the plan's parts as they are" for problem in problems]:
        raise InputError(found, "part")


def number_problems(value: Mapping[str, Any], names: Iterable[str] = ("number", "count")) -> list[str]:
    """Return what is wrong with the numbers of a part.

    :param value: the part's fields.
    :param names: those that are whole numbers, ``number`` and ``count`` among them.
    """
    numbers = {name: _whole(value[name]) for name in names}
    problems = [f"has {value[name]!r:.60} as {name!r}" for name, number in numbers.items() if number is None]
    number, count = numbers["number"], numbers["count"]
    if number is not None and count is not None and number >= count:
        problems.append(f"is number {number} of {count}; the numbers begin at 0")
    return problems


def _whole(value: Any) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    try:
        return read_integer(value, least=0)
    except UnreadableValueError:
        return None
