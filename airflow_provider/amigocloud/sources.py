"""Where an export's rows come from: a dataset, a query, or a list; each knows when it is complete."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from airflow_provider.amigocloud import api
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.journal import Journal
from airflow_provider.amigocloud.keyset import Keyset
from airflow_provider.amigocloud.pages import Page, ahead, walk
from airflow_provider.core.calls import Call
from airflow_provider.errors import IncompleteExportError, InputError

_READS = re.compile(r"[\s(]*(select|with|values)\b", re.IGNORECASE)


class _Named(msgspec.Struct):
    id: str | int | None = None


_named = msgspec.json.Decoder(list[_Named])


@dataclass(frozen=True)
class Reading:
    """How to read.

    :param page_size: rows to ask for; the service may give fewer.
    :param concurrency: how many requests at once, where that is safe.
    """

    page_size: int = 1000
    concurrency: int = 1


class Source(Protocol):
    """What an export reads.

    :param state: hash of the snapshot, None when there is none.
    """

    state: str | None

    def pages(self) -> Iterator[Page]:
        """Give all pages; raises :class:`IncompleteExportError` when they are not the whole."""


class Snapshot:
    """A dataset or a query in key order, inside of a snapshot where there is one.

    :param hook: the connection.
    :param relation: what follows FROM.
    :param key: column whose values are unique and never null.
    :param reading: how to read.
    :param pin: parameters that select a snapshot.
    :param journal: what earlier tries have read of that snapshot.
    """

    def __init__(
        self,
        hook: AmigoCloudHook,
        relation: str,
        key: str,
        reading: Reading,
        pin: dict[str, Any],
        journal: Journal,
    ) -> None:
        self._hook = hook
        self._pin = pin
        self._key = key
        self._journal = journal
        self.state: str | None = pin.get("state")
        limit = (journal.kept.limit if journal.kept else None) or reading.page_size
        size = min(reading.page_size, limit)
        self._keyset = Keyset(self._ask, relation, key, page_size=size, concurrency=reading.concurrency)

    def pages(self) -> Iterator[Page]:
        """Give all pages: first those of earlier tries, then what is missing."""
        if self.state is None:
            yield from self._keyset.pages()
            return
        kept, left = self._journal.kept, None
        if kept is not None:
            yield from self._journal.replay()
            left = None if kept.count is None else kept.count - kept.rows
        if left != 0:
            pages = self._keyset.pages(kept.last if kept else None, left)
            yield from self._journal.record(pages, self.state, self._key)

    def _ask(self, sql: str, limit: int) -> Page:
        pages = walk(self._hook.send, api.sql(sql, limit=limit, **self._pin))
        return next(page for page in pages if page.rows or page.next is None)


class Walk:
    """A list or a query, following its ``next`` links, one page ahead.

    :param hook: the connection.
    :param call: asks for the first page.
    :param state: hash of the snapshot that the call selects, if it does.
    :param named: whether each item has an ``id`` of its own, where it has one: nothing else tells that items
        have moved from one page to the next.
    """

    def __init__(
        self, hook: AmigoCloudHook, call: Call[Page], state: str | None = None, *, named: bool = False
    ) -> None:
        self._hook = hook
        self._call = call
        self._named = named
        self._ids: set[str | int] = set()
        self.state = state

    def pages(self) -> Iterator[Page]:
        """Give all pages.

        :raises IncompleteExportError: when the service counts differently on the way.
        """
        read, count = 0, None
        for page in ahead(walk(self._hook.send, self._call)):
            if read and page.count != count:
                raise IncompleteExportError(
                    f"the data changed while it was read page by page: the service counted {count} rows, then"
                    f" {page.count}; nothing was published"
                )
            read, count = read + 1, page.count
            if self._named:
                self._check_ids(page)
            yield page

    def _check_ids(self, page: Page) -> None:
        for item in _named.decode(page.joined()):
            if item.id is None:
                continue
            if item.id in self._ids:
                raise IncompleteExportError(
                    f"the list changed while it was read page by page: item {item.id} came twice; nothing was"
                    " published"
                )
            self._ids.add(item.id)


class Watched:
    """Another source, read while nothing changes in certain datasets.

    :param source: the other source.
    :param hook: the connection.
    :param datasets: ids of the datasets.
    """

    def __init__(self, source: Source, hook: AmigoCloudHook, datasets: Sequence[str]) -> None:
        self._source = source
        self._hook = hook
        self._datasets = datasets
        self.state: str | None = None

    def pages(self) -> Iterator[Page]:
        """Give all pages.

        :raises IncompleteExportError: when one of the datasets changed in between.
        """
        before = self._masters()
        read = 0
        for page in self._source.pages():
            read += 1
            yield page
        if read > 1 and before != self._masters():
            raise IncompleteExportError(
                f"one of the datasets {', '.join(self._datasets)} changed while the query was read page by"
                " page, so rows may be missing or doubled; nothing was published, try again"
            )

    def _masters(self) -> list[str]:
        return [self._hook.get_master(dataset) for dataset in self._datasets]


def dataset_source(
    hook: AmigoCloudHook,
    dataset: int | str,
    reading: Reading,
    journal: Journal,
    condition: str | None = None,
) -> Source:
    """Read a whole dataset inside of its latest state, whatever is written meanwhile.

    :param journal: what earlier tries have read.
    :param condition: read only the rows of which this is true.
    """
    number = api.dataset_path(dataset, in_project=True).path.rpartition("/")[2]
    pin = {"state": journal.state or hook.get_master(number), "dataset_id": number}
    return Snapshot(hook, _filtered(f"dataset_{number}", condition), "amigo_id", reading, pin, journal)


def _filtered(relation: str, condition: str | None) -> str:
    if condition is None:
        return relation
    # The relation is a dataset or the user's own query; the condition is quoted where it was made.
    return f"(SELECT * FROM {relation} WHERE {condition}) AS fresh"  # noqa: S608


def sql_source(
    hook: AmigoCloudHook,
    sql: str,
    key: str | None,
    reading: Reading,
    journal: Journal,
    condition: str | None = None,
) -> Source:
    """Read a query.

    A query about one dataset is read inside of that dataset's latest state (as a vendor's sample does it).
    One about several is read as they are, and fails when they changed on the way.

    :param key: a unique column of the result, to read in its order.
    :param journal: what earlier tries have read.
    :param condition: with a key: read only the rows of which this is true.
    """
    statement = sql.strip().rstrip(";").strip()
    if not _READS.match(statement):
        raise InputError("must be a query: it starts with SELECT, WITH or VALUES", "sql")
    datasets = tuple(sorted(set(re.findall(r"\bdataset_(\d+)\b", statement))))
    pin: dict[str, Any] = {}
    if len(datasets) == 1:
        pin = {"state": journal.state or hook.get_master(datasets[0]), "dataset_id": datasets[0]}
    source: Source
    if key is not None:
        relation = _filtered(f"({statement}\n) AS asked", condition)
        source = Snapshot(hook, relation, key, reading, pin, journal)
    else:
        hook.log.info(
            "Reading the query page by page; with 'key', a unique column of its result, it could be read in"
            " key order, which stays exact and quick however large it is, several pages at once"
        )
        source = Walk(hook, api.sql(statement, limit=reading.page_size, **pin), pin.get("state"))
    return Watched(source, hook, datasets) if len(datasets) > 1 else source


def list_source(hook: AmigoCloudHook, url: str, reading: Reading) -> Source:
    """Read a list endpoint."""
    return Walk(hook, api.list_page(url, reading.page_size), named=True)
