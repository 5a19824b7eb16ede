"""Conformance of the sandbox's IoT Studio to the vendor's OpenAPI description of AnythingDB."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_provider.sandbox.iotstudio import IoTStudioService
from tests.contract import api_specs
from tests.contract.conformance import ConformanceReport
from tests.contract.recording_sandbox import RecordingSandbox

THING = "01GQ2E9M2Y45BX9EW0F2BM032Q"
UNKNOWN = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
AT = {"at": "2025-01-01T00:00:00Z", "properties": {"co2": 1}}
PATCH = [{"op": "replace", "path": "/title", "value": "Patched"}]
Call = tuple[str, str, Any]

CATALOGUE: list[Call] = [
    ("GET", "/categories", None),
    ("GET", "/categories?limit=1", None),
    ("POST", "/categories", {"name": "Pumps", "description": "All pumps"}),
    ("POST", "/categories", {"name": "Pumps"}),
    ("GET", "/categories/Pumps", None),
    ("PUT", "/categories/Pumps", {"name": "Pumps", "description": "changed"}),
    ("PUT", "/categories/Pumps", {"name": "Sensors"}),
    ("DELETE", "/categories/Pumps", None),
    ("POST", "/models", {"name": "pump", "description": "Pump"}),
    ("POST", "/models", {"name": "pump"}),
    ("GET", "/models", None),
    ("GET", "/models/pump", None),
    ("PUT", "/models/pump", {"name": "pump", "description": "changed"}),
    ("POST", "/models/pump/versions", {"title": "one", "template": {"title": "Pump"}}),
    ("GET", "/models/pump/versions", None),
    ("GET", "/models/pump/versions/1", None),
    ("POST", "/things", {"title": "P", "model": {"name": "pump", "version": 1}}),
    ("DELETE", "/models/pump", None),
    ("POST", "/models", {"name": "unused"}),
    ("DELETE", "/models/unused", None),
    ("POST", "/query/cursor", {"query": "FOR t IN things RETURN t._key", "count": True, "batchSize": 9}),
    ("POST", "/query/cursor/3298550000000", {}),
    ("POST", "/query/cursor", {"query": "FOR t IN nowhere RETURN t"}),
    ("POST", "/query/cursor", {"query": "FROM t"}),
    ("POST", "/categories/Sensors/mqtt-credentials", {"description": "for the gateway"}),
    ("GET", "/categories/Sensors/mqtt-credentials", None),
    ("PUT", "/categories/Sensors/mqtt-credentials", {"description": "changed"}),
    ("DELETE", "/categories/Sensors/mqtt-credentials", None),
]
"""Calls outside of Things; the calls below also exist in each category."""

THINGS: list[Call] = [
    ("GET", "/things", None),
    ("GET", "/things?limit=3&property:temperature=gt:20&sort=-created", None),
    ("GET", "/things?limit=nothing", None),
    ("POST", "/things", {"title": "Pump"}),
    ("PATCH", "/things", [{"id": THING, "patch": PATCH}, {"id": UNKNOWN, "patch": PATCH}]),
    ("DELETE", "/things?thingID[]=" + UNKNOWN, None),
    ("DELETE", "/things", None),
]
ONE_THING: list[Call] = [
    ("GET", "", None),
    ("PATCH", "", PATCH),
    ("PATCH", "", [{"op": "no"}]),
    ("POST", "/reset-secret", None),
    ("GET", "", None),
    ("GET", "/properties", None),
    ("PUT", "/properties", {"setpoint": 20.5, "mode": "eco"}),
    ("PUT", "/properties", {"setpoint": "warm"}),
    ("PUT", "/properties", {"nothing": 1}),
    ("GET", "/properties/temperature", None),
    ("PUT", "/properties/temperature", {"temperature": 17.3}),
    ("PUT", "/properties/temperature", {"temperature": 1700}),
    ("POST", "/properties-history", AT),
    ("POST", "/properties-history", AT),
    ("GET", "/properties-history?limit=5", None),
    ("GET", "/properties-history?start=yesterday", None),
    ("POST", "/properties-history/co2", {"at": "2025-01-02T00:00:00Z", "properties": {"co2": 2}}),
    ("GET", "/properties-history/co2", None),
    ("DELETE", "/properties-history/co2?at=2025-01-01|2025-02-01", None),
    ("DELETE", "/properties-history?at=2025-01-01|2025-02-01", None),
    ("POST", "/actions/updateFirmware", {"updateFirmware": {"input": "v2"}}),
    ("GET", "/actions", None),
    ("GET", "/actions/updateFirmware", None),
    ("GET", "/actions/updateFirmware/{action}", None),
    ("PUT", "/actions/updateFirmware/{action}", {"updateFirmware": {"status": "completed"}}),
    ("DELETE", "/actions/updateFirmware/{action}", None),
    ("POST", "/events/highTemperature", {"highTemperature": {"data": 61.5}}),
    ("GET", "/events", None),
    ("GET", "/events/highTemperature", None),
    ("GET", "/events/highTemperature/{event}", None),
    ("DELETE", "/events/highTemperature/{event}", None),
    ("POST", "/mqtt-credentials", {"description": "for the gateway"}),
    ("GET", "/mqtt-credentials", None),
    ("PUT", "/mqtt-credentials", {"description": "changed"}),
    ("DELETE", "/mqtt-credentials", None),
    ("PUT", "", {"title": "Replaced"}),
    ("DELETE", "", None),
]
UNDOCUMENTED = {
    "POST /oauth2/*: operation": "OAuth 2; described in the docs",
    "GET /.well-known/*: operation": "of the token service, as such services have it",
    "PATCH /spaces/*/things*: operation": "in the docs and in the vendor's client, for one Thing and in bulk",
    "* /spaces/{space}/*/mqtt-credentials 404: status": "the file has 404 for DELETE only",
    "POST */things/{thing-id}/mqtt-credentials 201: $.topics": "the file describes it for GET and PUT",
    "* /spaces/{space}/models/{model-name}/versions 404: status": "everything else below a model has 404",
}
"""Parts of the sandbox's replies that the file lacks, and the reason for each."""


