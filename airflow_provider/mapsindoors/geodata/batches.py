"""Batches: split objects into requests, and map an error of a request to its rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from airflow_provider.core.json_types import Json
from airflow_provider.errors import ApiError
from airflow_provider.mapsindoors.geodata.rows import NumberedRow

T = TypeVar("T")

_INDEX = re.compile(r"(?<![\w\]])\$?\[(\d+)\]\.?")
"""Index by which the service names an object of a request: ``[3].status``, or ``$[3].status`` for a value of
another JSON type; not an index inside of the object, such as that of ``aliases[1]``."""

_QUOTED_KEY = re.compile(r"\['[^']*'\]")
"""A key with blanks in a path, whose text is the user's."""

_FIRST = re.compile(_INDEX.pattern.replace(r"(\d+)", "0"))

MOST_BYTES = 8_000_000
"""Maximum bytes of a batch. The service's limit is not documented; web servers of its kind take 30 MB."""


def batches(
    items: Iterable[T], size: int, body: Callable[[T], Json], most_bytes: int = MOST_BYTES
) -> Iterator[list[T]]:
    """Yield batches that keep both limits; an item that is larger than the limit is a batch of its own.

    :param items: the items, in the order in which they are sent.
    :param size: maximum number of items a batch.
    :param body: returns the JSON that is sent for an item.
    :param most_bytes: maximum encoded bytes a batch.
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
    """Replace the indexes in an error of the service by row numbers and ids."""

    def named(match: re.Match[str]) -> str:
        index = int(match.group(1))
        if index >= len(batch):
            return match.group()
        number, item = batch[index]
        return f"row {number} (id {item.get('id')}) "

    return _INDEX.sub(named, message)


def rejected_identities(batch: Sequence[object], message: str) -> set[int]:
    """Return the items that the service's error names, each by its Python ``id``."""
    indexes = (int(index) for index in _INDEX.findall(_QUOTED_KEY.sub(".key", message)))
    return {id(batch[index]) for index in indexes if index < len(batch)}


def split_batch(batch: list[T], message: str) -> list[list[T]]:
    """Split a rejected batch: items that the error names and the others, or else two halves."""
    named = rejected_identities(batch, message)
    if 0 < len(named) < len(batch):
        return [
            [item for item in batch if id(item) in named],
            [item for item in batch if id(item) not in named],
        ]
    half = len(batch) // 2
    return [batch[half:], batch[:half]]


def rejection_reason(error: ApiError) -> str:
    """Return the service's reason for rejecting an object that was the only one of its request."""
    return _FIRST.sub("", error.message) or str(error)
