"""Rows are known to be of a state by one proof, which is not sought again."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider.amigocloud.export.fixed_state import FixedState
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.errors import IncompleteExportError, RequestRejectedError
from airflow_provider.sandbox.amigocloud import seed


class RecordingHook(AmigoCloudHook):
    """Hook that records the parameters of its queries."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[dict[str, Any]] = []

    def send(self, call: Any) -> Any:
        if call.params:
            self.asked.append(dict(call.params))
        return super().send(call)


def state_of(hook: AmigoCloudHook, state: str) -> FixedState:
    return FixedState(hook, seed.ASSETS, state, IncompleteExportError)


def change(sandbox: Any) -> None:
    sandbox.amigocloud.store.write(f"UPDATE dataset_{seed.ASSETS} SET name = 'x' WHERE number = 1")


def test_a_state_is_proven_by_one_small_query_of_a_state_that_does_not_exist(sandbox: Any) -> None:
    sandbox.amigocloud.unknown_state = "refused"
    state = sandbox.amigocloud.store.master(seed.ASSETS)
    change(sandbox)
    with RecordingHook() as hook:
        fixed = state_of(hook, state)
        assert [fixed.check(), fixed.check()] == [state, state]
        (asked,) = hook.asked
    assert (asked["limit"], asked["state"], asked["dataset_id"]) == (1, state[::-1], str(seed.ASSETS))
    sandbox.counters.clear()
    assert fixed.check() == state
    assert sandbox.counters.total() == 0


def test_a_query_in_a_state_names_the_state_and_the_dataset() -> None:
    fixed = FixedState(AmigoCloudHook(), 7, "abc", IncompleteExportError, rows=5)
    assert (fixed.snapshot, fixed.rows) == ({"state": "abc", "dataset_id": "7"}, 5)


def test_a_state_that_reads_the_same_backwards_cannot_be_proven(sandbox: Any) -> None:
    with RecordingHook() as hook:
        with pytest.raises(IncompleteExportError, match="the dataset has changed since"):
            state_of(hook, "abba").check()
        assert hook.asked == []


def test_a_refused_query_is_tried_in_the_state_and_then_in_the_latest_one(sandbox: Any) -> None:
    sandbox.amigocloud.unknown_state = "refused"
    with RecordingHook() as hook:
        reading = state_of(hook, "gone").reading()
        with pytest.raises(IncompleteExportError, match="does not know the state any more"), reading:
            raise RequestRejectedError(400, "", "no such state")
        assert [asked.get("state") for asked in hook.asked] == ["gone", None]
        assert [asked.get("dataset_id") for asked in hook.asked] == [str(seed.ASSETS), None]


def test_a_query_that_is_refused_in_a_state_that_can_be_read_keeps_its_error(sandbox: Any) -> None:
    state = sandbox.amigocloud.store.master(seed.ASSETS)
    with AmigoCloudHook() as hook:
        reading = state_of(hook, state).reading()
        with pytest.raises(RequestRejectedError, match="not this way"), reading:
            raise RequestRejectedError(400, "", "not this way")


def test_a_redirect_of_the_query_that_asks_for_the_state_is_raised(sandbox: Any) -> None:
    sandbox.faults.add("status", status=302, path="sql")
    with AmigoCloudHook() as hook:
        reading = state_of(hook, "gone").reading()
        with pytest.raises(RequestRejectedError) as caught, reading:
            raise RequestRejectedError(400, "", "no such state")
    assert caught.value.status == 302


@pytest.mark.parametrize("status", [300, 399])
def test_a_redirect_says_nothing_about_the_state(sandbox: Any, status: int) -> None:
    with RecordingHook() as hook:
        with pytest.raises(RequestRejectedError, match="elsewhere"), state_of(hook, "gone").reading():
            raise RequestRejectedError(status, "", "elsewhere")
        assert hook.asked == []
