"""Cells of a CSV file: values of rows as the import reads them back, or refused by row and column.

The service makes one type of each column of a new dataset, by its texts. In a dataset that exists, the fields
have their types, and values are read as the sync of a dataset reads them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from airflow_provider.amigocloud.sync.fields import Schema
from airflow_provider.amigocloud.sync.geometry import in_degrees, read_geometry, read_stored
from airflow_provider.core.input.problems import Problems, nearest
from airflow_provider.core.input.values import ABSENT, UnreadableValueError, ValueReader, check_exact

GEOMETRY = "wkb_geometry"
"""Column that the import makes the geometry of a new dataset."""

_INT64_END = 2**63
_BINARY = (bytes, bytearray, memoryview)
_WKB_HEX = re.compile(r"(?:\\x|0x)?0[01](?:[0-9a-fA-F]{2}){8,}")
_QUOTED = re.compile(r"[\",;\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029]|^\s|\s$|^\ufeff")
_PLAIN = re.compile(r"\w+", re.ASCII)
_READER = ValueReader()


def csv_line(cells: Iterable[str | None], width: int = 0) -> str:
    """Return a line of CSV; null is an empty field, and a line is never empty.

    :param cells: the texts.
    :param width: number of fields; missing ones at the end are null.
    """
    texts = ["" if cell is None else _quoted(cell) for cell in cells]
    texts += [""] * (width - len(texts))
    return (",".join(texts) if len(texts) != 1 or texts[0] else '""') + "\n"


def csv_header(names: Iterable[str]) -> str:
    """Return the first line of CSV; names that are no plain words are quoted."""
    return ",".join(name if _PLAIN.fullmatch(name) else _in_quotes(name) for name in names) + "\n"


def _quoted(text: str) -> str:
    return _in_quotes(text) if _QUOTED.search(text) else text


def _in_quotes(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


class _Kinds:
    """Kinds of the values of one column of a new dataset, each with the first row that has it."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.only_numbers = True
        """Whether each text looks like a number."""

    def add(self, value: Any, row: int) -> None:
        """Take note of a value."""
        kind = _kind_of(value)
        if kind not in self.rows:
            self.rows[kind] = row
        if kind == "texts" and self.only_numbers:
            self.only_numbers = _is_like_number(value)

    def problem(self) -> str:
        """Return what is wrong with the column, after the last row; empty for nothing."""
        if len(self.rows) > 1:
            found = " and ".join(f"{kind} (row {row})" for kind, row in self.rows.items())
            return f"has {found}, and a dataset has one type for all; make it one type in the source"
        if "texts" in self.rows and self.only_numbers:
            return (
                f"has texts that all look like numbers (row {self.rows['texts']}), which the import of a new"
                " dataset makes numbers, as 7 of 007; make them numbers in the source, or create the dataset"
                " with a field of texts first, and name it as dataset"
            )
        return ""


def _kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "booleans"
    return "texts" if isinstance(value, str) else "numbers"


