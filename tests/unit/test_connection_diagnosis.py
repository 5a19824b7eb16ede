"""Each cause of a failed connection test has a sentence of its own, for all four services.

The servers and proxies are real, and listen on this machine.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from airflow_provider.core.diagnosis import Diagnosis
from airflow_provider.core.http import auth
from airflow_provider.errors import TransportError
from airflow_provider.sandbox.server import Sandbox
from tests.fault_matrix.faults import HOOKS

PAGE = "<!DOCTYPE html><html><head><title>{}</title></head><body>…</body></html>"


TOKEN = json.dumps({"access_token": "abc", "token_type": "bearer", "expires_in": 3600})


class Host:
    """A server, and a proxy, that gives one answer to everything.

    :param status: status of the answer.
    :param body: its body.
    :param tunnel: status of the answer to ``CONNECT``.
    :param token: whether requests for a token get one.
    """

    def __init__(
        self, status: int = 200, body: str = "", tunnel: int = 403, token: bool = False, **headers: str
    ) -> None:
        self.requests = 0
        self.token = token
        host = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                host.requests += 1
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                is_token = self.path.endswith("token") and host.token
                data = (TOKEN if is_token else body).encode()
                self.send_response(200 if is_token else status)
                for name, value in {"Content-Type": "text/html", **headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def do_CONNECT(self) -> None:
                host.requests += 1
                self.send_error(tunnel)

            def log_message(self, *_: Any) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.place = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.place}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Host]]:
    """Return a function that starts a host."""
    hosts: list[Host] = []

    def start(*args: Any, **options: Any) -> Host:
        hosts.append(Host(*args, **options))
        return hosts[-1]

    yield start
    for host in hosts:
        host.close()


@pytest.fixture(params=list(HOOKS))
def said(request: pytest.FixtureRequest, running_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that tests a connection to a host, and returns the sentence."""
    vendor = request.param
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(auth, "_slots", {})

    def ask(host: str, proxy: str = "", **changes: Any) -> str:
        for name in ("http_proxy", "https_proxy") if proxy else ():
            monkeypatch.setenv(name, proxy)
        connection = json.loads(running_sandbox.connections[f"{vendor}_default"])
        extra = {**(connection.get("extra") or {}), "allow_http": True, **changes.pop("extra", {})}
        if "auth_url" in extra or vendor == "mapsindoors":
            extra["auth_url"] = host
        monkeypatch.setenv(
            f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT",
            json.dumps({**connection, "host": host, **changes, "extra": extra}),
        )
        works, sentence = HOOKS[vendor]().test_connection()
        assert not works
        assert "\n" not in sentence
        assert len(sentence) < 500
        return str(sentence)

    return ask


def test_an_address_of_the_web_interface(said: Any, serve: Callable[..., Host]) -> None:
    host = serve(200, PAGE.format("Sign in to Studio"))
    sentence = said(host.url)
    assert f"{host.place} answers with a web page ('Sign in to Studio')" in sentence
    assert "address of the web interface; check that the host is the API's base URL" in sentence
    assert host.requests == 1


@pytest.mark.parametrize(
    "location", ["/login?next=%2F", "https://id.example.com/oauth2/authorize?x=secret-state"]
)
def test_a_redirect_to_a_login_page(location: str, said: Any, serve: Callable[..., Host]) -> None:
    host = serve(302, Location=location)
    sentence = said(host.url)
    assert "a login page: this looks like the address of the web interface" in sentence
    assert "secret-state" not in sentence
    assert host.requests == 1


def test_a_redirect_to_another_address(said: Any, serve: Callable[..., Host]) -> None:
    sentence = said(serve(301, Location="https://new.example.com/v2/").url)
    assert "redirects to https://new.example.com/v2/: this is not the address of the API" in sentence


def test_a_redirect_to_https(said: Any, serve: Callable[..., Host]) -> None:
    proxy = serve(301, Location="https://far.invalid/x")
    assert "enter the host with https://" in said("http://far.invalid", proxy.url)


def test_a_page_of_a_proxy(said: Any, serve: Callable[..., Host]) -> None:
    proxy = serve(200, PAGE.format("Welcome"))
    sentence = said("http://far.invalid", f"http://user:pass-word@{proxy.place}")
    assert (
        f"far.invalid answers with a web page ('Welcome') instead of the API's reply: the proxy {proxy.place}"
        in sentence
    )
    assert "pass-word" not in sentence
    assert proxy.requests == 1


