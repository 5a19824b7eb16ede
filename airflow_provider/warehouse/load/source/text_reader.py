"""Reader of JSON, CSV and GeoJSON: values as their texts, so that no number is rounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

import msgspec

from airflow_provider.core.files.formats import import_pyarrow
from airflow_provider.core.files.reader import PAGE_MEMBERS, read_open_file
from airflow_provider.errors import InputError
from airflow_provider.warehouse.load.columns.exact import is_double, places_of, read_number
from airflow_provider.warehouse.load.columns.rows import LONGITUDE_LATITUDE, Batch, RowNumbers, SourceColumn
from airflow_provider.warehouse.load.source.files import LocalFile, open_local
from airflow_provider.warehouse.load.source.spool import ColumnSpool

if TYPE_CHECKING:
    from airflow_provider.core.files.row_source import RowOptions
    from airflow_provider.warehouse.load.source.shapes import Shapes

Fields = dict[str, str | None]

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_ANY = msgspec.json.Decoder()

_KINDS = {'"': "text", "t": "boolean", "f": "boolean", "{": "json", "[": "json"}
"""Kinds of JSON values by their first character."""


_DOUBLE_DIGITS = 15
"""Digits of an integer that a 64-bit float holds, whatever they are."""

_INT64_DIGITS = 18
"""Digits of an integer that 64 bits hold, whatever they are."""


class TextReader:
    """Reader of row formats through a spool, because a column may first appear in the last row.

    :param files: the files.
    :param numbers: takes the numbers of each file's rows.
    :param options: how rows are read.
    :param shapes: takes the fields of each row of JSON; None where they may differ.
    """

    def __init__(
        self,
        files: Sequence[LocalFile],
        numbers: list[RowNumbers],
        options: RowOptions,
        shapes: Shapes | None = None,
    ) -> None:
        self._files = files
        self._numbers = numbers
        self._options = options
        self._shapes = shapes
        self._spool = ColumnSpool()
        self._kinds: dict[str, set[str]] = {}
        self._header: list[str] | None = None
        self._has_features = False
        self._needs_id = False
        self.columns: list[SourceColumn] = []

    def __enter__(self) -> Self:
        self._spool.__enter__()
        try:
            for file in self._files:
                self._read(file)
        except BaseException:
            self._spool.__exit__()
            raise
        self.columns = self._all_columns()
        return self

    def __exit__(self, *exc: object) -> None:
        self._spool.__exit__(*exc)

    def batches(self) -> Iterator[Batch]:
        """Yield all rows; JSON values as their JSON texts, fields of CSV as they are, none as null."""
        pa, _ = import_pyarrow("source")
        names = [column.name for column in self.columns]
        file, left = 0, self._numbers[0].count
        for rows, found in self._spool.batches():
            while not left:
                file += 1
                left = self._numbers[file].count
            left -= rows
            arrays = {}
            for name in names:
                values = found.get(name, [])
                values += [None] * (rows - len(values))
                arrays[name] = pa.array(values, pa.string())
            yield Batch(rows, arrays, file)

    def _read(self, file: LocalFile) -> None:
        is_csv = file.format == "csv"
        numbers = RowNumbers()
        self._numbers.append(numbers)
        subject = f"source '{file.name}'"
        with open_local(file) as opened:
            rows = read_open_file(
                opened,
                file.name,
                "source",
                decode=_decode_line if file.format in ("jsonl", "ndjson") else _decode_document,
                csv_delimiter=self._options.csv_delimiter,
                encoding=self._options.encoding,
                source_format=file.format,
                on_columns=lambda names: self._check_header(names, subject),
            )
            for number, row in rows:
                numbers.add(number)
                fields = row if is_csv else self._texts(row, number, subject)
                if self._shapes is not None and not is_csv:
                    self._shapes.add(fields)
                self._spool.add(fields)
        self._spool.flush()

    def _check_header(self, names: list[str], subject: str) -> None:
        """Record the columns of CSV; those of all files must be the same, in any order."""
        if self._header is None:
            self._header = names
        elif set(names) != set(self._header):
            missing, new = set(self._header) - set(names), set(names) - set(self._header)
            wrong = [f"lacks the column {name!r}, which the first file has" for name in sorted(missing)]
            wrong += [f"has the column {name!r}, which the first file lacks" for name in sorted(new)]
            raise InputError(wrong, subject)

    def _texts(self, row: dict[str, msgspec.Raw], number: int, subject: str) -> Fields:
        """Return a row's values as JSON texts; None for null."""
        texts = {name: bytes(value).decode() for name, value in row.items()}
        if texts.get("type") == '"Feature"' and "geometry" in texts and "properties" in texts:
            texts = self._flatten(texts, number, subject)
        kinds = self._kinds
        fields: Fields = {}
        for name, text in texts.items():
            kind = _kind(text)
            if (found := kinds.get(name)) is None:
                kinds[name] = {kind}
            else:
                found.add(kind)
            fields[name] = None if kind == "null" else text
        return fields

    def _flatten(self, texts: dict[str, str], number: int, subject: str) -> dict[str, str]:
        """Return a GeoJSON feature's properties, and its geometry beside them."""
        self._has_features = True
        try:
            found = _OBJECT.decode(texts["properties"]) if texts["properties"] != "null" else {}
        except msgspec.DecodeError:
            raise InputError(f"row {number}: its 'properties' are no object", subject) from None
        flat = {name: bytes(value).decode() for name, value in found.items()}
        if "geometry" in flat:
            raise InputError(f"row {number} has the property 'geometry' beside its geometry", subject)
        self._add_id(flat, texts.get("id", "null"), number, subject)
        return {**flat, "geometry": texts["geometry"]}

    def _add_id(self, flat: dict[str, str], own: str, number: int, subject: str) -> None:
        """Add a feature's own id to its properties, unless they have the same one."""
        known = flat.get("id", "null")
        # Where a property has the id, too, a table without the column loses nothing.
        self._needs_id = self._needs_id or "id" in flat or own not in ("null", *flat.values())
        if own == "null":
            return
        if known == "null":
            flat["id"] = own
        elif known.strip('"') != own.strip('"'):
            raise InputError(f"row {number} has the property 'id' beside another id of its own", subject)

    def _all_columns(self) -> list[SourceColumn]:
        if self._header is not None:
            return [SourceColumn(name, "text", "text") for name in self._header]
        columns = [self._column(name, kinds) for name, kinds in self._kinds.items()]
        digits = self._digits([column.name for column in columns if column.kind == "decimal"])
        return [column._replace(digits=digits.get(column.name)) for column in columns]

    def _digits(self, names: list[str]) -> dict[str, tuple[int, int]]:
        """Return the most digits before and behind the point that columns of numbers have."""
        found = dict.fromkeys(names, (1, 0))
        for _, batch in self._spool.batches() if names else ():
            for name in names:
                ahead, places = found[name]
                numbers = (read_number(text) for text in batch.get(name, ()) if text is not None)
                for number in numbers:
                    if number is not None:
                        ahead = max(ahead, number.adjusted() + 1)
                        places = max(places, places_of(number))
                found[name] = (ahead, places)
        return found

    def _column(self, name: str, kinds: set[str]) -> SourceColumn:
        if self._has_features and name == "geometry":
            return SourceColumn(name, "json", "geometry", LONGITUDE_LATITUDE, unnamed=True)
        optional = self._has_features and name == "id" and not self._needs_id
        return SourceColumn(name, "json", _common(kinds - {"null"}), optional=optional)


