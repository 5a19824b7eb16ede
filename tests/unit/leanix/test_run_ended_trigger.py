"""A DAG that starts when a run ends: once for each, whoever started it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from airflow_provider.core.redaction import redact_token
from airflow_provider.core.state import watcher_state
from airflow_provider.errors import InputError
from airflow_provider.leanix import triggers
from airflow_provider.leanix.api import EndedRun
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.triggers import LeanIXRunEndedTrigger
from tests.support.state_store import FakeStateStore
from tests.unit.leanix.started_runs import OUTBOUND

LIST = "leanix GET /services/integration-api/v1/synchronizationRuns"


def run(description: str) -> str:
    with LeanIXHook() as hook:
        run_id = hook.create_run({**OUTBOUND, "description": description})
        hook.start_run(run_id)
        return run_id


async def started(description: str) -> str:
    return await asyncio.to_thread(run, description)


def watcher(state: FakeStateStore | None = None, **arguments: Any) -> LeanIXRunEndedTrigger:
    """Make a trigger the way the triggerer does."""
    path, kwargs = LeanIXRunEndedTrigger(**{"poll_interval": 0.05, **arguments}).serialize()
    module, name = path.rsplit(".", 1)
    assert module == triggers.__name__
    made: LeanIXRunEndedTrigger = getattr(triggers, name)(**json.loads(json.dumps(kwargs)))
    made.asset_state_store = state  # type: ignore[assignment]
    return made


@pytest.fixture(autouse=True)
def _count_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each watcher count how often it has looked, so that no test guesses how long that takes."""
    look = LeanIXRunEndedTrigger.list_items

    async def counted(self: Any) -> Any:
        try:
            return await look(self)
        finally:
            self.looks = getattr(self, "looks", 0) + 1

    monkeypatch.setattr(LeanIXRunEndedTrigger, "list_items", counted)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def looked(*made: Any, times: int = 2) -> None:
    """Wait until watchers have looked again: with all that was so before, after the last of the looks."""
    before = [getattr(one, "looks", 0) for one in made]
    await until(
        lambda: all(getattr(one, "looks", 0) > n + times for one, n in zip(made, before, strict=True))
    )


@asynccontextmanager
async def running(*made: LeanIXRunEndedTrigger) -> AsyncIterator[list[list[dict[str, Any]]]]:
    async def collect(trigger: LeanIXRunEndedTrigger, fired: list[dict[str, Any]]) -> None:
        async for event in trigger.run():
            fired += [event.payload]

    lists: list[list[dict[str, Any]]] = [[] for _ in made]
    tasks = [asyncio.create_task(collect(*pair)) for pair in zip(made, lists, strict=True)]
    try:
        await until(lambda: all(getattr(one, "looks", 0) for one in made))
        yield lists
        assert not [task for task in tasks if task.done()]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def settled(trigger: LeanIXRunEndedTrigger, fired: list[Any], count: int) -> list[Any]:
    """Wait until so many events were fired, look again, and see no more."""
    await until(lambda: len(fired) >= count)
    await looked(trigger)
    assert len(fired) == count
    return fired


async def test_each_run_that_ends_fires_once(leanix: Any) -> None:
    leanix.run_seconds = 0.1
    async with running(made := watcher()) as (fired,):
        ids = [await started("cmdb nightly 1"), await started("cmdb nightly 2")]
        events = await settled(made, fired, 2)
    assert {event["run_id"] for event in events} == set(ids)
    assert {event["run_status"] for event in events} == {"FINISHED"}
    assert {event["description"] for event in events} == {"cmdb nightly 1", "cmdb nightly 2"}


async def test_runs_that_were_over_before_do_not_fire(leanix: Any) -> None:
    leanix.run_seconds = 0.0
    await started("old")
    async with running(made := watcher()) as (fired,):
        new = await started("new")
        assert [event["run_id"] for event in await settled(made, fired, 1)] == [new]


async def test_description_and_status_choose_the_runs(leanix: Any) -> None:
    leanix.run_seconds = 0.0
    by_name, by_status = watcher(description="cmdb *"), watcher(statuses=["failed"])
    async with running(by_name, by_status) as (named, failed):
        wanted = await started("cmdb nightly")
        await started("inventory nightly")
        assert [event["run_id"] for event in await settled(by_name, named, 1)] == [wanted]
        await settled(by_status, failed, 0)


async def test_a_restart_loses_no_run_and_repeats_none(leanix: Any) -> None:
    leanix.run_seconds = 0.0
    state = FakeStateStore()
    async with running(made := watcher(state)) as (fired,):
        await started("one")
        await settled(made, fired, 1)
    missed = await started("two")
    async with running(made := watcher(state)) as (fired,):
        assert [event["run_id"] for event in await settled(made, fired, 1)] == [missed]


async def test_more_than_fits_into_the_assets_state_is_remembered_in_this_process_and_said(
    leanix: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: Any
) -> None:
    monkeypatch.setattr(watcher_state, "MAX_BYTES", 20)
    leanix.run_seconds = 0.0
    state = FakeStateStore()
    async with running(made := watcher(state)) as (fired,):
        ids = [await started("one"), await started("two")]
        events = await settled(made, fired, 2)
    assert {event["run_id"] for event in events} == set(ids)
    assert "remembered in this process only" in caplog.text + capsys.readouterr().out


async def test_watchers_of_one_workspace_share_its_list(leanix: Any, sandbox: Any) -> None:
    made = [watcher(description=f"{n} *", poll_interval=0.2) for n in range(50)]
    async with running(*made):
        await looked(*made)
    looks = max(getattr(one, "looks", 0) for one in made)
    assert 1 <= sandbox.counters.requests[LIST] <= looks + 1


