"""Base of the operators that take rows: the arguments that say how rows are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_provider.core.input.conditions import SUBJECT
from airflow_provider.errors import InputError

if TYPE_CHECKING:
    from inspect import Parameter, Signature

    from airflow_provider.core.files.row_source import RowOptions


class _InheritedSignature:
    """Signature of a class with the arguments of its bases, for editors and ``help``; made on demand."""

    def __get__(self, instance: Any, owner: type[BaseOperator]) -> Signature:
        from inspect import Signature, signature

        found: dict[str, Parameter] = {}
        for base in owner.__mro__[: owner.__mro__.index(BaseOperator)]:
            if "__init__" in vars(base):
                for parameter in list(signature(vars(base)["__init__"]).parameters.values())[1:]:
                    found.setdefault(parameter.name, parameter)
        return Signature(sorted(found.values(), key=lambda parameter: parameter.kind))


class RowOperator(BaseOperator):
    """Take rows, from a list or from files; :meth:`row_options` returns how they are read.

    :param columns: names of fields by names in the rows: ``{"Etage": "parentFloor"}``.
    :param ignore: names in the rows that are left out.
    :param min_rows: minimum number of rows; fewer are an error. None for no limit.
    :param csv_delimiter: delimiter of CSV, one character; None to detect it.
    :param encoding: encoding of a text file, such as ``cp1252``; None to detect it.
    :param source_format: format of the file or files, such as ``csv``; None for what their names end in.
    :param hive: whether texts in the names of folders, ``day=2026-01-31``, are columns of the files in them.
    :param complete: name of a file that is in the folder once all files are there, such as ``_SUCCESS``;
        without it nothing is read. None for no such file.
    """

    ROW_FIELDS: ClassVar[tuple[str, ...]] = (
        "columns",
        "ignore",
        "min_rows",
        "csv_delimiter",
        "encoding",
        "source_format",
        "hive",
        "complete",
    )
    """The arguments, for ``template_fields``."""

    __signature__ = _InheritedSignature()

    def __init__(
        self,
        *,
        columns: Mapping[str, str] | None = None,
        ignore: Sequence[str] | None = None,
        min_rows: int | None = None,
        csv_delimiter: str | None = None,
        encoding: str | None = None,
        source_format: str | None = None,
        hive: bool = False,
        complete: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.columns = columns
        self.ignore = ignore
        self.min_rows = min_rows
        self.csv_delimiter = csv_delimiter
        self.encoding = encoding
        self.source_format = source_format
        self.hive = hive
        self.complete = complete

    def row_options(self) -> RowOptions:
        """Return the rendered arguments.

        :raises InputError: with every problem of them.
        """
        from airflow_provider.core.files.row_source import RowOptions
        from airflow_provider.core.input.scalars import Scalar, read_scalar

        given: dict[str, Any] = {name: getattr(self, name) for name in self.ROW_FIELDS}
        # A template makes a text of None, too. An empty text names no format, but may be a lost limit.
        for name, value in given.items():
            is_guard = name in ("min_rows", "complete")
            if isinstance(value, str) and (value == "None" or (value == "" and not is_guard)):
                given[name] = None
        problems = []
        scalars = {
            "min_rows": Scalar("integer", optional=True, guard=True, least=0),
            "hive": Scalar("boolean", optional=True),
        }
        for name, scalar in scalars.items():
            try:
                given[name] = read_scalar(name, given[name], scalar)
            except InputError as error:
                problems += error.problems
        given["hive"] = given["hive"] or False
        if given["csv_delimiter"] == "\\t":
            given["csv_delimiter"] = "\t"
        options = RowOptions(**given)
        if problems := [*options.problems(), *problems]:
            raise InputError(problems, SUBJECT)
        return options
