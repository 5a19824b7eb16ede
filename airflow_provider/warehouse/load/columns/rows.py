"""Rows of a source: columns, batches of Arrow arrays, and the numbers that errors name."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

UNKNOWN_SRID = -1
"""Coordinate system of geometries that their file says nothing about."""

LONGITUDE_LATITUDE = 4326
"""SRID of longitude and latitude."""


class SourceColumn(NamedTuple):
    """A column of the source.

    :param name: its name in the files.
    :param form: how its values are held: ``json`` (JSON texts), ``text`` (fields of CSV) or ``arrow``.
    :param kind: the values that it has: ``boolean``, ``integer``, ``number``, ``text``, ``json``,
        ``geometry``, or for ``arrow`` further ones.
    :param srid: the coordinate system that the file names for geometries.
    :param unnamed: whether the file has no name for it, as for the geometry of GeoJSON.
    :param optional: whether it is left out when the table has no such column.
    :param digits: most digits before and behind the point of ``decimal`` numbers; None when not known.
    """

    name: str
    form: str
    kind: str
    srid: int = UNKNOWN_SRID
    unnamed: bool = False
    optional: bool = False
    digits: tuple[int, int] | None = None


class Batch(NamedTuple):
    """Some rows of one file.

    :param rows: their number.
    :param arrays: one Arrow array per column, by the column's name in the files.
    :param file: the file's place among the files.
    """

    rows: int
    arrays: dict[str, pa.Array]
    file: int = 0


class Reader(Protocol):
    """Reader of the files of one format."""

    columns: list[SourceColumn]

    def batches(self) -> Iterator[Batch]:
        """Yield all rows, in the order of the files."""


class RowNumbers:
    """Numbers of a file's rows: consecutive but for what the reader skips, such as empty lines.

    :param count: the number of rows that are numbered from 1.
    """

    def __init__(self, count: int = 0) -> None:
        self.count = count
        self._starts = [0]
        self._firsts = [1]

    def add(self, number: int) -> None:
        """Add the next row by its number in the file."""
        if number != self._firsts[-1] + self.count - self._starts[-1]:
            self._starts.append(self.count)
            self._firsts.append(number)
        self.count += 1

    def number(self, index: int) -> int:
        """Return the number of a row in the file.

        :param index: its place among the rows of the file, from 0.
        """
        place = bisect_right(self._starts, index) - 1
        return self._firsts[place] + index - self._starts[place]
