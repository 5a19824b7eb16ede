"""What one run of an incremental export leaves for the next one."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.core.state.watermark import Watermark
from airflow_provider.errors import InputError
from tests.support.state_store import FakeStateStore

LOG = logging.getLogger(__name__)


class World:
    """An asset's store, and one for each run."""

    def __init__(self) -> None:
        self.asset = FakeStateStore()
        self.runs: dict[str, FakeStateStore] = {}

    def run(self, name: str, source: Any = "everything", **context: Any) -> Watermark:
        ti = SimpleNamespace(dag_id="d", task_id="t", run_id=name, map_index=-1)
        own = self.runs.setdefault(name, FakeStateStore())
        given = {"ti": ti, "asset_state_store": {"asset": self.asset}, "task_state_store": own, **context}
        return Watermark(given, ["asset"], source, LOG, name="w", argument="incremental")  # type: ignore[arg-type]


def test_a_run_starts_from_what_the_one_before_has_left() -> None:
    world = World()
    assert world.run("1").start() == {}
    world.run("1").move({"until": 5})
    assert world.run("2").start() == {"until": 5}


def test_a_run_that_is_done_again_starts_from_where_it_started() -> None:
    world = World()
    world.run("1").move({"until": 5})
    for _ in range(3):
        assert world.run("2").start() == {"until": 5}
        world.run("2").move({"until": 9})
    assert world.run("3").start() == {"until": 9}


def test_another_source_starts_over() -> None:
    world = World()
    world.run("1").move({"until": 5})
    world.run("1").note({"until": 5})
    assert world.run("1", source="some").start() == world.run("1", source="some").done() == {}


def test_each_run_knows_what_it_has_exported_however_many_have_come_since() -> None:
    world = World()
    for name in "123":
        assert world.run(name).done() == {}
        world.run(name).move({"until": name})
        world.run(name).note({"until": name})
    assert world.run("1").done()["until"] == "1"


def test_without_stores_nothing_is_remembered_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    mark = World().run("1", asset_state_store=None, task_state_store=None)
    mark.move({"until": 5})
    mark.note({"until": 5})
    assert mark.start() == mark.done() == {}
    assert "Airflow 3.3" in caplog.text


def test_it_needs_one_asset() -> None:
    with pytest.raises(InputError, match="needs one outlet asset, .* the task has 2"):
        Watermark({}, ["a", "b"], "everything", LOG, name="w", argument="incremental")  # type: ignore[arg-type]
