"""The frames of AmigoCloud's socket: Engine.IO 3 and 4, and Socket.IO inside of it. No I/O.

A frame is a text. Its first digit is Engine.IO's (open, close, ping, pong, message), the second one of a
message Socket.IO's (connect, disconnect, event, error). Both are seen in clients of the vendor.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    :param said: JSON of what it tells; it can be megabytes, so it is read no further than somebody needs it.
    """

    name: str
    said: bytes = b"{}"

    @property
    def payload(self) -> dict[str, Any]:
        """All that it tells; empty when that is nothing."""
        said = _decode(self.said)
        return said if isinstance(said, dict) else {}

    def brief(self) -> dict[str, Any]:
        """Give texts and numbers, and of each list how long it is, as ``<name>_count``."""
        import msgspec

        out: dict[str, Any] = {}
        for name, raw in (_decode(self.said, dict[str, msgspec.Raw]) or {}).items():
            start = bytes(memoryview(raw)[:1])
            if start == b"[":
                out[f"{name}_count"] = len(_decode(raw, list[msgspec.Raw]) or ())
            elif start not in {b"{", b"n"}:
                out[name] = _decode(raw)
        return out


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
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e12
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
    import msgspec

    # An event that wants to be acknowledged has a number in front; no client of the vendor answers it.
    said = _decode(data.lstrip("0123456789"), list[msgspec.Raw])
    name = _decode(said[0]) if said else None
    if not isinstance(name, str):
        return Other()
    return Happened(name, bytes(said[1]) if len(said) > 1 else b"{}")


def _decode(text: Any, kind: Any = Any) -> Any:
    """Decode JSON; None for what is none, or is of another kind."""
    import msgspec

    try:
        return msgspec.json.decode(text, type=kind) if text else None
    except (msgspec.DecodeError, RecursionError):
        return None


def event(name: str, payload: dict[str, Any]) -> str:
    """Spell an event of our own."""
    import msgspec

    return f"42{NAMESPACE},{msgspec.json.encode([name, payload]).decode()}"
