"""Pagination: pages of rows, ``next`` links, and a cursor over the items of a list."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from airflow_provider.core.http.call import Call, pairs
from airflow_provider.core.http.reply import Reply, non_finite_values, service_time
from airflow_provider.core.http.twins import iterate, run
from airflow_provider.core.redaction import redact, without_query
from airflow_provider.errors import IncompleteExportError, InputError, RequestRejectedError, ServerError

if TYPE_CHECKING:
    from airflow_provider.core.http.circles import Circle

Row = dict[str, Any]

MAX_EMPTY_PAGES = 20
"""Maximum consecutive empty pages; with more, the list counts as broken."""


class Column(Struct, frozen=True):
    """Column of a result.

    :param name: name of the column.
    :param type: ``string``, ``integer``, ``float``, ``geometry`` and others; ``unknown(<number>)`` for a type
        without a name in the service (seen in clients).
    """

    name: str
    type: str = "string"


BOOLEAN_TYPES = frozenset({"boolean", "unknown(16)"})
"""Types of booleans, as the service names them."""

NUMBER_TYPES = frozenset(
    {"integer", "bigint", "float", "number", "real", "numeric", "double", "double precision"}
    | {f"unknown({oid})" for oid in (20, 21, 23, 700, 701, 1700)}
)
"""Types of numbers, whose values the service may send as texts."""


@contextmanager
def readable_rows() -> Iterator[None]:
    """Raise what decoding rows raises as an error of the reply, of which pages decode nothing themselves.

    :raises ServerError: for a row that is no JSON object, or has a value that cannot be read.
    """
    try:
        yield
    except InputError:
        raise
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ServerError(200, "", f"a row cannot be read: {redact(str(error))}") from None


class Page(Struct):
    """Page of rows, not decoded yet.

    :param rows: JSON of each row.
    :param next: link to the next page, without the token; None at the end.
    :param count: number of rows of the whole result; None if the service counts those of the page only.
    :param limit: maximum rows per reply of the service.
    :param columns: columns of a query's result.
    :param text: JSON of all rows, a row per line; built on demand.
    :param served_at: the service's time when it sent the page; None if it sends none.
    """

    rows: list[Raw]
    next: str | None = None
    count: int | None = None
    limit: int | None = None
    columns: list[Column] | None = None
    text: bytes | None = None
    served_at: datetime | None = None

    def decoded(self) -> list[Row]:
        """Return all rows decoded.

        :raises ServerError: when a row is no JSON object.
        """
        with readable_rows():
            return _row_decoder.decode_lines(self.lines())

    def first_exact(self) -> Row | None:
        """Return the first row with its numbers as they are written; None when there is none.

        :raises ServerError: when it is no JSON object.
        """
        if not self.rows:
            return None
        self.with_rows(self.rows[:1]).decoded()
        with readable_rows():
            row: Row = json.loads(bytes(self.rows[0]), parse_float=Decimal)
        return row

    def lines(self) -> bytes:
        """Return the JSON of all rows, a row per line; it is built once."""
        if self.text is None:
            self.text = b"\n".join(self.rows)
        return self.text

    def with_rows(self, rows: list[Raw]) -> Page:
        """Return the page with other rows."""
        return Page(rows, self.next, self.count, self.limit, self.columns, served_at=self.served_at)


class _Body(Struct):
    next: str | UnsetType | None = UNSET
    results: list[Raw] | UnsetType = UNSET
    data: list[Raw] | UnsetType = UNSET
    count: int | None = None
    limit: int | None = None
    columns: list[Column] | None = None
    error_code: Any = UNSET
    detail: Any = UNSET


_decoder = msgspec.json.Decoder(_Body)

_LISTS = ("results", "data")

_row_decoder = msgspec.json.Decoder(Row)


def read_page(reply: Reply) -> Page:
    """Read a page of a list (``results``) or of a query (``data``).

    :raises RequestRejectedError: for an error with a success status.
    :raises InputError: when the reply is no list, has two columns of one name, or holds NaN.
    """
    try:
        body = _decoder.decode(reply.body)
    except msgspec.DecodeError:
        refuse_non_finite(reply.body)
        raise
    if not reply.body.isascii():
        reply.body.decode()  # Rows are not decoded here, and must be UTF-8 all the same.
    rows = body.results if body.results is not UNSET else body.data
    if isinstance(rows, UnsetType):
        if body.error_code is not UNSET or body.detail is not UNSET:
            raise RequestRejectedError(reply.status)
        raise InputError("the reply is not a list: it has neither 'results' nor 'data'")
    if b"\n" in reply.body:
        # A row must be one line. Texts in JSON hold no raw line breaks, so these are between tokens.
        rows = [Raw(msgspec.json.encode(msgspec.json.decode(raw))) for raw in rows]
    refuse_duplicates(column.name for column in body.columns or ())
    link = body.next if isinstance(body.next, str) else None
    served_at = service_time(reply)
    count = body.count
    if count is not None and link and 0 < len(rows) >= count:
        count = None  # It cannot be that of all rows, as more of them follow.
    return Page(rows, without_token(link), count, body.limit, body.columns, served_at=served_at)


def refuse_duplicates(names: Iterable[str]) -> None:
    """Refuse columns of the same name: a row of the reply holds the value of only one of them.

    :param names: names of a result's columns.
    :raises InputError: when a name occurs more than once; it names all of them.
    """
    problems = [
        f"{count} columns of the result are named {name!r}; give each its own name with AS"
        for name, count in Counter(names).items()
        if count > 1
    ]
    if problems:
        raise InputError(problems, "sql")


_PLAIN_NAME = r"[a-z_][a-z0-9_]*"


def quoted_name(name: str) -> str:
    """Return a column's name quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def sql_name(column: str) -> str:
    """Return a column's name as SQL has it, in quotes only where they are needed."""
    return column if re.fullmatch(_PLAIN_NAME, column) else quoted_name(column)


