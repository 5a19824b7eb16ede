"""The AmigoCloud service: its routes, authentication and rate limit."""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from airflow_provider.sandbox.amigocloud.auth import Token
from airflow_provider.sandbox.amigocloud.loads import PhotosLoad, RowsLoad
from airflow_provider.sandbox.amigocloud.realtime import polling
from airflow_provider.sandbox.amigocloud.realtime.sockets import MOVED_PATH, SOCKET_PATH
from airflow_provider.sandbox.amigocloud.request import ApiRequest, parse_query, read_body
from airflow_provider.sandbox.amigocloud.responses import ApiError, bad_request
from airflow_provider.sandbox.amigocloud.routes import changes, files, galleries, reads, statements
from airflow_provider.sandbox.amigocloud.seed import PROJECT, USER, USER_TOKEN
from airflow_provider.sandbox.amigocloud.sql.dialect import SqlError
from airflow_provider.sandbox.amigocloud.state import ROOT, AmigoCloudState

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.websockets import WebSocket

_PROJECTS = (
    "/projects/{project}",
    "/users/{owner}/projects/{project}",
    "/organizations/{owner}/projects/{project}",
)

_ENCODER = msgspec.json.Encoder(decimal_format="number")
"""Numbers of any precision are JSON numbers, with all their digits."""

Handler = Callable[[AmigoCloudState, ApiRequest], Awaitable[Any]]

_ACCOUNT: tuple[tuple[str, str, str, Handler], ...] = (
    ("GET", "/me", "R", reads.get_user),
    ("GET", "/me/projects", "R", reads.list_projects),
    ("POST", "/me/projects", "A", changes.create_project),
    ("GET", "/me/visible_projects", "R", reads.list_projects),
    ("GET", "/me/images", "R", reads.list_images),
    ("GET", "/me/images/thumbnail.png", "R", reads.get_thumbnail),
    ("GET", "/me/start_websocket_session", "R", reads.start_websocket_session),
    ("GET", "/me/jobs/{job}", "R", reads.get_job),
    ("GET", "/settings", "R", reads.get_settings),
    ("GET", "/exports/{key}", "R", files.get_export),
)
"""Method, path, permission level and handler of each route of the account."""
_DATASET = "/datasets/{dataset}"
_IN_PROJECT: tuple[tuple[str, str, str, Handler], ...] = (
    ("GET", "", "R", reads.get_project),
    ("OPTIONS", "", "R", reads.describe_project_fields),
    ("OPTIONS", _DATASET, "R", reads.describe_dataset_fields),
    ("PUT", "", "A", changes.change_project),
    ("PATCH", "", "A", changes.change_project),
    ("GET", "/sql", "R", statements.get_sql),
    ("POST", "/sql", "R", statements.post_sql),
    ("GET", "/queries", "R", reads.list_queries),
    ("GET", "/queries/{query}", "R", reads.get_query),
    ("POST", "/submit_changeset", "C", changes.submit_changeset),
    ("GET", "/datasets", "R", reads.list_datasets),
    ("POST", "/datasets/create", "A", changes.create_dataset),
    ("POST", "/datasets/upload", "A", files.upload),
    ("POST", "/datasets/chunked_upload", "A", files.upload_chunk),
    ("POST", "/datasets/chunked_upload/complete", "A", files.complete_upload),
    ("GET", _DATASET, "R", reads.get_dataset),
    ("DELETE", _DATASET, "A", changes.delete_dataset),
    ("GET", f"{_DATASET}/schema", "R", reads.get_schema),
    ("GET", f"{_DATASET}/master", "R", reads.get_master),
    ("GET", f"{_DATASET}/states", "R", reads.list_states),
    ("GET", f"{_DATASET}/changeset", "R", reads.get_changeset),
    ("POST", f"{_DATASET}/submit_change", "C", changes.submit_change),
    ("POST", f"{_DATASET}/export", "R", files.export),
    ("POST", f"{_DATASET}/revert/{{state}}", "A", changes.revert),
    ("GET", f"{_DATASET}/related_tables", "R", galleries.list_related_tables),
    ("POST", f"{_DATASET}/related_tables", "A", galleries.create_related_table),
    ("GET", f"{_DATASET}/start_websocket_session", "R", reads.start_websocket_session),
)
"""The same of each route below a project."""
_TABLE = "/related_tables/{table}"
_RELATED: tuple[tuple[str, str, str, Handler], ...] = (
    ("GET", f"{_TABLE}/entries", "R", galleries.list_entries),
    ("GET", f"{_TABLE}/files/{{source}}/{{key}}/{{filename}}", "R", galleries.get_photo),
    ("POST", f"{_TABLE}/upload", "C", galleries.upload_photo),
    ("POST", f"{_TABLE}/chunked_upload", "C", galleries.upload_chunk),
    ("POST", f"{_TABLE}/chunked_upload/complete", "C", galleries.complete_upload),
)
"""The same of each route of a gallery, below the root of the API and below a project."""


