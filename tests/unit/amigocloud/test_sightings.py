"""What is news to a watcher: every change once, whoever showed it."""

from __future__ import annotations

import json

import pytest

from airflow_provider.amigocloud.sightings import CREATED, DELETED, Ledger, Listed, Seen, Told


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
    again = Ledger(["*"], None, json.loads(json.dumps(ledger.state)))
    assert fired(again, Listed(frozenset({1, 2, 3}))) == []
    assert len(fired(again, Listed(frozenset({1, 2, 3, 4})))) == 1
    dataset = Ledger(["realtime"], 1)
    fired(dataset, Seen(1, "a"))
    assert len(fired(Ledger(["realtime"], 1, dataset.state), Seen(1, "b"))) == 1


def test_the_memory_of_single_events_is_limited():
    ledger = Ledger(["*"], None)
    for number in range(1000):
        fired(ledger, Told("x", {"job": str(number)}))
    assert len(json.dumps(ledger.state)) < 5000
