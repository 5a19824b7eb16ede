"""Line reader: the columns of JSON Lines, without an object for each row where the rows are alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import msgspec
from msgspec import UNSET

_MOST_MISSES = 5
"""Batches with other columns after which each row is decoded as an object."""


_CHUNK = 96 * 1024
"""Least bytes of lines that are decoded together: their values stay in the processor's cache."""


def chunks(text: bytes) -> Iterator[bytes]:
    """Yield lines in pieces of some size.

    :param text: one row a line.
    """
    start = 0
    while start < len(text):
        end = text.find(b"\n", start + _CHUNK)
        end = len(text) if end < 0 else end
        yield text[start:end]
        start = end + 1


class LineReader:
    """Reader of JSON Lines whose rows have the same columns, most of the time."""

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(dict[str, Any])
        self._alike: msgspec.json.Decoder[Any] | None = None
        self._names: list[str] = []
        self._misses = 0

    def rows(self, text: bytes) -> list[dict[str, Any]]:
        """Return rows as objects.

        :param text: one row a line.
        """
        return self._decoder.decode_lines(text)

    def columns(self, text: bytes, names: list[str]) -> list[Sequence[Any]] | None:
        """Return the values of each column; None when a row has another one.

        A field that a row lacks is msgspec's UNSET.

        :param text: one row a line.
        :param names: names of the known columns.
        """
        if not names or self._misses > _MOST_MISSES:
            return None
        if names != self._names:
            try:
                self._names, self._alike = names, _decoder_of(names)
            except ValueError:  # msgspec takes no field with a quote, backslash or control character.
                self._misses = _MOST_MISSES + 1
                return None
        assert self._alike is not None  # noqa: S101 - it is that of the names
        try:
            rows = self._alike.decode_lines(text)
        except msgspec.ValidationError:
            self._misses += 1
            return None
        return list(zip(*map(msgspec.structs.astuple, rows), strict=True))


def _decoder_of(names: Sequence[str]) -> msgspec.json.Decoder[Any]:
    """Return a decoder of rows that have no other columns."""
    fields = [f"f{number}" for number in range(len(names))]
    row = msgspec.defstruct(
        "Row",
        [(field, Any, UNSET) for field in fields],
        rename=dict(zip(fields, names, strict=True)),
        forbid_unknown_fields=True,
        gc=False,
    )
    return msgspec.json.Decoder(row)


class ColumnRows(Sequence[Mapping[str, Any]]):
    """Rows that are made of their columns when they are asked for.

    :param columns: the values by name, all of the same number.
    """

    def __init__(self, columns: Mapping[str, Sequence[Any]]) -> None:
        self._columns = columns

    def __len__(self) -> int:
        return len(next(iter(self._columns.values()), ()))

    @overload
    def __getitem__(self, index: int) -> Mapping[str, Any]: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Mapping[str, Any]]: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        row = {name: values[index] for name, values in self._columns.items()}
        return {name: value for name, value in row.items() if value is not UNSET}
