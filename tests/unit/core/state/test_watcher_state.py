"""A watcher's value is stored with each of its assets; a store that fails loses nothing but the value."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.core.state import watcher_state
from airflow_provider.core.state.watcher_state import MAX_BYTES, WatcherState
from tests.support.fake_clock import set_in_module
from tests.support.state_store import FakeStateStore

LOG: Any = logging.getLogger(__name__)


class Broken(FakeStateStore):
    """A store that fails some times.

    :param failures: number of operations that fail.
    """

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    async def aget(self, key: str, default: Any = None) -> Any:
        self._fail()
        return self.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        self._fail()
        self.set(key, value)

    def _fail(self) -> None:
        self.failures -= 1
        if self.failures >= 0:
            raise OSError("no store")


def state(*stores: Any) -> WatcherState:
    by_name = dict(enumerate(stores[:1]))
    by_uri = dict(enumerate(stores[1:]))
    store = SimpleNamespace(_by_name=by_name, _by_uri=by_uri) if stores else None
    return WatcherState(SimpleNamespace(asset_state_store=store), "w", LOG)  # type: ignore[arg-type]


async def test_a_value_is_stored_with_each_asset_and_read_from_the_first_that_has_it() -> None:
    first, second = FakeStateStore(), FakeStateStore()
    both = state(first, second)
    assert both.has_store
    assert await both.read() is None
    assert await both.write({"a": 1})
    assert first == second == {"w": {"a": 1}}
    second["w"] = {"a": 2}
    assert await both.read() == {"a": 1}
    first.delete("w")
    assert await both.read() == {"a": 2}


async def test_a_store_for_one_asset_is_used_itself() -> None:
    store = FakeStateStore()
    watcher = WatcherState(SimpleNamespace(asset_state_store=store), "w", LOG)  # type: ignore[arg-type]
    assert await watcher.write(0)
    assert (store, await watcher.read()) == ({"w": 0}, 0)


@pytest.mark.parametrize("trigger", [SimpleNamespace(), SimpleNamespace(asset_state_store=None)])
async def test_without_a_store_nothing_is_stored_and_the_log_says_so(
    trigger: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    watcher = WatcherState(trigger, "w", LOG)
    assert "No asset state store here" in caplog.text
    assert not watcher.has_store
    assert not await watcher.write({"a": 1})
    assert await watcher.read() is None


async def test_a_value_of_60000_bytes_is_stored_and_no_larger_one(caplog: pytest.LogCaptureFixture) -> None:
    assert MAX_BYTES == 60_000
    largest, store = "x" * (MAX_BYTES - 2), FakeStateStore()
    assert [WatcherState.fits(value) for value in (largest, largest + "x")] == [True, False]
    assert await state(store).write(largest)
    assert caplog.text == ""
    assert not await state(store).write(largest + "x")
    assert store == {"w": largest}
    assert "too large for the asset's state" in caplog.text


async def test_a_failed_read_is_repeated_until_it_succeeds(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    set_in_module(monkeypatch, watcher_state, "asyncio", sleep=sleep)
    store = Broken(3)
    store.set("w", {"a": 1})
    assert await state(store).read() == {"a": 1}
    assert len(slept) == len(caplog.records) == 3
    assert all(0 < seconds <= 30 for seconds in slept)
    assert "cannot be read; next attempt in" in caplog.text


async def test_a_failed_write_of_one_asset_is_logged_and_the_others_are_written(
    caplog: pytest.LogCaptureFixture,
) -> None:
    second = FakeStateStore()
    assert not await state(Broken(1), second).write(7)
    assert second == {"w": 7}
    assert "the asset's state cannot be written: no store" in caplog.text


async def test_reads_are_repeated_ever_more_rarely_up_to_half_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    set_in_module(monkeypatch, watcher_state, "asyncio", sleep=sleep)
    monkeypatch.setattr("random.uniform", lambda *_: 1.0)
    assert await state(Broken(15)).read() is None
    assert slept == sorted(slept)
    assert slept[-1] == 30.0
