"""Batches: both limits, the order, and all items."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider.errors import RequestRejectedError
from airflow_provider.mapsindoors.geodata.batches import (
    batches,
    rejected_identities,
    rejection_reason,
    split_batch,
    with_row_numbers,
)


@given(st.lists(st.integers(0, 50)), st.integers(1, 5), st.integers(12, 120))
def test_batches_keep_count_and_bytes_and_order(lengths: list[int], size: int, most: int) -> None:
    def body(length: int) -> dict[str, Any]:
        return {"a": "x" * length}  # 8 bytes and the text

    made = list(batches(lengths, size, body, most))
    assert [one for batch in made for one in batch] == lengths
    for batch in made:
        assert 1 <= len(batch) <= size
        assert len(batch) == 1 or sum(8 + length for length in batch) <= most


ITEMS = [{"id": f"id-{number}"} for number in range(4)]
NUMBERED = [(number + 7, item) for number, item in enumerate(ITEMS)]


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("[2].status: Must be 0, 1, 2 or 3.", {2}),
        ("$[2].status: The JSON value could not be converted to System.Int32. Path: $[2].status", {2}),
        ("$[2]: The JSON value could not be converted to Geodata.", {2}),
        ("$[2].aliases[1]: The JSON value could not be converted to System.String.", {2}),
        ("[2].geometry.coordinates[0][1][0]: not finite; [3].status: 9", {2, 3}),
        ("$[2].properties['a [1] key@en']: a text is needed", {2}),
        ("[2].status: Error converting value. Path '[2].status', line 1.", {2}),
        ("[9].status: Must be 0, 1, 2 or 3.", set()),
        ("The request is not valid.", set()),
    ],
)
def test_an_index_inside_of_an_object_names_no_row(message: str, named: set[int]) -> None:
    rows: list[object] = list(ITEMS)
    found = rejected_identities(rows, message)
    assert found == {id(ITEMS[number]) for number in named}
    parts = split_batch(rows, message)
    assert sorted(map(id, parts[0] + parts[1])) == sorted(map(id, rows))
    if named:
        assert {id(item) for item in parts[0]} == found


def test_rows_are_named_for_both_forms_of_a_path() -> None:
    text = with_row_numbers("[1].status: 9; $[2].aliases[1]: no text", NUMBERED)
    assert text == "row 8 (id id-1) status: 9; row 9 (id id-2) aliases[1]: no text"


@pytest.mark.parametrize("path", ["[0].", "$[0]."])
def test_the_reason_of_a_single_object_has_no_index(path: str) -> None:
    error = RequestRejectedError(400, "", f"{path}geometry.coordinates[0]: not finite")
    assert rejection_reason(error) == "geometry.coordinates[0]: not finite"
