"""Waiting for a run: the deadline, the run that is stopped at it, and results that come late."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from airflow_provider.core import polling
from airflow_provider.errors import RunFailedError, ServerError
from airflow_provider.leanix.runs import wait
from tests.support.fake_clock import FakeClock


class Hook:
    """A hook whose replies are given; errors among them are raised.

    :param statuses: what the service answers to each poll.
    :param stopped: what it answers to a stop.
    :param results: what it answers to each request for results.
    """

    log: Any = logging.getLogger("wait")

    def __init__(self, *statuses: Any, stopped: Any = True, results: tuple[Any, ...] = ()) -> None:
        self.statuses, self.stopped, self.results = list(statuses), stopped, list(results)
        self.deadlines: list[float] = []
        self.asked: list[tuple[Any, ...]] = []

    @contextmanager
    def until(self, deadline: float) -> Iterator[None]:
        self.deadlines.append(deadline)
        yield

    def get_run_status(self, _: str) -> str:
        return str(_raise(self.statuses.pop(0)))

    def stop_run(self, _: str) -> bool:
        return bool(_raise(self.stopped))

    def download_results(self, *given: Any, **options: Any) -> Any:
        self.asked.append((*given, options))
        return self.results.pop(0)


def _raise(value: Any) -> Any:
    if isinstance(value, Exception):
        raise value
    return value


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    fake = FakeClock()
    monkeypatch.setattr(wait, "clock", fake)
    monkeypatch.setattr(polling, "clock", fake)
    monkeypatch.setattr(wait, "sleep", fake.sleep)
    return fake


DOWN = ServerError(503, "", "down")


@pytest.mark.parametrize(
    ("hook", "status", "reason"),
    [
        (Hook("IN_PROGRESS", "STOPPED"), "STOPPED", "it was IN_PROGRESS at the deadline; it was stopped"),
        (
            Hook("IN_PROGRESS", "IN_PROGRESS", "PENDING", "STOPPED"),
            "STOPPED",
            "it was IN_PROGRESS at the deadline; it was stopped",
        ),
        (
            Hook("PENDING", *["IN_PROGRESS"] * 99),
            "IN_PROGRESS",
            "it was PENDING at the deadline; the stop was accepted, but 3 s later it was IN_PROGRESS",
        ),
        (
            Hook("IN_PROGRESS", "IN_PROGRESS", stopped=False),
            "IN_PROGRESS",
            "it was IN_PROGRESS at the deadline; it could not be stopped",
        ),
        (
            Hook(*[DOWN] * 99),
            "STOPPED",
            "it was UNKNOWN at the deadline; it was stopped, but its status cannot be read",
        ),
        (
            Hook("IN_PROGRESS", stopped=DOWN),
            "IN_PROGRESS",
            "it was IN_PROGRESS at the deadline; it could not be stopped: ",
        ),
        (
            Hook(DOWN, stopped=DOWN),
            "UNKNOWN",
            "it was UNKNOWN at the deadline; it could not be stopped: ",
        ),
    ],
)
def test_a_run_that_has_not_ended_at_the_deadline_is_stopped(
    clock: FakeClock, hook: Hook, status: str, reason: str
) -> None:
    with pytest.raises(RunFailedError) as caught:
        wait.stop_at_deadline(hook, "r")  # type: ignore[arg-type]
    assert (caught.value.run_id, caught.value.status) == ("r", status)
    assert reason in str(caught.value)
    assert len(hook.deadlines) == 2
    assert clock.now <= hook.deadlines[0] == hook.deadlines[1] == 1003.0


def test_a_run_that_ends_at_the_deadline_is_not_stopped(clock: FakeClock) -> None:
    assert wait.stop_at_deadline(Hook("FINISHED", stopped=DOWN), "r") == "FINISHED"  # type: ignore[arg-type]
    between = Hook("IN_PROGRESS", "FAILED", stopped=False)
    assert wait.stop_at_deadline(between, "r") == "FAILED"  # type: ignore[arg-type]
    stopped = Hook("IN_PROGRESS", "STOPPED", stopped=False)
    assert wait.stop_at_deadline(stopped, "r") == "STOPPED"  # type: ignore[arg-type]
    late = Hook("IN_PROGRESS", "IN_PROGRESS", "FINISHED", stopped=True)
    assert wait.stop_at_deadline(late, "r") == "FINISHED"  # type: ignore[arg-type]


def test_an_unknown_status_is_logged_once() -> None:
    logged: set[str] = set()
    lines: list[Any] = []
    for status in ("ODD", "ODD", "FINISHED", "STRANGE"):
        wait.warn_of_unknown_status(status, logged, lambda *line: lines.append(line), "r")
    assert [line[1:] for line in lines] == [("r", "ODD"), ("r", "STRANGE")]


def test_a_run_is_polled_until_it_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    polls: list[Any] = []

    def wait_for(poll: Any, **options: Any) -> Any:
        polls.append(options)
        while (found := poll()) is None:
            pass
        return found

    monkeypatch.setattr(wait, "wait_for", wait_for)
    hook = Hook("CREATED", "IN_PROGRESS", "ODD", "STOPPED")
    assert wait.wait_until_over(hook, "r", deadline=5.0, poll_interval=2.0) == "STOPPED"  # type: ignore[arg-type]
    assert hook.deadlines == [5.0]
    assert polls == [{"deadline": 5.0, "poll_interval": 2.0, "log": hook.log}]


def download(hook: Hook, seconds: float = 10.0, required: bool = True) -> Any:
    return wait.download_results(
        hook,  # type: ignore[arg-type]
        "r",
        "out.jsonl",
        "jsonl",
        seconds=seconds,
        required=required,
        ldif_path="l",
    )


def test_results_that_come_late_are_asked_for_until_the_time_is_over(clock: FakeClock) -> None:
    hook = Hook(results=(None, None, {"rows": 1}))
    assert download(hook) == {"rows": 1}
    assert hook.asked[0] == (
        "r",
        "out.jsonl",
        {"output_format": "jsonl", "ldif_path": "l", "report": None},
    )
    assert len(clock.slept) == 2
    began = clock.now
    with pytest.raises(RunFailedError, match=r"no results after 10 s, and nothing was written to out.jsonl"):
        download(Hook(results=(None,) * 50))
    assert clock.now == pytest.approx(began + 10)
    assert max(clock.slept) <= 5.0
    assert download(Hook(results=(None,) * 50), required=False) is None
    assert download(Hook(results=(None,)), seconds=0.0, required=False) is None


def test_results_are_asked_for_every_five_seconds_at_last(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda *_: 1.0)
    assert download(Hook(results=(None,) * 50), seconds=60.0, required=False) is None
    assert clock.slept[0] == 1.0
    assert max(clock.slept) == 5.0


def test_seconds_are_bounded(clock: FakeClock) -> None:
    assert [wait.results_seconds(clock.now + left) for left in (100, 60, 30, 5, 1, -9)] == [
        60,
        60,
        30,
        5,
        5,
        5,
    ]
    assert wait.deadline_after(7) == clock.now + 7


def test_a_run_that_is_being_stopped_is_polled_at_least_twice_a_second(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda *_: 1.0)
    hook = Hook(*["IN_PROGRESS"] * 6, "FAILED", DOWN)
    assert wait.status_after_stop(hook, "r", clock.now + 60) == "FAILED"  # type: ignore[arg-type]
    assert clock.slept == [0.5] * 6
    assert hook.statuses == [DOWN]


def test_the_last_pause_before_results_ends_at_their_deadline(clock: FakeClock) -> None:
    assert download(Hook(results=(None, None)), seconds=0.25, required=False) is None
    assert clock.slept == [0.25]


def test_the_report_of_the_results_is_passed_on_and_a_long_path_is_cut(clock: FakeClock) -> None:
    hook, report = Hook(results=(None,)), object()
    path = "x" * 300
    with pytest.raises(RunFailedError) as caught:
        wait.download_results(
            *(hook, "r", path, None),  # type: ignore[arg-type]
            seconds=0.0,
            required=True,
            report=report,  # type: ignore[arg-type]
        )
    assert hook.asked == [("r", path, {"output_format": None, "ldif_path": None, "report": report})]
    assert (caught.value.run_id, caught.value.status) == ("r", "FINISHED")
    reason = f"it has no results after 0 s, and nothing was written to {'x' * 200}"
    assert caught.value.args[2] == f"{reason}; 'allow_no_results' accepts that"
