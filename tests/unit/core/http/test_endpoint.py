"""An endpoint turns calls into requests on the connection's own host, and describes them without secrets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider import errors
from airflow_provider.core import redaction
from airflow_provider.core.http.call import Call
from airflow_provider.core.http.endpoint import Endpoint
from airflow_provider.core.http.reply import NoResponse, Reply
from airflow_provider.core.http.retry import Outcome, OutcomeKind
from tests.unit.core.conftest import SECRET


@pytest.fixture
def endpoint(connect: Callable[..., Any]) -> Endpoint:
    found: Endpoint = connect({"allowed_hosts": "files.example,other.example:8443"}).transport.endpoint
    return found


def test_a_request_has_the_headers_of_its_body_and_its_call(endpoint: Endpoint) -> None:
    plain = endpoint.prepare(Call("GET", "a", authenticated=False), "")
    assert set(plain.headers) == {"Accept", "Accept-Encoding", "User-Agent"}
    assert plain.headers["Accept"] == "application/json"
    assert (plain.method, plain.url, plain.body) == ("GET", f"{endpoint.bases['api']}/a", None)
    sent = endpoint.prepare(Call("POST", "/a?b=1", {"c": "d e"}, json=[1], headers={"Accept": "x"}), "tok")
    assert sent.headers["Content-Type"] == "application/json"
    assert (sent.headers["Accept"], sent.headers["Authorization"]) == ("x", "Bearer tok")
    assert (sent.url, sent.body) == (f"{endpoint.bases['api']}/a?b=1&c=d+e", b"[1]")
    empty = endpoint.prepare(Call("GET", "/a?b=&c=1", {"d": ""}), "")
    assert empty.url == f"{endpoint.bases['api']}/a?b=&c=1&d="
    named = endpoint.prepare(Call("GET", "//XX/a", authenticated=False), "")
    assert named.url == f"{endpoint.bases['api']}/XX/a"
    assert endpoint.redactor.redact("a tok") == "a tok"
    endpoint.prepare(Call("GET", "a"), "token-1")
    assert endpoint.redactor.redact("a token-1") == "a ***"


def test_a_call_is_described_in_one_line_without_query_and_secrets(endpoint: Endpoint) -> None:
    base = endpoint.bases["api"]
    assert endpoint.describe(Call("GET", "a/b?c=1", name="read")) == f"GET {base}/a/b (read)"
    assert endpoint.describe(Call("GET", "")) == f"GET {base}"
    assert endpoint.describe(Call("GET", "a?url=https://x")) == f"GET {base}/a"
    assert endpoint.describe(Call("GET", "https://x.example/a?b#c")) == "GET https://x.example/a"
    assert SECRET not in endpoint.describe(Call("GET", f"https://x.example/{SECRET}"))
    request = endpoint.prepare(Call("PUT", "a?b=1", authenticated=False), "")
    assert endpoint.describe_request(request) == f"PUT {base}/a"


def test_an_absolute_url_is_used_on_the_own_origin_only(endpoint: Endpoint) -> None:
    base = endpoint.bases["api"]
    assert (
        endpoint.prepare(Call("GET", f"{base}/next?a=1", authenticated=False), "").url == f"{base}/next?a=1"
    )
    within = Call[Any]("GET", "list?next=https://x.example/a?b=1", authenticated=False)
    assert endpoint.prepare(within, "").url.startswith(f"{base}/list?next=")
    for other in ("https://x.example/a?token=1", "http://[x/a?token=1"):
        with pytest.raises(
            errors.InputError, match="credentials of connection 'echo_default' go to its own"
        ) as caught:
            endpoint.prepare(Call("GET", other), "")
        assert "token" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://files.example/a?sig=0123456789abcdef", None),
        ("https://other.example:8443/a", None),
        ("http://127.0.0.1:9/a", None),
        ("http://files.example/a", "the link is not https"),
        ("https://other.example/a", "which connection 'echo_default' does not allow"),
        ("https://FILES.example.evil/a", "which connection 'echo_default' does not allow"),
        ("https://user@files.example/a", "the link is not a plain https URL"),
    ],
)
def test_a_download_is_from_an_allowed_host_over_https(
    endpoint: Endpoint, url: str, problem: str | None
) -> None:
    if problem is None:
        endpoint.check_download(url)
        assert "0123456789abcdef" not in endpoint.redactor.redact(url)
        return
    with pytest.raises(errors.InputError, match=problem):
        endpoint.check_download(url)


def test_a_link_to_this_machine_is_taken_from_a_service_with_any_address_there(endpoint: Endpoint) -> None:
    local = endpoint.bases["api"]
    for bases, taken in (
        ({"api": "https://x.example", "files": local}, True),
        ({"api": "https://x.example"}, False),
    ):
        endpoint.bases = bases
        if taken:
            endpoint.check_download("http://127.0.0.2:9/a")
        else:
            with pytest.raises(errors.InputError, match="does not allow"):
                endpoint.check_download("http://127.0.0.2:9/a")


def test_all_users_of_a_budget_pause_after_a_refusal_for_its_rate(endpoint: Endpoint) -> None:
    limited = OutcomeKind.RATE_LIMITED
    assert endpoint.pause_after(Outcome(limited, retry_after=7.0)) == 7.0
    assert endpoint.pause_after(Outcome(limited)) == 2 * endpoint.retry_limits.base
    assert endpoint.pause_after(Outcome(OutcomeKind.TRANSIENT, retry_after=7.0)) == 0.0


def test_no_error_quotes_a_secret_of_the_reply(endpoint: Endpoint) -> None:
    import json

    for body in (
        json.dumps({"detail": f"bad {SECRET}", "error_code": SECRET}).encode(),
        f"<{SECRET}".encode(),
    ):
        outcome = endpoint.classify(Call("GET", "a"), Reply(400, {}, body))
        assert isinstance(outcome.error, errors.ApiError)
        assert (
            SECRET not in f"{outcome.error} {outcome.error.code} {vars(outcome.error)} {outcome.error.args}"
        )
        assert "***" in str(outcome.error)
    outcome = endpoint.classify(Call("GET", "a"), NoResponse(True, f"broke {SECRET}"))
    assert str(outcome.error).endswith("got no response: broke ***")


def test_no_part_of_an_error_that_a_reader_raises_holds_a_secret(endpoint: Endpoint) -> None:
    def read(reply: Reply) -> None:
        raise errors.RequestRejectedError(200, SECRET, f"bad {SECRET}", body={"token": [SECRET]})

    error = endpoint.classify(Call("GET", "a", read=read), Reply(200, {}, b"{}")).error
    assert isinstance(error, errors.RequestRejectedError)
    assert (error.code, error.message, error.body) == ("***", "bad ***", {"token": ["***"]})
    assert SECRET not in f"{error} {vars(error)} {error.args}"


@pytest.mark.parametrize("body", [b"", b"words", b'"a text"', b'["a text"]', b"7"])
def test_nothing_is_quoted_of_a_refused_token_request_but_an_object_or_a_page(
    endpoint: Endpoint, body: bytes
) -> None:
    assert endpoint._read_token_error(Reply(400, {}, body)) == ("", "")
    assert "denied" in endpoint._read_token_error(Reply(400, {}, b'{"error": "denied"}'))


@pytest.mark.parametrize(
    ("title", "quoted"),
    [
        ("502 Bad Gateway", ": 502 Bad Gateway"),
        ("Access Denied (ERR_ACCESS_DENIED)", ": Access Denied (ERR_ACCESS_DENIED)"),
        ('n": "tok/1", "expires_in": 3600', ""),
        ("tok/fuzz+&%=0x", ""),
        ("Denied eyJhbGciOiJIUzI1NiIsInR5cCI", ""),
    ],
)
def test_the_title_of_a_page_that_refuses_a_token_is_quoted_if_it_is_plain_words(
    endpoint: Endpoint, title: str, quoted: str
) -> None:
    body = f"<html><title>{title}</title></html>".encode()
    assert endpoint._read_token_error(Reply(403, {}, body)) == ("", f"an HTML page{quoted}")


def test_a_token_is_renewed_for_an_error_of_the_service_only(endpoint: Endpoint) -> None:
    refused = Outcome(OutcomeKind.TOKEN_EXPIRED, error=errors.AuthenticationError(401))
    lost = Outcome(OutcomeKind.TRANSIENT, error=errors.TransportError("x"))
    call: Call[Any] = Call("GET", "a")
    assert endpoint.can_renew_token(call, refused, "tok")
    assert not endpoint.can_renew_token(call, lost, "tok")
    assert not endpoint.can_renew_token(Call("GET", "a", authenticated=False), refused, "tok")


def test_values_of_a_link_from_sixteen_characters_on_are_redacted_everywhere(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redaction, "_redactor", redaction.Redactor())
    endpoint.check_download("https://files.example/a?short=fifteen-chars-1&long=sixteen-chars-12")
    for redact in (endpoint.redactor.redact, redaction.redact):
        assert redact("fifteen-chars-1 sixteen-chars-12") == "fifteen-chars-1 ***"


def test_a_long_request_is_cut(endpoint: Endpoint) -> None:
    base = endpoint.bases["api"]
    shown = f"GET {base}/{'x' * 400}"[:299] + "…"
    assert endpoint.describe(Call("GET", "x" * 400)) == shown
    request = endpoint.prepare(Call("GET", "x" * 400, authenticated=False), "")
    assert endpoint.describe_request(request) == shown


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (
            "http://files.example/a?sig=1",
            "the download from http://files.example/a is refused: the link is not https",
        ),
        (
            "https://user@files.example/a?sig=1",
            "the download from https://files.example/a is refused: the link is not a plain https URL",
        ),
        (
            "https://far.example/a?sig=1",
            "the download from https://far.example/a is on a host which connection 'echo_default' does not"
            " allow; add the host to the extra 'allowed_hosts' if you trust it",
        ),
    ],
)
def test_a_refused_download_is_named_without_its_signature(
    endpoint: Endpoint, url: str, problem: str
) -> None:
    with pytest.raises(errors.InputError) as caught:
        endpoint.check_download(url)
    assert str(caught.value) == problem


def test_the_port_of_an_allowed_host_may_be_named_in_any_case(endpoint: Endpoint) -> None:
    endpoint.check_download("https://OTHER.example:8443/a")
    endpoint.check_download("https://FILES.example:9/a")
