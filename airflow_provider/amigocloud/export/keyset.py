"""Keyset pagination: read a relation in key order, with a condition on the key instead of an offset.

The cost of a page does not depend on its position, several pages can be requested concurrently, and no row is
lost or repeated: the ranges of keys adjoin without a gap.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import Any, TypeGuard

import msgspec

from airflow_provider.amigocloud import api
from airflow_provider.amigocloud.export.checkpoint import ResumePoint, SavedPages
from airflow_provider.amigocloud.export.key_order import HexOrder, KeyDecoder, read_key
from airflow_provider.amigocloud.export.readers import Key, Outline, ReadOptions, SnapshotParams
from airflow_provider.amigocloud.pagination import Column, Page, quoted_name, read_page, walk
from airflow_provider.core.hook import ApiHook
from airflow_provider.core.http.call import Call
from airflow_provider.core.http.reply import Reply
from airflow_provider.core.input.values import UnreadableValueError, read_integer, shown
from airflow_provider.core.redaction import redact
from airflow_provider.errors import IncompleteExportError, InputError, RequestRejectedError

_HEX = re.compile(r"[0-9a-f]{8,}")

_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")

_DIGITS = 13
"""Maximum number of leading hex digits of a key that are used to cut a range."""

_FILL, _MAX_FILL = 0.9, 0.93
"""Target and maximum fill of a page when a range is cut: ids are random, so ranges vary in size."""

_FLOAT = (
    "two floats are not compared exactly, so rows at the border of two pages could be missing; use another"
    " column, or select it as text"
)

_NO_ORDER = "its values have no order to read by; use another column"

_NO_KEYS = {
    **dict.fromkeys(("float", "real", "double", "double precision", "unknown(700)", "unknown(701)"), _FLOAT),
    **dict.fromkeys(("geometry", "json", "jsonb", "unknown(114)", "unknown(3802)"), _NO_ORDER),
}
"""Types that are no keys, as the service names them or by PostgreSQL's number, with the reason."""

_HEX_TYPES = frozenset({"string", "uuid", *(f"unknown({oid})" for oid in (19, 25, 1042, 1043, 2950))})
"""Types of texts and UUIDs. Only their values can be compared to hex digits; a number as text cannot."""


@dataclass(frozen=True, slots=True)
class PageKeys:
    """Keys of a page.

    :param last: the last key; None for an empty page.
    :param texts: all keys, if they are texts.
    """

    last: Key | None = None
    texts: list[str] = field(default_factory=list)


_FetchedPage = tuple[Page, PageKeys]


@dataclass(frozen=True)
class Range:
    """A range of keys.

    :param after: exclusive lower bound; None for none.
    :param low: inclusive lower bound, in place of ``after``.
    :param high: exclusive upper bound; None for none.
    :param rows: number of rows in the range, if known.
    """

    after: Key | None = None
    low: Key | None = None
    high: Key | None = None
    rows: int | None = None

    def is_tail_of(self, whole: Range) -> bool:
        """Return whether the range starts after a key that was read, and ends where another range ends."""
        return self.after is not None and self.high == whole.high

    def where(self, name: str) -> str:
        """Return the SQL clause of the range, empty for all rows.

        :param name: quoted name of the key column.
        """
        conditions = " AND ".join(self.conditions(name))
        return f" WHERE {conditions}" if conditions else ""

    def conditions(self, name: str) -> list[str]:
        """Return the SQL conditions of the range.

        :param name: quoted name of the key column.
        """
        bounds = ((">", self.after), (">=", self.low), ("<", self.high))
        return [f"{name} {operator} {literal(bound)}" for operator, bound in bounds if bound is not None]

    def cut(
        self, page_size: int, concurrency: int, first: Key | None = None, last: Key | None = None
    ) -> list[Range]:
        """Return adjoining ranges of about a page each, if the keys are hex digits; else the range itself.

        Lower-case hex digits have the same order in all collations of the database. The cuts are therefore in
        order whatever the other keys are, and every key is in exactly one range.

        :param page_size: rows of a page.
        :param concurrency: number of concurrent requests.
        :param first: a key near the range's lower end, if that is unbounded.
        :param last: a key near its upper end, if that is unbounded.
        """
        first = self.after if first is None else first
        count = _range_count(self.rows or 0, page_size, concurrency)
        if count < 2 or not _is_hex(first):
            return [self]
        digits = len(_leading_digits(first))
        low = _number(first, digits)
        high = 16**digits if self.high is None else low
        if _is_hex(self.high):
            high = _number(self.high, digits)
        elif _is_hex(last):
            high = _number(last, digits) + 1
        if high - low <= count:
            return [self]
        # A cut differs from the first key within its leading digits, so that no rule for other characters
        # can put the key behind the cut.
        cuts = [f"{low + (high - low) * n // count:0{digits}x}" for n in range(1, count)]
        if _UUID.fullmatch(first):
            cuts = [_as_uuid(cut) for cut in cuts]
        inner = [Range(low=low, high=high) for low, high in itertools.pairwise([*cuts, self.high])]
        return [Range(self.after, self.low, cuts[0]), *inner]


