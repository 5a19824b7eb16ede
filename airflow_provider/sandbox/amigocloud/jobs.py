"""Work that takes its time: a job is made at once, and acts when the sandbox's clock says it is done."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider.sandbox.amigocloud.store import SqlError

Work = Callable[[], dict[str, Any]]


@dataclass
class Job:
    """One job.

    :param work: what it does in the end; gives the ``extra`` of a success.
    :param done_at: the sandbox's time when it acts.
    """

    id: str
    kind: str
    work: Work
    started_at: float
    done_at: float
    status: str = "PENDING"
    extra: dict[str, Any] = field(default_factory=dict)
    reason: str | None = None


class Jobs:
    """All jobs, in the order they were made."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.all: dict[str, Job] = {}

    def start(self, kind: str, work: Work, latency: float, failure: str | None = None) -> Job:
        """Make a job.

        :param latency: seconds until it acts; it counts as STARTED after half of them.
        :param failure: why it fails, when it shall.
        """
        name = hashlib.sha1(f"job {len(self.all)} {kind}".encode()).hexdigest()
        now = self.now()
        job = Job(name, kind, work, now + latency / 2, now + latency, reason=failure)
        self.all[name] = job
        return job

    def settle(self) -> None:
        """Bring every job to where it should be by now."""
        now = self.now()
        for job in self.all.values():
            if job.status == "PENDING" and now >= job.started_at:
                job.status = "STARTED"
            if job.status == "STARTED" and now >= job.done_at:
                _finish(job)


def _finish(job: Job) -> None:
    try:
        if job.reason is not None:
            raise ValueError(job.reason)
        job.extra = job.work()
        job.status = "SUCCESS"
    except (SqlError, ValueError, KeyError, TypeError) as error:
        job.status = "FAILURE"
        job.extra = {"error": str(error)}
