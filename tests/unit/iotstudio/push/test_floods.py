"""Floods of values, and Things that never match: few polls, with pauses, and no more when it is quiet."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from airflow_provider.core.push import inbox as inbox_module
from airflow_provider.core.push.inbox import Inbox
from airflow_provider.core.triggers import by_hash
from airflow_provider.errors import ServerError
from airflow_provider.iotstudio.push import watch
from airflow_provider.iotstudio.push.comparison import MAX_ASKS, PushedValues
from airflow_provider.iotstudio.push.watch import PushWatch

HOT, COLD = {"temperature": 60}, {"temperature": 20}
MANY = [f"01GQ{number:022d}" for number in range(300)]


class Watched:
    """A watcher without a service: its polls and requests are noted, and find what ``matching`` says.

    It takes the place of the trigger and its stored state.
    """

    is_outdated = False

    def __init__(self) -> None:
        self.matching: set[str] = set()
        self.value: list[str] = []
        self.polls: list[float] = []
        self.asked: list[Sequence[str]] = []
        self.during_poll: list[Callable[[], None]] = []
        self.inbox = Inbox()
        self.inbox.connected = True
        self.values = PushedValues({"temperature": "gt:50"})
        self.watch = PushWatch(self.inbox, self.values, self.ask, lambda new, now: [], None)  # type: ignore[arg-type]

    async def ask(self, thing_ids: Sequence[str]) -> Sequence[str]:
        self.asked.append(thing_ids)
        return [one for one in thing_ids if one in self.matching]

    async def events(self, decide: Any) -> AsyncGenerator[Any, None]:
        _, following = decide(self.value)
        self.value = self.value if following is None else following
        for event in ():
            yield event

    async def run(self) -> None:
        while True:
            self.polls.append(asyncio.get_running_loop().time())
            self.value = sorted(by_hash(self.matching))
            for call in self.during_poll[-1:]:
                self.during_poll.pop()
                call()
            async for _ in self.watch.events(self, 3600.0, failed=False):  # type: ignore[arg-type]
                pass

    async def silent(self) -> None:
        """Wait until nothing is left to do before the next poll, an hour away."""
        async with asyncio.timeout(60):
            while self.is_busy():
                await asyncio.sleep(0.01)

    def is_busy(self) -> bool:
        """Return whether anything is left to do."""
        inbox = self.inbox
        waits = inbox._changed._waiters  # type: ignore[attr-defined]
        return not waits or bool(self.values._asks) or inbox.poll_due or len(inbox) > 0

    def push(self, values: Any, things: Sequence[str] = MANY) -> None:
        for thing in things:
            self.inbox.put(thing, values)


@pytest.fixture
async def watched(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Watched, None]:
    monkeypatch.setattr(watch, "TAKE_SECONDS", 0.0)
    monkeypatch.setattr(watch, "FLOOD_SECONDS", 0.02)
    monkeypatch.setattr(watch, "OFFLINE_SECONDS", 0.1)
    made = Watched()
    task = asyncio.create_task(made.run())
    await made.silent()
    yield made
    assert not task.done(), task.exception()
    task.cancel()


async def test_a_poll_answers_for_all_things_of_a_flood(watched: Watched) -> None:
    watched.matching = set(MANY)
    watched.push(HOT)
    await watched.silent()
    assert (len(watched.polls), watched.asked) == (2, [])
    watched.matching = set()
    watched.push(COLD)
    await watched.silent()
    assert (len(watched.polls), watched.asked) == (3, [])


async def test_an_answer_that_confirms_a_value_is_asked_for_once(watched: Watched) -> None:
    for values, matching in ((HOT, {MANY[0]}), (COLD, set())):
        watched.matching = matching
        watched.push(values, MANY[:1])
        await watched.silent()
        assert watched.value == sorted(by_hash(matching))
    assert (len(watched.polls), watched.asked) == (1, [[MANY[0]], [MANY[0]]])


@pytest.mark.parametrize(("connected", "pause", "waited"), [(True, 0.05, 0.05), (False, 3600.0, 0.02)])
async def test_the_poll_at_the_interval_takes_what_another_watcher_has_just_asked(
    monkeypatch: pytest.MonkeyPatch, connected: bool, pause: float, waited: float
) -> None:
    monkeypatch.setattr(watch, "OFFLINE_SECONDS", 0.02)
    quiet, loop = Watched(), asyncio.get_running_loop()
    quiet.inbox.connected = connected
    began = loop.time()
    async for _ in quiet.watch.events(quiet, pause, failed=False):  # type: ignore[arg-type]
        pass
    ended = loop.time()
    assert began + waited <= ended
    assert began <= quiet.watch.fresh_from <= ended - 0.8 * waited


async def test_after_a_failed_poll_values_wait_for_the_next_one() -> None:
    failed = Watched()
    failed.push(HOT)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            async for _ in failed.watch.events(failed, 3600.0, failed=True):  # type: ignore[arg-type]
                pass
    assert (len(failed.inbox), failed.asked) == (len(MANY), [])


async def test_without_a_state_a_value_makes_a_poll_due(watched: Watched) -> None:
    watched.value = None  # type: ignore[assignment]
    watched.matching = {MANY[0]}
    watched.push(HOT, MANY[:1])
    await watched.silent()
    assert (len(watched.polls), watched.value) == (2, sorted(by_hash(watched.matching)))


@pytest.mark.parametrize("count", [watch.MAX_ASKED, watch.MAX_ASKED + 1, len(MANY)])
async def test_things_that_never_match_cost_some_requests_once(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(watch.PushedValues, "answered", _hurried(PushedValues.answered))
    for _ in range(3):  # the same values again are no news
        watched.push(HOT, MANY[:count])
        await watched.silent()
    assert len(watched.polls) - 1 + len(watched.asked) == MAX_ASKS


def _hurried(answered: Any) -> Any:
    """Return a method that asks again at once, not after seconds."""

    def answer(self: PushedValues, thing_id: str, *, matches: bool, now: float) -> None:
        answered(self, thing_id, matches=matches, now=now - 100.0)

    return answer


async def test_polls_that_floods_make_due_have_pauses_between_them(watched: Watched) -> None:
    for number in range(200):
        watched.matching = set(MANY) if number % 2 else set()
        watched.push(HOT if number % 2 else COLD)
        await asyncio.sleep(0)
    await watched.silent()
    made = watched.polls[1:]
    assert all(later - earlier > 0.009 for earlier, later in pairwise(made))
    assert not watched.values._asks


async def test_an_inbox_that_is_always_full_polls_with_pauses(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "MAX_KEYS", 5)
    while len(watched.polls) < 5:
        watched.push(COLD)
        await asyncio.sleep(0)
    made = watched.polls[1:]
    assert all(later - earlier > 0.009 for earlier, later in pairwise(made))


async def test_the_pauses_between_floods_grow_and_begin_anew_after_a_poll_without_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(random, "uniform", lambda least, most: most)
    monkeypatch.setattr(watch, "_now", lambda: 1000.0)
    monkeypatch.setattr(watch, "FLOOD_SECONDS", 2.0)
    monkeypatch.setattr(watch, "OFFLINE_SECONDS", 10.0)
    made = Watched().watch
    for floods in ([2.0, 4.0, 8.0, 10.0, 10.0], [2.0, 4.0], [2.0]):
        for pause in floods:
            made._is_flood = True
            assert await made._after_poll(Watched()) == 1000.0 + pause  # type: ignore[arg-type]
        assert await made._after_poll(Watched()) == -math.inf  # type: ignore[arg-type]


async def test_after_a_flood_a_new_connection_is_polled_for_at_once(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "FLOOD_SECONDS", 3600.0)
    monkeypatch.setattr(watch, "OFFLINE_SECONDS", 3600.0)
    watched.watch._flood_delays = watch.flood_delays()
    watched.matching = set(MANY)
    watched.push(HOT)
    await watched.silent()
    watched.push(COLD)
    watched.inbox.set_connected(True)
    while len(watched.polls) < 3:
        await asyncio.sleep(0.001)


async def test_a_value_that_does_not_fit_is_found_also_when_it_comes_during_the_poll(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "MAX_BYTES", 100)
    polls = 3

    def change() -> None:
        """Let one more Thing match, and push a value that does not fit."""
        thing = MANY[len(watched.matching)]
        watched.matching = {*watched.matching, thing}
        watched.push({"temperature": 10**4000}, [thing])

    watched.during_poll = [change] * (polls - 1)
    change()
    await watched.silent()
    assert watched.value == sorted(by_hash(MANY[:polls]))
    assert (len(watched.polls), watched.asked) == (1 + polls, [])


@pytest.mark.long
@pytest.mark.parametrize(("value", "dropped"), [(HOT, COLD), (COLD, HOT)])
async def test_a_value_is_news_when_another_one_was_dropped_meanwhile(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, value: Any, dropped: Any
) -> None:
    thing, others = MANY[0], MANY[1:6]
    monkeypatch.setattr(inbox_module, "MAX_KEYS", len(others))

    async def push(values: Any, things: Sequence[str]) -> None:
        watched.matching = {thing} if values is HOT else set()
        watched.push(values, things)
        await watched.silent()
        assert watched.value == sorted(by_hash(watched.matching))

    await push(value, [thing])
    await push(dropped, [*others, thing])
    await push(value, [thing])
    await push(dropped, [thing])


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the time stand still, and each random number be the greatest one."""
    monkeypatch.setattr(random, "uniform", lambda least, most: most)
    monkeypatch.setattr(watch, "_now", lambda: 1000.0)


