"""Fuzz targets of tasks and watchers: each of them runs with a reply that no service sends, over real HTTP.

An input is one of :mod:`tests.fuzz.replies`, with the label of a task or of a watcher. A task's next attempt
gets the recorded replies, so that what the first one has stored is read, too. A watcher must outlive any
reply.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from airflow.sdk import Asset

from airflow_provider.core.tokens import record
from airflow_provider.errors import ProviderError
from tests.fault_matrix.faults import HOOKS
from tests.fuzz.player import MOST_REQUESTS
from tests.fuzz.recordings import Recording
from tests.fuzz.replies import decode, environment, examples, mutate, play, player, without_waits
from tests.fuzz.target import FaultError, Target
from tests.fuzz.task_recordings import build, new_runner, task_recordings
from tests.support.budgets import forget_budgets
from tests.support.sandbox_state import files
from tests.support.state_store import FakeStateStore
from tests.support.task_runner import TaskRunner

_WAREHOUSE = {"AIRFLOW_CONN_WAREHOUSE": json.dumps({"conn_type": "sqlite", "host": ":memory:"})}

_KEPT = ("plan.", "photos/1/", "photos/.unfinished-")
"""Beginnings of the files that a failed attempt leaves: plans, and photos that the next one need not read."""

_FURTHER_REQUESTS = 6
"""Requests of a watcher beyond the recorded ones, after which it has outlived the changed reply."""

_HUNG = 60.0
"""Seconds after which a watcher that asks for nothing counts as hung."""


def _run(vendor: str, data: bytes) -> None:
    found = decode(data, task_recordings())
    if found is None or not found[0].startswith(f"{vendor}."):
        return
    label, index, changed = found
    recording = task_recordings()[label]
    forget_budgets()
    play(recording, index, changed)
    with (
        patch.dict(os.environ, {**environment(), **_WAREHOUSE}),
        patch.object(record, "REFUSED_SECONDS", 0.0),  # else no request follows one that was refused
        _errors_of_triggers(),
    ):
        if ".watcher-" in label:
            asyncio.run(_watch(label, recording))
        else:
            _attempt_twice(label, recording)


def _attempt_twice(label: str, recording: Recording) -> None:
    runner = new_runner()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        for name, text in recording.prepared["files"].items():
            Path(folder, name).write_text(text)
        try:
            _attempt(label, recording, runner, folder)
        except (ProviderError, TimeoutError):
            play(recording, 0, recording.exchanges[0])
            with suppress(ProviderError, TimeoutError):
                _attempt(label, recording, runner, folder)
            raise


def _attempt(label: str, recording: Recording, runner: TaskRunner, folder: str) -> None:
    """Run an attempt; one that fails leaves no file by its final name, and one that does not returns JSON."""
    waits = {"poke_interval": 0.001} if "Sensor" in label else {}
    task = build(recording.prepared, folder, task_id="task", outlets=[Asset("asset")], **waits)
    try:
        json.dumps(runner.run(task))
    except (ProviderError, TimeoutError):
        left = set(files(Path(folder))) - set(recording.prepared["files"])
        if wrong := sorted(name for name in left if not name.startswith(_KEPT)):
            raise FaultError(f"files-{label}", f"a failed attempt has left {wrong}") from None
        raise
    finally:
        if player().requests > MOST_REQUESTS:
            raise FaultError(f"requests-{label}", f"{player().requests} requests")


async def _watch(label: str, recording: Recording) -> None:
    """Run a watcher until its first event, or until it has asked often enough after the changed reply."""
    trigger = build(
        {**recording.prepared, "arguments": {**recording.prepared["arguments"], "poll_interval": 0.002}}, ""
    )
    trigger.asset_state_store = FakeStateStore()
    running = asyncio.ensure_future(anext(trigger.run()))
    most = len(recording.exchanges) + _FURTHER_REQUESTS
    try:
        async with asyncio.timeout(_HUNG):
            while player().requests < most and not running.done():
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise FaultError(f"hung-{label}", f"{player().requests} requests") from None
    if running.done():
        json.dumps(running.result().payload)
    running.cancel()
    await asyncio.wait([running])


@contextmanager
def _errors_of_triggers() -> Iterator[None]:
    """Raise what a trigger carries to its task as an error of no kind of the provider's."""
    from airflow_provider.core import triggers

    usual = triggers.error_event

    def checked(error: Exception) -> dict[str, Any]:
        if not isinstance(error, ProviderError):
            raise error
        return usual(error)

    with patch.object(triggers, "error_event", checked):
        yield


def _target(vendor: str) -> Target:
    modules = (vendor, "core.http", "core.state", "core.sync", "core.files", "core.sensor", "core.triggers")
    return Target(
        f"tasks_{vendor}",
        without_waits(partial(_run, vendor)),
        tuple(f"airflow_provider.{one}" for one in modules),
        (ProviderError, TimeoutError),
        mutate,
        max_bytes=30_000,
        examples=partial(examples, vendor, task_recordings),
        holds_secrets=True,
    )


TARGETS = [_target(vendor) for vendor in HOOKS]
