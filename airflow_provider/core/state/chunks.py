"""Chunks: a value that is larger than an entry of a state store, in several entries with numbered names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

MAX_CHUNKS = 10_000
"""Maximum chunks of a value; a stored number above it is damage."""


def write_chunks(store: Any, name: str, turn: int, chunks: Sequence[Any], **options: Any) -> dict[str, int]:
    """Store the chunks of a value; return the turn and the number of chunks, with which it is read.

    :param store: the state store.
    :param name: beginning of the entries' names.
    :param turn: 0 or 1 in turns, so that the value stays which the run started from.
    :param chunks: the parts of the value.
    :param options: further arguments with which an entry is stored.
    """
    for number, chunk in enumerate(chunks):
        store.set(f"{name}_{turn}_{number}", chunk, **options)
    return {"turn": turn, "chunks": len(chunks)}


def read_chunks(store: Any, name: str, turn: object, count: object) -> Iterator[Any]:
    """Yield the chunks of a stored value.

    :param store: the state store.
    :param name: beginning of the entries' names.
    :param turn: the turn with which it was stored.
    :param count: the number of chunks.
    :raises ValueError: for a number of chunks that was never stored.
    :raises LookupError: for a chunk that is missing: without it, items would be taken twice, or not at all.
    """
    if type(count) is not int or not 0 <= count <= MAX_CHUNKS:
        raise ValueError("no number of chunks")
    for number in range(count):
        if (chunk := store.get(f"{name}_{turn}_{number}")) is None:
            raise LookupError(f"chunk {number} is missing")
        yield chunk
