"""Both transports: ``send`` runs each test once for each of them."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from socket import gaierror
from types import SimpleNamespace
from typing import Any, cast

import pytest
import requests
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NameResolutionError, NewConnectionError

from airflow_provider import __version__, errors
from airflow_provider.core.hook import ApiHook
from airflow_provider.core.http import reply
from airflow_provider.core.http.call import Call, segment
from airflow_provider.core.http.rate_limit import Budget
from airflow_provider.core.http.retry import RetryLimits
from airflow_provider.core.http.session import Session
from airflow_provider.core.http.sync_transport import _no_response, _read_body, _root
from airflow_provider.core.limits.plan import Rate
from airflow_provider.core.limits.semaphore import Permit
from airflow_provider.core.state.pauses import TaskPauses
from airflow_provider.errors import InputError
from tests.unit.core.conftest import SECRET, EchoHook

READ = Call[Any]("GET", "open/thing")
WRITE = Call[Any]("POST", "open/thing", json={"n": 61.5}, repeatable=False)

Send = Callable[[ApiHook, Call[Any]], Any]


@pytest.fixture(params=["sync", "async"])
def send(request: pytest.FixtureRequest) -> Send:
    if request.param == "sync":
        return lambda hook, call: hook.send(call)
    return lambda hook, call: asyncio.run(hook.asend(call))


def test_the_same_call_gives_the_same_result_on_both_transports(echo, connect) -> None:
    call = Call[Any](
        "PUT", f"open/{segment('a/b?c#d%e é')}", {"property:t": "gt:20", "ids": [1, 2]}, json={"n": 61.5}
    )
    sync = connect().send(call)
    assert asyncio.run(connect().asend(call)) == sync
    assert sync["body"] == '{"n":61.5}'
    assert sync["query"] == "property%3At=gt%3A20&ids=1&ids=2"
    assert echo.echo.seen[-1]["path"].endswith("/echo/open/a%2Fb%3Fc%23d%25e%20%C3%A9")


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 500},
        {"kind": "html", "status": 502},
        {"kind": "status", "status": 429, "headers": {"Retry-After": "0"}},
        {"kind": "status", "status": 429},
        {"kind": "reset_before"},
        {"kind": "reset_after"},
        {"kind": "truncate"},
    ],
    ids=lambda fault: f"{fault['kind']}{fault.get('status', '')}",
)
def test_a_read_succeeds_after_a_transient_fault(fault: dict[str, Any], send: Send, echo, connect) -> None:
    hit = echo.faults.add(path="open/thing", times=2, **fault)
    assert send(connect(), READ)["path"].endswith("/open/thing")
    assert hit.hits == 2


@pytest.mark.parametrize("kind", ["reset_after", "truncate"])
def test_a_write_without_response_is_never_retried(kind: str, send: Send, echo, connect) -> None:
    echo.faults.add(kind, path="open/thing")
    with pytest.raises(errors.AmbiguousWriteError, match="POST .*/open/thing was sent"):
        send(connect(), WRITE)
    assert echo.echo.written == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_write_that_was_refused_before_acting_is_retried(status: int, send: Send, echo, connect) -> None:
    echo.faults.add("status", path="open/thing", status=status, times=2)
    send(connect(), WRITE)
    assert echo.echo.written == 1


def test_attempts_end_with_the_error_and_their_number(send: Send, echo, connect) -> None:
    hit = echo.faults.add("html", path="open/thing", status=503, times=None)
    with pytest.raises(
        errors.ServerError, match="GET .*/open/thing answered 503: an HTML page: 503"
    ) as caught:
        send(connect(), READ)
    assert hit.hits == 6
    assert "failed in 6 attempts" in caught.value.__notes__[0]


def test_a_delay_beyond_the_cap_becomes_an_error_with_the_delay(send: Send, echo, connect) -> None:
    hit = echo.faults.add("status", path="open", status=429, headers={"Retry-After": "3600"}, times=None)
    with pytest.raises(errors.RateLimitedError) as caught:
        send(connect(), READ)
    assert caught.value.retry_after == 3600
    assert hit.hits == 1


def test_a_403_ends_at_once(send: Send, echo, connect) -> None:
    hit = echo.faults.add("status", path="open", status=403, body={"detail": "readers only"}, times=None)
    with pytest.raises(errors.PermissionDeniedError, match="readers only"):
        send(connect(), READ)
    assert hit.hits == 1


def test_a_reply_that_stalls_ends_with_the_timeout(send: Send, echo, connect) -> None:
    echo.faults.add("delay", path="open", seconds=5, times=None)
    hook = connect({"timeout": 0.05})
    hook.retry_limits = RetryLimits(attempts=2, base=0.001)
    with pytest.raises(errors.TransportError, match="the read timed out"):
        send(hook, READ)


def test_a_host_that_does_not_answer_is_a_transport_error_even_for_a_write(send: Send, echo, connect) -> None:
    with pytest.raises(errors.TransportError, match="no connection"):
        send(connect(host="http://127.0.0.1:1/x"), WRITE)


def test_redirects_are_not_followed(send: Send, echo, connect) -> None:
    echo.faults.add("redirect", path="open/thing", location=f"{echo.around.storage_origin}/elsewhere")
    with pytest.raises(errors.RequestRejectedError, match="redirect"):
        send(connect(), READ)
    assert echo.counters.total("storage") == 0


def test_credentials_go_to_the_connections_own_origin_only(send: Send, echo, connect) -> None:
    elsewhere = Call[Any]("GET", f"{echo.around.storage_origin}/next?token=abc")
    with pytest.raises(errors.InputError, match="go to its own host only") as caught:
        send(connect(), elsewhere)
    assert "abc" not in str(caught.value)
    own = Call[Any]("GET", f"{echo.url}/echo/open/next?page=2")
    assert send(connect(), own)["query"] == "page=2"


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_netrc_and_cookies_change_nothing_that_is_sent(
    way, echo, connect, monkeypatch, tmp_path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    echo.faults.add("status", path="open/first", status=200, headers={"Set-Cookie": "a=b"}, body={})
    hook = connect({"mode": "header"}, password="plain-token")
    for call in (Call("GET", "open/first"), READ):
        await (asyncio.to_thread(hook.send, call) if way == "sync" else hook.asend(call))
    sent = echo.echo.seen[-1]["headers"]
    assert "cookie" not in sent
    assert sent["authorization"] == "Bearer plain-token"


def test_a_session_keeps_no_cookies(echo) -> None:
    echo.faults.add("status", path="open/first", status=200, headers={"Set-Cookie": "a=b"}, body={})
    with Session() as session:
        opened = session.open("GET", f"{echo.url}/echo/open/first", {}, None, timeout=(9, 9), verify=True)
        assert opened.headers["set-cookie"] == "a=b"
        assert list(session.cookies) == []


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_requests_to_this_machine_use_no_proxy(name, send: Send, echo, connect, monkeypatch) -> None:
    for other in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "http://127.0.0.1:9")  # no server listens there
    send(connect(), READ)
    with connect().download(f"{echo.url}/echo/open/file") as stream:
        assert b"".join(stream.chunks())
    assert len(echo.echo.seen) == 2


def test_requests_to_other_hosts_use_the_proxy(send: Send, echo, connect, monkeypatch) -> None:
    for other in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv("http_proxy", echo.url)
    hook = connect({"allow_http": True, "mode": "header"}, host="http://far.invalid", password="plain-token")
    with pytest.raises(errors.NotFoundError):  # the echo service is no proxy, but was asked
        send(hook, Call("GET", "nowhere"))
    assert echo.counters.total("(no such route)") == 1


_PROXIES = {"http_proxy": "http://one.invalid:1", "https_proxy": "http://two.invalid:2"}


@pytest.mark.parametrize(
    "environment",
    [
        {},
        _PROXIES,
        {**_PROXIES, "no_proxy": "b.invalid,c.invalid:8080,10.0.0.0/8"},
        {"all_proxy": "http://one.invalid:1", "NO_PROXY": "*"},
        {"REQUESTS_CA_BUNDLE": "/bundle.pem"},
        {"CURL_CA_BUNDLE": "/bundle.pem"},
    ],
    ids=["none", "proxies", "some hosts without", "all hosts without", "a bundle", "a bundle for curl"],
)
@pytest.mark.parametrize("verify", [True, False, "/own.pem"])
def test_each_host_has_the_settings_of_the_environment_that_requests_gives_it(
    environment: dict[str, str], verify: bool | str, monkeypatch
) -> None:
    for name in {*os.environ}:
        if name.lower().endswith(("_proxy", "ca_bundle")):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    hosts = ("a.invalid", "b.invalid", "c.invalid", "c.invalid:8080", "10.1.2.3", "a.invalid:1")
    urls = [f"{scheme}://{host}/x?y=1" for scheme in ("http", "https") for host in hosts]
    ours, plain = Session(), requests.Session()
    for url in (*urls, *reversed(urls)):
        found = ours.merge_environment_settings(url, {}, True, verify, None)
        assert found == plain.merge_environment_settings(url, {}, True, verify, None), url
        found["proxies"]["http"] = "http://changed.invalid"


@pytest.mark.parametrize(
    "target",
    [
        "thing",
        "thing?",
        "thing?a=1&b=%C3%A9+%2A&c=~",
        "thing?a=%7E%41&b=%zz",
        "thing?a=é 1",
        "a b/../é%2fb?sig=a/b%2Fc&x=[1]{2}",
        "thing?a=1?b=2#c",
        "thing#c?a=1",
    ],
)
def test_a_url_is_sent_as_requests_sends_it(target: str, echo) -> None:
    url = f"{echo.url}/echo/open/{target}"
    queries = [requests.get(url, timeout=10).json()["query"]]
    with Session() as session:
        for _ in range(2):  # The second time its beginning is known.
            response = session.open("GET", url, {}, None, timeout=(10, 10), verify=True)
            queries.append(response.json()["query"])
    paths = [seen["path"] for seen in echo.echo.seen]
    assert (len(paths), len(set(paths))) == (3, 1)
    assert queries == [queries[0]] * 3


@pytest.mark.parametrize(
    "url", ["http://", "http://*.invalid/x", "http://[1/x", "nowhere", "ftp://127.0.0.1/x"]
)
def test_a_url_that_leads_nowhere_is_refused_before_a_connection(url: str) -> None:
    with Session() as session, pytest.raises((requests.exceptions.InvalidURL, ValueError)):
        session.open("GET", url, {}, None, timeout=(10, 10), verify=True)


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\r"])
def test_no_header_can_begin_another_header(value: str, send: Send, echo, connect) -> None:
    with pytest.raises(errors.InputError, match="the request cannot be made"):
        send(connect(), Call("POST", "open/thing", headers={"Prefer": value}, repeatable=False))
    assert echo.echo.seen == []


def test_a_reply_that_expands_beyond_the_maximum_is_refused(send: Send, echo, connect, monkeypatch) -> None:
    assert send(connect(), Call("GET", "packed/200"))["detail"].endswith("far")
    monkeypatch.setattr(reply, "MAX_BYTES", 4 * reply.MIB)
    with pytest.raises(errors.TransportError, match=r"GET .*/packed/200 .* its reply is larger than 4 MiB"):
        send(connect(), Call("GET", "packed/200"))
    with pytest.raises(errors.AmbiguousWriteError, match="its reply is larger than 4 MiB"):
        send(connect(), Call("POST", "packed/200", repeatable=False))
    assert echo.echo.written == 1
    assert echo.counters.total("packed") == 3


@pytest.mark.parametrize("status", [200, 500])
def test_a_doubly_compressed_reply_is_refused(status, send: Send, echo, connect) -> None:
    headers = {"Content-Encoding": "gzip, gzip"}
    hit = echo.faults.add(
        "status", path="open", status=status, headers=headers, body=b"\x1f\x8b".decode("latin-1"), times=None
    )
    with pytest.raises(errors.TransportError, match="its reply is compressed more than once"):
        send(connect(), READ)
    assert hit.hits == 1


def test_a_stream_that_is_compressed_twice_is_refused(echo, connect) -> None:
    headers = {"Content-Encoding": "gzip, gzip"}
    echo.faults.add("status", path="open", status=200, headers=headers, body="x")
    with (
        connect().stream(READ) as stream,
        pytest.raises(
            errors.TransportError, match=r"GET .*/open/thing cannot be read: its reply is compressed"
        ),
    ):
        list(stream.chunks())


def test_a_bundle_of_certificates_that_is_not_there_is_named(send: Send, echo, connect, tmp_path) -> None:
    bundle = f"{tmp_path}/none.pem"
    with pytest.raises(InputError, match=f"^extra 'verify': {bundle} cannot be read$"):
        send(connect({"verify": bundle}, host="https://127.0.0.1:1"), READ)


def test_only_the_beginning_of_an_error_reply_is_read(send: Send, echo, connect, monkeypatch) -> None:
    read: list[int] = []
    read_error = EchoHook.read_error
    monkeypatch.setattr(
        EchoHook, "read_error", lambda self, reply: read.append(len(reply.body)) or read_error(self, reply)
    )
    with pytest.raises(errors.PermissionDeniedError) as caught:
        send(connect(), Call("GET", "packed/403"))
    assert 0 < read[0] <= reply.MAX_ERROR_BYTES
    assert len(str(caught.value)) < 1000


def test_connections_are_kept_alive_and_pooled(echo, connect) -> None:
    hook = connect()
    for _ in range(10):
        hook.send(READ)
    assert echo.counters.connections == 1
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(hook.send, [READ] * 20))
    assert echo.counters.connections <= 5


def test_a_forked_process_uses_no_connection_of_its_parent_and_no_pause(echo, connect, monkeypatch) -> None:
    hook = connect()
    hook.send(READ)
    session, parent = hook.transport._session, TaskPauses.here()
    monkeypatch.setattr("os.getpid", lambda: -1)  # A fork has a copy of all, and another id.
    monkeypatch.setattr(parent, "_beat_at", parent._clock() - 3600)  # The parent's thread does not run in it.
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail(f"rests for {seconds} s"))
    hook.send(WRITE)
    assert echo.counters.connections == 2
    assert hook.transport._session is not session
    assert hook.transport._session is hook.transport._open_session()


def test_a_stream_yields_chunks_and_raises_when_the_body_breaks_off(echo, connect) -> None:
    with connect().stream(Call("GET", "open/thing")) as stream:
        assert b"".join(stream.chunks(7)).startswith(b"{")
    echo.faults.add("truncate", path="open/thing")
    with connect().stream(READ) as stream, pytest.raises(errors.TransportError, match="broke off"):
        list(stream.chunks())


def test_opening_a_stream_is_retried(echo, connect) -> None:
    echo.faults.add("status", path="open/thing", status=503, times=2)
    with connect().stream(READ) as stream:
        assert stream.status == 200


def test_every_request_names_its_sender(echo, connect) -> None:
    with connect({"mode": "query"}) as hook:
        hook.send(Call("GET", "open/asked"))
        hook.upload(f"{echo.url}/echo/open/put", b"x", {})
        with hook.download(f"{echo.url}/echo/open/got") as stream:
            assert b"".join(stream.chunks())
    sender = f"airflow-provider-digital-twin/{__version__}"
    assert [one["headers"]["user-agent"] for one in echo.echo.seen] == [sender] * 3


@pytest.mark.parametrize("content", [b"ab", lambda: iter([b"a", b"b"])], ids=["bytes", "chunks"])
def test_a_file_is_sent_whole_and_once_more_after_a_failure(content: Any, echo, connect) -> None:
    echo.faults.add("status", path="open/put", status=503)
    with connect() as hook:
        hook.upload(f"{echo.url}/echo/open/put", content, {"X-Own": "1"})
    (sent,) = echo.echo.seen
    assert (sent["method"], sent["body"], sent["headers"]["x-own"]) == ("PUT", b"ab", "1")
    assert "authorization" not in sent["headers"]
    assert echo.counters.total("PUT") == 2


def test_a_session_has_the_same_pool_for_http_and_https() -> None:
    with Session() as session:
        plain, secure = (session.get_adapter(f"{scheme}://x/") for scheme in ("http", "https"))
    assert plain is secure
    assert (plain._pool_maxsize, plain.max_retries.total) == (32, 0)  # type: ignore[attr-defined]


def test_a_process_that_was_paused_rests_before_writes_only(
    send: Send, echo, connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    rested: list[str] = []

    async def arest(self: TaskPauses, log: Any) -> None:
        rested.append("loop")

    monkeypatch.setattr(TaskPauses, "rest", lambda self, log: rested.append("worker"))
    monkeypatch.setattr(TaskPauses, "arest", arest)
    hook = connect({"mode": "query"})
    send(hook, READ)
    assert rested == []
    send(hook, WRITE)
    assert len(rested) == 1


def test_a_body_without_end_is_read_up_to_the_limit_only() -> None:
    read = 0

    class Endless:
        status_code, headers = 400, {"content-type": "text/plain"}
        raw = SimpleNamespace(chunked=True)

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def iter_content(self, size: int) -> Any:
            nonlocal read
            while read < 1 << 28:
                read += size
                yield b"x" * size

    found = _read_body(READ, cast("Any", Endless()))
    assert isinstance(found, reply.Reply)
    assert len(found.body) <= read < 1 << 22


def test_a_download_carries_no_credentials(echo, connect) -> None:
    with connect({"mode": "query"}).download(f"{echo.url}/echo/open/file?sig=s") as stream:
        assert stream.status == 200
    headers = echo.echo.seen[-1]["headers"]
    assert "authorization" not in headers
    assert headers["accept"] == "*/*"
    assert SECRET not in str(headers)


@pytest.mark.parametrize("status", [401, 403, 404])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_refused_file_is_told_without_its_signature(method: str, status: int, echo, connect) -> None:
    signature = "s3cret-signature-0123456789"
    url, said = f"{echo.url}/echo/open/file?sig={signature}", f"the signature {signature} does not fit"
    echo.faults.add("status", path="open", status=status, body=said, times=None)
    hook = connect({"mode": "query"})
    with pytest.raises(errors.ApiError) as caught:
        if method == "PUT":
            hook.upload(url, b"x", {})
        else:
            with hook.download(url):
                pass
    assert type(caught.value) in (
        errors.AuthenticationError,
        errors.PermissionDeniedError,
        errors.NotFoundError,
    )
    purpose = "upload" if method == "PUT" else "download"
    assert caught.value.request == f"{method} {echo.url}/echo/open/file ({purpose})"
    assert "the signature *** does not fit" in str(caught.value)
    assert echo.counters.total("open") == 1


def test_a_worker_reads_the_token_that_its_process_holds(echo, connect) -> None:
    hook = connect()
    assert hook.cached_access_token() == ""
    hook.send(Call("GET", "closed/x"))
    assert hook.cached_access_token() == hook.access_token() != ""
    assert echo.counters.tokens_issued["echo"] == 1


def test_a_header_beyond_latin_1_is_an_error_of_its_input(send: Send, echo, connect) -> None:
    with pytest.raises(InputError, match="the request cannot be made: "):
        send(connect(), replace(READ, headers={"X-Note": "5 €"}))
    assert echo.counters.total("open") == 0


@pytest.mark.parametrize(
    "url", ["http://example.com/x?sig=abcd", "https://example.com/x?sig=abcd", "ftp://x/y"]
)
def test_a_download_from_a_host_that_is_not_allowed_is_refused(url: str, echo, connect) -> None:
    with pytest.raises(errors.InputError) as caught, connect().download(url):
        pass
    assert "abcd" not in str(caught.value)


def test_a_download_host_can_be_allowed_with_and_without_port(echo, connect) -> None:
    hook = connect({"allowed_hosts": "files.example.com other.example.com:8443"})
    hook.transport.endpoint.check_download("https://files.example.com/x")
    hook.transport.endpoint.check_download("https://other.example.com:8443/x")
    with pytest.raises(errors.InputError):
        hook.transport.endpoint.check_download("https://other.example.com/x")


@pytest.mark.parametrize("mode", ["query", "minted", "header"])
def test_no_secret_is_in_any_error_or_log_line(mode: str, send: Send, echo, connect, logged) -> None:
    secret = SECRET.replace("é", "e") if mode == "header" else SECRET
    hook = connect({"mode": mode}, password=secret if mode == "header" else SECRET)
    for status in (503, 400):
        echo.faults.add(
            "status",
            path="closed",
            status=status,
            body={"detail": f"token {secret} in {echo.url}"},
            times=None,
        )
        with pytest.raises(errors.ProviderError) as caught:
            send(hook, Call("GET", "closed/x"))
        text = f"{caught.value} {caught.value!r} {vars(caught.value)} {logged()}"
        for encoded in (secret, "s3cr3t", "tok/0", "tok%2F0"):
            assert encoded not in text
        echo.faults.clear()


def test_a_bad_connection_is_named_before_any_request(echo, connect) -> None:
    with pytest.raises(errors.InputError, match="unknown extra 'tiemout'"):
        connect({"tiemout": 3}).send(READ)
    assert echo.counters.total() == 0


@pytest.mark.parametrize(
    ("change", "fault", "says"),
    [
        ({}, None, (True, "fine")),
        ({"password": "wrong"}, None, (False, "does not accept the credentials")),
        ({"host": "http://127.0.0.1:1"}, None, (False, "host cannot be reached")),
        ({}, {"kind": "status", "status": 403}, (False, "a permission is missing")),
        ({}, {"kind": "status", "status": 404}, (False, "does not know the resource")),
        ({"host": "http://example.com"}, None, (False, "plain http")),
    ],
)
def test_test_connection_says_in_one_sentence_what_is_wrong(change, fault, says, echo, connect) -> None:
    if fault:
        echo.faults.add(path="probe", times=None, **fault)
    works, sentence = connect(**change).test_connection()
    assert works is says[0]
    assert says[1] in sentence
    assert "\n" not in sentence


def test_hooks_do_nothing_before_they_are_used() -> None:
    assert EchoHook("there_is_no_such_connection").conn_id == "there_is_no_such_connection"


def test_a_header_token_that_no_header_can_carry_is_named_not_shown(send: Send, echo, connect) -> None:
    with pytest.raises(errors.InputError, match="no HTTP header can carry") as caught:
        send(connect({"mode": "header"}), Call("GET", "closed/x"))
    assert "s3cr3t" not in str(caught.value)


def test_the_log_names_failure_attempt_and_backoff(send: Send, echo, connect, logged) -> None:
    echo.faults.add("status", path="open/thing", status=503, body={"detail": "busy"})
    send(connect(), READ)
    (line,) = (line for line in logged().splitlines() if "attempt 1 of" in line)
    assert "GET http://127.0.0.1:" in line
    assert "open/thing answered 503: busy (attempt 1 of 6; next attempt in 0.0 s)" in line


def test_retries_stop_at_the_deadline(echo, connect, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider.core.http import sync_transport

    now = [1000.0]
    monkeypatch.setattr(sync_transport, "clock", lambda: now[0])
    down = echo.faults.add("html", status=503, times=None)
    hook = connect()
    hook.transport._sleep = lambda seconds: now.__setitem__(0, now[0] + seconds)
    hook.transport.endpoint.retry_limits = RetryLimits(attempts=100, base=1, cap=10, total=1e9)
    with pytest.raises(errors.ServerError), hook.until(1020.0):
        hook.send(READ)
    assert 1005 < now[0] <= 1020
    assert 3 <= down.hits < 10
    # After the block the time before applies again.
    with pytest.raises(errors.ServerError), hook.until(5000.0):
        with pytest.raises(errors.ServerError), hook.until(now[0] + 20):
            hook.send(READ)
        inner = now[0]
        hook.send(READ)
    assert now[0] > inner + 100


def test_a_request_ends_at_most_a_second_after_the_deadline(echo, connect) -> None:
    echo.faults.add("delay", seconds=4.0, times=None)
    began = time.time()
    hook = connect()
    with pytest.raises(errors.TransportError, match="the read timed out"), hook.until(began + 0.1):
        hook.send(READ)
    assert time.time() - began < 3


def test_the_connection_sets_attempts(send: Send, echo, connect) -> None:
    down = echo.faults.add("html", status=503, times=None)
    with pytest.raises(errors.ServerError):
        send(connect({"attempts": 3}), READ)
    assert down.hits == 3


def test_limits_that_a_caller_sets_hold_whatever_the_connection_says(send: Send, echo, connect) -> None:
    down = echo.faults.add("html", status=503, times=None)
    hook = connect({"attempts": 9})
    hook.retry_limits = RetryLimits(attempts=2, base=0.001)
    with pytest.raises(errors.ServerError):
        send(hook, READ)
    assert down.hits == 2


def test_a_connection_test_stays_quick_whatever_the_connection_says(echo, connect) -> None:
    down = echo.faults.add("html", path="probe", status=503, times=None)
    began = time.monotonic()
    works, _ = connect({"attempts": 50, "patience": 3600}).test_connection()
    assert (works, down.hits) == (False, 2)
    assert time.monotonic() - began < 5


PAGE = {
    "kind": "status",
    "status": 200,
    "body": "<!doctype html><title>Sign in</title>",
    "content_type": "text/html",
}


def test_a_web_page_in_place_of_json_is_told_at_once(send: Send, echo, connect) -> None:
    hit = echo.faults.add(path="open/thing", times=None, **PAGE)
    with pytest.raises(
        errors.ServerError, match=r"answered 200: a web page \('Sign in'\) instead of"
    ) as caught:
        send(connect(), READ)
    assert hit.hits == 1
    assert caught.value.is_page
    with pytest.raises(errors.ServerError, match="a web page"):
        send(connect(), READ.with_reader(reply.read_nothing))
    with pytest.raises(errors.AmbiguousWriteError, match="a web page"):
        send(connect(), WRITE)
    assert hit.hits == 3


def test_json_that_is_called_html_is_read(send: Send, echo, connect) -> None:
    echo.faults.add("status", path="open/thing", status=200, body={"n": 1}, content_type="text/html")
    assert send(connect(), READ) == {"n": 1}


def test_a_raw_reply_may_be_a_page_and_has_its_headers_in_any_case(send: Send, echo, connect) -> None:
    echo.faults.add(path="open/thing", **PAGE)
    raw = send(connect(), READ.with_reader(reply.read_reply))
    assert raw.headers["Content-Type"].startswith("text/html")
    assert raw.headers["content-type"] == raw.headers["CONTENT-TYPE"]


def test_a_stream_has_its_headers_in_any_case(echo, connect) -> None:
    with connect().stream(READ) as stream:
        assert stream.headers["Content-Type"] == "application/json"


def test_a_long_request_and_a_long_reply_make_short_log_lines(send: Send, echo, connect, logged) -> None:
    echo.faults.add("status", status=503, body={"detail": "x" * 100_000})
    send(connect(), Call("GET", f"open/{'thing' * 1000}"))
    lines = [line for line in logged().splitlines() if "attempt 1 of" in line]
    assert lines
    assert max(map(len, lines)) < 2000


def nested_error(error: Exception, *causes: Exception) -> Exception:
    for outer, inner in itertools.pairwise([error, *causes]):
        outer.__cause__ = inner
    return error


def caused_by(reason: Exception) -> Exception:
    """Return what requests raises for an error of urllib3."""
    given_up = MaxRetryError(cast("Any", None), "/?token=1", reason)
    return nested_error(requests.exceptions.ConnectionError(given_up), given_up, reason)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (requests.exceptions.SSLError("x"), (False, "TLS: SSLError: x", True, "tls")),
        (
            requests.exceptions.ProxyError("x"),
            (False, "no connection to the proxy (ProxyError: x)", False, "proxy"),
        ),
        (
            requests.exceptions.ConnectTimeout("x"),
            (False, "no connection (ConnectTimeout)", False, "timeout"),
        ),
        (requests.exceptions.ReadTimeout("x"), (True, "the read timed out", False, "timeout")),
        (
            caused_by(NameResolutionError("h", SimpleNamespace(host="h"), gaierror(-2, "unknown"))),
            (False, "no connection (NameResolutionError)", False, "name"),
        ),
        (
            caused_by(NewConnectionError(SimpleNamespace(host="h"), "x")),
            (False, "no connection (NewConnectionError)", False, "refused"),
        ),
        (
            nested_error(requests.exceptions.ConnectionError("https://x?token=1"), OSError("reset")),
            (True, "the connection broke (OSError: reset)", False, ""),
        ),
        (
            nested_error(requests.exceptions.ConnectionError(), ValueError("https://x?token=1")),
            (True, "the connection broke (ValueError)", False, ""),
        ),
    ],
    ids=str,
)
def test_a_missing_response_is_classified_by_its_cause(error: Exception, expected: tuple[Any, ...]) -> None:
    assert tuple(_no_response(error)) == expected


def test_closing_ends_the_pool_once_and_the_next_call_opens_another(connect) -> None:
    hook = connect()
    hook.send(READ)
    transport = hook.transport
    first = transport._session
    transport.seconds_waited = 0.9
    transport.close()
    assert transport._session is None
    assert transport.seconds_waited == 0.9
    transport.seconds_waited = 1.0
    transport.close()
    assert transport.seconds_waited == 0
    assert hook.send(READ)["path"].endswith("/open/thing")
    assert transport._session is not first


def test_of_a_successful_reply_that_needs_no_body_none_is_read(connect) -> None:
    assert connect().send(replace(READ, status_only=True, read=lambda reply: reply.body)) == b""
    with pytest.raises(errors.RequestRejectedError) as caught:
        connect().send(replace(READ, status_only=True, success_statuses=frozenset({204})))
    assert caught.value.status == 200


def test_causes_that_lead_in_a_circle_end() -> None:
    first, second = OSError("first"), OSError("second")
    first.__cause__, second.__cause__ = second, first
    assert _root(first) == "OSError: second"
    assert _root(KeyError("x")) == "KeyError"
    outer = KeyError("outer")
    outer.__cause__ = first
    assert _root(outer) == "OSError: second"


@pytest.mark.parametrize("name", ["InvalidURL", "InvalidHeader", "InvalidSchema"])
def test_a_request_that_cannot_be_made_is_an_error_of_its_input(name: str) -> None:
    with pytest.raises(InputError, match=f"^the request cannot be made: {name}$"):
        _no_response(getattr(requests.exceptions, name)("https://x?token=1"))


def test_the_time_limits_of_a_request_are_cut_at_the_deadline(
    connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider.core.http import sync_transport

    monkeypatch.setattr(sync_transport, "clock", lambda: 1000.0)
    transport = connect({"timeout": 8}).transport
    connecting, reading = transport.endpoint.settings.timeout
    assert transport._timeout() == (connecting, reading)
    for left, longest in ((0.5, 1.0), (1.5, 1.5), (-9.0, 1.0)):
        with transport.until(1000.0 + left):
            assert transport._timeout() == (longest, longest)


def test_chunks_of_a_stream_have_at_most_the_size_that_is_asked_for(echo, connect) -> None:
    with connect().stream(READ) as stream:
        sizes = {len(chunk) for chunk in stream.chunks(7)}
    assert max(sizes) == 7


def test_a_wait_for_a_place_counts_as_a_wait(echo, connect) -> None:
    hook = connect({"max_concurrency": 1})
    hook.send(READ)
    limit, other = hook.transport.endpoint.concurrency, Permit()
    assert limit._semaphore.try_enter(other)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        limit._semaphore.leave(other)

    hook.transport._sleep = sleep
    hook.transport.seconds_waited = 100.0
    hook.send(READ)
    assert len(slept) == 1
    assert hook.transport.seconds_waited > 100.0


def test_a_request_without_a_place_or_a_budget_is_named(echo, connect) -> None:
    hook = connect({"mode": "query"})
    hook.transport.endpoint.budget = Budget(10)
    hook.transport.endpoint.budget.pause(200)
    with pytest.raises(errors.RateLimitedError) as caught:
        hook.send(READ)
    assert str(caught.value).startswith(f"GET {echo.url}/echo/open/thing was not sent: ")


def test_a_packed_reply_may_not_expand_too_far(send: Send, echo, connect, monkeypatch) -> None:
    monkeypatch.setattr(reply, "FREE_BYTES", reply.MIB)
    with pytest.raises(errors.TransportError, match="its reply expands more than 200-fold"):
        send(connect(), Call("GET", "packed/200"))
    assert echo.counters.total("packed") == 1


def test_a_time_limit_of_a_new_connection_is_a_host_that_is_not_reached() -> None:
    found = _no_response(caused_by(ConnectTimeoutError("x")))
    assert tuple(found) == (False, "no connection (ConnectTimeoutError)", False, "refused")


def test_a_url_without_a_host_is_named_by_its_request() -> None:
    with pytest.raises(InputError) as caught:
        _no_response(requests.exceptions.InvalidURL("x"), "https:///x?token=1")
    assert "token" not in str(caught.value)


def test_a_stream_counts_in_the_budget_and_is_named_when_it_breaks_off(echo, connect) -> None:
    hook = connect({"mode": "query"})
    hook.transport.endpoint.budget = budget = Budget(10)
    echo.faults.add("truncate", path="open/thing")
    with hook.stream(replace(READ, name="read")) as stream, pytest.raises(errors.TransportError) as caught:
        list(stream.chunks())
    assert str(caught.value).startswith(f"GET {echo.url}/echo/open/thing (read) broke off: ")
    rate = Rate.per_second(10)
    assert sum(budget.store.reserve(budget._key, rate, 0).taken for _ in range(10)) == 9


class Response:
    """A response of requests, as far as its body is read.

    :param chunked: whether the bytes of its body are not counted.
    """

    status_code, headers = 200, {"content-type": "text/plain"}

    def __init__(self, chunked: bool) -> None:
        self.raw = SimpleNamespace(chunked=chunked, tell=lambda: 2)
        self.events: list[str] = []

    def close(self) -> None:
        self.events.append("closed")

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def iter_content(self, size: int) -> Any:
        for _ in range(3):
            self.events.append("read")
            yield b"x" * 400


def test_what_is_received_in_chunks_is_not_compared_with_its_size(monkeypatch) -> None:
    monkeypatch.setattr(reply, "FREE_BYTES", 1)
    found = _read_body(READ, cast("Any", Response(chunked=True)))
    assert isinstance(found, reply.Reply)
    assert len(found.body) == 1200
    response = Response(chunked=False)
    found = _read_body(READ, cast("Any", response))
    assert isinstance(found, reply.NoResponse)
    assert (found.reason, response.events) == (
        "its reply expands more than 200-fold",
        ["read", "read", "closed"],
    )


def test_a_response_whose_body_is_not_needed_is_closed() -> None:
    response = Response(chunked=True)
    assert _read_body(replace(READ, status_only=True), cast("Any", response)) == reply.Reply(
        200, Response.headers, b""
    )
    assert response.events == ["closed"]


def test_what_a_storage_says_of_an_upload_is_not_read(echo, connect) -> None:
    echo.faults.add("status", path="open/put", status=200, body="no JSON", times=None)
    with connect() as hook:
        hook.upload(f"{echo.url}/echo/open/put", b"x", {})
        assert (hook.transport.requests, hook.transport.seconds_waited) == (1, 0.0)
    echo.faults.clear()
    echo.faults.add(path="open/put", times=None, **PAGE)
    with connect() as hook, pytest.raises(errors.ServerError, match="a web page"):
        hook.upload(f"{echo.url}/echo/open/put", b"x", {})
