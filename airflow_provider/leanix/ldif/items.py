"""LDIF items: rows of any source turned into ``type``, ``id`` and ``data``, or refused.

A row has the three fields, or ``type``, ``id`` and a column for each field of ``data``; or a mapping makes
them of the row's columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from airflow_provider.core.input.doubled_keys import doubled_key
from airflow_provider.core.input.problems import nearest
from airflow_provider.core.input.values import (
    ABSENT,
    UnreadableValueError,
    ValueReader,
    normal_key,
    read_text,
    shown,
    shown_value,
)

_KEYS = ("type", "id")
_FIELDS = frozenset({"type", "id", "data"})
_SIMPLE = frozenset({str, bool, type(None)})

_TEXT = frozenset({str})

_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**64 - 1
"""Bounds of the integers that JSON readers take as they are."""

_MAX_EXACT_FLOAT = 2.0**53
"""Bound of whole floats that are certainly the number that was meant."""


class ItemReader:
    """Reader of the rows of one source.

    :param is_json: the rows were decoded from JSON, so their values need no reading.
    :param is_table: the rows come from a file with columns, where each value is optional.
    :param takes_flat: whether a row may have the fields of ``data`` as columns.
    """

    def __init__(self, *, is_json: bool = False, is_table: bool = False, takes_flat: bool = True) -> None:
        self._is_json = is_json
        self._is_table = is_table
        self._takes_flat = takes_flat
        self._has_data_column = False
        self._reader = ValueReader()

    def set_columns(self, names: list[str]) -> None:
        """Take note of a table's columns."""
        self._has_data_column = "data" in names

    def read(self, row: Any, problems: list[str]) -> Any:
        """Return a row as an item, with JSON values only.

        :param row: the row; anything but an object is returned as it is.
        :param problems: receives a sentence for each value that cannot be read.
        """
        if type(row) is not dict:
            if not isinstance(row, Mapping):
                return row
            row = dict(row)
        if "data" not in row and self._takes_flat and self._is_flat(row):
            return self._from_columns(row, problems)
        data, is_json = row.get("data"), self._is_json
        if is_json and type(data) is dict and type(row.get("id")) is str and type(row.get("type")) is str:
            return row
        if type(data) is str:
            data, is_json = decode_data(data, problems), True
            row = {**row, "data": data}
        if (
            type(row.get("id")) is str
            and type(row.get("type")) is str
            and (is_json or (type(data) is dict and is_plain(data)))
        ):
            return _with_normal_keys(row) if self._is_table else row
        return self._from_fields(row, problems)

    def column_problems(self) -> list[str]:
        """Return what is wrong with the columns of all rows that were read."""
        return []

    def read_each_value(self, item: dict[str, Any], problems: list[str]) -> None:
        """Find the values of an item that cannot be encoded, to name their fields."""
        self._from_fields(item, problems)

    def _is_flat(self, row: dict[str, Any]) -> bool:
        """Return whether a row without ``data`` has the fields of ``data`` as columns."""
        return not self._has_data_column and (self._is_table or len(row) > sum(key in row for key in _KEYS))

    def _from_fields(self, row: dict[str, Any], problems: list[str]) -> dict[str, Any]:
        item = self._keys(row, problems, normal=self._is_table)
        if "data" in row:
            data = row["data"]
            item["data"] = self._values(data, problems) if isinstance(data, Mapping) else data
        item.update((name, None) for name in row if name not in _FIELDS)  # named by the validation
        return item

    def _from_columns(self, row: dict[str, Any], problems: list[str]) -> dict[str, Any]:
        item = self._keys(row, problems, normal=True)
        data = {name: value for name, value in row.items() if name not in _KEYS}
        for name, value in data.items():
            if isinstance(value, Mapping) and nearest(str(name), ("data",)):
                problems.append(f"field {shown(name)} is unknown; did you mean 'data'?")
        plain = self._is_json or is_plain(data)
        item["data"] = data if plain else self._values(data, problems)
        return item

    def _keys(self, row: dict[str, Any], problems: list[str], *, normal: bool) -> dict[str, Any]:
        item: dict[str, Any] = {}
        for name in _KEYS:
            item[name] = ABSENT
            try:
                item[name] = self._key(row.get(name, ABSENT))
            except UnreadableValueError as problem:
                problems.append(f"'{name}' {problem}")
                continue
            if item[name] is ABSENT:
                hint = next((f"; the row has {other!r}" for other in row if _is_like(other, name)), "")
                problems.append(f"'{name}' is missing{hint}")
            elif normal and isinstance(item[name], str):
                item[name] = normal_key(item[name])
        return item

    def _key(self, value: Any) -> Any:
        """Return a type or an id; a number becomes a text: 12.0 is ``12``."""
        read = self._reader.read(value)
        if isinstance(read, float) and not read.is_integer():
            return repr(read)
        if isinstance(read, float) and abs(read) >= _MAX_EXACT_FLOAT:
            raise UnreadableValueError(f"is the number {read}, too large to be exact; pass a text")
        return read_text(read) if type(read) in (int, float) else read

    def _values(self, data: Mapping[Any, Any], problems: list[str]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, value in data.items():
            if not isinstance(name, str):
                problems.append(f"'data' has the key {shown(name)}, which is no text")
                continue
            try:
                read = self._reader.read(value)
                self._reader.read(name)
            except UnreadableValueError as problem:
                problems.append(f"field {shown(name)} {problem}")
                continue
            if read is not ABSENT:
                values[str(name)] = read
        return values


def _with_normal_keys(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "type": normal_key(row["type"]), "id": normal_key(row["id"])}


def is_plain(data: dict[Any, Any]) -> bool:
    """Return whether an object has only values that JSON has, so that they need no reading."""
    try:
        "".join(data)  # the fastest way to find a key that is no text
    except TypeError:
        return False
    for value in data.values():  # noqa: SIM110 - a generator takes half as long again
        if type(value) is not str and not _is_plain_value(value):
            return False
    return True


def _is_plain_value(value: Any) -> bool:
    kind = type(value)
    if kind is int:
        return bool(_MIN_INTEGER <= value <= _MAX_INTEGER)
    if kind is float:
        return bool(value - value == 0.0)  # false for NaN and infinities
    if kind is list:
        return _TEXT.issuperset(map(type, value)) or all(map(_is_plain_value, value))
    return is_plain(value) if kind is dict else kind in _SIMPLE


def _is_like(name: Any, key: str) -> bool:
    return isinstance(name, str) and name != key and name.strip().lower() == key


def decode_data(text: str, problems: list[str]) -> Any:
    """Return the object of a JSON text; empty, with a problem, when it is none.

    :param problems: receives the problem.
    """
    try:
        data = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        data = text
    if isinstance(data, dict) and (key := doubled_key(text.encode(), data)) is not None:
        problems.append(f"'data' has the key {shown_value(key)} twice")
    if not isinstance(data, dict):
        problems.append(f"'data' must be an object, not the text {shown_value(text)}")
        return {}
    return data
