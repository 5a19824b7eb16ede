"""Conformance of the sandbox's LeanIX to the vendor's Swagger description of the Integration API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_provider.sandbox.leanix import LeanIXService
from airflow_provider.sandbox.leanix.seed import KEY_FIELDS, WORKSPACE_ID, tutorial_items
from tests.contract import api_specs
from tests.contract.conformance import ConformanceReport
from tests.contract.recording_sandbox import RecordingSandbox

API = "/services/integration-api/v1"
RUNS = "/synchronizationRuns"
HEADER = {"connectorVersion": "1.0.0", "lxVersion": "1.0.0", "processingMode": "partial"}
INBOUND = {"connectorType": "cmdb", "connectorId": "campus", "processingDirection": "inbound", **HEADER}
OUTBOUND = {
    "connectorType": "report",
    "connectorId": "landscape",
    "processingDirection": "outbound",
    **HEADER,
}
ITEMS = {**INBOUND, "content": tutorial_items()}
READS = ("status", "progress", "stats", "results", "resultsUrl", "warnings")

SUBTYPES = {
    "ProcessorConfiguration": {
        "inbound": "InboundProcessorConfiguration",
        "outbound": "OutboundProcessorConfiguration",
    },
    "Input": {"inbound": "LeanIxDataInterchangeFormat", "outbound": "OutboundInput"},
    "InboundProcessor": {
        "inboundFactSheet": "FactSheetInboundProcessor",
        "inboundRelation": "RelationInboundProcessor",
        "writeToLdif": "WriteToLdifProcessor",
    },
    "DataConsumer": {
        "leanixStorage": "LeanIxStorageDataConsumer",
        "azureStorage": "AzureStorageDataConsumer",
    },
}
UNDOCUMENTED = {
    "POST /leanix/services/mtm/v1/oauth2/token *: operation": "of another service; described in the docs",
    "GET /leanix/services/synclog/v1/* 200: operation": "of another service, as a vendor's script calls it",
    "GET /leanix/campus/admin/synclog 200: operation": "a page for people, to which a link leads",
    "PUT /leanix/blobs/* 201: operation": "the blob storage",
    "GET /api-docs/swagger.json 200: operation": "the file itself, at the place where its readers fetch it",
    "* 401: status": "the file has no 401; the docs say what a missing or expired token gets",
    "POST /synchronizationRuns* 400: status": "bad bodies; the docs list 400 for the whole API",
    "POST /synchronizationRuns* 404: status": "unknown configuration; clients expect it",
    "POST /fastSynchronizationRuns* 404: status": "the same",
    "PUT /configurations 400: status": "an incomplete key",
    "GET /synchronizationRuns/{id}/stats 404: status": "of the reads of a run, only this one",
    "GET /synchronizationRuns/{id}/warnings 404: status": "and this one have no 404",
    "GET /synchronizationRuns/{id}/* 404: $.errors": "a Warning in the file; here as elsewhere",
    "GET /examples/* 403: status": "examples need the same permission as all else",
    "GET /storages/azure 403: status": "blobs, too",
    "POST /synchronizationRuns/withExecutionGroup 403: status": "groups, too; the file has it elsewhere",
    "*filter.exactType": "the docs' own processors filter by it",
}
"""Parts of the sandbox's replies that the file lacks, and the reason for each."""


