"""Frames of AmigoCloud's socket: Engine.IO 3 and 4, with Socket.IO inside. No I/O.

A frame is a text. Its first digit is Engine.IO's type (open, close, ping, pong, message). The second digit
of a message is Socket.IO's type (connect, disconnect, event, error). Both are seen in clients of the vendor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NAMESPACE = "/amigosocket"
"""Socket.IO namespace of the vendor's events (seen in the vendor's clients)."""

JOIN = f"40{NAMESPACE}"

PING, PONG, CLOSE = "2", "3", "1"


@dataclass(frozen=True)
class Handshake:
    """The first frame of a connection.

    :param ping_interval: seconds between pings.
    :param ping_timeout: maximum seconds until a ping's answer.
    """

    ping_interval: float = 25.0
    ping_timeout: float = 60.0


@dataclass(frozen=True)
class Ping:
    """A ping of the server (Engine.IO 4); the client answers it with the same data."""

    data: str = ""


@dataclass(frozen=True)
class Joined:
    """The server has accepted the client into the namespace."""


@dataclass(frozen=True)
class Refused:
    """The server has refused the client access to the namespace.

    :param reason: the server's message.
    """

    reason: str = ""


@dataclass(frozen=True)
class Closed:
    """The server closes the connection or the namespace."""


@dataclass(frozen=True)
class Event:
    """An event of the service.

    :param name: such as ``dataset:creation_succeeded`` or ``realtime``.
    :param data: JSON of the payload. It can be megabytes, so it is decoded only on demand.
    """

    name: str
    data: bytes = b"{}"

    @property
    def payload(self) -> dict[str, Any]:
        """The whole payload; empty unless it is a JSON object."""
        payload = _decode(self.data)
        return payload if isinstance(payload, dict) else {}

    def brief(self) -> dict[str, Any]:
        """Return texts and numbers of the payload, and the length of each list as ``<name>_count``."""
        import msgspec

        out: dict[str, Any] = {}
        for name, raw in (_decode(self.data, dict[str, msgspec.Raw]) or {}).items():
            start = bytes(memoryview(raw)[:1])
            if start == b"[":
                out[f"{name}_count"] = len(_decode(raw, list[msgspec.Raw]) or ())
            elif start not in {b"{", b"n"}:
                out[name] = _decode(raw)
        return out


@dataclass(frozen=True)
class Ignored:
    """A frame that needs no action: a pong, a frame of another namespace, or an unknown one."""


Frame = Handshake | Ping | Joined | Refused | Closed | Event | Ignored


def parse_frame(text: str) -> Frame:
    """Parse a frame; an invalid one is :class:`Ignored`, so that it does not break the connection."""
    kind, rest = text[:1], text[1:]
    if kind == "0":
        return _handshake(rest)
    if kind == PING:
        return Ping(rest)
    if kind == CLOSE:
        return Closed()
    return _message(rest) if kind == "4" else Ignored()


def _handshake(text: str) -> Handshake:
    data = _decode(text)
    if not isinstance(data, dict):
        return Handshake()
    interval, timeout = data.get("pingInterval"), data.get("pingTimeout")
    return Handshake(_seconds(interval, Handshake.ping_interval), _seconds(timeout, Handshake.ping_timeout))


def _seconds(milliseconds: Any, default: float) -> float:
    is_number = isinstance(milliseconds, (int, float)) and not isinstance(milliseconds, bool)
    return float(milliseconds) / 1000 if is_number and 0 < milliseconds < 1e12 else default


def _message(text: str) -> Frame:
    kind, rest = text[:1], text[1:]
    namespace, _, data = rest.partition(",") if rest.startswith("/") else ("/", "", rest)
    if namespace.partition("?")[0] != NAMESPACE:
        return Ignored()
    if kind == "0":
        return Joined()
    if kind == "1":
        return Closed()
    if kind == "4":
        reason = _decode(data)
        if isinstance(reason, dict):
            return Refused(str(reason.get("message", reason)))
        return Refused(str(reason or data))
    return _event(data) if kind == "2" else Ignored()


def _event(text: str) -> Frame:
    import msgspec

    # An event that requests an acknowledgement has a number in front; no client of the vendor answers it.
    items = _decode(text.lstrip("0123456789"), list[msgspec.Raw])
    name = _decode(items[0]) if items else None
    if not isinstance(name, str):
        return Ignored()
    return Event(name, bytes(items[1]) if len(items) > 1 else b"{}")


def _decode(text: Any, kind: Any = Any) -> Any:
    """Decode JSON; return None for invalid JSON, or JSON of another type."""
    import msgspec

    try:
        return msgspec.json.decode(text, type=kind) if text else None
    except (msgspec.DecodeError, RecursionError):
        return None


def format_event(name: str, payload: dict[str, Any]) -> str:
    """Return the frame of an event that the client sends."""
    import msgspec

    return f"42{NAMESPACE},{msgspec.json.encode([name, payload]).decode()}"