async def test_a_bad_moment_does_not_end_the_watch(leanix: Any, sandbox: Any) -> None:
    leanix.run_seconds = 0.0
    async with running(made := watcher()) as (fired,):
        refused = sandbox.faults.add(
            "status", path="/synchronizationRuns$", method="GET", status=403, times=3
        )
        await started("one")
        await settled(made, fired, 1)
    assert refused.hits == 3


def test_an_event_of_a_watcher_names_no_connector_because_the_list_has_none(leanix: Any) -> None:
    """The runs' list tells id, status and description (vendor's OpenAPI file), and nothing else."""
    run("cmdb nightly")
    with LeanIXHook() as hook:
        assert {name for row in hook.list_runs() for name in row} <= {"id", "status", "description"}


@pytest.mark.parametrize(
    "conditions",
    [
        {"description": ""},
        {"description": " "},
        {"description": None},
        {"statuses": []},
        {"statuses": ["DONE"]},
        {"statuses": ["FINISHED", None]},
        {"statuses": "FINISHED"},
    ],
)
def test_a_watcher_that_can_never_fire_fails_the_dags_import_and_idles_when_it_is_stored(
    leanix: Any, sandbox: Any, conditions: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    trigger = LeanIXRunEndedTrigger(**{"poll_interval": 0.01, **conditions})
    with pytest.raises(InputError, match=next(iter(conditions))):
        trigger.serialize()

    async def fired() -> list[Any]:
        events: list[Any] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                events += [event async for event in trigger.run()]
        return events

    assert asyncio.run(fired()) == []
    assert sandbox.counters.total() == 0


@pytest.mark.parametrize(
    ("listed", "pattern", "warned"), [(False, "cmdb*", True), (False, "*", False), (True, "other*", False)]
)
async def test_a_list_without_descriptions_is_a_warning_once(
    leanix: Any, capsys: pytest.CaptureFixture[str], listed: bool, pattern: str, warned: bool
) -> None:
    leanix.list_descriptions = listed
    one = watcher(description=pattern)
    await started("cmdb nightly")
    async with running(one):
        await looked(one)
    assert capsys.readouterr().out.count("has a description, so none matches") == warned


def ended(run_id: str, description: str | None, status: str = "FINISHED") -> EndedRun:
    return EndedRun(id=run_id, status=status, description=description)


NAMED = [
    ended("1", "cmdb nightly"),
    ended("2", "CMDB nightly"),
    ended("3", "a cmdb nightly"),
    ended("4", None),
]


@pytest.mark.parametrize(
    ("description", "statuses", "ids"),
    [
        ("cmdb *", ["FINISHED"], ["1"]),
        ("*nightly", ["finished", "Failed"], ["1", "2", "3", "5"]),
        ("*", ["FINISHED"], ["1", "2", "3", "4"]),
        ("?*", ["FINISHED"], ["1", "2", "3"]),
        ("?mdb nightl[xy]", ["FINISHED"], ["1"]),
        ("cmdb", ["FINISHED"], []),
        ("*", ["STOPPED"], []),
    ],
)
def test_a_run_matches_by_its_whole_description_and_its_status(
    description: str, statuses: list[str], ids: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    trigger = watcher(description=description, statuses=statuses)
    runs = [*NAMED, ended("5", "x nightly", "FAILED")]
    assert [*trigger._matching(runs)] == ids
    assert "has a description, so none matches" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("runs", "description", "warnings"),
    [
        ([], "cmdb*", 0),
        ([None], "cmdb*", 1),
        ([None, ""], "cmdb*", 1),
        ([None, "x"], "cmdb*", 0),
        ([None], "*", 0),
    ],
)
def test_none_of_the_runs_with_a_description_is_one_warning(
    runs: list[str | None], description: str, warnings: int, capsys: pytest.CaptureFixture[str]
) -> None:
    trigger = watcher(description=description)
    for _ in range(2):
        trigger._matching([ended(f"{number}", text) for number, text in enumerate(runs)])
    assert capsys.readouterr().out.count("has a description, so none matches") == warnings


def test_an_event_has_the_id_the_status_and_five_hundred_characters_of_the_description() -> None:
    redact_token("t0ken-of-a-run")
    runs = {
        "a": ended("a", "x" * 501, "STOPPED"),
        "b": ended("b", None),
        "c": ended("c", "with t0ken-of-a-run"),
    }
    assert watcher().events(["a", "b", "c"], runs) == [
        {"run_id": "a", "run_status": "STOPPED", "description": "x" * 500},
        {"run_id": "b", "run_status": "FINISHED", "description": ""},
        {"run_id": "c", "run_status": "FINISHED", "description": "with ***"},
    ]


@pytest.mark.parametrize(
    ("arguments", "problems"),
    [
        ({"description": None}, ["description is missing"]),
        ({"statuses": None}, ["statuses must be a list of FAILED, FINISHED, STOPPED"]),
        (
            {"statuses": ["DONE", "failed", 7]},
            [
                "statuses has 'DONE', but a run ends as one of FAILED, FINISHED, STOPPED",
                "statuses has 7, but a run ends as one of FAILED, FINISHED, STOPPED",
            ],
        ),
        ({}, []),
    ],
)
def test_problems_of_the_conditions_are_named(arguments: dict[str, Any], problems: list[str]) -> None:
    assert LeanIXRunEndedTrigger(**arguments)._problems() == problems