class Driver:
    """Client that calls every operation of the sandbox, with every kind of reply."""

    def __init__(self, sandbox: RecordingSandbox) -> None:
        self.sandbox = sandbox
        self.connection = sandbox.iotstudio.connection()
        self.space = f"{self.connection['host']}/spaces/{self.connection['extra']['space']}"
        self.session = requests.Session()
        self.log_in("thing category model query")

    def log_in(self, scope: str, **changed: str) -> Any:
        keys = {"client_id": self.connection["login"], "client_secret": self.connection["password"]}
        form = {**keys, "grant_type": "client_credentials", "scope": scope, **changed}
        reply = requests.post(f"{self.connection['host']}/oauth2/token", data=form, timeout=10).json()
        self.session.headers["Authorization"] = f"Bearer {reply.get('access_token')}"
        return reply

    def __call__(self, method: str, path: str, body: Any = None) -> requests.Response:
        data = body if isinstance(body, str) else None if body is None else json.dumps(body)
        return self.session.request(method, self.space + path, data=data, timeout=10)

    def everything(self) -> None:
        for call in CATALOGUE:
            self(*call)
        for prefix in ("", "/categories/Sensors"):
            for method, path, body in THINGS:
                self(method, prefix + path, body)
            self.one_thing(prefix)
        self.refusals()
        requests.get(f"{self.connection['host']}/.well-known/openid-configuration", timeout=10)
        self.log_in("thing")
        keys = {"client_id": self.connection["login"], "client_secret": self.connection["password"]}
        token = self.session.headers["Authorization"].removeprefix("Bearer ")
        requests.post(f"{self.connection['host']}/oauth2/revoke", data={**keys, "token": token}, timeout=10)

    def one_thing(self, prefix: str) -> None:
        """Call all operations of a Thing, and delete it."""
        known = self("GET", f"/things/{THING}").json()
        copy = {key: known[key] for key in ("title", "properties", "actions", "events", "status")}
        made = {**copy, **({} if prefix else {"categories": ["Sensors"]})}
        here = f"{prefix}/things/" + self("POST", f"{prefix}/things", made).json()["uid"]
        ids: dict[str, str] = {}
        for method, path, body in ONE_THING:
            reply = self(method, here + path.format(**ids), body)
            for kind in ("action", "event"):
                if method == "POST" and path.startswith(f"/{kind}s/"):
                    ids[kind] = next(iter(reply.json().values()))["href"].rsplit("/", 1)[1]

    def refusals(self) -> None:
        """Send requests that each route refuses: bad bodies, unknown ids, no permission, no token."""
        self.everywhere("{", THING)
        self.everywhere("{}", UNKNOWN, category="Nowhere", model="nothing")
        self.everywhere("{}", UNKNOWN)
        self.log_in("space")
        self.everywhere("{}", THING)
        self.log_in("thing", client_secret="wrong")
        self.everywhere("{}", THING)

    def everywhere(self, body: str, thing: str, category: str = "Sensors", model: str = "pump") -> None:
        names = {"thing": thing, "category": category, "model": model, "space": "", "version": "9"}
        names |= {"property": "temperature", "name": "updateFirmware", "entry": UNKNOWN, "cursor": "1"}
        for route in self.sandbox.iotstudio.routes():
            path = str(getattr(route, "path", ""))
            if path.startswith("/spaces/{space}"):
                path = path.removeprefix("/spaces/{space}").format(**names)
                for method in getattr(route, "methods", set()) - {"HEAD", "DELETE"}:
                    self(method, path, None if method == "GET" else body)
                if "DELETE" in getattr(route, "methods", set()) and (thing == UNKNOWN or body == "{}"):
                    self("DELETE", path)


