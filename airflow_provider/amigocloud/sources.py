"""Where an export's rows come from: a dataset, a query, or a list; each knows when it is complete."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Protocol

import msgspec

from airflow_provider.amigocloud import api
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.pages import Page, walk
from airflow_provider.core.calls import Call
from airflow_provider.errors import IncompleteExportError, InputError

Key = str | int | float
_READS = re.compile(r"[\s(]*(select|with|values)\b", re.IGNORECASE)


class Source(Protocol):
    """What an export reads.

    :param state: hash of the snapshot, None when there is none.
    """

    state: str | None

    def pages(self) -> Iterator[Page]:
        """Give all pages; raises :class:`IncompleteExportError` when they are not the whole."""


class Keyset:
    """A dataset or a query, page after page behind the last key, never by offset.

    A page costs the service the same wherever it is, and a row is neither lost nor repeated.

    :param hook: the connection.
    :param relation: what follows FROM.
    :param key: column whose values are unique and never null.
    :param page_size: rows to ask for; the service may give fewer.
    :param pin: parameters that select a snapshot.
    """

    def __init__(
        self, hook: AmigoCloudHook, relation: str, key: str, page_size: int, pin: dict[str, Any]
    ) -> None:
        self._hook = hook
        self._relation = relation
        self._key = key
        self._page_size = page_size
        self._pin = pin
        self.state: str | None = pin.get("state")
        fields = [("key", Key | None, msgspec.field(name=key))]
        self._keys = msgspec.json.Decoder(list[msgspec.defstruct("Keyed", fields)])  # type: ignore[misc]

    def pages(self) -> Iterator[Page]:
        """Give all pages."""
        first = self._page(None, self._page_size)
        yield first
        # The service may allow fewer rows than asked for: what it says counts.
        size = min(self._page_size, first.limit or len(first.rows) or self._page_size)
        expected, got, page = first.count, len(first.rows), first
        while page.rows and (expected is None or got < expected):
            page = self._page(self._last_key(page), size)
            got += len(page.rows)
            yield page

    def _page(self, after: Key | None, size: int) -> Page:
        """Give the page behind a key; the first one counts the whole result."""
        name = quoted_name(self._key)
        sql = f"SELECT * FROM {self._relation}"  # noqa: S608 - the user's own query, names and values quoted
        if after is not None:
            sql += f" WHERE {name} > {literal(after)}"
        sql += f" ORDER BY {name}"
        if after is not None:
            sql += f" LIMIT {size}"
        pages = walk(self._hook.send, api.sql(sql, limit=size, **self._pin))
        return next(page for page in pages if page.rows or page.next is None)

    def _last_key(self, page: Page) -> Key:
        """Give the last key of a page, after a look at all of them."""
        try:
            keys = [row.key for row in self._keys.decode(b"[" + b",".join(map(bytes, page.rows)) + b"]")]
        except msgspec.ValidationError:
            columns = ", ".join(column.name for column in page.columns or ())
            raise InputError(f"the rows have no column '{self._key}'; they have {columns}", "key") from None
        if None in keys:
            raise InputError(f"column '{self._key}' holds nulls; a key must be unique and not null", "key")
        if len(set(keys)) < len(keys):
            raise InputError(f"column '{self._key}' is not unique; a key must be", "key")
        last: Key = keys[-1]
        return last


class Walk:
    """A list or a query, following its ``next`` links.

    :param hook: the connection.
    :param call: asks for the first page.
    :param datasets: the datasets that the query names; they must not change while it is read.
    """

    state: str | None = None

    def __init__(self, hook: AmigoCloudHook, call: Call[Page], datasets: tuple[str, ...] = ()) -> None:
        self._hook = hook
        self._call = call
        self._datasets = datasets

    def pages(self) -> Iterator[Page]:
        """Give all pages.

        :raises IncompleteExportError: when the data changed in between, so that rows may be missing.
        """
        before = [self._hook.get_master(dataset) for dataset in self._datasets]
        read, count = 0, None
        for page in walk(self._hook.send, self._call):
            if read and page.count != count:
                raise IncompleteExportError(
                    f"the data changed while it was read page by page: the service counted {count} rows, then"
                    f" {page.count}; nothing was published"
                )
            read, count = read + 1, page.count
            yield page
        if read > 1 and before != [self._hook.get_master(dataset) for dataset in self._datasets]:
            names = ", ".join(self._datasets)
            raise IncompleteExportError(
                f"dataset {names} changed while the query was read page by page, so rows may be missing or"
                " doubled; try again, or give 'key', a unique column of the result"
            )


def dataset_source(hook: AmigoCloudHook, dataset: int | str, page_size: int) -> Source:
    """Read a whole dataset inside of its latest state, whatever is written meanwhile."""
    number = api.dataset_path(dataset, in_project=True).path.rpartition("/")[2]
    pin = {"state": hook.get_master(number), "dataset_id": number}
    return Keyset(hook, f"dataset_{number}", "amigo_id", page_size, pin)


def sql_source(hook: AmigoCloudHook, sql: str, key: str | None, page_size: int) -> Source:
    """Read a query.

    A query about one dataset is read inside of that dataset's latest state (as a vendor's sample does it).
    One about several is read as they are, and fails when they changed on the way.
    """
    statement = sql.strip().rstrip(";").strip()
    if not _READS.match(statement):
        raise InputError("must be a query: it starts with SELECT, WITH or VALUES", "sql")
    datasets = tuple(sorted(set(re.findall(r"\bdataset_(\d+)\b", statement))))
    pin: dict[str, Any] = {}
    if len(datasets) == 1:
        pin = {"state": hook.get_master(datasets[0]), "dataset_id": datasets[0]}
    if key is not None:
        return Keyset(hook, f"({statement}\n) AS asked", key, page_size, pin)
    hook.log.info(
        "Reading the query page by page; with 'key', a unique column of its result, it could be read in"
        " key order, which stays exact and quick however large it is"
    )
    call = api.sql(statement, limit=page_size, **pin)
    return Walk(hook, call, () if pin else datasets)


def list_source(hook: AmigoCloudHook, url: str, page_size: int) -> Source:
    """Read a list endpoint."""
    return Walk(hook, api.list_page(url, page_size))


def quoted_name(name: str) -> str:
    """Quote a column's name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: Key) -> str:
    """Spell a value for SQL."""
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)
