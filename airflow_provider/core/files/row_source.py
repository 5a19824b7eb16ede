"""Row source: the rows of every operator that takes rows, with a real table's columns renamed.

The format readers are in :mod:`airflow_provider.core.files.reader`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from airflow_provider.core.input.conditions import rendered_hint
from airflow_provider.core.input.values import normal_key, shown
from airflow_provider.core.sql.names import field_names
from airflow_provider.core.sql.query import SUBJECT as SQL
from airflow_provider.core.sql.rows import SqlRows
from airflow_provider.errors import InputError

if TYPE_CHECKING:
    from airflow_provider.core.files.reader import NumberedRow


class RowOptions(NamedTuple):
    """Options of reading rows, as the operators' arguments give them.

    :param columns: names of fields by names in the rows: ``{"Etage": "parentFloor"}``.
    :param ignore: names in the rows that are left out.
    :param min_rows: fewest rows that are no mistake; None for no bound.
    :param csv_delimiter: one character; None to detect it.
    :param encoding: a codec's name for text files; None to detect it.
    :param source_format: ending that names the format (``csv``, ``jsonl``, …); None for the path's own.
    :param hive: whether texts in the names of folders, ``key=value``, are columns.
    :param complete: name of a file that is in the folder once all files are there; None for none.
    """

    columns: Any = None
    ignore: Any = ()
    min_rows: int | None = None
    csv_delimiter: str | None = None
    encoding: str | None = None
    source_format: str | None = None
    hive: bool = False
    complete: str | None = None

    def problems(self) -> list[str]:
        """Return what is wrong with the options themselves."""
        return [
            *self._name_problems(),
            *format_problems(self.csv_delimiter, self.encoding, self.source_format),
            *marker_problems(self.complete),
        ]

    def _name_problems(self) -> list[str]:
        columns, names = self.columns or {}, self.ignore or ()
        wrong = []
        if not isinstance(columns, Mapping) or not all(map(_is_name, (*columns, *columns.values()))):
            hint = rendered_hint(columns) if isinstance(columns, str) else ""
            wrong.append(
                f"columns must be an object of field names by names in the rows, not {shown(columns)}{hint}"
            )
        if not isinstance(names, (list, tuple, set)) or not all(map(_is_name, names)):
            hint = rendered_hint(names) if isinstance(names, str) else ""
            wrong.append(f"ignore must be a list of names in the rows, not {shown(names)}{hint}")
        if wrong:
            return wrong
        keys, fields = [normal_key(name) for name in columns], list(columns.values())
        return [
            *(f"columns names the field {one!r} twice" for one in _twice(fields)),
            *(f"columns has the name {one!r} twice" for one in _twice(keys)),
            *(f"{one!r} is in columns and in ignore" for one in sorted({*keys} & {*map(normal_key, names)})),
        ]


def format_problems(delimiter: object, encoding: object, source_format: object) -> list[str]:
    """Return what is wrong with the arguments that say how a file is read; None of each is right."""
    wrong = []
    if delimiter is not None and not (
        isinstance(delimiter, str) and len(delimiter) == 1 and delimiter not in '"\r\n\0'
    ):
        wrong.append(f"csv_delimiter must be one character, such as ';', not {shown(delimiter)}")
    if encoding is not None and not _is_encoding(encoding):
        wrong.append(f"encoding {shown(encoding)} is not known, such as 'utf-8' or 'cp1252'")
    if source_format is not None and not _is_name(source_format):
        wrong.append(f"source_format must be a text, such as 'csv', not {shown(source_format)}")
    return wrong


def marker_problems(complete: object) -> list[str]:
    """Return what is wrong with the name of a file that marks a complete folder; None is right."""
    if complete is None or (_is_name(complete) and complete != "None" and not {*"/*?["} & {*str(complete)}):
        return []
    return [f"complete must be the name of a file in the folder, such as '_SUCCESS', not {shown(complete)}"]


def _is_encoding(name: object) -> bool:
    """Return whether a name is that of a text encoding; codecs such as rot13 are none."""
    try:
        return isinstance(name, str) and isinstance("".encode(name), bytes)
    except (LookupError, UnicodeError, ValueError):
        return False


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _twice(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


NO_OPTIONS = RowOptions()

_IGNORED = object()
"""The field of a column that is left out."""


def read_source(
    source: object,
    subject: str,
    options: RowOptions = NO_OPTIONS,
    decode: Callable[[bytes], Any] | None = None,
    *,
    geo: bool = False,
    flatten: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    on_columns: Callable[[list[str]], object] | None = None,
    fields: Iterable[str] = (),
) -> Iterator[NumberedRow]:
    """Yield the rows of a source with their numbers, columns renamed and left out as the options say.

    :param source: a list of objects, the path of a file, see :func:`read_rows`, or that of many files, see
        :func:`open_source_files`, or their result; or the rows of a query.
    :param subject: name of the argument that the rows come from, for errors.
    :param options: how to read them.
    :param decode: reads JSON where the usual decoder is not strict enough; raises ``ValueError``.
    :param geo: a GeoParquet file's geometry column is named ``geometry``, and its bbox columns are left out.
        ``columns`` may name the geometry's column all the same.
    :param flatten: returns a row's columns, where they are not its members, as in a GeoJSON feature.
    :param on_columns: called with the names of a table's columns, before its first row.
    :param fields: names of fields, which a query's column may have in another case.
    :raises InputError: for a row that is no object, a name in ``columns`` or ``ignore`` that no row has, and
        fewer rows than ``min_rows``.
    """
    from airflow_provider.core.files.many_files import ManyFiles
    from airflow_provider.core.files.reader import read_rows

    if is_query(source):
        yield from _query_rows(source, options, fields, on_columns)
        return
    header: list[str] = []

    def add_columns(names: list[str]) -> None:
        header.extend(names)
        if on_columns is not None:
            on_columns(names)

    source = open_source_files(source, subject, options)
    if isinstance(source, ManyFiles):
        rows = source.rows(
            decode,
            csv_delimiter=options.csv_delimiter,
            encoding=options.encoding,
            geo=geo,
            flatten=flatten,
            on_columns=add_columns,
        )
        yield from apply_options(rows, subject, options, header, "geometry" if geo else "")
        return
    rows = read_rows(
        source,
        subject,
        decode,
        csv_delimiter=options.csv_delimiter,
        encoding=options.encoding,
        source_format=options.source_format,
        geo=geo,
        on_columns=add_columns,
    )
    if flatten is not None:
        rows = ((number, flatten(row)) for number, row in rows)
    yield from apply_options(rows, subject, options, header, "geometry" if geo else "")


def open_source_files(source: object, subject: str, options: RowOptions = NO_OPTIONS) -> object:
    """Return the files of a wildcard, a folder or a manifest, to be read any number of times.

    Any other source is returned as it is.

    :param source: the argument's value.
    :param subject: name of the argument, for errors.
    :param options: how the rows are read.
    :raises InputError: when there are no such files, and for options of files with a source that is none.
    """
    from airflow_provider.core.files.many_files import ManyFiles, open_files

    if isinstance(source, str):
        how = {name: getattr(options, name) for name in ("source_format", "hive", "complete")}
        return open_files(source, subject, **how) or source
    if not isinstance(source, ManyFiles) and (options.hive or options.complete):
        named = " and ".join(name for name in ("hive", "complete") if getattr(options, name))
        raise InputError(f"is no path; {named} can only be given with files", subject)
    return source


def is_query(source: object) -> TypeGuard[SqlRows]:
    """Return whether a source is the rows of a query."""
    return isinstance(source, SqlRows)


def subject_of(source: object, argument: str) -> str:
    """Return the name of the argument that a source comes from, for errors.

    :param source: the source.
    :param argument: name of the argument that takes lists and files.
    """
    return SQL if is_query(source) else argument


def _query_rows(
    source: SqlRows,
    options: RowOptions,
    fields: Iterable[str],
    on_columns: Callable[[list[str]], object] | None,
) -> Iterator[NumberedRow]:
    """Yield the rows of a query; NULL is no value, as in files with columns."""
    names = field_names(source.names, options.columns, options.ignore, fields)
    if on_columns is not None:
        on_columns([name for name in names if name is not None])
    rows = (
        {
            name: value
            for name, value in zip(names, row, strict=True)
            if value is not None and name is not None
        }
        for row in source
    )
    yield from apply_options(enumerate(rows, start=1), SQL, RowOptions(min_rows=options.min_rows), [])


def apply_options(
    rows: Iterable[NumberedRow],
    subject: str,
    options: RowOptions,
    header: list[str],
    geometry: str = "",
) -> Iterator[NumberedRow]:
    """Yield rows with their columns renamed and left out, and raise when they are too few.

    :param rows: the rows with their numbers.
    :param subject: name of the argument that the rows come from, for errors.
    :param options: the columns, and the fewest rows.
    :param header: further names that are no mistake in the options; complete after the last row.
    :param geometry: name of the geometry column that the reader has renamed; empty without one.
    :raises InputError: as :func:`read_source`.
    """
    if options.columns or options.ignore:
        rows = _renamed(rows, subject, options, header, geometry)
    count = 0
    for number, row in rows:
        count += 1
        yield number, row
    if options.min_rows is not None and count < options.min_rows:
        raise InputError(f"has {count} rows, fewer than min_rows {options.min_rows}", subject)


def _renamed(
    rows: Iterable[tuple[int, dict[Any, Any]]],
    subject: str,
    options: RowOptions,
    header: list[str],
    found: str,
) -> Iterator[NumberedRow]:
    """Yield rows with their fields renamed.

    :param header: names of the file's columns, known once its first row was read: empty values are not in
        the rows.
    :param found: a field that the file's format may name by itself; empty for none.
    """
    from airflow_provider.core.input.problems import nearest

    columns = {normal_key(name): field for name, field in (options.columns or {}).items()}
    ignored = set(map(normal_key, options.ignore or ()))
    missing, names = {*columns, *ignored}, dict[str, None]()
    fields: dict[Any, Any] = {}
    for number, row in rows:
        out: dict[str, Any] = {}
        for name, value in row.items():
            if name not in fields:
                key = normal_key(name) if isinstance(name, str) else name
                fields[name] = _IGNORED if key in ignored else columns.get(key, name)
                missing.discard(key)
                names[key] = None
            field = fields[name]
            if field is _IGNORED:
                continue
            if field in out:
                raise InputError(f"row {number} has {field!r} twice: as {name!r} and by columns", subject)
            out[field] = value
        yield number, out
    missing -= set(map(normal_key, header))
    names.update(dict.fromkeys(header))
    if found in names:
        missing -= {name for name, field in columns.items() if field == found}
    # Without rows and header nothing is known of the names.
    if missing and names:
        hints = [
            f"{name!r} of columns or ignore is in no row{nearest(name, filter(_is_name, names))}"
            for name in sorted(missing)
        ]
        raise InputError(hints, subject)
