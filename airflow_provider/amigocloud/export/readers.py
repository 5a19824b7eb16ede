"""Two ways through rows: by their keys, or by following ``next`` links. Either can go on where it stopped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from airflow_provider.amigocloud import api
from airflow_provider.amigocloud.export.checkpoint import Kept, Place
from airflow_provider.amigocloud.export.keyset import Keyset, Outline, read_outline
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.pagination import Page, ahead, follow, walk, without
from airflow_provider.errors import IncompleteExportError, RequestRejectedError

Pin = Mapping[str, Any]
"""Parameters that select a state of a dataset; none for what is there now."""


@dataclass(frozen=True)
class Reading:
    """How to read.

    :param page_size: rows to ask for; the service may give fewer.
    :param concurrency: how many requests at once, where that is safe.
    """

    page_size: int = 1000
    concurrency: int = 1


class Reader(Protocol):
    """Reads a query."""

    def prepare(self) -> None:
        """Ask what helps to read, while somebody else asks for the state to read."""

    def pages(self, pin: Pin, kept: Kept | None) -> Iterator[Page]:
        """Give all pages.

        :param pin: the state to read.
        :param kept: what earlier tries have read of that state; the pages behind it are given.
        """

    def place(self, page: Page) -> Place | None:
        """Say where to go on behind a page."""


class ByKey:
    """Reads in key order, several pages at once where the keys allow that.

    :param hook: the connection.
    :param relation: what follows FROM.
    :param key: column whose values are unique and never null.
    :param reading: how to read.
    """

    def __init__(self, hook: AmigoCloudHook, relation: str, key: str, reading: Reading) -> None:
        self._hook = hook
        self._relation = relation
        self._key = key
        self._reading = reading
        self._pin: Pin = {}
        self._outline: Outline | None = None

    def prepare(self) -> None:
        """Ask how many rows there are, and between which keys."""
        if self._reading.concurrency == 1:
            return  # one after the other, they are not cut into ranges
        call = api.sql(self._keyset().outline_query(), limit=self._reading.page_size)
        try:
            self._outline = self._hook.send(call.with_reader(read_outline))
        except RequestRejectedError as error:
            if error.status != 400:
                raise
            # A key of a type that has no least value, say. The first page does it, too, and a query that
            # is wrong fails there.

    def pages(self, pin: Pin, kept: Kept | None) -> Iterator[Page]:
        """Give all pages in key order."""
        self._pin = pin
        keyset = self._keyset(kept.limit if kept else None)
        if kept is None:
            return keyset.pages(outline=self._outline)
        return keyset.pages(kept.place, None if kept.count is None else kept.count - kept.rows)

    def place(self, page: Page) -> Place | None:
        """Give the page's last key."""
        place: Place = msgspec.json.decode(page.rows[-1], type=dict[str, Any])[self._key]
        return place

    def _keyset(self, limit: int | None = None) -> Keyset:
        size = min(self._reading.page_size, limit or self._reading.page_size)
        return Keyset(
            self._ask, self._relation, self._key, page_size=size, concurrency=self._reading.concurrency
        )

    def _ask(self, sql: str, limit: int) -> Page:
        pages = walk(self._hook.send, api.sql(sql, limit=limit, **self._pin))
        return next(page for page in pages if page.rows or page.next is None)


class ByLink:
    """Reads page after page, one page ahead.

    :param hook: the connection.
    :param sql: the query.
    :param reading: how to read.
    """

    def __init__(self, hook: AmigoCloudHook, sql: str, reading: Reading) -> None:
        self._hook = hook
        self._sql = sql
        self._reading = reading

    def prepare(self) -> None:
        """Ask nothing: the first page tells."""

    def pages(self, pin: Pin, kept: Kept | None) -> Iterator[Page]:
        """Give all pages.

        :raises IncompleteExportError: when the service counts differently on the way.
        """
        call = api.sql(self._sql, limit=self._reading.page_size, **pin)
        if kept is None:
            return counted(ahead(walk(self._hook.send, call)))
        return counted(ahead(walk(self._hook.send, follow(call, str(kept.place)))), kept)

    def place(self, page: Page) -> Place | None:
        """Give the link to the following page, without the query, which may be long."""
        return without(page.next, "query")


def counted(pages: Iterator[Page], kept: Kept | None = None) -> Iterator[Page]:
    """Give pages on, as long as the service counts the same rows on each.

    :param kept: what earlier tries have read.
    :raises IncompleteExportError: when it does not.
    """
    first, count = kept is None, kept.count if kept else None
    for page in pages:
        if not first and page.count != count:
            raise IncompleteExportError(
                f"the data changed while it was read page by page: the service counted {count} rows, then"
                f" {page.count}; nothing was published"
            )
        first, count = False, page.count
        yield page
