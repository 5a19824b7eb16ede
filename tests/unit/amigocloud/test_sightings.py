"""What is news to a watcher: every change once, whoever showed it."""

from __future__ import annotations

import json

import pytest

from airflow_provider.amigocloud.watchers.observations import (
    CREATED,
    DELETED,
    FAILED,
    FINISHED,
    STARTED,
    Gone,
    Ledger,
    Listed,
    Seen,
    Told,
)


def realtime(master, dataset=1):
    return Told("realtime", {"dataset_id": dataset}, master)


def fired(ledger, *sightings, now=0.0):
    return [event for sighting in sightings for event in ledger.take(sighting, now)]


def test_what_is_there_at_first_is_no_news():
    ledger = Ledger(["*"], 1)
    assert fired(ledger, Seen(1, "a"), Seen(1, "a")) == []
    assert fired(Ledger([CREATED], None), Listed(frozenset({1}))) == []


def test_a_change_that_both_show_fires_once():
    told_first, seen_first = Ledger(["realtime"], 1), Ledger(["realtime"], 1)
    told = {"event": "realtime", "dataset_id": 1, "source": "socket", "master": "b"}
    assert fired(told_first, Seen(1, "a"), realtime("b"), Seen(1, "b")) == [told]
    assert fired(seen_first, Seen(1, "a"), Seen(1, "b"), realtime("b")) == [
        {"event": "realtime", "dataset_id": 1, "master": "b", "source": "poll"}
    ]


def test_each_change_fires():
    ledger = Ledger(["realtime"], 1)
    events = fired(ledger, Seen(1, "a"), realtime("b"), realtime("c"), Seen(1, "d"))
    assert [event["master"] for event in events] == ["b", "c", "d"]


def test_broadcasts_that_leave_no_state_behind_fire_each():
    ledger = Ledger(["realtime"], 1)
    assert len(fired(ledger, Seen(1, "a"), realtime("a"), realtime("a"))) == 2


def test_an_event_long_after_the_look_is_another_one():
    ledger = Ledger(["realtime"], 1)
    assert len(fired(ledger, Seen(1, "a"), Seen(1, "b"))) == 1
    assert len(fired(ledger, realtime("b"), now=60.0)) == 1


def test_other_datasets_and_other_events_do_not_fire():
    ledger = Ledger(["dataset:style_*", "realtime"], 1)
    assert fired(ledger, Seen(2, "a"), Seen(2, "b"), realtime("c", 2)) == []
    assert fired(ledger, Told("project:deleted", {"project_id": 1})) == []
    assert len(fired(ledger, Told("dataset:style_updated", {"dataset_id": 1}))) == 1


def test_a_change_of_data_is_no_change_of_style():
    assert fired(Ledger(["dataset:style_updated"], 1), Seen(1, "a"), Seen(1, "b")) == []


@pytest.mark.parametrize("told_first", [True, False])
def test_a_new_dataset_fires_once(told_first):
    told, listed = Told(CREATED, {"dataset_id": 3, "job": "j"}), Listed(frozenset({1, 3}))
    ledger = Ledger(["dataset:*"], None)
    events = fired(ledger, Listed(frozenset({1})), *([told, listed] if told_first else [listed, told]))
    assert [(event["event"], event["dataset_id"]) for event in events] == [(CREATED, 3)]
    assert fired(ledger, Listed(frozenset({1}))) == [{"event": DELETED, "dataset_id": 3, "source": "poll"}]


def test_a_new_dataset_that_the_list_does_not_show_yet_is_not_deleted():
    ledger = Ledger(["dataset:*"], None)
    fired(ledger, Listed(frozenset({1})), Told(CREATED, {"dataset_id": 3}))
    assert fired(ledger, Listed(frozenset({1})), Listed(frozenset({1, 3}))) == []


def test_the_same_end_of_a_job_fires_once():
    done = Told("project:process_file_finished", {"job": "j", "project_id": 1})
    assert len(fired(Ledger(["project:*"], None), done, done)) == 1


def test_a_restart_with_its_state_repeats_and_loses_nothing():
    ledger = Ledger(["*"], None)
    fired(ledger, Listed(frozenset({1, 2})), Told(CREATED, {"dataset_id": 3, "job": "j"}))
    again = Ledger(["*"], None, json.loads(json.dumps(ledger.new_state())))
    assert fired(again, Listed(frozenset({1, 2, 3}))) == []
    assert len(fired(again, Listed(frozenset({1, 2, 3, 4})))) == 1
    dataset = Ledger(["realtime"], 1)
    fired(dataset, Seen(1, "a"))
    assert len(fired(Ledger(["realtime"], 1, dataset.new_state()), Seen(1, "b"))) == 1


def test_the_memory_of_single_events_is_limited():
    ledger = Ledger(["*"], None)
    for number in range(1000):
        fired(ledger, Told("x", {"job": str(number)}))
    assert len(json.dumps(ledger.new_state())) < 5000


def started(job, **more):
    return Told(STARTED, {"job": job, "filename": "rooms.csv", **more})


def test_a_job_is_remembered_from_its_beginning_to_its_end():
    ledger = Ledger([FINISHED], None)
    assert fired(ledger, started("a"), started("b"), started("c"), started("d")) == []
    fired(ledger, Told(FINISHED, {"job": "a"}), Told(FAILED, {"job": "b"}), Gone("c"))
    assert list(ledger.jobs) == ["d"]
    assert ledger.jobs["d"]["filename"] == "rooms.csv"


def test_jobs_whose_end_is_not_wanted_are_not_remembered():
    for ledger in (Ledger([STARTED], None), Ledger([FINISHED], 1)):
        fired(ledger, started("a"))
        assert not ledger.jobs


def test_a_job_that_began_before_a_restart_is_known_after_it():
    before = Ledger([FINISHED], None)
    fired(before, started("a"))
    again = Ledger([FINISHED], None, json.loads(json.dumps(before.new_state())))
    end = Told(FINISHED, again.jobs["a"], source="poll")
    assert len(fired(again, end, end)) == 1
    assert not again.jobs


def test_the_memory_of_jobs_fits_into_the_state_whatever_is_told_of_them():
    ledger = Ledger(["*"], None)
    for number in range(1000):
        fired(ledger, started(f"{number}", **{f"{n}" * 200: "é" * 200 for n in range(10)}))
    fired(ledger, Listed(frozenset(range(100_000, 103_000))))
    assert "999" in ledger.jobs
    assert len(json.dumps(ledger.new_state()).encode()) < 60_000


def test_what_is_remembered_is_given_once_and_only_when_it_is_new():
    ledger = Ledger(["realtime"], 1)
    assert ledger.new_state() is None
    fired(ledger, Seen(1, "a"))
    assert ledger.new_state()["master"] == "a"
    fired(ledger, Seen(1, "a"), Seen(2, "b"))
    assert ledger.new_state() is None


def test_an_event_cannot_pass_itself_off_as_another():
    told = Told("dataset:style_updated", {"dataset_id": 1, "event": "realtime", "source": "poll"})
    (event,) = fired(Ledger(["*"], 1), told)
    assert (event["event"], event["source"]) == ("dataset:style_updated", "socket")
