"""The trigger that waits for a run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

import pytest

from airflow_provider.core import polling
from airflow_provider.leanix.runs.wait import warn_of_unknown_status
from airflow_provider.leanix.triggers import LeanIXRunTrigger
from tests.support.fake_clock import FakeClock
from tests.support.task_runner import first_event
from tests.unit.leanix.started_runs import started, trigger_for

T = TypeVar("T")


async def within(seconds: float, work: Awaitable[T]) -> T:
    async with asyncio.timeout(seconds):
        return await work


def test_trigger_serialises_ids_deadline_and_interval_only(leanix: Any) -> None:
    _, arguments = trigger_for("r1").serialize()
    assert set(arguments) == {
        "leanix_conn_id",
        "run_id",
        "deadline",
        "poll_interval",
        "results_seconds",
    }


def test_trigger_fires_when_the_run_is_over(leanix: Any) -> None:
    leanix.run_seconds = 0.2
    (run_id,) = started()
    event = asyncio.run(first_event(trigger_for(run_id)))
    assert event == {"status": "done", "run_id": run_id, "run_status": "FINISHED"}


@pytest.mark.parametrize(("results_seconds", "come"), [(60.0, True), (0.1, False)])
def test_trigger_fires_when_the_results_have_come_or_are_late(
    leanix: Any, sandbox: Any, results_seconds: float, come: bool
) -> None:
    leanix.results_delay = float("inf")
    (run_id,) = started()
    sandbox.counters.clear()
    trigger = trigger_for(run_id, poll_interval=0.02, results_seconds=results_seconds)

    async def wait() -> dict[str, Any]:
        waiting = asyncio.create_task(first_event(trigger))
        while come and sandbox.counters.total("/resultsUrl") < 2:
            await asyncio.sleep(0.005)
        leanix.results_delay = 0.0 if come else float("inf")
        return await waiting

    assert asyncio.run(wait()) == {"status": "done", "run_id": run_id, "run_status": "FINISHED"}
    assert sandbox.counters.total("/resultsUrl") >= 2


def test_results_without_a_link_are_there_when_the_api_has_them(leanix: Any, sandbox: Any) -> None:
    leanix.has_results_url = False
    (run_id,) = started()
    trigger = trigger_for(run_id, poll_interval=0.02, results_seconds=3600.0)
    assert asyncio.run(within(30, first_event(trigger)))["run_status"] == "FINISHED"
    assert sandbox.counters.total("/results") == 2  # The link, and the results themselves.


def test_results_that_cannot_be_polled_are_waited_for(leanix: Any, sandbox: Any) -> None:
    (run_id,) = started()
    fault = sandbox.faults.add("html", status=502, path="/resultsUrl$", times=8)
    trigger = trigger_for(run_id, poll_interval=0.02, results_seconds=10.0)
    event = asyncio.run(first_event(trigger))
    assert event == {"status": "done", "run_id": run_id, "run_status": "FINISHED"}
    assert fault.hits == 8


def test_an_unknown_status_adds_no_line_to_the_log() -> None:
    lines: list[str] = []
    warn_of_unknown_status(
        "NEW\n2026 INFO done ::group::x" + "y" * 9000, set(), lambda text, *of: lines.append(text % of), "r"
    )
    (line,) = lines
    assert line.isprintable()
    assert "::group::" not in line
    assert len(line) < 500


def test_an_unknown_status_is_logged_once_and_polled_further(
    leanix: Any, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    leanix.run_seconds, leanix.shown_status = 0.2, "REINDEXING"
    (run_id,) = started()
    event = asyncio.run(first_event(trigger_for(run_id, poll_interval=0.02)))
    assert event["run_status"] == "FINISHED"
    logged = caplog.text + "".join(capsys.readouterr())
    assert logged.count(f"Run {run_id} has the unknown status REINDEXING") == 1


def test_deadline_is_kept_over_a_restart_of_the_triggerer(leanix: Any) -> None:
    leanix.stuck_in = "IN_PROGRESS"
    (run_id,) = started()
    first = trigger_for(run_id, seconds=0.5)
    _, arguments = first.serialize()
    with pytest.raises(TimeoutError):
        asyncio.run(within(0.3, first_event(first)))
    assert asyncio.run(first_event(LeanIXRunTrigger(**arguments))) == {
        "run_id": run_id,
        "status": "timeout",
    }
    assert arguments["deadline"] == first.deadline
    assert leanix.runs[0].status == "IN_PROGRESS"


def test_kill_stops_the_run_once_and_cleanup_does_not(leanix: Any, sandbox: Any) -> None:
    leanix.stuck_in = "PENDING"
    (run_id,) = started()
    trigger = trigger_for(run_id)
    asyncio.run(trigger.cleanup())
    assert leanix.live_runs
    asyncio.run(trigger.on_kill())
    assert leanix.runs[0].status == "STOPPED"
    asyncio.run(trigger.on_kill())
    assert sandbox.counters.total("/stop") == 2
    assert leanix.runs[0].status == "STOPPED"


@pytest.mark.parametrize("ending", ["FAILED", "STOPPED"])
def test_the_results_of_a_run_that_did_not_finish_are_not_waited_for(
    leanix: Any, sandbox: Any, ending: str
) -> None:
    leanix.ending, leanix.results_delay = ending, float("inf")
    (run_id,) = started()
    sandbox.counters.clear()
    event = asyncio.run(first_event(trigger_for(run_id, results_seconds=60.0)))
    assert event == {"status": "done", "run_id": run_id, "run_status": ending}
    assert sandbox.counters.total("results") == 0


def test_without_seconds_for_them_results_are_not_asked_for(leanix: Any, sandbox: Any) -> None:
    leanix.results_delay = float("inf")
    (run_id,) = started()
    sandbox.counters.clear()
    event = asyncio.run(first_event(trigger_for(run_id)))
    assert event == {"status": "done", "run_id": run_id, "run_status": "FINISHED"}
    assert sandbox.counters.total("results") == 0


def test_results_are_late_at_their_own_deadline_and_the_run_is_not_polled_again(
    leanix: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    monkeypatch.setattr(polling, "clock", clock)
    leanix.results_delay = float("inf")
    (run_id,) = started()
    sandbox.counters.clear()
    trigger = trigger_for(run_id, results_seconds=10.0)

    async def poll() -> list[Any]:
        found = []
        for seconds in (0.0, 9.99, 0.01):
            clock.now += seconds
            found.append(await trigger.poll())
        return found

    assert asyncio.run(poll()) == [None, None, {"run_status": "FINISHED"}]
    assert sandbox.counters.total("/status") == 1


def test_an_error_of_the_results_is_left_to_the_task(leanix: Any, sandbox: Any) -> None:
    (run_id,) = started()
    fault = sandbox.faults.add("status", status=403, path="/resultsUrl$", times=None)
    event = asyncio.run(first_event(trigger_for(run_id, results_seconds=60.0)))
    assert (event["status"], event["run_status"], fault.hits) == ("done", "FINISHED", 1)