class Driver:
    """Client that calls every operation of the sandbox, with every kind of reply."""

    def __init__(self, sandbox: RecordingSandbox) -> None:
        self.sandbox = sandbox
        self.session = requests.Session()
        self.log_in()

    def log_in(self) -> None:
        url = f"{self.sandbox.leanix.base_url}/services/mtm/v1/oauth2/token"
        grant = {"grant_type": "client_credentials"}
        reply = requests.post(url, auth=("apitoken", self.sandbox.leanix.api_token), data=grant, timeout=10)
        self.session.headers["Authorization"] = f"Bearer {reply.json()['access_token']}"

    def __call__(self, method: str, path: str, body: Any = None, **params: Any) -> requests.Response:
        data = body if isinstance(body, str) else None if body is None else json.dumps(body)
        url = f"{self.sandbox.leanix.base_url}{API}{path}"
        return self.session.request(method, url, data=data, params=params, timeout=10)

    def everything(self) -> None:
        self.stored()
        for ldif in (ITEMS, {**OUTBOUND, "content": []}):
            self.run(ldif)
        self.endings()
        self.other_ways_to_start()
        self.sync_log()
        self.refusals()

    def sync_log(self) -> None:
        """Read the sync log, which has a path of its own."""
        log = f"{self.sandbox.leanix.base_url}/services/synclog/v1"
        self.session.get(f"{log}/syncItems", params={"workspaceId": WORKSPACE_ID}, timeout=10)
        (found, *_) = self.session.get(f"{log}/synchronizations", timeout=10).json()["data"]
        self.session.get(f"{log}/synchronizations/{found['id']}", timeout=10)
        self.session.get(f"{self.sandbox.leanix.base_url}/campus/admin/synclog", timeout=10)

    def stored(self) -> None:
        for path in ("/examples/starterExample", "/examples/advancedExample", "/storages/azure"):
            self("GET", path)
        first = self("GET", "/configurations").json()[0]
        self("PUT", "/configurations", {**first, "connectorId": "copy"})
        key = {name: first[name] for name in KEY_FIELDS} | {"connectorId": "copy"}
        for _ in range(2):
            self("DELETE", "/configurations", **key)
        self("DELETE", "/configurations")
        self("PUT", "/configurations", {})

    def read(self, run: str) -> None:
        for end in READS:
            self("GET", f"{RUNS}/{run}/{end}")

    def create(self, ldif: dict[str, Any], **params: Any) -> str:
        return str(self("POST", RUNS, {**ldif, "description": "driven"}, **params).json()[0]["id"])

    def run(self, ldif: dict[str, Any]) -> None:
        """Read a run in each of its states."""
        self.sandbox.leanix.bad_items = self.sandbox.leanix.doubtful_items = 1
        run = self.create(ldif)
        self.read(run)
        for end in ("stop", "start", "start"):
            self("POST", f"{RUNS}/{run}/{end}")
        for seconds in (0, 2, 60):
            self.sandbox.clock.advance(seconds)
            self.read(run)
        self("POST", f"{RUNS}/{run}/stop")
        self("GET", RUNS)

    def endings(self) -> None:
        for change in ({"ending": "FAILED"}, {"stuck_in": "PENDING"}, {"processes_nothing": True}):
            for name, value in change.items():
                setattr(self.sandbox.leanix, name, value)
            run = self.create(ITEMS, start="true", test="true")
            self.sandbox.clock.advance(60)
            self("POST", f"{RUNS}/{run}/stop")
            self.read(run)
            self.sandbox.leanix.ending, self.sandbox.leanix.stuck_in = "FINISHED", None
            self.sandbox.leanix.processes_nothing = False

    def other_ways_to_start(self) -> None:
        stored = {found["connectorId"]: found for found in self("GET", "/configurations").json()}
        both = {"input": ITEMS, "processorConfiguration": stored["campus"]}
        blob = self("GET", "/storages/azure").json()["SAS"]
        requests.put(blob, json=ITEMS, headers={"x-ms-blob-type": "BlockBlob"}, timeout=10)
        link = {"url": blob, "type": "azureStorage"}
        groups, keys = self.sandbox.leanix.execution_groups, [*self.sandbox.leanix.configurations]
        groups["inbound partial"], groups["all"] = keys[:1], keys
        group, mixed = {"groupName": "inbound partial"}, {"groupName": "all"}
        self("POST", f"{RUNS}/withConfig", both)
        self("POST", f"{RUNS}/withUrlInput", link)
        self("POST", f"{RUNS}/withUrlInput", {**link, "url": blob.replace("sig=", "sig=x")}, start="true")
        for params in (group, mixed, {"groupName": "none"}):
            self("POST", f"{RUNS}/withExecutionGroup", ITEMS, **params)
            self("POST", f"{RUNS}/withExecutionGroupAndUrlInput", link, **params)
        self("POST", "/fastSynchronizationRuns", ITEMS)
        self("POST", "/fastSynchronizationRuns/withConfig", both)
        self("POST", "/fastSynchronizationRuns", OUTBOUND)

    def refusals(self) -> None:
        """Send requests that each route refuses."""
        run = self.create(ITEMS)
        for query in ({"limit": 7, "offset": 3}, {"limit": "x"}, {"limit": 0}):
            self("GET", f"{RUNS}/{run}/warnings", **query)
        for body in ({}, [], {**ITEMS, "connectorId": "unknown"}, {**ITEMS, "lxWorkspace": "other"}, "{"):
            self("POST", RUNS, body)
            self("POST", "/fastSynchronizationRuns", body)
        self.everywhere("unknown", "{")
        self.sandbox.leanix.allowed = False
        self.everywhere(run)
        self.sandbox.leanix.expire_tokens()
        self.everywhere(run)

    def everywhere(self, run: str, body: Any = None) -> None:
        for route in self.sandbox.leanix.routes():
            path = str(getattr(route, "path", ""))
            if path.startswith(API):
                path = path.removeprefix(API).replace("{id}", run).replace("{name}", "starterExample")
                for method in getattr(route, "methods", set()) - {"HEAD"}:
                    self(method, path, None if method == "GET" else body)


