"""Work that takes its time: a job is made at once, and acts when the sandbox's clock says it is done."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider.sandbox.amigocloud.sql.store import SqlError

Work = Callable[[], dict[str, Any]]


@dataclass
class Job:
    """One job.

    :param work: what it does in the end; gives the ``extra`` of a success.
    :param done_at: the sandbox's time when it acts.
    :param about: what its events tell beside its id: project, dataset, file.
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
    """All jobs, in the order they were made.

    :param now: the sandbox's time.
    :param ended: told each job that has just ended.
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
        """Make a job.

        :param latency: seconds until it acts; it counts as STARTED after half of them.
        :param failure: why it fails, when it shall.
        """
        name = hashlib.sha1(f"job {len(self.all)} {kind}".encode()).hexdigest()
        now = self.now()
        job = Job(name, kind, work, now + latency / 2, now + latency, reason=failure, about=about or {})
        self.all[name] = job
        return job

    def settle(self) -> None:
        """Bring every job to where it should be by now."""
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