EVERYTHING = Range()
"""The range of all keys."""


def _range_count(rows: int, page_size: int, concurrency: int) -> int:
    """Return the number of ranges of about a page, such that the last round of requests is a full one.

    One request of the first round counts the rows of the table.
    """
    target, fewest = (math.ceil(rows / (page_size * fill)) for fill in (_FILL, _MAX_FILL))
    full_rounds = (target + 1) // concurrency * concurrency - 1
    return full_rounds if full_rounds >= max(2, fewest) else target


def _is_hex(key: Key | None) -> TypeGuard[str]:
    return isinstance(key, str) and _HEX.match(key) is not None


def _leading_digits(text: str) -> str:
    """Return the hex digits that a key begins with, as far as they are used, without a UUID's dashes."""
    plain = text.replace("-", "") if _UUID.fullmatch(text) else text
    return plain[: len(plain) - len(plain.lstrip("0123456789abcdef"))][:_DIGITS]


def _number(text: str, digits: int) -> int:
    return int(_leading_digits(text)[:digits].ljust(digits, "0"), 16)


def _as_uuid(digits: str) -> str:
    """Return the least UUID with these leading digits: a column of UUIDs is compared to UUIDs only."""
    text = digits.ljust(32, "0")
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _read_outline(reply: Reply) -> Outline | None:
    """Read the reply to an outline query; return None when it lacks the count."""
    page = read_page(reply)
    row = page.decoded()[0] if page.rows else {}
    rows = read_count(row.get("rows"))
    if rows is None:
        return None
    if _declared_type(page.columns, "first") not in _HEX_TYPES:
        return Outline(rows, None, None, page.limit)
    return Outline(rows, row.get("first"), row.get("last"), page.limit)


def read_count(value: Any) -> int | None:
    """Return a number of rows, which some services send as text; None if it is none."""
    try:
        return read_integer(value)
    except UnreadableValueError:
        return None


def _declared_type(columns: Sequence[Column] | None, name: str) -> str:
    """Return the declared type of a column; that of texts when none is declared."""
    return next((column.type for column in columns or () if column.name == name), "string")


def no_key_problem(columns: Sequence[Column] | None, key: str) -> str | None:
    """Return why a column cannot be a key, by its type; None if it can."""
    declared = _declared_type(columns, key)
    reason = _NO_KEYS.get(declared)
    return reason and f"column '{key}' is of type {declared}, which is no key: {reason}"


def first_page(hook: ApiHook, call: Call[Page]) -> Page:
    """Return the first page of a query that has rows, or its last page."""
    return next(page for page in walk(hook.send, call) if page.rows or page.next is None)


