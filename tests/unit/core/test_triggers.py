from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider import errors
from airflow_provider.core import polling, shared_polls, triggers
from airflow_provider.core.state.identity import fingerprint
from airflow_provider.core.trigger_events import raise_for
from airflow_provider.core.triggers import NewItemsTrigger, PollTrigger, by_hash
from tests.support.fake_clock import FakeClock, set_in_module
from tests.support.state_store import FakeStateStore


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    monkeypatch.setattr(polling, "clock", clock)
    monkeypatch.setattr(triggers.asyncio, "sleep", clock.asleep)
    return clock


class Countdown(PollTrigger):
    """Done after some polls; each item of ``script`` is None, a payload, or an error to raise."""

    def __init__(self, script: list[Any], deadline: float = 2000.0, poll_interval: float = 5.0) -> None:
        super().__init__(deadline=deadline, poll_interval=poll_interval)
        self.script = script

    def arguments(self) -> dict[str, Any]:
        return {"deadline": self.deadline, "poll_interval": self.poll_interval}

    async def poll(self) -> dict[str, Any] | None:
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, Exception):
            raise step
        return step


def fire(trigger: PollTrigger) -> dict[str, Any]:
    async def first() -> Any:
        events = [event async for event in trigger.run()]
        assert len(events) == 1
        return events[0].payload

    return asyncio.run(first())


def test_a_trigger_fires_once_with_its_result(clock: FakeClock) -> None:
    assert fire(Countdown([None, None, {"run_id": "r"}])) == {"status": "done", "run_id": "r"}


def test_a_trigger_ends_at_its_deadline(clock: FakeClock) -> None:
    assert fire(Countdown([None], deadline=1030.0)) == {"status": "timeout"}
    assert clock.now == pytest.approx(1030, abs=0.1)


def test_a_trigger_tolerates_some_failures_in_a_row(clock: FakeClock) -> None:
    bad = errors.TransportError("no")
    assert fire(Countdown([bad] * 5 + [None] + [bad] * 5 + [{}]))["status"] == "done"
    assert fire(Countdown([bad]))["type"] == "TransportError"


def test_a_permanent_error_ends_a_trigger_at_once(clock: FakeClock) -> None:
    event = fire(Countdown([errors.PermissionDeniedError(403, "", "no")]))
    assert clock.slept == []
    with pytest.raises(errors.PermissionDeniedError, match="no"):
        raise_for(event)


def test_an_unexpected_error_in_a_poll_fails_the_task_with_its_message(clock: FakeClock) -> None:
    with pytest.raises(errors.ProviderError, match="KeyError: 'x'"):
        raise_for(fire(Countdown([KeyError("x")])))


def test_a_timeout_within_a_poll_is_an_error_and_not_the_deadline(clock: FakeClock) -> None:
    event = fire(Countdown([TimeoutError("no connection to Airflow")]))
    assert (event["status"], event["args"]) == ("error", ["TimeoutError: no connection to Airflow"])


def test_a_trigger_polls_at_its_intervals_and_once_more_at_the_deadline(clock: FakeClock) -> None:
    trigger = Countdown([None], deadline=1021.0, poll_interval=5.0)
    assert fire(trigger) == {"status": "timeout"}
    assert sum(clock.slept) == pytest.approx(21.0)
    assert max(clock.slept) <= 5.5
    assert trigger.serialize() == (
        f"{Countdown.__module__}.Countdown",
        {"deadline": 1021.0, "poll_interval": 5.0},
    )
    late = Countdown([None], deadline=1000.0)
    clock.slept.clear()
    assert fire(late) == {"status": "timeout"}
    assert clock.slept == []


def test_a_poll_without_an_answer_ends_at_the_deadline() -> None:
    class Hanging(Countdown):
        async def poll(self) -> dict[str, Any] | None:
            await asyncio.Event().wait()
            return None

    assert fire(Hanging([], deadline=polling.clock() - 5)) == {"status": "timeout"}


