"""Reading for a sync: all rows of one state of a dataset, or the few rows that changes are about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any, TypedDict
from urllib.parse import quote

import msgspec

from airflow_provider.amigocloud import api
from airflow_provider.amigocloud.export.checkpoint import NoCheckpoint
from airflow_provider.amigocloud.export.export import RowCounter
from airflow_provider.amigocloud.export.fixed_state import FixedState
from airflow_provider.amigocloud.export.keyset import literal
from airflow_provider.amigocloud.export.readers import ReadOptions
from airflow_provider.amigocloud.export.sources import dataset_source
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.pagination import Page, Row, quoted_name, walk
from airflow_provider.amigocloud.sync.fields import Schema
from airflow_provider.amigocloud.values import KEY
from airflow_provider.core.input.values import SHORT, UnreadableValueError, exact_number

MAX_LIST_BYTES = 2200
"""Maximum percent-encoded bytes of the keys in a query, so that it is short enough for a URL."""

PAGE = 1000
"""Rows of a page."""


class DatasetReader:
    """Reader of a dataset's rows.

    :param hook: hook of the connection.
    :param dataset: id of the dataset.
    :param concurrency: maximum concurrent requests.
    """

    def __init__(self, hook: AmigoCloudHook, dataset: str, concurrency: int) -> None:
        self._hook, self._dataset, self._concurrency = hook, dataset, concurrency
        self.state: str | None = None
        self.columns: list[str] | None = None
        self.schema: Schema | None = None
        self.rows = 0
        self._exact: frozenset[str] = frozenset()
        self._decoder: msgspec.json.Decoder[Any] | None = None

    def all_rows(self, fixed: FixedState | None = None) -> Iterator[list[Row]]:
        """Yield all rows of one state, page by page; ``state`` is its hash once the first page is there.

        :param fixed: the state to read; None for the latest one.
        :raises IncompleteExportError: when the rows may be incomplete.
        """
        counter = RowCounter(self._hook.log, self._hook.conn_id)
        options = ReadOptions(PAGE, self._concurrency)
        source = dataset_source(self._hook, self._dataset, options, NoCheckpoint(), None, fixed)
        for page in source.pages():
            counter.add(page)
            self.state = source.state
            self.columns = [column.name for column in page.columns] if page.columns else None
            self._learn(page)
            yield self._decoded(page)
        counter.check()
        self.rows = counter.rows

    def some_rows(self, state: str, ids: Iterable[str], keys: Iterable[Any], key: str) -> Iterator[list[Row]]:
        """Yield the rows with some ids or keys, in one state.

        :param state: hash of the state.
        :param ids: values of ``amigo_id``.
        :param keys: values of the key.
        :param key: name of the key.
        """
        conditions = [f"{quoted_name(name)} IN ({', '.join(part)})" for name, part in _lists(ids, keys, key)]
        with ThreadPoolExecutor(self._concurrency) as pool:
            yield from pool.map(lambda condition: self._rows(state, condition), conditions)

    def _rows(self, state: str, condition: str) -> list[Row]:
        # The id is a number, names and values are quoted.
        sql = f"SELECT * FROM dataset_{self._dataset} WHERE {condition}"  # noqa: S608
        call = api.sql(sql, limit=PAGE, state=state, dataset_id=self._dataset)
        rows: list[Row] = []
        for page in walk(self._hook.send, call):
            self._learn(page)
            rows += self._decoded(page)
        return rows

    def _decoded(self, page: Page) -> list[Row]:
        """Return a page's rows: numbers of exact fields as text where a float does not have all digits."""
        rows = page.decoded()
        exact = self.schema.exact if self.schema is not None else frozenset()
        if not exact:
            return rows
        if exact != self._exact or self._decoder is None:
            shape = TypedDict("shape", dict.fromkeys(exact, msgspec.Raw), total=False)  # type: ignore[misc]
            self._exact, self._decoder = exact, msgspec.json.Decoder(shape)
        # A second pass, for the numbers only, is faster than a hook for all floats.
        for row, numbers in zip(rows, self._decoder.decode_lines(page.lines()), strict=True):
            for name, raw in numbers.items():
                if len(raw) > SHORT:
                    row[name] = _number(raw, row[name])
        return rows

    def _learn(self, page: Page) -> None:
        if self.schema is not None:
            self.schema.learn(page.columns or ())


def _number(raw: bytes, read: Any) -> Any:
    """Return a number of JSON with all its digits; any other value as it was read."""
    if not isinstance(read, (int, float)):
        return read
    try:
        return exact_number(Decimal(bytes(raw).decode()))
    except UnreadableValueError:
        return read


def _lists(ids: Iterable[str], keys: Iterable[Any], key: str) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield columns with lists of literals that fit into a URL."""
    for name, values in ((KEY, ids), (key, keys)):
        part: list[str] = []
        size = 0
        for value in values:
            text = literal(value)
            length = len(quote(f"{text}, ", safe=""))
            if part and size + length > MAX_LIST_BYTES:
                yield name, part
                part, size = [], 0
            part.append(text)
            size += length
        if part:
            yield name, part


def requests_for(ids: int, rows: int) -> tuple[int, int]:
    """Return about how many requests it takes to read some rows, and to read all of them.

    :param ids: number of ids and keys.
    :param rows: number of all rows.
    """
    return -(-ids // 50), -(-rows // PAGE) + 2
