"""Where an export's rows come from: a dataset, a query, or a list; each knows when it is complete."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import msgspec

from airflow_provider.amigocloud import api
from airflow_provider.amigocloud.export.checkpoint import Journal
from airflow_provider.amigocloud.export.readers import ByKey, ByLink, Reader, Reading, counted
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.pagination import Page, ahead, walk
from airflow_provider.core.http.call import Call
from airflow_provider.core.state.identity import fingerprint
from airflow_provider.errors import IncompleteExportError, InputError

_READS = re.compile(r"[\s(]*(select|with|values)\b", re.IGNORECASE)


class Source(Protocol):
    """What an export reads.

    :param state: hash of the snapshot, None when there is none.
    """

    state: str | None

    def pages(self) -> Iterator[Page]:
        """Give all pages; raises :class:`IncompleteExportError` when they are not the whole."""


class Pinned:
    """Rows of one dataset, read inside of its latest state, whatever is written meanwhile.

    :param hook: the connection.
    :param reader: the way through the rows.
    :param dataset: the dataset's id.
    :param journal: what earlier tries have read, and of which state.
    """

    def __init__(self, hook: AmigoCloudHook, reader: Reader, dataset: str, journal: Journal) -> None:
        self._hook = hook
        self._reader = reader
        self._dataset = dataset
        self._journal = journal
        self.state: str | None = None

    def pages(self) -> Iterator[Page]:
        """Give all pages: first those of earlier tries, then what is missing of the same state."""
        kept = self._journal.kept
        self.state = state = kept.state if kept else self._latest()
        self._hook.log.info("Reading dataset %s in its state %s", self._dataset, state)
        yield from self._journal.replay()
        pages = self._reader.pages({"state": state, "dataset_id": self._dataset}, kept)
        yield from self._journal.record(pages, state, self._reader.place)

    def _latest(self) -> str:
        with ThreadPoolExecutor(1) as pool:
            prepared = pool.submit(self._reader.prepare)
            state = self._hook.get_master(self._dataset)
            prepared.result()
        return state


class Watched:
    """Rows of several datasets, read while nothing changes in them: a state is of one dataset only.

    :param hook: the connection.
    :param reader: the way through the rows.
    :param datasets: ids of the datasets.
    :param journal: what earlier tries have read; it counts while the datasets are what they were then.
    """

    def __init__(
        self, hook: AmigoCloudHook, reader: Reader, datasets: Sequence[str], journal: Journal
    ) -> None:
        self._hook = hook
        self._reader = reader
        self._datasets = datasets
        self._journal = journal
        self.state: str | None = None

    def pages(self) -> Iterator[Page]:
        """Give all pages.

        :raises IncompleteExportError: when one of the datasets changed in between.
        """
        before = self._masters()
        self._journal.keep_only(before, f"one of the datasets {', '.join(self._datasets)} has changed since")
        kept, read = self._journal.kept, 0
        yield from self._journal.replay()
        pages = self._reader.pages({}, kept)
        for page in self._journal.record(pages, before, self._reader.place):
            read += 1
            yield page
        if (kept or read > 1) and before != self._masters():
            raise IncompleteExportError(
                f"one of the datasets {', '.join(self._datasets)} changed while the query was read page by"
                " page, so rows may be missing or doubled; nothing was published, try again"
            )

    def _masters(self) -> str:
        return fingerprint([self._hook.get_master(dataset) for dataset in self._datasets])


class Loose:
    """Rows of a query that names no dataset: nothing tells whether they change, but their count."""

    state: str | None = None

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def pages(self) -> Iterator[Page]:
        """Give all pages."""
        return self._reader.pages({}, None)


class _Named(msgspec.Struct):
    id: str | int | None = None


_named = msgspec.json.Decoder(_Named)


class Listing:
    """A list of things, page after page.

    Items are known by their ``id``, where they have one: nothing else tells that they have moved from one
    page to the next.

    :param hook: the connection.
    :param call: asks for the first page.
    """

    state: str | None = None

    def __init__(self, hook: AmigoCloudHook, call: Call[Page]) -> None:
        self._hook = hook
        self._call = call
        self._ids: set[str | int] = set()

    def pages(self) -> Iterator[Page]:
        """Give all pages.

        :raises IncompleteExportError: when an item comes twice, or the service counts differently.
        """
        for page in counted(ahead(walk(self._hook.send, self._call))):
            self._check_ids(page)
            yield page

    def _check_ids(self, page: Page) -> None:
        for item in _named.decode_lines(page.lines()):
            if item.id is None:
                continue
            if item.id in self._ids:
                raise IncompleteExportError(
                    f"the list changed while it was read page by page: item {item.id} came twice; nothing was"
                    " published"
                )
            self._ids.add(item.id)


def dataset_source(
    hook: AmigoCloudHook,
    dataset: int | str,
    reading: Reading,
    journal: Journal,
    condition: str | None = None,
) -> Source:
    """Read a whole dataset.

    :param journal: what earlier tries have read.
    :param condition: read only the rows of which this is true.
    """
    number = str(api.dataset_number(dataset))
    reader = ByKey(hook, _filtered(f"dataset_{number}", condition), "amigo_id", reading)
    return Pinned(hook, reader, number, journal)


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
    reader: Reader
    if key is not None:
        reader = ByKey(hook, _filtered(f"({statement}\n) AS asked", condition), key, reading)
    else:
        reader = ByLink(hook, statement, reading)
        _advise(hook, statement)
    datasets = sorted(set(re.findall(r"\bdataset_(\d+)\b", statement)))
    if len(datasets) == 1:
        return Pinned(hook, reader, datasets[0], journal)
    if datasets:
        return Watched(hook, reader, datasets, journal)
    hook.log.info("The query names no dataset, so no state of it can be kept: %s", _ANEW)
    return Loose(reader)


_ANEW = "a try that comes after a crash reads it again from its beginning"


def _advise(hook: AmigoCloudHook, statement: str) -> None:
    """Say what a key would give."""
    hook.log.info(
        "Reading the query page by page; with 'key', a unique column of its result, it could be read in"
        " key order, which stays exact and quick however large it is, several pages at once"
    )
    if not re.search(r"\border\s+by\b", statement, re.IGNORECASE):
        hook.log.warning(
            "The query has neither a key nor ORDER BY: nothing promises the same order from one page to the"
            " next, so with more rows than fit on a page some could come twice and others not at all"
        )


def list_source(hook: AmigoCloudHook, url: str, reading: Reading) -> Source:
    """Read a list endpoint."""
    call = api.list_page(url, reading.page_size)
    hook.log.info("A list has no states: %s", _ANEW)
    return Listing(hook, call)