def test_a_page_of_a_captive_portal(said: Any, serve: Callable[..., Host]) -> None:
    host = serve(200, PAGE.format("Hotel Wi-Fi: please accept the terms"))
    assert "a proxy or login portal of the network answers in its place" in said(host.url)


def test_a_captive_portal_with_its_status(said: Any, serve: Callable[..., Host]) -> None:
    assert "A login portal of the network answers" in said(serve(511, PAGE.format("Log in")).url)


def test_a_method_that_is_not_allowed(said: Any, serve: Callable[..., Host]) -> None:
    sentence = said(serve(405, PAGE.format("405")).url)
    assert "does not accept this method there (405 Method Not Allowed); check that the host is" in sentence


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_requires_a_login(scheme: str, said: Any, serve: Callable[..., Host]) -> None:
    proxy = serve(407, PAGE.format("407"), tunnel=407, Proxy_Authenticate="Basic realm=x")
    sentence = said(f"{scheme}://far.invalid", proxy.url)
    assert f"The proxy {proxy.place}" in sentence
    assert "407" in sentence
    assert proxy.requests == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_refuses_the_host(scheme: str, said: Any, serve: Callable[..., Host]) -> None:
    proxy = serve(403, PAGE.format("Forbidden by policy"))
    sentence = said(f"{scheme}://far.invalid", proxy.url)
    assert f"The proxy {proxy.place} does not lead to far.invalid" in sentence
    assert "403" in sentence
    assert "NO_PROXY" in sentence
    assert proxy.requests == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_does_not_listen(scheme: str, said: Any, serve: Callable[..., Host]) -> None:
    proxy = serve()
    proxy.close()
    sentence = said(f"{scheme}://far.invalid", f"http://user:pass-word@{proxy.place}")
    assert f"The proxy {proxy.place} does not lead to far.invalid: no connection to the proxy" in sentence
    assert "refused" in sentence
    assert "pass-word" not in sentence


def test_a_host_that_is_not_known(said: Any) -> None:
    assert "the name far.invalid is not known (DNS)" in said("http://far.invalid")


def test_a_host_that_does_not_listen(said: Any, serve: Callable[..., Host]) -> None:
    host = serve()
    host.close()
    assert said(host.url).startswith("The host cannot be reached: ")


def test_a_host_without_tls(said: Any, serve: Callable[..., Host]) -> None:
    sentence = said(serve().url.replace("http://", "https://"))
    assert sentence.startswith("The host cannot be reached securely: TLS: ")
    assert sentence.endswith("does not speak TLS; check the port, and whether the URL begins with http://.")


@pytest.mark.parametrize("reason", ["TLS: CERTIFICATE_VERIFY_FAILED", "TLS: [SSL] certificate verify failed"])
def test_a_certificate_that_does_not_verify(reason: str) -> None:
    sentence = Diagnosis(TransportError("no", cause="tls", reason=reason)).sentence()
    assert sentence.endswith("set the extra 'verify' to the path of its CA bundle.")


def test_a_missing_page_of_another_site(said: Any, serve: Callable[..., Host]) -> None:
    sentence = said(serve(404, PAGE.format("Not found")).url)
    assert "not like" in sentence
    assert "api_key" not in sentence
    assert "API" in sentence or "token service" in sentence


def test_a_reply_that_is_not_the_apis(said: Any, serve: Callable[..., Host]) -> None:
    sentence = said(serve(200, "OK", **{"Content-Type": "text/plain"}).url)
    assert "answers, but not like the API (the reply cannot be read" in sentence


@pytest.mark.parametrize("token", [False, True])
@pytest.mark.parametrize("body", ["", "null", "5", "[1]", '"OK"'])
def test_json_that_is_not_the_apis(said: Any, serve: Callable[..., Host], body: str, token: bool) -> None:
    host = serve(200, body, token=token, **{"Content-Type": "application/json"})
    assert "answers, but not like the API (the reply cannot be read" in said(host.url)


@pytest.mark.parametrize("token", [False, True])
def test_a_page_that_refuses_without_a_proxy_in_the_environment(
    said: Any, serve: Callable[..., Host], token: bool
) -> None:
    host = serve(403, PAGE.format("ERROR: Access Denied"), token=token)
    sentence = said(host.url)
    assert f"{host.place} answers with a web page (403, " in sentence
    assert "Access Denied" in sentence
    assert "a proxy, firewall or gateway on the way refuses the request" in sentence
    assert "scope" not in sentence


def test_a_failing_gateway_is_asked_again(said: Any, serve: Callable[..., Host]) -> None:
    host = serve(502, PAGE.format("Bad Gateway"))
    assert "502" in said(host.url)
    assert host.requests == 2
