"""A walk that leads back to an earlier page is found, and no other."""

from __future__ import annotations

import itertools

import pytest

from airflow_provider.core.http.circles import Circle


@pytest.mark.parametrize("length", [1, 2, 3, 7, 64, 100])
@pytest.mark.parametrize("before", [0, 1, 2, 5, 63, 100])
def test_a_circle_of_any_length_is_found_wherever_it_begins(before: int, length: int) -> None:
    places = itertools.chain(range(before), itertools.cycle(range(before, before + length)))
    circle = Circle(next(places))
    steps = next(number for number, place in enumerate(places, 1) if circle.closes_at(place))
    assert before + length <= steps <= 3 * (before + length)


def test_a_walk_without_a_repetition_is_no_circle() -> None:
    circle = Circle(-1)
    assert not any(circle.closes_at(place) for place in range(10_000))
