"""State of the emulated account: seeded data, switches, and look-ups for the route handlers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider.sandbox.amigocloud.auth import Token
from airflow_provider.sandbox.amigocloud.jobs import Job, Jobs, Work
from airflow_provider.sandbox.amigocloud.notifications import (
    broadcast_states,
    notify_job_ended,
    notify_job_started,
)
from airflow_provider.sandbox.amigocloud.realtime.sockets import Sockets
from airflow_provider.sandbox.amigocloud.request import ApiRequest
from airflow_provider.sandbox.amigocloud.responses import not_found
from airflow_provider.sandbox.amigocloud.seed import (
    PROJECT,
    PROJECT_UUID,
    USER,
    USER_UUID,
    seed_store,
    seeded_projects,
    seeded_queries,
    seeded_tokens,
)
from airflow_provider.sandbox.amigocloud.sql.dialect import format_moment
from airflow_provider.sandbox.amigocloud.sql.engines import open_engine
from airflow_provider.sandbox.amigocloud.sql.store import Dataset, Engine, Store
from airflow_provider.sandbox.amigocloud.switches import Switches
from airflow_provider.sandbox.service import Service

ROOT = "/api/v1"
HIDDEN = 2_000_000_000
"""Ids of datasets that no route shows are above it."""

_OWNERS = {"0", str(USER), USER_UUID}


@dataclass
class Upload:
    """A file that arrives in chunks.

    :param total: size in bytes, as the first chunk announced it.
    """

    id: str
    filename: str
    total: int
    content: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True)
class Gallery:
    """A related table with photos.

    :param dataset: id of the dataset whose rows have the photos.
    """

    id: int
    dataset: int
    project: int
    name: str

    @property
    def rows(self) -> int:
        """Id of the hidden dataset that holds its entries."""
        return HIDDEN + self.id


class AmigoCloudState(Service, Switches):
    """Data and switches of the account, below the routes.

    The switches are those of :class:`Switches`; ``reset`` restores them all. In the sandbox's own process
    there are two more: ``before_page``, called with 1, 2, 3... before each page of SQL, to change data in
    between; and ``sockets`` with faults of sockets.
    """

    name = "amigocloud"
    engine: Engine
    store: Store
    sockets: Sockets

    def reset(self) -> None:
        """Restore the seeded account and the default switches."""
        if hasattr(self, "sockets"):
            self.sockets.disconnect()
        self.websocket_sessions: dict[str, tuple[int, int | None]] = {}
        self.sockets = Sockets(self.websocket_sessions, self.run_due_jobs, self)
        if not hasattr(self, "engine"):
            clock = self.around.clock
            self.engine = open_engine(self.around.amigocloud_sql, seed_store, self.now_text, clock.ahead)
        self.store = self.engine.new_store()
        self.store.on_states = lambda numbers: broadcast_states(self.sockets, self.store, numbers)
        self.tokens: dict[str, Token] = seeded_tokens()
        self.projects = seeded_projects()
        self.queries = seeded_queries()
        self.jobs = Jobs(self.around.clock.now, lambda job: notify_job_ended(self.sockets, job))
        self.uploads: dict[str, Upload] = {}
        self.exports: dict[str, tuple[str, bytes]] = {}
        self.galleries: dict[int, Gallery] = {}
        self.photos: dict[str, bytes] = {}
        self._pages = self._last_gallery = 0
        self.store.catalog = self._catalog
        self.limit = self.around.rate_limit(self.name)
        self.before_page: Callable[[int], None] | None = None
        Switches.__init__(self)

    def close(self) -> None:
        """Remove what the engine has made."""
        self.engine.close()

    def before_fork(self) -> None:
        """Release the engine's connections."""
        self.engine.before_fork()

    def after_fork(self, member: int) -> None:
        """Use a copy of the data that other processes do not change."""
        self.engine.after_fork(member)

    # -- URLs

    @property
    def api_root(self) -> str:
        """The API root, as links begin."""
        return self.base_url + ROOT

    def project_url(self, project: int = PROJECT) -> str:
        """Return a project's URL."""
        return f"{self.api_root}/users/{USER}/projects/{project}"

    def dataset_url(self, dataset: Dataset) -> str:
        """Return a dataset's URL."""
        return f"{self.project_url(dataset.project)}/datasets/{dataset.id}"

    # -- look-ups

    def project_number(self, request: ApiRequest) -> int:
        """Return the number of a path's project; 0 when the path names none."""
        if "project" not in request.path:
            gallery = self.galleries.get(_number(request.path.get("table", "")))
            return gallery.project if gallery else 0
        name = request.path["project"]
        if name == PROJECT_UUID:
            return PROJECT
        if name == "0" and "dataset" in request.path:
            dataset = self.store.datasets.get(_number(request.path["dataset"]))
            return dataset.project if dataset else 0
        return _number(name)

    def project_of(self, request: ApiRequest) -> int:
        """Return the number of a path's project; raise ``ApiError`` (404) when it or its owner is unknown."""
        number = self.project_number(request)
        if number not in self.projects or request.path.get("owner", "0") not in _OWNERS:
            raise not_found()
        return number

    def dataset_of(self, request: ApiRequest) -> Dataset:
        """Return the dataset of a path; raise ``ApiError`` (404) when it is not visible (yet)."""
        project = self.project_of(request)
        found = self.store.datasets.get(_number(request.path["dataset"]))
        is_hidden = found is None or found.hidden or self.around.clock.now() < found.visible_at
        if found is None or is_hidden or found.project != project:
            raise not_found()
        return found

    def next_dataset_id(self) -> int:
        """Return a free dataset id."""
        return max((number for number in self.store.datasets if number < HIDDEN), default=0) + 1

    def new_gallery_id(self) -> int:
        """Return the next id of a gallery."""
        self._last_gallery += 1
        return self._last_gallery

    def _catalog(self, name: str) -> Any:
        """Return what the embedded engine's catalog shows; None where it refuses to show it."""
        if name == "index":
            return None if self.key_index is None else int(self.key_index)
        return {"bytes": "C", "language": "en_US.UTF-8"}.get(self.collation)

    # -- effects

    def start_job(self, kind: str, work: Work, **about: Any) -> Job:
        """Start a job with the latency and the failure that the switches set.

        :param about: content of the job's events.
        """
        failure = self.job_failures.pop(0) if self.job_failures else None
        job = self.jobs.start(kind, work, self.job_latency, failure, about)
        notify_job_started(self.sockets, job)
        return job

    def run_due_jobs(self) -> None:
        """Start and finish the jobs that are due by now."""
        self.jobs.run_due()

    def begin_page(self) -> None:
        """Call the test's hook before a page is read."""
        self._pages += 1
        if self.before_page is not None:
            self.before_page(self._pages)

    def take_empty_page(self) -> bool:
        """Return whether this page must be empty, and count it."""
        if self.empty_pages <= 0:
            return False
        self.empty_pages -= 1
        return True

    def count_rows(self, rows: int) -> None:
        """Count rows that were served."""
        with self.around.counters.lock:
            self.around.counters.rows_served[self.name] += rows

    # -- time

    def now_text(self) -> str:
        """Return the sandbox's time in the format of rows."""
        return self.moment_text(0)

    def moment_text(self, ahead: float) -> str:
        """Return a moment in the format of rows.

        :param ahead: seconds from now.
        """
        return format_moment(datetime.fromtimestamp(self.around.clock.now() + ahead, UTC))


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
