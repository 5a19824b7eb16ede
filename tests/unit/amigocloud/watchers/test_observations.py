"""Deduplication of observations: every change fires once, by the socket or by a poll."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from airflow_provider.amigocloud.triggers import _Decider
from airflow_provider.amigocloud.watchers import observations
from airflow_provider.amigocloud.watchers.observations import (
    CREATED,
    DELETED,
    FAILED,
    FINISHED,
    STARTED,
    EventObservation,
    ListObservation,
    MissingJobObservation,
    ObservedState,
    StateObservation,
)


def received(name, payload, master=None, **more):
    return EventObservation(name, payload, master, **more)


def state(master, dataset=1):
    return StateObservation(dataset, master)


def listed(*datasets):
    return ListObservation(frozenset(datasets))


def realtime(master, dataset=1):
    return received("realtime", {"dataset_id": dataset}, master)


def fired(observed, *observations, now=0.0):
    return [event for observation in observations for event in observed.events(observation, now)]


def test_the_first_observation_fires_nothing():
    observed = ObservedState(["*"], 1)
    assert fired(observed, state("a"), state("a")) == []
    assert fired(ObservedState([CREATED], None), listed(1)) == []


def test_a_change_found_by_socket_and_poll_fires_once():
    event_first, poll_first = ObservedState(["realtime"], 1), ObservedState(["realtime"], 1)
    fired_event = {"event": "realtime", "dataset_id": 1, "source": "socket", "master": "b"}
    assert fired(event_first, state("a"), realtime("b"), state("b")) == [fired_event]
    assert fired(poll_first, state("a"), state("b"), realtime("b")) == [
        {"event": "realtime", "dataset_id": 1, "master": "b", "source": "poll"}
    ]


def test_each_change_fires():
    observed = ObservedState(["realtime"], 1)
    events = fired(observed, state("a"), realtime("b"), realtime("c"), state("d"))
    assert [event["master"] for event in events] == ["b", "c", "d"]


def test_broadcasts_that_leave_no_state_behind_fire_each():
    observed = ObservedState(["realtime"], 1)
    assert len(fired(observed, state("a"), realtime("a"), realtime("a"))) == 2


def test_an_event_long_after_the_poll_is_another_change():
    observed = ObservedState(["realtime"], 1)
    assert len(fired(observed, state("a"), state("b"))) == 1
    assert len(fired(observed, realtime("b"), now=60.0)) == 1


def test_other_datasets_and_other_events_do_not_fire():
    observed = ObservedState(["dataset:style_*", "realtime"], 1)
    assert fired(observed, state("a", 2), state("b", 2), realtime("c", 2)) == []
    assert fired(observed, received("project:deleted", {"project_id": 1})) == []
    assert len(fired(observed, received("dataset:style_updated", {"dataset_id": 1}))) == 1


def test_a_change_of_data_is_no_change_of_style():
    assert fired(ObservedState(["dataset:style_updated"], 1), state("a"), state("b")) == []


@pytest.mark.parametrize("event_first", [True, False])
def test_a_new_dataset_fires_once(event_first):
    event, datasets = received(CREATED, {"dataset_id": 3, "job": "j"}), listed(1, 3)
    observed = ObservedState(["dataset:*"], None)
    events = fired(observed, listed(1), *([event, datasets] if event_first else [datasets, event]))
    assert [(event["event"], event["dataset_id"]) for event in events] == [(CREATED, 3)]
    assert fired(observed, listed(1)) == [{"event": DELETED, "dataset_id": 3, "source": "poll"}]


def test_a_new_dataset_that_the_list_does_not_show_yet_is_not_deleted():
    observed = ObservedState(["dataset:*"], None)
    fired(observed, listed(1), received(CREATED, {"dataset_id": 3}))
    assert fired(observed, listed(1), listed(1, 3)) == []


def test_the_same_end_of_a_job_fires_once():
    done = received("project:process_file_finished", {"job": "j", "project_id": 1})
    assert len(fired(ObservedState(["project:*"], None), done, done)) == 1


def test_a_restart_with_its_state_repeats_and_loses_nothing():
    observed = ObservedState(["*"], None)
    fired(observed, listed(1, 2), received(CREATED, {"dataset_id": 3, "job": "j"}))
    again = ObservedState(["*"], None, json.loads(json.dumps(observed.changed_state())))
    assert fired(again, listed(1, 2, 3)) == []
    assert len(fired(again, listed(1, 2, 3, 4))) == 1
    dataset = ObservedState(["realtime"], 1)
    fired(dataset, state("a"))
    assert len(fired(ObservedState(["realtime"], 1, dataset.changed_state()), state("b"))) == 1


async def test_what_another_process_has_stored_since_does_not_fire_here():
    decide = _Decider(ObservedState(["realtime"], 1), None)
    decide.observation = state("a")
    _, known = decide(None)
    decide.observation = state("b")
    events, known = decide(known)
    assert [event["master"] for event in events] == ["b"]
    decide.observation = state("c")
    assert list(decide({**known, "master": "c"})[0]) == []
    decide.observation = state("d")
    assert [event["master"] for event in decide({**known, "master": "e"})[0]] == ["d"]


def test_the_memory_of_single_events_is_limited():
    observed = ObservedState(["*"], None)
    for number in range(1000):
        fired(observed, received("x", {"job": str(number)}))
    assert len(observed.changed_state()["recent"]) == 200


def started(job, **more):
    return received(STARTED, {"job": job, "filename": "rooms.csv", **more})


def test_a_job_is_remembered_from_its_beginning_to_its_end():
    observed = ObservedState([FINISHED], None)
    assert fired(observed, started("a"), started("b"), started("c"), started("d")) == []
    fired(
        observed,
        received(FINISHED, {"job": "a"}),
        received(FAILED, {"job": "b"}),
        MissingJobObservation("c"),
    )
    assert list(observed.jobs) == ["d"]
    assert observed.jobs["d"]["filename"] == "rooms.csv"


def test_jobs_whose_end_is_not_wanted_are_not_remembered():
    for observed in (ObservedState([STARTED], None), ObservedState([FINISHED], 1)):
        fired(observed, started("a"))
        assert not observed.jobs


def test_a_job_that_began_before_a_restart_is_known_after_it():
    before = ObservedState([FINISHED], None)
    fired(before, started("a"))
    again = ObservedState([FINISHED], None, json.loads(json.dumps(before.changed_state())))
    end = received(FINISHED, again.jobs["a"], source="poll")
    assert len(fired(again, end, end)) == 1
    assert not again.jobs


def test_the_remembered_jobs_fit_into_the_state_whatever_their_payloads():
    observed = ObservedState(["*"], None)
    for number in range(1000):
        fired(observed, started(f"{number}", **{f"{n}" * 200: "é" * 200 for n in range(10)}))
    fired(observed, listed(*range(100_000, 103_000)))
    assert "999" in observed.jobs
    assert len(json.dumps(observed.changed_state()).encode()) < 60_000


def test_the_state_is_returned_once_and_only_when_it_has_changed():
    observed = ObservedState(["realtime"], 1)
    assert observed.changed_state() is None
    fired(observed, state("a"))
    assert observed.changed_state()["master"] == "a"
    fired(observed, state("a"), state("b", 2))
    assert observed.changed_state() is None


def test_an_event_cannot_pass_itself_off_as_another():
    told = received("dataset:style_updated", {"dataset_id": 1, "event": "realtime", "source": "poll"})
    (event,) = fired(ObservedState(["*"], 1), told)
    assert (event["event"], event["source"]) == ("dataset:style_updated", "socket")


def test_of_a_state_that_may_be_older_than_the_known_one_only_the_event_is_left():
    observed = ObservedState(["*"], 1)

    def left(observation, asked, known_at=10.0):
        return observed.without_old_state(replace(observation, asked=asked), known_at)

    for found in (state("a"), listed(1), realtime("a")):
        assert left(found, 9.9) is None
        assert left(found, 10.0) == found
    assert left(realtime("a", dataset=2), 9.9) == realtime(None, dataset=2)
    assert left(received(FINISHED, {"dataset_id": 1}, "a"), 9.9) == received(FINISHED, {"dataset_id": 1})
    missing = MissingJobObservation("j")
    assert observed.without_old_state(missing, 10.0) is missing


def test_events_have_the_names_of_the_service():
    assert (CREATED, DELETED) == ("dataset:creation_succeeded", "dataset:deleted")
    assert STARTED == "project:process_file_started"
    assert (FINISHED, FAILED) == ("project:process_file_finished", "project:process_datasource_failed")


@pytest.mark.parametrize(
    "name", ["realtime", "dataset:changed", "dataset:change_succeeded", "dataset:revert_succeeded"]
)
def test_a_change_that_a_poll_has_found_is_the_event_that_is_wanted(name):
    assert [event["event"] for event in fired(ObservedState([name], 1), state("a"), state("b"))] == [name]
    first, later = ObservedState(["*"], 1), ObservedState(["dataset:*"], 1)
    found = [fired(observed, state("a"), state("b"))[0]["event"] for observed in (first, later)]
    assert found == ["realtime", "dataset:changed"]


@pytest.mark.parametrize(("seconds", "count"), [(10.0, 0), (10.1, 1)])
def test_the_event_of_a_polled_change_is_a_duplicate_for_ten_seconds(seconds, count):
    observed = ObservedState(["realtime"], 1)
    fired(observed, state("a"), state("b"), now=1000.0)
    assert len(fired(observed, realtime("b"), now=1000.0 + seconds)) == count


RECENT = "a07bb9f7778cb99f"
KEPT = {
    "recent": [RECENT],
    "jobs": {"j": {"job": "j", "filename": "rooms.csv"}},
    "master": "a",
    "datasets": [1, 2],
}
"""State of the first release, with the end of job "old" as the last event that has fired."""


def test_a_stored_state_is_read_by_each_release():
    observed = ObservedState([CREATED, FINISHED], None, KEPT)
    assert observed.jobs == KEPT["jobs"]
    assert observed.changed_state() is None
    end = fired(observed, *(received(FINISHED, {"job": job}) for job in ("j", "j", "old")))
    assert [event["job"] for event in end] == ["j"]
    assert [event["dataset_id"] for event in fired(observed, listed(1, 2, 3))] == [3]
    stored = observed.changed_state()
    assert list(stored) == ["recent", "jobs", "master", "datasets"]
    assert stored["recent"][0] == RECENT
    assert (len(stored["recent"]), stored["jobs"], stored["master"]) == (3, {}, "a")
    assert stored["datasets"] == [1, 2, 3]
    assert fired(ObservedState(["realtime"], 1, KEPT), state("a")) == []
    assert len(fired(ObservedState(["realtime"], 1, KEPT), state("b"))) == 1


@pytest.mark.parametrize(
    "stored",
    [
        None,
        [],
        "text",
        {"jobs": []},
        {"jobs": {"j": 1}},
        {"master": 1},
        {"datasets": [1, "2"]},
        {"recent": "ab"},
    ],
)
def test_a_stored_state_that_cannot_be_read_counts_as_none(stored):
    observed = ObservedState(["*"], None, stored)
    assert not observed.jobs
    assert fired(observed, listed(7)) == []
    assert observed.changed_state() == {"recent": [], "jobs": {}, "datasets": [7]}
    assert fired(ObservedState(["*"], 1, stored), state("a")) == []


def test_a_project_that_had_no_datasets_is_known_to_have_had_none():
    assert len(fired(ObservedState(["*"], None, {"datasets": []}), listed(7))) == 1


def test_two_hundred_events_and_a_hundred_jobs_are_remembered():
    observed = ObservedState(["*"], None)
    fired(observed, *(started(f"{number}") for number in range(101)))
    assert list(observed.jobs) == [f"{number}" for number in range(1, 101)]
    others = [received("x", {"job": f"{number}"}) for number in range(201)]
    assert len(fired(observed, *others)) == 201
    assert len(fired(observed, *others[1:])) == 0
    assert len(fired(observed, others[0])) == 1


def test_a_watcher_of_one_dataset_needs_no_list_and_fires_for_none():
    observed = ObservedState(["*"], 1)
    assert not observed.needs_list
    assert fired(observed, listed(1), listed(1, 2)) == []
    assert [ObservedState([name], None).needs_list for name in (CREATED, DELETED, "realtime")] == [
        *(True, True, False)
    ]


def test_a_state_belongs_to_the_events_of_a_watched_dataset_only():
    event = received("dataset:style_updated", {"dataset_id": 1}, "b")
    told = {"dataset_id": 1, "event": "dataset:style_updated", "source": "socket"}
    assert fired(ObservedState(["*"], None), event) == [told]
    assert fired(ObservedState(["*"], 1), event) == [{**told, "master": "b"}]
    assert fired(ObservedState(["*"], 1), replace(event, master=None)) == [told]


def test_only_the_event_of_a_change_is_a_duplicate_of_a_poll():
    observed = ObservedState(["*"], 1)
    assert len(fired(observed, state("a"), state("b"))) == 1
    assert len(fired(observed, received("dataset:style_updated", {"dataset_id": 1}, "b"))) == 1
    assert fired(observed, realtime("b")) == []
    assert len(fired(observed, realtime("b"))) == 1


def test_an_event_of_another_state_than_the_polled_one_fires():
    observed = ObservedState(["realtime"], 1)
    assert len(fired(observed, state("a"), state("b"), realtime("c"), realtime("b"))) == 3


async def test_a_polled_change_stays_known_while_nothing_else_changes():
    decide, known, told = _Decider(ObservedState(["realtime"], 1), None), None, []
    for observation in (state("a"), state("b"), state("b"), realtime("b")):
        decide.observation = observation
        payloads, changed = decide(known)
        known = known if changed is None else changed
        told.append([payload["source"] for payload in payloads])
    assert told == [[], ["poll"], [], []]


async def test_without_an_observation_nothing_is_decided():
    assert _Decider(ObservedState(["realtime"], 1), None)(None) == ((), None)


def test_each_change_of_the_state_is_to_be_stored_once():
    observed = ObservedState(["*"], None)
    stored = []
    for observation in (
        received("x", {"job": "1"}),
        received("x", {"job": "1"}),
        started("a"),
        MissingJobObservation("b"),
        MissingJobObservation("a"),
        listed(1),
        listed(1),
        listed(1, 2),
        received("y", {}),
    ):
        fired(observed, observation)
        stored.append(observed.changed_state() is not None)
    assert stored == [True, False, True, False, True, True, False, True, False]
    fired(observed, started("a"), MissingJobObservation("b"))
    assert observed.changed_state()["jobs"] == {"a": {"job": "a", "filename": "rooms.csv"}}
    fired(observed, listed(1, 2, 3), listed(1, 2, 3))
    assert observed.changed_state()["datasets"] == [1, 2, 3]


def test_a_state_of_another_process_is_not_stored_again():
    observed = ObservedState(["realtime"], 1)
    fired(observed, state("a"))
    observed.adopt(KEPT)
    assert observed.changed_state() is None
    assert len(fired(observed, state("b"))) == 1


def test_jobs_are_dropped_when_their_json_is_longer_than_its_bound(monkeypatch):
    observed = ObservedState([FINISHED], None)
    fired(observed, started("a"), started("b"))
    monkeypatch.setattr(observations, "MAX_JOBS_BYTES", len(json.dumps(observed.jobs)))
    fired(observed, started("b"))
    assert list(observed.jobs) == ["a", "b"]
    monkeypatch.setattr(observations, "MAX_JOBS_BYTES", len(json.dumps(observed.jobs)) - 1)
    fired(observed, started("b"))
    assert list(observed.jobs) == ["b"]


def test_the_datasets_of_a_list_fire_in_the_order_of_their_ids():
    observed = ObservedState(["dataset:*"], None)
    fired(observed, listed(3, 30, 100))
    events = fired(observed, listed(200, 30, 4, 1000))
    created, deleted = [(CREATED, one) for one in (4, 200, 1000)], [(DELETED, one) for one in (3, 100)]
    assert [(event["event"], event["dataset_id"]) for event in events] == [*created, *deleted]
    only = ObservedState([DELETED], None, {"datasets": [1, 2]})
    assert fired(only, listed(2, 3)) == [{"event": DELETED, "dataset_id": 1, "source": "poll"}]
