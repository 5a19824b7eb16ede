"""The monitor of a connection step by step: when it polls and connects again, and what it publishes."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.watchers import monitor as module
from airflow_provider.amigocloud.watchers.monitor import ConnectionMonitor
from airflow_provider.amigocloud.watchers.observations import (
    CREATED,
    FINISHED,
    EventObservation,
    ListObservation,
    ObservedState,
    StateObservation,
)
from airflow_provider.amigocloud.watchers.registry import WatchRegistry
from airflow_provider.errors import (
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    RequestRejectedError,
    ServerError,
)
from airflow_provider.sandbox.amigocloud import seed
from tests.support.fake_clock import set_in_module

ENDED = asyncio.CancelledError
REFUSED = PermissionDeniedError(403, "", "no")


class Hook:
    """A hook whose replies are given; errors among them are raised.

    :param masters: hash of a dataset's state by its id.
    :param replies: what the service answers to other requests, in their order.
    """

    log: Any = logging.getLogger("monitor")
    has_project = True
    retry_limits: Any = None
    is_loaded = False

    def __init__(self, masters: dict[int, Any] | None = None, *replies: Any) -> None:
        self.masters, self.replies = masters or {}, list(replies)

    async def aload(self) -> None:
        """Note that the connection was read aside of the event loop, as `has_project` needs it."""
        self.is_loaded = True

    async def aget_master(self, dataset: int) -> Any:
        return _raise(self.masters[dataset])

    async def asend(self, _: Any) -> Any:
        return _raise(self.replies.pop(0))

    async def aget_job(self, _: str) -> Any:
        return _raise(self.replies.pop(0))


def _raise(value: Any) -> Any:
    if isinstance(value, BaseException):
        raise value
    return value


def monitor_of(hook: Any, registry: WatchRegistry | None = None) -> ConnectionMonitor:
    return ConnectionMonitor(lambda: hook, registry or WatchRegistry(), with_socket=True)


def event(name: str, **payload: Any) -> Any:
    return SimpleNamespace(name=name, brief=lambda: payload)


def published(monitor: ConnectionMonitor) -> list[Any]:
    return [monitor._queue.get_nowait() for _ in range(monitor._queue.qsize())]


async def test_observations_are_counted_for_each_watcher_and_leave_no_work_behind() -> None:
    before = asyncio.all_tasks()
    registry = WatchRegistry()
    monitor = ConnectionMonitor(lambda: Hook({5: "m1"}), registry, with_socket=False)  # type: ignore[arg-type,return-value]
    with registry.register(ObservedState(["realtime"], 5), 3600.0) as request:
        observations = monitor.observations()
        assert await anext(observations) == StateObservation(5, "m1")
        assert request.unread == 1
        await observations.aclose()
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("with_socket", [False, True])
async def test_a_monitor_listens_only_if_it_is_to(monkeypatch: pytest.MonkeyPatch, with_socket: bool) -> None:
    listens = asyncio.Event()

    async def listen(monitor: ConnectionMonitor) -> None:
        listens.set()

    monkeypatch.setattr(ConnectionMonitor, "_listen_forever", listen)
    registry = WatchRegistry()
    monitor = ConnectionMonitor(lambda: Hook({5: "m1"}), registry, with_socket=with_socket)  # type: ignore[arg-type,return-value]
    with registry.register(ObservedState(["realtime"], 5), 3600.0):
        observations = monitor.observations()
        await anext(observations)
        await observations.aclose()
    assert listens.is_set() is with_socket


async def test_failed_polls_are_repeated_ever_more_rarely_with_new_hooks_and_never_after_the_interval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, waited, jitter = [], list[float](), list[tuple[float, float]]()
    polls: list[BaseException | None] = [None, *[ServerError(503)] * 3, None, ServerError(503), ENDED()]

    def new_hook() -> Hook:
        made.append(Hook())
        return made[-1]

    async def poll(_: ConnectionMonitor) -> None:
        _raise(polls.pop(0))

    def timeout(seconds: float) -> Any:
        waited.append(seconds)
        return asyncio.timeout(0)

    def uniform(least: float, most: float) -> float:
        jitter.append((least, most))
        return 0.5

    monkeypatch.setattr(ConnectionMonitor, "_poll", poll)
    monkeypatch.setattr(module, "backoff_delays", lambda first: iter([first, 2 * first, 99.0]))
    set_in_module(monkeypatch, module, "asyncio", timeout=timeout)
    set_in_module(monkeypatch, module, "random", uniform=uniform)
    registry = WatchRegistry()
    monitor = ConnectionMonitor(new_hook, registry, with_socket=False)  # type: ignore[arg-type]
    with registry.register(ObservedState(["realtime"], 5), 30.0), pytest.raises(ENDED):
        await monitor._poll_forever()
    assert waited == [15.0, 1.0, 2.0, 15.0, 15.0, 1.0]
    assert set(jitter) == {(0.9, 1.1)}
    assert len(made) == 1 + 4
    assert {one.retry_limits for one in made} == {module.RETRY_LIMITS}


async def test_a_poll_asks_for_what_is_watched_and_no_more() -> None:
    hook, registry = Hook({5: "m1"}), WatchRegistry()
    monitor = monitor_of(hook, registry)
    jobs = ObservedState([FINISHED], None, {"jobs": {"j": {"job": "j", "a": 1}}})
    with registry.register(ObservedState(["realtime"], 5), 30.0), registry.register(jobs, 30.0):
        hook.replies = [{"status": "SUCCESS"}]
        await monitor._poll()
    assert hook.is_loaded
    assert published(monitor) == [
        StateObservation(5, "m1"),
        EventObservation(FINISHED, {"job": "j", "a": 1}, source="poll"),
    ]
    with registry.register(ObservedState([CREATED], None), 30.0):
        hook.has_project = False
        await monitor._poll()
        assert published(monitor) == []
        hook.has_project, hook.replies = True, [_page([1, 2])]
        await monitor._poll()
    assert published(monitor) == [ListObservation(frozenset({1, 2}))]


def _page(ids: list[int], count: int | None = 2, following: str | None = None) -> Any:
    return SimpleNamespace(decoded=lambda: [{"id": one} for one in ids], count=count, next=following)


async def test_a_list_is_read_in_pages_of_a_hundred_and_is_none_when_it_has_changed_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Any] = []

    def list_page(*of: Any) -> str:
        asked.append(of)
        return "first"

    monkeypatch.setattr(module.api, "list_page", list_page)
    monkeypatch.setattr(module, "follow", lambda call, link: asked.append((call, link)) or link)
    same = monitor_of(Hook({}, _page([1, 2], 3, "second"), _page([3], 3)))
    await same._poll_list(same._hook)
    assert published(same) == [ListObservation(frozenset({1, 2, 3}))]
    assert asked == [("datasets", 100), ("first", "second")]
    changed = monitor_of(Hook({}, _page([1, 2], 3, "second"), _page([3], 4)))
    await changed._poll_list(changed._hook)
    assert published(changed) == []
    circular = monitor_of(Hook({}, _page([1, 2], 3, "second"), _page([1, 2], 3, "second")))
    with pytest.raises(ProviderError, match="circular: after 2 datasets a page holds no new dataset"):
        await circular._poll_list(circular._hook)


@pytest.mark.parametrize("kind", [NotFoundError, PermissionDeniedError])
async def test_after_an_object_that_cannot_be_watched_the_connection_is_read_again(
    kind: type[ProviderError],
) -> None:
    made: list[Hook] = []

    def new_hook() -> Hook:
        made.append(Hook({5: kind(404, "", "no"), 6: "m1"}))
        return made[-1]

    registry = WatchRegistry()
    monitor = ConnectionMonitor(new_hook, registry, with_socket=False)  # type: ignore[arg-type]
    both = (registry.register(ObservedState(["realtime"], dataset), 9.0) for dataset in (5, 6))
    with next(both), next(both):
        await monitor._poll()
    assert published(monitor) == [StateObservation(6, "m1")]
    assert (len(made), monitor._hook is made[1]) == (2, True)


async def test_a_job_that_has_ended_meanwhile_is_not_asked_for() -> None:
    monitor = monitor_of(Hook())
    await monitor._poll_job(monitor._hook, "j", {})
    assert published(monitor) == []


class Socket:
    """Stands in for a connection: each one fails, some after a while."""

    def __init__(self, opened: list[int], outcomes: list[tuple[float, BaseException]], clock: Any) -> None:
        self.opened, self.outcomes, self.clock = opened, outcomes, clock

    def __call__(self, _: Any, protocol: int) -> Socket:
        self.opened.append(protocol)
        return self

    async def __aenter__(self) -> Socket:
        return self

    async def __aexit__(self, *_: object) -> None:
        seconds, error = self.outcomes.pop(0)
        self.clock.now += seconds
        raise error


async def test_a_broken_connection_is_made_again_ever_more_rarely_until_one_was_stable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken, old = ConnectionError("broken"), RequestRejectedError(400, "", "protocol")
    other = RequestRejectedError(422, "", "no")
    outcomes: list[tuple[float, BaseException]] = [
        *((0.0, broken), (1.0, old), (10.0, other), (10.1, old), (0.0, broken), (0.0, ENDED())),
    ]
    opened, slept, made = list[int](), list[float](), list[Hook]()
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: clock.now)

    def new_hook() -> Hook:
        made.append(Hook())
        return made[-1]

    async def load() -> None:
        """Import nothing."""

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def listen(*_: Any) -> None:
        """Hear nothing."""

    monkeypatch.setattr(module, "EventSocket", Socket(opened, outcomes, clock))
    monkeypatch.setattr(module, "load_client", load)
    monkeypatch.setattr(ConnectionMonitor, "_listen", listen)
    monkeypatch.setattr(module, "backoff_delays", lambda: iter([1.0, 2.0, 4.0, 8.0]))
    set_in_module(monkeypatch, module, "asyncio", sleep=sleep)
    monitor = ConnectionMonitor(new_hook, WatchRegistry(), with_socket=True)  # type: ignore[arg-type]
    with pytest.raises(ENDED):
        await monitor._listen_forever()
    monkeypatch.undo()
    assert opened == [3, 3, 4, 4, 3, 3]
    assert slept == [1.0, 2.0, 4.0, 1.0, 2.0]
    assert len(made) == 1 + 5


async def test_each_dataset_is_subscribed_to_once_and_a_poll_is_due_then() -> None:
    asked: list[tuple[int, ...]] = []

    async def authenticate(*of: int) -> None:
        asked.append(of)
        if of[1:] == (6,):
            raise REFUSED

    async def until(condition: Callable[[], object]) -> None:
        while not condition():
            await asyncio.sleep(0)

    registry = WatchRegistry()
    monitor = monitor_of(Hook({}, {"id": "7"}), registry)
    with registry.register(ObservedState(["realtime"], 5), 9.0):
        registry.poll_due.clear()
        work = asyncio.create_task(monitor._subscribe(SimpleNamespace(authenticate=authenticate)))  # type: ignore[arg-type]
        await until(lambda: registry.poll_due.is_set())
        assert asked == [(7,), (7, 5)]
        for dataset in (6, 8):
            with registry.register(ObservedState(["realtime"], dataset), 9.0):
                await until(lambda dataset=dataset: asked[-1] == (7, dataset))  # type: ignore[misc]
                await until(lambda: registry.watcher_added._waiters)  # type: ignore[attr-defined]
        assert not work.done()
        work.cancel()
        with suppress(ENDED):
            await work
    assert asked == [(7,), (7, 5), (7, 6), (7, 8)]


async def test_an_event_of_a_watched_dataset_has_its_state_and_when_that_was_asked_for() -> None:
    registry = WatchRegistry()
    monitor = monitor_of(Hook({5: "m1"}), registry)
    before = asyncio.get_running_loop().time()
    with registry.register(ObservedState(["*"], 5), 9.0):
        await monitor._publish(event("realtime", dataset_id=5))
        await monitor._publish(event("realtime", dataset_id=6))
        await monitor._publish(event("project:deleted"))
    found = published(monitor)
    assert found == [
        EventObservation("realtime", {"dataset_id": 5}, "m1"),
        EventObservation("realtime", {"dataset_id": 6}),
        EventObservation("project:deleted", {}),
    ]
    assert all(before <= one.asked <= asyncio.get_running_loop().time() for one in found)


@pytest.mark.parametrize(("name", "fires"), [("realtime", False), ("dataset:style_updated", True)])
async def test_without_the_state_of_its_dataset_an_event_fires_unless_a_poll_finds_its_change(
    name: str, fires: bool
) -> None:
    registry = WatchRegistry()
    monitor = monitor_of(Hook({5: REFUSED}), registry)
    with registry.register(ObservedState(["*"], 5), 9.0):
        registry.poll_due.clear()
        await monitor._publish(event(name, dataset_id=5))
        assert registry.poll_due.is_set()
    assert published(monitor) == ([EventObservation(name, {"dataset_id": 5})] if fires else [])


def test_a_payload_has_twenty_entries_with_texts_of_two_hundred_characters() -> None:
    found = module._clean_payload({f"{number}" + "n" * 300: "x" * 300 for number in range(21)})
    assert [*found] == [f"{number}" + "n" * (200 - len(f"{number}")) for number in range(20)]
    assert set(found.values()) == {"x" * 200}
    assert module._clean_payload({"a": 7, "b": None, "c": True}) == {"a": 7, "b": None, "c": True}


async def test_of_a_text_with_many_secrets_none_is_shown_in_part(sandbox: Any) -> None:
    hook = AmigoCloudHook()
    await hook.aget_master(1)  # the first request makes the token known as a secret
    for many in (1, 5, 30, 100):
        for before in range(len(seed.USER_TOKEN) + 1):
            text = "x" * before + f" {seed.USER_TOKEN}" * many
            assert module._clean(text) == ("x" * before + " ***" * many)[:200]


async def test_the_error_of_a_cancelled_task_is_not_reported_once_more() -> None:
    reported: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

    async def fail() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ServerError(500, "", "logged before")

    task = asyncio.ensure_future(fail())
    await asyncio.sleep(0)
    await module._cancel(task)
    del task
    gc.collect()
    assert reported == []
