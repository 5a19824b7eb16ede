"""Rows of a sync: read from their source, checked against the dataset's fields, and stored."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import chain
from typing import Any

import msgspec

from airflow_provider.amigocloud.sync.fields import Field, Schema
from airflow_provider.amigocloud.sync.store import SyncStore
from airflow_provider.amigocloud.values import KEY
from airflow_provider.core.files.row_source import RowOptions, is_query, read_source
from airflow_provider.core.input.conditions import refuse_rendered_list
from airflow_provider.core.input.problems import Problems, nearest
from airflow_provider.core.input.values import (
    ABSENT,
    JsonNumber,
    UnreadableValueError,
    ValueReader,
    normal_key,
    shown_value,
)
from airflow_provider.errors import InputError

_VALUES = ValueReader()


class JsonReader:
    """Decoder of a source's JSON that keeps the digits of numbers.

    ``used`` tells whether the rows come from JSON, whose numbers have no other digits than those.
    """

    def __init__(self) -> None:
        self.used = False
        self._decode = msgspec.json.Decoder(float_hook=JsonNumber.read).decode

    def __call__(self, data: bytes) -> Any:
        """Return the value of a JSON text."""
        self.used = True
        return self._decode(data)


def new_id(dataset: str, key_field: str, key: str, attempt: int = 0) -> str:
    """Return the ``amigo_id`` of a new row: always the same one for the same row, so that none is doubled.

    :param dataset: id of the dataset.
    :param key_field: name of the key.
    :param key: text of the row's key; the row itself when the key is ``amigo_id``.
    :param attempt: number of ids of the row that other rows have.
    """
    if key_field == KEY:
        return key
    text = "\0".join((dataset, key_field, key, *([str(attempt)] if attempt else [])))
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def open_rows(
    source: object, subject: str, options: RowOptions, fields: Iterable[str], json: JsonReader
) -> Iterator[Any]:
    """Yield the rows of a source with their numbers; its first row is read at once, before any request.

    :param source: see :func:`airflow_provider.core.files.row_source.read_source`.
    :param subject: the argument that it comes from.
    :param options: how the rows are read.
    :param fields: names of fields, in which a query's columns may differ by case.
    :param json: decodes the JSON of files.
    :raises InputError: when the source cannot be read.
    """
    if isinstance(source, list):
        source = [row if isinstance(row, Mapping) else {_NO_OBJECT: type(row).__name__} for row in source]
    rows = read_source(source, subject, options, json, geo=True, flatten=flat_feature, fields=fields)
    if is_query(source):
        return rows
    first = list(_first_of(rows))
    return chain(first, rows)


def _first_of(rows: Iterator[Any]) -> Iterator[Any]:
    """Yield the next item, if there is one."""
    for row in rows:
        yield row
        return


_NO_OBJECT = "\0"
"""Field of a list's item that is no object."""


def flat_feature(row: dict[str, Any]) -> dict[str, Any]:
    """Return a GeoJSON feature as a flat row; any other row as it is."""
    if row.get("type") != "Feature" or not isinstance(row.get("properties"), (Mapping, type(None))):
        return row
    if "geometry" not in row:
        return row
    return {**(row["properties"] or {}), "geometry": row["geometry"]}


