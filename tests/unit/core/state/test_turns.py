"""A turn is taken with a name of its own, and waits for a process that was about to fire."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.core.state import pauses, turns
from airflow_provider.core.state.turns import Claim, Turns
from tests.support.fake_clock import FakeClock
from tests.support.state_store import FakeStateStore

pytestmark = pytest.mark.slow

LOG: Any = logging.getLogger(__name__)
KEY = "turn w"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    fake = FakeClock()
    for module in (pauses, turns):
        monkeypatch.setattr(module, "clock", fake)
    monkeypatch.setattr(pauses, "_task_pauses", {})
    monkeypatch.setattr(asyncio, "sleep", fake.asleep)
    return fake


@pytest.fixture
def store() -> FakeStateStore:
    return FakeStateStore()


@pytest.fixture
def make(clock: FakeClock, store: FakeStateStore) -> Callable[[], Turns]:
    return lambda: Turns(SimpleNamespace(asset_state_store=store), "w", LOG)  # type: ignore[arg-type]


async def test_a_turn_is_certain_two_seconds_after_it_was_taken(
    make: Callable[[], Turns], store: FakeStateStore, clock: FakeClock
) -> None:
    mine = make()
    await mine.open("s0")
    name = store[KEY]["by"]
    assert store[KEY] == {"by": name, "next": None}
    assert len(name) == 12
    clock.now += 0.5
    assert await mine.claim("s1", "s0") is Claim.AGAIN
    assert clock.slept == [turns.TAKEN_SECONDS - 0.5]
    assert store[KEY] == {"by": name, "next": "s1"}
    assert await mine.claim("s1", "s0") is Claim.GRANTED
    await mine.release("other")
    assert store[KEY]["next"] == "s1"
    await mine.release("s1")
    assert store[KEY] == {"by": name, "next": None}


@pytest.mark.parametrize("passed", [0.0, 1.0, 1.5, 1.99, 2.0])
async def test_events_wait_for_the_rest_of_the_two_seconds_however_short(
    make: Callable[[], Turns], clock: FakeClock, passed: float
) -> None:
    mine = make()
    await mine.open("s0")
    clock.now += passed
    left = turns.TAKEN_SECONDS - passed
    assert await mine.claim("s1", "s0") is (Claim.AGAIN if left else Claim.GRANTED)
    assert clock.slept == pytest.approx([left] if left else [])


async def test_a_turn_that_another_process_took_is_outdated_once_and_then_taken_back(
    make: Callable[[], Turns], store: FakeStateStore, clock: FakeClock
) -> None:
    mine = make()
    await mine.open("s0")
    first = store[KEY]["by"]
    store.set(KEY, {"by": "other", "next": None})
    assert await mine.claim("s1", "s0") is Claim.OUTDATED
    assert turns.TAKEN_SECONDS <= clock.slept[-1] <= 2 * turns.TAKEN_SECONDS
    assert store[KEY]["by"] == "other"
    assert await mine.claim("s1", "s0") is Claim.AGAIN
    assert store[KEY]["by"] not in ("other", first)


async def test_a_process_that_was_about_to_fire_is_waited_for_half_a_minute(
    make: Callable[[], Turns], store: FakeStateStore, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    store.set(KEY, {"by": "other", "next": "s1"})
    mine = make()
    await mine.open("s0")
    assert store[KEY]["by"] == "other"
    claims = 0
    while store[KEY]["by"] == "other":
        assert await mine.claim("s1", "s0") is Claim.AGAIN
        claims += 1
    assert claims == 31
    assert clock.slept == [1.0] * 30
    assert caplog.text.count("was about to fire") == 1
    assert "waits for it, 30 s at most" in caplog.text
    assert "has not confirmed it for 30 s: firing here" in caplog.text


@pytest.mark.parametrize("record", [{"by": "other", "next": "s0"}, {"by": "other"}, "damaged", None])
async def test_a_turn_whose_events_were_handed_over_is_taken_at_once(
    make: Callable[[], Turns], store: FakeStateStore, record: Any
) -> None:
    if record is not None:
        store.set(KEY, record)
    mine = make()
    await mine.open("s0")
    assert store[KEY]["by"] == mine._mine != ""


async def test_the_wait_begins_anew_when_another_process_claims(
    make: Callable[[], Turns], store: FakeStateStore, clock: FakeClock
) -> None:
    store.set(KEY, {"by": "other", "next": "s1"})
    mine = make()
    await mine.open("s0")
    clock.now += 29
    store.set(KEY, {"by": "third", "next": "s1"})
    for _ in range(30):
        assert await mine.claim("s1", "s0") is Claim.AGAIN
    assert store[KEY]["by"] == "third"
    await mine.claim("s1", "s0")
    assert store[KEY]["by"] not in ("other", "third")


async def test_a_claim_that_was_slow_or_paused_starts_over_a_few_times(
    make: Callable[[], Turns], store: FakeStateStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = make()
    await mine.open("s0")
    clock.now += 10
    mine._pauses.since(clock.now)
    read = mine._store.read

    async def slow_read() -> Any:
        clock.now += 2.1
        mine._pauses._beat_at = clock.now
        return await read()

    monkeypatch.setattr(mine._store, "read", slow_read)
    found = [await mine.claim("s1", "s0") for _ in range(5)]
    assert found == [Claim.AGAIN] * turns.MAX_SLOW + [Claim.GRANTED, Claim.AGAIN]
    assert clock.slept == [turns.TAKEN_SECONDS] * (turns.MAX_SLOW + 1)

    async def paused_read() -> Any:
        clock.now += pauses.LONG_SECONDS + 1
        return await read()

    monkeypatch.setattr(mine._store, "read", paused_read)
    clock.slept.clear()
    assert await mine.claim("s1", "s0") is Claim.AGAIN
    assert clock.slept == []


async def test_a_turn_that_is_lost_during_the_claim_is_asked_for_once_more(
    make: Callable[[], Turns], store: FakeStateStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = make()
    await mine.open("s0")
    clock.now += turns.TAKEN_SECONDS
    write = mine._store.write

    async def overwritten(value: Any) -> bool:
        await write(value)
        store.set(KEY, {"by": "other", "next": None})
        return True

    monkeypatch.setattr(mine._store, "write", overwritten)
    assert await mine.claim("s1", "s0") is Claim.AGAIN


async def test_a_claim_is_slow_when_it_took_more_than_four_seconds(
    make: Callable[[], Turns], clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = make()
    await mine.open("s0")
    read = mine._store.read
    for seconds, claim in ((2.0, Claim.GRANTED), (2.05, Claim.AGAIN)):
        clock.now += 10
        mine._pauses.since(clock.now)

        async def slow_read(seconds: float = seconds) -> Any:
            clock.now += seconds
            mine._pauses._beat_at = clock.now
            return await read()

        monkeypatch.setattr(mine._store, "read", slow_read)
        assert await mine.claim("s1", "s0") is claim


async def test_a_new_owner_has_a_random_time_of_two_to_four_seconds(
    make: Callable[[], Turns], store: FakeStateStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds: list[tuple[float, float]] = []

    def uniform(least: float, most: float) -> float:
        bounds.append((least, most))
        return 3.0

    monkeypatch.setattr(turns.random, "uniform", uniform)
    mine = make()
    await mine.open("s0")
    store.set(KEY, {"by": "other", "next": None})
    assert await mine.claim("s1", "s0") is Claim.OUTDATED
    assert (bounds[-1], clock.slept) == ((2.0, 4.0), [3.0])


async def test_the_rest_of_a_wait_is_no_longer_than_what_is_left_of_it(
    make: Callable[[], Turns], store: FakeStateStore, clock: FakeClock
) -> None:
    store.set(KEY, {"by": "other", "next": "s1"})
    mine = make()
    await mine.open("s0")
    clock.now += 29.5
    assert await mine.claim("s1", "s0") is Claim.AGAIN
    assert (clock.slept, store[KEY]["by"]) == ([0.5], "other")
    assert await mine.claim("s1", "s0") is Claim.AGAIN
    assert (clock.slept, store[KEY]["by"]) == ([0.5], mine._mine)


async def test_each_process_that_is_waited_for_is_one_log_line(
    make: Callable[[], Turns], store: FakeStateStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    store.set(KEY, {"by": "other", "next": "s1"})
    mine = make()
    await mine.open("s0")
    for name in ("other", "other", "third", "third"):
        store.set(KEY, {"by": name, "next": "s1"})
        await mine.claim("s1", "s0")
    assert caplog.text.count("was about to fire") == 2
