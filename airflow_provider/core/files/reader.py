"""Reader of rows: from a list, or from a file on any object storage."""

from __future__ import annotations

import errno
import gzip
import io
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import IO, Any, NamedTuple

import msgspec

from airflow_provider.core.files.csv_reader import JoinedFile, detect_encoding, read_csv
from airflow_provider.core.files.storage import LOCAL, StoredFile, is_no_file, storage_errors, storage_path
from airflow_provider.core.input.conditions import refuse_data_frame, refuse_rendered_list
from airflow_provider.core.input.crs import named_crs_problem
from airflow_provider.core.input.doubled_keys import doubled_key
from airflow_provider.core.input.values import shown
from airflow_provider.core.redaction import shown_path
from airflow_provider.errors import (
    InputError,
    with_article,
)

Row = dict[str, Any]


NumberedRow = tuple[int, Row]


Decode = Callable[[bytes], Any]

_BUFFER = 256 * 1024

_BLOCK = 1024 * 1024

FREE_BYTES = 64 * 1024 * 1024
"""Bytes of a file of one JSON text that may be the expansion of any number of bytes."""

MAX_EXPANSION = 200
"""Maximum bytes that a byte of a larger file becomes; JSON rarely reaches 50."""


ENDINGS = (".jsonl", ".ndjson", ".json", ".geojson", ".csv", ".parquet", ".geoparquet")
"""Endings that name a format of rows."""


NO_FILE = "is no file that can be read: a broken link, or no regular file"
"""End of the error about a device, a named pipe, a socket, or links that lead in a circle."""


FOLDER_HINT = "; for all of its files, end it with '/'"


def read_rows(
    source: object,
    subject: str = "source",
    decode: Decode | None = None,
    *,
    csv_delimiter: str | None = None,
    encoding: str | None = None,
    source_format: str | None = None,
    geo: bool = False,
    on_columns: Callable[[list[str]], object] | None = None,
    may_be_empty: bool = False,
) -> Iterator[NumberedRow]:
    """Yield the rows of a source one by one, each with its number, counted from 1.

    JSON Lines, CSV and Parquet are streamed. A GeoJSON feature is yielded as it is. An empty field of CSV and
    null in Parquet are left out of the row: a table's null says that there is no value.

    :param source: a list of objects, or the path of a file (``.json``, ``.jsonl``, ``.ndjson``, ``.geojson``,
        ``.csv``, each also with ``.gz``, or ``.parquet``, ``.geoparquet``): a local path or any URL that
        ``ObjectStoragePath`` takes. CSV values are texts.
    :param subject: what the rows are, for errors.
    :param decode: reads JSON where the usual decoder is not strict enough; raises ``ValueError``.
    :param csv_delimiter: one character; None to detect it.
    :param encoding: a codec's name for text files; None to detect it.
    :param source_format: the format, such as ``csv``; None for what the path ends in.
    :param geo: the geometry column of GeoParquet is named ``geometry``, its bbox columns are left out.
    :param on_columns: called with the names of a table's columns, before its first row.
    :param may_be_empty: whether a CSV file without a byte is one without rows, as parts of an export may be.
    :raises InputError: naming the row that is no object, or the line that cannot be read.
    """
    if isinstance(source, str):
        options = _Options(
            decode, csv_delimiter, encoding, source_format, geo, on_columns or _ignore, may_be_empty
        )
        yield from _check(_read_path(source, subject, options), subject)
        return
    refuse_data_frame(source, subject)
    if isinstance(source, Iterable) and not isinstance(source, (bytes, Mapping)):
        yield from _check(enumerate(source, start=1), subject)
    else:
        raise InputError(
            f"must be a list of objects or the path of a file, not {type(source).__name__}", subject
        )


class _Options(NamedTuple):
    decode: Decode | None
    csv_delimiter: str | None
    encoding: str | None
    source_format: str | None
    geo: bool
    on_columns: Callable[[list[str]], object]
    may_be_empty: bool = False
    empty_rows: bool = False


def _ignore(_: list[str]) -> None:
    pass


def _check(rows: Iterable[tuple[int, Any]], subject: str) -> Iterator[NumberedRow]:
    for number, row in rows:
        if not isinstance(row, dict):
            raise InputError(f"row {number} is not an object but {with_article(type(row).__name__)}", subject)
        yield number, row


