"""Hostile host: a real server on loopback that sends any bytes, which no web framework would send."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class HostileHost:
    """Loopback server that sends the same bytes for every request, and counts and records the requests.

    :param reply: all bytes of the response, its status line included.
    """

    def __init__(self, reply: bytes) -> None:
        self.reply = reply
        self.requests = 0
        self.seen = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        # Closing alone does not wake the accepting thread.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.settimeout(30)
                self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        self._receive(connection)
        self.requests += 1
        connection.sendall(self.reply)

    def _receive(self, connection: socket.socket) -> None:
        """Record a request up to the end of its head."""
        received = b""
        while b"\r\n\r\n" not in received and (data := connection.recv(65536)):
            received += data
            self.seen += data


def response(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """Return the bytes of a response whose connection ends with it."""
    length = b"Content-Length: %d" % len(body)
    return b"\r\n".join([b"HTTP/1.1 " + status, length, b"Connection: close", *headers, b"", body])