class KeysetReader:
    """Reader of a relation in key order, several pages concurrently if the keys are hex digits.

    :param hook: hook of the connection.
    :param relation: SQL that follows FROM.
    :param key: column whose values are unique and never null.
    :param options: page size and concurrency.
    :param bounds: the range of keys to read; by default all rows.
    """

    def __init__(
        self, hook: ApiHook, relation: str, key: str, options: ReadOptions, bounds: Range = EVERYTHING
    ) -> None:
        self._hook = hook
        self._bounds = bounds
        self._relation = relation
        self._key = key
        self._page_size = options.page_size
        self._concurrency = options.concurrency
        self._keys = KeyDecoder(key)
        self._order = HexOrder(options.concurrency > 1)

    def prepare(self) -> Outline | None:
        """Return the number of rows, and the smallest and greatest key; None for sequential reading."""
        if self._concurrency == 1:
            return None
        name = quoted_name(self._key)
        # The relation is the user's own, the name is quoted.
        sql = (
            f'SELECT count(*) AS "rows", min({name}) AS "first", max({name}) AS "last" FROM {self._relation}'  # noqa: S608
        )
        sql += self._bounds.where(name)
        call = api.sql(sql, limit=self._page_size).with_reader(_read_outline)
        try:
            outline: Outline | None = self._hook.send(call)
        except RequestRejectedError as error:
            if error.status != 400:
                raise
            # A type of key may have no minimum. The first page counts, too; an invalid query fails there.
            return None
        return outline

    def pages(
        self, snapshot: SnapshotParams, saved: SavedPages | None, outline: Outline | None = None
    ) -> Iterator[Page]:
        """Yield all pages in key order, see :meth:`Reader.pages`.

        At most twice ``concurrency`` pages are read ahead. With so many, no thread waits for the page that
        is next in order, and memory stays bounded.

        :raises InputError: when the key is no column of the rows, is null, is not unique, or is of a type
            that cannot be a key.
        """
        count, read = (saved.count, saved.rows) if saved else (None, 0)
        try:
            for page in self._pages(snapshot, saved, outline):
                count = page.count if saved is None and not read else count
                read += len(page.rows)
                yield page
        except RequestRejectedError as error:
            if error.status == 400 and not read:
                self._refuse_missing_key(snapshot)
            raise
        if count is not None and read < count:
            self._refuse_key(snapshot)

    def _refuse_key(self, snapshot: SnapshotParams) -> None:
        """Raise when rows are missing because of their keys: a null is in no range, a repeated key in one.

        :raises InputError: with the numbers of rows.
        """
        name = quoted_name(self._key)
        # The relation is the user's own, the name is quoted.
        sql = (
            f'SELECT count(*) - count({name}) AS "nulls",'  # noqa: S608
            f' count({name}) - count(DISTINCT {name}) AS "repeated" FROM {self._relation}'
        )
        try:
            page = self._query(snapshot, sql, 1)
        except RequestRejectedError:
            return
        row = page.decoded()[0] if page.rows else {}
        nulls, repeated = read_count(row.get("nulls")), read_count(row.get("repeated"))
        if nulls:
            raise self._null_error(f" in {nulls} rows")
        if repeated:
            raise InputError(
                f"column '{self._key}' repeats values in {repeated} rows; a key must be unique", "key"
            )

    def _refuse_missing_key(self, snapshot: SnapshotParams) -> None:
        """Raise when a query was refused because it has no such column: the service names the column only.

        :raises InputError: with the columns that there are.
        """
        try:
            page = self._query(snapshot, f"SELECT * FROM {self._relation} LIMIT 1", 1)  # noqa: S608
        except RequestRejectedError:
            return
        if page.columns and self._key not in [column.name for column in page.columns]:
            raise self._missing_error(page)

    def _missing_error(self, page: Page) -> InputError:
        columns = redact(", ".join(column.name for column in page.columns or ()))
        return InputError(f"the rows have no column '{self._key}'; they have {columns}", "key")

    def _null_error(self, where: str = "") -> InputError:
        return InputError(f"column '{self._key}' is null{where}; a key must be unique and never null", "key")

    def _pages(
        self, snapshot: SnapshotParams, saved: SavedPages | None, outline: Outline | None
    ) -> Iterator[Page]:
        ranges = self._ranges(saved, outline)
        fetch = partial(self._fetch, snapshot)
        with ThreadPoolExecutor(self._concurrency) as pool:
            # A range counts its own rows only; a row with a null key would be in no range.
            has_outline = saved is None and outline is not None
            total = pool.submit(self._total, snapshot) if has_outline and len(ranges) > 1 else None
            work: deque[tuple[Range, Future[_FetchedPage] | None]] = deque((part, None) for part in ranges)
            is_first, is_cut = True, len(ranges) > 1
            try:
                while work:
                    self._read_ahead(work, pool, fetch)
                    part, future = work.popleft()
                    page, keys = future.result() if future else fetch(part)
                    self._observe_order(page, keys.texts)
                    if is_cut and is_first and not self._order.is_known:
                        # The ranges may overlap: read one page after the other until the order is known.
                        work, total, is_cut = deque([(self._whole(saved), None)]), None, False
                        continue
                    if is_cut and not self._order.is_usual:
                        raise self._order_error()
                    rest = self._rest(part, page, keys.last)
                    is_cut = is_cut or len(rest) > 1
                    work.extendleft((part, None) for part in reversed(rest))
                    self._read_ahead(work, pool, fetch)
                    if total is not None:
                        page.count, total = total.result(), None
                    is_first = False
                    yield page
            finally:
                pool.shutdown(cancel_futures=True)

    def _observe_order(self, page: Page, texts: list[str]) -> None:
        if self._is_hex_type(page):
            self._order.add(texts)
        else:
            self._order.is_known = self._order.is_usual = False

    def _is_hex_type(self, page: Page) -> bool:
        return _declared_type(page.columns, self._key) in _HEX_TYPES

    def _order_error(self) -> IncompleteExportError:
        return IncompleteExportError(
            f"the service orders column '{self._key}' by rules of its own, so its rows cannot be read in"
            " several ranges at once; nothing was published; set concurrency=1"
        )

    def resume_point(self, page: Page) -> ResumePoint | None:
        """Return the page's last key."""
        key = read_key(self._keys.values(page.rows[-1])[0])
        if not isinstance(key, Decimal):
            return key
        return float(key) if Decimal(repr(float(key))) == key else str(key)

    def _whole(self, saved: SavedPages | None) -> Range:
        """Return the range of all rows, or of those after the saved pages."""
        if saved is None:
            return self._bounds
        point = saved.resume_point
        after = Decimal(repr(point)) if isinstance(point, float) else point
        rows = None if saved.count is None else saved.count - saved.rows
        return Range(after, high=self._bounds.high, rows=rows)

    def _ranges(self, saved: SavedPages | None, outline: Outline | None) -> list[Range]:
        """Return the ranges to start with: those after the saved pages, or those of the outline."""
        limit = saved.limit if saved else outline.limit if outline else None
        self._page_size = min(self._page_size, limit or self._page_size)
        if saved is not None:
            whole = self._whole(saved)
            is_usual = self._order.is_usual and _declared_type(saved.columns, self._key) in _HEX_TYPES
            return whole.cut(self._page_size, self._concurrency) if is_usual else [whole]
        if outline is None or not self._order.is_usual:
            return [self._bounds]
        whole = replace(self._bounds, rows=outline.rows)
        ranges = whole.cut(self._page_size, self._concurrency, outline.first, outline.last)
        return ranges if len(ranges) > 1 else [self._bounds]

    def _total(self, snapshot: SnapshotParams) -> int | None:
        # The relation is the user's own, the name is quoted.
        name = quoted_name(self._key)
        sql = f"SELECT {name} FROM {self._relation}{self._bounds.where(name)}"  # noqa: S608
        return self._query(snapshot, sql, 1).count

    def _read_ahead(
        self,
        work: deque[tuple[Range, Future[_FetchedPage] | None]],
        pool: ThreadPoolExecutor,
        fetch: Callable[[Range], _FetchedPage],
    ) -> None:
        for n in range(min(2 * self._concurrency, len(work))):
            part, future = work[n]
            if future is None:
                work[n] = part, pool.submit(fetch, part)

    def _fetch(self, snapshot: SnapshotParams, part: Range) -> _FetchedPage:
        """Return the first page of a range, and its keys.

        Without a LIMIT in the SQL the service counts the whole range. The count is wanted for the whole table
        and for short ranges; a long tail gets a LIMIT, so that the service does not count it for each page.
        """
        name = quoted_name(self._key)
        limit = f" LIMIT {self._page_size}" if part.is_tail_of(self._bounds) else ""
        # The query is the user's own; names and values in the conditions are quoted.
        sql = f"SELECT * FROM {self._relation}{part.where(name)} ORDER BY {name}{limit}"  # noqa: S608
        page = self._query(snapshot, sql, self._page_size)
        return page, self._read_keys(page, part.after) if page.rows else PageKeys()

    def _query(self, snapshot: SnapshotParams, sql: str, limit: int) -> Page:
        """Return the first page of a query that has rows, or its last page."""
        return first_page(self._hook, api.sql(sql, limit=limit, **snapshot))

    def _rest(self, part: Range, page: Page, last: Key | None) -> list[Range]:
        """Return the ranges of a range's rows that follow its first page."""
        if last is None:
            return []
        count = part.rows if part.is_tail_of(self._bounds) else page.count
        rest = None if count is None else count - len(page.rows)
        if rest is not None and rest <= 0:
            return []
        # The service may allow fewer rows than requested; its limit applies from now on.
        self._page_size = min(self._page_size, page.limit or len(page.rows))
        return self._cut(Range(last, high=part.high, rows=rest))

    def _cut(self, part: Range) -> list[Range]:
        return part.cut(self._page_size, self._concurrency) if self._order.is_known else [part]

    def _read_keys(self, page: Page, after: Key | None) -> PageKeys:
        """Return the keys of a page, after validating all of them.

        :param after: the last key of the page before, if that was the bound.
        """
        if problem := no_key_problem(page.columns, self._key):
            raise InputError(problem, "key")
        texts = self._keys.texts(page.lines()) if self._is_hex_type(page) else []
        keys = texts or self._decode_keys(page)
        if len(set(keys)) < len(keys):
            raise InputError(f"column '{self._key}' is not unique; a key must be", "key")
        first, last = read_key(keys[0]), read_key(keys[-1])
        if first == after:
            raise InputError(
                f"column '{self._key}' is rounded in the service's replies: after the row with"
                f" {shown(str(first))} the service returns that row once more; select the key as text",
                "key",
            )
        return PageKeys(last, texts)

    def _decode_keys(self, page: Page) -> list[bytes]:
        try:
            keys = self._keys.values(page.lines())
        except msgspec.ValidationError:
            raise self._missing_error(page) from None
        if b"null" in keys:
            raise self._null_error()
        return keys


def literal(value: Key) -> str:
    """Return a value as a SQL literal."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, Decimal) else repr(value)