@pytest.mark.parametrize("hangs", [False, True])
def test_a_trigger_that_stood_still_during_a_poll_polls_once_more(clock: FakeClock, *, hangs: bool) -> None:
    class StandingStill(Countdown):
        async def poll(self) -> dict[str, Any] | None:
            clock.now += 3600
            if hangs and len(self.script) > 1:
                self.script.pop(0)
                await asyncio.Event().wait()
            return await super().poll()

    # The one that hangs has a second, the least time of a poll.
    late = StandingStill([None, {"run_id": "r"}], deadline=clock.now + 0.5)
    assert fire(late) == {"status": "done", "run_id": "r"}


class Items(NewItemsTrigger):
    """Watch a list that is given.

    :param polls: the lists, or errors; after the last one the watcher is cancelled.
    """

    poll_interval = 30.0

    def __init__(self, *polls: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.polls = list(polls)

    def arguments(self) -> dict[str, Any]:
        return {"name": "x", "poll_interval": self.poll_interval}

    async def list_items(self) -> Mapping[str, Any]:
        if not self.polls:
            raise asyncio.CancelledError
        if isinstance(step := self.polls.pop(0), Exception):
            raise step
        return dict.fromkeys(step, "details")

    def events(self, new: Sequence[str], now: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [{"new": list(new), "of": len(now)}]


def watch(trigger: NewItemsTrigger, store: FakeStateStore | None = None) -> list[Any]:
    trigger.asset_state_store = store  # type: ignore[attr-defined]

    async def run() -> list[Any]:
        found = []
        try:
            async for event in trigger.run():
                found.append(event.payload)  # noqa: PERF401 - the events before the cancellation count
        except asyncio.CancelledError:
            return found
        return found

    return asyncio.run(run())


def test_a_watcher_fires_for_new_items_in_their_order_and_survives_a_failure(clock: FakeClock) -> None:
    store = FakeStateStore()
    trigger = Items("b", "b", "cab", errors.TransportError("no"), "ca", "cab")
    assert watch(trigger, store) == [
        {"new": ["b"], "of": 1},
        {"new": ["a", "c"], "of": 3},
        {"new": ["b"], "of": 3},
    ]
    assert len(clock.slept) == 6
    assert all(27 <= seconds <= 33 for seconds in clock.slept)
    (stored,) = store.values()
    assert stored == sorted(by_hash("abc"))
    assert list(store) == [f"seen {fingerprint({'name': 'x'})}"]
    assert watch(Items("abcd"), store) == [{"new": ["d"], "of": 4}]


def test_a_watcher_survives_a_damaged_state_and_items_that_cannot_be_read(clock: FakeClock) -> None:
    store = FakeStateStore()
    store.set(f"seen {fingerprint({'name': 'x'})}", [["a"], {"b": 1}, *by_hash("a")])
    assert watch(Items("ab", ["\ud800"], "abc"), store) == [{"new": ["b"], "of": 2}, {"new": ["c"], "of": 3}]


def test_the_items_of_the_first_poll_of_all_may_count_as_known(clock: FakeClock) -> None:
    class Quiet(Items):
        first_poll_fires = False

    store = FakeStateStore()
    assert watch(Quiet("ab", "abc"), store) == [{"new": ["c"], "of": 3}]
    assert watch(Quiet("abcd"), store) == [{"new": ["d"], "of": 4}]
    assert watch(Quiet("", "a"), FakeStateStore()) == [{"new": ["a"], "of": 1}]


def test_keys_are_known_by_ten_digits_of_their_hash() -> None:
    assert by_hash(["a"]) == {"ca978112ca": "a"}
    assert Items().serialize() == (
        f"{Items.__module__}.Items",
        {"name": "x", "poll_interval": 30.0},
    )


def test_a_shared_list_is_at_most_nearly_an_interval_old_and_never_older_than_the_state() -> None:
    async def run() -> tuple[int, int]:
        loop, asked = asyncio.get_running_loop(), []
        trigger = Items()

        async def fetch() -> int:
            asked.append(1)
            return len(asked)

        now = loop.time()
        loop.time = lambda: now  # type: ignore[method-assign]
        assert [await trigger.shared("k", fetch) for _ in range(2)] == [1, 1]
        now += 24.0
        assert await trigger.shared("k", fetch) == 1
        now += 0.1
        assert await trigger.shared("k", fetch) == 2
        trigger._known_at = now
        assert await trigger.shared("k", fetch) == 2
        now += 1
        trigger._known_at = now
        return await trigger.shared("k", fetch), len(asked)

    assert asyncio.run(run()) == (3, 3)


async def test_a_task_is_still_deferred_as_far_as_airflow_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    asked: list[dict[str, Any]] = []
    states: Any = {"r": {"t": "deferred"}}

    def get_task_states(**of: Any) -> Any:
        asked.append(of)
        if isinstance(states, Exception):
            raise states
        return states

    trigger: Any = SimpleNamespace(task_instance=None, log=logging.getLogger(__name__))
    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", get_task_states)
    assert await triggers.is_still_deferred(trigger) is False
    trigger.task_instance = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=3)
    assert await triggers.is_still_deferred(trigger) is True
    assert asked == [{"dag_id": "d", "task_ids": ["t"], "run_ids": ["r"], "map_index": 3}]
    for found in ({"r": {"t": "running"}}, {"r": {}}, {}, RuntimeError("no supervisor")):
        states = found
        assert await triggers.is_still_deferred(trigger) is False


def test_the_known_items_are_stored_where_they_have_changed_only() -> None:
    trigger, items = Items(), {"a": 1, "b": 2}
    hashes = by_hash(items)
    assert trigger._news(items, hashes, sorted(hashes)) == ([], None)
    fewer = by_hash({"a": 1})
    assert trigger._news({"a": 1}, fewer, sorted(hashes)) == ([], sorted(fewer))
    payloads, stored = trigger._news(items, hashes, sorted(fewer))
    assert (len(payloads), stored) == (1, sorted(hashes))
    assert trigger._news({}, {}, None) == ([], [])


def test_a_poll_has_the_time_to_the_deadline_but_a_second_at_least(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds: list[float] = []

    def timeout(seconds: float) -> Any:
        bounds.append(seconds)
        return asyncio.timeout(None)

    set_in_module(monkeypatch, triggers, "asyncio", timeout=timeout)
    assert fire(Countdown([None], deadline=clock.now + 1.25)) == {"status": "timeout"}
    assert bounds[0] == 1.25
    assert set(bounds[1:]) == {1.0}


def test_the_last_pause_ends_at_the_deadline(clock: FakeClock) -> None:
    assert fire(Countdown([None], deadline=clock.now + 0.25)) == {"status": "timeout"}
    assert clock.slept == [0.25]


@pytest.mark.parametrize("names", [(), ("a", "b")])
def test_modules_that_come_late_are_imported_before_the_first_poll(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]
) -> None:
    done: list[Any] = []

    async def import_aside(*given: str) -> None:
        done.append(given)

    class Late(Countdown):
        late_modules = names

        async def poll(self) -> dict[str, Any] | None:
            done.append("poll")
            return {}

    monkeypatch.setattr(shared_polls, "import_aside", import_aside)
    fire(Late([]))
    assert done == [*([names] if names else []), "poll"]


def test_a_list_must_be_newer_than_the_state_and_than_what_the_watcher_has_asked_since(
    clock: FakeClock,
) -> None:
    known: list[float] = []

    class Noting(Items):
        async def list_items(self) -> Mapping[str, Any]:
            known.append(self._known_at)
            self.fresh_from = (math.inf, 5.0)[len(known) % 2]
            return await super().list_items()

    assert watch(Noting("a", "a"), FakeStateStore()) == [{"new": ["a"], "of": 1}]
    assert known == [-math.inf, 5.0, math.inf]
    store, known[:] = FakeStateStore(), []
    store.set(f"seen {fingerprint({'name': 'x'})}", sorted(by_hash("a")))
    watch(Noting("a"), store)
    assert 0 < known[0] < math.inf


def test_a_failed_poll_is_told_to_the_wait_for_the_next_one(clock: FakeClock) -> None:
    waits: list[Any] = []

    class Waiting(Items):
        def pause_after_failure(self, interval: float) -> float:
            return interval / 10

        async def between_polls(self, firing: Any, pause: float, *, failed: bool) -> Any:
            waits.append((round(pause), failed))
            async for event in super().between_polls(firing, pause, failed=failed):
                yield event

    watch(Waiting("a", errors.TransportError("no"), "a"))
    assert [failed for _, failed in waits] == [False, True, False]
    assert all((27 <= pause <= 33) is not failed for pause, failed in waits)
    assert Items().pause_after_failure(7.0) == 7.0