def spec() -> api_specs.ApiSpec:
    document = api_specs.load("altair-iot-studio-anythingdb.openapi.yaml")
    # A Thing without a model has null there (seen in clients), which the file's schema does not allow.
    document["components"]["schemas"]["ModelDescription"]["nullable"] = True
    # The file is older than the release that replies to writes of properties with 200 instead of 201.
    for path, operations in document["paths"].items():
        if path.endswith(("/properties", "/properties/{property}")):
            responses = operations["put"]["responses"]
            responses[200] = responses.pop(201)
    # All examples of actions and events have times with a space, which the schemas do not allow.
    for name, schema in document["components"]["schemas"].items():
        if name.startswith(("Action", "Event")):
            allow_spaces_in_times(schema)
    return api_specs.ApiSpec(document)


def allow_spaces_in_times(node: Any) -> None:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in {"timeRequested", "timeCompleted", "timestamp"} and isinstance(value, dict):
                value.pop("format", None)
            allow_spaces_in_times(value)
    elif isinstance(node, list):
        for value in node:
            allow_spaces_in_times(value)


@pytest.fixture(scope="module")
def report() -> Iterator[ConformanceReport]:
    description = spec()
    with RecordingSandbox(IoTStudioService) as sandbox:
        Driver(sandbox).everything()
        yield ConformanceReport(description, sandbox.replies(), sandbox.unused_routes())


def test_every_route_is_used(report: ConformanceReport) -> None:
    assert report.unused_routes == []
    assert report.unused_operations() == []


def test_every_reply_validates(report: ConformanceReport) -> None:
    assert report.violations() == []


def test_what_the_description_lacks_is_listed(report: ConformanceReport) -> None:
    assert report.undocumented(UNDOCUMENTED) == ([], [])
