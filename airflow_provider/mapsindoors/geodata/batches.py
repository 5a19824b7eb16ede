"""Objects in batches, and what the service says of one of a batch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from airflow_provider.core.json_types import Json
from airflow_provider.errors import ApiError

Numbered = tuple[int, Json]


T = TypeVar("T")

_INDEX = re.compile(r"\[(\d+)\]\.?")
"""How the service names one of a request's objects: ``[3].status``."""

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
    """Put row numbers and ids where the service counts the objects of a request."""

    def named(match: re.Match[str]) -> str:
        index = int(match.group(1))
        if index >= len(batch):
            return match.group()
        number, item = batch[index]
        return f"row {number} (id {item.get('id')}) "

    return _INDEX.sub(named, message)


def named_in(part: Sequence[object], message: str) -> set[int]:
    """Give those of a batch that the service names as bad, each as its Python ``id``."""
    indexes = (int(index) for index in _INDEX.findall(message))
    return {id(part[index]) for index in indexes if index < len(part)}


def split(part: list[T], message: str) -> list[list[T]]:
    """Part a refused batch: those that the service names as bad from the others, or else in halves."""
    named = named_in(part, message)
    if 0 < len(named) < len(part):
        return [[one for one in part if id(one) in named], [one for one in part if id(one) not in named]]
    half = len(part) // 2
    return [part[half:], part[:half]]


def reason(error: ApiError) -> str:
    """Give what the service says of an object that was sent alone."""
    return re.sub(r"\[0\]\.?", "", error.message) or str(error)
