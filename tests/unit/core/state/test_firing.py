"""Each change is one event, while triggerers are paused, killed and doubled at every moment."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from operator import itemgetter
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.amigocloud.triggers import AmigoCloudDatasetTrigger
from airflow_provider.amigocloud.watchers.observations import StateObservation
from airflow_provider.amigocloud.watchers.registry import WatchRegistry
from airflow_provider.core.state import firing, pauses, turns
from airflow_provider.core.state.firing import FiredEvent, Firing
from airflow_provider.core.state.identity import fingerprint
from airflow_provider.core.state.turns import Claim
from airflow_provider.core.triggers import NewItemsTrigger
from airflow_provider.iotstudio.events.reader import Found
from airflow_provider.iotstudio.events.records import Event
from airflow_provider.iotstudio.triggers import IoTStudioEventTrigger
from tests.support.fake_clock import FakeClock
from tests.support.hypothesis_sizes import LONG
from tests.support.state_store import FakeStateStore
from tests.support.triggerers import LATENCY, SYNC_SECONDS, Cluster, Triggerer, asked, let_pass, observed

pytestmark = pytest.mark.slow  # plays do not depend on versions

LOG: Any = logging.getLogger(__name__)
CHANGED_AT = 20.0
BEGAN = datetime.now(UTC)
STEP = 0.05 if LONG else 0.2


class ItemWatcher(NewItemsTrigger):
    """Fire for each new item of a cluster."""

    first_poll_fires = False
    poll_interval = 3.0

    def __init__(self, cluster: Cluster) -> None:
        super().__init__()
        self.cluster = cluster

    def arguments(self) -> dict[str, Any]:
        return {}

    async def list_items(self) -> Mapping[str, Any]:
        return dict.fromkeys(await asked(self.cluster))

    def events(self, new: Sequence[str], now: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [{"item": item} for item in new]


class DatasetWatcher(AmigoCloudDatasetTrigger):
    """Watch the last item of a cluster as the state of a dataset."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(dataset=1)
        self.cluster = cluster

    async def run(self) -> AsyncIterator[Any]:
        async def observations() -> AsyncIterator[StateObservation]:
            async for moment, items in observed(self.cluster, 3.0):
                yield StateObservation(1, items[-1], moment)

        async for event in self._events(observations(), WatchRegistry()):
            event.payload = {"item": event.payload["master"]}
            yield event


