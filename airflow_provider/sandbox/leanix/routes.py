"""Routes of the token endpoint and of the Integration API."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from airflow_provider.sandbox.leanix.runs import LIVE, OVER, Run
from airflow_provider.sandbox.leanix.seed import KEY, configurations, key_of, tutorial_items
from airflow_provider.sandbox.leanix.validation import RefusalError, basic_credentials, check_input

if TYPE_CHECKING:
    from airflow_provider.sandbox.leanix.service import LeanIXService

API = "/services/integration-api/v1"
Handler = Callable[[Request], Awaitable[Response]]


def api_routes(service: LeanIXService) -> list[BaseRoute]:
    """Give all routes below the service's prefix."""
    runs, stored = Runs(service), Configurations(service)
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
    routes: list[BaseRoute] = [Route("/services/mtm/v1/oauth2/token", _token(service), methods=["POST"])]
    for method, path, handler in table:
        routes.append(Route(API + path, _guard(service, handler), methods=[method]))
    return routes


def _token(service: LeanIXService) -> Handler:
    async def token(request: Request) -> Response:
        form = {name: one[0] for name, one in parse_qs((await request.body()).decode()).items()}
        fields = {**form, **request.query_params}
        given = basic_credentials(request.headers.get("authorization"))
        given = given or (fields.get("client_id", ""), fields.get("client_secret", ""))
        if fields.get("grant_type") != "client_credentials":
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        if given != ("apitoken", service.api_token):
            return PlainTextResponse("Credentials are required to access this resource.", 401)
        return JSONResponse(service.issue_token())

    return token


def _guard(service: LeanIXService, handler: Handler) -> Handler:
    """Ask for a good token before, and turn refusals into error replies after a handler."""

    async def guarded(request: Request) -> Response:
        if not service.token_is_good(request.headers.get("authorization")):
            return PlainTextResponse("Credentials are required to access this resource.", 401)
        if not service.allowed:
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


class Configurations:
    """Stored processor configurations, examples, and new blobs for input."""

    def __init__(self, service: LeanIXService) -> None:
        self.service = service

    async def example(self, request: Request) -> Response:
        """A complete input with its configuration."""
        if request.path_params["name"] not in {"starterExample", "advancedExample"}:
            raise RefusalError(404, "No such example")
        configuration = next(iter(configurations().values()))
        header = {name: configuration[name] for name in KEY} | {"lxVersion": "1.0.0"}
        return JSONResponse(
            {"input": {**header, "content": tutorial_items()}, "processorConfiguration": configuration}
        )

    async def list(self, request: Request) -> Response:
        """All configurations that agree with the filters given."""
        wanted = {name: request.query_params[name] for name in KEY if name in request.query_params}
        found = [
            one
            for one in self.service.configurations.values()
            if all(one.get(name) == value for name, value in wanted.items())
        ]
        self.service.around.counters.rows_served[self.service.name] += len(found)
        return JSONResponse(found)

    async def put(self, request: Request) -> Response:
        """Make or replace one."""
        body = await _body(request)
        if not isinstance(body, dict) or not all(key_of(body)):
            raise RefusalError(400, "The key of the processor configuration is incomplete")
        self.service.configurations[key_of(body)] = {**body, "processingMode": key_of(body)[4]}
        return Response(status_code=204)

    async def delete(self, request: Request) -> Response:
        """Remove one."""
        if not all(request.query_params.get(name) for name in KEY):
            raise RefusalError(400, "Not all necessary fields are set in parameters.")
        if self.service.configurations.pop(key_of(request.query_params), None) is None:
            raise RefusalError(404, "No such processor configuration found.")
        return Response(status_code=204)

    async def storage(self, _: Request) -> Response:
        """Make a blob that takes a large input."""
        return JSONResponse(self.service.storage.new_blob())


