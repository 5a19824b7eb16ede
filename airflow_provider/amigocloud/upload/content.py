"""Content of a task's upload: a file as it is, or rows as CSV in a temporary file without a name."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, NamedTuple

from airflow_provider.amigocloud.sync.fields import Schema
from airflow_provider.amigocloud.sync.rows import flat_feature
from airflow_provider.amigocloud.upload.cells import CellReader, csv_header, csv_line
from airflow_provider.core.files.atomic import SpoolFile
from airflow_provider.core.files.many_files import open_files
from airflow_provider.core.files.reader import ending_of, open_source
from airflow_provider.core.files.row_source import RowOptions, is_query, read_source, subject_of
from airflow_provider.core.input.problems import Problems
from airflow_provider.core.redaction import shown_path
from airflow_provider.errors import InputError, ProviderError

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

FIELDS: Mapping[str, str] = {"csv_props.delimiter": ",", "csv_props.decimal_separator": "."}
"""Form fields of the CSV that is written."""

_PARQUET = (".parquet", ".geoparquet")
_WILDCARDS = frozenset("*?[")
_BATCH = 1000
"""Lines of one write."""

ReadSchema = Callable[[], Schema | None]


class Content(NamedTuple):
    """Content of an upload.

    :param file: the open file.
    :param name: its name, which tells the service its format, and the name of a new dataset.
    :param rows: number of rows; None for a file that is sent as it is.
    """

    file: IO[bytes]
    name: str
    rows: int | None = None


def rows_of(source: str, options: RowOptions) -> object:
    """Return the rows' source of a path: files, or the path of a Parquet file; None for a file sent as it is.

    :param source: the path.
    :param options: how rows are read.
    :raises InputError: when there are no such files, and for options of rows with a file that is sent as it
        is.
    """
    how = {name: getattr(options, name) for name in ("source_format", "hive", "complete")}
    if found := open_files(source, "source", **how):
        return found
    kind = f".{options.source_format.lower().lstrip('.')}" if options.source_format else ending_of(source)
    if kind in _PARQUET:
        return source
    default = RowOptions()
    given = [
        name
        for name, value in options._asdict().items()
        if value != getattr(default, name) and not (name in ("columns", "ignore") and not value)
    ]
    if given:
        named = ", ".join(f"'{name}'" for name in given)
        raise InputError(
            f"{named}: only for rows, but '{shown_path(source)}' is sent as it is; rows are those of Parquet"
            " files, a wildcard, a folder, a manifest or a query",
            "source",
        )
    return None


@contextmanager
def open_content(path: str) -> Iterator[Content]:
    """Open a file that is sent as it is.

    :raises InputError: when there is no such file, or it is empty.
    """
    with open_source(path, "upload") as file:
        if not file.read(1):
            raise InputError(f"'{path}' is empty; upload a file with content", "upload")
        yield Content(file, path.rpartition("/")[2])


@contextmanager
def write_csv(
    source: object, options: RowOptions, read_schema: ReadSchema, name: str, log: Logger
) -> Iterator[Content]:
    """Write rows as CSV, and yield it; nothing is left of it afterwards, even when the process is killed.

    :param source: the rows.
    :param options: how they are read.
    :param read_schema: reads the fields of the dataset whose rows are replaced; None for a new dataset.
    :param name: name of the file.
    :param log: receives the number of rows.
    :raises InputError: with all problems of all rows.
    """
    subject = subject_of(source, "source")
    with SpoolFile() as spool, SpoolFile() as file:
        cells, count = _read_cells(source, subject, options, read_schema, spool)
        with _LocalDisk():
            _write(cells.columns, spool, file)
        if not count and options.min_rows is None:
            raise InputError("has no rows; min_rows=0 uploads a table without rows", subject)
        size = file.tell()
        log.info("Wrote %d rows with %d columns as CSV, %d bytes", count, len(cells.columns), size)
        yield Content(file, name, count)


def _read_cells(
    source: object, subject: str, options: RowOptions, read_schema: ReadSchema, spool: IO[bytes]
) -> tuple[CellReader, int]:
    """Write cells of all rows as lists in JSON, a line each; return their reader and their number."""
    import msgspec

    columns: list[str] = []
    schema = read_schema() if is_query(source) else None
    fields = schema.fields if schema else ()
    rows = read_source(
        source,
        subject,
        options,
        geo=True,
        flatten=flat_feature,
        fields=fields,
        on_columns=columns.extend,
    )
    # The first row of a file is read before any request; a query has been run already.
    first = list(islice(rows, 1))
    problems = Problems(subject)
    cells = CellReader(schema if is_query(source) else read_schema(), problems)
    cells.add_columns(_renamed(columns, options) if not is_query(source) else columns)
    encode, count = msgspec.json.Encoder().encode, 0
    for number, row in chain(first, rows):
        line = encode(cells.read(row, number))
        with _LocalDisk():
            spool.write(line + b"\n")
        count += 1
    cells.finish()
    problems.raise_if_any()
    if not cells.columns:
        raise InputError("has no columns", subject)
    return cells, count


def _renamed(names: list[str], options: RowOptions) -> list[str]:
    """Return a file's columns as its rows have them."""
    from airflow_provider.core.input.values import normal_key

    columns = {normal_key(name): field for name, field in (options.columns or {}).items()}
    ignored = set(map(normal_key, options.ignore or ()))
    keys = ((normal_key(name), name) for name in names)
    return [columns.get(key, name) for key, name in keys if key not in ignored]


def _write(columns: list[str], spool: IO[bytes], file: IO[bytes]) -> None:
    import msgspec

    decode, width = msgspec.json.Decoder(list[str | None]).decode, len(columns)
    file.write(csv_header(columns).encode())
    spool.seek(0)
    while lines := list(islice(spool, _BATCH)):
        file.write("".join(csv_line(decode(line), width) for line in lines).encode())
    file.flush()


class _LocalDisk:
    """Context of writes to the local disk, whose failure says so."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise ProviderError(
                f"the rows cannot be written to {tempfile.gettempdir()} ({error.strerror}); nothing was sent."
                " Free space there, or set TMPDIR to a larger disk"
            ) from None


def csv_name(source: str | None, task_id: str) -> str:
    """Return the name of the CSV: after the file, the folder of the files or the manifest, or the task.

    :param source: the path; None for a query.
    :param task_id: the task's name.
    """
    if source is None:
        return f"{task_id.rpartition('.')[2]}.csv"
    path = source.partition("://")[2] or source
    parts = [part for part in path.split("/") if part and not _WILDCARDS & {*part}]
    name = parts[-1] if parts else task_id.rpartition(".")[2]
    for ending in (".json", ".manifest", ending_of(name)):
        name = name.removesuffix(ending) or name
    return f"{name}.csv"
