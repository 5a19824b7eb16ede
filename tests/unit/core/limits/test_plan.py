"""Planning, on invented clocks: no step, pause or change of a rate makes a window too full."""

from __future__ import annotations

from bisect import insort
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider.core.limits.plan import (
    LONGEST_PAUSE,
    LONGEST_WAIT,
    MARGIN,
    SECOND,
    Rate,
    State,
    just_used,
    merged,
    paused,
    plan,
)

pytestmark = pytest.mark.slow  # numbers do not depend on versions

RATES = st.one_of(st.floats(0.02, 40), st.sampled_from([0.5, 1.0, 1.67, 2.0, 10.0, 30.0]))
LIMITS = st.builds(Rate.per_second, RATES, burst=st.integers(1, 12))
STEPS = st.one_of(st.just(0), st.integers(0, 3 * SECOND), st.integers(0, 1000))


@given(rate=RATES, burst=st.integers(1, 12))
def test_a_rate_is_exact_for_fractions(rate: float, burst: int) -> None:
    found = Rate.per_second(rate, burst)
    assert found.requests * SECOND / found.window == pytest.approx(rate / MARGIN, rel=1e-4)
    assert found.requests >= burst
    assert found.window >= SECOND or burst > rate


def test_a_fraction_is_not_rounded_down() -> None:
    """Six workers of a service that allows 10 a second."""
    state, now, rate = State(), 0, Rate.per_second(1.67)
    for _ in range(1000):
        found = plan(state, now, rate)
        state, now = found.state, found.slot
    assert 1000 * SECOND / now == pytest.approx(1.67 / MARGIN, rel=0.01)


@given(
    steps=st.lists(
        st.tuples(STEPS, LIMITS, st.one_of(st.none(), st.floats(0, 20)), st.integers(0, LONGEST_WAIT)),
        min_size=1,
        max_size=150,
    )
)
def test_never_one_more_than_the_rate_in_any_window(
    steps: list[tuple[int, Rate, float | None, int]],
) -> None:
    """Each reservation keeps its own rate, whatever rates the earlier ones had."""
    state, now, sent = State(), 10**15, []
    for step, rate, pause, longest in steps:
        now += step
        if pause is not None:
            state = paused(state, now, pause)
        found = plan(state, now, rate, longest)
        assert found.wait == found.slot - now <= max(longest, found.wait * (not found.taken))
        if not found.taken:
            assert found.state is state  # a refusal takes nothing
            continue
        assert found.slot >= max(now, state.paused_until)
        near = sorted(slot for slot in sent if abs(slot - found.slot) < rate.window)
        insort(near, found.slot)
        assert max(most_in(near, rate.window, found.slot), 1) <= rate.requests
        state = found.state
        sent.append(found.slot)


def most_in(slots: list[int], window: int, around: int) -> int:
    """Return the most moments in one window that holds a given moment; its end is not part of it."""
    starts = [slot for slot in slots if slot <= around < slot + window]
    return max((sum(start <= slot < start + window for slot in slots) for start in starts), default=0)


@given(steps=st.lists(STEPS, min_size=2, max_size=200), rate=RATES)
def test_who_asks_first_leaves_first(steps: list[int], rate: float) -> None:
    state, now, sent = State(), 0, []
    for step in steps:
        now += step
        found = plan(state, now, Rate.per_second(rate))
        state = found.state
        if found.taken:
            sent.append(found.slot)
    assert all(first <= second for first, second in pairwise(sent))


@given(rate=RATES, now=st.integers(0, 10**15))
def test_a_budget_with_room_causes_no_wait(rate: float, now: int) -> None:
    limit = Rate.per_second(rate)
    state = State()
    for _ in range(limit.requests):
        found = plan(state, now, limit)
        assert (found.wait, found.taken) == (0, True)
        state = found.state
    assert plan(state, now, limit).wait == limit.window


