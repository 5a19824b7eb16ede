"""Objects in batches, and what the service says of one of a batch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from airflow_provider.errors import ApiError
from airflow_provider.mapsindoors.geodata.rows import NumberedRow

Json = dict[str, Any]

T = TypeVar("T")

_INDEX = re.compile(r"\[(\d+)\]\.?")
"""How the service names one of a request's objects: ``[3].status``."""

MOST_BYTES = 8_000_000
"""Bytes of a batch. The service's limit is not documented; web servers of its kind take 30 MB."""


def batches(
    items: Iterable[T], size: int, body: Callable[[T], Json], most_bytes: int = MOST_BYTES
) -> Iterator[list[T]]:
    """Group things, as many as fit both limits; a single larger one goes alone.

    :param size: how many at the most.
    :param body: gives what is sent of a thing.
    """
    import msgspec

    batch: list[T] = []
    total = 0
    for item in items:
        encoded_bytes = len(msgspec.json.encode(body(item)))
        if batch and (len(batch) >= size or total + encoded_bytes > most_bytes):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += encoded_bytes
    if batch:
        yield batch


def with_row_numbers(message: str, batch: Sequence[NumberedRow]) -> str:
    """Put row numbers and ids where the service counts the objects of a request."""

    def named(match: re.Match[str]) -> str:
        index = int(match.group(1))
        if index >= len(batch):
            return match.group()
        number, item = batch[index]
        return f"row {number} (id {item.get('id')}) "

    return _INDEX.sub(named, message)


def rejected_identities(batch: Sequence[object], message: str) -> set[int]:
    """Give those of a batch that the service names as bad, each as its Python ``id``."""
    indexes = (int(index) for index in _INDEX.findall(message))
    return {id(batch[index]) for index in indexes if index < len(batch)}


def split_batch(batch: list[T], message: str) -> list[list[T]]:
    """Part a refused batch: those that the service names as bad from the others, or else in halves."""
    named = rejected_identities(batch, message)
    if 0 < len(named) < len(batch):
        return [
            [item for item in batch if id(item) in named],
            [item for item in batch if id(item) not in named],
        ]
    half = len(batch) // 2
    return [batch[half:], batch[:half]]


def rejection_reason(error: ApiError) -> str:
    """Give what the service says of an object that was sent alone."""
    return re.sub(r"\[0\]\.?", "", error.message) or str(error)