def _read_path(path: str, subject: str, options: _Options) -> Iterator[tuple[int, Any]]:
    refuse_rendered_list(path, subject)
    format_of(path, subject, options.source_format)
    with open_source(path, subject, folder_hint=FOLDER_HINT) as raw:
        yield from _read_file(raw, path, subject, options)


def read_open_file(
    raw: IO[bytes],
    path: str,
    subject: str,
    *,
    decode: Decode,
    csv_delimiter: str | None,
    encoding: str | None,
    source_format: str | None,
    on_columns: Callable[[list[str]], object],
) -> Iterator[NumberedRow]:
    """Yield the rows of a file that is open, as :func:`read_rows` does, and CSV's rows of empty fields.

    :param raw: the file.
    :param path: its path, for its format and for errors.
    """
    options = _Options(*(decode, csv_delimiter, encoding, source_format, True, on_columns), empty_rows=True)
    yield from _check(_read_file(raw, path, subject, options), subject)


def _read_file(raw: IO[bytes], path: str, subject: str, options: _Options) -> Iterator[tuple[int, Any]]:
    suffix, packed = format_of(path, subject, options.source_format)
    file: IO[bytes] = gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[assignment]
    try:
        yield from _READERS[suffix](file, f"{subject} '{shown_path(path)}'", options)
    except UnicodeDecodeError as error:
        text = f"is not {error.encoding}: {error.reason}; pass its encoding"
        raise InputError(text, f"{subject} '{shown_path(path)}'") from None
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InputError(f"cannot be read: {error}", f"{subject} '{shown_path(path)}'") from None


def format_of(path: str, subject: str, given: str | None = None) -> tuple[str, bool]:
    """Return the ending that names a file's format, and whether it is compressed with gzip.

    :param path: the file's path.
    :param subject: what the rows are, for errors.
    :param given: the format that the task names, with or without a dot; None for the path's own.
    :raises InputError: when the format is not known.
    """
    if not path.strip():
        raise InputError("the path is empty", subject)
    name = path.lower()
    if not ending_of(name):
        name = name.rsplit("?", 1)[0]
    plain = name.removesuffix(".gz")
    suffix = ending_of(name)
    if given is not None:
        suffix = f".{given.lower().lstrip('.')}"
        if suffix not in ENDINGS:
            known = ", ".join(one[1:] for one in ENDINGS)
            raise InputError(f"source_format {given!r} is unknown; it is one of {known}", subject)
    if not suffix or (suffix.endswith("parquet") and plain != name):
        raise InputError(
            f"'{shown_path(path)}' must end in one of {', '.join(ENDINGS)} (all but Parquet also with .gz)",
            subject,
        )
    return suffix, plain != name


def ending_of(path: str) -> str:
    """Return the ending of a path that names a format of rows, without ``.gz``; empty for none."""
    plain = path.lower().removesuffix(".gz")
    return next((one for one in ENDINGS if plain.endswith(one)), "")


@contextmanager
def open_source(path: str, subject: str = "source", *, folder_hint: str = "") -> Iterator[IO[bytes]]:
    """Open a file of any object storage for reading.

    :param path: its path, or any URL that ``ObjectStoragePath`` takes.
    :param subject: what the file is, for errors.
    :param folder_hint: end of the error about a folder.
    :raises InputError: when there is no such file.
    """
    if not path.strip():
        raise InputError("the path is empty", subject)
    try:
        target = storage_path(path, subject)
        if target.protocol in LOCAL and is_no_file(target.path):
            raise InputError(f"'{shown_path(path)}' {NO_FILE}", subject)
        with storage_errors(path, "read"):
            file = target.open("rb")
    except FileNotFoundError:
        raise InputError(f"there is no file '{shown_path(path)}'", subject) from None
    except IsADirectoryError:
        raise InputError(f"'{shown_path(path)}' is a folder{folder_hint}", subject) from None
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise InputError(f"there is no file '{shown_path(path)}', as the name is too long", subject) from None
    if target.protocol not in LOCAL:
        file = io.BufferedReader(StoredFile(file, path), _BUFFER)
    with file:
        yield file


