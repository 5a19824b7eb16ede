"""The sandbox without httptools: another parser of requests takes its place, and answers are the same."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol

from airflow_provider.sandbox import server
from airflow_provider.sandbox.amigocloud.seed import READ_TOKEN
from airflow_provider.sandbox.server import Sandbox

A = "/amigocloud/api/v1"
P = f"{A}/users/123/projects/1234"
T = f"token={READ_TOKEN}"
LONG = "x" * 20_000
REQUESTS = {
    "rows": f"GET {P}/sql?query=SELECT%201%20AS%20one&{T} HTTP/1.1\r\n\r\n",
    "no token": f"GET {A}/me HTTP/1.1\r\n\r\n",
    "a header twice": f"GET {P}?{T} HTTP/1.1\r\nAccept: a\r\nACCEPT: b\r\n\r\n",
    "an unknown path": "GET /leanix/services/nothing HTTP/1.1\r\n\r\n",
    "a quoted path": f"GET {A}/users/123%2Fprojects/1234?a=%zz&b=%20+&{T} HTTP/1.1\r\n\r\n",
    "another method": f"DELETE {A}/me?{T} HTTP/1.1\r\n\r\n",
    "no body": f"HEAD {P}?{T} HTTP/1.1\r\n\r\n",
    "a length": "POST /iotstudio/oauth2/token HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
    "chunks": f"POST {P}/sql?{T} HTTP/1.1\r\n"
    "Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n"
    'a\r\n{"query": \r\n11;x=y\r\n"SELECT 1 AS one"\r\n1\r\n}\r\n0\r\n\r\n',
    "the body awaited": "POST /leanix/services/mtm/v1/oauth2/token HTTP/1.1\r\nExpect: 100-continue\r\n"
    "Content-Length: 29\r\n\r\ngrant_type=client_credentials",
    "two requests at once": f"GET {P}?{T} HTTP/1.1\r\nHost: x\r\n\r\n"
    f"GET {A}/nothing?{T} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "an old client": f"GET {P}?{T} HTTP/1.0\r\n\r\n",
    "a long address": f"GET {P}?x={LONG}&{T} HTTP/1.1\r\n\r\n",
    "a long header": f"GET {P}?{T} HTTP/1.1\r\nX: {LONG}\r\n\r\n",
}
"""Bytes that clients send, most without the headers ``Host`` and ``Connection: close``."""


@pytest.fixture(scope="module")
def usual() -> Iterator[Sandbox]:
    """Return a sandbox with the parser that uvicorn prefers."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def other() -> Iterator[Sandbox]:
    """Return a sandbox with the parser that is there without httptools."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "HttpProtocol", H11Protocol)
        with Sandbox() as sandbox:
            yield sandbox


def exchanged(sandbox: Sandbox, request: str) -> list[str]:
    """Send bytes; return the lines of what is sent back, the names of headers in lower case."""
    if "Host:" not in request:
        request = request.replace("\r\n", "\r\nHost: x\r\nConnection: close\r\n", 1)
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2])), 60) as connection:
        connection.sendall(request.encode())
        received = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    lines = received.replace(sandbox.url, "http://sandbox").splitlines()
    return [re.sub("^[A-Za-z-]+:", lambda name: name[0].lower(), line) for line in lines]


@pytest.mark.parametrize("name", REQUESTS)
def test_both_parsers_answer_alike(name: str, usual: Sandbox, other: Sandbox) -> None:
    wanted = exchanged(usual, REQUESTS[name])
    assert wanted
    assert exchanged(other, REQUESTS[name]) == wanted


def test_bytes_that_are_no_request_are_refused_alike(usual: Sandbox, other: Sandbox) -> None:
    wanted, found = (exchanged(sandbox, "nonsense\r\n\r\n") for sandbox in (usual, other))
    assert (found[0], found[-1]) == (wanted[0], wanted[-1])
    assert "400" in wanted[0]


def test_without_httptools_the_other_parser_is_used() -> None:
    code = (
        "import sys; sys.modules['httptools'] = None\n"
        "from airflow_provider.sandbox.server import HttpProtocol, Sandbox\n"
        "with Sandbox() as sandbox: print(HttpProtocol.__name__, len(sandbox.connections))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["H11Protocol", "4"]
