"""Bodies of any shape: a service refuses them, and never fails itself, strict or not."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_provider.sandbox.iotstudio.seed import FIRST_THING
from airflow_provider.sandbox.leanix.seed import configurations
from airflow_provider.sandbox.mapsindoors import seed
from airflow_provider.sandbox.server import Sandbox
from tests.support.hypothesis_sizes import examples

pytestmark = pytest.mark.slow  # the sandbox does not depend on versions

SCALARS = [None, True, 0, 1, -1, 1.0, 99, 10**12, 2.5, "", "1", " name@en", "2026-01-01T00:00:00Z", "number"]
KEYS = ["a", "name", "key", "type", "coordinates", "properties", "expr", "id", "version"]
Request = tuple[str, str, Any]


def junk(chance: random.Random, depth: int = 0) -> Any:
    """Return any JSON."""
    kind = chance.randrange(4 if depth < 3 else 2)
    if kind < 2:
        return chance.choice(SCALARS)
    inner = [junk(chance, depth + 1) for _ in range(chance.randrange(3))]
    return inner if kind == 2 else {chance.choice(KEYS): value for value in inner}


def mutated(chance: random.Random, value: Any) -> Any:
    """Return a valid body with some of its values replaced."""
    if chance.random() < 0.12:
        return junk(chance)
    if isinstance(value, dict):
        return {key: mutated(chance, item) for key, item in value.items()}
    return [mutated(chance, item) for item in value] if isinstance(value, list) else value


def mapsindoors(sandbox: Sandbox) -> Iterator[Request]:
    campus = sandbox.mapsindoors.campus
    hours = {"standardOpeningHours": {"monday": {"startTime": "08:00", "endTime": "09:00"}}}
    detail = {"key": "a", "detailType": "openinghours", "openingHours": hours, "displayText": {"en": "x"}}
    poi = {**campus.geodata[seed.TUTORIAL_POI], "additionalDetails": [detail]}
    for method in ("POST", "PUT"):
        item = poi if method == "PUT" else {key: value for key, value in poi.items() if key != "id"}
        yield method, "geodata", [item]
    yield "PUT", "displaytypes", list(campus.display_types.values())[:1]
    yield "PUT", "categories", list(campus.categories.values())[:1]
    yield "PUT", "routing/routeelements", list(campus.route_elements.values())[:1]
    yield "DELETE", "geodata", [seed.TUTORIAL_POI]


def iotstudio(sandbox: Sandbox) -> Iterator[Request]:
    thing = sandbox.iotstudio.space.things[FIRST_THING]
    described, here = json.loads(json.dumps(thing.describe("", categories=True))), f"things/{FIRST_THING}"
    patch = [{"op": "replace", "path": "/status/setpoint", "value": 20}]
    yield "POST", "things", described
    yield "PUT", here, described
    yield "PATCH", here, patch
    yield "PATCH", "things", [{"id": FIRST_THING, "patch": patch}]
    yield "PUT", f"{here}/properties", dict(thing.status)
    yield "POST", f"{here}/properties-history", [{"at": "2025-01-01", "properties": {"co2": 1}}]
    yield "POST", f"{here}/actions/updateFirmware", {"updateFirmware": {"input": "v"}}
    yield "POST", "categories", {"name": "c", "description": "x", "model": {"name": "m", "version": 1}}
    yield "POST", "models", {"name": "m", "description": "x"}
    yield "POST", "models/m/versions", {"title": "x", "template": described}
    then = {"op": "update", "resource": "properties", "data": {"setpoint": 20}}
    yield "POST", "query/cursor", {"query": "FOR t IN things RETURN t._key", "batchSize": 2, "then": then}


def leanix(sandbox: Sandbox) -> Iterator[Request]:
    stored = next(iter(configurations().values()))
    update = {"key": {"expr": "content.id"}, "values": [{"expr": "${lx.factsheet.id}"}], "mode": "list"}
    search = {"scope": {"ids": ["it-0001"], "facetFilters": [{"facetKey": "FactSheetTypes", "keys": ["X"]}]}}
    writer = {"processorType": "writeToLdif", "updates": [update], "identifier": {"search": search}, "run": 1}
    target = {"ldifKeys": [{"key": "connectorType", "value": "x"}], "dataConsumer": {"type": "leanixStorage"}}
    configuration = {**stored, "processors": [writer, *stored["processors"]], "targetLdif": target}
    header = {key: stored[key] for key in ("connectorType", "connectorId", "connectorVersion")}
    ldif = {**header, "processingDirection": "inbound", "lxVersion": "1.0.0", "customFields": {"a": "b"}}
    ldif["content"] = [{"type": "", "id": "", "data": {}}]
    yield "PUT", "configurations", configuration
    yield "POST", "synchronizationRuns", ldif
    yield (
        "POST",
        "fastSynchronizationRuns/withConfig",
        {"input": ldif, "processorConfiguration": configuration},
    )


def session_of(sandbox: Sandbox, service: str) -> tuple[requests.Session, str]:
    """Return a session that is logged in, and the URL below which the requests are."""
    connection = json.loads(sandbox.connections[f"{service}_default"])
    host, login, password = connection["host"], connection.get("login"), connection["password"]
    form: dict[str, Any] = {"grant_type": "client_credentials", "client_id": login, "client_secret": password}
    where = {
        "mapsindoors": ("/auth/connect/token", f"/{seed.API_KEY}/api/"),
        "iotstudio": ("/oauth2/token", "/spaces/my-iot-project/"),
        "leanix": ("/services/mtm/v1/oauth2/token", "/services/integration-api/v1/"),
    }[service]
    if service == "mapsindoors":
        form = {"grant_type": "password", "client_id": "client", "username": login, "password": password}
    if service == "iotstudio":
        form["scope"] = "thing category model query"
    auth = ("apitoken", password) if service == "leanix" else None
    session = requests.Session()
    token = session.post(host + where[0], data=form, auth=auth, timeout=5).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    return session, host + where[1]


@pytest.mark.parametrize(
    ("bodies", "strict"),
    # Where LeanIX does not check a configuration, it can fail its runs.
    [(mapsindoors, True), (mapsindoors, False), (iotstudio, True), (iotstudio, False), (leanix, True)],
)
def test_no_body_makes_a_service_fail(sandbox: Sandbox, bodies: Any, strict: bool) -> None:
    name = bodies.__name__
    sandbox.mapsindoors.rate_limit = None
    sandbox.services[name].strict = strict  # type: ignore[attr-defined]
    chance = random.Random(f"{name} {strict}")
    session, root = session_of(sandbox, name)
    statuses = set()
    for _ in range(examples(25)):
        for method, path, body in list(bodies(sandbox)):
            sent = mutated(chance, body)
            answer = session.request(method, root + path, json=sent, timeout=10)
            assert answer.status_code < 500, (method, path, json.dumps(sent))
            statuses.add(answer.status_code)
        sandbox.services[name].reset()
        sandbox.mapsindoors.rate_limit = None
        sandbox.services[name].strict = strict  # type: ignore[attr-defined]
        session.close()
        session, root = session_of(sandbox, name)
    session.close()
    assert {400} < statuses
