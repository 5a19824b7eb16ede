"""CSV reader: encoding and delimiter detected where that is certain, refused with the argument that helps.

Files come from Excel, databases and people: with a byte order mark, ``;`` or tabs, blanks around header
names, an Excel ``sep=`` line, empty columns at the end. A guess that could change data is never made.
"""

from __future__ import annotations

import csv
import io
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE, lookup
from collections.abc import Callable, Iterator
from itertools import islice
from typing import IO, Any

from airflow_provider.core.input.values import normal_key
from airflow_provider.errors import InputError

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_MARKS = (
    # UTF-32 first: its little-endian mark begins with that of UTF-16.
    *((BOM_UTF32_LE, "utf-32"), (BOM_UTF32_BE, "utf-32")),
    *((BOM_UTF16_LE, "utf-16"), (BOM_UTF16_BE, "utf-16"), (BOM_UTF8, "utf-8-sig")),
)
_PACKED = (
    (b"\x1f\x8b", "is compressed with gzip, so its name must end in .gz"),
    (b"PK\x03\x04", "is a ZIP file, such as an Excel workbook (.xlsx): save it as CSV, or unpack it"),
    (b"PAR1", "is a Parquet file, so its name must end in .parquet (or pass source_format='parquet')"),
)
"""First bytes of files that are no text, and what to do with them."""

_WEB_PAGE = re.compile(r"\s*<(?:!doctype|html|\?xml)\b", re.IGNORECASE)
_BEGINNING = 200
"""Characters of a file that tell a web page."""

_NO_DELIMITERS = '"\r\n'
_SAMPLE_BYTES = 64 * 1024
_SAMPLE_ROWS = 100
"""Rows that must have equally many fields for a delimiter to be believed."""

_MAX_FIELD = 16 * 1024 * 1024
"""Characters of one field: a geometry as text may be long."""

_MAX_LINE = 128 * 1024 * 1024
"""Bytes of one line, which is held in memory: that of a compressed file may be a thousand times as long."""


