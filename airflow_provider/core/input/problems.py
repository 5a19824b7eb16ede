"""Problems of rows: collected over a whole source, each with row, key and field, columns reported once."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider.errors import InputError, cut

MAX_KINDS = 10_000
"""Maximum problems of rows, and of columns, that are remembered of one source."""

ROWS_NAMED = 3
"""Row numbers that a problem shared by many rows names."""


class Problems:
    """The problems of one source's rows.

    A problem of a column (an unknown field, a column of the wrong type) is reported once with the number of
    rows that have it, so that it does not bury the one bad value beside it.

    :param where: the source, for the first line of the error.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self.rows: set[int] = set()
        self._columns: dict[str, list[int]] = {}
        self._counts: dict[str, int] = {}
        self._lines: list[str] = []
        self._dropped = 0

    def __bool__(self) -> bool:
        return bool(self._columns or self._lines)

    def add(self, text: str, row: int = 0, key: object = None, field: str = "") -> None:
        """Add a problem of one row.

        :param text: what is wrong and what to do.
        :param row: number of the row, from 1; 0 for a problem of the whole source.
        :param key: the row's key, where it has one.
        :param field: the field or column, where the problem is one field's.
        """
        self.rows.add(row)
        if len(self._lines) < MAX_KINDS:
            self._lines.append(cut(f"{row_name(row, key)}{f'{field} ' if field else ''}{text}"))
        else:
            self._dropped += 1

    def add_column(self, text: str, row: int) -> None:
        """Add a problem that a whole column has; the same text of further rows is only counted.

        :param text: the column, what is wrong and what to do.
        :param row: number of the row, from 1.
        """
        self.rows.add(row)
        text = cut(text)
        if text in self._columns or len(self._columns) < MAX_KINDS:
            named = self._columns.setdefault(text, [])
            if len(named) < ROWS_NAMED:
                named.append(row)
            self._counts[text] = self._counts.get(text, 0) + 1
        else:
            self._dropped += 1

    def lines(self) -> list[str]:
        """Return one sentence for each problem, those of columns first."""
        columns = [f"{text}{self._in_rows(text)}" for text in self._columns]
        dropped = [f"{self._dropped} further problems are not listed"] if self._dropped else []
        return [*columns, *self._lines, *dropped]

    def raise_if_any(self) -> None:
        """Raise all problems at once.

        :raises InputError: when there is a problem.
        """
        if self:
            raise InputError(self.lines(), self.where)

    def _in_rows(self, text: str) -> str:
        count, rows = self._counts[text], ", ".join(map(str, self._columns[text]))
        if count == 1:
            return f" (row {rows})"
        return f" ({count} rows: {rows}{', …' if count > ROWS_NAMED else ''})"


def row_name(row: int, key: object = None) -> str:
    """Return how an error names a row: ``row 3 (externalId R-12): ``; empty for the whole source.

    :param row: number of the row, from 1.
    :param key: its key; None when it has none.
    """
    if not row:
        return ""
    text = "" if key is None or key == "" else str(key)
    return f"row {row} ({text if len(text) <= 60 else text[:59] + '…'}): " if text else f"row {row}: "


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint at the known name that an unknown one is likely meant to be; empty without one.

    :param name: the unknown name.
    :param known: all names that would be understood.
    """
    from difflib import get_close_matches

    by_plain = {_plain(one): one for one in known}
    found = get_close_matches(_plain(name), by_plain, cutoff=0.7)
    return f"; did you mean {by_plain[found[0]]!r}?" if found else ""


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum() or letter == "@")
