"""Tests of items that are made ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from airflow_provider.core.files.prefetch import prefetch


def test_the_next_item_is_made_while_the_caller_uses_the_previous_one() -> None:
    made = [threading.Event() for _ in range(3)]

    def items() -> Iterator[int]:
        for number, event in enumerate(made):
            event.set()
            yield number

    ahead = prefetch(items())
    assert next(ahead) == 0
    assert made[1].wait(10)
    assert not made[2].is_set()
    assert list(ahead) == [1, 2]


def test_an_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("bad row")

    ahead = prefetch(items())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="bad row"):
        next(ahead)
