"""Whether a dataset was written by others since its rows were compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.sync.status import DRIFTED, StateWatch, StatusCheck
from airflow_provider.amigocloud.sync.store import UPDATE
from airflow_provider.sandbox.amigocloud import AmigoCloudService
from tests.support.desks import DESKS

pytestmark = pytest.mark.slow  # nothing of it depends on versions


@pytest.fixture
def watch(service: AmigoCloudService) -> Iterator[StateWatch]:
    with AmigoCloudHook() as hook:
        yield StateWatch(hook, str(DESKS), hook.get_master(str(DESKS)))


@pytest.fixture
def write(service: AmigoCloudService) -> Callable[[int], None]:
    """Return a function that makes a number of states."""

    def write(times: int) -> None:
        for seats in range(times):
            service.store.write(f"UPDATE dataset_{DESKS} SET seats = {seats} + 100 WHERE code = 'D-1'")

    return write


@pytest.mark.parametrize("states", [1, 3])
def test_the_states_of_the_own_changes_are_expected(
    watch: StateWatch, write: Callable[[int], None], states: int
) -> None:
    assert watch.is_quiet()
    for _ in range(2):
        watch.add_own(3)
        write(states)
        assert watch.is_quiet()


def test_a_dataset_that_others_have_written_is_not_quiet_again(
    watch: StateWatch, write: Callable[[int], None]
) -> None:
    write(1)
    assert not watch.is_quiet()
    assert not watch.is_quiet()
    watch.add_own(1)
    write(1)
    assert not watch.is_quiet()


@pytest.mark.parametrize("states", [2, 4])
def test_more_or_fewer_states_than_the_own_changes_make_are_those_of_others(
    watch: StateWatch, write: Callable[[int], None], states: int
) -> None:
    watch.add_own(3)
    write(states)
    assert not watch.is_quiet()


def test_a_change_set_without_changes_makes_one_state(
    watch: StateWatch, write: Callable[[int], None]
) -> None:
    watch.add_own(0)
    write(1)
    assert watch.is_quiet()
    write(1)
    assert not watch.is_quiet()


@pytest.mark.parametrize("status", [400, 403, 404])
def test_states_that_may_not_be_read_count_as_those_of_others(
    watch: StateWatch, write: Callable[[int], None], sandbox: Any, status: int
) -> None:
    sandbox.faults.add("status", status=status, path="/states$", times=None)
    watch.add_own(1)
    write(1)
    assert not watch.is_quiet()


@pytest.mark.parametrize(
    ("count", "told"),
    [(1, ["f0 is 0, not 1"]), (5, ["f4 is 4, not 5"]), (7, ["f4 is 4, not 5", "and 2 more"])],
)
def test_five_fields_that_differ_are_told_and_the_number_of_the_others(count: int, told: list[str]) -> None:
    check: Any = StatusCheck.__new__(StatusCheck)
    check.differences = lambda *_: {f"f{n}": (n, n + 1) for n in range(count)}
    check._is_written = True
    status, detail = check._status(SimpleNamespace(operation=UPDATE, before="", body={}), {"f0": 0})
    assert status == DRIFTED
    assert detail.split("; ")[-len(told) :] == told
    assert detail.count("; ") == min(count, 6) - 1
