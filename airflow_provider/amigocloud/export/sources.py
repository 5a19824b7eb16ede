"""Sources of an export: a dataset, a query, or a list; each one checks that it was read completely."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import msgspec

from airflow_provider.amigocloud import api
from airflow_provider.amigocloud.export.checkpoint import Checkpoint
from airflow_provider.amigocloud.export.fixed_state import FixedState
from airflow_provider.amigocloud.export.keyset import EVERYTHING, KeysetReader, Range
from airflow_provider.amigocloud.export.readers import (
    NextLinkReader,
    Outline,
    Reader,
    ReadOptions,
    check_counts,
)
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.pagination import Page, readable_rows, walk
from airflow_provider.amigocloud.sql.statement import Kind, Statement
from airflow_provider.core.files.prefetch import prefetch
from airflow_provider.core.http.call import Call
from airflow_provider.core.state.identity import fingerprint
from airflow_provider.errors import IncompleteExportError

_NO_RESUME = "a retry after a crash starts from the beginning"


class Source(Protocol):
    """Source of an export's rows.

    :param state: hash of the snapshot; None if there is none.
    """

    state: str | None

    def pages(self) -> Iterator[Page]:
        """Yield all pages; raise :class:`IncompleteExportError` when rows may be missing or repeated."""


class SnapshotSource:
    """Rows of one dataset, read from its latest state; concurrent writes do not affect them.

    :param hook: hook of the connection.
    :param reader: reader of the rows.
    :param dataset: id of the dataset.
    :param checkpoint: pages that earlier attempts have saved, with their state.
    :param fixed: the state to read instead of the latest one.
    """

    def __init__(
        self,
        hook: AmigoCloudHook,
        reader: Reader,
        dataset: str,
        checkpoint: Checkpoint,
        fixed: FixedState | None = None,
    ) -> None:
        self._hook = hook
        self._reader = reader
        self._dataset = dataset
        self._checkpoint = checkpoint
        self._fixed = fixed
        self.state: str | None = None

    def pages(self) -> Iterator[Page]:
        """Yield all pages: first the saved ones, then the rest of the same state.

        :raises IncompleteExportError: when a fixed state does not have the rows that were counted in it.
        """
        if self._fixed is None:
            yield from self._pages()
            return
        rows = 0
        with self._fixed.reading():
            for page in self._pages():
                rows += len(page.rows)
                yield page
        if self._fixed.rows not in (None, rows):
            raise IncompleteExportError(
                f"the service counted {self._fixed.rows} rows when the part was planned, and returned {rows};"
                " nothing was published"
            )

    def _pages(self) -> Iterator[Page]:
        saved = self._checkpoint.saved
        state, outline = (saved.state, None) if saved else self._begin()
        self.state = state
        self._hook.log.info("Reading dataset %s in its state %s", self._dataset, state)
        yield from self._checkpoint.replay()
        snapshot = {"state": state, "dataset_id": self._dataset}
        pages = self._reader.pages(snapshot, saved, outline)
        yield from self._checkpoint.record(pages, state, self._reader.resume_point)

    def _begin(self) -> tuple[str, Outline | None]:
        """Return the state to read and the reader's outline, requested concurrently."""
        with ThreadPoolExecutor(1) as pool:
            outline = pool.submit(self._reader.prepare)
            state = self._fixed.check() if self._fixed else self._hook.get_master(self._dataset)
            return state, outline.result()


class ChangeCheckedSource:
    """Rows of several datasets, which must not change meanwhile: a snapshot covers one dataset only.

    :param hook: hook of the connection.
    :param reader: reader of the rows.
    :param datasets: ids of the datasets.
    :param checkpoint: pages that earlier attempts have saved; they are used while the datasets are unchanged.
    """

    def __init__(
        self, hook: AmigoCloudHook, reader: Reader, datasets: Sequence[str], checkpoint: Checkpoint
    ) -> None:
        self._hook = hook
        self._reader = reader
        self._datasets = datasets
        self._checkpoint = checkpoint
        self.state: str | None = None

    def pages(self) -> Iterator[Page]:
        """Yield all pages.

        :raises IncompleteExportError: when one of the datasets changed meanwhile.
        """
        before, names = self._masters(), ", ".join(self._datasets)
        self._checkpoint.discard_unless(before, f"one of the datasets {names} has changed since")
        saved, read = self._checkpoint.saved, 0
        yield from self._checkpoint.replay()
        pages = self._reader.pages({}, saved)
        for page in self._checkpoint.record(pages, before, self._reader.resume_point):
            read += 1
            yield page
        if (saved or read > 1) and before != self._masters():
            raise IncompleteExportError(
                f"one of the datasets {names} changed while the query was read page by page, so rows may be"
                " missing or repeated; nothing was published; retry the export"
            )

    def _masters(self) -> str:
        return fingerprint([self._hook.get_master(dataset) for dataset in self._datasets])


