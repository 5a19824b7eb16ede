"""Fields that rows of JSON have: a merge would empty one that a row does not have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from airflow_provider.core.input.values import normal_key

if TYPE_CHECKING:
    from airflow_provider.warehouse.load.request import LoadRequest

_NAMED = 20
"""Maximum rows that a problem names."""

_MOST_SHAPES = 1000
"""Different sets of fields that are kept; two of them are a problem already."""


class Shapes:
    """The sets of fields that rows have, without those that are left out.

    :param request: the names of the key's columns, and of fields that are left out.
    """

    def __init__(self, request: LoadRequest) -> None:
        self._key = {name.casefold() for name in request.key}
        self._renamed = {normal_key(name): to for name, to in (request.options.columns or {}).items()}
        self._ignored = set(map(normal_key, request.options.ignore or ()))
        self._sets: dict[tuple[str, ...], frozenset[str]] = {}
        self._rows: dict[frozenset[str], list[int]] = {}
        self._count = 0

    def add(self, row: Mapping[str, object]) -> None:
        """Add the fields of the next row."""
        names = tuple(row)
        index, self._count = self._count, self._count + 1
        shape = self._sets.get(names)
        if shape is None:
            shape = frozenset(name for name in names if normal_key(name) not in self._ignored)
            if len(self._sets) < _MOST_SHAPES:
                self._sets[names] = shape
        rows = self._rows.get(shape)
        if rows is None:
            if len(self._rows) >= _MOST_SHAPES or not self._has_key(shape):
                return
            rows = self._rows[shape] = []
        if len(rows) <= _NAMED:
            rows.append(index)

    def problems(self, label: Callable[[int], str]) -> list[str]:
        """Return which fields some rows have, and others do not.

        :param label: returns the name of a row by its place.
        """
        found = []
        for name in sorted(frozenset[str]().union(*self._rows)):
            lacking = sorted(row for shape, rows in self._rows.items() if name not in shape for row in rows)
            if lacking:
                named = ", ".join(map(label, lacking[:_NAMED]))
                found.append(
                    f"the field {name!r} is in other rows, and not in {named}"
                    f"{', …' if len(lacking) > _NAMED else ''}: mode 'merge' would empty it; write null"
                    " there, or leave the field out of all rows"
                )
        return found

    def _has_key(self, shape: frozenset[str]) -> bool:
        """Return whether a row has the key; without one it is refused anyway."""
        names = {self._renamed.get(normal_key(name), name).casefold() for name in shape}
        return self._key <= names
