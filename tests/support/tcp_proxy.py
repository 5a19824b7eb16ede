"""TCP proxy before a database: it lets a commit through and loses the answer, or loses the commit itself."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

_COMMIT = b"COMMIT\0"
"""Text of the request to commit, and of its answer, in PostgreSQL's protocol."""


class CommitProxy:
    """Loopback proxy; used in a ``with`` block.

    :param port: the database's port.
    :param loses: ``answer`` or ``request``: which message of the first commit is lost, with its connection.
    :param then_refuses: whether further connections are closed at once.
    """

    def __init__(self, port: int, loses: str, *, then_refuses: bool = False) -> None:
        self._target = port
        self._loses = loses
        self._then_refuses = then_refuses
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.lost = 0

    def __enter__(self) -> CommitProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.lost and self._then_refuses:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._target))
            for source, target, kind in ((client, server, "request"), (server, client, "answer")):
                threading.Thread(target=self._copy, args=(source, target, kind), daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket, kind: str) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if kind == self._loses and not self.lost and _COMMIT in data:
                    self.lost += 1
                    break
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
