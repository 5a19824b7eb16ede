"""Texts of values: each value as the text that a database's type reads, unchanged and unrounded."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from airflow_provider.core.files.formats import import_pyarrow
from airflow_provider.core.input.values import ValueReader
from airflow_provider.errors import InputError
from airflow_provider.warehouse.load.columns.target import Pair

_READER = ValueReader()
_ANY = msgspec.json.Decoder(float_hook=Decimal)
_TEXT = msgspec.json.Decoder(str)
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class BadValueError(ValueError):
    """A value that cannot be written.

    :param index: its place in the batch.
    """

    def __init__(self, index: int, problem: str) -> None:
        super().__init__(index, problem)
        self.index = index
        self.problem = problem


def to_text(array: Any, pair: Pair) -> Any:
    """Return an array as ``pyarrow.csv`` writes it for a column of the table.

    :param array: the values.
    :param pair: the columns that they come from and go to.
    :raises BadValueError: for the first value that has no text.
    :raises InputError: for a column that Arrow cannot convert.
    """
    pa, _ = import_pyarrow("source")
    try:
        return _to_text(array, pair)
    except pa.ArrowException as error:  # Its message may repeat values.
        kind = type(error).__name__
        raise InputError(f"the column {pair.source.name!r} cannot be converted ({kind})", "source") from None


def _to_text(array: Any, pair: Pair) -> Any:
    form = pair.source.form
    if form == "json":
        return _mapped(array, _JSON_TEXTS.get(pair.target.family, _plain_json))
    if form == "text":
        convert = _CSV_TEXTS.get(pair.target.family)
        return array if convert is None else _mapped(array, convert)
    return _arrow_text(array, pair)


def _mapped(array: Any, convert: Callable[[str], str | None]) -> Any:
    pa, _ = import_pyarrow("source")
    found: list[str | None] = []
    for index, text in enumerate(array.to_pylist()):
        try:
            found.append(None if text is None else convert(text))
        except ValueError as error:
            raise BadValueError(index, f"cannot be read: {type(error).__name__}") from None
    return pa.array(found, pa.string())


def _plain_json(text: str) -> str:
    """Return a JSON text's value as a text: strings without quotes, all else unchanged."""
    if text[0] != '"':
        return text
    inner = text[1:-1]
    return _TEXT.decode(text) if "\\" in inner else inner


def _json_for_json(text: str) -> str:
    """Return the JSON text for a JSON column; a string that holds an object or a list is that."""
    if text[0] == '"':
        inner = _plain_json(text)
        if inner.lstrip()[:1] in ("{", "["):
            try:
                _ANY.decode(inner)
            except (msgspec.DecodeError, RecursionError):
                return text
            return inner
    return text


def _json_for_array(text: str) -> str:
    return array_text(_ANY.decode(text)) if text[0] == "[" else _plain_json(text)


def _json_for_integer(text: str) -> str:
    return _whole(_plain_json(text))


def _csv_for_array(text: str) -> str:
    return array_text(_ANY.decode(text)) if text.lstrip()[:1] == "[" else text


def _whole(text: str) -> str:
    """Return a whole number without the fraction that a table program gave it, ``12.0``."""
    head, dot, fraction = text.partition(".")
    return head if dot and head.lstrip("+-").isdigit() and not fraction.strip("0") else text


_JSON_TEXTS: dict[str, Callable[[str], str | None]] = {
    "json": _json_for_json,
    "array": _json_for_array,
    "integer": _json_for_integer,
}
_CSV_TEXTS: dict[str, Callable[[str], str | None]] = {"array": _csv_for_array, "integer": _whole}


def array_text(value: Any) -> str:
    """Return a list as the text of an array, ``{1,NULL,"a"}``; objects within it are JSON texts.

    :param value: the list.
    """
    return "{" + ",".join(map(_array_item, value)) + "}"


def _array_item(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, (list, tuple)):
        return array_text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, Decimal)):
        return str(value)
    value = _READER.read(value)
    text = value if isinstance(value, str) else json_text(value)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def json_text(value: Any) -> str:
    """Return a value of Python as JSON text; times, decimals and the like as everywhere in this package."""
    if isinstance(value, Decimal):
        return str(value)
    return _ENCODER.encode(_READER.read(value)).decode()


def _arrow_text(array: Any, pair: Pair) -> Any:
    """Return an Arrow array in a type that ``pyarrow.csv`` writes."""
    pa, _ = import_pyarrow("source")
    array, kind = plain_array(array)
    if pair.source.kind in ("binary", "geometry") and _is_binary(kind):
        prefix = "" if pair.target.family in ("geometry", "uuid") else "\\x"
        texts = [None if value is None else prefix + value.hex() for value in array.to_pylist()]
        return pa.array(texts, pa.string())
    if pa.types.is_nested(kind):
        convert = array_text if pair.target.family == "array" else json_text
        return _converted(array, convert)
    if pa.types.is_floating(kind):
        return finite(array)
    if pa.types.is_duration(kind):
        return _converted(array, lambda value: f"{value.total_seconds():.6f} seconds")
    if pa.types.is_timestamp(kind):
        return array.cast(pa.timestamp("us", "UTC" if kind.tz else None), safe=False)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        family = pair.target.family
        return _mapped(array, _CSV_TEXTS[family]) if family in _CSV_TEXTS else array
    csv_types = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_date, pa.types.is_time)
    return array if any(check(kind) for check in csv_types) else array.cast(pa.string())


def plain_array(array: Any) -> tuple[Any, Any]:
    """Return an array without extension types and dictionaries, and its type."""
    import pyarrow as pa

    while isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return array, array.type


def _is_binary(kind: Any) -> bool:
    import pyarrow as pa

    types = pa.types
    checks = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary, types.is_binary_view)
    return any(check(kind) for check in checks)


def _converted(array: Any, convert: Callable[[Any], str]) -> Any:
    import pyarrow as pa

    found: list[str | None] = []
    for index, value in enumerate(array.to_pylist()):
        try:
            found.append(None if value is None else convert(value))
        except ValueError as error:
            raise BadValueError(index, f"has no JSON form ({type(error).__name__})") from None
    return pa.array(found, pa.string())


def finite(array: Any) -> Any:
    """Return floats without NaN, which means that there is no value.

    :raises BadValueError: for an infinite number.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_float16(array.type):
        array = array.cast(pa.float32())
    finite = pc.is_finite(array)
    if pc.all(finite, min_count=0).as_py():
        return array
    infinite = pc.index(pc.is_inf(array), True).as_py()
    if infinite >= 0:
        raise BadValueError(infinite, "is infinite")
    return pc.if_else(finite, array, pa.scalar(None, array.type))


def refuse_bad_value(error: BadValueError, pair: Pair, label: str) -> InputError:
    """Return the error of a value that cannot be written, without the value.

    :param error: the value's place and problem.
    :param pair: its columns.
    :param label: the name of its row.
    """
    return InputError(f"{label}: the column {pair.source.name!r} {error.problem}", "source")