def _text(file: IO[bytes], encoding: str | None, subject: str) -> bytes:
    """Return a text file as UTF-8."""
    data = read_whole(file, subject)
    codec = detect_encoding(data, subject, encoding)
    return data if codec == "utf-8" else data.decode(codec).encode()


def read_whole(file: Any, subject: str) -> bytes:
    """Return the content of a file, which may be compressed.

    :param file: the file, or a ``GzipFile`` of it.
    :param subject: what the file is, for errors.
    :raises InputError: when a few bytes are to fill the memory.
    """
    if not isinstance(file, gzip.GzipFile):
        data: bytes = file.read()
        return data
    packed: Any = file.fileobj
    blocks, total = list[bytes](), 0
    while block := file.read(_BLOCK):
        blocks.append(block)
        total += len(block)
        if total > max(FREE_BYTES, MAX_EXPANSION * packed.tell()):
            raise InputError(f"expands more than {MAX_EXPANSION}-fold; unpack it before", subject)
    return b"".join(blocks)


def _json_lines(file: IO[bytes], subject: str, options: _Options) -> Iterator[tuple[int, Any]]:
    decode = options.decode or msgspec.json.Decoder().decode
    # Files of object storage copy their whole buffer for each line.
    lines = io.BufferedReader(JoinedFile(b"", file, subject), _BUFFER)
    for number, line in enumerate(lines, start=1):
        if number == 1:
            codec = detect_encoding(line, subject, options.encoding)
            recode = codec not in ("utf-8", "utf-8-sig")
            line = line.removeprefix(BOM_UTF8)  # noqa: PLW2901
            if recode and codec.startswith(("utf-16", "utf-32")):
                raise InputError(f"is {codec}; JSON Lines are read as UTF-8: save it as UTF-8", subject)
        if not line.strip():
            continue
        try:
            text = line.decode(codec).encode() if recode else line
            value = decode(text)
        except UnicodeDecodeError:
            raise InputError(f"line {number} is not {codec}; pass its encoding", subject) from None
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise InputError(f"line {number} is not JSON: {error}", subject) from None
        if (key := doubled_key(text, value)) is not None:
            raise InputError(f"line {number} has the key {shown(key)} twice", subject)
        yield number, value


def _json(file: IO[bytes], subject: str, options: _Options) -> Iterator[tuple[int, Any]]:
    try:
        text = _text(file, options.encoding, subject)
        value = (options.decode or msgspec.json.decode)(text)
    except (UnicodeDecodeError, InputError):
        raise
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise InputError(f"is not JSON: {error}", subject) from None
    if (key := doubled_key(text, value)) is not None:
        raise InputError(f"has the key {shown(key)} twice in one object", subject)
    if isinstance(value, dict) and isinstance(value.get("features"), list):
        if options.geo and (wrong := named_crs_problem(value.get("crs"))):
            raise InputError(wrong, subject)
        if is_page(value):
            raise InputError("is one page of a longer result of a map server; get all of it", subject)
        value = value["features"]
    if not isinstance(value, list):
        raise InputError("must be a JSON list, or a GeoJSON feature collection", subject)
    yield from enumerate(value, start=1)


PAGE_MEMBERS = ("numberMatched", "totalFeatures", "exceededTransferLimit", "properties", "links")
"""Members by which a map server says that a feature collection is not complete."""


def is_page(value: Mapping[str, Any]) -> bool:
    """Return whether a feature collection says that there are more features than it has."""
    count = len(value["features"])
    totals = [value.get(name) for name in ("numberMatched", "totalFeatures")]
    more, links = value.get("properties"), value.get("links")
    limits = [value, more if isinstance(more, Mapping) else {}]
    listed = links if isinstance(links, list) else []
    return (
        any(isinstance(total, int) and total > count for total in totals)
        or any(one.get("exceededTransferLimit") is True for one in limits)
        or any(isinstance(link, Mapping) and link.get("rel") == "next" for link in listed)
    )


def _csv(file: IO[bytes], subject: str, options: _Options) -> Iterator[tuple[int, Any]]:
    yield from read_csv(
        file,
        subject,
        options.csv_delimiter,
        options.encoding,
        options.on_columns,
        may_be_empty=options.may_be_empty,
        empty_rows=options.empty_rows,
    )


