"""Reads a dataset or a query in key order: each page is asked for by its keys, never by offset.

A page costs the service the same wherever it is, several can be on their way at once, and a row is neither
lost nor repeated: the ranges of keys follow each other without a gap.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeGuard

import msgspec

from airflow_provider.amigocloud.pagination import Page, read_page
from airflow_provider.core.http.reply import Reply
from airflow_provider.errors import InputError

Key = str | int | float

_Found = tuple[Page, Key | None]

_HEX = re.compile(r"[0-9a-f]{8,}")


_DIGITS = 13


_FILL, _FULLEST = 0.9, 0.93
"""How full a page should be when a range is cut to the size of a page: ids are random, so sizes vary."""


@dataclass(frozen=True)
class Outline:
    """What a table was like a moment ago; good for cutting it into ranges, and for nothing else.

    :param rows: how many there were.
    :param first: the least key.
    :param last: the greatest key.
    :param limit: the most rows that the service gives at once, as far as it says.
    """

    rows: int
    first: Key | None
    last: Key | None
    limit: int | None


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

    def cut(self, size: int, at_once: int, first: Key | None = None, last: Key | None = None) -> list[Range]:
        """Cut the range into ranges of about a page each, when its keys are hex digits.

        Lower-case hex digits have the same order in all of the database's collations, so that the cuts are in
        order whatever the other keys look like, and every key is in exactly one range.

        :param size: rows of a page.
        :param at_once: how many pages are asked for at the same time.
        :param first: a key near the range's lower end, where that is open.
        :param last: a key near its upper end, where that is open.
        """
        first = self.after if first is None else first
        wanted = _pieces(self.rows or 0, size, at_once)
        if wanted < 2 or not _is_hex(first):
            return [self]
        low = _number(first)
        high = _number(self.high) if self.high else _number(last) + 1 if _is_hex(last) else 16**_DIGITS
        if high - low <= wanted:
            return [self]
        ends = [f"{low + (high - low) * n // wanted:0{_DIGITS}x}" for n in range(1, wanted)]
        inner = [Range(low=low, high=high) for low, high in itertools.pairwise([*ends, self.high])]
        return [Range(self.after, high=ends[0]), *inner]


def _pieces(rows: int, size: int, at_once: int) -> int:
    """Say how many ranges of about a page there should be, without a few that are left for a last turn.

    One of the requests that go out together counts the rows.
    """
    wanted, fewest = (math.ceil(rows / (size * fill)) for fill in (_FILL, _FULLEST))
    whole_turns = (wanted + 1) // at_once * at_once - 1
    return whole_turns if whole_turns >= max(2, fewest) else wanted


def _is_hex(key: Key | None) -> TypeGuard[str]:
    return isinstance(key, str) and _HEX.match(key) is not None


def _number(text: str) -> int:
    match = re.match(r"[0-9a-f]*", text)
    return int((match[0] if match else "")[:_DIGITS].ljust(_DIGITS, "0"), 16)


def read_outline(reply: Reply) -> Outline | None:
    """Read the answer to :meth:`Keyset.outline_query`; None when it does not tell."""
    page = read_page(reply)
    row = page.decoded()[0] if page.rows else {}
    if not isinstance(row.get("rows"), int):
        return None
    return Outline(row["rows"], row.get("first"), row.get("last"), page.limit)


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
        self._keys: msgspec.json.Decoder[Any] = msgspec.json.Decoder(keyed)

    def outline_query(self) -> str:
        """Spell the query whose one row says how many rows there are, and their least and greatest key."""
        name = quoted_name(self._key)
        # The relation is the user's own, the name is quoted.
        return (
            f'SELECT count(*) AS "rows", min({name}) AS "first", max({name}) AS "last" FROM {self._relation}'  # noqa: S608
        )

    def pages(
        self, after: Key | None = None, rows: int | None = None, outline: Outline | None = None
    ) -> Iterator[Page]:
        """Give all pages in key order.

        Pages come ahead of their turn, at most twice ``concurrency`` of them: enough that no thread waits for
        the one whose turn it is, few enough that memory stays flat.

        :param after: go on behind this key.
        :param rows: how many rows there are behind it.
        :param outline: where to cut from the start; without it the first page tells.
        :raises InputError: when the key is no column of the rows, is null, or is not unique.
        """
        ranges = self._outlined(outline) if outline else self._cut(Range(after, rows=rows))
        with ThreadPoolExecutor(self._concurrency) as pool:
            # Ranges count their own rows only: a row without a key would be in none of them.
            total = pool.submit(self._total) if outline and len(ranges) > 1 else None
            work: deque[tuple[Range, Future[_Found] | None]] = deque((one, None) for one in ranges)
            try:
                while work:
                    self._send_ahead(work, pool)
                    part, future = work.popleft()
                    page, last = future.result() if future else self._page(part)
                    rest = self._rest(part, page, last)
                    work.extendleft((one, None) for one in reversed(rest))
                    self._send_ahead(work, pool)
                    if total is not None:
                        page.count, total = total.result(), None
                    yield page
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _outlined(self, outline: Outline) -> list[Range]:
        self._size = min(self._size, outline.limit or self._size)
        whole = Range(rows=outline.rows)
        ranges = whole.cut(self._size, self._concurrency, outline.first, outline.last)
        return ranges if len(ranges) > 1 else [Range()]

    def _total(self) -> int | None:
        # The relation is the user's own, the name is quoted.
        return self._ask(f"SELECT {quoted_name(self._key)} FROM {self._relation}", 1).count  # noqa: S608

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
        counted = part.rows if part.is_tail else page.count
        left = None if counted is None else counted - len(page.rows)
        if left is not None and left <= 0:
            return []
        # The service may allow fewer rows than asked for: what it says counts.
        self._size = min(self._size, page.limit or len(page.rows))
        return self._cut(Range(last, high=part.high, rows=left))

    def _cut(self, part: Range) -> list[Range]:
        return part.cut(self._size, self._concurrency) if self._concurrency > 1 else [part]

    def _last_key(self, page: Page) -> Key:
        """Give the last key of a page, after a look at all of them."""
        try:
            keys = [row.key for row in self._keys.decode_lines(page.lines())]
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
