"""The frames of AmigoCloud's socket: Engine.IO 3 and 4, and Socket.IO inside of it. No I/O.

A frame is a text. Its first digit is Engine.IO's (open, close, ping, pong, message), the second one of a
message Socket.IO's (connect, disconnect, event, error). Both are seen in clients of the vendor.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

NAMESPACE = "/amigosocket"
"""Where the vendor's events are told (seen in the vendor's clients)."""

JOIN = f"40{NAMESPACE}"
LEAVE = f"41{NAMESPACE}"
PING, PONG, CLOSE = "2", "3", "1"


@dataclass(frozen=True)
class Opened:
    """The first frame.

    :param ping_interval: seconds between pings.
    :param ping_timeout: seconds that an answer may take.
    """

    ping_interval: float = 25.0
    ping_timeout: float = 60.0


@dataclass(frozen=True)
class Pinged:
    """The other side asks whether we are there (Engine.IO 4); to be answered with the same data."""

    data: str = ""


@dataclass(frozen=True)
class Joined:
    """We are in the namespace."""


@dataclass(frozen=True)
class Refused:
    """We are not let into the namespace."""

    why: str = ""


@dataclass(frozen=True)
class Ended:
    """The other side leaves."""


@dataclass(frozen=True)
class Happened:
    """An event.

    :param name: such as ``dataset:creation_succeeded`` or ``realtime``.
    :param payload: what it tells; empty when it tells nothing.
    """

    name: str
    payload: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Other:
    """A frame that asks for nothing: a pong, another namespace, what is not known."""


Frame = Opened | Pinged | Joined | Refused | Ended | Happened | Other


def read(text: str) -> Frame:
    """Read a frame; what makes no sense is :class:`Other`, as nobody is helped by a broken connection."""
    kind, rest = text[:1], text[1:]
    if kind == "0":
        return _opened(rest)
    if kind == PING:
        return Pinged(rest)
    if kind == CLOSE:
        return Ended()
    return _message(rest) if kind == "4" else Other()


def _opened(text: str) -> Opened:
    said = _decode(text)
    if not isinstance(said, dict):
        return Opened()
    interval, timeout = said.get("pingInterval"), said.get("pingTimeout")
    return Opened(_seconds(interval, Opened.ping_interval), _seconds(timeout, Opened.ping_timeout))


def _seconds(value: Any, default: float) -> float:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
    return float(value) / 1000 if good else default


def _message(text: str) -> Frame:
    kind, place = text[:1], text[1:]
    namespace, _, data = place.partition(",") if place.startswith("/") else ("/", "", place)
    if namespace.partition("?")[0] != NAMESPACE:
        return Other()
    if kind == "0":
        return Joined()
    if kind == "1":
        return Ended()
    if kind == "4":
        why = _decode(data)
        return Refused(str(why.get("message", why)) if isinstance(why, dict) else str(why or data))
    return _happened(data) if kind == "2" else Other()


def _happened(data: str) -> Frame:
    # An event that wants to be acknowledged has a number in front; no client of the vendor answers it.
    said = _decode(data.lstrip("0123456789"))
    if not isinstance(said, list) or not said or not isinstance(said[0], str):
        return Other()
    payload = said[1] if len(said) > 1 and isinstance(said[1], dict) else {}
    return Happened(said[0], payload)


def _decode(text: str) -> Any:
    import msgspec

    try:
        return msgspec.json.decode(text) if text else None
    except msgspec.DecodeError:
        return None


def event(name: str, payload: dict[str, Any]) -> str:
    """Spell an event of our own."""
    import msgspec

    return f"42{NAMESPACE},{msgspec.json.encode([name, payload]).decode()}"
