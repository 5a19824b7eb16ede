"""Base of the operators that take rows: the arguments that say how rows are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.sdk import BaseOperator

from airflow_provider.core.input.rendered import CheckedOperator
from airflow_provider.errors import InputError

if TYPE_CHECKING:
    from inspect import Parameter, Signature

    from airflow_provider.core.files.row_source import RowOptions


class InheritedSignature:
    """Signature of a class with the arguments of its bases, for editors and ``help``; made on demand."""

    def __get__(self, instance: Any, owner: type[BaseOperator]) -> Signature:
        from inspect import Signature, signature

        found: dict[str, Parameter] = {}
        for base in owner.__mro__[: owner.__mro__.index(BaseOperator)]:
            if "__init__" in vars(base):
                for parameter in list(signature(vars(base)["__init__"]).parameters.values())[1:]:
                    found.setdefault(parameter.name, parameter)
        return Signature(sorted(found.values(), key=lambda parameter: parameter.kind))


class RowOperator(CheckedOperator):
    """Take rows: of a list, of files, or of a query on a database.

    :meth:`row_options` returns how they are read, and :meth:`open_rows` the rows themselves.

    :param columns: names of fields by names in the rows: ``{"Etage": "parentFloor"}``.
    :param ignore: names in the rows that are left out.
    :param min_rows: minimum number of rows; fewer are an error. None for no limit.
    :param csv_delimiter: delimiter of CSV, one character; None to detect it.
    :param encoding: encoding of a text file, such as ``cp1252``; None to detect it.
    :param source_format: format of the file or files, such as ``csv``; None for what their names end in.
    :param hive: whether texts in the names of folders, ``day=2026-01-31``, are columns of the files in them.
    :param complete: name of a file that is in the folder once all files are there, such as ``_SUCCESS``;
        without it nothing is read. None for no such file.
    :param sql: a query whose rows are taken, instead of a list or a file: its text, or the path of a ``.sql``
        file. It is run once and must only read. Nothing that it does is committed.
    :param sql_conn_id: id of the connection to the database, of any type whose hook is a ``DbApiHook``.
    :param parameters: values for the query's placeholders, as a list or an object, in the form of the
        database's driver. Without any, a ``%`` in the query is a ``%``.
    :param sql_timezone: the time zone of the query's dates and times without one, such as
        ``Europe/Copenhagen``; None refuses them.
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
    """The arguments about all rows and those of files, for ``template_fields``."""

    SQL_FIELDS: ClassVar[tuple[str, ...]] = ("sql", "sql_conn_id", "parameters", "sql_timezone")
    """The arguments of a query, for ``template_fields``."""

    long_decimals: ClassVar[Literal["round", "refuse", "keep"]] = "round"
    """What happens to decimals of a query that a number of 64 bits does not hold exactly."""

    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "columns": "json",
        "sql": "sql",
        "parameters": "json",
    }

    __signature__ = InheritedSignature()

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
        sql: str | None = None,
        sql_conn_id: str | None = None,
        parameters: Sequence[Any] | Mapping[str, Any] | None = None,
        sql_timezone: str | None = None,
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
        self.sql = sql
        self.sql_conn_id = sql_conn_id
        self.parameters = parameters
        self.sql_timezone = sql_timezone

    def row_options(self, problems: Iterable[str] = ()) -> RowOptions:
        """Return how the rows are read, by the rendered arguments.

        :param problems: problems of the task's other arguments, which are raised with those of these ones.
        :raises InputError: with every problem.
        """
        from airflow_provider.core.files.row_source import RowOptions
        from airflow_provider.core.input.conditions import SUBJECT
        from airflow_provider.core.sql.query import query_problems

        given: dict[str, Any] = {name: getattr(self, name) for name in self.ROW_FIELDS}
        # A template makes a text of None, too: no argument. None of these selects rows.
        for name in ("csv_delimiter", "encoding", "source_format", "hive", "columns", "ignore"):
            if isinstance(given[name], str) and given[name] in ("None", ""):
                given[name] = None
        found = [
            *problems,
            *query_problems(self.sql, self.sql_conn_id, self.parameters, self.sql_timezone),
            *_scalar_problems(given),
            *self._file_option_problems(given),
        ]
        if given["csv_delimiter"] == "\\t":
            given["csv_delimiter"] = "\t"
        options = RowOptions(**given)
        if found := [*options.problems(), *found]:
            raise InputError(found, SUBJECT)
        return options

    def source_problems(self, name: str, value: object) -> list[str]:
        """Return what is wrong when not exactly one source of rows is given.

        :param name: name of the argument that takes a list or a file.
        :param value: its value.
        """
        if value is None and self.sql is None:
            return [f"'{name}' must be a list or the path of a file; or give a query as 'sql'"]
        both = value is not None and self.sql is not None
        return [f"give either '{name}' or 'sql', not both"] if both else []

    def _file_option_problems(self, given: Mapping[str, Any]) -> list[str]:
        if self.sql is None:
            return []
        options = ("csv_delimiter", "encoding", "source_format", "hive", "complete")
        return [
            f"'{name}' says how a file is read; it cannot be given with 'sql'"
            for name in options
            if given[name] not in (None, False)
        ]

    @contextmanager
    def open_rows(self, argument: object) -> Iterator[Any]:
        """Yield the source of the rows: the argument's value, or the rows of the query, which is run now.

        Call :meth:`row_options` first. Values of a query's rows are in no error that is raised within.

        :param argument: value of the argument that takes a list or a file.
        :raises InputError: when the query cannot be run.
        :raises DatabaseError: when the database fails.
        """
        if self.sql is None:
            yield argument
            return
        from airflow_provider.core.input.values import hide_values
        from airflow_provider.core.sql.query import Query, read_timezone
        from airflow_provider.core.sql.rows import read_query

        zone = read_timezone(self.sql_timezone)
        query = Query(self.sql, str(self.sql_conn_id), self.parameters, zone, self.long_decimals)
        with hide_values(), read_query(query, self.log) as rows:
            yield rows


def _scalar_problems(given: dict[str, Any]) -> list[str]:
    """Replace arguments that are a number or a truth value by what they mean; return the problems."""
    from airflow_provider.core.input.scalars import Scalar, read_scalar

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
    return problems
