"""A plan as JSON: what was altered or is of another version is refused, with the reason."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from airflow_provider.core.input.row_numbers import RowNumbers
from airflow_provider.core.sync.document import SignedPlan, counts_in_words
from airflow_provider.errors import InputError, PlanRejectedError


@dataclass
class WritePlan(SignedPlan):
    version: ClassVar[int] = 3
    writes: list[str] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    fingerprint: str = ""

    def counts(self) -> dict[str, int]:
        return {"write": len(self.writes)}


def signed() -> WritePlan:
    plan = WritePlan(["a", "b"], [{"row": 5, "key": "k", "reasons": ["empty"]}])
    plan.sign()
    return plan


def altered(**changes: Any) -> bytes:
    return json.dumps({**json.loads(signed().to_json()), **changes}).encode()


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"create": 2, "update": 0, "delete": 1}, "create 2, delete 1"),
        ({"create": 0}, "nothing"),
        ({}, "nothing"),
    ],
)
def test_counts_are_words_without_those_that_are_zero(counts: dict[str, int], words: str) -> None:
    assert counts_in_words(counts) == words
    assert counts_in_words({}, "no changes") == "no changes"


def test_a_plan_is_the_same_after_it_was_written_and_read() -> None:
    data = signed().to_json()
    assert WritePlan.from_json(data, "p") == signed()
    assert json.loads(data)["counts"] == {"write": 2}
    assert json.loads(data)["version"] == 3
    assert data.startswith(b'{\n "version": 3,\n "counts": {')
    assert len(signed().fingerprint) == 64


def test_a_fingerprint_is_that_of_the_fields_in_all_releases() -> None:
    text = (
        '{"failed":[{"key":"k","reasons":["empty"],"row":5}],"fingerprint":"","writes":["a","b"]}'  # sorted
    )
    assert signed().fingerprint == hashlib.sha256(text.encode()).hexdigest()
    again = signed()
    again.sign()
    assert again.fingerprint == signed().fingerprint


@dataclass
class Write:
    fields: dict[str, list[Any]]


@dataclass
class ChangePlan(SignedPlan):
    version: ClassVar[int] = 1
    changes: list[Write] = field(default_factory=list)
    fingerprint: str = ""

    def counts(self) -> dict[str, int]:
        return {}


@pytest.mark.parametrize("pair", [[1], [1, 2, 3], []])
def test_a_difference_has_an_old_and_a_new_value(pair: list[int]) -> None:
    plan = ChangePlan([Write({"a": [1, 2]}), Write({"b": pair})])
    plan.sign()
    with pytest.raises(InputError, match="the field 'b' has not one old and one new value$"):
        ChangePlan.from_json(plan.to_json(), "p")
    plan.changes.pop()
    plan.sign()
    assert ChangePlan.from_json(plan.to_json(), "p") == plan


def test_row_numbers_of_several_files_are_texts() -> None:
    numbers = RowNumbers(["a.csv"])
    numbers.next_file()
    plan = WritePlan([], [{"row": numbers.number(7), "key": "", "reasons": []}])
    plan.sign()
    assert WritePlan.from_json(plan.to_json(), "p").failed[0]["row"] == "a.csv:7"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"writes": ["a"]}, "^the plan p was altered: its fingerprint is that of another one$"),
        ({"fingerprint": "x"}, "its fingerprint is that of another one"),
        ({"counts": {"write": 3}}, "^the plan p was altered: its counts are not those of its changes$"),
    ],
)
def test_an_altered_plan_is_rejected(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(PlanRejectedError, match=reason):
        WritePlan.from_json(altered(**changes), "p")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"{", "JSON is malformed|truncated"),
        (b"[]", "list indices"),
        (b"{}", "'version'"),
        (altered(version=2), "version 3 is expected$"),
        (altered(writes=5), "Expected `array`"),
        (altered(failed=[{"row": 1}]), "required field `key`"),
        (b"[" * 100_000, "recursion"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_plan_of_this_version_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=f"^p is not a plan of this version: .*({reason})"):
        WritePlan.from_json(data, "p")
