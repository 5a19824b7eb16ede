"""Texts of values: each value as the text that a database's type reads, unchanged and unrounded."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from math import isfinite, isnan
from typing import Any

import msgspec

from airflow_provider.core.files.formats import import_pyarrow
from airflow_provider.core.input.doubled_keys import doubled_key
from airflow_provider.core.input.values import ValueReader
from airflow_provider.errors import InputError
from airflow_provider.warehouse.load.columns.exact import (
    HAS_SHORT_YEAR,
    MICROSECONDS,
    SHORT_YEAR,
    UnfitError,
    check_date,
    check_scale,
    check_time,
    finer_than,
    too_fine,
    whole,
)
from airflow_provider.warehouse.load.columns.target import Pair

_DATED = ("date", "timestamp", "moment")
_ANY = msgspec.json.Decoder(float_hook=Decimal)
_TEXT = msgspec.json.Decoder(str)
_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
"""Decimals of the seconds of Arrow's units."""
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class _ExactReader(ValueReader):
    """Reader that keeps each digit of a decimal."""

    def _decimal(self, value: Decimal) -> Any:
        return value if value.is_finite() else super()._decimal(value)


_READER = _ExactReader()


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
        return _fitting(_to_text(array, pair), pair)
    except pa.ArrowException as error:  # Its message may repeat values.
        kind = type(error).__name__
        raise InputError(f"the column {pair.source.name!r} cannot be converted ({kind})", "source") from None


def _to_text(array: Any, pair: Pair) -> Any:
    form = pair.source.form
    if form == "json":
        found = _mapped(array, _JSON_TEXTS.get(pair.target.family, _plain_json))
        return _scaled(found, pair)
    if form == "text":
        return _field_text(array, pair)
    return _arrow_text(array, pair)


def _fitting(array: Any, pair: Pair) -> Any:
    """Return texts, none of which the column's type would cut, or complete with a century."""
    pa, _ = import_pyarrow("source")
    import pyarrow.compute as pc

    target = pair.target
    if target.replaces_null and array.null_count:
        index = pc.index(array.is_null(), pa.scalar(True)).as_py()
        raise BadValueError(index, "is NULL, of which its column makes another value")
    if not pa.types.is_string(array.type):
        return array
    if target.length is not None:
        longer = pc.greater(pc.utf8_length(array), target.length)
        problem = f"is too long for its column, which takes {target.length} characters"
    elif target.family in _DATED:
        longer, problem = pc.match_substring_regex(array, SHORT_YEAR), HAS_SHORT_YEAR
    else:
        return array
    if (index := pc.index(longer, pa.scalar(True)).as_py()) >= 0:
        raise BadValueError(index, problem)
    return array


def _field_text(array: Any, pair: Pair) -> Any:
    """Return the texts of a file as the column's type reads them."""
    convert = _CSV_TEXTS.get(pair.target.family)
    return _scaled(array if convert is None else _mapped(array, convert), pair)


def _scaled(array: Any, pair: Pair) -> Any:
    """Return texts of numbers and times, none of which the column's type rounds."""
    if pair.target.seconds is not None:
        return _check_seconds(array, pair.target.seconds)
    scale = pair.target.scale
    if scale is None:
        return array
    import pyarrow.compute as pc

    # Few columns have a number that needs a closer look.
    long = rf"[.][0-9]{{{max(scale, 0)}}}[0-9]*[1-9]|[eE]"
    if scale >= 0 and not pc.any(pc.match_substring_regex(array, long), min_count=0).as_py():
        return array
    return _mapped(array, lambda text: check_scale(text, scale))


def _check_seconds(array: Any, decimals: int) -> Any:
    """Return texts of times, none of which has seconds with more decimals."""
    pa, _ = import_pyarrow("source")
    import pyarrow.compute as pc

    index = pc.index(pc.match_substring_regex(array, finer_than(decimals)), pa.scalar(True)).as_py()
    if index >= 0:
        raise BadValueError(index, too_fine(decimals))
    return array


def _mapped(array: Any, convert: Callable[[str], str | None]) -> Any:
    pa, _ = import_pyarrow("source")
    found: list[str | None] = []
    for index, text in enumerate(array.to_pylist()):
        try:
            found.append(None if text is None else convert(text))
        except UnfitError as error:
            raise BadValueError(index, error.problem) from None
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
            return inner if _is_json(inner) else text
    return text


def _is_json(text: str) -> bool:
    """Return whether a text is JSON.

    :raises UnfitError: when an object in it has a key twice, of which a database keeps the last.
    """
    try:
        value = _ANY.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    if doubled_key(text.encode(), value) is not None:
        raise UnfitError("has a key twice")
    return True


def _field_for_json(text: str) -> str:
    _is_json(text)  # Any other text is refused by the database.
    return text


def _json_for_array(text: str) -> str:
    return array_text(_ANY.decode(text)) if text[0] == "[" else _plain_json(text)


def _json_for_integer(text: str) -> str:
    return whole(_plain_json(text))


def _json_for_date(text: str) -> str:
    return check_date(_plain_json(text))


def _json_for_time(text: str) -> str:
    return check_time(_plain_json(text))


def _json_for_geometry(text: str) -> str:
    """Return the text of a geometry.

    :raises UnfitError: for an open ring of GeoJSON, which PostGIS stores, and fails for later.
    """
    text = _plain_json(text)
    if text.lstrip()[:1] == "{" and "olygon" in text:
        try:
            is_open = _has_open_ring(msgspec.json.decode(text))
        except (msgspec.DecodeError, RecursionError, TypeError, LookupError):
            return text  # The database says what is wrong with it.
        if is_open:
            raise UnfitError("has an open ring: the last position must equal the first")
    return text


