"""A host that nobody should send a credential to."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Foreign:
    """Listens, answers everything with an empty object, and keeps every byte that it gets."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.seen = b""
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def place(self) -> str:
        """Its ``host:port``."""
        return f"127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop listening."""
        # Closing alone does not wake the thread that waits.
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
