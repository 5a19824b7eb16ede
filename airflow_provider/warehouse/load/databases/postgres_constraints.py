"""Constraints of PostgreSQL that a write broke: the staged rows that break them, without values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider.warehouse.load.databases.postgres_errors import sqlstate

if TYPE_CHECKING:
    from airflow_provider.warehouse.load.columns.target import Pair
    from airflow_provider.warehouse.load.databases.base import BrokenWrite, Database
    from airflow_provider.warehouse.load.source.reading import Source

_NAMED = 20
"""Maximum rows that are named."""

_FOREIGN_KEY = """
SELECT c.confrelid::regclass::text,
  (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(c.conkey) WITH ORDINALITY k(num, n)
   JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num),
  (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(c.confkey) WITH ORDINALITY k(num, n)
   JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.num)
FROM pg_constraint c WHERE c.contype = 'f' AND c.conname = \0 AND c.conrelid = to_regclass(\0)"""

_UNIQUE = """
SELECT (SELECT array_agg(a.attname::text) FROM pg_attribute a
        WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey))
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
WHERE x.relname = \0 AND i.indrelid = to_regclass(\0) AND i.indpred IS NULL AND i.indexprs IS NULL"""


_CHECK = """
SELECT pg_get_expr(c.conbin, c.conrelid) FROM pg_constraint c
WHERE c.contype = 'c' AND c.conname = \0 AND c.conrelid = to_regclass(\0)"""

_PARTITIONS = """
SELECT 'false' FROM pg_class WHERE oid = to_regclass(\0) AND relkind = 'p'
UNION ALL
SELECT pg_get_partition_constraintdef(relid) FROM pg_partition_tree(to_regclass(\0)) WHERE isleaf"""


def constraint_problems(
    database: Database, error: Exception, source: Source, write: BrokenWrite, pairs: Sequence[Pair]
) -> list[str]:
    """Return the rows that break the constraint of an error; none where that cannot be found out.

    :param database: the database, which can be asked again.
    :param error: the driver's error.
    :param source: the rows, for their names.
    :param write: the write.
    :param pairs: the columns that it fills.
    """
    name, state = getattr(getattr(error, "diag", None), "constraint_name", None), sqlstate(error)
    found: dict[str, str] = {}
    if state == "23514":
        found = _against_check(database, name, write, pairs)
    elif name and state == "23503":
        found = {_without_reference(database, name, write): "refers to a row that is not there"}
    elif name and state == "23505":
        found = _there_already(database, name, write)
    problems: list[str] = []
    for where, text in found.items():
        if where:
            about = f"{text} (constraint {name!r})" if name else text
            problems += _named(database, source, where, about)
    return problems


def _against_check(
    database: Database, name: str | None, write: BrokenWrite, pairs: Sequence[Pair]
) -> dict[str, str]:
    """Return the rows that break a check; without its name, those that fit no partition."""
    if name:
        tests = [text for (text,) in database.rows(_CHECK, name, write.table)]
        condition, said = " OR ".join(f"({text}) IS FALSE" for text in tests), "breaks a check"
    else:
        tests = [text for (text,) in database.rows(_PARTITIONS, write.table, write.table)]
        condition = " AND ".join(f"({text}) IS NOT TRUE" for text in tests)
        said = "fits no partition of the table"
    values = ", ".join(
        f"{database.stage_value(pair, 's.')} AS {database.quotes.name(pair.target.name)}" for pair in pairs
    )
    return {f"(SELECT {condition} FROM (SELECT {values}) v)": said} if condition else {}


def _without_reference(database: Database, name: str, write: BrokenWrite) -> str:
    found = database.rows(_FOREIGN_KEY, name, write.table)
    if not found or not set(found[0][1]) <= set(write.filled):
        return ""
    other, names, others = found[0]
    mine = [f"s.{database.quotes.name(one)}" for one in names]
    given = " AND ".join(f"{one} IS NOT NULL" for one in mine)
    same = " AND ".join(f"r.{database.quotes.name(b)} = {a}" for a, b in zip(mine, others, strict=True))
    return f"{given} AND NOT EXISTS (SELECT 1 FROM {other} r WHERE {same})"


def _there_already(database: Database, name: str, write: BrokenWrite) -> dict[str, str]:
    found = database.rows(_UNIQUE, name, write.table)
    if not found or not set(found[0][0]) <= set(write.filled):
        return {}
    columns = [database.quotes.name(one) for one in found[0][0]]

    def equal(one: str, other: str = "s") -> str:
        return " AND ".join(f"{one}.{column} = {other}.{column}" for column in columns)

    said = "has a value that is there already"
    where = f"EXISTS (SELECT 1 FROM {database.stage} o WHERE {equal('o')} AND o.ctid <> s._twin_ctid)"
    if write.mode == "replace":
        return {where: said}
    held = f"EXISTS (SELECT 1 FROM {write.table} t WHERE {equal('t')}"
    if write.mode == "append":
        return {f"({where} OR {held}))": said}
    held += f" AND NOT ({database.same_key(write.key)})"  # A row may keep its own value.
    same = " AND ".join(f"t.{one} = o.{one}" for one in map(database.quotes.name, write.key))
    given_up = f"EXISTS (SELECT 1 FROM {database.stage} o WHERE {same} AND NOT ({equal('o', 't')}))"
    advice = "takes a value that another row of the merge gives up: make the constraint DEFERRABLE, or load"
    return {
        f"({where} OR {held} AND NOT {given_up}))": said,
        f"NOT {where} AND {held} AND {given_up})": f"{advice} with mode='replace'",
    }


def _named(database: Database, source: Source, where: str, text: str) -> list[str]:
    staged = (
        "(SELECT *, ctid AS _twin_ctid, row_number() OVER (ORDER BY ctid) - 1 AS _twin_row"
        f" FROM {database.stage})"
    )
    rows: list[Any] = database.rows(
        f"SELECT _twin_row FROM {staged} s WHERE {where} ORDER BY 1 LIMIT {_NAMED + 1}"
    )
    problems = [f"{source.label(int(row))}: {text}" for (row,) in rows[:_NAMED]]
    return [*problems, f"further rows: {text}"] if len(rows) > _NAMED else problems
