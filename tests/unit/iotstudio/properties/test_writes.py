"""Writes in blocks: the spool that merges rows by Thing, and what memory and requests depend on."""

from __future__ import annotations

import json
import logging
import tracemalloc
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider.core.input.problems import Problems
from airflow_provider.errors import InputError, PartialWriteError, ProviderError
from airflow_provider.iotstudio.operators import IoTStudioWritePropertiesOperator
from airflow_provider.iotstudio.properties import writes
from airflow_provider.iotstudio.properties.requests import read_plan
from airflow_provider.iotstudio.properties.wide import convert_wide
from airflow_provider.iotstudio.properties.writer import PropertyWriter
from airflow_provider.iotstudio.properties.writes import Write, WriteSpool
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.server import Sandbox
from tests.support.hypothesis_sizes import examples

from ..conftest import PUT

BLOCK = 20


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let blocks end after few Things."""
    monkeypatch.setattr(writes, "PAGE_SIZE", BLOCK)
    monkeypatch.setattr(writes, "MAX_BLOCK_THINGS", BLOCK)


class StandInHook:
    """Space of an IoT Studio that stores nothing: each Thing has the value that is written, and counts."""

    transport = space = None
    log = logging.getLogger(__name__)

    def __init__(self) -> None:
        self.requests = self.lists = 0

    def set_properties(self, *_: Any, **__: Any) -> None:
        self.requests += 1

    def list_things(self, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
        self.lists += 1
        for uid in params.get("thingID[]", ()):
            yield {"uid": uid, "status": {"x": 1.5}, "properties": {"x": {"type": "number"}}}


def peak_of(path: Path, things: int) -> tuple[int, StandInHook]:
    """Write a file's wide rows, one for each Thing; return the peak of memory in bytes."""
    path.write_text("".join(json.dumps({"thing_id": f"T{n}", "x": "1.5"}) + "\n" for n in range(things)))
    hook: Any = StandInHook()
    tracemalloc.start()
    try:
        with WriteSpool() as spool:
            read_plan(spool, writes=str(path))
            convert_wide(hook, spool)
            counts = PropertyWriter(hook, concurrency=2, only_changed=False).write(spool)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert counts == {"written": things, "skipped": 0, "verified": things}
    return peak, hook


@pytest.mark.nightly
@pytest.mark.slow
def test_memory_does_not_grow_with_the_things_and_requests_grow_as_they_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes, "PAGE_SIZE", 200)
    monkeypatch.setattr(writes, "MAX_BLOCK_THINGS", 200)
    path = tmp_path / "rows.jsonl"
    peak_of(path, 200)  # imports
    few, _ = peak_of(path, 400)
    many, hook = peak_of(path, 8000)
    assert many < 1.2 * few
    assert hook.requests == 8000
    assert hook.lists <= 2 * 3 * 8000 / 200


def test_a_block_ends_with_a_thousand_things_and_earlier_when_they_have_many_values() -> None:
    def sizes(things: int, values: int) -> list[int]:
        properties = dict.fromkeys(map(str, range(values)), 1)
        every = (Write((n,), f"T{n}", properties) for n in range(things))
        return [len(block) for block in writes.in_blocks(every, lambda write: write)]

    assert sizes(7001, 1) == [3000, 3000, 1001]
    assert sizes(2500, 30) == [1000, 1000, 500]
    assert sizes(3000, 20) == [2000, 1000]
    assert sizes(0, 1) == []


ROWS = st.lists(
    st.tuples(st.sampled_from("ABCD"), st.dictionaries(st.sampled_from("uvwxyz"), st.integers(), min_size=1)),
    max_size=12,
)


@settings(max_examples=examples(100))
@given(rows=ROWS)
def test_rows_are_merged_as_in_memory(rows: list[tuple[str, dict[str, Any]]]) -> None:
    merged: dict[str, dict[str, Any]] = defaultdict(dict)
    numbers: dict[str, list[int]] = defaultdict(list)
    expected, problems = [], Problems("the writes")
    with WriteSpool() as spool:
        for number, (thing, values) in enumerate(rows, start=1):
            spool.add(Write((number,), thing, values))
            expected += [(number, name) for name in values if name in merged[thing]]
            merged[thing] |= values
            numbers[thing].append(number)
        spool.merge(problems)
        found = list(spool)
    assert found == [Write(tuple(numbers[thing]), thing, values) for thing, values in merged.items()]
    lines = problems.lines()
    assert len(lines) == len(expected)
    assert [int(line.split()[1].rstrip(":")) for line in lines] == [number for number, _ in expected]


