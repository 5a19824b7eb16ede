"""TLS: certificates are verified unless the connection disables it."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.errors import TransportError
from airflow_provider.iotstudio.hooks import IoTStudioHook
from tests.support.certificates import self_signed


class Answers(BaseHTTPRequestHandler):
    """Server that returns a token and an empty list."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer({"access_token": "ory_at_tls", "expires_in": 3600})

    def do_GET(self) -> None:
        self._answer({"data": [], "paging": {"next_cursor": ""}})

    def _answer(self, body: Any) -> None:
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Return the URL of a service with such a certificate, and the certificate."""
    pem, key = self_signed(tmp_path_factory.mktemp("tls"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_address[1]}", pem
    server.shutdown()
    server.server_close()


def test_an_untrusted_certificate_is_refused_and_named(
    connect: Callable[..., IoTStudioHook], secured: tuple[str, Path]
) -> None:
    with pytest.raises(TransportError, match=r"(?i)tls.*certificate"):
        connect(host=secured[0]).list_categories()


def test_the_check_can_be_switched_off(
    connect: Callable[..., IoTStudioHook], secured: tuple[str, Path]
) -> None:
    assert connect(host=secured[0], extra={"verify": False}).list_categories() == []


async def test_a_bundle_of_ones_own_is_trusted_by_workers_and_triggers(
    connect: Callable[..., IoTStudioHook], secured: tuple[str, Path]
) -> None:
    hook = connect(host=secured[0], extra={"verify": str(secured[1])})
    assert hook.list_categories() == []
    assert [thing async for thing in hook.alist_things()] == []