def _parquet(file: IO[bytes], subject: str, options: _Options) -> Iterator[tuple[int, Any]]:
    from airflow_provider.core.files.formats import import_pyarrow

    pa, pq = import_pyarrow(subject)
    try:
        # A file may be a single row group: without these options, pyarrow holds most of it in memory.
        table = pq.ParquetFile(file, pre_buffer=False, buffer_size=_BUFFER)
        names = _columns_of(table.schema_arrow.names, table.metadata.metadata, subject, geo=options.geo)
        options.on_columns(list(names.values()))
        batches = table.iter_batches(batch_size=1024, use_threads=False, columns=list(names))
        rows = chain.from_iterable(
            _to_rows(batch.rename_columns(list(names.values())), subject) for batch in batches
        )
        yield from enumerate(map(_without_nulls, rows), start=1)
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None) is not None:  # It is the storage's, not pyarrow's about the content.
            raise
        raise InputError(f"cannot be read as Parquet: {error}", subject) from None


def _to_rows(batch: Any, subject: str) -> list[dict[str, Any]]:
    """Return the rows of a batch.

    :raises InputError: for a time that Python has no type for: after year 9999, in nanoseconds, or in a time
        zone that it does not know.
    """
    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
    except KeyError as error:
        raise InputError(f"has times in a zone that is not known: {shown(error.args[0])}", subject) from None
    except (ValueError, OverflowError) as error:
        raise InputError(f"cannot be read as Parquet: {error}", subject) from None
    return rows


def _without_nulls(value: Any) -> Any:
    """Return an object without its nulls: a table has one column for all rows, whichever have a value."""
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    return value


def _columns_of(
    names: list[str], metadata: Mapping[bytes, bytes] | None, subject: str, *, geo: bool
) -> dict[str, str]:
    """Return the columns to read, by their names in the file; of GeoParquet, the geometry under one name.

    :raises InputError: for a column that is there twice, and for coordinates that are not longitude/latitude.
    """
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"has the columns {', '.join(map(repr, twice))} more than once", subject)
    text = (metadata or {}).get(b"geo") if geo else None
    if text is None:
        return {name: name for name in names}
    try:
        found = msgspec.json.decode(text, type=_Geo)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"has 'geo' metadata that is not GeoParquet's: {error}", subject) from None
    boxes = {
        path[0]
        for column in found.columns.values()
        for path in column.covering.get("bbox", {}).values()
        if path
    }
    primary = found.columns.get(found.primary_column)
    if primary is not None:
        if primary.encoding.upper() != "WKB":
            raise InputError(f"has geometries as {primary.encoding!r}; write them as WKB", subject)
        _check_crs(primary.crs, subject)
    kept = [name for name in names if name not in boxes]
    if "geometry" in kept and found.primary_column in kept and found.primary_column != "geometry":
        raise InputError(
            f"has the geometry {found.primary_column!r} and a column 'geometry'; rename one of them", subject
        )
    return {name: "geometry" if name == found.primary_column else name for name in kept}


class _GeoColumn(msgspec.Struct):
    crs: Any = msgspec.UNSET
    encoding: str = "WKB"
    covering: dict[str, dict[str, list[str]]] = {}


class _Geo(msgspec.Struct):
    primary_column: str
    columns: dict[str, _GeoColumn]


def _check_crs(crs: Any, subject: str) -> None:
    """Refuse projected coordinates; without a CRS, GeoParquet means longitude and latitude."""
    if crs is msgspec.UNSET or crs is None:
        return
    given = crs if isinstance(crs, dict) else {"name": crs}
    id_ = given.get("id")
    code = f"{id_.get('authority', '')}:{id_.get('code', '')}" if isinstance(id_, dict) and id_ else ""
    if code not in ("OGC:CRS84", "EPSG:4326", "OGC:CRS84h", "EPSG:4979"):
        name = code or given.get("name")
        what = f"the coordinate system {name}" if name else "a coordinate system without a name or an id"
        raise InputError(f"has {what}; reproject it to EPSG:4326 first", subject)


_READERS = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".geojson": _json,
    ".csv": _csv,
    ".parquet": _parquet,
    ".geoparquet": _parquet,
}
