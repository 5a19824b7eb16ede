"""Jobs: background work that takes effect when the sandbox's clock reaches its end."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider.sandbox.amigocloud.sql.dialect import SqlError

Work = Callable[[], dict[str, Any]]
"""The effect of a job; returns the ``extra`` of a success."""


@dataclass
class Job:
    """One job and its progress.

    :param work: the effect of the job, applied at ``done_at``.
    :param started_at: the sandbox's time from which the job is STARTED.
    :param done_at: the sandbox's time from which the job is done.
    :param reason: the error that the job fails with; None when it may succeed.
    :param about: content of its events beside its id: project, dataset, file.
    """

    id: str
    kind: str
    work: Work
    started_at: float
    done_at: float
    status: str = "PENDING"
    extra: dict[str, Any] = field(default_factory=dict)
    reason: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


class Jobs:
    """All jobs, in the order of their creation.

    :param now: returns the sandbox's time.
    :param ended: called with each job that has just ended.
    """

    def __init__(self, now: Callable[[], float], ended: Callable[[Job], None] = lambda _: None) -> None:
        self.now = now
        self.ended = ended
        self.all: dict[str, Job] = {}

    def start(
        self,
        kind: str,
        work: Work,
        latency: float,
        failure: str | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> Job:
        """Create a job.

        :param latency: seconds until the job is done; it is STARTED after half of them.
        :param failure: the error that the job fails with; None lets it run.
        """
        name = hashlib.sha1(f"job {len(self.all)} {kind}".encode()).hexdigest()
        now = self.now()
        job = Job(name, kind, work, now + latency / 2, now + latency, reason=failure, about=about or {})
        self.all[name] = job
        return job

    def run_due(self) -> None:
        """Start and finish the jobs that are due by now."""
        now = self.now()
        for job in list(self.all.values()):
            if job.status == "PENDING" and now >= job.started_at:
                job.status = "STARTED"
            if job.status == "STARTED" and now >= job.done_at:
                _finish(job)
                self.ended(job)


def _finish(job: Job) -> None:
    try:
        if job.reason is not None:
            raise ValueError(job.reason)
        job.extra = job.work()
        job.status = "SUCCESS"
    except (SqlError, ValueError, KeyError, TypeError) as error:
        job.status = "FAILURE"
        job.extra = {"error": str(error)}