def _is_like_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class CellReader:
    """Reader of rows as cells, in the order in which their columns came up.

    :param schema: fields of the dataset whose rows are replaced; None for a new dataset.
    :param problems: gets all problems.
    """

    def __init__(self, schema: Schema | None, problems: Problems) -> None:
        self._schema, self._problems = schema, problems
        self._places: dict[Any, int | None] = {}
        self._kinds: list[_Kinds] = []
        self._required: list[int] = []
        self.columns: list[str] = []

    def add_columns(self, names: Iterable[Any]) -> None:
        """Take columns, whether or not a row has a value for them."""
        for name in names:
            self._place(name, 0)

    def read(self, row: Mapping[Any, Any], number: int) -> list[str | None]:
        """Return the cells of a row; None is null.

        :param number: the row's number.
        """
        cells: list[str | None] = [None] * len(self.columns)
        for name, value in row.items():
            place = self._place(name, number)
            if place is None:
                continue
            if place >= len(cells):
                cells += [None] * (place + 1 - len(cells))
            try:
                cells[place] = self._cell(place, value, number)
            except UnreadableValueError as problem:
                self._problems.add(str(problem), number, None, self.columns[place])
                cells[place] = ""
        for place in self._required:
            if place >= len(cells) or cells[place] is None:
                self._problems.add("is null, which the field may not be", number, None, self.columns[place])
        return cells

    def finish(self) -> None:
        """Add the problems of whole columns, after the last row."""
        if self._schema is None:
            for name, kinds in zip(self.columns, self._kinds, strict=True):
                if problem := kinds.problem():
                    self._problems.add(f"{name} {problem}")

    def _place(self, name: Any, row: int) -> int | None:
        """Return the place of a column; None for one that is refused."""
        if name not in self._places:
            self._places[name] = self._new_place(name, row)
        return self._places[name]

    def _new_place(self, name: Any, row: int) -> int | None:
        if not isinstance(name, str) or not name.strip() or "\0" in name:
            self._problems.add_column(f"the column {name!r:.60} has no name", row)
            return None
        field = self._field_of(name)
        if field is None:
            known = self._schema.fields if self._schema else ()
            self._problems.add(f"the dataset has no field {name!r:.60}{nearest(name, known)}")
            return None
        if field in self.columns:
            self._problems.add(f"{field} is there twice: as {name!r:.60}, too")
            return None
        if self._schema and not self._schema.fields[field].nullable:
            self._required.append(len(self.columns))
        self.columns.append(field)
        self._kinds.append(_Kinds())
        return len(self.columns) - 1

    def _field_of(self, name: str) -> str | None:
        if self._schema is None:
            return GEOMETRY if name == "geometry" else name
        if name in self._schema.fields:
            return name
        return self._schema.geometry if name in ("geometry", GEOMETRY) else None

    def _cell(self, place: int, value: Any, row: int) -> str | None:
        if value is None or value is ABSENT:
            return None
        if isinstance(value, Decimal):
            check_exact(value)
        found = self._typed(place, value) if self._schema else self._untyped(place, value, row)
        if found == "":
            raise UnreadableValueError(
                "is an empty text, which CSV has for null, too; select NULL, as NULLIF(x, '') returns it"
            )
        return found

    def _typed(self, place: int, value: Any) -> str | None:
        field = self._schema.fields[self.columns[place]]  # type: ignore[union-attr]
        if field.kind != "geometry" or isinstance(value, float):
            value = _READER.read(field.plain_day(value))
            if value is ABSENT or value is None:
                return None
        return _text_of(field.read(value))

    def _untyped(self, place: int, value: Any, row: int) -> str | None:
        name = self.columns[place]
        if name == GEOMETRY and not isinstance(value, float):
            return in_degrees(read_geometry(value)).to_hex()
        if isinstance(value, _BINARY):
            raise UnreadableValueError(
                f"is binary; a geometry must be named {GEOMETRY}: columns={{'{name}': '{GEOMETRY}'}}"
            )
        read = _READER.read(value)
        if read is ABSENT or read is None:
            return None
        if isinstance(read, (list, dict)):
            raise UnreadableValueError("is a list or an object, which no field holds; make it a text")
        if isinstance(read, str):
            _refuse_geometry(name, read)
        elif isinstance(read, int) and not -_INT64_END <= read < _INT64_END:
            raise UnreadableValueError("is a whole number of more than 64 bits; make it a text")
        self._kinds[place].add(read, row)
        return _text_of(read)


def _refuse_geometry(name: str, text: str) -> None:
    """Refuse a geometry as PostGIS returns it, in a column that would stay a text."""
    if not _WKB_HEX.fullmatch(text):
        return
    try:
        read_stored(text)
    except UnreadableValueError:
        return
    raise UnreadableValueError(
        f"is a geometry, which must be named {GEOMETRY}: columns={{'{name}': '{GEOMETRY}'}}"
    )


def _text_of(value: Any) -> str:
    if isinstance(value, str):
        if "\0" in value:
            raise UnreadableValueError("has a NUL character, which no text may have")
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, dict)):
        import msgspec

        return msgspec.json.encode(value).decode()
    return repr(value)
