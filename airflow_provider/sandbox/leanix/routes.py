"""Routes of the emulated token endpoint and Integration API."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from airflow_provider.sandbox.leanix.auth import basic_credentials
from airflow_provider.sandbox.leanix.runs import ENDED, LIVE, Run
from airflow_provider.sandbox.leanix.seed import (
    KEY_FIELDS,
    WORKSPACE_ID,
    WORKSPACE_NAME,
    configuration_key,
    configurations,
    kind_of,
    tutorial_items,
)
from airflow_provider.sandbox.leanix.validation import RefusalError, validate_input
from airflow_provider.sandbox.rate_limit import retry_after
from airflow_provider.sandbox.tokens import RefusedTokenError

if TYPE_CHECKING:
    from airflow_provider.sandbox.leanix.workspace import Workspace

API = "/services/integration-api/v1"
SYNC_LOG = "/services/synclog/v1"
SYNC_STATUSES = ("OK", "INFO", "WARNING", "ERROR")
SYNC_PARAMETERS = {"workspaceId", "status", "size", "page", "sort"}
SYNC_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sync log (sandbox)</title>
<style>body {{font: 16px system-ui, sans-serif; margin: 2rem}}
td, th {{padding: .4rem 1.5rem .4rem 0; text-align: left}}</style><h1>Sync log of the emulated workspace</h1>
<table><tr><th>Created at<th>Source<th>Progress<th>Status<th>Errors{rows}</table>
"""
"""Page of the web interface that a task's link leads to; the vendor's own one needs a login."""

Handler = Callable[[Request], Awaitable[Response]]


def api_routes(workspace: Workspace) -> list[BaseRoute]:
    """Return all routes below the service's prefix."""
    runs, stored = RunRoutes(workspace), ConfigurationRoutes(workspace)
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/examples/{name}", stored.example),
        ("GET", "/configurations", stored.list),
        ("PUT", "/configurations", stored.put),
        ("DELETE", "/configurations", stored.delete),
        ("GET", "/storages/azure", stored.storage),
        ("GET", "/synchronizationRuns", runs.list),
        ("POST", "/synchronizationRuns", runs.create),
        ("POST", "/synchronizationRuns/withConfig", runs.create_with_configuration),
        ("POST", "/synchronizationRuns/withUrlInput", runs.create_from_url),
        ("POST", "/synchronizationRuns/withExecutionGroup", runs.create_for_group),
        ("POST", "/synchronizationRuns/withExecutionGroupAndUrlInput", runs.create_for_group_from_url),
        ("POST", "/synchronizationRuns/{id}/start", runs.start),
        ("POST", "/synchronizationRuns/{id}/stop", runs.stop),
        ("GET", "/synchronizationRuns/{id}/status", runs.status),
        ("GET", "/synchronizationRuns/{id}/progress", runs.progress),
        ("GET", "/synchronizationRuns/{id}/stats", runs.stats),
        ("GET", "/synchronizationRuns/{id}/warnings", runs.warnings),
        ("GET", "/synchronizationRuns/{id}/results", runs.results),
        ("GET", "/synchronizationRuns/{id}/resultsUrl", runs.results_url),
        ("POST", "/fastSynchronizationRuns", runs.fast),
        ("POST", "/fastSynchronizationRuns/withConfig", runs.fast_with_configuration),
    ]
    routes: list[BaseRoute] = [Route("/services/mtm/v1/oauth2/token", _token(workspace), methods=["POST"])]
    document = Route(f"{API}/api-docs/swagger.json", _document(workspace, table), methods=["GET"])
    routes.append(document)
    for method, path, handler in table:
        routes.append(Route(API + path, _guard(workspace, handler), methods=[method]))
    log = SyncLogRoutes(workspace)
    for path, handler in (
        ("syncItems", log.items),
        ("synchronizations", log.synchronizations),
        ("synchronizations/{id}", log.synchronization),
    ):
        routes.append(Route(f"{SYNC_LOG}/{path}", _guard(workspace, handler), methods=["GET"]))
    routes.append(Route(f"/{WORKSPACE_NAME}/admin/synclog", log.page, methods=["GET"]))
    return routes


def _document(workspace: Workspace, table: list[tuple[str, str, Handler]]) -> Handler:
    """Return the handler of the API's description, which needs no token."""

    async def document(_: Request) -> Response:
        paths: dict[str, dict[str, Any]] = {}
        for method, path, _handler in table:
            if f"{method} {path}" not in workspace.hidden_operations:
                paths.setdefault(path, {})[method.lower()] = {"responses": {"200": {"description": "ok"}}}
        info = {"title": "Integration API", "version": "v1"}
        return JSONResponse({"swagger": "2.0", "info": info, "basePath": API, "paths": paths})

    return document