class RowReader:
    """Reader of rows: values as the dataset stores them, with all problems of each row.

    :param schema: fields of the dataset.
    :param key: name of the key.
    :param defaults: fields for rows that do not have them.
    :param json: tells whether the rows come from JSON.
    :raises InputError: when the defaults are no valid fields.

    ``floats`` are the names of exact fields for which rows have floats, that tell 64 bits only.
    """

    def __init__(
        self, schema: Schema, key: str, defaults: object = None, json: JsonReader | None = None
    ) -> None:
        self._schema = schema
        self._json = json or JsonReader()
        self.floats: set[str] = set()
        self.key = key
        self._alias = schema.geometry if schema.geometry and "geometry" not in schema.fields else None
        self._defaults = self._read_defaults(defaults)
        self.floats.clear()  # The floats of a task's code are the numbers that it says.

    def read(self, row: Mapping[Any, Any]) -> tuple[str, dict[str, Any], list[str]]:
        """Return text of the key, fields and problems of a row.

        Fields without a value are not there, and null clears a field.
        """
        if _NO_OBJECT in row:
            return "", {}, [f"is not an object, but {row[_NO_OBJECT]}"]
        body, problems = self._read_fields(row)
        for name, value in self._defaults.items():
            if name not in body and not any(one.startswith(f"{name} ") for one in problems):
                body[name] = value
        field = self._schema.fields[self.key]
        key = field.key_text(body.get(self.key)) or ""
        if self.key == KEY and key:
            body[KEY] = key
        if not key and not any(one.startswith(f"{self.key} ") for one in problems):
            problems.append(f"has no {self.key}, by which it could be matched")
        return key, body, problems

    def _read_fields(self, row: Mapping[Any, Any]) -> tuple[dict[str, Any], list[str]]:
        body: dict[str, Any] = {}
        problems: list[str] = []
        fields = self._schema.fields
        for name, value in row.items():
            field = fields.get(name) or self._field(name)
            if name == self.key and isinstance(value, str):
                value = normal_key(value)  # noqa: PLW2901
            if field is not None and type(value) is field.plain and field.fits(value):
                body[field.name] = value
                continue
            if field is None:
                hint = nearest(name, self._schema.fields) if isinstance(name, str) else ""
                problems.append(f"the dataset has no field {_shown_name(name)}{hint}")
                continue
            if field.name in body:
                problems.append(f"{field.name} is there twice: as {_shown_name(name)}, too")
                continue
            try:
                read = self._value(field, value)
            except UnreadableValueError as problem:
                problems.append(f"{field.name} {problem}")
                continue
            if read is not ABSENT:
                body[field.name] = read
        return body, problems

    def _field(self, name: Any) -> Field | None:
        return self._schema.fields[self._alias] if name == "geometry" and self._alias else None

    def _value(self, field: Field, value: Any) -> Any:
        if field.kind == "geometry" and not _is_absent(value):
            return field.read(value)
        is_exact = field.kind == "number" and isinstance(value, (Decimal, JsonNumber))
        if is_exact and math.isfinite(value):
            return field.read(value)
        read = _VALUES.read(field.plain_day(value))
        if read is ABSENT:
            return ABSENT
        if field.kind == "number" and isinstance(read, float) and not self._json.used:
            self.floats.add(field.name)
        if read is None:
            if not field.nullable or field.name == self.key:
                raise UnreadableValueError("is null, which the field may not be")
            return None
        if field.name == self.key and isinstance(read, float) and not read.is_integer():
            raise UnreadableValueError(
                f"is {shown_value(value)}, a number with a fraction, which is no key; give it as text"
            )
        return field.read(read)

    def _read_defaults(self, given: object) -> dict[str, Any]:
        if given is None:
            return {}
        if isinstance(given, str):
            refuse_rendered_list(given, "defaults")
            raise InputError(
                f"must be an object, not the text {shown_value(given)}; when it is from a template, pass the"
                " task's .output, or set render_template_as_native_obj=True on the DAG",
                "defaults",
            )
        if not isinstance(given, Mapping):
            raise InputError(f"must be an object, not {type(given).__name__}", "defaults")
        body, problems = self._read_fields(given)
        if {self.key, KEY} & body.keys():
            problems.append("has a key or an amigo_id, which each row has for itself")
        if problems:
            raise InputError(problems, "defaults")
        return body


def _is_absent(value: Any) -> bool:
    """Return whether a geometry is missing or null: no other value is read by the usual reader."""
    if value is None or value is ABSENT or isinstance(value, float):
        return True
    return type(value).__name__ in ("NAType", "NaTType", "Unreadable")


def _shown_name(name: Any) -> str:
    """Return the name of a field for an error."""
    text = repr(name)
    return text if len(text) <= 60 else f"{text[:59]}…"


def store_rows(
    rows: Iterable[tuple[int, Mapping[Any, Any]]],
    reader: RowReader,
    store: SyncStore,
    dataset: str,
    problems: Problems,
) -> int:
    """Store rows with their problems, and return their number.

    :param rows: the rows with their numbers.
    :param reader: reads them.
    :param store: gets rows, and those that are left out.
    :param dataset: id of the dataset.
    :param problems: gets all problems.
    """
    count = 0
    with store.transaction():
        for number, row in rows:
            count += 1
            key, body, wrong = reader.read(row)
            own = body.pop(KEY, None)
            own_id = normal_key(str(own)) if own is not None and reader.key != KEY else None
            if key:
                if own_id and (named := store.row_with_id(own_id, key)):
                    wrong.append(f"has the {KEY} of row {named[0]} ({named[1]}): {own_id}")
                chosen = own_id or new_id(dataset, reader.key, key)
                other = store.add_wanted(key, number, own_id, chosen, body, has_problem=bool(wrong))
                if other is not None:
                    wrong.append(f"has the {reader.key} of row {other}")
                    # Nothing says which of them is right.
                    store.leave_out(key, f"has the {reader.key} of row {number}")
            if wrong:
                store.add_failed(number, key, wrong)
                _add_problems(problems, number, key, wrong)
    store.index_wanted()
    return count


def _add_problems(problems: Problems, number: int, key: str, wrong: Iterable[str]) -> None:
    """Add a row's problems; an unknown field is a problem of its column."""
    for text in wrong:
        if text.startswith("the dataset has no field "):
            problems.add_column(text, number)
        else:
            problems.add(text, number, key)
