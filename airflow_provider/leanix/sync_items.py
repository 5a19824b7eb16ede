"""Items of the sync log: pages, newest first, read so that each item comes once though others are added.

The service's OpenAPI file does not have the sync log. Path, parameters and fields are those of a script in
the vendor's public repository: items have ``type``, ``status``, ``source``, ``createdAt``, and perhaps more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any

from airflow_provider.core.state.identity import fingerprint
from airflow_provider.errors import IncompleteExportError

PAGE = 100
"""Items per page, the size that the vendor's script asks for."""

STATUSES = ("OK", "INFO", "WARNING", "ERROR")
"""Statuses of items in the vendor's documentation."""

_KNOWN_PAGES = 200
"""Pages whose items are known when the next one is read."""

_MAX_REPEATED = 2
"""Equal pages in a row after which reading ends; two are equal when a page of items was added meanwhile."""

Fetch = Callable[[int], Awaitable[list[dict[str, Any]]]]
"""Function that returns a page by its number, from 1."""


async def read_items(fetch: Fetch, *, since: datetime | None = None) -> AsyncGenerator[dict[str, Any], None]:
    """Yield the items of the log, newest first.

    Items that are added meanwhile move the others to later pages: those that come again are left out by their
    id, or, without ids, when all their fields are equal. Added items come with the next reading.

    :param fetch: see :data:`Fetch`.
    :param since: time before which items are left out; reading ends with the page that has only such items.
    :raises IncompleteExportError: when pages are the same, or an item has no time.
    """
    known: deque[set[str]] = deque(maxlen=_KNOWN_PAGES)
    before: list[dict[str, Any]] = []
    order = _Order()
    repeated = 0
    for number in count(1):
        rows = await fetch(number)
        repeated = repeated + 1 if rows == before else 0
        if not rows or (repeated >= _MAX_REPEATED and len(rows) < PAGE):
            return
        if repeated >= _MAX_REPEATED:
            raise IncompleteExportError(
                f"page {number} of the sync log is the same as those before: the service may not understand"
                " the number of the page"
            )
        new = _new_items(rows, known)
        for row in new.values():
            at = created_at(row)
            if since is not None and at is None:
                raise without_time(row)
            order.add(at)
            if since is None or at is None or at >= since:
                yield row
        if since is not None and order.is_kept and order.last and order.last < since:
            return
        known.append(set(new))
        before = rows


class _Order:
    """Check whether items come newest first."""

    def __init__(self) -> None:
        self.is_kept = True
        self.last: datetime | None = None

    def add(self, at: datetime | None) -> None:
        """Add the time of the next item."""
        if at is not None:
            self.is_kept = self.is_kept and (self.last is None or at <= self.last)
            self.last = at


def _new_items(rows: list[dict[str, Any]], known: deque[set[str]]) -> dict[str, dict[str, Any]]:
    """Return the items of a page by their keys, without those of the pages before."""
    found = {}
    for row in rows:
        key = key_of(row)
        if not any(key in page for page in known):
            found[key] = row
    return found


def key_of(row: Mapping[str, Any]) -> str:
    """Return what tells an item from others: its id, or else all its fields."""
    found = row.get("id")
    return f"id {found}" if found not in (None, "") else fingerprint(row)


def created_at(row: Mapping[str, Any]) -> datetime | None:
    """Return the time of an item, a text or milliseconds since the epoch; None without one."""
    found = row.get("createdAt")
    try:
        if isinstance(found, str):
            moment = datetime.fromisoformat(found)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if isinstance(found, (int, float)) and not isinstance(found, bool):
            return datetime.fromtimestamp(found / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def without_time(row: Mapping[str, Any]) -> IncompleteExportError:
    """Return the error of an item that cannot be selected by its time; it names fields, not their values."""
    return IncompleteExportError(
        "an item of the sync log has no 'createdAt' that is a time: fields"
        f" {', '.join(sorted(map(str, row)))[:200]}; without 'since' and 'incremental' it is exported"
    )