def _has_open_ring(shape: Any) -> bool:
    kind = shape["type"]
    if kind == "GeometryCollection":
        return any(map(_has_open_ring, shape["geometries"]))
    parts = [shape["coordinates"]] if kind == "Polygon" else shape["coordinates"]
    return kind in ("Polygon", "MultiPolygon") and any(
        ring[0][:2] != ring[-1][:2] for rings in parts for ring in rings
    )


def _csv_for_array(text: str) -> str:
    return array_text(_ANY.decode(text)) if text.lstrip()[:1] == "[" else text


_JSON_TEXTS: dict[str, Callable[[str], str | None]] = {
    "json": _json_for_json,
    "geometry": _json_for_geometry,
    "array": _json_for_array,
    "integer": _json_for_integer,
    "date": _json_for_date,
    "time": _json_for_time,
}
_CSV_TEXTS: dict[str, Callable[[str], str | None]] = {
    "json": _field_for_json,
    "array": _csv_for_array,
    "integer": whole,
    "date": check_date,
    "time": check_time,
}


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
        return _scaled(_converted(array, lambda value: convert(nested_value(value, kind))), pair)
    if pa.types.is_floating(kind):
        return _float_text(finite(array), pair)
    if pa.types.is_temporal(kind) and not pa.types.is_date(kind):
        return _time_text(array, pair)
    csv_types = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_date)
    if any(check(kind) for check in csv_types):
        return array
    return _field_text(array.cast(pa.string()), pair)


def _float_text(array: Any, pair: Pair) -> Any:
    """Return floats as whole numbers where the column's type wants them; none is rounded."""
    pa, _ = import_pyarrow("source")
    if pair.target.family != "integer" and pair.target.scale is None:
        return array
    texts = pa.array([None if value is None else repr(value) for value in array.to_pylist()], pa.string())
    return _field_text(texts, pair)


def _time_text(array: Any, pair: Pair) -> Any:
    """Return times, timestamps or lengths of time in microseconds, or as texts.

    :raises BadValueError: for the first one that is finer than the column.
    """
    import pyarrow as pa

    kind, decimals = array.type, pair.target.seconds
    _check_units(array, MICROSECONDS if decimals is None else decimals)
    if pa.types.is_duration(kind):
        array = array.cast(pa.duration("us"))
        return _converted(array, lambda value: f"{value.total_seconds():.6f} seconds")
    if pa.types.is_time(kind):
        return array.cast(pa.time64("us"))
    array = array.cast(pa.timestamp("us", "UTC" if kind.tz else None))
    parts = pair.target.family in ("date", "time")
    return _field_text(array.cast(pa.string()), pair) if parts else array


def _check_units(array: Any, decimals: int) -> None:
    """Refuse times of Arrow whose seconds have more decimals."""
    import pyarrow as pa
    import pyarrow.compute as pc

    step = 10 ** max(_DIGITS[array.type.unit] - decimals, 0)
    if step == 1:
        return
    units = array.cast(pa.int32() if array.type.bit_width == 32 else pa.int64())
    changed = pc.not_equal(pc.multiply(pc.divide(units, step), step), units)
    if (index := pc.index(changed, pa.scalar(True)).as_py()) >= 0:
        raise BadValueError(index, too_fine(decimals))


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
        except UnfitError as error:
            raise BadValueError(index, error.problem) from None
        except ValueError as error:
            raise BadValueError(index, f"has no JSON form ({type(error).__name__})") from None
    return pa.array(found, pa.string())


def nested_value(value: Any, kind: Any) -> Any:
    """Return a nested value of Arrow with maps as objects, and null in place of NaN.

    :param value: the value as Arrow returns it.
    :param kind: its Arrow type.
    :raises UnfitError: for an infinite number, and for a map that has a key twice.
    """
    import pyarrow as pa

    if value is None:
        return None
    if pa.types.is_map(kind):
        found = {key: nested_value(one, kind.item_type) for key, one in value}
        if len(found) < len(value):
            raise UnfitError("has a key twice")
        return found
    if pa.types.is_struct(kind):
        return {field.name: nested_value(value[field.name], field.type) for field in kind}
    if pa.types.is_nested(kind):
        return [nested_value(one, kind.value_type) for one in value]
    if isinstance(value, float) and not isfinite(value):
        if isnan(value):
            return None
        raise UnfitError("has an infinite number")
    return value


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


def finite_lists(array: Any) -> Any:
    """Return lists and objects with null in place of NaN.

    :raises BadValueError: for an infinite number in them.
    """
    pa, _ = import_pyarrow("source")
    if "map<" in str(array.type):
        return array
    found: list[Any] = []
    for index, value in enumerate(array.to_pylist()):
        try:
            found.append(nested_value(value, array.type))
        except UnfitError as error:
            raise BadValueError(index, error.problem) from None
    return pa.array(found, array.type)


def python_values(array: Any) -> list[Any]:
    """Return an array's values as those of Python.

    :raises BadValueError: for the first time that Python has no value for.
    """
    try:
        found: list[Any] = array.to_pylist()
    except (OverflowError, ValueError):
        for index, value in enumerate(array):
            try:
                value.as_py()
            except (OverflowError, ValueError):
                raise BadValueError(index, "is a time outside the years 1 to 9999") from None
        raise
    return found


def refuse_bad_value(error: BadValueError, pair: Pair, label: str) -> InputError:
    """Return the error of a value that cannot be written, without the value.

    :param error: the value's place and problem.
    :param pair: its columns.
    :param label: the name of its row.
    """
    return InputError(f"{label}: the column {pair.source.name!r} {error.problem}", "source")
