"""Results of mapped export tasks, checked to be the parts of one whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from airflow_provider.core.input.conditions import rendered_hint
from airflow_provider.core.input.values import shown
from airflow_provider.errors import cut, shorten

Count = Annotated[int, msgspec.Meta(ge=0)]
PartNumber = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
"""A part's number, or that of all parts; a task that is mapped more often is beyond any Airflow."""

_SHOWN = 10
"""Maximum parts that a problem lists."""


class PartFile(msgspec.Struct, omit_defaults=True):
    """One file of an export.

    :param uri: its location.
    :param rows: number of its rows; None if its task did not report it.
    :param bytes: its size.
    :param sha256: its hash; None if its task did not report it.
    """

    uri: str
    bytes: Count
    rows: Count | None = None
    sha256: str | None = None


class PartResult(msgspec.Struct):
    """Result of one export task: its manifest, and the place of its part in the plan.

    :param part: number of the part, from 0; None if the export was not planned.
    :param parts: number of the plan's parts.
    :param plan: fingerprint of the plan.
    :param dataset: id of the dataset that all parts are of.
    :param state: the state that all parts were read in.
    :param requests: number of the task's requests.
    :param report: location of the part's report; None without one.
    """

    uri: str
    format: str
    rows: Count
    bytes: Count
    columns: list[str]
    files: list[PartFile] = []
    sha256: str | None = None
    part: PartNumber | None = None
    parts: PartNumber | None = None
    plan: str | None = None
    dataset: int | str | None = None
    state: str | None = None
    requests: int = 0
    report: str | None = None

    @property
    def label(self) -> str:
        """The part's name in problems."""
        return f"part {self.part}" if self.part is not None else f"'{self.uri}'"

    def all_files(self) -> list[PartFile]:
        """Return the files of the part, each with the hash that the task reported."""
        if len(self.files) == 1 and self.sha256:
            return [msgspec.structs.replace(self.files[0], sha256=self.sha256)]
        return self.files or [PartFile(self.uri, self.bytes, self.rows, self.sha256)]


def location(uri: str) -> str:
    """Return a location in one form, to compare it with others."""
    return uri.removeprefix("file://")


def read_results(parts: Any) -> tuple[list[PartResult], list[str]]:
    """Return the results of mapped tasks in the order of their parts, and what is wrong with them.

    :param parts: the argument: a list, or Airflow's sequence of a mapped task's results.
    """
    if isinstance(parts, (str, bytes, Mapping)) or not isinstance(parts, Iterable):
        hint = rendered_hint(parts) if isinstance(parts, str) else ""
        return [], [f"'parts' must be the list of results of a mapped task, not {shown(parts)}{hint}"]
    found: list[PartResult] = []
    problems: list[str] = []
    for number, result in enumerate(parts):
        try:
            found.append(msgspec.convert(result, PartResult))
        except (msgspec.ValidationError, UnicodeEncodeError) as error:
            problems.append(_unreadable(number, result, error))
    if not found and not problems:
        problems.append("'parts' is empty: no task has exported a part")
    return sorted(found, key=lambda result: (result.part or 0, result.uri)), problems


def _unreadable(number: int, result: Any, error: Exception) -> str:
    place = f"'parts', item {number}"
    if result is None:
        return f"{place} is None: its task failed, was skipped, or returns nothing"
    if not isinstance(result, Mapping):
        return f"{place} must be the result of an export, not {shown(result)}"
    return f"{place} is not the result of an export: {error}"


def problems_together(results: Sequence[PartResult]) -> list[str]:
    """Return why results are not the parts of one whole.

    :param results: the results in the order of their parts.
    """
    problems = _number_problems(results)
    for name in ("plan", "dataset", "state", "format", "columns"):
        problems += _mixed(name, results)
    uris = Counter(location(file.uri) for result in results for file in result.all_files())
    problems += [f"{count} parts have the file '{uri}'" for uri, count in uris.items() if count > 1]
    return problems


def _number_problems(results: Sequence[PartResult]) -> list[str]:
    """Return which parts of the plan are missing, or there more than once."""
    planned = [result for result in results if result.part is not None and result.parts is not None]
    if not planned:
        return []
    problems = [f"{result.label} is no part of a plan" for result in results if result not in planned]
    problems += _mixed("parts", planned)
    count = max(result.parts or 0 for result in planned)
    numbers = Counter(result.part or 0 for result in planned)
    missing = [str(number) for number in range(count) if number not in numbers]
    if missing:
        problems.append(f"{_listed(missing)} of {count} {_are(missing)} missing")
    problems += [f"part {number} is there {n} times" for number, n in numbers.items() if n > 1]
    problems += [f"part {number} is not one of {count}" for number in numbers if not 0 <= number < count]
    return problems


def _mixed(name: str, results: Sequence[PartResult]) -> list[str]:
    """Return a problem when the parts have different values of a field."""
    groups: dict[Any, list[str]] = {}
    for result in results:
        value = getattr(result, name)
        key = tuple(value) if isinstance(value, list) else value
        groups.setdefault(key, []).append(str(result.part) if result.part is not None else result.uri)
    if len(groups) < 2:
        return []
    found = "; ".join(f"{_listed(members)}: {_value(key)}" for key, members in groups.items())
    advice = _ADVICE.get(name, "")
    return [f"the parts differ in '{name}'{advice}: {cut(found, 600)}"]


_ADVICE = dict.fromkeys(
    ("plan", "state", "parts"),
    " (clear the task that planned them with all tasks downstream, so that all are of one plan)",
)


def _value(value: Any) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _listed(numbers: Sequence[str]) -> str:
    word = "part" if len(numbers) == 1 else "parts"
    return f"{word} {', '.join(shorten(numbers, _SHOWN))}"


def _are(numbers: Sequence[str]) -> str:
    return "is" if len(numbers) == 1 else "are"
