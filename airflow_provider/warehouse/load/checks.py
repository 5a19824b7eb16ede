"""Checks of staged rows, before the table is touched: keys, geometries, and how many rows there are."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider.core.input.values import shown
from airflow_provider.warehouse.load.databases.base import not_taken

if TYPE_CHECKING:
    from airflow_provider.warehouse.load.columns.names import TableName
    from airflow_provider.warehouse.load.columns.target import Pair
    from airflow_provider.warehouse.load.databases.base import Database
    from airflow_provider.warehouse.load.request import LoadRequest
    from airflow_provider.warehouse.load.source.reading import Source

_NAMED = 20
"""Maximum keys and rows that a check names."""


def name_problems(database: Database, names: Sequence[str]) -> list[str]:
    """Return why new columns cannot have their names.

    :param names: the names, each once.
    """
    problems = [f"the column {name!r} {why}" for name in names if (why := database.name_problem(name))]
    alike: dict[str, list[str]] = {}
    for name in names if database.ignores_case else ():
        alike.setdefault(name.casefold(), []).append(name)
    return problems + [
        f"the columns {' and '.join(map(repr, some))} differ in case only, which this database does not tell"
        " apart; rename one of them by 'columns'"
        for some in alike.values()
        if len(some) > 1
    ]


def key_problems(database: Database, source: Source, key: Sequence[str]) -> list[str]:
    """Return which staged rows have no key, and which keys are there twice.

    :param key: the key's columns; nothing is checked without any.
    """
    if not key or not source.rows:
        return []
    names = [database.quotes.name(name) for name in key]
    without = " OR ".join(f"{name} IS NULL" for name in names)
    called = ", ".join(key)
    problems = []
    if count := int(database.value(f"SELECT count(*) FROM {database.stage} WHERE {without}")):
        rows = database.rows(
            f"SELECT _twin_row FROM {database.numbered_stage()} s WHERE {without} ORDER BY 1 LIMIT {_NAMED}"
        )
        named = ", ".join(source.label(row) for (row,) in rows)
        problems.append(
            f"the key ({called}) is empty in {count} rows: {named}{', …' if count > len(rows) else ''}"
        )
    listed = ", ".join(names)
    groups = (
        f"SELECT {listed}, count(*) AS _twin_count FROM {database.stage} WHERE NOT ({without})"
        f" GROUP BY {listed} HAVING count(*) > 1"
    )
    twice = database.rows(f"{groups} ORDER BY {listed} LIMIT {_NAMED + 1}")
    problems += [f"the key {_shown(called, row[:-1])} is there {row[-1]} times" for row in twice[:_NAMED]]
    if len(twice) > _NAMED:
        total = int(database.value(f"SELECT count(*) FROM ({groups}) d"))
        problems.append(f"{total - _NAMED} further keys are there more than once")
    return problems


def known_key_problems(database: Database, table: TableName, key: Sequence[str]) -> list[str]:
    """Return which staged keys the table has already.

    :param table: the table's name as the database has it.
    :param key: the key's columns.
    """
    names = database.quotes.names(key, "s.")
    found = (
        f"FROM {database.stage} s WHERE EXISTS"
        f" (SELECT 1 FROM {database.rows_of(table)} t WHERE {database.same_key(key)})"
    )
    rows = database.rows(f"SELECT {names} {found} ORDER BY {names} LIMIT {_NAMED + 1}")
    called = ", ".join(key)
    problems = [f"the key {_shown(called, row)} is in the table already" for row in rows[:_NAMED]]
    if len(rows) > _NAMED:
        total = int(database.value(f"SELECT count(*) {found}"))
        problems.append(f"{total - _NAMED} further keys are in the table already")
    return problems


def _shown(called: str, values: Sequence[Any]) -> str:
    texts = ", ".join(shown(value) for value in values)
    return f"({called}) = ({texts})"


def staged_problems(database: Database, source: Source, pairs: Sequence[Pair]) -> list[str]:
    """Return what is wrong with staged values beyond their types."""
    return database.stage_problems(source, pairs) if source.rows else []


def shrink_problem(database: Database, table: TableName, request: LoadRequest, rows: int) -> str:
    """Return why so few rows may not be loaded; empty when they may.

    :param table: the table's name as the database has it.
    :param rows: the number of the source's rows.
    """
    if request.mode == "replace" and not rows and not request.allow_empty:
        return f"has no rows, and would empty {request.table}; set allow_empty=True where that is meant"
    if request.max_shrink is None or (not rows and request.allow_empty):
        return ""
    there = database.count(table)
    # A float's nearest short decimal is what was written: 100 rows less 45 % are 55, not 55.00000000000001.
    if there - rows <= there * Decimal(str(request.max_shrink)):
        return ""
    return (
        f"has {rows} rows, and {request.table} has {there}; a decrease of more than"
        f" {request.max_shrink * 100:g}% is rejected ('max_shrink'; 1 or None accepts any number)"
    )


def written_problems(inserted: int, rows: int) -> list[str]:
    """Return whether rows are missing of those that were inserted.

    :param inserted: their number, as the driver says it; negative when it does not say it.
    :param rows: the number of the source's rows.
    """
    return [not_taken(rows - inserted, "inserted")] if 0 <= inserted != rows else []


def merged_problems(database: Database, table: TableName, key: Sequence[str], rows: int) -> list[str]:
    """Return the keys that a merge found in the table more than once, or that it has not got into it.

    :param table: the table's name as the database has it.
    :param key: the key's columns.
    :param rows: the number of the source's rows.
    """
    names = database.quotes.names(key, "s.")
    both = f"FROM {database.stage} s, {database.rows_of(table)} t WHERE {database.same_key(key)}"
    there = int(database.value(f"SELECT count(*) {both}"))
    if there == rows:
        return []
    twice = database.rows(
        f"SELECT {names}, count(*) {both} GROUP BY {names} HAVING count(*) > 1 ORDER BY {names}"
    )
    called = ", ".join(key)
    problems = [
        f"the key {_shown(called, row[:-1])} is in the table {row[-1]} times" for row in twice[:_NAMED]
    ]
    if len(twice) > _NAMED:
        problems.append(f"{len(twice) - _NAMED} further keys are in the table more than once")
    return problems or [not_taken(rows - there, "inserted")]
