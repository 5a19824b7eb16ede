from __future__ import annotations

import logging
import re
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider.core.state.identity import fingerprint, task_identity, without_expiry
from airflow_provider.core.state.submission import Submission
from tests.support.state_store import FakeStateStore

LOG: Any = logging.getLogger("test")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def context(
    store: FakeStateStore | None, task: str = "t", try_number: int = 1, max_tries: int | None = 2
) -> dict[str, Any]:
    ti = SimpleNamespace(
        dag_id="d", task_id=task, run_id="r", map_index=-1, try_number=try_number, max_tries=max_tries
    )
    return {"ti": ti, "task_state_store": store}


def open_(store: FakeStateStore | None, request: Any = 1, **more: Any) -> Submission:
    return Submission(context(store, **more), request, LOG)


@given(value=JSON)
def test_a_fingerprint_does_not_depend_on_the_order_of_keys(value: Any) -> None:
    def turned(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: turned(item[key]) for key in reversed(list(item))}
        return [turned(entry) for entry in item] if isinstance(item, list) else item

    assert fingerprint(value) == fingerprint(turned(value))


def test_a_retry_knows_the_work_of_an_earlier_attempt() -> None:
    store = FakeStateStore()
    first = open_(store)
    assert not first.is_known
    first.intend()
    assert open_(store).is_known
    first.created("run-1")
    retry = open_(store, try_number=2)
    assert (retry.remote_id, retry.marker) == ("run-1", first.marker)


def test_a_changed_request_is_new_work_with_a_marker_of_its_own() -> None:
    store = FakeStateStore()
    first = open_(store)
    first.intend()
    first.created("run-1")
    changed = open_(store, request=2)
    assert changed.remote_id is None
    assert not changed.is_known
    assert changed.marker != first.marker
    changed.intend()
    back = open_(store, request=1)
    assert back.remote_id is None
    assert back.marker not in {first.marker, changed.marker}


def test_failed_work_is_replaced_by_new_work() -> None:
    store = FakeStateStore()
    first = open_(store)
    first.intend()
    first.created("run-1")
    old = first.marker
    first.renew()
    assert first.marker != old
    retry = open_(store)
    assert not retry.is_known
    assert (retry.remote_id, retry.marker) == (None, first.marker)


def test_a_task_that_is_cleared_after_its_success_starts_new_work() -> None:
    store = FakeStateStore()
    first = open_(store)
    first.intend()
    first.created("run-1")
    first.finished()
    cleared = open_(store, try_number=2, max_tries=3)
    assert not cleared.is_known
    assert cleared.remote_id is None
    assert (cleared.earlier_id, cleared.earlier_was_same) == ("run-1", True)


def test_a_task_that_died_before_its_success_was_recorded_resumes_the_same_work() -> None:
    store = FakeStateStore()
    first = open_(store)
    first.intend()
    first.created("run-1")
    marker = first.marker
    first.finished()
    retry = open_(store, try_number=2)
    assert (retry.is_known, retry.remote_id, retry.marker) == (True, "run-1", marker)
    retry.renew()
    assert open_(store, try_number=3).remote_id is None


def test_a_task_whose_max_tries_is_unknown_counts_as_cleared_after_its_success() -> None:
    store = FakeStateStore()
    first = open_(store, max_tries=None)
    first.intend()
    first.created("run-1")
    first.finished()
    assert not open_(store, try_number=2, max_tries=None).is_known


def test_tasks_do_not_share_markers() -> None:
    assert open_(None, task="a").marker != open_(None, task="b").marker


def test_a_dag_run_that_was_created_again_has_markers_of_its_own() -> None:
    deleted, created_again = open_(FakeStateStore()), open_(FakeStateStore())
    assert deleted.marker != created_again.marker
    assert deleted.task_marker == created_again.task_marker


def test_work_that_an_earlier_release_recorded_keeps_its_marker() -> None:
    store = FakeStateStore()
    store.set("submission", {"request": fingerprint(1), "generation": 0})
    resumed = open_(store, try_number=2)
    assert (resumed.is_known, resumed.marker) == (True, open_(None).marker)


def test_without_a_store_the_marker_is_the_same_in_every_attempt(caplog) -> None:
    caplog.set_level(logging.INFO)
    assert open_(None).marker == open_(None, try_number=2).marker
    assert "No task state store" in caplog.text
    open_(None).created("run-1")


def test_a_marker_is_short_the_same_for_a_task_and_another_for_each_work() -> None:
    first = open_(None)
    assert re.fullmatch(r"airflow:[0-9a-f]{12}-[0-9a-f]{8}\.0", first.marker)
    assert first.marker.startswith(first.task_marker)
    assert open_(None, request=2).marker.startswith(first.task_marker)
    assert open_(None, task="u").task_marker != first.task_marker


def test_notes_are_stored_beside_the_id_and_known_to_later_attempts() -> None:
    store = FakeStateStore()
    first = open_(store)
    assert (first.is_known, first.note) == (False, None)
    first.intend({"at": 5})
    assert (first.is_known, first.note, store["submission"]["note"]) == (True, {"at": 5}, {"at": 5})
    retry = open_(store)
    assert (retry.remote_id, retry.note) == (None, {"at": 5})
    retry.created("run-1")
    assert "note" not in store["submission"]
    retry.created("run-1", {"at": 7})
    assert (open_(store).remote_id, open_(store).note) == ("run-1", {"at": 7})
    retry.finished()
    assert store["submission"]["note"] == {"at": 7}
    assert store["submission"]["taken_by"] == 2


