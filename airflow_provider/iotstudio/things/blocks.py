"""Requests that name Things by their ids, in URLs that the service accepts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import TypeVar

from airflow_provider.errors import RequestRejectedError
from airflow_provider.iotstudio.api import IDS_PER_REQUEST

T = TypeVar("T")

_TOO_LONG = (413, 414, 431)
"""Status codes of servers for a URL that is too long."""


async def in_blocks(
    ids: Sequence[str], send: Callable[[list[str]], Awaitable[T]]
) -> AsyncGenerator[tuple[list[str], T], None]:
    """Yield blocks of ids, each with the result of its request.

    A request that is refused as too long is sent again with half of its ids, and so are all after it.

    :param ids: the ids.
    :param send: sends the request of a block, which the service refuses whole or not at all.
    """
    size, start = IDS_PER_REQUEST, 0
    while start < len(ids):
        block = list(ids[start : start + size])
        try:
            result = await send(block)
        except RequestRejectedError as error:
            if error.status not in _TOO_LONG or len(block) == 1:
                raise
            size = len(block) // 2
            continue
        yield block, result
        start += len(block)
