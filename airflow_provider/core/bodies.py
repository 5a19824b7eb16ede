"""Bounds what a reply may take of memory, whatever its service sends and however well that is packed."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from airflow_provider.core.calls import Reply
from airflow_provider.core.policy import Lost

MIB = 1024 * 1024
LARGEST = 512 * MIB
"""Bytes of a good reply: what is larger has an endpoint that gives it in pages, or is streamed to a file."""
LARGEST_REFUSAL = MIB
"""Bytes that are read of any other reply: enough to say why."""


class Gathering:
    """The body of one reply, as it comes in.

    :param good: statuses that mean success; other replies are read in part.
    :param status: the reply's status.
    :param headers: its headers.
    """

    def __init__(self, good: Collection[int], status: int, headers: Mapping[str, str]) -> None:
        self._status = status
        self._headers = {name.lower(): value for name, value in headers.items()}
        self._good = status in good
        self._left = LARGEST if self._good else LARGEST_REFUSAL
        self._chunks: list[bytes] = []

    @property
    def fits(self) -> bool:
        """Whether its body may be read: one that is packed twice unpacks a million times in one step."""
        return "," not in self._headers.get("content-encoding", "")

    def add(self, chunk: bytes) -> bool:
        """Take a piece, unpacked; tells whether there is room for more."""
        self._left -= len(chunk)
        self._chunks.append(chunk if self._left >= 0 else chunk[: self._left])
        return self._left >= 0

    def outcome(self) -> Reply | Lost:
        """Give the reply; of a refusal its beginning. A good reply that is too large is none."""
        too_large = f"its reply is larger than {LARGEST // MIB} MiB" if self._good and self._left < 0 else ""
        if why := too_large if self.fits else "its reply is packed more than once":
            return Lost(sent=True, why=why, hopeless=True)
        return Reply(self._status, self._headers, b"".join(self._chunks))
