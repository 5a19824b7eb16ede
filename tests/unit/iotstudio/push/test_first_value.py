"""A pushed value on each pair of versions; the other tests with a broker run on one of them."""

from __future__ import annotations

import asyncio

import pytest

from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.sandbox.server import Sandbox

from .conftest import THING, connected, running, until, watcher


def write() -> None:
    with IoTStudioHook() as hook:
        hook.set_properties(THING, {"temperature": 60})


@pytest.mark.long
async def test_a_value_that_is_written_fires_long_before_the_poll(sandbox: Sandbox) -> None:
    async with running(watcher()) as fired:
        await connected(sandbox)
        await asyncio.to_thread(write)
        await until(lambda: fired)
    assert fired == [{"matches": 1, "new": 1, "thing_ids": [THING]}]
