from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider.core import limits
from airflow_provider.core.limits import Budget, shared_budget


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


def test_a_budget_with_room_makes_nobody_wait() -> None:
    budget = Budget(10)
    assert [budget.reserve(5.0) for _ in range(10)] == [0.0] * 10
    assert budget.reserve(5.0) > 1.0


def test_a_pause_holds_for_all_who_share_the_budget() -> None:
    budget = shared_budget(10, "pause-host", "solution")
    budget.pause(30)
    assert 29 < shared_budget(10, "pause-host", "solution").reserve() <= 30


def test_the_lower_of_two_rates_holds_for_both() -> None:
    first = shared_budget(10, "rate-host")
    assert shared_budget(5, "rate-host") is first
    assert first.per_second == 5
    assert shared_budget(9, "rate-host").per_second == 5


def test_a_budget_is_not_kept_under_the_name_of_what_may_be_a_secret() -> None:
    shared_budget(1, "host", "a-solution-key")
    assert not any("a-solution-key" in key for key in limits._budgets)
