"""Reads a dataset or a query in key order: each page is asked for by its keys, never by offset.

A page costs the service the same wherever it is, several can be on their way at once, and a row is neither
lost nor repeated: the ranges of keys follow each other without a gap.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import msgspec

from airflow_provider.amigocloud.pages import Page
from airflow_provider.errors import InputError

Key = str | int | float

_Found = tuple[Page, Key | None]

_HEX = re.compile(r"[0-9a-f]{8,}")
_DIGITS = 13
_FILL = 0.9
"""How full a page should be when a range is cut to the size of a page: ids are random, so sizes vary."""


@dataclass(frozen=True)
class Range:
    """A stretch of keys, and how many rows it holds, as far as known.

    :param after: keys greater than this, None for no lower end.
    :param low: keys from this one on, in place of ``after``.
    :param high: keys below this one, None for no upper end.
    """

    after: Key | None = None
    low: str | None = None
    high: str | None = None
    rows: int | None = None

    @property
    def is_tail(self) -> bool:
        """Whether it goes on to the very end, page after page."""
        return self.after is not None and self.high is None

    def conditions(self, name: str) -> list[str]:
        """Spell the range for SQL."""
        ends = ((">", self.after), (">=", self.low), ("<", self.high))
        return [f"{name} {sign} {literal(end)}" for sign, end in ends if end is not None]

    def cut(self, size: int) -> list[Range]:
        """Cut the range into ranges of about a page each, when its keys are hex digits.

        Lower-case hex digits have the same order in all of the database's collations, so that the cuts are in
        order whatever the other keys look like, and every key is in exactly one range.

        :param size: rows of a page.
        """
        wanted = math.ceil((self.rows or 0) / (size * _FILL))
        if wanted < 2 or not isinstance(self.after, str) or not _HEX.match(self.after):
            return [self]
        first, last = _number(self.after), _number(self.high) if self.high else 16**_DIGITS
        cuts = [first + (last - first) * n // wanted for n in range(1, wanted)]
        if last - first <= wanted:
            return [self]
        ends = [f"{cut:0{_DIGITS}x}" for cut in cuts]
        inner = [Range(low=low, high=high) for low, high in zip(ends, [*ends[1:], self.high], strict=True)]
        return [Range(self.after, high=ends[0]), *inner]


def _number(text: str) -> int:
    match = re.match(r"[0-9a-f]*", text)
    return int((match[0] if match else "")[:_DIGITS].ljust(_DIGITS, "0"), 16)


class Keyset:
    """The pages of a dataset or a query, in key order.

    :param ask: gives a page: takes the SQL and the most rows wanted.
    :param relation: what follows FROM.
    :param key: column whose values are unique and never null.
    :param page_size: rows to ask for; the service may give fewer.
    :param concurrency: how many requests at once.
    """

    def __init__(
        self,
        ask: Callable[[str, int], Page],
        relation: str,
        key: str,
        *,
        page_size: int,
        concurrency: int,
    ) -> None:
        self._ask = ask
        self._relation = relation
        self._key = key
        self._size = page_size
        self._concurrency = concurrency
        keyed = msgspec.defstruct("Keyed", [("key", Key | None, msgspec.field(name=key))])
        self._keys: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[keyed])  # type: ignore[valid-type]

    def pages(self, after: Key | None = None, rows: int | None = None) -> Iterator[Page]:
        """Give all pages in key order.

        :param after: go on behind this key.
        :param rows: how many rows there are behind it.

        Pages come ahead of their turn, at most twice ``concurrency`` of them: enough that no thread waits for
        the one whose turn it is, few enough that memory stays flat.

        :raises InputError: when the key is no column of the rows, is null, or is not unique.
        """
        with ThreadPoolExecutor(self._concurrency) as pool:
            work: deque[tuple[Range, Future[_Found] | None]] = deque()
            work.extend((one, None) for one in self._cut(Range(after, rows=rows)))
            try:
                while work:
                    self._send_ahead(work, pool)
                    part, future = work.popleft()
                    page, last = future.result() if future else self._page(part)
                    rest = self._rest(part, page, last)
                    work.extendleft((one, None) for one in reversed(rest))
                    self._send_ahead(work, pool)
                    yield page
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _send_ahead(self, work: deque[tuple[Range, Future[_Found] | None]], pool: ThreadPoolExecutor) -> None:
        for n in range(min(2 * self._concurrency, len(work))):
            part, future = work[n]
            if future is None:
                work[n] = part, pool.submit(self._page, part)

    def _page(self, part: Range) -> _Found:
        """Ask for the first page of a range; gives its last key, too.

        Without a LIMIT in the SQL the service counts the whole range. That is wanted for the whole and for
        short ranges; a long tail gets a LIMIT, so that the service does not count it again with each page.
        """
        name = quoted_name(self._key)
        conditions = " AND ".join(part.conditions(name))
        where = f" WHERE {conditions}" if conditions else ""
        limit = f" LIMIT {self._size}" if part.is_tail else ""
        # The query is the user's own; names and values in the conditions are quoted.
        sql = f"SELECT * FROM {self._relation}{where} ORDER BY {name}{limit}"  # noqa: S608
        page = self._ask(sql, self._size)
        return page, self._last_key(page) if page.rows else None

    def _rest(self, part: Range, page: Page, last: Key | None) -> list[Range]:
        """Give the ranges that cover what a page has left over of its range."""
        if last is None:
            return []
        if part == Range():
            # The service may allow fewer rows than asked for: what it says counts.
            self._size = min(self._size, page.limit or len(page.rows))
        counted = part.rows if part.is_tail else page.count
        left = None if counted is None else counted - len(page.rows)
        if left is not None and left <= 0:
            return []
        rest = Range(last, high=part.high, rows=left)
        return self._cut(rest)

    def _cut(self, part: Range) -> list[Range]:
        return part.cut(self._size) if self._concurrency > 1 else [part]

    def _last_key(self, page: Page) -> Key:
        """Give the last key of a page, after a look at all of them."""
        try:
            keys = [row.key for row in self._keys.decode(page.joined())]
        except msgspec.ValidationError:
            columns = ", ".join(column.name for column in page.columns or ())
            raise InputError(f"the rows have no column '{self._key}'; they have {columns}", "key") from None
        if None in keys:
            raise InputError(f"column '{self._key}' holds nulls; a key must be unique and not null", "key")
        if len(set(keys)) < len(keys):
            raise InputError(f"column '{self._key}' is not unique; a key must be", "key")
        last: Key = keys[-1]
        return last


def quoted_name(name: str) -> str:
    """Quote a column's name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: Key) -> str:
    """Spell a value for SQL."""
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)
