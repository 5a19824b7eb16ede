"""Creation: the invalid rows of rejected batches are found, and nothing is created twice."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from airflow_provider.mapsindoors.sync import verify
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService
from airflow_provider.sandbox.server import Sandbox
from tests.support.hypothesis_sizes import examples
from tests.support.mapsindoors_sync import REFUSED, desk, restore, sync

WAIT = sum(verify.READ_DELAYS)
MODES = ["atomic", "stop-at-first", "skip-bad"]


@pytest.fixture
def waited(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> list[float]:
    """Return the delays before reads; each moves the sandbox's clock."""
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        sandbox.clock.advance(seconds)

    monkeypatch.setattr(verify, "wait", wait)
    return waits


def desks(count: int, bad: set[int]) -> list[dict[str, Any]]:
    """Return rows for new desks; only the service rejects the invalid rows."""
    return [desk(f"D-{n}", **(REFUSED if n in bad else {})) for n in range(count)]


def made(unlimited_service: MapsIndoorsService) -> list[str]:
    codes = [one.get("externalId", "") for one in unlimited_service.campus.geodata.values()]
    return sorted(code for code in codes if code.startswith("D-"))


def posts(sandbox: Sandbox) -> int:
    return sandbox.counters.total("mapsindoors POST /{api_key}/api/geodata")


@pytest.mark.parametrize("style", ["problem", "text"])
def test_a_service_that_writes_nothing_of_a_refused_batch_is_waited_for_once(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, waited: list[float], style: str
) -> None:
    unlimited_service.error_style = style
    bad = {n for n in range(100) if n % 20 in (3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 19)}
    result = sync(desks(100, bad), on_row_error="skip", batch_size=20, verify=False)
    assert (result["create"], result["failed"]) == (40, 60)
    assert made(unlimited_service) == sorted(f"D-{n}" for n in range(100) if n not in bad)
    assert sum(waited) == WAIT
    # A request for each invalid row, and up to four for each of the five batches.
    assert posts(sandbox) <= len(bad) + 5 * 4


@pytest.mark.parametrize("style", ["problem", "text", "vague"])
@pytest.mark.parametrize("mode", MODES)
def test_rows_that_are_all_bad_are_waited_for_once_a_batch(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, waited: list[float], mode: str, style: str
) -> None:
    unlimited_service.batch_mode, unlimited_service.error_style = mode, style
    result = sync(desks(30, set(range(30))), on_row_error="skip", batch_size=10, verify=False)
    assert (result["create"], result["failed"], made(unlimited_service)) == (0, 30, [])
    assert sum(waited) <= 3 * WAIT
    assert posts(sandbox) <= 3 * 11


@pytest.mark.parametrize("stale", [0.0, 8.0])
@pytest.mark.parametrize("mode", MODES)
def test_a_service_that_does_not_name_bad_rows_is_waited_for_once_a_batch(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, waited: list[float], mode: str, stale: float
) -> None:
    unlimited_service.batch_mode, unlimited_service.error_style, unlimited_service.stale_seconds = (
        mode,
        "vague",
        stale,
    )
    bad = {0, 7, 15, 16, 29}
    result = sync(desks(30, bad), on_row_error="skip", batch_size=10, verify=False)
    assert (result["create"], result["failed"]) == (25, 5)
    assert made(unlimited_service) == sorted(f"D-{n}" for n in range(30) if n not in bad)
    assert sum(waited) <= 3 * WAIT


def test_a_service_that_starts_to_write_parts_of_refused_batches_makes_nothing_twice(
    unlimited_service: MapsIndoorsService,
    sandbox: Sandbox,
    waited: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    modes = iter(["atomic", "atomic"])
    monkeypatch.setattr(
        type(unlimited_service),
        "batch_mode",
        property(lambda _: next(modes, "stop-at-first"), lambda *_: None),
    )
    bad = {4, 14, 24}
    result = sync(desks(30, bad), on_row_error="skip", batch_size=10)
    assert (result["create"], result["failed"]) == (27, 3)
    assert made(unlimited_service) == sorted(f"D-{n}" for n in range(30) if n not in bad)


@pytest.mark.long
@pytest.mark.slow
@settings(
    max_examples=examples(40),
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    count=st.integers(1, 14),
    bad=st.sets(st.integers(0, 13)),
    mode=st.sampled_from(MODES),
    style=st.sampled_from(["problem", "text", "vague"]),
    stale=st.sampled_from([0.0, 8.0]),
    most=st.sampled_from([None, 1, 2, 3]),
    size=st.integers(1, 14),
    lost=st.sampled_from([None, "reset_before", "reset_after"]),
)
def test_every_good_row_is_made_once_and_every_bad_one_is_named(
    unlimited_service: MapsIndoorsService,
    sandbox: Sandbox,
    waited: list[float],
    count: int,
    bad: set[int],
    mode: str,
    style: str,
    stale: float,
    most: int | None,
    size: int,
    lost: str | None,
) -> None:
    restore(unlimited_service)
    sandbox.faults.clear()
    waited.clear()
    (
        unlimited_service.batch_mode,
        unlimited_service.error_style,
        unlimited_service.stale_seconds,
        unlimited_service.max_items,
    ) = mode, style, stale, most
    if lost:
        sandbox.faults.add(lost, method="POST", path="/geodata")
    good = [f"D-{n}" for n in range(count) if n not in bad]
    result = sync(desks(count, bad), on_row_error="skip", batch_size=size)
    assert (result["create"], result["failed"]) == (len(good), count - len(good))
    assert made(unlimited_service) == sorted(good)
    lost_or_refused = -(-count // size) + (1 if lost else 0)
    assert sum(waited) <= (lost_or_refused + 1) * WAIT
