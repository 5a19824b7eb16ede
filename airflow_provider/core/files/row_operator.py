"""Base of the operators that take rows: the arguments that say how rows are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import BaseOperator

from airflow_provider.core.files.row_source import RowArguments


class RowOperator(RowArguments, BaseOperator):
    """Take rows, from a list or from a file; :meth:`row_options` returns how they are read.

    :param columns: names of fields by names in the rows: ``{"Etage": "parentFloor"}``.
    :param ignore: names in the rows that are left out.
    :param min_rows: minimum number of rows; fewer are an error. None for no limit.
    :param csv_delimiter: delimiter of CSV, one character; None to detect it.
    :param encoding: encoding of a text file, such as ``cp1252``; None to detect it.
    :param source_format: format of the file, such as ``csv``; None for the path's ending.
    """

    def __init__(
        self,
        *,
        columns: Mapping[str, str] | None = None,
        ignore: Sequence[str] | None = None,
        min_rows: int | None = None,
        csv_delimiter: str | None = None,
        encoding: str | None = None,
        source_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.columns = columns
        self.ignore = ignore
        self.min_rows = min_rows
        self.csv_delimiter = csv_delimiter
        self.encoding = encoding
        self.source_format = source_format
