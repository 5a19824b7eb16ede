"""The state that one run of an incremental export stores for the next run."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.core.state.identity import fingerprint
from airflow_provider.core.state.watermark import Watermark
from airflow_provider.errors import InputError
from tests.support.state_store import FakeStateStore

LOG = logging.getLogger(__name__)


class Stores:
    """An asset's store, and one for each run."""

    def __init__(self) -> None:
        self.asset = FakeStateStore()
        self.runs: dict[str, FakeStateStore] = {}

    def run(self, name: str, source: Any = "everything", index: int = -1, **context: Any) -> Watermark:
        ti = SimpleNamespace(dag_id="d", task_id="t", run_id=name, map_index=index)
        own = self.runs.setdefault(name, FakeStateStore())
        given = {"ti": ti, "asset_state_store": {"asset": self.asset}, "task_state_store": own, **context}
        return Watermark(given, ["asset"], source, LOG, name="w", argument="incremental")  # type: ignore[arg-type]


def test_a_run_starts_from_the_state_of_the_run_before() -> None:
    stores = Stores()
    assert stores.run("1").start() == {}
    stores.run("1").move({"until": 5})
    assert stores.run("2").start() == {"until": 5}


def test_a_repeated_run_starts_from_the_same_state() -> None:
    stores = Stores()
    stores.run("1").move({"until": 5})
    for _ in range(3):
        assert stores.run("2").start() == {"until": 5}
        stores.run("2").move({"until": 9})
    assert stores.run("3").start() == {"until": 9}


def test_another_source_starts_over() -> None:
    stores = Stores()
    stores.run("1").move({"until": 5})
    stores.run("1").note({"until": 5})
    assert stores.run("1", source="some").start() == stores.run("1", source="some").done() == {}


def test_each_run_knows_its_own_export_after_many_later_runs() -> None:
    stores = Stores()
    for name in "123":
        assert stores.run(name).done() == {}
        stores.run(name).move({"until": name})
        stores.run(name).note({"until": name})
    assert stores.run("1").done()["until"] == "1"


def test_without_stores_there_is_no_watermark_and_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    mark = Stores().run("1", asset_state_store=None, task_state_store=None)
    mark.move({"until": 5})
    mark.note({"until": 5})
    assert mark.start() == mark.done() == {}
    assert "Airflow 3.3" in caplog.text


def test_it_needs_one_asset() -> None:
    with pytest.raises(InputError) as caught:
        Watermark({}, ["a", "b"], "everything", LOG, name="w", argument="incremental")  # type: ignore[arg-type]
    assert str(caught.value) == (
        "incremental: needs one outlet asset, on which the watermark is kept; the task has 2"
    )


def test_a_damaged_state_is_an_error_that_names_it_and_says_what_to_do() -> None:
    stores = Stores()
    stores.run("1").move({"until": 5})
    said = "stored state 'w' cannot be read .KeyError.; delete it"
    with pytest.raises(InputError, match=said), stores.run("2").readable():
        stores.run("2").start()["turn"]


def test_a_state_that_is_no_object_counts_as_none() -> None:
    stores = Stores()
    stores.run("1").move(["until"])  # type: ignore[arg-type]
    assert stores.run("2").start() == {}


def test_runs_that_overlap_keep_their_own_start_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    stores = Stores()
    stores.run("1").move({"until": 1})
    second, third = stores.run("2"), stores.run("3")
    assert second.start() == third.start() == {"until": 1}
    third.move({"until": 3})
    assert "max_active_runs" not in caplog.text
    second.move({"until": 2})
    assert "Run d/t/3/-1 has moved the watermark" in caplog.text
    assert "max_active_runs" in caplog.text
    assert stores.run("2").start() == {"until": 1}
    assert stores.run("2").is_last_run
    assert not stores.run("3").is_last_run


def test_an_error_of_the_service_within_the_reading_of_a_state_is_raised_as_it_is() -> None:
    error = InputError("is the service's own", "where")
    with pytest.raises(InputError) as caught, Stores().run("1").readable():
        raise error
    assert caught.value is error


def test_each_source_of_mapped_tasks_has_a_state_of_its_own() -> None:
    stores = Stores()
    for source in ("rooms", "desks"):
        stores.run("1", source, index=0).move({"until": source})
        stores.run("1", source, index=0).note({"until": source})
    for source in ("rooms", "desks"):
        assert stores.run("2", source, index=1).start() == {"until": source}
        assert stores.run("1", source, index=0).done()["until"] == source


def test_mapped_tasks_continue_the_state_of_release_0_1_0() -> None:
    """It had one state for all of them."""
    stores = Stores()
    stores.run("1").move({"until": 5})
    assert set(stores.asset) == {"w"}
    assert stores.run("2", index=0).start() == {"until": 5}
    stores.run("2", index=0).move({"until": 9})
    assert stores.run("3", index=0).start() == {"until": 9}
    assert stores.run("3", source="some", index=1).start() == {}


def test_the_state_of_another_source_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    stores = Stores()
    stores.run("1").move({"until": 5})
    assert stores.run("2").start() == {"until": 5}
    assert "another source" not in caplog.text
    assert stores.run("2", source="some").start() == {}
    assert "is that of another source" in caplog.text


def test_states_and_notes_have_these_keys_and_members() -> None:
    stores, source = Stores(), fingerprint("everything")
    stores.run("1").move({"until": 5})
    stores.run("2").move({"until": 9})
    stores.run("2").note({"rows": 3})
    state = {"source": source, "run": "d/t/2/-1", "latest": {"until": 9}, "start": {"until": 5}}
    assert stores.asset == {"w": state}
    assert stores.runs["2"] == {"w": {"source": source, "rows": 3}}
    mapped = stores.run("2", index=0)
    mapped.move({"until": 1})
    assert mapped.key == f"w_{source}"
    assert stores.asset[mapped.key]["run"] == "d/t/2/0"


def test_a_state_that_was_damaged_counts_as_that_of_another_source(caplog: pytest.LogCaptureFixture) -> None:
    stores = Stores()
    for damaged in ("damaged", {"latest": {"until": 5}}):
        stores.asset.set("w", damaged)
        assert stores.run("2").start() == {}
    assert caplog.text.count("is that of another source") == 2


def test_a_run_that_moves_its_own_state_again_warns_of_no_other_run(caplog: pytest.LogCaptureFixture) -> None:
    stores = Stores()
    stores.run("1").move({"until": 1})
    second = stores.run("2")
    second.start()
    second.move({"until": 2})
    second.move({"until": 3})
    assert "max_active_runs" not in caplog.text
    assert stores.run("3").start() == {"until": 3}
