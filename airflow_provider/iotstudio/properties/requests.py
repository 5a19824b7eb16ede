"""Write requests: property values by Thing, built from rows and validated before the first request.

The rows and the writes are on local disk, see :mod:`airflow_provider.iotstudio.properties.writes`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider.core.files.many_files import ManyFiles
from airflow_provider.core.files.row_source import (
    NO_OPTIONS,
    RowOptions,
    is_query,
    open_source_files,
    read_source,
)
from airflow_provider.core.input.conditions import refuse_data_frame, rendered_hint
from airflow_provider.core.input.doubled_keys import unique_keys
from airflow_provider.core.input.problems import Problems, nearest
from airflow_provider.core.input.values import UnreadableValueError, is_missing, shown
from airflow_provider.errors import InputError
from airflow_provider.iotstudio.conditions import is_segment
from airflow_provider.iotstudio.properties.writes import Write, WriteSpool
from airflow_provider.iotstudio.values import read_properties

ID_FIELDS = ("thing_id", "uid")
"""Fields of a row that name the Thing."""

ROW_FIELDS = (*ID_FIELDS, "properties")
"""Fields of a row that has its values in one field."""

DESCRIPTION_FIELDS = ("title", "categories", "model", "created", "modified")
"""Columns of a Things export that are no properties."""

PREFIX = "property:"
"""Prefix that marks a column as a property, where its name is also that of another column."""


@dataclass(frozen=True, slots=True)
class WritePlan:
    """The writes of a task, and what their source has beside them.

    :param writes: one write per Thing, as long as their spool is open.
    :param empty_rows: number of rows without any value.
    :param left_out: columns of a Things export that are not written.
    """

    writes: WriteSpool
    empty_rows: int = 0
    left_out: tuple[str, ...] = ()


def plan_writes(
    *,
    thing_id: str | None = None,
    properties: object = None,
    writes: object = None,
    options: RowOptions = NO_OPTIONS,
) -> list[Write]:
    """Return one write per Thing, all in memory; see :func:`read_plan`.

    :param thing_id: id of a single Thing; used with ``properties``.
    :param properties: its values by name.
    :param writes: rows instead.
    :param options: how to read the rows.
    """
    with WriteSpool() as spool:
        read_plan(spool, thing_id=thing_id, properties=properties, writes=writes, options=options)
        return list(spool)


def read_plan(
    spool: WriteSpool,
    *,
    thing_id: str | None = None,
    properties: object = None,
    writes: object = None,
    options: RowOptions = NO_OPTIONS,
) -> WritePlan:
    """Build one write per Thing, from one Thing's values or from rows.

    :param spool: the open spool that takes the writes.
    :param thing_id: id of a single Thing; used with ``properties``.
    :param properties: its values by name.
    :param writes: rows instead: a list of ``{"thing_id", "properties"}`` or of wide rows (``thing_id`` or
        ``uid``, and a field per property), or a path to such rows (JSON, JSON Lines, CSV, Parquet). In CSV
        ``properties`` is the text of a JSON object. An empty field of CSV, null in Parquet, and NaN leave the
        property unchanged. Or the rows of a query, where NULL does the same.
    :param options: how to read the rows.
    :raises InputError: with every problem of every row.
    """
    planner = _Planner("the writes", spool)
    rows: Iterable[tuple[int, Mapping[Any, Any]]]
    if writes is None:
        if thing_id is None or properties is None:
            raise InputError("set thing_id and properties, or writes")
        _refuse_rendered(properties)
        rows = [(1, {"thing_id": thing_id, "properties": properties})]
    elif thing_id is not None or properties is not None:
        raise InputError("set either thing_id and properties, or writes, not both")
    elif is_query(writes):
        planner.sparse = True
        rows = read_source(writes, "sql", options, fields=_fields_of(writes.names, options))
    else:
        writes = open_source_files(writes, "writes", options)
        source_format = _format_of(writes, options)
        planner.texts, planner.sparse = source_format == "csv", source_format in ("csv", "parquet")
        rows = read_source(planner.only_objects(writes), "writes", options, _decode)
    return planner.plan(rows)


def _fields_of(names: Sequence[str], options: RowOptions) -> Sequence[str]:
    """Return the fields that a query's columns may have in another case.

    Names of properties have a case. So a column that could be a property as well is a field only when its
    name is exactly that of the field.

    :param names: names of the query's columns.
    :param options: how the rows are read.
    """
    columns, ignored = options.columns or {}, options.ignore or ()
    given = [columns.get(name, name) for name in names if name not in ignored]
    ids = [name for name in given if name.lower() in ID_FIELDS]
    others = [name.lower() for name in given if name.lower() not in ID_FIELDS]
    fields = ID_FIELDS if len(ids) == 1 else ("thing_id",)
    return ROW_FIELDS if len(ids) == 1 and others == ["properties"] else fields


def _refuse_rendered(properties: object) -> None:
    """Refuse the text of an object that is not JSON: a template has made it of a Python object."""
    if isinstance(properties, str) and (hint := rendered_hint(properties)):
        try:
            _decode(properties)
        except (ValueError, RecursionError):
            raise InputError(f"must be an object of values by name, not a text{hint}", "properties") from None


def _format_of(writes: object, options: RowOptions) -> str:
    """Return the format of a file, or of several; empty for a list."""
    if isinstance(writes, ManyFiles):
        return writes.format
    if not isinstance(writes, str):
        return ""
    name = options.source_format or writes.rsplit("?", 1)[0].lower().removesuffix(".gz").rpartition(".")[2]
    return name.lower().lstrip(".")


class _Planner:
    """Reader of rows that collects writes and problems.

    ``texts`` means that all values are texts, as in CSV; ``sparse`` that empty fields are not in the rows.

    :param where: the source, for the error.
    :param spool: takes the writes.
    """

    def __init__(self, where: str, spool: WriteSpool) -> None:
        self.texts = self.sparse = False
        self._problems = Problems(where)
        self._spool = spool
        self._skipped: set[int] = set()
        self._left_out: dict[str, None] = {}
        self._empty = 0

    def only_objects(self, writes: object) -> object:
        """Return a list's rows as dictionaries; a row that is no object becomes a problem, an empty row."""
        refuse_data_frame(writes, "writes")
        if isinstance(writes, (str, bytes, Mapping)) or not isinstance(writes, Iterable):
            return writes
        return self._objects(writes)

    def _objects(self, writes: Iterable[Any]) -> Iterator[dict[Any, Any]]:
        for number, row in enumerate(writes, start=1):
            if isinstance(row, Mapping):
                yield dict(row)
                continue
            self._problems.add(f"is not an object but {type(row).__name__}", number)
            self._skipped.add(number)
            yield {}

    def plan(self, rows: Iterable[tuple[int, Mapping[Any, Any]]]) -> WritePlan:
        """Read all rows.

        :raises InputError: with every problem.
        """
        for number, row in rows:
            if number not in self._skipped and (found := self._read_row(number, row)) is not None:
                self._spool.add(found)
        self._spool.merge(self._problems)
        self._problems.raise_if_any()
        return WritePlan(self._spool, self._empty, tuple(self._left_out))

    def _read_row(self, number: int, row: Mapping[Any, Any]) -> Write | None:
        """Return one row's write; None for a row with a problem, and for a row without values."""
        thing_id = self._thing_id(number, row)
        is_wide = "properties" not in row
        values = self._wide_values(number, row) if is_wide else self._values(number, row, thing_id)
        found, problems = read_properties(values)
        for problem in problems:
            self._problems.add(problem, number, thing_id)
        if number in self._problems.rows:
            return None
        if not found:
            self._empty += 1
            return None
        wide = frozenset(found) if is_wide else frozenset[str]()
        return Write((number,), thing_id, found, wide, is_wide and self.texts)

    def _thing_id(self, number: int, row: Mapping[Any, Any]) -> str:
        given = [row[name] for name in ID_FIELDS if name in row and not is_missing(row[name])]
        if not given:
            others = [str(name) for name in row if name not in ROW_FIELDS]
            typed = next((name for name in others if nearest(name, ID_FIELDS)), "")
            if typed and not set(ID_FIELDS) & row.keys():
                hint = f"; is {typed!r} meant? pass columns={{{typed!r}: 'thing_id'}}"
                self._problems.add_column(f"thing_id is missing{hint}", number)
            else:
                self._problems.add("thing_id is missing", number)
            return ""
        if not all(isinstance(one, str) for one in given):
            self._problems.add("thing_id is not a text", number)
            return ""
        ids = {one.strip() for one in given}
        if len(ids) > 1:
            self._problems.add(f"thing_id and uid differ: {' and '.join(map(shown, sorted(ids)))}", number)
        for wrong in sorted(one for one in ids if not is_segment(one)):
            self._problems.add(f"thing_id is {wrong!r}, which cannot be the id of a Thing", number)
        return str(given[0]).strip()

    def _values(self, number: int, row: Mapping[Any, Any], thing_id: str) -> Mapping[Any, Any]:
        """Return the values of a row that has them in one field; in CSV it is the text of a JSON object."""
        for name in row:
            if name not in ROW_FIELDS:
                self._problems.add_column(
                    f"unknown field {shown(name)}{nearest(str(name), ROW_FIELDS)}", number
                )
        values = row["properties"]
        try:
            values = _decode(values) if isinstance(values, str) and values.strip() else values
        except (ValueError, RecursionError) as error:
            what = "" if isinstance(error, UnreadableValueError) else "is not JSON: "
            self._problems.add(f"properties {what}{error}", number, thing_id)
            return {}
        if isinstance(values, Mapping) and values:
            return values
        reason = "must be an object of values by name"
        if isinstance(values, Mapping):
            reason = "is empty"
        elif is_missing(values):
            reason = "is missing"
        self._problems.add(f"properties {reason}", number, thing_id)
        return {}

    def _wide_values(self, number: int, row: Mapping[Any, Any]) -> Mapping[Any, Any]:
        """Return the values of a row that has a field per property."""
        names = [name for name in row if name not in ID_FIELDS]
        described = [name for name in DESCRIPTION_FIELDS if name in names]
        is_export = "uid" in row or len(described) == len(DESCRIPTION_FIELDS)
        values: dict[Any, Any] = {}
        for name in names:
            if name in described:
                self._leave_out(number, name, is_export=is_export)
                continue
            plain = name.removeprefix(PREFIX) if isinstance(name, str) else name
            if plain in values:
                self._problems.add_column(f"property {shown(plain)} has two columns", number)
            values[plain] = row[name]
        if not names and not self.sparse:
            self._problems.add("properties is missing", number)
        self._check_misspelt(number, values)
        return values

    def _leave_out(self, number: int, name: str, *, is_export: bool) -> None:
        if is_export:
            self._left_out[name] = None
            return
        self._problems.add_column(
            f"{name!r} is a field of the Thing's description: leave it out with ignore=[{name!r}], or name it"
            f" {PREFIX + name!r} when it is a property",
            number,
        )

    def _check_misspelt(self, number: int, values: Mapping[Any, Any]) -> None:
        """Find ``properties`` under a similar name: it holds an object."""
        for name, value in values.items():
            is_object = isinstance(value, Mapping) or (isinstance(value, str) and value.lstrip()[:1] == "{")
            if is_object and (hint := nearest(str(name), ("properties",))):
                self._problems.add_column(f"unknown field {shown(name)}{hint}", number)


def _decode(text: str | bytes) -> Any:
    """Decode JSON; a duplicate name in an object is an error, where decoders commonly keep the last value."""
    return json.loads(text, object_pairs_hook=unique_keys)
