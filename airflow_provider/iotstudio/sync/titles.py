"""Titles that Things will have: none is doubled, and none nearly that of another Thing, unnoticed."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from airflow_provider.iotstudio.sync.rows import DesiredThing


def near(title: str) -> str:
    """Return what titles have in common that differ in blanks, case or normal form only.

    :param title: the title.
    """
    folded = unicodedata.normalize("NFC", title).casefold()
    return " ".join(unicodedata.normalize("NFC", folded).split())


@dataclass(frozen=True, slots=True)
class _Owner:
    title: str
    name: str
    number: int | str = 0
    goes: bool = False


class Titles:
    """The titles after a sync, as far as they are near those of rows.

    :param rows: the rows.
    """

    def __init__(self, rows: Iterable[DesiredThing]) -> None:
        self._wanted = {near(row.fields["title"]) for row in rows if "title" in row.fields}
        self._owners: dict[str, list[_Owner]] = {}
        self._before: Counter[str] = Counter()

    def add(self, thing_id: str, title: str, row: DesiredThing | None, *, goes: bool = False) -> None:
        """Take a Thing.

        :param thing_id: its id.
        :param title: its title before the sync.
        :param row: its row.
        :param goes: whether it is deleted.
        """
        after = title if row is None else str(row.fields.get("title", title))
        if (form := near(after)) in self._wanted:
            owner = _Owner(after, f"Thing {thing_id}", row.number if row else 0, goes)
            self._owners.setdefault(form, []).append(owner)
        if near(title) in self._wanted:
            self._before[title] += 1

    def add_creation(self, row: DesiredThing) -> None:
        """Take a row that creates a Thing.

        :param row: the row.
        """
        owner = _Owner(row.key, "a new Thing", row.number)
        self._owners.setdefault(near(row.key), []).append(owner)

    def creation_problem(self, row: DesiredThing) -> str:
        """Return why a row's Thing would be the twin of another one; empty when it is not.

        :param row: the row.
        """
        for owner in self._owners.get(near(row.key), ()):
            if owner.number == row.number:
                continue
            of_row = f" (row {owner.number})" if owner.number else ""
            if owner.title == row.key:
                return f"title is that of {owner.name}{of_row}, too; one Thing has one row"
            return (
                f"title is nearly that of {owner.name}{of_row}, {owner.title!a:.80}: they differ in blanks,"
                " case or normal form. Write it alike, or give the row the uid"
            )
        return ""

    def rename_problem(self, row: DesiredThing) -> str:
        """Return which other Thing has a row's new title; empty for none.

        :param row: the row.
        """
        title = row.fields["title"]
        for owner in self._owners.get(near(title), ()):
            if owner.title == title and owner.number != row.number and not owner.goes:
                of_row = f" (row {owner.number})" if owner.number else ""
                return f"title {title!r:.80} is that of {owner.name}{of_row}, too; give each Thing its own"
        return ""

    def was_doubled(self, row: DesiredThing) -> bool:
        """Return whether several Things had a row's title before.

        :param row: the row.
        """
        return self._before[row.fields["title"]] > 1
