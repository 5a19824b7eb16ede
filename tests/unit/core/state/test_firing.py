"""Each change is one event, while triggerers are paused, killed and doubled at every moment."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from operator import itemgetter
from typing import Any

import pytest

from airflow_provider.amigocloud.triggers import AmigoCloudDatasetTrigger
from airflow_provider.amigocloud.watchers.observations import StateObservation
from airflow_provider.amigocloud.watchers.registry import WatchRegistry
from airflow_provider.core.state import firing, pauses, turns
from airflow_provider.core.triggers import NewItemsTrigger
from airflow_provider.iotstudio.events.reader import Found
from airflow_provider.iotstudio.events.records import Event
from airflow_provider.iotstudio.triggers import IoTStudioEventTrigger
from tests.support.hypothesis_sizes import LONG
from tests.support.triggerers import LATENCY, SYNC_SECONDS, Cluster, Triggerer, asked, let_pass, observed

pytestmark = pytest.mark.slow  # plays do not depend on versions

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
