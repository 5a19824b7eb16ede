"""Stateful test: any order of crashes, lost replies, failed polls, kills, clears and triggerer restarts.

Invariants: never two live runs, no hang past the deadline, no success of a failed run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from airflow.sdk._shared.secrets_masker import _secrets_masker
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from airflow_provider.core.state.submission import Submission
from airflow_provider.errors import ProviderError
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.operators import LeanIXRunOperator
from airflow_provider.sandbox import Sandbox
from tests.support.airflow_names import TaskDeferred
from tests.support.hypothesis_sizes import examples
from tests.support.task_runner import TaskRunner, first_event, rebuild_trigger

from ..conftest import OUTBOUND

STEPS = [
    (Submission, "intend"),
    (Submission, "created"),
    (Submission, "renew"),
    (Submission, "finished"),
    (LeanIXHook, "create_run"),
    (LeanIXHook, "start_run"),
    (LeanIXHook, "get_run_stats"),
]
FAULTS = [
    ("reset_after", "POST", r"/synchronizationRuns$"),
    ("reset_after", "POST", r"/start$"),
    ("reset_before", "POST", r"/synchronizationRuns$"),
    ("html", "POST", r"/start$"),
    ("html", "GET", r"/status$"),
    ("truncate", "GET", r"/synchronizationRuns$"),
    ("truncate", "GET", r"/status$"),
    ("reset_after", "POST", r"/stop$"),
]


class Crash(BaseException):
    """A worker crash at this step."""


class SubmissionMachine(RuleBasedStateMachine):
    """One task of one DAG run, attempted until it succeeds, on a service with faults."""

    sandbox: Sandbox

    def __init__(self) -> None:
        super().__init__()
        self.sandbox.reset()
        _secrets_masker().reset_masker()
        self.leanix = self.sandbox.leanix
        self.leanix.queue_seconds, self.leanix.run_seconds = 5.0, 5.0
        self.task = TaskRunner()
        self.deferral: TaskDeferred | None = None
        self.taken = ""
        self.wanted = "A"

    @initialize(remembers=st.booleans())
    def start(self, remembers: bool) -> None:
        self.task = TaskRunner(remembers=remembers)

    def operator(self) -> LeanIXRunOperator:
        return LeanIXRunOperator(
            task_id="run",
            deferrable=True,
            poll_interval=0.01,
            timeout=0.05,
            description=self.wanted,
            **OUTBOUND,
        )

    @rule(fault=st.sampled_from(FAULTS), after=st.integers(0, 1))
    def break_a_request(self, fault: tuple[str, str, str], after: int) -> None:
        kind, method, path = fault
        self.sandbox.faults.add(kind, method=method, path=path, after=after)

    @rule(seconds=st.sampled_from([1, 6, 30]))
    def advance_the_clock(self, seconds: float) -> None:
        self.sandbox.clock.advance(seconds)

    @rule(ending=st.sampled_from(["FINISHED", "FINISHED", "FAILED", "STOPPED"]))
    def next_runs_end_as(self, ending: str) -> None:
        self.leanix.ending = ending

    @rule(wanted=st.sampled_from("AB"))
    def the_dag_changes(self, wanted: str) -> None:
        """The next attempt has another request, or the request of an earlier attempt."""
        if wanted != self.wanted:
            self.wanted, self.taken = wanted, ""

    @rule()
    def clear(self) -> None:
        """A user clears the task."""
        self.task.clear()
        self.taken = ""

    @rule(step=st.sampled_from([None, None, *STEPS]), before=st.booleans())
    def attempt_the_task(self, step: tuple[type, str] | None, before: bool) -> None:
        """A new attempt, which may crash at a step; a deferred attempt is superseded."""
        self.deferral = None
        with crashing(step, before):
            self.check_result(lambda: self.task.begin(self.operator()))

    @precondition(lambda self: self.deferral is not None)
    @rule(step=st.sampled_from([None, None, *STEPS[2:]]), before=st.booleans())
    def the_trigger_fires(self, step: tuple[type, str] | None, before: bool) -> None:
        """The trigger fires at the run's end, or at the deadline."""
        deferral, self.deferral = self.deferral, None
        with crashing(step, before):
            self.check_result(lambda: self.task.resume(self.operator(), deferral))

    @precondition(lambda self: self.deferral is not None)
    @rule()
    def the_triggerer_restarts(self) -> None:
        """Another trigger resumes from the stored arguments."""
        assert self.deferral is not None
        trigger = rebuild_trigger(self.deferral.trigger)

        async def wait_a_moment() -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.02):
                    await first_event(trigger)
            await trigger.cleanup()

        live = {run.id for run in self.leanix.live_runs}
        asyncio.run(wait_a_moment())
        assert not [run for run in self.leanix.runs if run.id in live and run.status == "STOPPED"]
        self.deferral.trigger = rebuild_trigger(trigger)

    @precondition(lambda self: self.deferral is not None)
    @rule()
    def a_user_kills_the_deferred_task(self) -> None:
        deferral, self.deferral = self.deferral, None
        assert deferral is not None
        with suppress(ProviderError):
            asyncio.run(rebuild_trigger(deferral.trigger).on_kill())
            assert self.leanix.live_runs == []

    @rule()
    def a_user_kills_the_task_on_its_worker(self) -> None:
        operator, self.deferral = self.operator(), None
        self.check_result(lambda: self.task.begin(operator))
        self.deferral = None
        with suppress(ProviderError):
            operator.on_kill()

    def check_result(self, work: Any) -> None:
        began = time.monotonic()
        try:
            result = work()
        except (ProviderError, Crash):
            return
        finally:
            # The deadline is 0.05 s; the two requests after it take at most three seconds each.
            assert time.monotonic() - began < 30
        if isinstance(result, TaskDeferred):
            self.deferral = result
            return
        # No success of a failed run: a returned run is FINISHED on the service.
        truth = {run.id: run.status for run in self.leanix.runs}
        assert truth[result["run_id"]] == "FINISHED"
        # A returned run stays the task's run until the task is cleared.
        assert self.taken in {"", result["run_id"]}
        self.taken = result["run_id"]

    @invariant()
    def never_two_live_runs(self) -> None:
        assert self.leanix.peak_live <= 1

    @invariant()
    def no_run_starts_beside_another_of_its_kind(self) -> None:
        started = [run for run in self.leanix.runs if run.status != "CREATED"]
        assert len({run.description for run in started}) == len(started)


