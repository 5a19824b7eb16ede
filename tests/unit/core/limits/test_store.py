"""Stores that change records here: aliases, damaged records, and budgets that are joined meanwhile."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from airflow_provider.core.limits.fallback import FallbackStore
from airflow_provider.core.limits.plan import SECOND, Rate, State, just_used, plan
from airflow_provider.core.limits.process import ProcessStore
from airflow_provider.core.limits.semaphore import STALE, Permit, ProcessSemaphore
from airflow_provider.core.limits.store import LocalStore, Record, StoreUnusableError
from tests.support.fake_clock import set_in_module

pytestmark = pytest.mark.slow

RATE = Rate.per_second(2)


class Records(LocalStore):
    """Records in a dictionary, on a clock that stands still."""

    place = "here"

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.time = 1000 * SECOND
        self.locks: list[str] = []

    def now(self) -> int:
        return self.time

    @contextmanager
    def locked(self, key: str, block: bool) -> Iterator[Record]:
        self.locks.append(key)
        yield self.records.setdefault(key, Record())


def test_joined_budgets_keep_the_reservations_and_the_pause_of_both() -> None:
    store = Records()
    store.reserve("b", RATE, 60)
    store.reserve("a", RATE, 60)
    store.pause("b", RATE, 3)
    store.locks.clear()
    store.join("b", "a", RATE)
    assert store.locks == ["b", "a", "a", "b"]
    assert (store.records["b"].alias, store.records["b"].state) == ("a", State())
    assert store.records["a"].state == State([store.time, store.time], store.time + 3 * SECOND)
    assert [store.reserve(key, RATE, 60).key for key in ("a", "b")] == ["a", "a"]


def test_a_budget_that_became_an_alias_meanwhile_is_followed_before_it_is_joined() -> None:
    store = Records()
    join_once, calls = store._join, []

    def join(key: str, other: str, rate: Rate | None, block: bool) -> bool:
        calls.append((key, other))
        if len(calls) == 1:
            store.records["b"].set(State(), alias="c")
        return join_once(key, other, rate, block)

    store._join = join  # type: ignore[method-assign]
    store.join("a", "b", RATE)
    assert calls == [("a", "b"), ("a", "c")]
    assert (store.records["a"].alias, store.records["b"].alias) == ("c", "c")


def test_budgets_that_never_stay_apart_are_an_unusable_store() -> None:
    store = Records()
    store._join = lambda *_: False  # type: ignore[method-assign]
    with pytest.raises(StoreUnusableError, match="^the aliases of a budget lead in a circle$"):
        store.join("a", "b", RATE)


class Failing(Records):
    """Records that cannot be used for a while."""

    is_unusable = False

    @contextmanager
    def locked(self, key: str, block: bool) -> Iterator[Record]:
        if self.is_unusable:
            raise StoreUnusableError("gone")
        with super().locked(key, block) as record:
            yield record


def test_a_reservation_is_asked_about_in_the_store_that_holds_it() -> None:
    first, second = Failing(), Records()
    store = FallbackStore(first, second)
    kept = store.reserve("a", RATE, 60)
    first.is_unusable = True
    other = store.reserve("a", RATE, 60)
    assert (kept.store, other.store) == (first, second)
    second.pause("a", RATE, 3)
    assert store.paused_until(other) == second.time + 3 * SECOND
    assert store.paused_until(kept) == 0
    assert store.place == second.place
    first.is_unusable = False
    assert store.paused_until(other) == second.time + 3 * SECOND


def test_eight_aliases_are_followed_and_no_more() -> None:
    store = Records()
    for number in range(9):
        store.records[str(number)] = Record(alias=str(number + 1))
    assert store.reserve("2", RATE, 60).key == "9"
    with pytest.raises(StoreUnusableError, match="circle"):
        store.reserve("0", RATE, 60)


def test_a_damaged_record_counts_as_a_full_window_and_is_mended_by_the_next_change() -> None:
    store = Records()
    store.records["a"] = Record(is_damaged=True)
    assert store.reserve("a", RATE, 60).wait == RATE.window / SECOND
    assert not store.records["a"].is_damaged
    assert store.records["a"].is_changed
    store.records["b"] = Record(is_damaged=True)
    assert store.reserve("b", None, 60).wait == 0


def test_a_refusal_and_a_budget_without_rate_change_nothing() -> None:
    store = Records()
    store.pause("a", RATE, 30)
    store.records["a"].is_changed = False
    assert not store.reserve("a", RATE, 29.9).taken
    assert store.reserve("a", RATE, 30).taken
    store.records["a"].is_changed = False
    assert store.reserve("a", None, 60).taken
    assert not store.records["a"].is_changed
    reservation = store.reserve("a", RATE, 60)
    assert store.paused_until(reservation) == store.time + 30 * SECOND


def test_reservations_are_forgotten_when_no_rate_needs_them() -> None:
    now = 1000 * SECOND
    ages = (2_100_001, 2_100_000, 1_000_000, 0)
    state = State([now - age for age in ages])
    kept = plan(state, now, Rate(100, SECOND)).state.slots
    assert list(kept) == [now - 2_100_000, now - 1_000_000, now, now]
    assert len(plan(state, now, Rate(100, 3 * SECOND)).state.slots) == 5
    assert len(plan(State([now - 90 * SECOND]), now, Rate(1, 60 * SECOND)).state.slots) == 1


def test_a_clock_that_was_set_back_by_more_than_a_minute_moves_reservations_to_now() -> None:
    now = 1000 * SECOND
    state = State([now, now + 60 * SECOND, now + 60 * SECOND + 1])
    found = plan(state, now, Rate(3, SECOND))
    assert found.wait == SECOND
    assert list(found.state.slots) == [now, now, now + SECOND, now + 60 * SECOND]
    assert plan(State([now + 60 * SECOND]), now, Rate(1, SECOND)).taken is False


def test_the_slowest_rate_has_a_window_of_30_years() -> None:
    assert Rate.per_second(1e-12).window == 10**15
    assert Rate.per_second(5000).requests == 1000
    assert Rate.per_second(5000).window in (210_000, 210_001)
    assert list(just_used(7, Rate(2, 5)).slots) == [7, 7]


def test_the_budgets_of_a_process_can_be_used_in_a_fork_whatever_the_other_threads_hold() -> None:
    store = ProcessStore()
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with store.locked("a", True):
            entered.set()
            leave.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    entered.wait()
    pid = os.fork()
    if pid == 0:
        free = store._lock.acquire(blocking=False)
        os._exit(0 if free else 1)
    leave.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert (store.place, store.reserve("a", RATE, 60).wait) == ("this process", 0)


def test_a_waiter_counts_until_it_has_not_asked_for_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 1.0, 1.0 + STALE, 1.0 + STALE])
    set_in_module(
        monkeypatch, "airflow_provider.core.limits.semaphore", "time", monotonic=lambda: next(times)
    )
    semaphore = ProcessSemaphore(1)
    permits = [Permit(id=name, since=0.0) for name in "abcd"]
    assert semaphore.try_enter(permits[0])
    assert not semaphore.try_enter(permits[1])
    semaphore.leave(permits[0])
    assert semaphore.try_enter(permits[2])
    assert not semaphore.try_enter(permits[3])
    assert semaphore._held == {"c"}
    assert [entry[0] for entry in semaphore._waiting] == ["d"]


def test_a_fork_holds_no_place_of_its_parents_semaphore() -> None:
    semaphore = ProcessSemaphore(1)
    permit, waiter = Permit(), Permit()
    assert semaphore.try_enter(permit)
    assert not semaphore.try_enter(waiter)
    pid = os.fork()
    if pid == 0:
        is_new = not semaphore._held and not semaphore._waiting
        os._exit(0 if is_new else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_permit_waits_in_the_semaphore_that_was_asked_last() -> None:
    first, second = ProcessSemaphore(1), ProcessSemaphore(1)
    held, permit = Permit(), Permit()
    assert first.try_enter(held)
    assert not first.try_enter(permit)
    assert second.try_enter(permit)
    assert permit.waits_in is second
    assert not first._waiting


@pytest.mark.parametrize("block", [True, False])
def test_a_store_may_block_where_its_caller_says_so(block: bool) -> None:
    asked: list[bool] = []

    class Asked(ProcessStore):
        def locked(self, key: str, block: bool) -> AbstractContextManager[Record]:
            asked.append(block)
            return super().locked(key, block)

    first, second = Asked(), Asked()
    store = FallbackStore(first, second)
    reserved = [one.reserve("a", RATE, 60, block=block) for one in (store, second)]
    store.pause("a", RATE, 1, block=block)
    assert [store.paused_until(one, block=block) > 0 for one in reserved] == [True, False]
    store.join("a", "b", RATE, block=block)
    assert len(asked) >= 6
    assert set(asked) == {block}
