"""What watchers get to see, and which of it is news to them. No I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from airflow_provider.core.state.identity import fingerprint

CHANGED = "dataset:changed"
"""The event of a change that only looking has found, for who has no name of the service's for it."""


CREATED, DELETED = "dataset:creation_succeeded", "dataset:deleted"


STARTED = "project:process_file_started"


FINISHED, FAILED = "project:process_file_finished", "project:process_datasource_failed"


CHANGES = ("realtime", CHANGED, "dataset:change_succeeded", "dataset:revert_succeeded")
"""Events that mean a new state of a dataset; one that only looking has found counts as the first wanted."""


SAME_SECONDS = 10.0
"""An event that comes so long after a look has shown its change tells nothing new."""


RECENT = 200


MOST_JOBS, JOBS_SIZE = 100, 30_000
"""So many jobs, and bytes of what was told of them, are remembered, the latest ones: an asset's state holds
64 KiB."""


@dataclass(frozen=True)
class Told:
    """An event of the socket.

    :param payload: what it tells, without lists and secrets.
    :param master: the state its dataset is in, when somebody watches that dataset.
    :param source: ``socket``, or ``poll`` for what looking has found out about a job.
    """

    name: str
    payload: Mapping[str, Any]
    master: str | None = None
    source: str = "socket"


@dataclass(frozen=True)
class Seen:
    """What a look has shown.

    :param dataset: its id.
    :param master: the state it is in.
    """

    dataset: int
    master: str


@dataclass(frozen=True)
class Listed:
    """The datasets that there are in the project."""

    datasets: frozenset[int]


@dataclass(frozen=True)
class Gone:
    """The service does not know this job any more."""

    job: str


Sighting = Told | Seen | Listed | Gone


class Ledger:
    """One watcher's view: what it wants, what it knows already, and so what it fires for.

    :param patterns: names of events, or patterns with ``*``.
    :param dataset: only this dataset; None for all.
    :param state: what :attr:`state` was before a restart.
    """

    def __init__(self, patterns: Sequence[str], dataset: int | None, state: Any = None) -> None:
        known = state if isinstance(state, dict) else {}
        self.dataset = dataset
        self.jobs: dict[str, Mapping[str, Any]] = dict(known.get("jobs", {}))
        self._patterns = tuple(patterns)
        self._master: str | None = known.get("master")
        self._datasets = frozenset(known["datasets"]) if "datasets" in known else None
        self._recent: dict[str, None] = dict.fromkeys(known.get("recent", ()))
        self._found: tuple[str, float] = ("", 0.0)
        self._change = next((name for name in CHANGES if self.wants(name)), None)
        self._is_new = False

    def new_state(self) -> dict[str, Any] | None:
        """Give what to remember, as JSON; None when that is the same as the last time."""
        if not self._is_new:
            return None
        self._is_new = False
        out: dict[str, Any] = {"recent": list(self._recent), "jobs": dict(self.jobs)}
        if self._master is not None:
            out["master"] = self._master
        if self._datasets is not None:
            out["datasets"] = sorted(self._datasets)
        return out

    @property
    def needs_list(self) -> bool:
        """Whether the project's datasets matter."""
        return self.dataset is None and (self.wants(CREATED) or self.wants(DELETED))

    def wants(self, name: str) -> bool:
        """Tell whether an event of this name is wanted."""
        return any(fnmatchcase(name, pattern) for pattern in self._patterns)

    def take(self, sighting: Sighting, now: float) -> list[dict[str, Any]]:
        """Give what to fire for, mostly nothing.

        :param now: seconds of a clock that never goes back.
        """
        if isinstance(sighting, Told):
            return self._told(sighting, now)
        if isinstance(sighting, Seen):
            return self._seen(sighting, now)
        return self._listed(sighting) if isinstance(sighting, Listed) else self._forget_job(sighting.job)

    def _told(self, told: Told, now: float) -> list[dict[str, Any]]:
        about = told.payload.get("dataset_id")
        if self.dataset is not None and about != self.dataset:
            return []
        self._follow_job(told)
        if not self.wants(told.name) or self._is_known(told.name, about, told.payload.get("job")):
            return []
        payload = {**told.payload, "event": told.name, "source": told.source}
        if self.dataset is not None and told.master is not None:
            if told.master == self._master and told.name in CHANGES and self._was_found(told.master, now):
                return []
            self._sees(told.master)
            payload["master"] = told.master
        return [payload]

    def _follow_job(self, told: Told) -> None:
        """Remember what has begun until its end is told: by the service, or by a look."""
        job = told.payload.get("job")
        if job is None or not (self.wants(FINISHED) or self.wants(FAILED)):
            return
        if told.name == STARTED:
            self.jobs[str(job)] = told.payload
            while len(self.jobs) > MOST_JOBS or len(json.dumps(self.jobs)) > JOBS_SIZE:
                del self.jobs[next(iter(self.jobs))]
            self._is_new = True
        elif told.name in {FINISHED, FAILED}:
            self._forget_job(str(job))

    def _forget_job(self, job: str) -> list[dict[str, Any]]:
        self._is_new |= self.jobs.pop(job, None) is not None
        return []

    def _sees(self, master: str) -> None:
        if master != self._master:
            self._master = master
            self._is_new = True

    def _was_found(self, master: str, now: float) -> bool:
        found, at = self._found
        self._found = ("", 0.0)
        return found == master and now - at <= SAME_SECONDS

    def _seen(self, seen: Seen, now: float) -> list[dict[str, Any]]:
        if seen.dataset != self.dataset or seen.master == self._master:
            return []
        first = self._master is None
        self._sees(seen.master)
        if first or self._change is None:
            return []
        self._found = (seen.master, now)
        return [_found(self._change, seen.dataset, master=seen.master)]

    def _listed(self, listed: Listed) -> list[dict[str, Any]]:
        before, self._datasets = self._datasets, listed.datasets
        self._is_new |= before != listed.datasets
        if before is None or self.dataset is not None:
            return []
        changes = [(CREATED, number) for number in sorted(listed.datasets - before)]
        changes += [(DELETED, number) for number in sorted(before - listed.datasets)]
        return [
            _found(name, number)
            for name, number in changes
            if self.wants(name) and not self._is_known(name, number, None)
        ]

    def _is_known(self, name: str, dataset: Any, job: Any) -> bool:
        """Tell whether this happened already; only what can happen only once can be known."""
        once = dataset if name in {CREATED, DELETED} else job
        if once is None:
            return False
        key = fingerprint([name, once])
        if key in self._recent:
            return True
        self._recent[key] = None
        while len(self._recent) > RECENT:
            del self._recent[next(iter(self._recent))]
        self._is_new = True
        return False


def _found(name: str, dataset: int, **more: Any) -> dict[str, Any]:
    return {"event": name, "dataset_id": dataset, **more, "source": "poll"}
