"""Part of a sharded export: a range of keys in one state of a dataset, and the file that it is written to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from airflow_provider.amigocloud import api
from airflow_provider.amigocloud.export.keyset import Range
from airflow_provider.amigocloud.values import problems_of, text_problems
from airflow_provider.core.files.paths.parts import (
    fields_of_part,
    number_problems,
    part_label,
    part_path,
    raise_part_problems,
)
from airflow_provider.core.state.identity import fingerprint

__all__ = ["Bound", "Part", "make_parts", "part_path", "read_part"]

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
        return part_label(self)

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
    fields = fields_of_part(value, Part.__dataclass_fields__, "AmigoCloudPlanExportOperator")
    raise_part_problems(_part_problems(fields))
    return Part(**{**value, "dataset": api.dataset_number(value["dataset"])})


def _part_problems(value: Mapping[str, Any]) -> list[str]:
    dataset = value["dataset"]
    problems = [f"has a bad {one}" for one in problems_of("dataset", lambda: api.dataset_number(dataset))]
    for name in ("state", "plan"):
        problems += [f"has a bad {name}: {one}" for one in text_problems(value[name], name)]
    problems += number_problems(value, ("number", "count", "rows"))
    for name in ("low", "high"):
        if value[name] is not None and not isinstance(value[name], (str, int)):
            problems.append(f"has {value[name]!r:.60} as {name!r}, which is no key")
    return problems