def refuse_non_finite(body: bytes) -> None:
    """Refuse a reply that would be JSON without its NaN and infinities, as another attempt gets it again.

    :param body: the body of a reply that is not JSON.
    :raises InputError: with each column that holds such a value, and how to select it.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for path, name in non_finite_values(body):
        in_row = len(path) > 2 and path[0] in _LISTS
        column = str(path[2]) if in_row else ".".join(map(str, path))
        found.setdefault((column, name), []).append(f"row {int(path[1]) + 1} of the page" if in_row else "")
    problems = []
    for (column, name), places in found.items():
        known = sql_name(column)
        more = f" and {len(places) - 1} more" if len(places) > 1 else ""
        place = f" ({places[0]}{more})" if places[0] else ""
        problems.append(
            f"column {column!r} holds {name}{place}, which JSON has no number for; select"
            f" NULLIF({known}, '{name}') AS {known}"
        )
    if problems:
        raise InputError(problems, "the reply")


def without_token(link: str | None) -> str | None:
    """Return a link without the token, which the service echoes in clear text (vendor's docs)."""
    return without_parameter(link, "token")


def without_parameter(link: str | None, name: str) -> str | None:
    """Return a link without a query parameter."""
    if not link:
        return None
    path, _, query = link.partition("?")
    rest = [pair for pair in query.split("&") if pair and pair.partition("=")[0] != name]
    return f"{path}?{'&'.join(rest)}" if rest else path


def follow(call: Call[Any], link: str) -> Call[Any]:
    """Return the call for the next page.

    The link's parameters replace those of the call, so that each is sent once: of two, the service uses the
    last one. Query, state and limit of the call are kept where the link lacks them. A query sent by POST
    stays in the body.

    :param call: request for a page.
    :param link: link to the next page.
    """
    path, _, query = link.partition("?")
    carried = {name: value for name, value in pairs(call.params) if name in _CARRIED_PARAMS}
    params = {**carried, **dict(parse_qsl(query, keep_blank_values=True))}
    params.pop("token", None)
    if call.method == "POST":
        params.pop("query", None)
    return replace(call, path=path, base="api", params=params)


_CARRIED_PARAMS = ("query", "state", "dataset_id", "limit")
"""Parameters of a call that are kept for its next page."""


def walk(send: Callable[[Call[Page]], Page], call: Call[Page]) -> Iterator[Page]:
    """Yield a page and all that follow it, including empty ones.

    :param send: sends a call and returns its result.
    :param call: request for the first page.
    :raises IncompleteExportError: when the ``next`` links are circular.
    """

    async def asend(call: Call[Page]) -> Page:
        return send(call)

    return iterate(awalk(asend, call))


async def awalk(
    asend: Callable[[Call[Page]], Awaitable[Page]], call: Call[Page]
) -> AsyncGenerator[Page, None]:
    """Yield the same pages from an event loop; see :func:`walk`.

    :param asend: sends a call and returns its result.
    :param call: request for the first page.
    """
    from airflow_provider.core.http.circles import Circle

    empty, circle = 0, Circle(_location(call))
    while True:
        page = await asend(call)
        yield page
        if page.next is None:
            return
        following = follow(call, page.next)
        empty = 0 if page.rows else empty + 1
        if empty > MAX_EMPTY_PAGES or (page.rows and _leads_back(circle, call, following)):
            url = without_query(page.next)
            raise IncompleteExportError(f"{url} leads to itself: its 'next' link repeats the same page")
        call = following


def _leads_back(circle: Circle, call: Call[Any], following: Call[Any]) -> bool:
    """Return whether the link of a page with rows leads to itself, or to an earlier page."""
    place = _location(following)
    return circle.closes_at(place) or place == _location(call)


def _location(call: Call[Any]) -> tuple[str, list[tuple[str, str]]]:
    return call.path, sorted(pairs(call.params))


def _check_list(body: Mapping[str, Any]) -> None:
    """Raise for a list whose items are none, or whose links are no texts.

    :raises ServerError: saying what was expected.
    """
    if any(not isinstance(body.get(name, []), list) for name in _LISTS):
        raise ServerError(200, "", "the reply cannot be read: its items are no list")
    if any(not isinstance(body.get(name), str | None) for name in ("next", "previous")):
        raise ServerError(200, "", "the reply cannot be read: its links to other pages are no texts")


class AsyncCursor(AsyncIterator[Any]):
    """Async iterator over the items of a list; pages are fetched on demand. See :class:`Cursor`.

    :param asend: sends a call and returns its result.
    :param call: request for the first page.
    """

    def __init__(self, asend: Callable[[Call[Any]], Awaitable[Any]], call: Call[Any]) -> None:
        from airflow_provider.core.http.circles import Circle

        self._asend = asend
        self._following: Call[Any] | None = call
        self._circle, self._is_circular = Circle(_location(call)), False
        self._items: list[Any] = []
        self._at = 0
        self._extra: dict[str, Any] = {}
        self._started = False

    def __aiter__(self) -> AsyncCursor:
        return self

    async def __anext__(self) -> Any:
        if not await self.has_next():
            raise StopAsyncIteration
        item = self._items[self._at]
        self._at += 1
        return item

    async def next(self) -> Any:
        """Return the next item; raise ``StopAsyncIteration`` after the last one."""
        return await anext(self)

    async def has_next(self) -> bool:
        """Return whether there is another item; may fetch a page."""
        empty = 0
        while self._at >= len(self._items) and self._following is not None:
            if self._is_circular:
                raise IncompleteExportError("the list leads to itself: a 'next' link repeats an earlier page")
            await self._fetch(self._following)
            empty += not self._items
            if empty > MAX_EMPTY_PAGES:
                raise IncompleteExportError(
                    f"the list has more than {MAX_EMPTY_PAGES} consecutive empty pages"
                )
        return self._at < len(self._items)

    async def get(self, key: str) -> Any:
        """Return an extra value of the latest page's reply, such as ``count`` or ``columns``.

        :param key: name of the value.
        :raises ValueError: when the reply has no such value.
        """
        if not self._started:
            await self.has_next()
        if key not in self._extra:
            raise ValueError(f"the reply has no value {key!r}; it has {', '.join(sorted(self._extra))}")
        return self._extra[key]

    async def _fetch(self, call: Call[Any]) -> None:
        body = await self._asend(call)
        is_list = isinstance(body, dict) and "next" in body
        if is_list:
            _check_list(body)
        self._started = True
        self._at = 0
        if not is_list:
            self._items, self._following = [body], None
            self._extra = body if isinstance(body, dict) else {}
            return
        refuse_duplicates(_column_names(body.get("columns")))
        name = next((name for name in _LISTS if name in body), None)
        self._items = body[name] if name else []
        self._extra = {key: value for key, value in body.items() if key != name}
        link = self._extra["next"]
        self._following = follow(call, link) if link else None
        if self._items and self._following:
            self._is_circular = _leads_back(self._circle, call, self._following)


class Cursor(Iterator[Any]):
    """Iterator over the items of a list; pages are fetched on demand.

    A reply that is no list is yielded once. No item is lost: when fetching a page fails, the error is raised,
    and the next call fetches the same page.

    :param send: sends a call and returns its result.
    :param call: request for the first page.
    """

    def __init__(self, send: Callable[[Call[Any]], Any], call: Call[Any]) -> None:
        async def asend(call: Call[Any]) -> Any:
            return send(call)

        self._items = AsyncCursor(asend, call)

    def __iter__(self) -> Cursor:
        return self

    def __next__(self) -> Any:
        try:
            return run(self._items.next())
        except StopAsyncIteration:
            raise StopIteration from None

    def next(self) -> Any:
        """Return the next item; raise ``StopIteration`` after the last one."""
        return next(self)

    @property
    def has_next(self) -> bool:
        """True if there is another item; may fetch a page."""
        return run(self._items.has_next())

    def get(self, key: str) -> Any:
        """Return an extra value of the latest page's reply, such as ``count`` or ``columns``.

        :param key: name of the value.
        :raises ValueError: when the reply has no such value.
        """
        return run(self._items.get(key))


def _column_names(columns: Any) -> list[str]:
    found = columns if isinstance(columns, list) else []
    return [str(column.get("name")) for column in found if isinstance(column, dict)]
