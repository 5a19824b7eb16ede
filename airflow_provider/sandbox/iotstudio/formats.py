"""How IoT Studio puts things on the wire: requests, errors, ids and times."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider.sandbox.iotstudio.records import Category, Space
    from airflow_provider.sandbox.iotstudio.service import IoTStudioService

Answer = tuple[int, Any]
"""Status and JSON body; a body of None is an empty one."""

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class RefusedError(Exception):
    """What the service answers instead of a result."""

    def __init__(self, status: int, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"error": {"status": status, "message": message}}
        if details:
            self.body["error"]["details"] = dict(details)


def missing() -> RefusedError:
    """Make the answer for an item that does not exist."""
    return RefusedError(404, "Item not found")


@dataclass
class Ask:
    """One request to a resource of a space, authenticated.

    :param category: set when the request came by the category-scoped route.
    :param args: the names and ids in the path, unquoted.
    :param query: the query's pairs in their order.
    """

    service: IoTStudioService
    space: Space
    category: Category | None
    args: Mapping[str, str]
    query: list[tuple[str, str]]
    body: bytes
    preview: str

    def one(self, key: str, default: str = "") -> str:
        """Give the last value of a query parameter."""
        return next((value for name, value in reversed(self.query) if name == key), default)

    def all(self, key: str) -> list[str]:
        """Give every value of a repeated query parameter."""
        return [value for name, value in self.query if name == key]

    def flag(self, key: str) -> bool | None:
        """Read a boolean of the query; None when it is absent."""
        text = self.one(key).lower()
        if text not in {"", "true", "false"}:
            raise RefusedError(400, f"invalid {key}")
        return None if not text else text == "true"

    def json(self) -> Any:
        """Decode the body."""
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError as error:
            raise RefusedError(400, "malformed body") from error

    def fields(self) -> dict[str, Any]:
        """Decode a body that must be an object."""
        body = self.json()
        if not isinstance(body, dict):
            raise RefusedError(400, "malformed body")
        return body


def ulid(milliseconds: int, seed: str) -> str:
    """Make the same 26-character id for the same time and seed."""
    number = (milliseconds << 80) | int.from_bytes(hashlib.sha256(seed.encode()).digest()[:10], "big")
    return "".join(ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def rfc3339(nanoseconds: int) -> str:
    """Spell a time as descriptions of Things have it, with nanoseconds."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{_calendar(seconds):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def short_time(milliseconds: int) -> str:
    """Spell a time as the history has it: milliseconds where there are some."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_calendar(seconds):%Y-%m-%dT%H:%M:%S}{f'.{rest:03d}' if rest else ''}Z"


def blank_time(seconds: float) -> str:
    """Spell a time as actions and events have it: a blank, and an offset without a colon."""
    return f"{_calendar(int(seconds)):%Y-%m-%d %H:%M:%S}+0000"


def _calendar(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def parse_time(text: str) -> int:
    """Read a time or its short forms (``2022``, ``2022-12``, ``2023-05-15``) as milliseconds."""
    padded = {4: f"{text}-01-01", 7: f"{text}-01"}.get(len(text), text)
    try:
        moment = datetime.fromisoformat(padded)
    except ValueError as error:
        raise RefusedError(400, f"invalid date {text!r}") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
