"""Objects in batches, and what the service says of one of a batch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

Json = dict[str, Any]
Numbered = tuple[int, Json]
T = TypeVar("T")

MOST_BYTES = 8_000_000
"""Bytes of a batch. The service's limit is not documented; web servers of its kind take 30 MB."""


def batches(
    things: Iterable[T], size: int, body: Callable[[T], Json], most_bytes: int = MOST_BYTES
) -> Iterator[list[T]]:
    """Group things, as many as fit both limits; a single larger one goes alone.

    :param size: how many at the most.
    :param body: gives what is sent of a thing.
    """
    import msgspec

    batch: list[T] = []
    total = 0
    for thing in things:
        weight = len(msgspec.json.encode(body(thing)))
        if batch and (len(batch) >= size or total + weight > most_bytes):
            yield batch
            batch, total = [], 0
        batch.append(thing)
        total += weight
    if batch:
        yield batch


def in_rows(message: str, batch: Sequence[Numbered]) -> str:
    """Put row numbers and ids where the service counts the objects of a request (``[3].status``)."""

    def named(match: re.Match[str]) -> str:
        index = int(match.group(1))
        if index >= len(batch):
            return match.group()
        number, item = batch[index]
        return f"row {number} (id {item.get('id')}) "

    return re.sub(r"\[(\d+)\]\.?", named, message)
