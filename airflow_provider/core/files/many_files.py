"""Many files: the rows of a wildcard, a folder or a manifest as those of one source."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from airflow_provider.core.files.listing import Listing, SourceFile, may_be_manifest
from airflow_provider.core.files.paths.checks import hash_problems
from airflow_provider.core.files.paths.partitions import agrees
from airflow_provider.core.files.paths.patterns import SPECIAL
from airflow_provider.core.files.reader import NumberedRow, ending_of, read_rows
from airflow_provider.core.input.row_numbers import RowNumbers
from airflow_provider.core.input.values import normal_key
from airflow_provider.errors import InputError, cut, shorten

_log = logging.getLogger(__name__)

_NAMED = 5
"""Maximum columns that one problem names."""

_MAX_PROBLEMS = 1000
"""Maximum problems of files that are collected."""

_PLACE = re.compile(r"(?:row|line) (\d+):? (.*)", re.DOTALL)
"""Problem of one row of a file."""


Flatten = Callable[[dict[str, Any]], dict[str, Any]]


class _Reader(NamedTuple):
    """Options of reading each file, see :func:`airflow_provider.core.files.reader.read_rows`."""

    decode: Callable[[bytes], Any] | None
    csv_delimiter: str | None
    encoding: str | None
    geo: bool
    flatten: Flatten | None


def open_files(
    source: str,
    subject: str,
    *,
    source_format: str | None,
    hive: bool,
    complete: str | None,
) -> ManyFiles | None:
    """Return the files of a source; None for the path of one file of rows.

    :param source: see :func:`airflow_provider.core.files.listing.find_files`.
    :param subject: the argument's name, for errors.
    :param source_format: format of the files; None for what their names end in.
    :param hive: whether texts in the names of folders, ``key=value``, are columns.
    :param complete: name of a file that is in the folder once all files are there.
    :raises InputError: when there are no such files.
    """
    if not source.strip() or not (hive or complete or _may_be_many(source)):
        return None
    listing = Listing(source, subject, source_format=source_format, complete=complete)
    if listing.is_single and not hive:
        return None
    return ManyFiles(listing, hive=hive, source_format=source_format)


def _may_be_many(source: str) -> bool:
    return source.endswith("/") or bool(SPECIAL & {*source}) or may_be_manifest(source)


class ManyFiles:
    """The rows of several files, read any number of times; the files must stay as they were found.

    Columns of tables are compared by name. Fields of JSON rows are not: each row has those that it owns.

    :param listing: the files.
    :param hive: whether texts in the names of folders, ``key=value``, are columns.
    :param source_format: format of a single file; None for what its name ends in.
    """

    def __init__(self, listing: Listing, *, hive: bool = False, source_format: str | None = None) -> None:
        self.listing = listing
        self.format = listing.files[0].format or source_format or ending_of(listing.source)[1:]
        self._hive = hive
        self._was_read = False
        files = listing.files
        if not listing.is_single:
            size = sum(file.bytes for file in files)
            _log.info("%s: %d files, %d bytes", listing.where, len(files), size)

    def rows(
        self,
        decode: Callable[[bytes], Any] | None = None,
        *,
        csv_delimiter: str | None = None,
        encoding: str | None = None,
        geo: bool = False,
        flatten: Flatten | None = None,
        on_columns: Callable[[list[str]], object] | None = None,
    ) -> Iterator[NumberedRow]:
        """Yield the rows of all files in their order.

        All files are read before their problems are raised. A second reading raises at once when a file is
        gone, new or changed; each reading does at its end when the files changed meanwhile.

        :param decode: as for :func:`airflow_provider.core.files.reader.read_rows`.
        :param csv_delimiter: as for ``read_rows``.
        :param encoding: as for ``read_rows``.
        :param geo: as for ``read_rows``.
        :param flatten: returns a row's columns, where they are not its members.
        :param on_columns: called with the names of a table's columns, before the first row.
        :raises InputError: with the problems of all files, each with the file's name.
        """
        if not self._was_read:
            self._raise(hash_problems([(file.name, file.path, file.sha256) for file in self.listing.files]))
        else:
            self._raise(self.listing.changes())
        reader = _Reader(decode, csv_delimiter, encoding, geo, flatten)
        reading = _Reading(self, reader, hive=self._hive, on_columns=on_columns)
        try:
            yield from reading.rows()
        except OSError:  # Object storage refuses to read on in a file that was replaced.
            self._raise(self.listing.changes(new=False))
            raise
        # Problems of what was read may come from the change.
        self._raise(self.listing.changes(new=False) or reading.all_problems())
        self._was_read = True

    def _raise(self, problems: Sequence[str]) -> None:
        if problems:
            raise InputError(problems, self.listing.where)


class _Reading:
    """One reading of all files.

    :param source: the files.
    :param reader: how each is read.
    :param hive: whether texts in the names of folders are columns.
    :param on_columns: called with the names of a table's columns.
    """

    def __init__(
        self,
        source: ManyFiles,
        reader: _Reader,
        *,
        hive: bool,
        on_columns: Callable[[list[str]], object] | None,
    ) -> None:
        self._files, self._is_single = source.listing.files, source.listing.is_single
        self._format = source.format
        self._reader = reader
        self._hive = hive
        self._on_columns = on_columns
        self._headers: dict[frozenset[str], list[SourceFile]] = {}
        self._problems: list[str] = []
        self._numbers = RowNumbers([file.name for file in self._files])

    def rows(self) -> Iterator[NumberedRow]:
        """Yield the rows of all files; their problems are in :meth:`all_problems`."""
        number = int if self._is_single else self._numbers.number
        for file in self._files:
            self._numbers.next_file()
            last = count = 0
            partition = _Partition(self._partition_of(file))
            try:
                for last, row in self._rows_of(file):
                    count += 1
                    yield number(last), partition.add_to(row, last)
                self._check_count(file, count, last)
            except _OtherColumnsError:
                pass
            except InputError as error:
                self._add(file, error.problems)
            self._add(file, partition.problems())

    def all_problems(self) -> list[str]:
        """Return the problems of all files."""
        columns = self._column_problems()
        if not self._problems and not self._headers and self._format == "csv" and not self._is_single:
            return [f"the {len(self._files)} files are empty: CSV begins with a header of column names"]
        return [*columns, *self._problems]

    def _rows_of(self, file: SourceFile) -> Iterator[NumberedRow]:
        reader = self._reader
        rows = read_rows(
            file.path,
            file.name,
            reader.decode,
            csv_delimiter=reader.csv_delimiter,
            encoding=reader.encoding,
            source_format=file.format or self._format,
            geo=reader.geo,
            on_columns=lambda names: self._take_columns(file, names),
            may_be_empty=not self._is_single,
        )
        flatten = reader.flatten
        return rows if flatten is None else ((number, flatten(row)) for number, row in rows)

    def _take_columns(self, file: SourceFile, names: list[str]) -> None:
        """Keep the names of a file's columns; those of the first file are the source's."""
        partition = [name for name in self._partition_of(file) if name not in names]
        columns = frozenset([*names, *partition])
        is_first = not self._headers
        self._headers.setdefault(columns, []).append(file)
        if is_first:
            if self._on_columns is not None:
                self._on_columns([*names, *partition])
        elif len(self._headers) > 1 and columns != next(iter(self._headers)):
            raise _OtherColumnsError

    def _partition_of(self, file: SourceFile) -> Mapping[str, str | None]:
        if not self._hive:
            return {}
        return {normal_key(name): text for name, text in file.partition.items()}

    def _check_count(self, file: SourceFile, count: int, last: int) -> None:
        # CSV leaves out rows of empty fields, which are numbered all the same.
        if file.rows not in (None, count, last if self._format == "csv" else None):
            self._add(file, [f"has {count} rows, and the manifest says {file.rows}"])

    def _add(self, file: SourceFile, problems: Sequence[str]) -> None:
        room = _MAX_PROBLEMS - len(self._problems)
        self._problems += [self._named(file, problem) for problem in problems[:room]]

    def _named(self, file: SourceFile, problem: str) -> str:
        if self._is_single:
            return problem
        place = _PLACE.fullmatch(problem)
        return f"{file.name}:{place[1]} {place[2]}" if place else f"{file.name}: {problem}"

    def _column_problems(self) -> list[str]:
        """Return which files have other columns than most of them."""
        if not self._headers:
            return self._partition_problems()
        usual = max(self._headers, key=lambda columns: len(self._headers[columns]))
        example = self._headers[usual][0].name
        return [
            f"{file.name}: {_difference(columns, usual)}, compared with {example}"
            for columns, files in self._headers.items()
            if columns != usual
            for file in files[:_MAX_PROBLEMS]
        ]

    def _partition_problems(self) -> list[str]:
        """Return which files of JSON are in folders of other partitions than the first one."""
        if not self._hive:
            return []
        usual = frozenset(self._partition_of(self._files[0]))
        return [
            f"{file.name}: {_difference(columns, usual)}, compared with {self._files[0].name}"
            for file in self._files[1:]
            if (columns := frozenset(self._partition_of(file))) != usual
        ][:_MAX_PROBLEMS]


class _Partition:
    """The columns in the names of a file's folders.

    :param texts: their texts by name; None for no value.
    """

    def __init__(self, texts: Mapping[str, str | None]) -> None:
        self._texts = texts
        self._conflicts: dict[str, list[int]] = {}

    def add_to(self, row: dict[str, Any], number: int) -> dict[str, Any]:
        """Add the columns to a row, unless it has them."""
        for name, text in self._texts.items():
            if name in row:
                if not agrees(row[name], text):
                    self._conflicts.setdefault(name, [number, 0])[1] += 1
            elif text:
                row[name] = text
        return row

    def problems(self) -> list[str]:
        """Return which columns of rows have another value than the folder."""
        return [
            f"row {first} has another {name!r} than its folder, '{name}={self._texts[name] or ''}'"
            f"{f' ({count} rows)' if count > 1 else ''}"
            for name, (first, count) in self._conflicts.items()
        ]


class _OtherColumnsError(Exception):
    """A file has other columns than the first one; the rest of it is not read."""


def _difference(columns: frozenset[str], usual: frozenset[str]) -> str:
    missing, new = sorted(usual - columns), sorted(columns - usual)
    texts = [_listed("has no column", missing)] if missing else []
    texts += [_listed("has the new column", new)] if new else []
    return cut(" and ".join(texts))


def _listed(verb: str, names: Sequence[str]) -> str:
    plural = "s" if len(names) > 1 else ""
    return f"{verb}{plural} {', '.join(shorten([repr(name) for name in names], _NAMED))}"