def _kind(text: str) -> str:
    first = text[0]
    if first == "n":
        return "null"
    if kind := _KINDS.get(first):
        return kind
    if "." in text or "e" in text or "E" in text:
        return "number" if is_double(text) else "decimal"
    if len(text) <= _DOUBLE_DIGITS:
        return "integer"
    return "long" if len(text) <= _INT64_DIGITS else "decimal"


def _common(kinds: set[str]) -> str:
    if kinds <= {"integer", "long"}:
        return "integer" if kinds else "text"
    if len(kinds) == 1:
        return next(iter(kinds))
    if kinds == {"integer", "number"}:
        return "number"
    # A number of more digits would be rounded beside one with a fraction.
    return "decimal" if kinds <= {"integer", "long", "number", "decimal"} else "json"


def _decode_line(data: bytes) -> Any:
    """Return an object of JSON texts, or whatever else a line holds, which the reader of rows refuses."""
    try:
        return _OBJECT.decode(data)
    except msgspec.ValidationError:
        return _ANY.decode(data)


def _decode_document(data: bytes) -> Any:
    """Return a list of objects of JSON texts, or a feature collection with such a list."""
    try:
        return _LIST.decode(data)
    except msgspec.ValidationError:
        pass
    try:
        found = _OBJECT.decode(data)
        if "features" in found:
            others = {name: _ANY.decode(found[name]) for name in ("crs", *PAGE_MEMBERS) if name in found}
            return {**found, **others, "features": _LIST.decode(found["features"])}
    except msgspec.ValidationError:
        pass
    return _ANY.decode(data)
