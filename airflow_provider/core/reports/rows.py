"""Row observer: the columns, days and geometries of a table, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from typing import Any

from airflow_provider.core.reports.columns import ColumnObserver
from airflow_provider.core.reports.days import DayCounts
from airflow_provider.core.reports.lines import ColumnRows, LineReader, chunks
from airflow_provider.core.reports.profile import MOST_FURTHER, Outline, Table
from airflow_provider.core.reports.shapes import ReadGeometry, ShapeSample, of_geojson
from airflow_provider.core.reports.texts import clean

MOST_COLUMNS = 200
"""Maximum columns of a report, of all its tables together."""

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Focus:
    """The columns of an export that mean something to a reader.

    :param times: names of columns of times; the first that the rows have is counted by day.
    :param types: names of columns that tell a row's type, the most telling first.
    :param geometries: names of columns of geometries; the first that the rows have is drawn.
    :param read_geometry: returns a value of such a column as GeoJSON.
    """

    times: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    geometries: tuple[str, ...] = ()
    read_geometry: ReadGeometry = field(default=of_geojson)


class ColumnBudget:
    """The columns that a report may still take."""

    def __init__(self) -> None:
        self._left = MOST_COLUMNS

    def take(self) -> bool:
        """Return whether one more column may be observed, and count it."""
        self._left -= 1
        return self._left >= 0


class RowObserver:
    """Observer of the rows of a table.

    :param focus: the columns that mean something.
    :param budget: number of columns that may be observed.
    :param name: name of the table.
    """

    def __init__(self, focus: Focus, budget: ColumnBudget, name: str = "") -> None:
        self._focus = focus
        self._budget = budget
        self._name = name
        self._rows = 0
        self._columns: dict[str, ColumnObserver] = {}
        self._further: set[str] = set()
        self._lines = LineReader()
        self._days: DayCounts | None = None
        self._shapes: ShapeSample | None = None

    def add(self, rows: Rows) -> None:
        """Take some rows.

        :param rows: the rows, in their order.
        """
        if not rows:
            return
        self._take(self._as_columns(rows), rows)

    def _take(self, columns: Iterable[tuple[str, Sequence[Any]]], rows: Rows) -> None:
        for name, values in columns:
            self._columns[name].add(values)
            if self._days is not None and name == self._days.column:
                self._days.add(values)
        if self._shapes is not None:
            self._shapes.add(rows)
        self._rows += len(rows)

    def add_lines(self, text: bytes) -> None:
        """Take rows that are encoded as JSON Lines.

        :param text: one row a line.
        """
        for some in chunks(text):
            columns = None if self._further else self._lines.columns(some, list(self._columns))
            if columns is None:
                self.add(self._lines.rows(some))
            else:
                pairs = list(zip(self._columns, columns, strict=True))
                self._take(pairs, ColumnRows(dict(pairs)))

    def _as_columns(self, rows: Rows) -> Iterator[tuple[str, Sequence[Any]]]:
        names = list(self._columns)
        if len(names) > 1 and set(map(len, rows)) == {len(names) + len(self._further)}:
            try:
                return zip(names, zip(*map(itemgetter(*names), rows), strict=True), strict=True)
            except KeyError:
                pass  # Some rows have other columns.
        for name in dict.fromkeys(chain.from_iterable(rows)):
            if name not in self._columns and name not in self._further:
                self._note_column(name)
        return ((name, [row[name] for row in rows if name in row]) for name in self._columns)

    def _note_column(self, name: str) -> None:
        if not self._budget.take():
            if len(self._further) < MOST_FURTHER:
                self._further.add(name)
            return
        self._columns[name] = ColumnObserver(name)
        focus = self._focus
        known = self._days.column if self._days else None
        # Once rows were counted, no other column can take its place: its days would lack those rows.
        if (known is None or not self._rows) and self._is_better(name, focus.times, known):
            self._days = DayCounts(name)
        if self._shapes is None and name in focus.geometries:
            self._shapes = ShapeSample(name, focus.types, focus.read_geometry)

    @staticmethod
    def _is_better(name: str, names: Sequence[str], known: str | None) -> bool:
        """Return whether a column stands before the known one."""
        return name in names and (known is None or names.index(name) < names.index(known))

    def profile(self) -> Table:
        """Return what was found."""
        outlines: list[Outline] = []
        off_map = 0
        if self._shapes is not None:
            outlines, off_map = self._shapes.outlines()
        days = self._days
        return Table(
            name=clean(self._name, 200),
            rows=self._rows,
            columns=[column.profile() for column in self._columns.values()],
            more_columns=len(self._further),
            day_column=days.column if days and days.days else "",
            days=dict(sorted(days.days.items())) if days else {},
            not_days=self._rows - days.days.total() if days and days.days else 0,
            type_columns=[name for name in self._focus.types if name in self._columns],
            geometry=self._shapes.column if self._shapes else "",
            off_map=off_map,
            outlines=outlines,
        )
