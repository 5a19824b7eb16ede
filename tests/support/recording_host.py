"""Foreign host that records what it receives: no credential may be sent to it."""

from __future__ import annotations

import socket

from tests.support.hostile_host import HostileHost, response


class RecordingHost(HostileHost):
    """Loopback HTTP server that replies with an empty JSON object, and records all bytes in ``seen``."""

    def __init__(self) -> None:
        super().__init__(response(b"{}"))

    @property
    def address(self) -> str:
        """``host:port`` of the server."""
        return f"127.0.0.1:{self.port}"

    def _receive(self, connection: socket.socket) -> None:
        """Record the first bytes, whatever they are: a client of TLS sends no head."""
        self.seen += connection.recv(65536)
