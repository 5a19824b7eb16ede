"""Day counts: rows by day; by month or year when there are too many."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date

MOST_DAYS = 1_500
"""Maximum days that are counted; beyond, months are counted, and then years."""

_DAY = re.compile(r"\d{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01]))?)?", re.ASCII)

_LEVELS = (10, 7, 4)
"""Characters of a day, a month and a year."""


class DayCounts:
    """Rows by day of a column of times.

    :param column: name of the column.
    """

    def __init__(self, column: str) -> None:
        self.column = column
        self.days: Counter[str] = Counter()
        self._size = 10

    def add(self, values: Iterable[object]) -> None:
        """Count the days of some rows.

        :param values: texts that begin with a day; others are left out.
        """
        size = self._size
        texts = [value[:size] if type(value) is str else "" for value in values]
        for day, rows in Counter(texts).items():
            if len(day) == size and _DAY.fullmatch(day):
                self.days[day] += rows
        while len(self.days) > MOST_DAYS and self._size > _LEVELS[-1]:
            self._size = _LEVELS[_LEVELS.index(self._size) + 1]
            self.days = Counter(fold(self.days, self._size))


def is_day(text: str) -> bool:
    """Return whether a text is a day, a month or a year.

    :param text: any text.
    """
    return _DAY.fullmatch(text) is not None


def fold(days: Mapping[str, int], size: int) -> dict[str, int]:
    """Return counts of months or years.

    :param days: rows by day.
    :param size: characters of a month or a year.
    """
    found: Counter[str] = Counter()
    for day, rows in days.items():
        found[day[:size]] += rows
    return dict(sorted(found.items()))


def fold_to(days: Mapping[str, int], most: int) -> dict[str, int]:
    """Return counts by day, by month or by year: the finest with at most a number of bars.

    :param days: rows by day.
    :param most: maximum number of bars; the last years are kept when there are more.
    """
    sizes = [size for size in _LEVELS if days and size <= min(map(len, days))]
    for size in sizes:
        found = fold(days, size)
        if len(found) <= most:
            return found
    return dict(list(fold(days, 4).items())[-most:]) if days else {}


def count_between(first: str, second: str) -> int:
    """Return the number of periods between two others, such as the days between two days.

    :param first: a day, a month or a year.
    :param second: a later one of the same period.
    """
    return _number(second) - _number(first) - 1


def _number(period: str) -> int:
    year, *rest = map(int, period.split("-"))
    if not rest:
        return year
    month = year * 12 + rest[0]
    # A page may have a day that no calendar has, such as the last of a February.
    return month if len(rest) == 1 else date(max(year, 1), rest[0], 1).toordinal() + rest[1]
