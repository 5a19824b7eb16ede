"""What watchers get to see, and which of it is news to them. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

CHANGED = "dataset:changed"
"""The event of a change that only looking has found, for who has no name of the service's for it."""
CREATED, DELETED = "dataset:creation_succeeded", "dataset:deleted"
CHANGES = ("realtime", CHANGED, "dataset:change_succeeded", "dataset:revert_succeeded")
"""Events that mean a new state of a dataset; one that only looking has found counts as the first wanted."""
SAME_SECONDS = 10.0
"""An event that comes so long after a look has shown its change tells nothing new."""
RECENT = 200


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


Sighting = Told | Seen | Listed


class Ledger:
    """One watcher's view: what it wants, what it knows already, and so what it fires for.

    :param patterns: names of events, or patterns with ``*``.
    :param dataset: only this dataset; None for all.
    :param state: what :attr:`state` was before a restart.
    """

    def __init__(self, patterns: Sequence[str], dataset: int | None, state: Any = None) -> None:
        known = state if isinstance(state, dict) else {}
        self._patterns = tuple(patterns)
        self._dataset = dataset
        self._master: str | None = known.get("master")
        self._datasets = frozenset(known["datasets"]) if "datasets" in known else None
        self._recent: dict[str, None] = dict.fromkeys(known.get("recent", ()))
        self._found: tuple[str, float] = ("", 0.0)
        self._change = next((name for name in CHANGES if self.wants(name)), None)

    @property
    def state(self) -> dict[str, Any]:
        """What to remember, as JSON."""
        out: dict[str, Any] = {"recent": list(self._recent)}
        if self._master is not None:
            out["master"] = self._master
        if self._datasets is not None:
            out["datasets"] = sorted(self._datasets)
        return out

    @property
    def needs_list(self) -> bool:
        """Whether the project's datasets matter."""
        return self._dataset is None and (self.wants(CREATED) or self.wants(DELETED))

    def wants(self, name: str) -> bool:
        """Tell whether an event of this name is wanted."""
        return any(fnmatchcase(name, pattern) for pattern in self._patterns)

    def take(self, sighting: Sighting, now: float) -> list[dict[str, Any]]:
        """Give what to fire for, mostly nothing.

        :param now: seconds of a clock that never goes back.
        """
        if isinstance(sighting, Told):
            return self._told(sighting, now)
        return self._seen(sighting, now) if isinstance(sighting, Seen) else self._listed(sighting)

    def _told(self, told: Told, now: float) -> list[dict[str, Any]]:
        about = told.payload.get("dataset_id")
        if not self.wants(told.name) or (self._dataset is not None and about != self._dataset):
            return []
        if self._is_known(told.name, about, told.payload.get("job")):
            return []
        payload = {"event": told.name, **told.payload, "source": told.source}
        if self._dataset is not None and told.master is not None:
            if told.master == self._master and told.name in CHANGES and self._was_found(told.master, now):
                return []
            self._master = told.master
            payload["master"] = told.master
        return [payload]

    def _was_found(self, master: str, now: float) -> bool:
        found, at = self._found
        self._found = ("", 0.0)
        return found == master and now - at <= SAME_SECONDS

    def _seen(self, seen: Seen, now: float) -> list[dict[str, Any]]:
        if seen.dataset != self._dataset or seen.master == self._master:
            return []
        first, self._master = self._master is None, seen.master
        if first or self._change is None:
            return []
        self._found = (seen.master, now)
        return [_found(self._change, seen.dataset, master=seen.master)]

    def _listed(self, listed: Listed) -> list[dict[str, Any]]:
        before, self._datasets = self._datasets, listed.datasets
        if before is None or self._dataset is not None:
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
        key = f"{name} {once}"
        if key in self._recent:
            return True
        self._recent[key] = None
        while len(self._recent) > RECENT:
            del self._recent[next(iter(self._recent))]
        return False


def _found(name: str, dataset: int, **more: Any) -> dict[str, Any]:
    return {"event": name, "dataset_id": dataset, **more, "source": "poll"}