def read_csv(
    file: IO[bytes],
    subject: str,
    delimiter: str | None = None,
    encoding: str | None = None,
    on_columns: Callable[[list[str]], object] = len,
    *,
    may_be_empty: bool = False,
    empty_rows: bool = False,
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield rows with their numbers, counted from 1; an empty field is left out.

    :param file: the file, opened for reading bytes.
    :param subject: the file's name, for errors.
    :param delimiter: one character; None to detect it.
    :param encoding: a codec's name; None to detect UTF-8 and what a byte order mark says.
    :param on_columns: called with the header's names before the first row.
    :param may_be_empty: whether a file without a byte is one without rows.
    :param empty_rows: whether a row of empty fields is a row; it is left out otherwise.
    :raises InputError: naming the cause, the row, and the argument that helps.
    """
    csv.field_size_limit(_MAX_FIELD)
    head = _peek(file)
    if may_be_empty and not head:
        return
    if encoding is not None:
        _check_encoding(encoding, subject)
    codec = detect_encoding(head, subject, encoding)
    whole = io.BufferedReader(JoinedFile(head, file, subject), _SAMPLE_BYTES)
    text = io.TextIOWrapper(whole, codec, newline="")
    try:
        reader, names = _open(text, subject, delimiter, head.decode(codec, "replace"))
        on_columns([name for name in names if name])
        rows = _rows(reader, names, subject)
        yield from rows if empty_rows else ((number, row) for number, row in rows if row)
    except UnicodeDecodeError as error:
        raise InputError(_encoding_hint(codec, error), subject) from None


def detect_encoding(head: bytes, subject: str, given: str | None = None) -> str:
    """Return the encoding that the first bytes of a file prove: UTF-8, or what its byte order mark says.

    :param head: the file's beginning.
    :param subject: the file's name, for errors.
    :param given: the encoding that the task names, a known one; a mark of it is no part of the data.
    :raises InputError: for other formats, for a mark of another encoding than the one given, and for UTF-16
        without a mark, which binary data resembles.
    """
    marked = next(((mark, codec) for mark, codec in _MARKS if head.startswith(mark)), None)
    if marked and given and marked[0].decode(given, "replace") not in ("", "\ufeff"):
        name = marked[1].removesuffix("-sig")
        raise InputError(f"begins with the mark of {name}, and encoding is {given!r}; leave it out", subject)
    codec = marked[1] if marked else given
    if _WEB_PAGE.match(head.decode(codec or "utf-8", "replace")[:_BEGINNING]):
        raise InputError(
            "is HTML or XML, as pages are that ask for a login or report an error, and no table", subject
        )
    return codec or _unmarked_encoding(head, subject)


def _unmarked_encoding(head: bytes, subject: str) -> str:
    if b"\0" in head[:4096]:
        for mark, advice in _PACKED:
            if head.startswith(mark):
                raise InputError(advice, subject)
        even, odd = head[0:4096:2].count(0), head[1:4096:2].count(0)
        likely = "utf-16-le" if odd > even else "utf-16-be"
        raise InputError(
            f"has zero bytes and no byte order mark: it is binary, or {likely}; pass encoding='{likely}'",
            subject,
        )
    return "utf-8"


def _encoding_hint(codec: str, error: UnicodeDecodeError) -> str:
    found = f"byte {error.object[error.start]:#04x} is not {codec}"
    if codec.startswith("utf-8"):
        return (
            f"{found}: the file is in another encoding, such as Excel's cp1252; pass encoding='cp1252', or"
            " save it as UTF-8"
        )
    return f"{found}; pass the encoding that the file was written in"


def _check_encoding(codec: str, subject: str) -> None:
    try:
        lookup(codec)
    except LookupError:
        raise InputError(f"encoding {codec!r} is not known, such as 'utf-8' or 'cp1252'", subject) from None


def _peek(file: IO[bytes]) -> bytes:
    chunks: list[bytes] = []
    while sum(map(len, chunks)) < _SAMPLE_BYTES and (chunk := file.read(_SAMPLE_BYTES)):
        chunks.append(chunk)
    return b"".join(chunks)


class JoinedFile(io.RawIOBase):
    """The sampled beginning of a file and its rest, as one file of lines that are not endless.

    :param head: the beginning.
    :param rest: the rest.
    :param subject: the file's name, for errors.
    """

    def __init__(self, head: bytes, rest: IO[bytes], subject: str) -> None:
        self._head = io.BytesIO(head)
        self._rest = rest
        self._subject = subject
        self._line = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read from the beginning first, then from the rest.

        :raises InputError: within a line that is too long.
        """
        data = self._head.read(len(buffer)) or self._rest.read(len(buffer))
        buffer[: len(data)] = data
        end = data.rfind(b"\n")
        self._line = len(data) - end - 1 if end >= 0 else self._line + len(data)
        if self._line > _MAX_LINE:
            raise InputError(f"has a line of more than {_MAX_LINE >> 20} MiB", self._subject)
        return len(data)


def _open(text: IO[str], subject: str, delimiter: str | None, sample: str) -> tuple[Any, list[str]]:
    """Return a reader of the rows below the header, and the header's names."""
    first = sample.lstrip("\ufeff").partition("\n")[0].strip("\r")
    said = first[4:] if first.lower().startswith("sep=") and len(first) == 5 else ""
    if said:
        text.readline()
    delimiter = delimiter or said or detect_delimiter(sample.lstrip("\ufeff"), subject)
    if len(delimiter) != 1 or delimiter in _NO_DELIMITERS:
        where = (
            "csv_delimiter" if delimiter != said else f"its first line, {first}, names the delimiter, which"
        )
        raise InputError(f"{where} must be one character such as ';', not {delimiter!r}", subject)
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise InputError(f"the header cannot be read as CSV: {error}", subject) from None
    return reader, _header(header, subject, delimiter)


def _rows(reader: Any, names: list[str], subject: str) -> Iterator[tuple[int, dict[str, str]]]:
    for number, fields in enumerate(_records(reader, subject), start=1):
        if len(fields) < len(names) or any(fields[len(names) :]):
            raise InputError(_ragged(number, fields, names, reader.dialect.delimiter), subject)
        row = {name: value for name, value in zip(names, fields, strict=False) if value != ""}
        if "" in row:
            raise InputError(f"row {number} has a value in a column without a name", subject)
        yield number, row


def _records(reader: Any, subject: str) -> Iterator[list[str]]:
    """Yield the records below the header; lines without anything are none."""
    number = 1
    try:
        for fields in reader:
            if fields:
                yield fields
                number += 1
    except csv.Error as error:
        hint = "; a quote may not be closed" if "unexpected end" in str(error) else ""
        raise InputError(f"row {number} cannot be read as CSV: {error}{hint}", subject) from None


def _ragged(number: int, fields: list[str], names: list[str], delimiter: str) -> str:
    return (
        f"row {number} has {len(fields)} values, but the header has {len(names)} columns (delimiter"
        f" {DELIMITERS.get(delimiter, repr(delimiter))}; if that is wrong, pass csv_delimiter)"
    )


def _header(fields: list[str], subject: str, delimiter: str) -> list[str]:
    """Return the names of the columns, without blanks around them; "" for those at the end without a name."""
    names = [normal_key(name) for name in fields]
    if not any(names):
        raise InputError("is empty: a CSV file begins with a header of column names", subject)
    given = [name for name in names if name]
    if twice := sorted({name for name in given if given.count(name) > 1}):
        raise InputError(f"the header has {', '.join(map(repr, twice))} more than once", subject)
    if len(names) == 1 and (other := next((one for one in DELIMITERS if one in names[0]), "")):
        hint = f"pass csv_delimiter={other!r}" if other != delimiter else "check its quotes"
        raise InputError(f"the header is one column, {names[0]!r:.80}; {hint}", subject)
    return names


def detect_delimiter(sample: str, subject: str) -> str:
    """Return the one delimiter that cuts header and first rows into equally many fields, more than one.

    :param sample: the beginning of the file.
    :param subject: the file's name, for errors.
    :raises InputError: when several do; a file of one column has a comma.
    """
    lines = sample.splitlines(keepends=True)
    # The last line of a sample may be cut in the middle.
    text = "".join(lines[:-1]) if len(lines) > 1 and len(sample) >= _SAMPLE_BYTES // 4 else sample
    fitting = [delimiter for delimiter in DELIMITERS if _fits(text, delimiter)]
    if len(fitting) > 1:
        raise InputError(
            f"the delimiter is unclear: {' and '.join(DELIMITERS[one] for one in fitting)} both fit; pass"
            " csv_delimiter",
            subject,
        )
    return fitting[0] if fitting else _most_in(text)


def _fits(text: str, delimiter: str) -> bool:
    try:
        rows = [
            row for row in islice(csv.reader(io.StringIO(text), delimiter=delimiter), _SAMPLE_ROWS) if row
        ]
    except csv.Error:
        return False
    return len({len(row) for row in rows}) == 1 and len(rows[0]) > 1


def _most_in(text: str) -> str:
    """Return the delimiter that the header has most of; the first of those, a comma, where it has none."""
    return max(DELIMITERS, key=text.partition("\n")[0].count)
