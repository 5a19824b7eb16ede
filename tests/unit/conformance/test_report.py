"""The report: shapes only, and a last pass that finds credentials in any encoding."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from airflow_provider.conformance.catalogue import SERVICES
from airflow_provider.conformance.reports import leaks
from airflow_provider.conformance.reports.shapes import body_shape, shape_of, shown_headers
from airflow_provider.conformance.session import Choice, Session
from airflow_provider.core.http.reply import Reply
from airflow_provider.sandbox.mapsindoors.seed import API_KEY, PASSWORD, USER
from tests.support.conformance import SharedClock, prepare, run_checks

pytestmark = pytest.mark.slow  # the sandbox does not depend on versions

SECRETS = [
    "pl4nt/room+7=warm&dry%21#ok?",
    "Nordhøj+kort & 100% é/?",
    'with "quotes" and \\ back',
    "plainsecret",
]
TOKEN = "eyJhbGciOiJSUzI1NiJ9." + base64.b64encode(b'{"sub": "me"}').decode() + ".0123456789abcdefghij"


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ({"id": "a secret", "name": 7}, {"id": "text", "name": "number"}),
        ({"id": None, "mine": True, "yours": {"id": 1.5}}, None),
        ([{"id": 1}, {"id": "x"}, {"id": 2}], {"items": 3, "of": [{"id": "number"}, {"id": "text"}]}),
        ([], {"items": 0, "of": []}),
    ],
)
def test_a_shape_has_types_and_counts(value: Any, shape: Any) -> None:
    found = shape_of(value, {"id", "name"})
    if shape is None:
        shape = {"id": "null", "<key 1>": "boolean", "<key 2>": {"id": "number"}}
    assert found == shape


def test_texts_are_shown_as_their_length_unless_they_are_known() -> None:
    assert body_shape(Reply(404, {}, b"Not Found"), ()) == "Not Found"
    assert body_shape(Reply(404, {}, b"no user ada@campus.example"), ()) == {"text": 26}
    assert body_shape(Reply(200, {}, b"<!doctype html><html>me</html>"), ()) == "a web page"
    assert body_shape(Reply(204, {}, b""), ()) == "empty"


def test_headers_are_shown_when_they_are_known_and_hold_numbers() -> None:
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Retry-After": "30",
        "X-RateLimit-Remaining": "ada@campus.example",
        "X-Request-Id": "abc",
        "Set-Cookie": "session=1",
    }
    assert shown_headers(Reply(200, headers, b"")) == {
        "content-type": "application/json; charset=utf-8",
        "retry-after": "30",
        "x-ratelimit-remaining": "text",
    }


@pytest.mark.parametrize(
    "kind",
    ["application/plantroomplusseven", "text/secretsecret; charset=abcdefghij", "application/json; x=secret"],
)
def test_a_type_of_content_that_could_hold_a_secret_is_not_shown(kind: str) -> None:
    assert shown_headers(Reply(200, {"Content-Type": kind}, b"")) == {}


ENCODINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "percent": lambda text: quote(text, safe=""),
    "percent twice": lambda text: quote(quote(text, safe=""), safe=""),
    "percent of all": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "plus": quote_plus,
    "html": html.escape,
    "json": lambda text: json.dumps(text)[1:-1],
    "json twice": lambda text: json.dumps(json.dumps(text)),
    "unicode escapes": lambda text: "".join(f"\\u{ord(char):04x}" for char in text),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of a login": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(b"x" + text.encode()).decode().rstrip("="),
    "base32": lambda text: base64.b32encode(text.encode()).decode(),
    "hex": lambda text: text.encode().hex().upper(),
    "reversed": lambda text: text[::-1],
    "upper case": str.upper,
    "python": repr,
}


@pytest.mark.parametrize("encoding", list(ENCODINGS))
@pytest.mark.parametrize("secret", [*SECRETS, TOKEN])
def test_a_report_with_a_secret_in_any_encoding_is_refused(encoding: str, secret: str) -> None:
    document = {"checks": [{"found": f"see {ENCODINGS[encoding](secret)} there"}]}
    for text in (json.dumps(document), json.dumps(document, ensure_ascii=False)):
        with pytest.raises(leaks.LeakError):
            leaks.check(text, [secret])


@pytest.mark.parametrize(
    "encoding", ["raw", "percent of all", "reversed", "base64", "base64 of a login", "json"]
)
def test_a_report_with_an_api_token_of_leanix_is_refused(encoding: str) -> None:
    text = json.dumps({"found": ENCODINGS[encoding]("LXT_0123456789abcdef")})
    with pytest.raises(leaks.LeakError):
        leaks.check(text, [])


def test_a_report_with_a_part_of_a_secret_is_refused() -> None:
    for text in (TOKEN[:40], TOKEN[-20:], json.dumps([TOKEN[:30], TOKEN[30:]])):
        with pytest.raises(leaks.LeakError):
            leaks.check(json.dumps({"found": text}), [TOKEN])
    with pytest.raises(leaks.LeakError):
        leaks.check(json.dumps(["plain", "secret"]), ["plainsecret"])


@pytest.mark.parametrize("name", list(SERVICES))
def test_the_report_of_a_run_holds_no_values(sandbox: Any, name: str) -> None:
    prepare(sandbox, name)
    report = run_checks(sandbox, name, burst=True)
    connection = json.loads(sandbox.connections[f"{name}_default"])
    text = report.text([connection["password"]])
    values = {
        API_KEY,
        PASSWORD,
        USER,
        "campus",
        "Climate",
        "nightly",
        "127.0.0.1",
        "http",
        "Fire",
        "conformance0",
    }
    values |= {connection["password"], connection.get("login") or connection["password"]}
    assert [value for value in values if value in text.replace("conformance000000000000", "")] == []
    document = json.loads(text)
    assert {"schema", "provider", "service", "level", "time", "host", "checks"} <= set(document)
    assert document["host"] == "other"
    assert all(check["requests"] for check in document["checks"] if check["verdict"] != "skipped")


def test_secrets_of_configurations_are_known_to_the_last_pass(sandbox: Any) -> None:
    prepare(sandbox, "leanix", "L6.secrets")
    with SharedClock(sandbox).running() as clock:
        session = Session("leanix_default", Choice(only=("L6",)), clock)
        report = session.run()
        session.close()
    (secret,) = [text for text in session.opened.secrets if "AccountKey" in text]
    assert report.text(session.opened.secrets)
    with pytest.raises(leaks.LeakError):
        leaks.check(json.dumps({"found": secret}), session.opened.secrets)


def test_a_planted_secret_stops_the_report(sandbox: Any) -> None:
    sandbox.iotstudio.spaces  # noqa: B018 - the sandbox runs
    report = run_checks(sandbox, "iotstudio", only=("I3.space",))
    with pytest.raises(leaks.LeakError):
        report.text(["found 404"])
    assert report.text(["another secret"])
