from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider.core.http import rate_limit
from airflow_provider.core.http.rate_limit import Budget, shared_budget


@given(
    rate=st.floats(0.2, 50),
    steps=st.lists(st.floats(0, 0.5), min_size=1, max_size=150),
)
def test_never_more_than_the_rate_in_any_second(rate: float, steps: list[float]) -> None:
    budget, now, sent = Budget(rate), 100.0, []
    for step in steps:
        now += step
        sent.append(now + budget.reserve(now))
    assert sent == sorted(sent)
    window, count = max(1.0, 1 / rate), max(1, int(rate))
    for at, first in enumerate(sent[:-count]):
        assert sent[at + count] - first > window * 0.999


def test_a_budget_with_room_causes_no_wait() -> None:
    budget = Budget(10)
    assert [budget.reserve(5.0) for _ in range(10)] == [0.0] * 10
    assert budget.reserve(5.0) > 1.0


def test_a_pause_applies_to_all_users_of_the_budget() -> None:
    budget = shared_budget(10, "pause-host", "solution")
    budget.pause(30)
    assert 29 < shared_budget(10, "pause-host", "solution").reserve() <= 30


def test_the_lower_of_two_rates_applies_to_both() -> None:
    first = shared_budget(10, "rate-host")
    assert shared_budget(5, "rate-host") is first
    assert first.per_second == 5
    assert shared_budget(9, "rate-host").per_second == 5


@given(
    rate=st.floats(0.2, 20),
    joined_at=st.integers(0, 60),
    steps=st.lists(st.tuples(st.floats(0, 0.5), st.integers(0, 2)), min_size=1, max_size=100),
)
def test_joined_budgets_keep_one_rate(rate: float, joined_at: int, steps: list[tuple[float, int]]) -> None:
    """Earlier reservations count, and each of the budgets may still be used."""
    budgets, now, sent = [Budget(rate), Budget(rate), Budget(rate)], 100.0, []
    alone = 0
    for number, (step, which) in enumerate(steps):
        if number == joined_at:
            budgets[1].join(budgets[0])
            budgets[2].join(budgets[0])
            alone = len(sent)
        now += step
        sent.append(now + budgets[which].reserve(now))
    if joined_at >= len(steps):
        return
    window, count = max(1.0, 1 / rate), max(1, int(rate))
    for slot in sent[alone:]:
        within = [other for other in sent if slot - window * 0.999 <= other <= slot]
        assert len(within) <= count


def test_a_pause_and_a_lower_rate_apply_to_all_joined_budgets() -> None:
    first, second = Budget(10), Budget(4)
    second.join(first)
    assert first.per_second == 4
    second.pause(30)
    assert first.reserve() > 29
    second.slow_to(2)
    assert first.per_second == 2
    first.join(first)
    assert first.reserve() > 29


def test_the_registry_holds_no_identity_in_plain_text() -> None:
    shared_budget(1, "host", "a-solution-key")
    assert not any("a-solution-key" in key for key in rate_limit._budgets)