async def test_failed_polls_are_repeated_ever_more_rarely_until_one_succeeds(still: None) -> None:
    made = Watched()
    pauses = [made.watch.pause_after_failure(interval) for interval in (3600.0, 3600.0, 3600.0, 3.0)]
    assert pauses == [1.0, 2.0, 4.0, 3.0]
    made.inbox.poll_due = True
    async for _ in made.watch.events(made, 3600.0, failed=False):  # type: ignore[arg-type]
        pass
    assert made.watch.pause_after_failure(3600.0) == 1.0


async def test_failed_requests_are_repeated_ever_more_rarely_until_one_succeeds(
    still: None, caplog: pytest.LogCaptureFixture
) -> None:
    made, at = Watched(), list[float]()
    fails = [True, True, False, True]

    async def ask(thing_ids: Sequence[str]) -> Sequence[str]:
        if fails.pop(0):
            raise ServerError(503, "", "down")
        return []

    made.watch._ask_service, made.watch._log = ask, logging.getLogger(__name__)  # type: ignore[assignment]
    while fails:
        async for _ in made.watch._ask(made, MANY[:1]):  # type: ignore[arg-type]
            pass
        at.append(made.watch._ask_at)
    assert at == [1001.0, 1002.0, 1000.0 + watch.ASK_SECONDS, 1001.0]
    assert caplog.text.count("request about pushed values failed, retrying in") == 3