def _token(workspace: Workspace) -> Handler:
    async def token(request: Request) -> Response:
        try:
            workspace.access.check_rate()
            return await issue(request)
        except RefusedTokenError as refused:
            headers = retry_after(refused.seconds) if workspace.retry_after else {}
            return PlainTextResponse(refused.detail, refused.status, headers)

    async def issue(request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        fields = {**form, **request.query_params}
        credentials = basic_credentials(request.headers.get("authorization"))
        credentials = credentials or (fields.get("client_id", ""), fields.get("client_secret", ""))
        if fields.get("grant_type") != "client_credentials":
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        if credentials != ("apitoken", workspace.api_token):
            text = "Credentials are required to access this resource."
            return PlainTextResponse(text, workspace.bad_api_token_status)
        return JSONResponse(workspace.issue_token())

    return token


def _guard(workspace: Workspace, handler: Handler) -> Handler:
    """Require a valid token before a handler, and return error replies for its refusals."""

    async def guarded(request: Request) -> Response:
        token = workspace.token_of(request.headers.get("authorization"))
        if token is None:
            text = "Credentials are required to access this resource."
            return PlainTextResponse(text, workspace.refusal_status(request.headers.get("authorization")))
        early = workspace.limit.take(token.client, workspace.now(), workspace.requests_per_second)
        if early:
            headers = retry_after(early) if workspace.retry_after else {}
            return PlainTextResponse("USER_INTERVAL_REQUEST_LIMIT_EXCEEDED", 429, headers)
        if not workspace.allowed:
            return JSONResponse({"errors": ["The user is not allowed to use this endpoint."]}, 403)
        try:
            return await handler(request)
        except RefusalError as refusal:
            return JSONResponse({"errors": refusal.errors}, refusal.status)

    return guarded


async def _body(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError:
        raise RefusalError(400, "Unable to process JSON") from None


def _flag(request: Request, name: str) -> bool:
    return request.query_params.get(name, "false").lower() == "true"


class ConfigurationRoutes:
    """Handlers of processor configurations, examples, and uploads of input."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    async def example(self, request: Request) -> Response:
        """Return a complete input with its configuration."""
        if request.path_params["name"] not in {"starterExample", "advancedExample"}:
            raise RefusalError(404, "No such example")
        configuration = next(iter(configurations().values()))
        header = {name: configuration[name] for name in KEY_FIELDS} | {"lxVersion": "1.0.0"}
        return JSONResponse(
            {"input": {**header, "content": tutorial_items()}, "processorConfiguration": configuration}
        )

    async def list(self, request: Request) -> Response:
        """Return the configurations that match the filters given."""
        wanted = {name: request.query_params[name] for name in KEY_FIELDS if name in request.query_params}
        found = [
            self.workspace.shown(configuration)
            for configuration in self.workspace.configurations.values()
            if all(configuration.get(name) == value for name, value in wanted.items())
        ]
        self.workspace.count_rows(len(found))
        return JSONResponse(found)

    async def put(self, request: Request) -> Response:
        """Create or replace a configuration."""
        body = await _body(request)
        if not isinstance(body, dict) or not all(configuration_key(body)):
            raise RefusalError(400, "The key of the processor configuration is incomplete")
        self.workspace.check_configuration(body)
        self.workspace.configurations[configuration_key(body)] = {
            **body,
            "processingMode": configuration_key(body)[4],
        }
        return Response(status_code=204)

    async def delete(self, request: Request) -> Response:
        """Delete a configuration."""
        if not all(request.query_params.get(name) for name in KEY_FIELDS):
            raise RefusalError(400, "Not all necessary fields are set in parameters.")
        if self.workspace.configurations.pop(configuration_key(request.query_params), None) is None:
            raise RefusalError(404, "No such processor configuration found.")
        return Response(status_code=204)

    async def storage(self, _: Request) -> Response:
        """Create a blob for a large input."""
        return JSONResponse(self.workspace.storage.create_blob())


class RunRoutes:
    """Handlers of synchronization runs."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    async def list(self, _: Request) -> Response:
        """Return all runs ever created."""
        workspace = self.workspace
        rows = [workspace.run_row(run) for run in workspace.runs if run.id not in workspace.hidden_runs]
        if not workspace.list_descriptions:
            rows = [{name: row[name] for name in ("id", "status")} for row in rows]
        workspace.count_rows(len(rows))
        return JSONResponse(rows)

    async def create(self, request: Request) -> Response:
        """Create a run of the stored configuration that the input's header selects."""
        ldif = self._valid(await _body(request))
        run = self.workspace.create(ldif, self.workspace.configuration_for(ldif))
        self._start_if_asked(request, run)
        row = self.workspace.run_row(run)
        return JSONResponse([row] if self.workspace.create_returns_list else row)

    async def create_with_configuration(self, request: Request) -> Response:
        """Create a run of a configuration in the request."""
        ldif, configuration = self._with_configuration(await _body(request))
        run = self.workspace.create(ldif, configuration)
        self._start_if_asked(request, run)
        return JSONResponse({"id": run.id})

    async def create_from_url(self, request: Request) -> Response:
        """Create a run whose input is fetched from a URL."""
        ldif, input_error = self._fetch(await _body(request))
        configuration = {} if input_error else self.workspace.configuration_for(ldif)
        return self._created(request, ldif, configuration, input_error)

    async def create_for_group(self, request: Request) -> Response:
        """Create a run of all configurations of a group."""
        ldif = self._valid(await _body(request))
        return self._created_for_group(request, ldif, self.workspace.group(request.query_params))

    async def create_for_group_from_url(self, request: Request) -> Response:
        """Create a run of a group whose input is fetched from a URL."""
        configuration = self.workspace.group(request.query_params)
        ldif, input_error = self._fetch(await _body(request))
        return self._created_for_group(request, ldif, configuration, input_error)

    async def start(self, request: Request) -> Response:
        """Start a run; the request's body is ignored."""
        run = self._run(request)
        if run.status != "CREATED":
            text = f"The synchronization run {run.id} was already started earlier"
            raise RefusalError(self.workspace.second_start_status, text)
        self._start(run, _flag(request, "test"))
        return Response(status_code=200)

    async def stop(self, request: Request) -> Response:
        """Stop a run that is queued or running."""
        run = self._run(request)
        if run.status not in LIVE:
            raise RefusalError(
                400, "It is not possible to stop a synchronization that is not pending or running"
            )
        self.workspace.machine.stop(run, self.workspace.now(), self.workspace.stop_seconds)
        return Response(status_code=200)

    async def status(self, request: Request) -> Response:
        """Return id, status and description of a run."""
        return JSONResponse(self.workspace.run_row(self._run(request)))

    async def progress(self, request: Request) -> Response:
        """Return the progress of a run."""
        return JSONResponse(self._run(request).progress(self.workspace.now()))

    async def stats(self, request: Request) -> Response:
        """Return counts and durations of a run."""
        return JSONResponse(self._run(request).stats())

    async def warnings(self, request: Request) -> Response:
        """Return a page of a run's warnings."""
        run = self._run(request)
        try:
            offset = int(request.query_params.get("offset", 0))
            limit = int(request.query_params.get("limit", 100))
        except ValueError:
            raise RefusalError(400, "offset and limit must be numbers") from None
        if offset < 0 or not 1 <= limit <= 100 or offset % limit:
            raise RefusalError(400, "offset and limit must satisfy the condition offset MOD limit == 0")
        if not self.workspace.has_sync_log or run.status == "CREATED":
            raise RefusalError(400, "The synchronization does not have a SyncLog Id")
        rows = run.warnings[offset : offset + limit]
        self.workspace.count_rows(len(rows))
        return JSONResponse(rows)

    async def results(self, request: Request) -> Response:
        """Return the LDIF that a run produced."""
        run = self._run(request)
        if not self.workspace.has_results(run):
            return Response(status_code=204)
        return Response(run.result, media_type="application/json")

    async def results_url(self, request: Request) -> Response:
        """Return a link to the LDIF that a run produced."""
        run = self._run(request)
        ready = self.workspace.has_results(run) and self.workspace.has_results_url
        url = self.workspace.storage.result_url(run, self.workspace.link_seconds) if ready else None
        return JSONResponse({"url": url})

    async def fast(self, request: Request) -> Response:
        """Execute a run, and return its result."""
        ldif = self._valid(await _body(request))
        return self._fast(request, ldif, self.workspace.configuration_for(ldif))

    async def fast_with_configuration(self, request: Request) -> Response:
        """Execute a run of a configuration in the request."""
        return self._fast(request, *self._with_configuration(await _body(request)))

    def _fast(self, request: Request, ldif: dict[str, Any], configuration: Mapping[str, Any]) -> Response:
        if ldif["processingDirection"] == "outbound":
            raise RefusalError(400, "Fast execution does not support outbound yet.")
        run = self.workspace.create(ldif, configuration)
        run.queue_seconds = run.work_seconds = 0.0
        self._start(run, _flag(request, "test"))
        self.workspace.machine.advance(self.workspace.now())
        stats = {
            "duration": "PT0.1S",
            "processedContentCount": len(run.content),
            "processorCount": len(run.processors),
        }
        ending = run.status if run.status in ENDED else "FAILED"
        results = json.loads(run.result) if run.result else {}
        return JSONResponse({"status": ending, "warnings": run.warnings, "stats": stats, "results": results})

    def _run(self, request: Request) -> Run:
        return self.workspace.run(request.path_params["id"])

    def _start(self, run: Run, test: bool) -> None:
        run.test = test
        self.workspace.machine.start(run, self.workspace.now())

    def _start_if_asked(self, request: Request, run: Run) -> None:
        if _flag(request, "start"):
            self._start(run, _flag(request, "test"))

    def _created(
        self, request: Request, ldif: dict[str, Any], configuration: Mapping[str, Any], input_error: str = ""
    ) -> Response:
        run = self.workspace.create(ldif, configuration, input_error)
        return self._reply(request, run, configuration)

    def _created_for_group(
        self, request: Request, ldif: dict[str, Any], configuration: Mapping[str, Any], input_error: str = ""
    ) -> Response:
        """Create a run of a group's configurations, which have one direction and one mode: the input's."""
        if self.workspace.strict and not input_error and kind_of(ldif) != kind_of(configuration):
            raise RefusalError(400, "The input has another processingDirection or processingMode")
        run = self.workspace.create(ldif, configuration, input_error)
        run.keeps_description = self.workspace.group_descriptions
        return self._reply(request, run, configuration)

    def _reply(self, request: Request, run: Run, configuration: Mapping[str, Any]) -> Response:
        self._start_if_asked(request, run)
        body: dict[str, Any] = {"id": run.id}
        if configuration:
            body["processorConfiguration"] = configuration
        return JSONResponse(body)

    def _fetch(self, provider: Any) -> tuple[dict[str, Any], str]:
        """Return the input behind a URL; or an empty input, and the reason why it could not be fetched."""
        if not isinstance(provider, Mapping) or not provider.get("url"):
            raise RefusalError(400, "url may not be empty")
        if not isinstance(provider["url"], str):
            raise RefusalError(400, "Unable to process JSON")
        try:
            return self._valid(json.loads(self.workspace.storage.read(provider["url"]))), ""
        except (LookupError, ValueError) as error:
            return {}, str(error)

    def _with_configuration(self, body: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        if not isinstance(body, Mapping) or not isinstance(body.get("processorConfiguration"), Mapping):
            raise RefusalError(400, "input and processorConfiguration are needed")
        configuration = dict(body["processorConfiguration"])
        self.workspace.check_configuration(configuration)
        return self._valid(body.get("input")), configuration

    def _valid(self, ldif: Any) -> dict[str, Any]:
        workspace = self.workspace
        return validate_input(ldif, strict=workspace.strict, wrong_workspace=workspace.wrong_workspace_status)


class SyncLogRoutes:
    """Handlers of the sync log, which take only what the vendor's script is known to send."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    async def items(self, request: Request) -> Response:
        """Return a page of the items."""
        given = request.query_params
        if unknown := sorted(set(given) - SYNC_PARAMETERS):
            raise RefusalError(400, f"Unknown parameters: {', '.join(unknown)}")
        if given.get("workspaceId") != WORKSPACE_ID:
            raise RefusalError(403, "The user is not allowed to read this workspace")
        if given.get("sort", "createdAt-desc") != "createdAt-desc":
            raise RefusalError(400, "sort is not known")
        status, size, page = given.get("status"), _number(given, "size", 30), _number(given, "page", 1)
        if size > 100 or (status is not None and status not in SYNC_STATUSES):
            raise RefusalError(400, "size or status is not allowed")
        self.workspace.machine.advance(self.workspace.now())
        rows = [row for row in self.workspace.sync_items if status in (None, row["status"])]
        rows.sort(key=lambda row: str(row.get("createdAt")), reverse=True)
        rows = rows[size * (page - 1) : size * page]
        self.workspace.count_rows(len(rows))
        return JSONResponse({"status": "OK", "type": "SyncItem", "data": rows})

    async def synchronizations(self, _: Request) -> Response:
        """Return the synchronizations."""
        self.workspace.machine.advance(self.workspace.now())
        return JSONResponse({"status": "OK", "data": self.workspace.synchronizations})

    async def synchronization(self, request: Request) -> Response:
        """Return one synchronization."""
        wanted = request.path_params["id"]
        found = [row for row in self.workspace.synchronizations if row["id"] == wanted]
        if not found:
            raise RefusalError(404, "No such synchronization")
        return JSONResponse({"status": "OK", "data": found[0]})

    async def page(self, _: Request) -> Response:
        """Return the page of the web interface, newest first."""
        self.workspace.machine.advance(self.workspace.now())
        names = ("createdAt", "source", "progress", "status", "errorCount")
        rows = [
            "<tr>" + "".join(f"<td>{escape(str(row[name]))}" for name in names)
            for row in reversed(self.workspace.synchronizations)
        ]
        return HTMLResponse(SYNC_PAGE.format(rows="\n".join(rows)))


def _number(given: Any, name: str, default: int) -> int:
    try:
        number = int(given.get(name, default))
    except ValueError:
        number = 0
    if number < 1:
        raise RefusalError(400, f"{name} must be a number from 1")
    return number
