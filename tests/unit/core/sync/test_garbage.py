"""Garbage collection is paused within a block, and is as before after the last block."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from airflow_provider.core.sync.garbage import collector_paused


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    yield
    gc.enable()


def test_the_collector_runs_again_after_an_error() -> None:
    with pytest.raises(ValueError, match="wrong"), collector_paused():
        assert not gc.isenabled()
        raise ValueError("wrong")
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    with collector_paused():
        pass
    assert not gc.isenabled()


def test_overlapping_blocks_of_threads_pause_until_the_last_one_ends() -> None:
    inside, ended = Barrier(2), Barrier(2)

    def first() -> None:
        with collector_paused():
            inside.wait(10)
        ended.wait(10)

    def second() -> bool:
        with collector_paused():
            inside.wait(10)
            ended.wait(10)
            return gc.isenabled()

    with ThreadPoolExecutor(2) as pool:
        pool.submit(first)
        assert pool.submit(second).result() is False
    assert gc.isenabled()
