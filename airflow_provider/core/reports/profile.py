"""Profile: the findings of a report about the rows of a file, as data that the next report reads."""

from __future__ import annotations

from itertools import chain
from typing import Any

import msgspec

from airflow_provider.core.reports.days import is_day

MOST_FURTHER = 10_000
"""Maximum columns that are counted beyond those that are observed."""

VERSION = 1
"""Version of the data in a page; another one is not read."""


class Column(msgspec.Struct, omit_defaults=True):
    """Findings of a column.

    :param kinds: number of values by kind: ``text``, ``time``, ``integer``, ``number``, ``boolean``,
        ``list``, ``object`` and others.
    :param nulls: rows in which the value is null.
    :param numbers: the least and the greatest number.
    :param times: the first and the last time, compared as texts.
    :param lengths: the shortest and the longest text, or list, or object.
    :param distinct: number of different values; None when they were not counted.
    :param is_more: whether there are more than ``distinct``.
    :param values: the most frequent values with their rows; empty when there are too many.
    """

    name: str
    kinds: dict[str, int] = {}
    nulls: int = 0
    numbers: tuple[int | float, int | float] | None = None
    times: tuple[str, str] | None = None
    lengths: tuple[int, int] | None = None
    distinct: int | None = None
    is_more: bool = False
    values: list[tuple[str, int]] = []

    @property
    def filled(self) -> int:
        """The number of rows with a value."""
        return sum(self.kinds.values())

    @property
    def has_all_values(self) -> bool:
        """True when all different values are listed."""
        return self.distinct is not None and not self.is_more and self.distinct == len(self.values)

    def as_values(self) -> dict[str, int]:
        """Return the rows of each value."""
        return dict(self.values)


class Outline(msgspec.Struct, omit_defaults=True):
    """A geometry of the map.

    :param shape: the geometry, simplified, as GeoJSON.
    :param types: values of the row by the names of the columns of types.
    """

    shape: dict[str, Any]
    types: dict[str, str] = {}


class Table(msgspec.Struct, omit_defaults=True):
    """Rows with the same columns.

    :param name: name of the table; empty for the only one.
    :param more_columns: number of columns that are not in the report.
    :param day_column: column of times by which the rows are counted.
    :param days: rows by day, month or year.
    :param not_days: rows without a time in that column.
    :param type_columns: columns that name a row's type, the most telling first.
    :param geometry: column of the geometries.
    :param off_map: geometries among the drawn ones that are not in degrees, or unreadable.
    :param outlines: geometries of the map; in a page only that of a part.
    """

    name: str = ""
    rows: int = 0
    columns: list[Column] = []
    more_columns: int = 0
    day_column: str = ""
    days: dict[str, int] = {}
    not_days: int = 0
    type_columns: list[str] = []
    geometry: str = ""
    off_map: int = 0
    outlines: list[Outline] = []

    def column(self, name: str) -> Column | None:
        """Return a column by its name.

        :param name: the name.
        """
        return next((column for column in self.columns if column.name == name), None)

    def type_column(self) -> Column | None:
        """Return the column by whose values the rows are counted: few values, and more than one."""
        for name in self.type_columns:
            column = self.column(name)
            if column is not None and column.has_all_values and len(column.values) > 1:
                return column
        return None


class Profile(msgspec.Struct, omit_defaults=True):
    """Contents of a report: an export and its tables.

    :param uri: location of the exported file, without credentials.
    :param at: time of the export.
    :param is_slice: whether the file has only the rows since the last export.
    :param more_tables: number of tables that are not in the report.
    """

    version: int
    title: str
    source: str
    uri: str
    at: str
    format: str = ""
    rows: int = 0
    bytes: int = 0
    files: int = 1
    is_slice: bool = False
    is_part: bool = False
    task: str = ""
    tables: list[Table] = []
    more_tables: int = 0

    def table(self, name: str) -> Table | None:
        """Return a table by its name.

        :param name: the name.
        """
        return next((table for table in self.tables if table.name == name), None)


def to_script(profile: Profile) -> str:
    """Return a profile as JSON that can stand between the tags of a page.

    :param profile: the profile.
    """
    text = msgspec.json.encode(profile).decode()
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text


def from_script(text: str) -> Profile:
    """Return the profile that :func:`to_script` wrote.

    :param text: the JSON.
    :raises ValueError: when it is no profile of this version.
    """
    try:
        found = msgspec.json.decode(text, type=Profile)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"its data are damaged: {error}") from None
    if found.version != VERSION:
        raise ValueError(f"its data are of version {found.version}")
    if not all(map(is_day, chain.from_iterable(table.days for table in found.tables))):
        raise ValueError("its data are damaged: a day is none")
    return found
