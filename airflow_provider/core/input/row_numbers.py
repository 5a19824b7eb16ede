"""Row numbers over several files, which texts show as ``file:row``."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, ClassVar

_FAR = 2**62
"""End of a file whose number of rows is not known yet."""


class RowNumber(int):
    """Number of a row over all files, which texts show as ``file:row``: ``part-7.csv:12``."""

    __slots__ = ()
    ends: ClassVar[list[int]]
    names: ClassVar[Sequence[str]]

    def __str__(self) -> str:
        at = bisect_left(self.ends, int(self))
        return f"{self.names[at]}:{int(self) - (self.ends[at - 1] if at else 0)}"

    __repr__ = __str__


class RowNumbers:
    """The numbers of the rows of several files, in their order.

    A number is as small as an integer: the names of the files are kept once for all of them.

    :param names: names of the files.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._ends: list[int] = []
        self._kind: Any = type(
            "RowNumber", (RowNumber,), {"ends": self._ends, "names": names, "__slots__": ()}
        )
        self._start = self._last = 0

    def next_file(self) -> None:
        """Number the rows of the next file from here on."""
        if self._ends:
            self._start += self._last
            self._ends[-1] = self._start
        self._ends.append(self._start + _FAR)
        self._last = 0

    def number(self, row: int) -> RowNumber:
        """Return the number of a row of the present file, counted from 1 in it."""
        self._last = row
        found: RowNumber = self._kind(self._start + row)
        return found


def encode_row_number(value: Any) -> str:
    """Return a row number as text, where JSON is encoded.

    :raises TypeError: for any other value.
    """
    if isinstance(value, RowNumber):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
