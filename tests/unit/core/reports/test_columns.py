"""A column's observer counts exactly, in bounded memory, whatever the values are."""

from __future__ import annotations

import random
import tracemalloc
from typing import Any

import pytest

from airflow_provider.core.reports.columns import MOST_VALUES, ColumnObserver
from airflow_provider.core.reports.profile import Column


def observe(*batches: list[Any]) -> Column:
    observer = ColumnObserver("c")
    for batch in batches:
        observer.add(batch)
    return observer.profile()


def test_values_nulls_and_distinct_values_are_counted_exactly_over_all_batches() -> None:
    random.seed(1)
    values = [random.choice([None, 1, 2, 3.5, "a", "b", True]) for _ in range(5_000)]
    found = observe(*(values[at : at + 70] for at in range(0, 5_000, 70)))
    known = [value for value in values if value is not None]
    assert found.nulls == values.count(None)
    assert found.filled == len(known)
    assert found.kinds["text"] == sum(isinstance(value, str) for value in known)
    assert found.kinds["boolean"] == sum(value is True for value in known)
    assert (found.distinct, found.is_more, found.has_all_values) == (6, False, True)
    assert found.as_values()["a"] == values.count("a")
    assert found.numbers == (1, 3.5)


def test_true_and_one_are_two_values() -> None:
    assert observe([True, 1], [1.0, False]).as_values() == {"true": 1, "1": 2, "false": 1}


def test_numbers_that_are_none_do_not_spoil_the_range() -> None:
    nan, infinity = float("nan"), float("inf")
    found = observe([nan, 2.5, infinity, -1.0], [nan])
    assert found.numbers == (-1.0, 2.5)
    assert found.kinds == {"number": 2, "NaN or infinite": 3}
    assert observe([nan]).numbers is None


def test_integers_of_any_size_have_a_range() -> None:
    found = observe([1, 10**400, -(10**400), 2**64])
    assert found.numbers is not None
    assert found.numbers[0] < -(10**307)
    assert found.numbers[1] > 10**307
    assert observe([2**63 - 1]).numbers == (2**63 - 1, 2**63 - 1)


@pytest.mark.parametrize(
    ("texts", "is_time"),
    [
        (["2026-01-01", "2025-06-30"], True),
        (["2026-01-01T00:00:00Z", "2026-01-01 10:00:00.5+02:00"], True),
        (["2026-01-01", "apples"], False),
        (["2026-01-01", ""], False),
        (["٢٠٢٦-01-01"], False),
    ],
)
def test_texts_are_times_when_the_least_and_the_greatest_are(texts: list[str], is_time: bool) -> None:
    found = observe(texts)
    assert ("time" in found.kinds) is is_time
    assert found.times == ((min(texts), max(texts)) if is_time else None)


def test_one_batch_of_other_texts_makes_a_column_of_times_one_of_texts() -> None:
    found = observe(["2026-01-01"], ["x"], ["2026-01-02"])
    assert (found.kinds, found.times, found.lengths) == ({"text": 3}, None, (1, 10))


def test_long_texts_that_begin_alike_are_different_values() -> None:
    found = observe([f"{'x' * 500}{number}" for number in (1, 2, 2)])
    assert found.distinct == 2
    assert all(len(value) <= 80 for value, _ in found.values)


def test_lists_and_objects_have_lengths_and_no_distinct_values() -> None:
    deep: Any = []
    for _ in range(50_000):
        deep = [deep]
    found = observe([[1, 2, 3], {"a": 1}, deep])
    assert found.lengths == (1, 3)
    assert found.distinct is None
    assert found.kinds == {"list": 2, "object": 1}


def test_more_different_values_than_the_limit_are_more_than_the_limit() -> None:
    found = observe([f"v{number}" for number in range(MOST_VALUES)])
    assert (found.distinct, found.is_more) == (MOST_VALUES, False)
    found = observe([f"v{number}" for number in range(MOST_VALUES + 1)])
    assert (found.distinct, found.is_more, found.values) == (MOST_VALUES, True, [])


@pytest.mark.nightly
def test_memory_does_not_grow_with_the_values() -> None:
    observer = ColumnObserver("c")
    tracemalloc.start()
    try:
        observer.add([f"{number:0200d}" for number in range(2_000)])
        before = tracemalloc.get_traced_memory()[0]
        for start in range(1, 100):
            observer.add([f"{start}-{number:0200d}" for number in range(1_000)])
        assert tracemalloc.get_traced_memory()[0] - before < 200_000
    finally:
        tracemalloc.stop()