def test_a_property_that_two_rows_set_names_the_row_that_set_it_first() -> None:
    rows = [
        {"thing_id": "A", "properties": {"x": 1}},
        {"thing_id": "A", "properties": {"y": 1}},
        {"thing_id": "A", "properties": {"y": 2}},
    ]
    with WriteSpool() as spool, pytest.raises(InputError) as caught:
        read_plan(spool, writes=rows)
    assert caught.value.problems == ["row 3: property 'y' of Thing A is set already (row 2)"]


def test_a_name_that_is_no_valid_unicode_text_is_refused_with_its_row() -> None:
    with WriteSpool() as spool, pytest.raises(InputError) as caught:
        read_plan(spool, writes=[{"thing_id": "A", "properties": {"\ud800": 1}}])
    assert caught.value.problems == ["row 1 (A): '\\ud800' is not a property name"]


def test_a_full_disk_is_an_error_that_says_what_to_do() -> None:
    with WriteSpool() as spool:
        spool._database.execute("PRAGMA max_page_count = 10")
        with pytest.raises(ProviderError, match=r"is full\); nothing was sent. Set TMPDIR"):
            for number in range(1, 5000):
                spool.add(Write((number,), f"T{number}", {"x": "y" * 100}))


# -- several blocks of one task -----------------------------------------------------------------------


def write(try_number: int = 1, **arguments: Any) -> dict[str, int]:
    """Run the operator as a worker would."""
    operator = IoTStudioWritePropertiesOperator(task_id="write", **arguments)
    return operator.execute({"ti": SimpleNamespace(try_number=try_number)})  # type: ignore[typeddict-item]


def sensor_rows(service: IoTStudioService, count: int) -> list[dict[str, Any]]:
    things = [uid for uid, thing in service.space.things.items() if "Sensors" in thing.categories]
    return [{"thing_id": uid, "properties": {"setpoint": 18.5}} for uid in things[:count]]


@pytest.mark.usefixtures("small_blocks")
def test_a_retry_over_several_blocks_writes_what_differs(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"thing_id": row["thing_id"], "setpoint": "18.5"} for row in sensor_rows(service, 3 * BLOCK + 1)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert write(writes=str(path)) == {"written": 61, "skipped": 0, "verified": 61}
    assert sandbox.counters.requests[PUT] == 61
    assert write(2, writes=str(path)) == {"written": 0, "skipped": 61, "verified": 0}
    assert sandbox.counters.requests[PUT] == 61


@pytest.mark.usefixtures("small_blocks")
def test_a_block_that_cannot_be_read_back_does_not_keep_the_others_from_being_written(
    service: IoTStudioService, sandbox: Sandbox
) -> None:
    rows = sensor_rows(service, 50)
    refused = sandbox.faults.add("status", method="GET", status=403, after=1, times=None)
    with pytest.raises(ProviderError) as caught:
        write(writes=rows)
    assert caught.value.__notes__ == ["30 values were written, but could not be read back"]
    assert (sandbox.counters.requests[PUT], refused.hits) == (50, 1)
    sandbox.faults.clear()
    assert write(2, writes=rows)["skipped"] == 50


@pytest.mark.usefixtures("small_blocks")
def test_rows_whose_current_values_cannot_be_read_are_named_as_not_sent(
    service: IoTStudioService, sandbox: Sandbox
) -> None:
    rows = sensor_rows(service, 70)
    refused = sandbox.faults.add("status", method="GET", status=403, after=2, times=None)
    said = "50 rows, from 21 to 70: not sent, because the current values could not be read: "
    with pytest.raises(PartialWriteError, match=said) as caught:
        write(writes=rows, only_changed=True)
    assert caught.value.counts == {"written": 20, "skipped": 0, "verified": 20}
    assert (sandbox.counters.requests[PUT], refused.hits) == (20, 1)
