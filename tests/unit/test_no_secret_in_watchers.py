"""Credentials in all texts that watchers store, fire and log: they run for months in the triggerer."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from airflow.triggers.base import BaseEventTrigger

from airflow_provider.core.triggers import NewItemsTrigger
from airflow_provider.iotstudio.events.trigger_bases import EventWatcher
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.sandbox.server import Sandbox
from tests.support import every_task
from tests.support.canary_secrets import break_everything, leaks, plant, secrets_of
from tests.support.every_watcher import WATCHERS
from tests.support.state_store import FakeStateStore
from tests.support.task_runner import rebuild_trigger

BASES = {EventWatcher, NewItemsTrigger}


@pytest.fixture
def planted(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Return the sandbox, with credentials in all connections that every encoding changes."""
    plant(sandbox, monkeypatch)
    return sandbox


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(trigger: Any) -> AsyncIterator[list[Any]]:
    """Run a trigger alone, as the triggerer does; yields the list of its fired events."""
    fired: list[Any] = []

    async def run() -> None:
        async for event in trigger.run():
            fired.extend([event.payload])

    task = asyncio.create_task(run())
    yield fired
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def secretive_run(sandbox: Sandbox) -> None:
    """Create a run whose description holds all credentials that the service has received."""
    secrets = " ".join(secrets_of(sandbox)["leanix"])[-480:]
    with LeanIXHook() as hook:
        hook.start_run(hook.create_run({**every_task.LDIF, "description": f"nightly {secrets}"}))
    every_task.fulfil_sensors(sandbox, "leanix")


def happen(sandbox: Sandbox, vendor: str) -> None:
    """Make a change that the watchers of a vendor fire for; the service quotes credentials in it."""
    if vendor == "leanix":
        secretive_run(sandbox)
        return
    every_task.fulfil_sensors(sandbox, vendor)
    if vendor == "iotstudio":
        secrets = secrets_of(sandbox)["iotstudio"]
        event = sandbox.iotstudio.space.things[every_task.THING].events[-1]
        event.payload = {"data": {"why": " ".join(secrets), secrets[-1]: 1}}
    if vendor == "amigocloud":
        secrets = secrets_of(sandbox)["amigocloud"]
        sandbox.amigocloud.sockets.emit(
            "realtime", {"dataset_id": 1, "why": " ".join(secrets), secrets[-1]: 1}, 1
        )


@pytest.mark.parametrize("way", ["well", "refused", "failing"])
@pytest.mark.parametrize("name", WATCHERS)
async def test_a_watcher_leaves_no_credential_behind(
    name: str, way: str, planted: Sandbox, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    for logger in ("httpx", "httpcore", "websockets"):
        caplog.set_level(logging.DEBUG, logger)
    vendor, state = name.split()[0], FakeStateStore()
    if way != "well":
        break_everything(planted, {"kind": "status", "status": 400 if way == "refused" else 503})
    trigger = rebuild_trigger(WATCHERS[name]())
    trigger.asset_state_store = state
    requests = planted.counters.total
    async with running(trigger) as fired:
        await until(lambda: requests(vendor) >= 5)
        if way == "well":
            await until(lambda: state)
            await asyncio.to_thread(happen, planted, vendor)
            await until(lambda: fired)
    assert bool(fired) == (way == "well")
    left = {
        "stored": json.dumps(trigger.serialize()),
        "fired": json.dumps(fired),
        "remembered": json.dumps(state),
        "logs": caplog.text + "".join(capfd.readouterr()),
    }
    assert len(left["logs"]) > 500
    assert leaks(left, planted) == []


def test_every_watcher_is_searched() -> None:
    def below(kind: type) -> set[type]:
        return {kind, *(one for child in kind.__subclasses__() for one in below(child))}

    public = {kind for kind in below(BaseEventTrigger) if kind.__module__.startswith("airflow_provider.")}
    abstract = {kind for kind in public if kind.__name__.startswith("_") or kind in BASES}
    assert {type(make()) for make in WATCHERS.values()} == public - abstract
