"""Readers of rows: their common interface, and the reader that follows ``next`` links."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from airflow_provider.amigocloud import api
from airflow_provider.amigocloud.export.checkpoint import ResumePoint, SavedPages
from airflow_provider.amigocloud.pagination import Page, follow, prefetch, walk, without_parameter
from airflow_provider.core.hook import ApiHook
from airflow_provider.errors import IncompleteExportError

SnapshotParams = Mapping[str, Any]
"""Parameters that select a state of a dataset; empty for the current one."""

Key = str | bool | int | float | Decimal
"""Value of a key column; a number with a fraction is exact, as a decimal."""


@dataclass(frozen=True)
class ReadOptions:
    """Page size and concurrency of a reader.

    :param page_size: rows to request per page; the service may return fewer.
    :param concurrency: maximum concurrent requests, for readers that support them.
    """

    page_size: int = 1000
    concurrency: int = 1


@dataclass(frozen=True)
class Outline:
    """Size and key range of a table a moment ago; used only to cut the table into ranges.

    :param rows: number of rows.
    :param first: the smallest key.
    :param last: the greatest key.
    :param limit: maximum rows per reply of the service, if the service reports it.
    """

    rows: int
    first: Key | None
    last: Key | None
    limit: int | None


class Reader(Protocol):
    """Reader of all rows of a relation, page by page; it can resume after a page."""

    def prepare(self) -> Outline | None:
        """Return the table's outline if the reader can use it; runs while the state to read is requested."""

    def pages(
        self, snapshot: SnapshotParams, saved: SavedPages | None, outline: Outline | None = None
    ) -> Iterator[Page]:
        """Yield all pages.

        :param snapshot: selects the state to read.
        :param saved: pages of that state that earlier attempts have saved; only the pages after them are
            read.
        :param outline: result of :meth:`prepare`; it may be out of date.
        """

    def resume_point(self, page: Page) -> ResumePoint | None:
        """Return where to resume after a page; None after the last one."""


class NextLinkReader:
    """Reader of a query that follows its ``next`` links, one page ahead.

    :param hook: hook of the connection.
    :param sql: the query.
    :param options: page size; the concurrency has no effect.
    """

    def __init__(self, hook: ApiHook, sql: str, options: ReadOptions) -> None:
        self._hook = hook
        self._sql = sql
        self._options = options

    def prepare(self) -> Outline | None:
        """Return None: links cannot be followed concurrently."""
        return None

    def pages(
        self, snapshot: SnapshotParams, saved: SavedPages | None, outline: Outline | None = None
    ) -> Iterator[Page]:
        """Yield all pages, see :meth:`Reader.pages`.

        :raises IncompleteExportError: when the service's count of rows changes between pages.
        """
        call = api.sql(self._sql, limit=self._options.page_size, **snapshot)
        if saved is not None:
            call = follow(call, str(saved.resume_point))
        return check_counts(prefetch(walk(self._hook.send, call)), saved)

    def resume_point(self, page: Page) -> ResumePoint | None:
        """Return the link to the next page, without the query, which may be long."""
        return without_parameter(page.next, "query")


def check_counts(pages: Iterator[Page], saved: SavedPages | None = None) -> Iterator[Page]:
    """Yield pages while the service's count of rows stays the same.

    :param pages: the pages.
    :param saved: pages that earlier attempts have saved, with their count.
    :raises IncompleteExportError: when the count changes.
    """
    is_first, count = saved is None, saved.count if saved else None
    for page in pages:
        if not is_first and count is not None and page.count != count:
            raise IncompleteExportError(
                f"the data changed while it was read page by page: the service counted {count} rows, then"
                f" {page.count}; nothing was published"
            )
        is_first, count = False, page.count if is_first else count
        yield page