def spec() -> api_specs.ApiSpec:
    document = api_specs.load("leanix-integration-api.swagger.json")
    definitions = document["definitions"]
    # Four schemas contradict the file's own examples and texts, which are right.
    definitions["SyncRunInboundProgressReport"]["properties"]["status"]["type"] = "string"
    definitions["UrlContainer"]["properties"]["url"]["type"] = ["string", "null"]
    definitions["Content"]["properties"]["data"].pop("additionalProperties")
    outbound = definitions["OutboundProcessorConfiguration"]["allOf"][1]["properties"]
    outbound["scope"] = {"$ref": "#/definitions/Scope"}
    return api_specs.ApiSpec(document, SUBTYPES)


@pytest.fixture(scope="module")
def report() -> Iterator[ConformanceReport]:
    description = spec()
    with RecordingSandbox(LeanIXService, API) as sandbox:
        # The file describes a list of one run; the docs and clients an object, which is the default.
        sandbox.leanix.create_returns_list = True
        Driver(sandbox).everything()
        yield ConformanceReport(description, sandbox.replies(), sandbox.unused_routes())


def test_every_route_is_used(report: ConformanceReport) -> None:
    assert report.unused_routes == []
    assert report.unused_operations() == []


def test_every_reply_validates(report: ConformanceReport) -> None:
    assert report.violations() == []


def test_what_the_description_lacks_is_listed(report: ConformanceReport) -> None:
    assert report.undocumented(UNDOCUMENTED) == ([], [])


def shape(stats: dict[str, Any]) -> dict[str, frozenset[str]]:
    """Return the fields of an object, and those of the first row of each of its tables."""
    tables = {name: rows[0] for name, rows in stats.items() if isinstance(rows, list) and rows}
    return {"": frozenset(stats), **{name: frozenset(row) for name, row in tables.items()}}


def test_statistics_have_the_fields_of_the_descriptions_examples(report: ConformanceReport) -> None:
    examples = report.spec.document["paths"][f"{RUNS}/{{id}}/stats"]["get"]["responses"]["200"]["examples"]
    found = [reply for reply in report.replies if reply.path.endswith("/stats") and reply.status == 200]
    shapes = [shape(json.loads(reply.body)) for reply in found]
    for example in examples.values():
        assert shape(example) in shapes