async def test_a_request_whose_events_are_outdated_makes_a_poll_due(still: None) -> None:
    for is_outdated in (False, True):
        made = Watched()
        made.is_outdated = is_outdated
        async for _ in made.watch._ask(made, MANY[:1]):  # type: ignore[arg-type]
            pass
        assert made.inbox.poll_due is is_outdated
        assert made.watch.fresh_from == 1000.0


async def test_what_is_pushed_is_compared_five_times_a_second(
    still: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "TAKE_SECONDS", 0.2)
    made = Watched()
    await made.watch._take(made)  # type: ignore[arg-type]
    assert made.watch._take_at == -math.inf
    made.push(HOT, MANY[:1])
    await made.watch._take(made)  # type: ignore[arg-type]
    assert (made.watch._take_at, made.values.due(1000.0)) == (1000.2, MANY[:1])


@pytest.mark.parametrize(
    ("thing_id", "values", "is_put"),
    [
        ("t", HOT, True),
        ("t" * watch.MAX_ID, HOT, True),
        ("t" * (watch.MAX_ID + 1), HOT, False),
        ("", HOT, False),
        ("t", {"other": 1}, False),
    ],
)
async def test_what_a_topic_tells_is_read_for_ids_and_properties_that_count(
    monkeypatch: pytest.MonkeyPatch, thing_id: str, values: Any, is_put: bool
) -> None:
    inbox, given = Inbox(), list[Any]()

    @asynccontextmanager
    async def subscribed(*of: Any) -> Any:
        given.extend(of)
        yield inbox

    async def ask(thing_ids: Sequence[str]) -> Sequence[str]:
        return thing_ids

    monkeypatch.setattr(watch, "subscribed", subscribed)
    names, log = {"space": "s"}, logging.getLogger(__name__)
    async with watch.watch("c", "load", names, {"temperature": "gt:50"}, ask, "payloads", log):  # type: ignore[arg-type]
        key, load, told, read, its_log = given
        assert (key, load, told, its_log) == (("mqtt", "c"), "load", names, log)
        read({"thing_id": thing_id}, values, inbox)
    assert inbox.take() == ({thing_id: values} if is_put else {})


@pytest.mark.parametrize(("is_outdated", "answered"), [(False, True), (True, False)])
async def test_a_poll_answers_only_if_its_state_is_the_stored_one(
    still: None, monkeypatch: pytest.MonkeyPatch, is_outdated: bool, answered: bool
) -> None:
    monkeypatch.setattr(watch, "TAKE_SECONDS", 0.0)
    made = Watched()
    made.push(HOT, MANY[:2])
    await made.watch._take(made)  # type: ignore[arg-type]
    made.watch.fresh_from, made.is_outdated = 1000.0, is_outdated
    made.value = sorted(by_hash(MANY[:1]))
    found: list[Any] = []
    real = PushedValues.answered

    def noted(values: PushedValues, thing_id: str, *, matches: bool, now: float) -> None:
        found.append((thing_id, matches, now))
        real(values, thing_id, matches=matches, now=now)

    monkeypatch.setattr(PushedValues, "answered", noted)
    await made.watch._after_poll(made)  # type: ignore[arg-type]
    assert sorted(found) == ([(MANY[0], True, 1000.0), (MANY[1], False, 1000.0)] if answered else [])
