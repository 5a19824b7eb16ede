"""Prefetch: the next item is made while the caller uses the previous one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def prefetch(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the same items; each is made, in a thread, while the caller uses the previous one.

    An error is raised in the caller's thread, after the items before it. At most one item is held that the
    caller has not asked for.

    :param items: the items; none of them is None.
    """
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, items, None)
        while (item := following.result()) is not None:
            following = pool.submit(next, items, None)
            yield item