class crashing:  # noqa: N801 - reads as a word
    """Crash the worker before or after a step."""

    def __init__(self, step: tuple[type, str] | None, before: bool) -> None:
        self.step, self.before = step, before

    def __enter__(self) -> None:
        if self.step is None:
            return
        owner, method = self.step
        self.real = real = getattr(owner, method)
        before = self.before

        def step(*args: Any, **kwargs: Any) -> Any:
            if not before:
                real(*args, **kwargs)
            raise Crash

        setattr(owner, method, step)

    def __exit__(self, *_: object) -> None:
        if self.step is not None:
            setattr(*self.step, self.real)


@pytest.fixture
def quick_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from airflow_provider.core import polling
    from airflow_provider.core.http import rate_limit

    monkeypatch.setattr(rate_limit, "TOKENS_PER_SECOND", 1000.0)  # Each example needs a new token.
    monkeypatch.setattr(polling, "intervals", lambda *_: iter([0.01] * 1000))
    return


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.usefixtures("quick_waits")
def test_any_order_of_faults_never_makes_two_live_runs(sandbox: Sandbox) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    SubmissionMachine.sandbox = sandbox
    run_state_machine_as_test(
        SubmissionMachine,
        settings=settings(
            max_examples=examples(25),
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            phases=[Phase.generate],
        ),
    )
