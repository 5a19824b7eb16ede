"""One page of rows, and the way from one page to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from airflow_provider.core.http.call import Call, pairs
from airflow_provider.core.http.reply import Reply
from airflow_provider.core.redaction import without_query
from airflow_provider.errors import IncompleteExportError, InputError, RequestRejectedError

Row = dict[str, Any]

MOST_EMPTY = 20
"""How many empty pages in a row are followed before the list counts as broken."""


class Column(Struct, frozen=True):
    """A column of a result.

    :param type: ``string``, ``integer``, ``float``, ``geometry`` and others; ``unknown(<number>)`` when the
        service has no name for it (seen in clients).
    """

    name: str
    type: str = "string"


class Page(Struct):
    """Rows as they came, not decoded yet.

    :param rows: the JSON of each row.
    :param next: where the following page is, None at the end; holds no token.
    :param count: rows of the whole result.
    :param limit: the most rows the service gives at once.
    :param columns: of a query's result.
    """

    rows: list[Raw]
    next: str | None = None
    count: int | None = None
    limit: int | None = None
    columns: list[Column] | None = None
    text: bytes | None = None

    def decoded(self) -> list[Row]:
        """Decode all rows."""
        return _row_decoder.decode_lines(self.lines())

    def lines(self) -> bytes:
        """Give all rows as JSON, a line each; they are put together once, for all who want them so."""
        if self.text is None:
            self.text = b"\n".join(self.rows)
        return self.text

    def only(self, rows: list[Raw]) -> Page:
        """Give the same page with some of its rows."""
        return Page(rows, self.next, self.count, self.limit, self.columns)


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


_row_decoder = msgspec.json.Decoder(Row)


def read_page(reply: Reply) -> Page:
    """Read a page of a list (``results``) or of a query (``data``).

    :raises RequestRejectedError: for an error that comes with a good status.
    :raises InputError: when the reply is no list.
    """
    body = _decoder.decode(reply.body)
    rows = body.results if body.results is not UNSET else body.data
    if isinstance(rows, UnsetType):
        if body.error_code is not UNSET or body.detail is not UNSET:
            raise RequestRejectedError(reply.status)
        raise InputError("the reply is no list: it has neither 'results' nor 'data'")
    if b"\n" in reply.body:
        # A row must be one line; inside of JSON texts there are no raw line breaks.
        rows = [Raw(msgspec.json.encode(msgspec.json.decode(raw))) for raw in rows]
    following = body.next if isinstance(body.next, str) else None
    return Page(rows, without_token(following), body.count, body.limit, body.columns)


def without_token(link: str | None) -> str | None:
    """Take the token out of a link: the service echoes it in clear (vendor's docs)."""
    return without(link, "token")


def without(link: str | None, name: str) -> str | None:
    """Take a parameter out of a link."""
    if not link:
        return None
    path, _, query = link.partition("?")
    kept = [pair for pair in query.split("&") if pair and pair.partition("=")[0] != name]
    return f"{path}?{'&'.join(kept)}" if kept else path


def follow(call: Call[Any], link: str) -> Call[Any]:
    """Give the call for the following page.

    The link's parameters replace those of the call, each once: the service lets the last of two count. What
    is asked, and of which state, stays as it was where the link does not say it; a query that went by POST
    stays in the body.
    """
    path, _, query = link.partition("?")
    stays = {name: value for name, value in pairs(call.params) if name in _STAYS}
    params = {**stays, **dict(parse_qsl(query, keep_blank_values=True))}
    params.pop("token", None)
    if call.method == "POST":
        params.pop("query", None)
    return replace(call, path=path, base="api", params=params)


_STAYS = ("query", "state", "dataset_id", "limit")


def walk(send: Callable[[Call[Page]], Page], call: Call[Page]) -> Iterator[Page]:
    """Give a page and all that follow it, empty ones included.

    :param send: sends a call.
    :raises IncompleteExportError: when the service leads in a circle.
    """
    empty = 0
    while True:
        page = send(call)
        yield page
        if page.next is None:
            return
        following = follow(call, page.next)
        empty = 0 if page.rows else empty + 1
        if empty > MOST_EMPTY or (page.rows and _place(following) == _place(call)):
            where = without_query(page.next)
            raise IncompleteExportError(f"{where} leads to itself: its 'next' page is the same again")
        call = following


def ahead(pages: Iterator[Page]) -> Iterator[Page]:
    """Give the same pages, each fetched while the one before it is being used."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, pages, None)
        while (page := following.result()) is not None:
            following = pool.submit(next, pages, None)
            yield page


def _place(call: Call[Any]) -> tuple[str, list[tuple[str, str]]]:
    return call.path, sorted(pairs(call.params))


_LISTS = ("results", "data")


class Cursor(Iterator[Any]):
    """The items of a list, page after page; nothing is fetched before it is needed.

    A reply that is no list gives itself once. An item is never lost: when fetching a page fails, the error is
    raised, and the next call tries again.

    :param send: sends a call.
    :param call: asks for the first page.
    """

    def __init__(self, send: Callable[[Call[Any]], Any], call: Call[Any]) -> None:
        self._send = send
        self._following: Call[Any] | None = call
        self._items: list[Any] = []
        self._at = 0
        self._extra: dict[str, Any] = {}
        self._started = False

    def __iter__(self) -> Cursor:
        return self

    def __next__(self) -> Any:
        if not self.has_next:
            raise StopIteration
        item = self._items[self._at]
        self._at += 1
        return item

    def next(self) -> Any:
        """Give the next item; raises ``StopIteration`` after the last one."""
        return next(self)

    @property
    def has_next(self) -> bool:
        """Whether there is another item; may fetch a page to know."""
        empty = 0
        while self._at >= len(self._items) and self._following is not None:
            self._fetch(self._following)
            empty += 1
            if empty > MOST_EMPTY:
                raise IncompleteExportError("the list goes on and on with empty pages")
        return self._at < len(self._items)

    def get(self, key: str) -> Any:
        """Give an extra value of the latest page's reply, such as ``count`` or ``columns``.

        :raises ValueError: when the reply has no such value.
        """
        if not self._started:
            _ = self.has_next
        if key not in self._extra:
            raise ValueError(f"the reply has no value {key!r}; it has {', '.join(sorted(self._extra))}")
        return self._extra[key]

    def _fetch(self, call: Call[Any]) -> None:
        body = self._send(call)
        self._started = True
        self._at = 0
        if not isinstance(body, dict) or "next" not in body:
            self._items, self._following = [body], None
            self._extra = body if isinstance(body, dict) else {}
            return
        name = next((name for name in _LISTS if name in body), None)
        self._items = body[name] if name else []
        self._extra = {key: value for key, value in body.items() if key != name}
        for key in ("next", "previous"):
            if key in self._extra:
                self._extra[key] = without_token(self._extra[key])
        link = self._extra["next"]
        self._following = follow(call, link) if link else None
