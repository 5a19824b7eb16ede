"""Observations of a connection, and their deduplication into events for one watcher. No I/O."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from airflow_provider.core.state.identity import fingerprint

CHANGED = "dataset:changed"
"""Event of a change that a poll has found, for a watcher that wants none of the service's own names."""

CREATED, DELETED = "dataset:creation_succeeded", "dataset:deleted"

STARTED = "project:process_file_started"

FINISHED, FAILED = "project:process_file_finished", "project:process_datasource_failed"

CHANGES = ("realtime", CHANGED, "dataset:change_succeeded", "dataset:revert_succeeded")
"""Events of a new state of a dataset. A change found by a poll fires the first of them that is wanted."""

DUPLICATE_SECONDS = 10.0
"""Seconds after a poll has found a change within which the socket's event of it is a duplicate."""

MAX_RECENT = 200
"""Maximum events remembered for deduplication."""

MAX_JOBS, MAX_JOBS_BYTES = 100, 30_000
"""Maximum remembered jobs, and bytes of their JSON; the oldest are dropped first. An asset's state holds
64 KiB."""


@dataclass(frozen=True)
class EventObservation:
    """An event of the socket.

    :param name: the service's name of the event.
    :param payload: data of the event, without lists and secrets.
    :param master: state of the event's dataset, if that dataset is watched.
    :param source: ``socket``, or ``poll`` for the end of a job that a poll has found.
    :param asked: time of the event loop at which ``master`` was asked for.
    """

    name: str
    payload: Mapping[str, Any]
    master: str | None = None
    source: str = "socket"
    asked: float = field(default=math.inf, compare=False)


@dataclass(frozen=True)
class StateObservation:
    """The state of a dataset, found by a poll.

    :param dataset: id of the dataset.
    :param master: hash of its latest state.
    :param asked: time of the event loop at which it was asked for.
    """

    dataset: int
    master: str
    asked: float = field(default=math.inf, compare=False)


@dataclass(frozen=True)
class ListObservation:
    """The ids of all datasets of the project, found by a poll.

    :param datasets: the ids.
    :param asked: time of the event loop at which they were asked for.
    """

    datasets: frozenset[int]
    asked: float = field(default=math.inf, compare=False)


@dataclass(frozen=True)
class MissingJobObservation:
    """A job that the service no longer knows, found by a poll."""

    job: str


Observation = EventObservation | StateObservation | ListObservation | MissingJobObservation


