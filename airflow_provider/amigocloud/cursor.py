"""Walks any list of the service, one item at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from airflow_provider.amigocloud.pages import MOST_EMPTY, follow, without_token
from airflow_provider.core.http.call import Call
from airflow_provider.errors import IncompleteExportError

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
