"""The AmigoCloud service: its state, its switches, its routes."""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from airflow_provider.sandbox.amigocloud import notifications as news
from airflow_provider.sandbox.amigocloud import objects
from airflow_provider.sandbox.amigocloud import seed as world
from airflow_provider.sandbox.amigocloud.jobs import Job, Jobs, Work
from airflow_provider.sandbox.amigocloud.realtime import polling
from airflow_provider.sandbox.amigocloud.realtime.sockets import PATH, Sockets, announce_states
from airflow_provider.sandbox.amigocloud.request import (
    Asked,
    RefusedError,
    Token,
    bad_request,
    not_found,
    read_query,
)
from airflow_provider.sandbox.amigocloud.routes import changes, files, reads
from airflow_provider.sandbox.amigocloud.routes import statements as sql
from airflow_provider.sandbox.amigocloud.sql.dialect import spell
from airflow_provider.sandbox.amigocloud.sql.store import Dataset, Store
from airflow_provider.sandbox.service import Service

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.websockets import WebSocket

ROOT = "/api/v1"
_PROJECTS = (
    "/projects/{project}",
    "/users/{owner}/projects/{project}",
    "/organizations/{owner}/projects/{project}",
)
_OWNERS = {"0", str(world.USER), world.USER_UUID}

Handler = Callable[["AmigoCloudService", Asked], Awaitable[Any]]

_ACCOUNT: tuple[tuple[str, str, str, Handler], ...] = (
    ("GET", "/me", "R", reads.me),
    ("GET", "/me/projects", "R", reads.my_projects),
    ("POST", "/me/projects", "A", changes.create_project),
    ("GET", "/me/visible_projects", "R", reads.my_projects),
    ("GET", "/me/images", "R", reads.my_images),
    ("GET", "/me/images/thumbnail.png", "R", reads.thumbnail),
    ("GET", "/me/start_websocket_session", "R", reads.websocket_session),
    ("GET", "/me/jobs/{job}", "R", reads.job),
    ("GET", "/exports/{key}", "R", files.exported_file),
)
_DATASET = "/datasets/{dataset}"
_IN_PROJECT: tuple[tuple[str, str, str, Handler], ...] = (
    ("GET", "", "R", reads.project),
    ("PUT", "", "A", changes.change_project),
    ("PATCH", "", "A", changes.change_project),
    ("GET", "/sql", "R", sql.get_sql),
    ("POST", "/sql", "R", sql.post_sql),
    ("GET", "/queries", "R", reads.queries),
    ("GET", "/queries/{query}", "R", reads.query),
    ("POST", "/submit_changeset", "C", changes.submit_changeset),
    ("GET", "/datasets", "R", reads.datasets),
    ("POST", "/datasets/create", "A", changes.create_dataset),
    ("POST", "/datasets/upload", "A", files.upload),
    ("POST", "/datasets/chunked_upload", "A", files.upload_chunk),
    ("POST", "/datasets/chunked_upload/complete", "A", files.complete_upload),
    ("GET", _DATASET, "R", reads.dataset),
    ("DELETE", _DATASET, "A", changes.delete_dataset),
    ("GET", f"{_DATASET}/schema", "R", reads.schema),
    ("GET", f"{_DATASET}/master", "R", reads.master),
    ("GET", f"{_DATASET}/states", "R", reads.states),
    ("GET", f"{_DATASET}/changeset", "R", reads.changeset),
    ("POST", f"{_DATASET}/submit_change", "C", changes.submit_change),
    ("POST", f"{_DATASET}/export", "R", files.export),
    ("POST", f"{_DATASET}/revert/{{state}}", "A", changes.revert),
    ("GET", f"{_DATASET}/start_websocket_session", "R", reads.websocket_session),
)