class ObservedState:
    """State that one watcher has observed; it deduplicates observations into the events to fire.

    :param patterns: names of events, or patterns with ``*``.
    :param dataset: id of the only dataset to watch; None for all.
    :param state: the latest result of :meth:`changed_state` before a restart.
    """

    def __init__(self, patterns: Sequence[str], dataset: int | None, state: Any = None) -> None:
        self.dataset = dataset
        self._patterns = tuple(patterns)
        self._change_name = next((name for name in CHANGES if self.wants(name)), None)
        self.adopt(state)

    def adopt(self, state: Any) -> None:
        """Continue with a stored state; what this watcher has observed itself no longer counts."""
        stored = state if isinstance(state, dict) else {}
        jobs, master, recent = stored.get("jobs"), stored.get("master"), stored.get("recent")
        jobs = jobs if isinstance(jobs, dict) else {}
        self.jobs: dict[str, Mapping[str, Any]] = {
            job: event for job, event in jobs.items() if isinstance(event, dict)
        }
        self._master: str | None = master if isinstance(master, str) else None
        datasets = stored.get("datasets")
        are_ids = isinstance(datasets, list) and all(isinstance(one, int) for one in datasets)
        self._datasets: frozenset[int] | None = frozenset(datasets) if datasets and are_ids else None
        if datasets == []:
            self._datasets = frozenset()
        keys = recent if isinstance(recent, list) else []
        self._recent: dict[str, None] = dict.fromkeys(key for key in keys if isinstance(key, str))
        self._polled: tuple[str, float] | None = None
        self._has_changed = False

    def changed_state(self) -> dict[str, Any] | None:
        """Return the state to store, as JSON; None if it is the same as at the last call."""
        if not self._has_changed:
            return None
        self._has_changed = False
        state: dict[str, Any] = {"recent": list(self._recent), "jobs": dict(self.jobs)}
        if self._master is not None:
            state["master"] = self._master
        if self._datasets is not None:
            state["datasets"] = sorted(self._datasets)
        return state

    @property
    def needs_list(self) -> bool:
        """True if the watcher needs the list of the project's datasets."""
        return self.dataset is None and (self.wants(CREATED) or self.wants(DELETED))

    def wants(self, name: str) -> bool:
        """Return whether an event of this name is wanted."""
        return any(fnmatchcase(name, pattern) for pattern in self._patterns)

    def without_old_state(self, observation: Observation, known_at: float) -> Observation | None:
        """Return an observation as far as it holds; None when only a poll tells what is so now.

        :param observation: the observation.
        :param known_at: time of the event loop before which a state was asked for that may be older than the
            one that this watcher knows.
        """
        if isinstance(observation, MissingJobObservation) or observation.asked >= known_at:
            return observation
        if not isinstance(observation, EventObservation):
            return None
        is_change = observation.name in CHANGES and observation.payload.get("dataset_id") == self.dataset
        return None if is_change else replace(observation, master=None)

    def events(self, observation: Observation, now: float) -> list[dict[str, Any]]:
        """Return the events to fire for an observation; usually none.

        :param observation: the next observation of the connection.
        :param now: seconds of a monotonic clock.
        """
        if isinstance(observation, EventObservation):
            return self._of_event(observation, now)
        if isinstance(observation, StateObservation):
            return self._of_state(observation, now)
        if isinstance(observation, ListObservation):
            return self._of_list(observation)
        return self._forget_job(observation.job)

    def _of_event(self, event: EventObservation, now: float) -> list[dict[str, Any]]:
        dataset = event.payload.get("dataset_id")
        if self.dataset is not None and dataset != self.dataset:
            return []
        self._follow_job(event)
        if not self.wants(event.name) or self._is_duplicate(event.name, dataset, event.payload.get("job")):
            return []
        payload = {**event.payload, "event": event.name, "source": event.source}
        if self.dataset is not None and event.master is not None:
            is_current = event.master == self._master and event.name in CHANGES
            if is_current and self._was_just_polled(event.master, now):
                return []
            self._set_master(event.master)
            payload["master"] = event.master
        return [payload]

    def _follow_job(self, event: EventObservation) -> None:
        """Remember a job from its start event to its end, which an event or a poll reports."""
        job = event.payload.get("job")
        if job is None or not (self.wants(FINISHED) or self.wants(FAILED)):
            return
        if event.name == STARTED:
            self.jobs[str(job)] = event.payload
            while len(self.jobs) > MAX_JOBS or len(json.dumps(self.jobs)) > MAX_JOBS_BYTES:
                del self.jobs[next(iter(self.jobs))]
            self._has_changed = True
        elif event.name in {FINISHED, FAILED}:
            self._forget_job(str(job))

    def _forget_job(self, job: str) -> list[dict[str, Any]]:
        self._has_changed |= self.jobs.pop(job, None) is not None
        return []

    def _set_master(self, master: str) -> None:
        if master != self._master:
            self._master = master
            self._has_changed = True

    def _was_just_polled(self, master: str, now: float) -> bool:
        polled, self._polled = self._polled, None
        return polled is not None and polled[0] == master and now - polled[1] <= DUPLICATE_SECONDS

    def _of_state(self, state: StateObservation, now: float) -> list[dict[str, Any]]:
        if state.dataset != self.dataset or state.master == self._master:
            return []
        is_first = self._master is None
        self._set_master(state.master)
        if is_first or self._change_name is None:
            return []
        self._polled = (state.master, now)
        return [_polled_event(self._change_name, state.dataset, master=state.master)]

    def _of_list(self, found: ListObservation) -> list[dict[str, Any]]:
        before, self._datasets = self._datasets, found.datasets
        self._has_changed |= before != found.datasets
        if before is None or self.dataset is not None:
            return []
        changes = [(CREATED, dataset) for dataset in sorted(found.datasets - before)]
        changes += [(DELETED, dataset) for dataset in sorted(before - found.datasets)]
        return [
            _polled_event(name, dataset)
            for name, dataset in changes
            if self.wants(name) and not self._is_duplicate(name, dataset, None)
        ]

    def _is_duplicate(self, name: str, dataset: Any, job: Any) -> bool:
        """Return whether this event has fired already, and remember it.

        Only an event that can happen once for its dataset or job is deduplicated here.
        """
        subject = dataset if name in {CREATED, DELETED} else job
        if subject is None:
            return False
        key = fingerprint([name, subject])
        if key in self._recent:
            return True
        self._recent[key] = None
        while len(self._recent) > MAX_RECENT:
            del self._recent[next(iter(self._recent))]
        self._has_changed = True
        return False


def _polled_event(name: str, dataset: int, **more: Any) -> dict[str, Any]:
    return {"event": name, "dataset_id": dataset, **more, "source": "poll"}
