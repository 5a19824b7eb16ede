"""What may leave at each level, decided in one place and seen by a listener."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider.conformance.guard import Guard, RefusedRequestError
from airflow_provider.core.http.endpoint import Request
from tests.support.conformance import SharedClock, run_checks
from tests.support.recording_host import RecordingHost

pytestmark = pytest.mark.slow  # the sandbox does not depend on versions

HOST = "https://example.com"
TOKEN_URL = f"{HOST}/connect/token"


def may_leave(guard: Guard, method: str, path: str, body: Any = None, **headers: str) -> bool:
    content = None if body is None else json.dumps(body).encode()
    try:
        guard.check(Request(method, f"{HOST}/{path}", headers, content))
    except RefusedRequestError:
        return False
    return True


@pytest.mark.parametrize("service", ["mapsindoors", "amigocloud", "iotstudio", "leanix"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        "key/api/geodata",
        "projects/1/datasets/7",
        "spaces/s/things/t/properties",
        "connect/token/x",
        "token",
        "x",
    ],
)
def test_the_level_read_sends_nothing_that_writes(service: str, method: str, path: str) -> None:
    guard = Guard(service, "read", TOKEN_URL)
    assert not may_leave(guard, method, path, {"query": "DELETE FROM dataset_1"})


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_the_level_read_sends_reads_and_token_requests(method: str) -> None:
    guard = Guard("mapsindoors", "read", TOKEN_URL)
    assert may_leave(guard, method, "key/api/geodata", Authorization="Bearer x")
    assert may_leave(guard, "POST", "connect/token")


SELECT = "SELECT 1 AS one"


@pytest.mark.parametrize(
    ("method", "path", "body", "allowed"),
    [
        ("POST", "p/sql", {"query": SELECT}, True),
        ("POST", "p/sql", {"query": "DELETE FROM dataset_1"}, False),
        ("POST", "p/sql", {"query": "SELECT 1; DELETE FROM dataset_1"}, False),
        ("POST", "p/sql", {"query": "WITH x AS (DELETE FROM dataset_1 RETURNING *) SELECT * FROM x"}, False),
        ("POST", "p/sql", {}, False),
        ("POST", f"p/sql?query={SELECT}", {"query": "DROP TABLE dataset_1"}, False),
        ("GET", "p/sql?query=DELETE%20FROM%20dataset_1", None, False),
        ("GET", f"p/sql?query={SELECT}", None, True),
        ("PUT", "p/sql", {"query": "UPDATE dataset_1 SET a = 1"}, False),
    ],
)
def test_sql_is_sent_when_it_reads_only(method: str, path: str, body: Any, allowed: bool) -> None:
    assert may_leave(Guard("amigocloud", "read"), method, path, body) is allowed


@pytest.mark.parametrize(
    ("body", "allowed"),
    [
        ({"query": "FOR t IN things LIMIT 1 RETURN t._key"}, True),
        ({"query": "FOR t IN things REMOVE t IN things"}, False),
        ({"query": "FOR t IN things LIMIT 1 RETURN t._key", "then": {"op": "delete"}}, False),
    ],
)
def test_a_query_of_keys_is_the_only_one_that_is_sent(body: Any, allowed: bool) -> None:
    assert may_leave(Guard("iotstudio", "read"), "POST", "spaces/s/query/cursor", body) is allowed


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "x", {"Authorization": "Bearer x"}),
        ("GET", "x", {"authorization": "Basic x"}),
        ("GET", "x?token=abc", {}),
        ("OPTIONS", "x", {}),
        ("POST", "connect/token", {}),
    ],
)
def test_the_level_public_sends_no_credential(method: str, path: str, headers: Any) -> None:
    guard = Guard("mapsindoors", "public", TOKEN_URL)
    assert not may_leave(guard, method, path, **headers)
    assert may_leave(guard, "GET", "x")


RUN = "conformance-0123456789ab"
OWN = {"own-id", "55", "gallery 7"}
PHOTO = {"filename": "conformance-0123456789ab-photo.jpg"}


def change(dataset: int, kind: str = "DML") -> dict[str, str]:
    return {"change": json.dumps({"type": kind, "entity": f"dataset_{dataset}", "action": "TRUNCATE"})}


@pytest.mark.parametrize(
    ("service", "method", "path", "body", "allowed"),
    [
        ("mapsindoors", "POST", "k/api/geodata", [{"externalId": "conformance-0123456789ab-poi"}], True),
        ("mapsindoors", "POST", "k/api/geodata", [{"externalId": "other"}], False),
        ("mapsindoors", "PUT", "k/api/geodata", [{"id": "own-id"}], True),
        ("mapsindoors", "PUT", "k/api/geodata", [{"id": "own-id"}, {"id": "user-id"}], False),
        ("mapsindoors", "DELETE", "k/api/geodata", ["own-id"], True),
        ("mapsindoors", "DELETE", "k/api/geodata", ["own-id", "user-id"], False),
        ("mapsindoors", "DELETE", "k/api/geodata", [], False),
        ("mapsindoors", "DELETE", "k/api/categories", ["own-id"], False),
        ("amigocloud", "DELETE", "p/datasets/55", None, True),
        ("amigocloud", "DELETE", "p/datasets/56", None, False),
        ("amigocloud", "POST", "p/datasets/56/export", {}, False),
        ("amigocloud", "DELETE", "p/datasets/7", None, False),
        ("amigocloud", "POST", "p/datasets/55/submit_change", change(55), True),
        ("amigocloud", "POST", "p/datasets/55/submit_change", change(56), False),
        ("amigocloud", "POST", "p/datasets/56/submit_change", change(56), False),
        ("amigocloud", "POST", "p/datasets/55/submit_change", change(55, "DDL"), False),
        ("amigocloud", "POST", "p/datasets/55/submit_change", {}, False),
        ("amigocloud", "POST", "p/submit_changeset", {"changeset": "[]"}, False),
        ("amigocloud", "POST", "p/datasets/55/related_tables", {"name": f"{RUN}-gallery"}, True),
        ("amigocloud", "POST", "p/datasets/55/related_tables", {"name": "mine"}, False),
        ("amigocloud", "POST", "p/datasets/7/related_tables", {"name": f"{RUN}-gallery"}, False),
        ("amigocloud", "POST", "p/related_tables/7/upload", PHOTO, True),
        ("amigocloud", "POST", "p/related_tables/7/upload", {"filename": "mine.jpg"}, False),
        ("amigocloud", "POST", "p/related_tables/55/upload", PHOTO, False),
        ("amigocloud", "POST", "p/datasets/upload", PHOTO, False),
        ("amigocloud", "POST", "p/datasets/55/revert/0", None, False),
        ("amigocloud", "POST", "p/sql", {"query": "DELETE FROM dataset_55"}, True),
        ("amigocloud", "POST", "p/sql", {"query": "DELETE FROM dataset_56"}, False),
        ("amigocloud", "POST", "p/sql", {"query": "DELETE FROM dataset_55 USING dataset_56"}, False),
        ("iotstudio", "POST", "spaces/s/things", {"title": "conformance-0123456789ab-poi"}, True),
        ("iotstudio", "POST", "spaces/s/things", {"title": "mine"}, False),
        ("iotstudio", "PATCH", "spaces/s/things", [{"id": "own-id", "patch": []}], True),
        ("iotstudio", "PATCH", "spaces/s/things", [{"id": "own-id"}, {"id": "user-id"}], False),
        ("iotstudio", "PATCH", "spaces/s/things", {}, False),
        ("iotstudio", "DELETE", "spaces/s/things/own-id", None, True),
        ("iotstudio", "DELETE", "spaces/s/things/user-id", None, False),
        ("iotstudio", "DELETE", "spaces/s/things?category[]=Sensors", None, False),
        ("iotstudio", "DELETE", "spaces/s/things", None, False),
        ("leanix", "DELETE", "a/configurations?connectorId=own-id", None, True),
        ("leanix", "DELETE", "a/configurations?connectorId=campus", None, False),
        ("leanix", "DELETE", "a/configurations?connectorId=own-id&connectorId=campus", None, False),
        ("leanix", "PUT", "a/configurations", {"connectorId": "campus"}, False),
        ("leanix", "POST", "a/synchronizationRuns", {"connectorId": "campus"}, False),
        ("leanix", "POST", "a/synchronizationRuns/own-id/start", None, True),
        ("leanix", "POST", "a/synchronizationRuns/user-id/stop", None, False),
    ],
)
def test_the_level_scratch_touches_what_the_run_has_made(
    service: str, method: str, path: str, body: Any, allowed: bool
) -> None:
    guard = Guard(service, "scratch", own=OWN, run=RUN)
    assert may_leave(guard, method, path, body) is allowed


SECRETS = ["pl4nt/room+7=warm&dry%21#ok?", "c4mpus7f3e9b4d1a8f60b52e", "LXT_secret/with+signs=="]


@pytest.mark.parametrize("service", ["mapsindoors", "amigocloud", "iotstudio", "leanix"])
def test_a_listener_sees_no_credential_at_the_level_public(
    service: str, monkeypatch: pytest.MonkeyPatch, sandbox: Any
) -> None:
    host = RecordingHost()
    url = f"http://{host.address}"
    extra = {"api_key": SECRETS[1], "auth_url": url, "access_token": SECRETS[2], "space": "s"}
    known = {"mapsindoors": ["api_key", "auth_url"], "leanix": ["auth_url"]}
    known |= {"iotstudio": ["access_token", "space"], "amigocloud": []}
    connection = {
        "conn_type": service,
        "host": url,
        "login": "user-of-the-campus",
        "password": SECRETS[0],
        "extra": {name: extra[name] for name in known[service]},
    }
    monkeypatch.setenv(f"AIRFLOW_CONN_{service.upper()}_DEFAULT", json.dumps(connection))
    run_checks(sandbox, service, level="public")
    host.close()
    seen = host.seen.decode()
    assert "GET " in seen
    assert "uthorization" not in seen
    assert not any(text in seen for text in [*SECRETS, "user-of-the-campus", "POST", "token="])


def test_requests_are_half_a_second_apart(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = SharedClock(sandbox)
    from airflow_provider.conformance.meter import Meter

    meter = Meter(shared.clock)
    started = shared.now
    for _ in range(21):
        meter.take()
    assert shared.now - started == pytest.approx(10.0)
