"""Player: HTTP servers that record the sandbox's replies, and later play them with one of them changed."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import urlsplit

MOST_REQUESTS = 400
"""Maximum requests of a call; the recorded ones have ten or fewer."""

_PATIENT = 60
"""Requests after which the server only fails, so that a call that polls ends."""

_HOP = {"connection", "transfer-encoding", "content-length", "date", "server", "keep-alive"}


class Exchange(NamedTuple):
    """A request, and the reply to it.

    :param method: HTTP method.
    :param path: path without query.
    :param storage: whether it went to the second origin.
    :param status: status of the reply.
    :param headers: headers of the reply.
    :param body: its body, not compressed.
    """

    method: str
    path: str
    storage: bool
    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Player:
    """Two loopback origins, that of the API and that of the storage.

    While ``targets`` are set, requests are sent to these origins and recorded in ``exchanges``. Else they are
    answered from the script of :meth:`load`.
    """

    def __init__(self) -> None:
        self.targets: tuple[str, str] | None = None
        self.exchanges: list[Exchange] = []
        self.requests = 0
        self._lock = threading.Lock()
        self._left: dict[tuple[str, str], list[Exchange]] = {}
        self._servers = [self._serve(storage=False), self._serve(storage=True)]
        self.origin, self.storage_origin = (f"http://127.0.0.1:{one.server_port}" for one in self._servers)

    def close(self) -> None:
        """Stop the servers."""
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def load(self, exchanges: Iterable[Exchange]) -> None:
        """Set the replies: those of a method and path one after the other, the last one ever after."""
        with self._lock:
            self.requests = 0
            self._left = {}
            for one in exchanges:
                self._left.setdefault((one.method, one.path), []).append(one)

    def answer(self, method: str, path: str) -> tuple[int, Sequence[tuple[str, str]], bytes]:
        """Return status, headers and body of the next reply."""
        with self._lock:
            self.requests += 1
            left = self._left.get((method, path))
            if self.requests > _PATIENT:
                return 500, [], b"{}"
            if not left:
                return 404, [("Content-Type", "application/json")], b'{"detail": "not recorded"}'
            one = left.pop(0) if len(left) > 1 else left[0]
        return one.status, one.headers, one.body

    def _serve(self, *, storage: bool) -> ThreadingHTTPServer:
        class Bound(_Handler):
            player = self
            is_storage = storage

        server = _Server(("127.0.0.1", 0), Bound)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """Print nothing: clients that do not like a reply close the connection."""


class _Handler(BaseHTTPRequestHandler):
    player: Player
    is_storage: bool
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        """Log nothing."""

    def _answer(self) -> None:
        body = self._body()
        path = urlsplit(self.path).path
        if self.player.targets:
            status, headers, data = self._forward(body)
            found = Exchange(self.command, path, self.is_storage, status, headers, data)
            self.player.exchanges.append(found)
        else:
            status, headers, data = self.player.answer(self.command, path)  # type: ignore[assignment]
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        out = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            out += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return out

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        target = urlsplit((self.player.targets or ("", ""))[int(self.is_storage)])
        connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=20)
        kept = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in _HOP | {"accept-encoding", "host"}
        }
        connection.request(self.command, self.path, body or None, kept)
        reply = connection.getresponse()
        data = reply.read()
        headers = [(name, value) for name, value in reply.getheaders() if name.lower() not in _HOP]
        connection.close()
        return reply.status, headers, data

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _answer  # noqa: N815