class UncheckedSource:
    """Rows of a query that names no dataset: a change is noticed by the number of rows only.

    :param reader: reader of the rows.
    """

    state: str | None = None

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def pages(self) -> Iterator[Page]:
        """Yield all pages."""
        return self._reader.pages({}, None)


class _Item(msgspec.Struct):
    id: str | int | None = None


_item_decoder = msgspec.json.Decoder(_Item)


class ListSource:
    """Items of a list endpoint, page by page.

    An item that moved to a later page meanwhile is detected by its ``id``, if the items have one.

    :param hook: hook of the connection.
    :param call: request for the first page.
    """

    state: str | None = None

    def __init__(self, hook: AmigoCloudHook, call: Call[Page]) -> None:
        self._hook = hook
        self._call = call
        self._ids: set[str | int] = set()

    def pages(self) -> Iterator[Page]:
        """Yield all pages.

        :raises IncompleteExportError: when an item comes twice, or the service's count changes.
        """
        for page in check_counts(prefetch(walk(self._hook.send, self._call))):
            self._check_ids(page)
            yield page

    def _check_ids(self, page: Page) -> None:
        with readable_rows():
            items = _item_decoder.decode_lines(page.lines())
        for item in items:
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
    options: ReadOptions,
    checkpoint: Checkpoint,
    condition: str | None = None,
    fixed: FixedState | None = None,
    keys: Range = EVERYTHING,
) -> Source:
    """Return the source of a dataset.

    :param hook: hook of the connection.
    :param dataset: id of the dataset.
    :param options: page size and concurrency.
    :param checkpoint: pages that earlier attempts have saved.
    :param condition: SQL condition of the rows to read; None for all.
    :param fixed: the state to read; None for the latest one.
    :param keys: the range of keys to read.
    :raises InputError: when the id is not a number.
    """
    number = str(api.dataset_number(dataset))
    reader = KeysetReader(hook, _filtered(f"dataset_{number}", condition), "amigo_id", options, keys)
    return SnapshotSource(hook, reader, number, checkpoint, fixed)


def _filtered(relation: str, condition: str | None) -> str:
    if condition is None:
        return relation
    # The relation is a dataset or the user's own query; the condition is quoted where it was made.
    return f"(SELECT * FROM {relation} WHERE {condition}) AS fresh"  # noqa: S608


def sql_source(
    hook: AmigoCloudHook,
    statement: Statement,
    key: str | None,
    options: ReadOptions,
    checkpoint: Checkpoint,
    condition: str | None = None,
    fixed: FixedState | None = None,
) -> Source:
    """Return the source of a query's rows.

    A query of one dataset is read from that dataset's latest state (as in a vendor's sample). A query of
    several datasets is read from their current states, and fails when one of them changes meanwhile.

    :param hook: hook of the connection.
    :param statement: the query.
    :param key: unique column of the result, to read in its order; None to follow ``next`` links.
    :param options: page size and concurrency.
    :param checkpoint: pages that earlier attempts have saved.
    :param condition: SQL condition of the rows to read, used with a key only; None for all.
    :param fixed: the state to read of a query about one dataset; None for the latest one.
    """
    reader: Reader
    if key is not None:
        reader = KeysetReader(hook, _filtered(f"({statement.text}\n) AS asked", condition), key, options)
    else:
        reader = NextLinkReader(hook, statement.text, options)
        _log_advice(hook, statement)
    datasets = [str(dataset) for dataset in statement.datasets]
    if len(datasets) == 1:
        return SnapshotSource(hook, reader, datasets[0], checkpoint, fixed)
    if datasets:
        return ChangeCheckedSource(hook, reader, datasets, checkpoint)
    hook.log.info("The query names no dataset, so it cannot be read from a snapshot: %s", _NO_RESUME)
    return UncheckedSource(reader)


def _log_advice(hook: AmigoCloudHook, statement: Statement) -> None:
    """Log the advantages of a key, and warn of a query without a stable order."""
    if statement.kind is not Kind.QUERY:
        return
    hook.log.info(
        "Reading the query page by page. With 'key', a unique column of its result, it is read in key order:"
        " exact and fast for any number of rows, with several pages requested concurrently"
    )
    if not statement.is_ordered:
        hook.log.warning(
            "The query has neither a key nor ORDER BY: the order may differ between pages, so a result of"
            " more than one page can repeat some rows and lack others"
        )


def list_source(hook: AmigoCloudHook, url: str, options: ReadOptions) -> Source:
    """Return the source of a list endpoint's items.

    :param hook: hook of the connection.
    :param url: URL of the list, see :func:`~airflow_provider.amigocloud.api.locate`.
    :param options: page size; the concurrency has no effect.
    """
    call = api.list_page(url, options.page_size)
    hook.log.info("A list cannot be read from a snapshot: %s", _NO_RESUME)
    return ListSource(hook, call)
