"""Foreign host that records what it receives: no credential may be sent to it."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class RecordingHost:
    """Loopback HTTP server that replies with an empty JSON object, and records every byte in ``seen``."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.seen = b""
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def address(self) -> str:
        """``host:port`` of the server."""
        return f"127.0.0.1:{self.port}"

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
                connection.settimeout(5)
                self.seen += connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