class AmigoCloudService(Service):
    """An account with projects, datasets, SQL, jobs and uploads.

    Switches, all put back by :meth:`reset`:

    - ``bad_token_status`` 401 or 403; ``project_token_jobs``: project tokens may read jobs.
    - ``page_clamp`` and ``page_default`` rows for SQL, ``list_clamp`` and ``list_default`` for lists.
    - ``job_latency`` seconds; ``job_failures``: reasons, one for each coming job that shall fail.
    - ``dataset_lag``: seconds until a new dataset is seen.
    - ``empty_pages``: how many coming pages are empty, with a ``next`` all the same.
    - ``next_origin``: another origin for ``next``; ``count_error``: added to every ``count``.
    - ``unstable_order``: queries without ORDER BY come in another order each time.
    - ``before_page``: called with 1, 2, 3... before each page of SQL, to change data in between.
    - ``requests_per_second`` (None: no limit) and ``retry_after`` (None: header left out).
    - ``sockets``: what happens to sockets, see
      :class:`~airflow_provider.sandbox.amigocloud.realtime.sockets.Sockets`.
    - ``compress``: gzip for who accepts it; ``check_md5``; ``simple_upload_limit``; ``foreign_exports``.
    """

    name = "amigocloud"
    store: Store
    sockets: Sockets

    def reset(self) -> None:
        """Put the seeded account and the default switches back."""
        if hasattr(self, "store"):
            self.store.close()
            self.sockets.disconnect()
        self.sockets = Sockets(self)
        self.store = Store(world.template(), self.now_text)
        self.store.on_states = lambda numbers: announce_states(self, numbers)
        self.tokens: dict[str, Token] = world.tokens()
        self.projects = world.projects()
        self.queries = world.queries()
        self.jobs = Jobs(self.around.clock.now, lambda job: news.job_ended(self, job))
        self.uploads: dict[str, files.Upload] = {}
        self.exports: dict[str, tuple[str, bytes]] = {}
        self.websocket_sessions: dict[str, tuple[int, int | None]] = {}
        self._pages = 0
        self._window: tuple[int, int] = (0, 0)
        self._reset_switches()

    def _reset_switches(self) -> None:
        self.bad_token_status = 401
        self.project_token_jobs = False
        self.page_clamp = 1000
        self.page_default = 1000
        self.list_clamp = 100
        self.list_default = 20
        self.job_latency = 0.5
        self.job_failures: list[str] = []
        self.dataset_lag = 0.0
        self.empty_pages = 0
        self.next_origin: str | None = None
        self.count_error = 0
        self.unstable_order = False
        self.before_page: Callable[[int], None] | None = None
        self.requests_per_second: int | None = None
        self.retry_after: str | None = "1"
        self.compress = False
        self.check_md5 = True
        self.simple_upload_limit = files.SIMPLE_LIMIT
        self.foreign_exports = False

    def routes(self) -> Sequence[BaseRoute]:
        """Routes below ``/amigocloud``."""
        rows = [(method, path, level, handler) for method, path, level, handler in _ACCOUNT]
        rows += [(m, prefix + path, level, h) for prefix in _PROJECTS for m, path, level, h in _IN_PROJECT]
        api = [
            Route(ROOT + path, self._endpoint(level, handler), methods=[method])
            for method, path, level, handler in rows
        ]
        return [*api, *self._socket_routes()]

    def root_routes(self) -> Sequence[BaseRoute]:
        """The socket: at the root of a real host, and below the API where clients are told a path."""
        return self._socket_routes()

    def _socket_routes(self) -> list[BaseRoute]:
        async def serve(socket: WebSocket) -> None:
            await self.sockets.serve(socket)

        async def poll(request: Request) -> Response:
            return await polling.answer(self.sockets, request)

        return [WebSocketRoute(PATH, serve), Route(PATH, poll, methods=["GET", "POST"])]

    def storage_routes(self) -> Sequence[BaseRoute]:
        """Exported files, when they are kept elsewhere; a request with a token is refused."""

        async def endpoint(request: Request) -> Response:
            try:
                if "token" in request.query_params or "authorization" in request.headers:
                    raise bad_request("no credentials here, please")
                return files.file_response(self, request.path_params["key"])
            except RefusedError as refusal:
                return Response(msgspec.json.encode(refusal.body), refusal.status)

        return [Route("/exports/{key}", endpoint)]

    def connection(self) -> Mapping[str, Any]:
        """The connection with an administrator's token and the campus project."""
        return {
            "conn_type": self.name,
            "host": self.api_root,
            "password": world.USER_TOKEN,
            "extra": {"project_url": f"users/{world.USER}/projects/{world.PROJECT}"},
        }

    @property
    def api_root(self) -> str:
        """The API root, as links spell it."""
        return self.base_url + ROOT

    # -- every request

    def _endpoint(self, level: str, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                asked = await self._asked(request)
                self._check_scope(asked)
                asked.need(level)
                self.jobs.settle()
                answer = await handler(self, asked)
            except RefusedError as refusal:
                body = msgspec.json.encode(refusal.body)
                return Response(body, refusal.status, refusal.headers, "application/json")
            return answer if isinstance(answer, Response) else self._json(request, answer)

        return endpoint

    async def _asked(self, request: Request) -> Asked:
        pairs = read_query(request.scope["query_string"])
        self._throttle()
        token = self.tokens.get(dict(pairs).get("token", ""))
        if token is None or (token.expires_at or float("inf")) <= self.around.clock.now():
            raise RefusedError(self.bad_token_status, "invalid_token", "Invalid token.")
        return Asked(request, token, pairs, await _body(request))

    def _throttle(self) -> None:
        if self.requests_per_second is None:
            return
        second = int(self.around.clock.now())
        used = self._window[1] + 1 if self._window[0] == second else 1
        self._window = (second, used)
        if used > self.requests_per_second:
            headers = {"Retry-After": self.retry_after} if self.retry_after else {}
            raise RefusedError(429, "throttled", "Request was throttled.", headers)

    def _check_scope(self, asked: Asked) -> None:
        if asked.token.project is None:
            return
        path = str(asked.request.scope["path"]).split(ROOT, 1)[1]
        allowed = self.project_token_jobs and path.startswith("/me/jobs/")
        inside = "project" in asked.path and self._project_number(asked) == asked.token.project
        if not (allowed or inside or path.startswith("/exports/")):
            raise RefusedError(403, "permission_denied", "The token belongs to another project.")

    def _json(self, request: Request, answer: Any) -> Response:
        body = msgspec.json.encode(answer)
        headers = {}
        if self.compress and "gzip" in request.headers.get("accept-encoding", ""):
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        return Response(body, headers=headers, media_type="application/json")

    # -- what handlers ask for

    def project_of(self, asked: Asked) -> int:
        """Find the project of a path, whoever its owner is said to be."""
        number = self._project_number(asked)
        if number not in self.projects or asked.path.get("owner", "0") not in _OWNERS:
            raise not_found()
        return number

    def _project_number(self, asked: Asked) -> int:
        name = asked.path["project"]
        if name == world.PROJECT_UUID:
            return world.PROJECT
        if name == "0" and "dataset" in asked.path:
            dataset = self.store.datasets.get(_number(asked.path["dataset"]))
            return dataset.project if dataset else 0
        return _number(name)

    def dataset_of(self, asked: Asked) -> Dataset:
        """Find the dataset of a path."""
        project = self.project_of(asked)
        found = self.store.datasets.get(_number(asked.path["dataset"]))
        if found is None or found.project != project or self.around.clock.now() < found.visible_at:
            raise not_found()
        return found

    def next_dataset_id(self) -> int:
        """Give a free dataset id."""
        return max(self.store.datasets, default=0) + 1

    def start_job(self, kind: str, work: Work, **about: Any) -> Job:
        """Start a job with the latency and the failure that the switches say.

        :param about: what its events tell.
        """
        failure = self.job_failures.pop(0) if self.job_failures else None
        job = self.jobs.start(kind, work, self.job_latency, failure, about)
        news.job_started(self, job)
        return job

    def begin_page(self) -> None:
        """Let a test change something before a page is read."""
        self._pages += 1
        if self.before_page is not None:
            self.before_page(self._pages)

    def take_empty_page(self) -> bool:
        """Tell whether this page shall be empty."""
        if self.empty_pages <= 0:
            return False
        self.empty_pages -= 1
        return True

    def count_rows(self, rows: int) -> None:
        """Count rows that were served."""
        with self.around.counters.lock:
            self.around.counters.rows_served[self.name] += rows

    def now_text(self) -> str:
        """Give the sandbox's time as rows spell it."""
        return self.moment_text(0)

    def moment_text(self, ahead: float) -> str:
        """Give a moment of the near future as rows spell it."""
        return spell(datetime.fromtimestamp(self.around.clock.now() + ahead, UTC))

    def project_url(self, project: int = world.PROJECT) -> str:
        """Give a project's URL."""
        return objects.project_url(self, project)


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


async def _body(request: Request) -> dict[str, Any]:
    if request.method in {"GET", "DELETE", "HEAD"}:
        return {}
    kind = request.headers.get("content-type", "")
    if kind.startswith(("multipart/form-data", "application/x-www-form-urlencoded")):
        return dict(await request.form())
    raw = await request.body()
    if not raw.strip():
        return {}
    try:
        decoded = msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise bad_request(f"JSON parse error - {error}", "parse_error") from None
    return decoded if isinstance(decoded, dict) else {}
