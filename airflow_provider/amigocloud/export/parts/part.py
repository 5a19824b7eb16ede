"""Part of a sharded export: a range of keys in one state of a dataset, and the file that it is written to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from airflow_provider.amigocloud import api
from airflow_provider.amigocloud.export.keyset import Range
from airflow_provider.amigocloud.values import problems_of, text_problems
from airflow_provider.core.input.conditions import rendered_hint
from airflow_provider.core.input.values import UnreadableValueError, read_integer, shown
from airflow_provider.core.state.identity import fingerprint
from airflow_provider.errors import InputError

PLACEHOLDER = "{part}"
"""Text in an output path that the number of the part, such as ``00003-of-00008``, replaces."""

_SUFFIX = re.compile(r"(?:\.[A-Za-z]\w*)?(?:\.gz)?$")

_OWN_TEMPLATE = re.compile(r"\{[{%].*?(?:map_index|part).*?[}%]\}", re.DOTALL)
"""A template whose value can differ between the parts."""

Bound = str | int | None
"""Bound of a range of keys, as JSON has it; None for none."""


@dataclass(frozen=True)
class Part:
    """One part of a planned export: the rows with ``low <= amigo_id < high`` in a state of a dataset.

    :param dataset: id of the dataset.
    :param state: hash of the state that all parts are read in.
    :param number: number of the part, from 0, as Airflow counts mapped tasks.
    :param count: number of parts.
    :param low: least key; None for none.
    :param high: key above the greatest one; None for none.
    :param rows: number of rows in the part.
    :param plan: fingerprint of all parts together.
    """

    dataset: int
    state: str
    number: int
    count: int
    low: Bound
    high: Bound
    rows: int
    plan: str

    @property
    def label(self) -> str:
        """The number of the part as the names of files have it, such as ``00003-of-00008``."""
        return f"{self.number:05d}-of-{self.count:05d}"

    @property
    def keys(self) -> Range:
        """The range of the part's keys."""
        return Range(low=self.low, high=self.high)

    def to_json(self) -> dict[str, Any]:
        """Return the part as JSON, for ``expand(part=...)``."""
        return asdict(self)

    def result(self) -> dict[str, Any]:
        """Return what a part's manifest has besides that of a whole export."""
        return {"dataset": self.dataset, "part": self.number, "parts": self.count, "plan": self.plan}


def make_parts(dataset: int, state: str, bounds: list[Bound], rows: list[int]) -> list[Part]:
    """Return adjoining parts.

    :param dataset: id of the dataset.
    :param state: hash of the state.
    :param bounds: the keys that part ``n`` and part ``n + 1`` adjoin at.
    :param rows: number of rows of each part.
    """
    edges = [None, *bounds, None]
    plan = fingerprint({"dataset": dataset, "state": state, "bounds": bounds, "rows": rows})
    return [
        Part(dataset, state, number, len(rows), edges[number], edges[number + 1], rows[number], plan)
        for number in range(len(rows))
    ]


def read_part(value: Any) -> Part:
    """Return a part from its JSON.

    :param value: the argument ``part``.
    :raises InputError: when it is no part of a plan, with all problems.
    """
    if not isinstance(value, Mapping):
        hint = rendered_hint(value) if isinstance(value, str) else ""
        raise InputError(
            f"must be one of the parts that AmigoCloudPlanExportOperator returns, not {shown(value)}{hint};"
            " pass its output to expand(part=...)",
            "part",
        )
    fields = Part.__dataclass_fields__
    problems = [f"lacks {name!r}" for name in fields if name not in value]
    problems += [f"has {name!r}, which is unknown" for name in value if name not in fields]
    if not problems:
        problems = _part_problems(value)
    if problems:
        raise InputError([f"{problem}; pass the plan's parts as they are" for problem in problems], "part")
    return Part(**{**value, "dataset": api.dataset_number(value["dataset"])})


def _part_problems(value: Mapping[str, Any]) -> list[str]:
    dataset = value["dataset"]
    problems = [f"has a bad {one}" for one in problems_of("dataset", lambda: api.dataset_number(dataset))]
    for name in ("state", "plan"):
        problems += [f"has a bad {name}: {one}" for one in text_problems(value[name], name)]
    numbers = {name: _whole(value[name]) for name in ("number", "count", "rows")}
    problems += [f"has {value[name]!r:.60} as {name!r}" for name, number in numbers.items() if number is None]
    number, count = numbers["number"], numbers["count"]
    if number is not None and count is not None and number >= count:
        problems.append(f"is number {number} of {count}; the numbers begin at 0")
    for name in ("low", "high"):
        if value[name] is not None and not isinstance(value[name], (str, int)):
            problems.append(f"has {value[name]!r:.60} as {name!r}, which is no key")
    return problems


def _whole(value: Any) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    try:
        return read_integer(value, least=0)
    except UnreadableValueError:
        return None


def part_path(output_path: str, part: Part, template: str | None = None) -> str:
    """Return the path of a part's file, which no other part of the plan has.

    ``{part}`` is replaced by the part's number. A path whose last number is the part's is taken as it is: a
    template such as ``{{ ti.map_index }}`` made it. Any other path gets the number before its suffix, so that
    ``name.parquet`` becomes ``name-00003-of-00008.parquet``.

    :param output_path: the path, after its templates were rendered.
    :param part: the part.
    :param template: the path before, if it is known; a date in a path that is the same for all parts is no
        number of a part.
    """
    if PLACEHOLDER in output_path:
        return output_path.replace(PLACEHOLDER, part.label)
    folder, slash, name = output_path.rpartition("/")
    stem = _SUFFIX.sub("", name)
    is_own = template is None or _OWN_TEMPLATE.search(template) is not None
    if is_own and _names_part(folder.rpartition("/")[2], stem, part):
        return output_path
    return f"{folder}{slash}{stem}-{part.label}{name[len(stem) :]}"


def _names_part(folder: str, stem: str, part: Part) -> bool:
    """Return whether a file's name or folder ends in the number of the part."""
    if stem.endswith(part.label):
        return True
    numbers: Iterable[str] = re.findall(r"\d+", stem)[-1:]
    if not numbers:
        numbers = re.findall(r"^(?:\w*=)?(\d+)$", folder)
    return [int(number) for number in numbers] == [part.number]
