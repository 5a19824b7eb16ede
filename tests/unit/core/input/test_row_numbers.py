"""The rows of several files have growing numbers, which texts show with the file's name."""

from __future__ import annotations

import pytest

from airflow_provider.core.input.row_numbers import RowNumbers, encode_row_number


def test_a_row_is_named_by_its_file_and_its_number_within_it() -> None:
    numbers = RowNumbers(["a.csv", "b.csv", "c.csv", "d.csv"])
    found = []
    for rows in (2, 3, 0, 1):
        numbers.next_file()
        found += [numbers.number(row) for row in range(1, rows + 1)]
    assert [int(number) for number in found] == [1, 2, 3, 4, 5, 6]
    expected = ["a.csv:1", "a.csv:2", "b.csv:1", "b.csv:2", "b.csv:3", "d.csv:1"]
    assert [str(number) for number in found] == [repr(number) for number in found] == expected


def test_a_row_is_named_before_its_file_has_ended() -> None:
    numbers = RowNumbers(["a.csv", "b.csv"])
    numbers.next_file()
    assert str(numbers.number(1)) == "a.csv:1"
    numbers.next_file()
    assert str(numbers.number(10**9)) == "b.csv:1000000000"


def test_a_row_number_takes_no_more_than_an_integer() -> None:
    numbers = RowNumbers(["a.csv"])
    numbers.next_file()
    number = numbers.number(1)
    assert type(number).__name__ == "RowNumber"
    assert not hasattr(number, "__dict__")


def test_only_row_numbers_are_encoded() -> None:
    numbers = RowNumbers(["a.csv"])
    numbers.next_file()
    assert encode_row_number(numbers.number(7)) == "a.csv:7"
    with pytest.raises(TypeError, match="int has no JSON form"):
        encode_row_number(7)
