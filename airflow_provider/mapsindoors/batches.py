"""Objects in batches, and what the service says of one of a batch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from airflow_provider.errors import InputError

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


def batch_limit(batch_size: Any) -> int:
    """Read an operator's ``batch_size``, which a template may have made a text.

    :raises InputError: when it is no whole number above 0.
    """
    text = str(batch_size).strip()
    if not text.isdigit() or int(text) < 1:
        raise InputError(f"batch_size must be a whole number above 0, not {batch_size!r}")
    return int(text)


def in_rows(message: str, batch: Sequence[Numbered]) -> str:
    """Put row numbers and ids where the service counts the objects of a request (``[3].status``)."""

    def named(match: re.Match[str]) -> str:
        index = int(match.group(1))
        if index >= len(batch):
            return match.group()
        number, item = batch[index]
        return f"row {number} (id {item.get('id')}) "

    return re.sub(r"\[(\d+)\]\.?", named, message)