def test_a_lower_rate_ends_with_the_connection_that_had_it() -> None:
    slow, fast = Rate.per_second(0.1), Rate.per_second(10)
    state = plan(State(), 0, slow).state
    for _ in range(9):
        found = plan(state, 0, fast)
        assert found.wait == 0
        state = found.state
    assert plan(state, 0, fast).wait == fast.window


@pytest.mark.parametrize("burst", [1, 2, 3, 10])
def test_a_slow_rate_counts_all_requests_of_its_window(burst: int) -> None:
    rate, state, now = Rate.per_second(burst / 40, burst), State(), 0
    for _ in range(burst):
        found = plan(state, now, rate)
        assert found.wait == 0
        state, now = found.state, now + 3 * SECOND
    assert plan(state, now, rate).slot == rate.window == 42 * SECOND


def test_a_wait_of_more_than_a_minute_takes_nothing() -> None:
    rate = Rate.per_second(1 / 45)
    first = plan(State(), 0, rate)
    second = plan(first.state, 0, rate)
    assert (second.taken, round(second.wait / SECOND)) == (True, 47)
    third = plan(second.state, 0, rate, longest=10**12)
    assert (third.taken, third.state) == (False, second.state)
    assert plan(second.state, 40 * SECOND, rate).taken


@pytest.mark.parametrize("seconds", [30 * 86400, float("inf")])
def test_a_pause_of_days_lasts_five_minutes(seconds: float) -> None:
    state = paused(State(), 0, seconds)
    assert plan(state, 0, None).wait == LONGEST_PAUSE
    assert plan(state, LONGEST_PAUSE, None).wait == 0


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    assert paused(paused(State(), 0, 30), 0, 3).paused_until == 30 * SECOND


def test_a_budget_without_rate_waits_for_pauses_only() -> None:
    state = State()
    for _ in range(100):
        found = plan(state, 0, None)
        assert (found.wait, found.taken) == (0, True)
        state = found.state
    assert plan(paused(state, 0, 3), SECOND, None).wait == 2 * SECOND


@given(
    first=st.lists(st.integers(0, 50 * SECOND), max_size=30),
    other=st.lists(st.integers(0, 50 * SECOND), max_size=30),
    rate=RATES,
)
def test_joined_budgets_count_the_requests_of_both(first: list[int], other: list[int], rate: float) -> None:
    state = merged(State(sorted(first), 5), State(sorted(other), 7))
    assert (sorted([*first, *other]), 7) == (list(state.slots), state.paused_until)
    limit = Rate.per_second(rate)
    found = plan(state, 50 * SECOND, limit)
    assert not found.taken or most_in(sorted(found.state.slots), limit.window, found.slot) <= limit.requests


@given(st.lists(st.integers(-(2**62), 2**62), max_size=50).map(sorted), st.integers(0, 2**62), RATES)
def test_a_clock_that_was_set_back_blocks_nothing_for_long(slots: list[int], until: int, rate: float) -> None:
    now, limit = 10**9, Rate.per_second(rate)
    found = plan(State(slots, until), now, limit)
    assert found.wait <= max(LONGEST_WAIT + limit.window, LONGEST_PAUSE)


@given(rate=RATES)
def test_a_state_that_cannot_be_read_counts_as_a_full_window(rate: float) -> None:
    limit = Rate.per_second(rate)
    assert plan(just_used(7, limit), 7, limit).wait == limit.window
    assert just_used(7, None).slots == ()


@given(steps=st.lists(STEPS, min_size=100, max_size=300), rate=st.floats(1, 30))
def test_the_state_does_not_grow_without_end(steps: list[int], rate: float) -> None:
    state, now, limit = State(), 0, Rate.per_second(rate)
    for step in steps:
        found = plan(state, now := now + step, limit)
        state = found.state
        # The requests of two seconds, and one for each that waits.
        assert len(state.slots) <= 3 * limit.requests + sum(slot > now for slot in state.slots)
