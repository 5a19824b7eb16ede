"""Runs of the emulated Integration API, and the state machine that moves them with the sandbox's clock."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider.sandbox.leanix.seed import configuration_key

LIVE = frozenset({"SEQUENTIALIZED", "PENDING", "IN_PROGRESS"})
ENDED = frozenset({"FINISHED", "FAILED", "STOPPED"})


@dataclass
class Run:
    """One synchronization run.

    :param changes: each status with the time it began, the first is ``CREATED``.
    :param queue_seconds: seconds for which the run is ``PENDING``.
    :param work_seconds: seconds for which the run is ``IN_PROGRESS``.
    :param ending: final status.
    :param stuck_in: status that the run never leaves.
    :param keeps_description: whether the API returns the input's description.
    :param stops_at: time at which a stop takes effect; None without one.
    :param input_error: reason why the input could not be fetched, which fails the run.
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
    stops_at: float | None = None
    input_error: str = ""
    keeps_description: bool = True
    warnings: list[dict[str, Any]] = field(default_factory=list)
    processors: list[dict[str, Any]] = field(default_factory=list)
    deleted: list[dict[str, Any]] = field(default_factory=list)
    result: bytes | None = None

    @property
    def status(self) -> str:
        """The current status, after the state machine was advanced."""
        return self.changes[-1][0]

    @property
    def since(self) -> float:
        """The time at which the current status began."""
        return self.changes[-1][1]

    @property
    def inbound(self) -> bool:
        """True when the run writes into the workspace."""
        return self.header.get("processingDirection") == "inbound"

    @property
    def description(self) -> str | None:
        """The text that the run's creator has set."""
        return self.header.get("description") if self.keeps_description else None

    def enter(self, status: str, at: float) -> None:
        """Change to another status at a time."""
        self.changes.append((status, at))

    def stats(self) -> dict[str, Any]:
        """Return the run's statistics in the shape of the vendor's examples."""
        body: dict[str, Any] = {
            "statusChanges": [{"status": status, "timestamp": timestamp(at)} for status, at in self.changes],
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
        """Return the progress report; inbound counters are those of the current run level."""
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
        if self.status in ENDED:
            return 1.0
        if self.status != "IN_PROGRESS" or not self.work_seconds:
            return 0.0
        return min(1.0, (now - self.since) / self.work_seconds)


@dataclass
class RunStateMachine:
    """All runs, and the rules by which their statuses change.

    :param process: called for each run that finishes; reads or writes fact sheets.
    :param runs: all runs by id.
    :param live: runs that were started and have not ended, in order of their start.
    :param peak_live: maximum number of runs that were live at the same time.
    :param starts: number of runs that were started.
    """

    process: Callable[[Run], None]
    runs: dict[str, Run] = field(default_factory=dict)
    live: list[Run] = field(default_factory=list)
    peak_live: int = 0
    starts: int = 0

    def add(self, run: Run) -> None:
        """Add a run that is not started."""
        self.runs[run.id] = run

    def start(self, run: Run, now: float) -> None:
        """Queue a run; a run of a sequential configuration waits for the live runs with the same key."""
        self.advance(now)
        sequential = run.configuration.get("sequentialExecution")
        waits = sequential and any(_same_key(other, run) for other in self.live)
        run.enter("SEQUENTIALIZED" if waits else "PENDING", now)
        self.live.append(run)
        self.starts += 1
        self.peak_live = max(self.peak_live, len(self.live))

    def stop(self, run: Run, now: float, seconds: float = 0.0) -> None:
        """Stop a live run.

        :param seconds: seconds until it is stopped; infinite when the stop changes nothing.
        """
        if run.stops_at is None and seconds != math.inf:
            run.stops_at = now + seconds
        self.advance(now)

    def advance(self, now: float) -> None:
        """Apply every status change of the live runs that is due."""
        moved = True
        while moved:
            moved = False
            for run in list(self.live):
                while run.status not in ENDED and self._step(run, now):
                    moved = True
                if run.status in ENDED:
                    self.live.remove(run)

    def _step(self, run: Run, now: float) -> bool:
        if run.stops_at is not None:
            if run.stops_at > now:
                return False
            run.enter("STOPPED", run.stops_at)
            return True
        if run.status == run.stuck_in:
            return False
        if run.status == "SEQUENTIALIZED":
            return self._release(run)
        if run.status == "PENDING":
            return self._after(run, run.queue_seconds, "IN_PROGRESS", now)
        ending = "FAILED" if run.input_error else run.ending
        if not self._after(run, run.work_seconds, ending, now):
            return False
        if ending == "FINISHED":
            self.process(run)
        return True

    def _after(self, run: Run, seconds: float, status: str, now: float) -> bool:
        if run.since + seconds > now:
            return False
        run.enter(status, run.since + seconds)
        return True

    def _release(self, run: Run) -> bool:
        ahead = self.live[: self.live.index(run)]
        if any(_same_key(other, run) for other in ahead):
            return False
        ends = [
            other.since for other in self.runs.values() if other.status in ENDED and _same_key(other, run)
        ]
        run.enter("PENDING", max([run.since, *ends]))
        return True


def _same_key(run: Run, other: Run) -> bool:
    return configuration_key(run.header) == configuration_key(other.header)


def timestamp(at: float) -> str:
    """Return a time in the API's form: ISO 8601, UTC, microseconds."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def duration(seconds: float) -> str:
    """Return a duration in the API's form (ISO 8601)."""
    return f"PT{seconds:.9f}".rstrip("0").rstrip(".") + "S"
