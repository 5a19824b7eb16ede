"""A run of the emulated Integration API and how its status moves with the sandbox's clock."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider.sandbox.leanix.seed import key_of

LIVE = frozenset({"SEQUENTIALIZED", "PENDING", "IN_PROGRESS"})
OVER = frozenset({"FINISHED", "FAILED", "STOPPED"})


@dataclass
class Run:
    """One synchronization run.

    :param changes: each status with the moment it began, the first is ``CREATED``.
    :param queue_seconds: how long it stays ``PENDING``.
    :param work_seconds: how long it stays ``IN_PROGRESS``.
    :param ending: the status it ends with.
    :param stuck_in: the status it never leaves.
    :param broken: why it fails as soon as it is worked on (its input could not be fetched).
    """

    header: dict[str, Any]
    configuration: dict[str, Any]
    content: list[dict[str, Any]]
    changes: list[tuple[str, float]]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    test: bool = False
    queue_seconds: float = 0.0
    work_seconds: float = 0.0
    ending: str = "FINISHED"
    stuck_in: str | None = None
    broken: str = ""
    warnings: list[dict[str, Any]] = field(default_factory=list)
    processors: list[dict[str, Any]] = field(default_factory=list)
    deleted: list[dict[str, Any]] = field(default_factory=list)
    result: bytes | None = None

    @property
    def status(self) -> str:
        """The status now (after the machine was settled)."""
        return self.changes[-1][0]

    @property
    def since(self) -> float:
        """When the status of now began."""
        return self.changes[-1][1]

    @property
    def inbound(self) -> bool:
        """Whether it brings data into the workspace."""
        return self.header.get("processingDirection") == "inbound"

    @property
    def description(self) -> str | None:
        """The text its maker gave it."""
        return self.header.get("description")

    def enter(self, status: str, at: float) -> None:
        """Move to another status."""
        self.changes.append((status, at))

    def stats(self) -> dict[str, Any]:
        """Give the run's statistics in the shape of the vendor's examples."""
        body: dict[str, Any] = {
            "statusChanges": [{"status": status, "timestamp": stamp(at)} for status, at in self.changes],
            "processorStatistics": self.processors,
            "totalBlockingTime": "PT0S",
        }
        if self.inbound:
            body["singleRunLevelStatistics"] = [
                {
                    "singleRunIndex": level,
                    "totalTime": duration(self.work_seconds / 2),
                    "prefetchTime": duration(0.0003),
                    "processTime": duration(self.work_seconds / 2),
                    "processedContentCount": row["processedContentCount"],
                    "errorCount": row["errorCount"],
                }
                for level, row in enumerate(self.processors)
            ]
            body["deletedObjects"] = self.deleted
        return body

    def progress(self, now: float) -> dict[str, Any]:
        """Give the progress report; inbound counters are those of the current run level."""
        share = self._share(now)
        if not self.inbound:
            done = len(self.processors) and self.processors[0]["processedContentCount"]
            return {
                "status": self.status,
                "contentsCount": done,
                "warningsCount": len(self.warnings),
                "itemsInScopeCount": done,
            }
        level = 1 if share >= 0.5 else 0
        done = int(len(self.content) * min(1.0, share * 2 - level))
        return {
            "status": self.status,
            "runLevelIndex": level,
            "processedContentCount": done,
            "graphQLRequestCount": done,
            "errorCount": self.processors[level]["errorCount"] if self.processors else 0,
        }

    def _share(self, now: float) -> float:
        if self.status in OVER:
            return 1.0
        if self.status != "IN_PROGRESS" or not self.work_seconds:
            return 0.0
        return min(1.0, (now - self.since) / self.work_seconds)


@dataclass
class Machine:
    """All runs, and the rules by which they move on.

    :param work: called when a run finishes; does what the run is for.
    :param peak_live: the most runs that were live (started and not over) at once.
    """

    work: Callable[[Run], None]
    runs: dict[str, Run] = field(default_factory=dict)
    live: list[Run] = field(default_factory=list)
    peak_live: int = 0
    starts: int = 0

    def add(self, run: Run) -> None:
        """Take a new run in, not started."""
        self.runs[run.id] = run

    def start(self, run: Run, now: float) -> None:
        """Queue a run, behind another one where its configuration is sequential."""
        self.settle(now)
        sequential = run.configuration.get("sequentialExecution")
        waits = sequential and any(key_of(one.header) == key_of(run.header) for one in self.live)
        run.enter("SEQUENTIALIZED" if waits else "PENDING", now)
        self.live.append(run)
        self.starts += 1
        self.peak_live = max(self.peak_live, len(self.live))

    def stop(self, run: Run, now: float) -> None:
        """End a live run as ``STOPPED``."""
        run.enter("STOPPED", now)
        self.live.remove(run)

    def settle(self, now: float) -> None:
        """Let every live run do what it had time for until now."""
        moved = True
        while moved:
            moved = False
            for run in list(self.live):
                while run.status not in OVER and self._step(run, now):
                    moved = True
                if run.status in OVER:
                    self.live.remove(run)

    def _step(self, run: Run, now: float) -> bool:
        if run.status == run.stuck_in:
            return False
        if run.status == "SEQUENTIALIZED":
            return self._release(run)
        if run.status == "PENDING":
            return self._after(run, run.queue_seconds, "IN_PROGRESS", now)
        ending = "FAILED" if run.broken else run.ending
        if not self._after(run, run.work_seconds, ending, now):
            return False
        if ending == "FINISHED":
            self.work(run)
        return True

    def _after(self, run: Run, seconds: float, status: str, now: float) -> bool:
        if run.since + seconds > now:
            return False
        run.enter(status, run.since + seconds)
        return True

    def _release(self, run: Run) -> bool:
        ahead = self.live[: self.live.index(run)]
        if any(key_of(one.header) == key_of(run.header) for one in ahead):
            return False
        key = key_of(run.header)
        ends = [one.since for one in self.runs.values() if one.status in OVER and key_of(one.header) == key]
        run.enter("PENDING", max([run.since, *ends]))
        return True


def stamp(at: float) -> str:
    """Write a moment as the API does: ISO 8601, UTC, microseconds."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def duration(seconds: float) -> str:
    """Write a duration as the API does (ISO 8601)."""
    return f"PT{seconds:.9f}".rstrip("0").rstrip(".") + "S"