class EventsWatcher(IoTStudioEventTrigger):
    """Watch the items of a cluster as the events of Things; the first one is old."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(event="reported", poll_interval=3.0)
        self.cluster = cluster

    async def _poll(self, since: datetime, asked_since: float) -> Found:
        return Found(
            [Event(BEGAN, item, "t", "reported", None) for item in await asked(self.cluster)][1:], []
        )

    async def run(self) -> AsyncIterator[Any]:
        async for event in super().run():
            event.payload = {"item": event.payload["event_id"]}
            yield event


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster(items=["0"])
    random.seed(1)  # The watchers' intervals are random: a failure can be played again.
    for module in (pauses, turns, firing):
        monkeypatch.setattr(module, "clock", lambda: made.now)
    monkeypatch.setattr(pauses, "_task_pauses", {})

    async def in_this_thread(function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)

    monkeypatch.setattr(asyncio, "to_thread", in_this_thread)
    return made


WATCHERS = [ItemWatcher, DatasetWatcher, *([EventsWatcher] if LONG else [])]


@pytest.fixture(params=WATCHERS)
def start(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Callable[..., Triggerer]]:
    started: list[Triggerer] = []

    def make(**options: Any) -> Triggerer:
        started.append(Triggerer(cluster, partial(request.param, cluster), **options))
        return started[-1]

    yield make
    for triggerer in started:
        triggerer.close()


class Play:
    """Two triggerers, of which the first one has the watcher, and what happens to it.

    :param events: what to do, by moment.
    """

    def __init__(self, cluster: Cluster, start: Callable[..., Triggerer], **options: Any) -> None:
        cluster.now, cluster.owner, cluster.items = 0.0, None, ["0"]
        cluster.stored.clear()
        cluster.events.clear()
        self.cluster = cluster
        self.triggerers = [start(phase=0.3, **options), start(phase=0.8, **options)]
        self.first = self.triggerers[0]
        self._start = start
        self._plan: list[tuple[float, Callable[[], object]]] = []

    def at(self, moment: float, do: Callable[[], object]) -> None:
        """Plan something."""
        self._plan.append((moment, do))

    def change(self, moment: float, name: str) -> None:
        """Plan a change."""
        self.at(moment, lambda: self.cluster.items.append(name))

    def stop(self, moment: float, seconds: float, number: int = 0) -> None:
        """Plan a pause of a triggerer."""
        self.at(moment, lambda: setattr(self.triggerers[number], "paused", True))
        self.at(moment + seconds, lambda: setattr(self.triggerers[number], "paused", False))

    def replace(self, number: int) -> None:
        """Kill a triggerer and start another one."""
        self.triggerers[number].killed = True
        self.triggerers[number] = self._start(phase=1.0)

    def kill(self, moment: float) -> None:
        """Plan the end of the first triggerer."""
        self.at(moment, lambda: setattr(self.first, "killed", True))

    def run(self, until: float) -> Counter[str]:
        """Play, and return how often each item has fired."""
        for moment, do in sorted(self._plan, key=itemgetter(0)):
            let_pass(self.cluster, self.triggerers, moment)
            do()
        let_pass(self.cluster, self.triggerers, until)
        return Counter(event["item"] for event in self.cluster.events)


def moments(first: float, last: float, step: float = STEP) -> list[float]:
    return [first + number * step for number in range(round((last - first) / step))]


@pytest.mark.parametrize("start", [EventsWatcher], indirect=True)
def test_events_of_things_fire_once_while_triggerers_are_paused_and_killed(
    cluster: Cluster, start: Callable[..., Triggerer]
) -> None:
    for moment in moments(CHANGED_AT - 1, CHANGED_AT + 5, 1.0):
        play = Play(cluster, start)
        play.change(CHANGED_AT, "1")
        play.stop(moment, 45.0)
        play.change(CHANGED_AT + 100, "2")
        play.kill(CHANGED_AT + 100 + moment - CHANGED_AT)
        play.change(CHANGED_AT + 101, "3")
        assert play.run(CHANGED_AT + 300) == {"1": 1, "2": 1, "3": 1}, moment


@pytest.mark.parametrize("seconds", [6.0, 45.0])
def test_a_triggerer_that_is_paused_at_any_moment_loses_and_repeats_nothing(
    cluster: Cluster, start: Callable[..., Triggerer], seconds: float
) -> None:
    for moment in moments(CHANGED_AT - 1, CHANGED_AT + 5):
        play = Play(cluster, start)
        play.change(CHANGED_AT, "1")
        play.stop(moment, seconds)
        play.change(CHANGED_AT + 100, "2")
        assert play.run(CHANGED_AT + 120) == {"1": 1, "2": 1}, moment


def test_a_change_during_a_pause_is_fired_once(cluster: Cluster, start: Callable[..., Triggerer]) -> None:
    for moment in moments(CHANGED_AT, CHANGED_AT + 50, 1.7):
        play = Play(cluster, start)
        play.stop(CHANGED_AT, 45)
        play.change(moment, "1")
        play.change(CHANGED_AT + 100, "2")
        assert play.run(CHANGED_AT + 120) == {"1": 1, "2": 1}, moment


def test_a_triggerer_that_is_killed_at_any_moment_loses_nothing_and_repeats_what_was_stored_just_then(
    cluster: Cluster, start: Callable[..., Triggerer]
) -> None:
    repeated = []
    every = moments(CHANGED_AT - 0.2, CHANGED_AT + 5)
    for moment in every:
        play = Play(cluster, start)
        play.change(CHANGED_AT, "1")
        play.kill(moment)
        play.change(CHANGED_AT + 100, "2")
        fired = play.run(CHANGED_AT + 120)
        assert fired in ({"1": 1, "2": 1}, {"1": 2, "2": 1}), moment
        if fired["1"] == 2:
            repeated.append(moment)
    # From the storing of the event until that of the state: some ways to the database.
    assert len(repeated) * STEP <= 4 * LATENCY + STEP, repeated


def test_a_pause_that_outlasts_its_successors_patience_repeats_what_was_not_handed_over(
    cluster: Cluster, start: Callable[..., Triggerer]
) -> None:
    repeated = []
    for moment in moments(CHANGED_AT - 0.2, CHANGED_AT + 5):
        play = Play(cluster, start)
        play.change(CHANGED_AT, "1")
        play.stop(moment, 90)
        play.change(CHANGED_AT + 150, "2")
        fired = play.run(CHANGED_AT + 170)
        assert fired in ({"1": 1, "2": 1}, {"1": 2, "2": 1}), moment
        if fired["1"] == 2:
            repeated.append(moment)
    assert len(repeated) * STEP <= SYNC_SECONDS + 4 * LATENCY + STEP, repeated


@pytest.mark.parametrize("seed", range(20 if LONG else 2))
def test_fifty_random_pauses_and_kills_repeat_and_lose_nothing(
    cluster: Cluster, start: Callable[..., Triggerer], seed: int
) -> None:
    chance, play = random.Random(seed), Play(cluster, start)
    now, names = CHANGED_AT, []
    for number in range(50):
        names.append(str(number + 1))
        play.change(now, names[-1])
        victim = chance.randrange(2)
        if chance.random() < 1 / 3:
            play.at(now + chance.uniform(0, 5), partial(play.replace, victim))
        else:
            play.stop(now + chance.uniform(0, 5), chance.choice([2.0, 6.0, 20.0, 40.0]), victim)
        now += 120
    assert play.run(now) == dict.fromkeys(names, 1)


# With some of these, two watchers had taken the turn from each other at once, without end.
SEEDS = range(1000) if LONG else [*range(12), 187, 218, 231, 291, 293, 422, 425, 469, 550]


def test_two_triggerers_that_both_run_the_watcher_fire_each_change_once(
    cluster: Cluster, start: Callable[..., Triggerer]
) -> None:
    every = moments(CHANGED_AT, CHANGED_AT + 3, 0.2)
    for seed in SEEDS:
        random.seed(seed)
        play = Play(cluster, start, always=True)
        for number in range(1, 6):
            play.change(every[seed % len(every)] + 15 * number, str(number))
        assert play.run(CHANGED_AT + 120) == {str(number): 1 for number in range(1, 6)}, seed


# -- one watcher step by step ----------------------------------------------------------------------


def firing_with(store: FakeStateStore | None, **fields: Any) -> Firing:
    return Firing(SimpleNamespace(asset_state_store=store, **fields), "w", LOG)  # type: ignore[arg-type]


def decide(*payloads: Any, value: Any = None) -> Callable[[Any], tuple[list[Any], Any]]:
    return lambda _: ([{"item": item} for item in payloads], value)


async def fired(firing: Firing, decision: Callable[[Any], Any]) -> list[Any]:
    return [event.payload["item"] async for event in firing.events(decision)]


async def test_a_new_watcher_knows_nothing_and_opens_with_the_stored_state() -> None:
    store = FakeStateStore()
    new = firing_with(store)
    assert (new.value, new.is_outdated, new.read_at) == (None, False, -math.inf)
    assert await new.open() is None
    assert new.read_at == -math.inf
    store.set("w", {"at": 1})
    assert await new.open() == {"at": 1}
    assert new.read_at <= asyncio.get_running_loop().time()
    assert new.read_at > 0


async def test_events_are_fired_and_the_state_that_follows_is_stored() -> None:
    store = FakeStateStore()
    store.set("w", {"at": 1})
    watcher = firing_with(store)
    await watcher.open()
    seen: list[Any] = []

    def decision(value: Any) -> Any:
        seen.append(value)
        return [{"item": "a"}, {"item": "b"}], {"at": 2}

    assert await fired(watcher, decision) == ["a", "b"]
    assert (seen, watcher.value, store["w"]) == ([{"at": 1}], {"at": 2}, {"at": 2})
    assert await fired(watcher, decide("c")) == ["c"]
    assert await fired(watcher, decide()) == []
    assert (watcher.value, store["w"]) == ({"at": 2}, {"at": 2})
    assert await fired(watcher, decide(value={"at": 3})) == []
    assert (watcher.value, store["w"]) == ({"at": 3}, {"at": 3})


async def test_a_state_that_another_process_changed_fires_nothing_and_is_adopted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    store = FakeStateStore()
    watcher = firing_with(store)
    await watcher.open()
    await fired(watcher, decide(value={"at": 1}))
    store.set("w", {"at": 7})
    assert await fired(watcher, decide("a", value={"at": 2})) == []
    assert (watcher.is_outdated, watcher.value, store["w"]) == (True, {"at": 7}, {"at": 7})
    assert watcher.read_at > 0
    assert "another triggerer has changed the asset's state" in caplog.text
    assert await fired(watcher, decide("a", value={"at": 8})) == ["a"]
    assert (watcher.is_outdated, store["w"]) == (False, {"at": 8})


async def test_a_state_that_was_set_back_to_an_earlier_one_is_stored_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = FakeStateStore()
    store.set("w", {"at": -1})
    watcher = firing_with(store)
    await watcher.open()
    for number in range(3):
        await fired(watcher, decide(value={"at": number}))
    for earlier in (-1, 0):
        store.set("w", {"at": earlier})
        assert await fired(watcher, decide("a")) == ["a"]
        assert (store["w"], watcher.is_outdated) == ({"at": 2}, False)
    assert "was set back to an earlier one" in caplog.text
    for number in range(3, 60):
        await fired(watcher, decide(value={"at": number}))
    store.set("w", {"at": 0})
    assert await fired(watcher, decide("a")) == []
    assert (watcher.value, watcher.is_outdated) == ({"at": 0}, True)


async def test_a_write_that_failed_may_have_been_done_and_is_expected() -> None:
    class Failing(FakeStateStore):
        is_done = True

        async def aset(self, key: str, value: Any) -> None:
            if self.is_done:
                self.set(key, value)
            raise OSError("no answer")

    store = Failing()
    watcher = firing_with(store)
    await watcher.open()
    await fired(watcher, decide(value={"at": 1}))
    assert await fired(watcher, decide("a", value={"at": 2})) == ["a"]
    store.is_done = False
    await fired(watcher, decide(value={"at": 3}))
    assert await fired(watcher, decide("b")) == ["b"]
    store.set("w", {"at": 9})
    assert await fired(watcher, decide("c")) == []


async def test_a_state_that_does_not_fit_is_remembered_by_the_process_only() -> None:
    store = FakeStateStore()
    watcher = firing_with(store)
    await watcher.open()
    large = {"at": "x" * 70_000}
    assert await fired(watcher, decide("a", value=large)) == ["a"]
    assert (watcher.value == large, store) == (True, {})
    assert await fired(watcher, decide("b")) == ["b"]


async def test_without_a_store_every_decision_fires() -> None:
    watcher = firing_with(None)
    assert await watcher.open() is None
    assert await fired(watcher, decide("a", value={"at": 1})) == ["a"]
    assert watcher.value == {"at": 1}


async def test_after_a_pause_the_watcher_waits_and_reads_the_state_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock()
    for module in (pauses, turns, firing):
        monkeypatch.setattr(module, "clock", clock)
    monkeypatch.setattr(pauses, "_task_pauses", {})
    monkeypatch.setattr(asyncio, "sleep", clock.asleep)
    store = FakeStateStore()
    watcher = firing_with(store)
    watcher._pauses = pauses.Pauses(asyncio.get_running_loop())
    await watcher.open()
    clock.now += 40
    assert await fired(watcher, decide("a")) == ["a"]
    assert clock.slept == [firing.REST_SECONDS]
    assert "this process did not run for 40 s" in caplog.text
    assert await fired(watcher, decide("b")) == ["b"]
    assert len(clock.slept) == 1
    clock.now += 40
    store.set("w", {"at": 5})

    def refused(value: Any) -> Any:
        raise AssertionError(value)

    assert await fired(watcher, refused) == []
    assert (watcher.value, watcher.is_outdated) == ({"at": 5}, True)


async def test_an_event_of_a_triggerer_notes_when_it_is_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    event = FiredEvent(payload={"item": "a"})
    waiting = asyncio.create_task(event.wait_until_handed_over())
    await asyncio.sleep(0)
    assert not waiting.done()
    assert not hasattr(event, "task_instance_state")
    await waiting
    monkeypatch.setattr(firing, "HAND_OVER_SECONDS", 0.0)
    await FiredEvent(payload={}).wait_until_handed_over()


async def test_in_a_triggerer_the_state_is_stored_after_the_events_were_handed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "TAKEN_SECONDS", 0.0)
    store = FakeStateStore()
    watcher = firing_with(store, trigger_id=1)
    await watcher.open()
    assert store["turn w"]["next"] is None
    events = [event async for event in watcher.events(decide("a", value={"at": 1}))]
    assert await fired(watcher, decide(value={"at": 2})) == []
    assert "w" not in store
    assert store["turn w"]["next"] == fingerprint({"at": 1})
    assert watcher.value == {"at": 2}
    assert len(firing._confirming) == 1
    assert not hasattr(events[0], "task_instance_state")
    await asyncio.gather(*firing._confirming)
    assert store["w"] == {"at": 2}
    await asyncio.sleep(0)
    assert firing._confirming == set()
    # The state that was stored last is not the one of the claim: the turn's record stays as it is.
    assert store["turn w"]["next"] == fingerprint({"at": 1})
    events = [event async for event in watcher.events(decide("b", value={"at": 3}))]
    assert not hasattr(events[0], "task_instance_state")
    await asyncio.gather(*firing._confirming)
    assert (store["w"], store["turn w"]["next"]) == ({"at": 3}, None)


@pytest.mark.parametrize(
    ("claims", "found"),
    [
        ([Claim.GRANTED], ["a"]),
        ([Claim.AGAIN, Claim.AGAIN, Claim.GRANTED], ["a"]),
        ([Claim.OUTDATED], []),
        ([Claim.AGAIN, Claim.OUTDATED], []),
    ],
)
async def test_a_turn_is_asked_for_until_it_is_granted_or_outdated(
    claims: list[Claim], found: list[str]
) -> None:
    watcher = firing_with(FakeStateStore(), trigger_id=1)
    await watcher.open()
    answers = iter(claims)

    async def claim(following: str, stored: str) -> Claim:
        return next(answers)

    watcher._turns.claim = claim  # type: ignore[union-attr, method-assign]
    assert await fired(watcher, decide("a")) == found
    assert watcher.is_outdated is not bool(found)
    assert list(answers) == []


def test_turns_are_taken_in_a_triggerer_that_has_a_store() -> None:
    async def turns_of(store: FakeStateStore | None, **fields: Any) -> bool:
        return firing_with(store, **fields)._turns is not None

    for store, fields, expected in (
        (FakeStateStore(), {"trigger_id": 0}, True),
        (FakeStateStore(), {}, False),
        (FakeStateStore(), {"trigger_id": None}, False),
        (None, {"trigger_id": 1}, False),
    ):
        assert asyncio.run(turns_of(store, **fields)) is expected


class Counting(FakeStateStore):
    """A store that counts its reads and writes, by key."""

    def __init__(self) -> None:
        super().__init__()
        self.reads, self.writes = Counter[str](), Counter[str]()

    async def aget(self, key: str, default: Any = None) -> Any:
        self.reads[key] += 1
        return self.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        self.writes[key] += 1
        self.set(key, value)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    fake = FakeClock()
    for module in (pauses, turns, firing):
        monkeypatch.setattr(module, "clock", fake)
    monkeypatch.setattr(pauses, "_task_pauses", {})
    monkeypatch.setattr(asyncio, "sleep", fake.asleep)
    return fake


async def opened(store: FakeStateStore | None, **fields: Any) -> Firing:
    watcher = firing_with(store, **fields)
    watcher._pauses = pauses.Pauses(asyncio.get_running_loop())
    await watcher.open()
    return watcher


@pytest.mark.parametrize("has_turns", [False, True])
async def test_after_a_pause_between_two_events_the_next_one_needs_the_state_once_more(
    clock: FakeClock, has_turns: bool
) -> None:
    store = Counting()
    watcher = await opened(store, **({"trigger_id": 1} if has_turns else {}))
    if watcher._turns:
        watcher._turns._pauses = watcher._pauses
        clock.now += turns.TAKEN_SECONDS
    events = watcher.events(decide("a", "b", "c", "d"))
    assert (await anext(events)).payload == {"item": "a"}  # type: ignore[attr-defined]
    read = store.reads["w"]
    assert (await anext(events)).payload == {"item": "b"}  # type: ignore[attr-defined]
    assert store.reads["w"] == read
    clock.now += 40
    assert [event.payload["item"] async for event in events] == ["c", "d"]  # type: ignore[attr-defined]
    assert store.reads["w"] == read + 1


async def test_after_a_pause_between_two_events_another_process_s_state_ends_them(clock: FakeClock) -> None:
    store = Counting()
    watcher = await opened(store)
    events = watcher.events(decide("a", "b"))
    await anext(events)
    clock.now += 40
    store.set("w", {"at": 7})
    assert [event async for event in events] == []
    assert (watcher.is_outdated, watcher.value) == (True, {"at": 7})


async def test_without_a_store_a_watcher_continues_after_a_pause(clock: FakeClock) -> None:
    watcher = await opened(None)
    assert await fired(watcher, decide("a", value={"at": 1})) == ["a"]
    clock.now += 40
    assert await fired(watcher, decide("b")) == ["b"]
    assert clock.slept == [firing.REST_SECONDS]
    assert not watcher.is_outdated


async def test_in_a_triggerer_a_state_that_no_event_leads_to_is_stored_at_once_and_once() -> None:
    store = Counting()
    watcher = await opened(store, trigger_id=1)
    before = store.writes["turn w"]
    assert await fired(watcher, decide(value={"at": 1})) == []
    assert (firing._confirming, store["w"]) == (set(), {"at": 1})
    assert (store.writes["w"], store.writes["turn w"]) == (1, before)


@pytest.mark.parametrize("fires_again", [False, True])
async def test_events_before_another_process_s_state_was_adopted_store_nothing_when_they_are_handed_over(
    monkeypatch: pytest.MonkeyPatch, fires_again: bool
) -> None:
    monkeypatch.setattr(turns, "TAKEN_SECONDS", 0.0)
    store = Counting()
    watcher = await opened(store, trigger_id=1)
    (first,) = [event async for event in watcher.events(decide("a", value={"at": 1}))]
    (early,) = firing._confirming
    await asyncio.sleep(0)  # it waits for the event
    store.set("w", {"at": 7})
    assert await fired(watcher, decide("b")) == []
    if fires_again:
        (second,) = [event async for event in watcher.events(decide("c", value={"at": 8}))]
        assert len(firing._confirming) == 2
    assert not hasattr(first, "task_instance_state")
    await early
    assert (store["w"], store.writes["w"]) == ({"at": 7}, 0)
    if fires_again:
        assert not hasattr(second, "task_instance_state")
        await asyncio.gather(*firing._confirming)
        assert (store["w"], store["turn w"]["next"]) == ({"at": 8}, None)


async def test_each_event_of_an_observation_is_waited_for_before_the_state_is_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "TAKEN_SECONDS", 0.0)
    store = FakeStateStore()
    watcher = firing_with(store, trigger_id=1)
    await watcher.open()
    events = [event async for event in watcher.events(decide("a", "b", value={"at": 1}))]
    for event in events:
        for _ in range(5):
            await asyncio.sleep(0)
        assert "w" not in store
        assert not hasattr(event, "task_instance_state")
    await asyncio.gather(*firing._confirming)
    assert (store["w"], store["turn w"]["next"]) == ({"at": 1}, None)


async def test_events_that_change_no_state_are_confirmed_without_storing_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "TAKEN_SECONDS", 0.0)
    store = Counting()
    store.set("w", {"at": 1})
    watcher = await opened(store, trigger_id=1)
    (event,) = [event async for event in watcher.events(decide("a"))]
    assert not hasattr(event, "task_instance_state")
    await asyncio.gather(*firing._confirming)
    assert (store.writes["w"], store["w"], store["turn w"]["next"]) == (0, {"at": 1}, None)


async def test_in_a_triggerer_a_state_that_does_not_fit_takes_no_turn_and_is_not_stored() -> None:
    store = Counting()
    watcher = await opened(store, trigger_id=1)
    before = store.writes["turn w"]
    large = {"at": "x" * 70_000}
    (event,) = [event async for event in watcher.events(decide("a", value=large))]
    assert not hasattr(event, "task_instance_state")
    await asyncio.gather(*firing._confirming)
    assert (store.writes["w"], store.writes["turn w"], watcher.value == large) == (0, before, True)
