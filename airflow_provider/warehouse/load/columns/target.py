"""Table that rows are loaded into: its columns, and which column of the source fills which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from airflow_provider.core.files.row_source import RowOptions
from airflow_provider.core.input.problems import nearest
from airflow_provider.core.input.values import normal_key
from airflow_provider.warehouse.load.columns.names import find_name
from airflow_provider.warehouse.load.columns.rows import SourceColumn


class TargetColumn(NamedTuple):
    """A column of the table.

    :param name: its name.
    :param type: its type, as the database writes it.
    :param family: what its values are written as: ``integer``, ``number``, ``boolean``, ``text``, ``json``,
        ``array``, ``geometry``, ``binary``, ``uuid``, ``timestamp`` (without a zone) or ``other``.
    :param generated: whether the database makes its values, so that none can be written.
    :param srid: coordinate system of a geometry column; 0 for any.
    :param shape: kind of geometry that it takes, in capitals; empty for any.
    :param scale: decimals of its numbers; None where it keeps any.
    :param seconds: decimals of its seconds; None for a type without seconds, or one that keeps any.
    :param length: characters of its texts; None for any number.
    :param replaces_null: whether NULL becomes another value.
    """

    name: str
    type: str
    family: str = "other"
    generated: bool = False
    srid: int = 0
    shape: str = ""
    scale: int | None = None
    seconds: int | None = None
    length: int | None = None
    replaces_null: bool = False


class Pair(NamedTuple):
    """A column of the source, and the column of the table that it fills."""

    source: SourceColumn
    target: TargetColumn


def name_columns(
    columns: Sequence[SourceColumn], options: RowOptions
) -> tuple[list[tuple[SourceColumn, str]], list[str]]:
    """Return the source's columns with the names that they have in the table, and what is wrong with them.

    :param columns: the source's columns.
    :param options: names by names of the source (``columns``), and names that are left out (``ignore``).
    """
    renamed = {normal_key(name): field for name, field in (options.columns or {}).items()}
    ignored = set(map(normal_key, options.ignore or ()))
    missing = {*renamed, *ignored}
    named: list[tuple[SourceColumn, str]] = []
    for column in columns:
        key = normal_key(column.name)
        missing.discard(key)
        if key not in ignored:
            named.append((column, renamed.get(key, column.name)))
    problems = [
        f"{name!r} of columns or ignore is not in the source"
        f"{nearest(name, [column.name for column in columns])}"
        for name in sorted(missing)
    ]
    names = [name for _, name in named]
    problems += [
        f"the column {name!r} is filled by {names.count(name)} columns of the source: see 'columns'"
        for name in sorted({name for name in names if names.count(name) > 1})
    ]
    return named, problems


def pair_columns(
    named: Sequence[tuple[SourceColumn, str]], targets: Sequence[TargetColumn], key: Sequence[str]
) -> tuple[list[Pair], list[tuple[SourceColumn, str]], list[str]]:
    """Return the pairs of columns, the source's columns that the table lacks, and further problems.

    Names are matched exactly, or without case where that is unambiguous. A geometry that the file has no name
    for fills the table's only geometry column.

    :param named: the source's columns with their names in the table.
    :param targets: the table's columns.
    :param key: names of the key columns.
    """
    by_name = {target.name: target for target in targets}
    shapes = [target for target in targets if target.family == "geometry"]
    taken = {name for _, name in named}
    pairs: list[Pair] = []
    new: list[tuple[SourceColumn, str]] = []
    problems: list[str] = []
    for column, name in named:
        found = find_name(name, by_name)
        if found is None and column.unnamed and len(shapes) == 1 and shapes[0].name not in taken:
            found = shapes[0].name
        if found is None:
            if not column.optional:
                new.append((column, name))
        elif by_name[found].generated:
            problems.append(
                f"the column {found!r} is made by the database: put {column.name!r} into 'ignore'"
            )
        else:
            pairs.append(Pair(column, by_name[found]))
    filled = [pair.target.name for pair in pairs]
    problems += [
        f"the column {name!r} is filled by {filled.count(name)} columns of the source: see 'columns'"
        for name in sorted({name for name in filled if filled.count(name) > 1})
    ]
    problems += [
        f"the key column {name!r} is not in the source{nearest(name, filled)}"
        for name in key
        if find_name(name, filled) is None and not any(name == other for _, other in new)
    ]
    return pairs, new, problems
