"""Polls that the waiting triggers of a workspace share."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any
from unittest.mock import AsyncMock

import pytest

from airflow_provider.core.http import rate_limit
from airflow_provider.core.shared_polls import WOKEN_AT_ONCE
from airflow_provider.errors import InputError, TransportError
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.runs import shared_poll
from airflow_provider.leanix.runs.shared_poll import RunWaiter, _RunListPoller
from airflow_provider.leanix.triggers import LeanIXRunTrigger
from tests.support.loop_turns import LoopTurns, counted_turns
from tests.support.task_runner import first_event
from tests.unit.leanix.started_runs import OUTBOUND, started, trigger_for, wait_for_all

LIST = "leanix GET /services/integration-api/v1/synchronizationRuns"


def test_many_waiting_triggers_share_one_list_a_tick(leanix: Any, sandbox: Any) -> None:
    leanix.run_seconds = 1.0
    ids = started(40)
    sandbox.counters.clear()

    events = wait_for_all(ids, poll_interval=0.3)
    assert {event["run_status"] for event in events} == {"FINISHED"}
    assert {event["run_id"] for event in events} == set(ids)
    assert sandbox.counters.total("GET /services/integration-api/v1/synchronizationRuns") <= 20
    assert sandbox.counters.tokens_issued["leanix"] <= 1


def test_a_run_in_progress_wakes_no_trigger_between_two_polls(
    leanix: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    leanix.run_seconds = 60.0
    ids = started(40)
    polls: Counter[str] = Counter()
    real = LeanIXRunTrigger.poll

    async def counted(trigger: LeanIXRunTrigger) -> Any:
        polls[trigger.run_id] += 1
        return await real(trigger)

    async def wait() -> list[dict[str, Any]]:
        tasks = [asyncio.create_task(first_event(trigger_for(one, poll_interval=0.05))) for one in ids]
        while sandbox.counters.requests[LIST] <= 5:
            await asyncio.sleep(0.01)
        sandbox.clock.advance(61)
        return await asyncio.gather(*tasks)

    monkeypatch.setattr(LeanIXRunTrigger, "poll", counted)
    sandbox.counters.clear()
    assert {event["run_status"] for event in asyncio.run(wait())} == {"FINISHED"}
    # The first four poll their own runs before the fifth is registered.
    assert sorted(polls.values())[:-4] == [1] * 36


def test_the_fifth_waiter_reads_the_list_and_is_woken_by_the_end_of_its_run_only(
    leanix: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    leanix.stuck_in = "IN_PROGRESS"
    ids = started(7)
    polled: list[str] = []
    real = LeanIXHook.aget_run_status

    async def single(hook: LeanIXHook, run_id: str) -> str:
        polled.append(run_id)
        return await real(hook, run_id)

    async def wait() -> list[asyncio.Task[str]]:
        waiters = [shared_poll.RunWaiter(one, 0.01) for one in ids]
        tasks = [asyncio.create_task(shared_poll.poll_run_status("leanix_default", one)) for one in waiters]
        while sandbox.counters.requests[LIST] < 5:
            await asyncio.sleep(0.001)
        assert [task.done() for task in tasks[4:]] == [False] * 3
        leanix.machine.stop(leanix.machine.runs[ids[4]], leanix.now())
        assert await tasks[4] == "STOPPED"
        for task in tasks:
            task.cancel()
        return tasks

    monkeypatch.setattr(LeanIXHook, "aget_run_status", single)
    sandbox.counters.clear()
    tasks = asyncio.run(wait())
    assert sorted(polled) == sorted(ids[:4])
    assert [task.result() for task in tasks[:4]] == ["IN_PROGRESS"] * 4
    assert [task.cancelled() for task in tasks[5:]] == [True] * 2


def test_polls_of_the_list_become_rarer_down_to_the_interval_of_the_most_frequent_waiter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared_poll.random, "uniform", lambda least, most: most)
    poller = shared_poll._RunListPoller("c")
    assert poller._next_interval() == 0
    quick, slow = (shared_poll.RunWaiter("r", seconds, pause=1.0) for seconds in (2.0, 60.0))
    poller._futures = dict.fromkeys((slow, quick))  # type: ignore[arg-type]
    pauses = [poller._next_interval() for _ in range(4)]
    assert pauses == pytest.approx([1.1, 1.65, 2.2, 2.2])
    del poller._futures[quick]
    assert poller._next_interval() == pytest.approx(1.1 * 1.5**4)
    monkeypatch.setattr(shared_poll.random, "uniform", lambda least, most: least)
    assert poller._next_interval() == pytest.approx(0.9 * 1.5**5)


@pytest.mark.parametrize(
    ("waiters", "rows", "cheaper"),
    [(4, 0, False), (5, 2500, True), (5, 2501, False), (101, 50_000, True), (101, 50_001, False)],
)
def test_the_list_is_read_while_it_costs_less_than_single_polls(
    waiters: int, rows: int, cheaper: bool
) -> None:
    poller = shared_poll._RunListPoller("c")
    held = [shared_poll.RunWaiter(str(number), 1.0) for number in range(waiters)]
    poller.waiters.update(held)
    poller._rows = rows
    assert poller.list_is_cheaper() is cheaper


@pytest.mark.slow
def test_a_late_waiter_does_not_wait_for_the_interval_of_slow_waiters(leanix: Any, sandbox: Any) -> None:
    leanix.run_seconds = 0.0
    (late,) = started()
    leanix.stuck_in = "IN_PROGRESS"
    slow = [trigger_for(one, seconds=90, poll_interval=60) for one in started(8)]

    async def wait() -> dict[str, Any]:
        tasks = [asyncio.create_task(first_event(one)) for one in slow]
        while sandbox.counters.requests[LIST] < 1:
            await asyncio.sleep(0.01)
        loop = asyncio.get_running_loop()
        while shared_poll._pollers[loop]["leanix_default"]._due < loop.time() + 30:
            for one in slow:
                one._waiter.pause = 60.0  # as after some minutes
            await asyncio.sleep(0.01)
        async with asyncio.timeout(10):
            event = await first_event(trigger_for(late))
        for task in tasks:
            task.cancel()
        return event

    assert asyncio.run(wait())["run_status"] == "FINISHED"


@pytest.mark.parametrize(
    ("problem", "ends"),
    [(RuntimeError("the API server is restarting"), "done"), (InputError("no host"), "error")],
)
def test_a_connection_that_cannot_be_reloaded_ends_a_waiter_only_if_it_is_invalid(
    leanix: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch, problem: Exception, ends: str
) -> None:
    monkeypatch.setattr(shared_poll, "_HOOK_MAX_AGE", 0.0)
    leanix.run_seconds = 60.0
    (run_id,) = started()
    real, reads = LeanIXHook.aload, []

    async def flaky(hook: LeanIXHook) -> Any:
        if "settings" not in vars(hook):
            reads.append(1)
            if len(reads) > 1:
                sandbox.clock.advance(
                    61
                )  # The run has ended when it is asked for with the connection as it was.
                raise problem
        return await real(hook)

    monkeypatch.setattr(LeanIXHook, "aload", flaky)
    assert asyncio.run(first_event(trigger_for(run_id)))["status"] == ends
    assert len(reads) > 1


def test_a_connection_that_was_never_loaded_ends_the_wait_with_the_reason(
    leanix: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run_id,) = started()

    async def restarting(hook: LeanIXHook) -> Any:
        raise RuntimeError("the API server is restarting")

    monkeypatch.setattr(LeanIXHook, "aload", restarting)
    event = asyncio.run(first_event(trigger_for(run_id)))
    assert event["status"] == "error"
    assert "RuntimeError: the API server is restarting" in event["args"][0]


def test_a_trigger_that_ends_early_leaves_the_list_to_the_others(leanix: Any, sandbox: Any) -> None:
    leanix.run_seconds = 60.0
    ids = started(12)

    async def wait() -> list[dict[str, Any]]:
        tasks = [asyncio.create_task(first_event(trigger_for(one))) for one in ids]
        while sandbox.counters.requests[LIST] < 2:
            await asyncio.sleep(0.01)
        for task in tasks[:6]:
            task.cancel()
        sandbox.clock.advance(61)
        return await asyncio.gather(*tasks[6:])

    assert {event["run_status"] for event in asyncio.run(wait())} == {"FINISHED"}


@pytest.mark.parametrize(("times", "ends"), [(3, "done"), (None, "error")])
def test_a_list_that_cannot_be_read_is_tolerated_by_all_for_a_while(
    leanix: Any, sandbox: Any, times: int | None, ends: str
) -> None:
    leanix.run_seconds = 0.5 if times else 60
    ids = started(12)
    sandbox.faults.add("html", status=502, path="/(synchronizationRuns|status)$", method="GET", times=times)
    assert {event["status"] for event in wait_for_all(ids)} == {ends}


def test_a_list_that_is_refused_ends_all_at_once(leanix: Any, sandbox: Any) -> None:
    leanix.run_seconds = 60
    ids = started(12)
    fault = sandbox.faults.add("status", status=403, path="/(synchronizationRuns|status)$", times=None)
    events = wait_for_all(ids)
    assert {(event["status"], event["type"]) for event in events} == {("error", "PermissionDeniedError")}
    assert fault.hits <= len(ids)


class StandInHook:
    """Hook whose run list is given."""

    def __init__(self, statuses: dict[str, str] | Exception) -> None:
        self.statuses = statuses

    async def asend(self, _: Any) -> dict[str, str]:
        if isinstance(self.statuses, Exception):
            raise self.statuses
        return self.statuses


@pytest.mark.parametrize("failure", [None, TransportError("no")])
async def test_runs_that_end_together_wake_their_triggers_in_groups(
    monkeypatch: pytest.MonkeyPatch, failure: Exception | None
) -> None:
    waiters = [RunWaiter(f"r{number}", 1.0) for number in range(1000)]
    hook = StandInHook(failure or {waiter.run_id: "FINISHED" for waiter in waiters})
    poller = _RunListPoller("leanix_default")
    poller.waiters.update(waiters)
    monkeypatch.setattr(poller, "hook", AsyncMock(return_value=hook))

    async def wait(waiter: RunWaiter, turns: LoopTurns) -> str:
        try:
            return await poller.status_from_list(waiter)
        finally:
            turns.record()

    async with counted_turns() as turns:
        found = await asyncio.gather(*(wait(one, turns) for one in waiters), return_exceptions=True)
    assert set(found) == {failure or "FINISHED"}
    assert turns.most <= WOKEN_AT_ONCE


async def test_a_trigger_that_comes_while_others_get_an_error_reads_the_list_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiters = [RunWaiter(f"r{number}", 1.0) for number in range(1000)]
    hook = StandInHook(TransportError("no"))
    poller = _RunListPoller("leanix_default")
    poller.waiters.update(waiters)
    monkeypatch.setattr(poller, "hook", AsyncMock(return_value=hook))

    async def wait_twice(waiter: RunWaiter) -> str:
        with pytest.raises(TransportError):
            await poller.status_from_list(waiter)
        hook.statuses = {one.run_id: "FINISHED" for one in waiters}
        return await poller.status_from_list(waiter)

    assert set(await asyncio.gather(*map(wait_twice, waiters))) == {"FINISHED"}
    assert poller._task is None or poller._task.done()


async def test_the_list_is_read_ever_more_rarely_and_a_new_waiter_is_noticed_within_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared_poll.random, "uniform", lambda least, most: 1.0)
    waiters = [RunWaiter(f"r{number}", 3.0) for number in range(5)]
    hook = StandInHook({waiter.run_id: "IN_PROGRESS" for waiter in waiters})
    poller, loop = _RunListPoller("leanix_default"), asyncio.get_running_loop()
    poller.waiters.update(waiters)
    now, steps, polls = 1000.0, [], []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        nonlocal now
        is_own = asyncio.get_running_loop() is loop  # and not that of a sandbox, in its thread
        if is_own:
            steps.append(seconds)
            now += seconds
        await real(0 if is_own else seconds)

    async def load() -> StandInHook:
        polls.append(now)
        if len(polls) == 6:
            hook.statuses = {waiter.run_id: "FINISHED" for waiter in waiters}
        return hook

    monkeypatch.setattr(loop, "time", lambda: now)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(poller, "hook", load)
    found = await asyncio.gather(*(poller.status_from_list(one) for one in waiters))
    monkeypatch.undo()
    assert set(found) == {"FINISHED"}
    assert [poll - polls[0] for poll in polls] == [0, 1, 2.5, 4.75, 7.75, 10.75]
    assert max(steps) == 1


def test_few_waiting_triggers_do_not_read_the_list(leanix: Any, sandbox: Any) -> None:
    (run_id,) = started()
    sandbox.counters.clear()
    asyncio.run(first_event(trigger_for(run_id)))
    assert sandbox.counters.requests[LIST] == 0


def test_run_that_the_list_does_not_show_is_polled_itself(leanix: Any) -> None:
    leanix.run_seconds = 0.2
    ids = started(8)
    leanix.hidden_runs = set(ids)

    assert {event["run_status"] for event in wait_for_all(ids)} == {"FINISHED"}


def test_a_list_that_is_too_long_is_read_once_and_runs_are_polled_at_a_limited_rate(
    leanix: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_poll, "_MAX_LIST_ROWS", 10)
    monkeypatch.setattr(shared_poll, "_STATUS_POLLS_PER_SECOND", 200.0)
    monkeypatch.setattr(rate_limit, "_budgets", {})
    leanix.run_seconds = 0.5
    ids = started(12)
    sandbox.counters.clear()
    assert {event["run_status"] for event in wait_for_all(ids, poll_interval=0.2)} == {"FINISHED"}
    assert sandbox.counters.requests[LIST] == 1
    assert sandbox.counters.total("/status") >= 12


def test_polls_of_single_runs_never_exceed_their_rate(leanix: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_poll, "_STATUS_POLLS_PER_SECOND", 10.0)
    monkeypatch.setattr(shared_poll, "_MAX_SINGLE_POLLS", 100)
    monkeypatch.setattr(rate_limit, "_budgets", {})
    ids = started(12)
    begun = time.monotonic()
    wait_for_all(ids)
    assert time.monotonic() - begun > 1.0


@pytest.mark.slow
def test_a_thousand_waiting_triggers_cost_a_few_requests_and_one_token(leanix: Any, sandbox: Any) -> None:
    leanix.run_seconds = 2.0
    configuration = next(iter(leanix.configurations.values()))
    ids = []
    for _ in range(1000):
        run = leanix.create(OUTBOUND, configuration)
        leanix.machine.start(run, leanix.now())
        ids.append(run.id)

    async def main() -> list[dict[str, Any]]:
        await LeanIXHook().aget_run_status(ids[0])  # loads what a triggerer has loaded long before
        sandbox.counters.clear()
        tasks = []
        for one in ids:
            await asyncio.sleep(0)  # as a triggerer makes triggers
            tasks.append(asyncio.create_task(first_event(trigger_for(one, poll_interval=0.5))))
        return await asyncio.gather(*tasks)

    assert {event["run_status"] for event in asyncio.run(main())} == {"FINISHED"}
    assert sandbox.counters.total() < 50
    assert sandbox.counters.tokens_issued["leanix"] <= 1
