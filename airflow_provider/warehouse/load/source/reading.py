"""Source of a load: files of one format as batches of columns, checked first and then read."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from airflow_provider.core.files.listing import SourceFile, find_files
from airflow_provider.core.input.conditions import raise_problems
from airflow_provider.core.redaction import shown_path
from airflow_provider.warehouse.load.columns.rows import Batch, Reader, RowNumbers, SourceColumn
from airflow_provider.warehouse.load.source.files import LocalFile, LocalFiles, content_problems
from airflow_provider.warehouse.load.source.shapes import Shapes

if TYPE_CHECKING:
    from airflow_provider.warehouse.load.request import LoadRequest


class Source:
    """All files of a source; within the ``with`` block its rows can be read.

    :param request: the source's location, what is known of it, and how it is read.
    """

    def __init__(self, request: LoadRequest) -> None:
        self._request = request
        self._options = request.options
        self._shapes = Shapes(request) if request.mode == "merge" else None
        self._stack = ExitStack()
        self._starts: list[int] = []
        self._reader: Reader
        self._found: list[SourceFile] = []
        self._partitions: list[SourceColumn] = []
        self.files: list[LocalFile] = []
        self.numbers: list[RowNumbers] = []

    def __enter__(self) -> Source:
        request, given = self._request, self._options.source_format
        found = find_files(request.source, "source", source_format=given, complete=self._options.complete)
        # A part without a byte has no rows, not even a header.
        self._found = [file for file in found if file.bytes or file.rows] or found[:1]
        with ExitStack() as stack:
            local = stack.enter_context(LocalFiles())
            self.files = [local.fetch(file) for file in self._found]
            problems = [one for file in self.files for one in content_problems(file)]
            raise_problems([*problems, *self._expected_problems("bytes")], self._where)
            self._reader = self._open(stack)
            self._add_partitions()
            raise_problems([*self._row_problems(), *self._expected_problems("rows")], self._where)
            raise_problems(self._shapes.problems(self.label) if self._shapes else [], self._where)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    @property
    def columns(self) -> list[SourceColumn]:
        """The columns of all files, and those of their folders' names."""
        return [*self._reader.columns, *self._partitions]

    @property
    def rows(self) -> int:
        """The number of rows of all files."""
        return sum(numbers.count for numbers in self.numbers)

    @property
    def sha256(self) -> str:
        """The hash of the file, or of the hashes of several files."""
        if len(self.files) == 1:
            return self.files[0].sha256
        return hashlib.sha256("\n".join(file.sha256 for file in self.files).encode()).hexdigest()

    def batches(self) -> Iterator[Batch]:
        """Yield all rows; no batch has rows of two files when folders' names are columns."""
        if not self._partitions:
            yield from self._reader.batches()
            return
        import pyarrow as pa

        for batch in self._reader.batches():
            partition = self._found[batch.file].partition
            for column in self._partitions:
                values = [partition.get(column.name)] * batch.rows
                batch.arrays[column.name] = pa.array(values, pa.string())
            yield batch

    def label(self, index: int) -> str:
        """Return the name of a row in errors.

        :param index: its place among all rows, from 0.
        """
        if not self._starts:
            total = 0
            for numbers in self.numbers:
                self._starts.append(total)
                total += numbers.count
        place = bisect_right(self._starts, index) - 1
        number = self.numbers[place].number(index - self._starts[place])
        return f"row {number}" if len(self.files) == 1 else f"row {self.files[place].name}:{number}"

    @property
    def _where(self) -> str:
        return f"source '{shown_path(self._request.source)}'"

    def _open(self, stack: ExitStack) -> Reader:
        if self.files[0].format.endswith("parquet"):
            from airflow_provider.warehouse.load.source.parquet_reader import ParquetReader

            return ParquetReader(self.files, self.numbers)
        from airflow_provider.warehouse.load.source.text_reader import TextReader

        return stack.enter_context(TextReader(self.files, self.numbers, self._options, self._shapes))

    def _add_partitions(self) -> None:
        """Add the columns of the folders' names, which must be the same for all files."""
        if not self._options.hive:
            return
        names = list(self._found[0].partition)
        known = {column.name for column in self._reader.columns}
        problems = [
            f"the column {name!r} is in the names of folders and in the files: read them with hive=False"
            for name in names
            if name in known
        ]
        problems += [
            f"'{file.name}' is in folders of other columns than '{self._found[0].name}'"
            for file in self._found
            if list(file.partition) != names
        ]
        raise_problems(problems, self._where)
        self._partitions = [SourceColumn(name, "text", "text") for name in names]

    def _row_problems(self) -> list[str]:
        return [
            f"'{file.name}' has {numbers.count} rows, and its manifest says {file.rows}"
            for file, numbers in zip(self._found, self.numbers, strict=True)
            if file.rows is not None and file.rows != numbers.count
        ]

    def _expected_problems(self, what: str) -> list[str]:
        """Return how the source differs from the result of the export that it is."""
        expected: Mapping[str, Any] = self._request.expected
        found = self.rows if what == "rows" else sum(file.bytes for file in self.files)
        wanted = expected.get(what)
        if isinstance(wanted, int) and wanted != found:
            return [f"has {found} {what}, and its export wrote {wanted}"]
        digest = expected.get("sha256")
        if what == "bytes" and digest and len(self.files) == 1 and digest != self.files[0].sha256:
            return ["has other bytes than its export wrote (sha256)"]
        return []