class AmigoCloudService(AmigoCloudState):
    """An account with projects, datasets, SQL, jobs and uploads.

    The switches are those of :class:`~airflow_provider.sandbox.amigocloud.switches.Switches`.
    """

    loads = (RowsLoad, PhotosLoad)

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes below ``/amigocloud``."""
        rows = [*_ACCOUNT, *_RELATED]
        in_project = [*_IN_PROJECT, *_RELATED]
        rows += [(m, prefix + path, level, h) for prefix in _PROJECTS for m, path, level, h in in_project]
        api = [
            Route(ROOT + path, self._endpoint(level, handler), methods=[method])
            for method, path, level, handler in rows
        ]
        return [*api, *self._socket_routes()]

    def root_routes(self) -> Sequence[BaseRoute]:
        """Return the socket's routes: at the root on a real host, below the API for clients with a path."""
        return self._socket_routes()

    def _socket_routes(self) -> list[BaseRoute]:
        def is_here(path: str) -> bool:
            return (MOVED_PATH if self.moved_socket else SOCKET_PATH) in path

        async def serve(socket: WebSocket) -> None:
            if is_here(socket.url.path):
                await self.sockets.serve(socket)
            else:
                await socket.send_denial_response(Response(status_code=404))

        async def poll(request: Request) -> Response:
            if not is_here(request.url.path):
                return Response(status_code=404)
            return await polling.answer(self.sockets, request)

        return [
            *(WebSocketRoute(f"{path}/{{rest:path}}", serve) for path in (SOCKET_PATH, MOVED_PATH)),
            *(
                Route(f"{path}/{{rest:path}}", poll, methods=["GET", "POST"])
                for path in (SOCKET_PATH, MOVED_PATH)
            ),
        ]

    def storage_routes(self) -> Sequence[BaseRoute]:
        """Return the route of exported files on the storage origin; it refuses requests with a token."""

        async def endpoint(request: Request) -> Response:
            try:
                if "token" in request.query_params or "authorization" in request.headers:
                    raise bad_request("no credentials here, please")
                return files.file_response(self, request.path_params["key"])
            except ApiError as error:
                return Response(msgspec.json.encode(error.body), error.status)

        async def photo(request: Request) -> Response:
            try:
                if "token" in request.query_params or "authorization" in request.headers:
                    raise bad_request("no credentials here, please")
                given = request.query_params
                signed = given.get("Expires", ""), given.get("Signature", "")
                return galleries.stored_photo(self, request.path_params["key"], *signed)
            except ApiError as error:
                return Response(msgspec.json.encode(error.body), error.status)

        return [Route("/exports/{key}", endpoint), Route("/photos/{key}", photo)]

    def connection(self) -> Mapping[str, Any]:
        """Return the connection with an administrator's token and the campus project."""
        return {
            "conn_type": self.name,
            "host": self.api_root,
            "password": USER_TOKEN,
            "extra": {"project_url": f"users/{USER}/projects/{PROJECT}"},
        }

    # -- every request

    def _endpoint(self, level: str, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(http: Request) -> Response:
            try:
                request = await self._authenticate(http)
                self._check_scope(request)
                request.require_level(level)
                self.run_due_jobs()
                answer = await handler(self, request)
            except SqlError as error:
                refusal = bad_request(str(error), "sql_error")
                status = self.sql_error_status
                return Response(msgspec.json.encode(refusal.body), status, media_type="application/json")
            except ApiError as error:
                body = msgspec.json.encode(error.body)
                return Response(body, error.status, error.headers, "application/json")
            return answer if isinstance(answer, Response) else self._json(http, answer)

        return endpoint

    async def _authenticate(self, http: Request) -> ApiRequest:
        pairs = parse_query(http.scope["query_string"])
        self._check_rate()
        given = dict(pairs).get("token", "")
        token = self.tokens.get(given)
        if not given and self.open_exports and "/exports/" in http.url.path:
            token = Token("", "R")
        if token is None or (token.expires_at or float("inf")) <= self.around.clock.now():
            raise ApiError(self.bad_token_status, "invalid_token", "Invalid token.")
        return ApiRequest(http, token, pairs, await read_body(http))

    def _check_rate(self) -> None:
        if self.limit.take("", self.around.clock.now(), self.requests_per_second):
            wait = self.retry_after or (None if self.strict else "1")
            headers = {"Retry-After": wait} if wait else {}
            raise ApiError(429, "throttled", "Request was throttled.", headers)

    def _check_scope(self, request: ApiRequest) -> None:
        if request.token.project is None:
            return
        path = str(request.http.scope["path"]).split(ROOT, 1)[1]
        allowed = self.project_token_jobs and path.startswith("/me/jobs/")
        inside = self.project_number(request) == request.token.project
        if not (allowed or inside or path.startswith("/exports/")):
            raise ApiError(403, "permission_denied", "The token belongs to another project.")

    def _json(self, http: Request, answer: Any) -> Response:
        body = _ENCODER.encode(answer)
        headers = {}
        if self.compress and "gzip" in http.headers.get("accept-encoding", ""):
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        return Response(body, headers=headers, media_type="application/json")
