"""Mapped items: rows of a table of its own columns, read by a mapping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider.core.files.row_source import NO_OPTIONS, RowOptions
from airflow_provider.core.input.problems import nearest
from airflow_provider.core.input.values import (
    ABSENT,
    UnreadableValueError,
    normal_key,
    shown,
    shown_value,
)
from airflow_provider.errors import shorten
from airflow_provider.leanix.ldif.items import ItemReader, decode_data
from airflow_provider.leanix.ldif.mapping import Column, ItemMapping, Template, fill, fill_data

_MAX_NAMED = 50
"""Maximum columns in one problem."""

_MAX_UNNAMED = 1000
"""Maximum columns outside of the mapping that are kept."""


class MappedItemReader(ItemReader):
    """Reader of rows whose columns a mapping makes items of.

    :param mapping: the mapping.
    :param options: how a file's columns are renamed and left out before; a query's are already.
    """

    def __init__(self, mapping: ItemMapping, options: RowOptions = NO_OPTIONS) -> None:
        super().__init__()
        self._mapping = mapping
        self._columns = {name: name for name in mapping.columns()}
        self._missing = dict.fromkeys(self._columns)
        self._unnamed: dict[str, None] = {}
        self._knows_columns = False
        self._unreadable: set[str] = set()
        self._renamed = {normal_key(name): field for name, field in (options.columns or {}).items()}
        self._ignored = set(map(normal_key, options.ignore or ()))

    def set_columns(self, names: list[str]) -> None:
        """Take note of a table's columns, which a row without a value does not have."""
        for name in names:
            key = normal_key(name)
            if key not in self._ignored:
                self._column(self._renamed.get(key, name))
        self._knows_columns = True

    def read(self, row: Any, problems: list[str]) -> Any:
        """Return a row as an item.

        :param row: the row; anything but an object is returned as it is.
        :param problems: receives a sentence for each value that cannot be read.
        """
        if not isinstance(row, Mapping):
            return row
        self._knows_columns = True
        values = self._read_columns(row, problems)
        return {
            "type": self._text("type", self._mapping.type, values, problems),
            "id": self._text("id", self._mapping.id, values, problems),
            "data": self._data(values, problems),
        }

    def column_problems(self) -> list[str]:
        """Return the columns of the mapping that no row has, and those of rows that it does not name."""
        if not self._knows_columns:
            return []
        problems = [
            f"column {name!r} of the mapping is in no row{nearest(name, self._unnamed)}"
            for name in self._missing
        ]
        if self._unnamed:
            names = shorten([repr(name) for name in self._unnamed], _MAX_NAMED)
            is_one = len(self._unnamed) == 1
            problems.append(
                f"{'the column' if is_one else f'{len(self._unnamed)} columns'} {', '.join(names)}"
                f" {'is' if is_one else 'are'} not in the mapping; ignore={[*self._unnamed][:_MAX_NAMED]!r}"
                f" leaves {'it' if is_one else 'them'} out"
            )
        return problems

    def _read_columns(self, row: Mapping[Any, Any], problems: list[str]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        self._unreadable.clear()
        for name, value in row.items():
            column = self._columns.get(name) or self._column(name)
            if not column:
                continue
            self._missing.pop(column, None)
            if column in values:
                problems.append(f"has the column {column!r} twice, also as {shown(name)}")
                continue
            try:
                values[column] = self._reader.read(value)
            except UnreadableValueError as problem:
                problems.append(f"column {shown(name)} {problem}")
                self._unreadable.add(column)
        return values

    def _column(self, name: Any) -> str:
        """Return the mapping's name of a column; empty when it has none."""
        key = normal_key(name) if isinstance(name, str) else name
        if key in self._columns:
            self._missing.pop(key, None)
            column = self._columns[key]
            if column:
                self._columns[name] = column
            return column
        if len(self._unnamed) < _MAX_UNNAMED:
            self._unnamed[key if isinstance(key, str) else shown(key)] = None
        return ""

    def _text(self, part: str, template: Template, values: Mapping[str, Any], problems: list[str]) -> Any:
        """Return an item's type or id; a number becomes a text."""
        given = fill(template, values)
        if isinstance(template, Column) and template.name in self._unreadable:
            return ABSENT  # Its value has a problem already.
        if given is ABSENT or given is None:
            where = f" (column {template.name!r})" if isinstance(template, Column) else ""
            problems.append(f"'{part}' is missing{where}")
            return ABSENT
        try:
            found = self._key(given)
        except UnreadableValueError as problem:
            problems.append(f"'{part}' {problem}")
            return ABSENT
        return normal_key(found) if isinstance(found, str) else found

    def _data(self, values: Mapping[str, Any], problems: list[str]) -> Any:
        given = fill_data(self._mapping.data, values)
        if isinstance(given, str):
            return decode_data(given, problems)
        if given is ABSENT or given is None:
            return {}
        if not isinstance(given, Mapping):
            problems.append(f"'data' must be an object, not {shown_value(given)}")
            return {}
        return given