def test_a_closed_work_is_known_by_its_id_and_a_changed_request_is_no_longer_the_same() -> None:
    store = FakeStateStore()
    first = open_(store)
    first.intend()
    first.created("run-1")
    first.renew()
    assert (first.remote_id, first.is_known, first.generation) == (None, False, 1)
    assert store["submission"]["closed"] is True
    retry = open_(store)
    assert (retry.earlier_id, retry.earlier_was_same, retry.generation) == ("run-1", True, 1)
    changed = open_(store, request=2)
    assert (changed.earlier_id, changed.earlier_was_same) == ("run-1", False)
    known = open_(FakeStateStore())
    assert (known.earlier_id, known.earlier_was_same, known.generation) == (None, False, 0)


def test_submissions_of_one_task_have_names_and_damaged_ones_count_as_none() -> None:
    store = FakeStateStore()
    other = Submission(context(store), 1, LOG, "second")
    other.created("run-2")
    assert list(store) == ["second"]
    assert open_(store).remote_id is None
    store.set("submission", "damaged")
    assert not open_(store).is_known


def test_a_task_is_known_by_dag_task_run_and_map_index() -> None:
    ti = SimpleNamespace(dag_id="d", task_id="t", run_id="r")
    assert task_identity({"ti": ti}) == ("d", "t", "r", "-1")
    ti.map_index = 3
    assert task_identity({"ti": ti}) == ("d", "t", "r", "3")
    assert len(fingerprint({"a": 1})) == 16
    assert without_expiry() == {} or list(without_expiry()) == ["retention"]


def test_a_known_work_has_no_earlier_one_and_the_first_generation_is_zero() -> None:
    store = FakeStateStore()
    first = open_(store)
    assert (first.generation, first.remote_id, first.earlier_id) == (0, None, None)
    first.intend()
    first.created("run")
    again = open_(store)
    assert (again.generation, again.remote_id, again.earlier_id) == (0, "run", None)
    changed = open_(store, request=2)
    assert (changed.generation, changed.remote_id, changed.earlier_id) == (1, None, "run")


def test_each_new_work_of_a_task_has_another_marker() -> None:
    store = FakeStateStore()
    markers = []
    for attempt in range(2):
        work = open_(store)
        for _ in range(3):
            markers.append(work.marker)
            work.intend()
            work.created(f"run-{len(markers)}")
            work.renew()
        assert work.generation == 3 * (attempt + 1)
    assert len(set(markers)) == 6


def test_a_damaged_generation_counts_as_none() -> None:
    store = FakeStateStore()
    open_(store).intend()
    store.set("submission", {**store.get("submission"), "generation": "x"})
    assert open_(store, request=2).generation == 0


def test_before_airflow_3_3_a_state_is_kept_without_an_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.execution_time import context

    never = getattr(context, "NEVER_EXPIRE", None)
    assert without_expiry() == ({"retention": never} if never else {})
    monkeypatch.delattr(context, "NEVER_EXPIRE", raising=False)
    assert without_expiry() == {}


def test_a_stored_work_has_these_members_and_no_others() -> None:
    store = FakeStateStore()
    work = open_(store)
    request = fingerprint(1)
    work.intend()
    salt = store["submission"]["salt"]
    assert re.fullmatch("[0-9a-f]{8}", salt)
    own = {"request": request, "salt": salt}
    assert store["submission"] == {**own, "generation": 0}
    work.renew()
    assert store["submission"] == {**own, "generation": 0, "closed": True}
    work.intend({"at": 5})
    work.renew()
    assert store["submission"] == {**own, "generation": 1, "closed": True}
    work.created("run-1", {"at": 7})
    known = {**own, "generation": 2, "remote_id": "run-1", "note": {"at": 7}}
    assert store["submission"] == known
    work.finished()
    assert store["submission"] == {**known, "closed": True, "taken_by": 2}


def test_the_note_of_other_work_is_not_known_and_a_damaged_id_is_none() -> None:
    store = FakeStateStore()
    open_(store).created("run-1", {"at": 7})
    changed = open_(store, request=2)
    assert (changed.note, changed.earlier_id) == (None, "run-1")
    store.set("submission", {**store.get("submission"), "remote_id": 5})
    assert (open_(store).remote_id, open_(store, request=2).earlier_id) == (None, None)


def test_work_that_was_taken_by_other_tries_is_not_known() -> None:
    store = FakeStateStore()
    first = open_(store, max_tries=2)
    first.created("run-1")
    first.finished()
    assert [open_(store, max_tries=tries).is_known for tries in (1, 2, 3)] == [False, True, False]


def test_the_marker_of_an_earlier_release_is_found_again() -> None:
    request = fingerprint(1)
    store = FakeStateStore()
    store.set("submission", {"request": request, "generation": 3})
    work = open_(store)
    assert work.marker == f"{work.task_marker}{request[:8]}.3"