class Runs:
    """Synchronization runs."""

    def __init__(self, service: LeanIXService) -> None:
        self.service = service

    async def list(self, _: Request) -> Response:
        """All runs ever created."""
        service = self.service
        rows = [service.shown(run) for run in service.runs if run.id not in service.hidden_runs]
        service.around.counters.rows_served[service.name] += len(rows)
        return JSONResponse(rows)

    async def create(self, request: Request) -> Response:
        """A run of the stored configuration that the input's header selects."""
        ldif = check_input(await _body(request))
        run = self.service.create(ldif, self.service.configuration_for(ldif))
        self._start_if_asked(request, run)
        shown = self.service.shown(run)
        return JSONResponse([shown] if self.service.create_returns_list else shown)

    async def create_with_configuration(self, request: Request) -> Response:
        """A run of a configuration that comes along."""
        ldif, configuration = _with_configuration(await _body(request))
        run = self.service.create(ldif, configuration)
        self._start_if_asked(request, run)
        return JSONResponse({"id": run.id})

    async def create_from_url(self, request: Request) -> Response:
        """A run whose input is fetched from a link."""
        ldif, broken = self._fetch(await _body(request))
        configuration = {} if broken else self.service.configuration_for(ldif)
        return self._created(request, ldif, configuration, broken)

    async def create_for_group(self, request: Request) -> Response:
        """A run of all configurations of a group."""
        ldif = check_input(await _body(request))
        return self._created(request, ldif, self._group(request))

    async def create_for_group_from_url(self, request: Request) -> Response:
        """The same with its input behind a link."""
        configuration = self._group(request)
        ldif, broken = self._fetch(await _body(request))
        return self._created(request, ldif, configuration, broken)

    async def start(self, request: Request) -> Response:
        """Queue a run; whatever the body holds is ignored."""
        run = self._run(request)
        if run.status != "CREATED":
            raise RefusalError(400, f"The synchronization run {run.id} was already started earlier")
        self._start(run, _flag(request, "test"))
        return Response(status_code=200)

    async def stop(self, request: Request) -> Response:
        """End a run that is queued or running."""
        run = self._run(request)
        if run.status not in LIVE:
            raise RefusalError(
                400, "It is not possible to stop a synchronization that is not pending or running"
            )
        self.service.machine.stop(run, self.service.now())
        return Response(status_code=200)

    async def status(self, request: Request) -> Response:
        """Id, status and description."""
        return JSONResponse(self.service.shown(self._run(request)))

    async def progress(self, request: Request) -> Response:
        """How far it is."""
        return JSONResponse(self._run(request).progress(self.service.now()))

    async def stats(self, request: Request) -> Response:
        """What it did and how long that took."""
        return JSONResponse(self._run(request).stats())

    async def warnings(self, request: Request) -> Response:
        """What it did not like, a page at a time."""
        run = self._run(request)
        try:
            offset = int(request.query_params.get("offset", 0))
            limit = int(request.query_params.get("limit", 100))
        except ValueError:
            raise RefusalError(400, "offset and limit must be numbers") from None
        if offset < 0 or not 1 <= limit <= 100 or offset % limit:
            raise RefusalError(400, "offset and limit must satisfy the condition offset MOD limit == 0")
        if not self.service.has_sync_log or run.status == "CREATED":
            raise RefusalError(400, "The synchronization does not have a SyncLog Id")
        rows = run.warnings[offset : offset + limit]
        self.service.around.counters.rows_served[self.service.name] += len(rows)
        return JSONResponse(rows)

    async def results(self, request: Request) -> Response:
        """The LDIF that the run made."""
        run = self._run(request)
        if run.status != "FINISHED" or run.result is None:
            return Response(status_code=204)
        return Response(run.result, media_type="application/json")

    async def results_url(self, request: Request) -> Response:
        """A link to the LDIF that the run made."""
        run = self._run(request)
        ready = run.status == "FINISHED" and run.result is not None and self.service.has_results_url
        return JSONResponse({"url": self.service.storage.result_link(run) if ready else None})

    async def fast(self, request: Request) -> Response:
        """Run at once, and answer when it is done."""
        ldif = check_input(await _body(request))
        return self._fast(request, ldif, self.service.configuration_for(ldif))

    async def fast_with_configuration(self, request: Request) -> Response:
        """The same with a configuration that comes along."""
        return self._fast(request, *_with_configuration(await _body(request)))

    def _fast(self, request: Request, ldif: dict[str, Any], configuration: Mapping[str, Any]) -> Response:
        if ldif["processingDirection"] == "outbound":
            raise RefusalError(400, "Fast execution does not support outbound yet.")
        run = self.service.create(ldif, configuration)
        run.queue_seconds = run.work_seconds = 0.0
        self._start(run, _flag(request, "test"))
        self.service.machine.settle(self.service.now())
        stats = {
            "duration": "PT0.1S",
            "processedContentCount": len(run.content),
            "processorCount": len(run.processors),
        }
        ending = run.status if run.status in OVER else "FAILED"
        return JSONResponse({"status": ending, "warnings": run.warnings, "stats": stats, "results": {}})

    def _run(self, request: Request) -> Run:
        return self.service.run(request.path_params["id"])

    def _start(self, run: Run, test: bool) -> None:
        run.test = test
        self.service.machine.start(run, self.service.now())

    def _start_if_asked(self, request: Request, run: Run) -> None:
        if _flag(request, "start"):
            self._start(run, _flag(request, "test"))

    def _created(
        self, request: Request, ldif: dict[str, Any], configuration: Mapping[str, Any], broken: str = ""
    ) -> Response:
        run = self.service.create(ldif, configuration, broken)
        self._start_if_asked(request, run)
        body: dict[str, Any] = {"id": run.id}
        if configuration:
            body["processorConfiguration"] = configuration
        return JSONResponse(body)

    def _fetch(self, provider: Any) -> tuple[dict[str, Any], str]:
        """Give the input behind a link; or an empty one, and why it could not be fetched."""
        if not isinstance(provider, Mapping) or not provider.get("url"):
            raise RefusalError(400, "url may not be empty")
        if not isinstance(provider["url"], str):
            raise RefusalError(400, "Unable to process JSON")
        try:
            return check_input(json.loads(self.service.storage.read(provider["url"]))), ""
        except (LookupError, ValueError) as error:
            return {}, str(error)

    def _group(self, request: Request) -> dict[str, Any]:
        name = request.query_params.get("groupName")
        found = [
            one for one in self.service.configurations.values() if name in one.get("executionGroups", ())
        ]
        if not found:
            raise RefusalError(404, "There is no configuration matching with the execution group value")
        if len({(one["processingDirection"], one.get("processingMode")) for one in found}) > 1:
            raise RefusalError(400, "Execution group contains processor configurations that are incompatible")
        return found[0]


def _with_configuration(body: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    if not isinstance(body, Mapping) or not isinstance(body.get("processorConfiguration"), Mapping):
        raise RefusalError(400, "input and processorConfiguration are needed")
    return check_input(body.get("input")), dict(body["processorConfiguration"])
