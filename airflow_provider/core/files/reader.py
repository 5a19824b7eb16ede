"""Reader of rows: from a list, or from a file on any object storage."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import IO, Any

from airflow_provider.errors import InputError

Row = dict[str, Any]

NumberedRow = tuple[int, Row]

Decode = Callable[[bytes], Any]

_BUFFER = 256 * 1024
"""Bytes of a Parquet file that are read at once."""

_SUFFIXES = (".jsonl", ".ndjson", ".json", ".geojson", ".csv", ".parquet", ".geoparquet")


def read_rows(source: object, subject: str = "source", decode: Decode | None = None) -> Iterator[NumberedRow]:
    """Yield the rows of a source, each with its number, counted from 1.

    JSON Lines, CSV and Parquet are streamed. A GeoJSON feature is a row as it is.

    :param source: a list of objects, or the path of a file (``.json``, ``.jsonl``, ``.ndjson``, ``.geojson``,
        ``.csv``, each also with ``.gz``, or ``.parquet``, ``.geoparquet``): a local path or any URL that
        ``ObjectStoragePath`` takes. CSV values are texts.
    :param subject: name of the rows, for errors.
    :param decode: function that decodes JSON more strictly than the usual decoder; raises ``ValueError``.
    :raises InputError: naming the row that is not an object, or the line that cannot be read.
    """
    if isinstance(source, str):
        yield from _check(_read_path(source, subject, decode), subject)
    elif isinstance(source, Iterable) and not isinstance(source, (bytes, dict)):
        yield from _check(enumerate(source, start=1), subject)
    else:
        raise InputError(
            f"must be a list of objects or the path of a file, not {type(source).__name__}", subject
        )


def _check(rows: Iterable[tuple[int, Any]], subject: str) -> Iterator[NumberedRow]:
    for number, row in rows:
        if not isinstance(row, dict):
            raise InputError(f"row {number} is not an object but a {type(row).__name__}", subject)
        yield number, row


def _read_path(path: str, subject: str, decode: Decode | None) -> Iterator[tuple[int, Any]]:
    name = path.rsplit("?", 1)[0].lower()
    plain = name.removesuffix(".gz")
    suffix = next((suffix for suffix in _SUFFIXES if plain.endswith(suffix)), "")
    if not path.strip():
        raise InputError("the path is empty", subject)
    if not suffix or (suffix.endswith("parquet") and plain != name):
        raise InputError(
            f"'{path}' must end in one of {', '.join(_SUFFIXES)} (all but Parquet also with .gz)", subject
        )
    with open_source(path, subject) as raw:
        file: IO[bytes] = gzip.GzipFile(fileobj=raw) if plain != name else raw  # type: ignore[assignment]
        try:
            yield from _READERS[suffix](file, f"{subject} '{path}'", decode)
        except (UnicodeDecodeError, gzip.BadGzipFile, zlib.error, EOFError, csv.Error) as error:
            raise InputError(f"cannot be read: {error}", f"{subject} '{path}'") from None


@contextmanager
def open_source(path: str, subject: str = "source") -> Iterator[IO[bytes]]:
    """Open a file on any object storage for reading.

    :param path: a local path, or any URL that ``ObjectStoragePath`` takes.
    :param subject: name of the file's content, for errors.
    :raises InputError: when there is no such file.
    """
    from airflow.sdk import ObjectStoragePath

    try:
        file = ObjectStoragePath(path).open("rb")  # type: ignore[no-untyped-call]
    except FileNotFoundError:
        raise InputError(f"there is no file '{path}'", subject) from None
    except IsADirectoryError:
        raise InputError(f"'{path}' is a folder", subject) from None
    with file:
        yield file


def _json_lines(file: IO[bytes], subject: str, decode: Decode | None) -> Iterator[tuple[int, Any]]:
    import msgspec

    decode = decode or msgspec.json.Decoder().decode
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            yield number, decode(line if number > 1 else line.removeprefix(BOM_UTF8))
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise InputError(f"line {number} is not JSON: {error}", subject) from None


def _json(file: IO[bytes], subject: str, decode: Decode | None) -> Iterator[tuple[int, Any]]:
    import msgspec

    try:
        value = (decode or msgspec.json.decode)(file.read().removeprefix(BOM_UTF8))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise InputError(f"is not JSON: {error}", subject) from None
    if isinstance(value, dict) and isinstance(value.get("features"), list):
        value = value["features"]
    if not isinstance(value, list):
        raise InputError("must be a JSON list, or a GeoJSON feature collection", subject)
    yield from enumerate(value, start=1)


def _csv(file: IO[bytes], subject: str, _: Decode | None) -> Iterator[tuple[int, Any]]:
    reader = csv.DictReader(io.TextIOWrapper(file, "utf-8-sig", newline=""))
    names = reader.fieldnames or []
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"the header has {', '.join(map(repr, repeated))} more than once", subject)
    for number, row in enumerate(reader, start=1):
        if None in row or None in row.values():
            raise InputError(f"row {number} has not as many values as the header has columns", subject)
        yield number, row


def _parquet(file: IO[bytes], subject: str, _: Decode | None) -> Iterator[tuple[int, Any]]:
    from airflow_provider.core.files.formats import import_pyarrow

    pa, pq = import_pyarrow(subject)
    try:
        # A file may be a single row group: without these options, pyarrow holds most of it in memory.
        table = pq.ParquetFile(file, pre_buffer=False, buffer_size=_BUFFER)
        batches = table.iter_batches(batch_size=1024, use_threads=False)
        yield from enumerate(chain.from_iterable(batch.to_pylist() for batch in batches), start=1)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"cannot be read as Parquet: {error}", subject) from None


_READERS = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".geojson": _json,
    ".csv": _csv,
    ".parquet": _parquet,
    ".geoparquet": _parquet,
}
