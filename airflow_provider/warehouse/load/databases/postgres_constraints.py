"""Constraints of PostgreSQL that a write broke: the staged rows that break them, without values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider.warehouse.load.databases.postgres_errors import sqlstate

if TYPE_CHECKING:
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


def constraint_problems(
    database: Database, error: Exception, source: Source, write: BrokenWrite
) -> list[str]:
    """Return the rows that break the constraint of an error; none where that cannot be found out.

    :param database: the database, which can be asked again.
    :param error: the driver's error.
    :param source: the rows, for their names.
    :param write: the write.
    """
    name = getattr(getattr(error, "diag", None), "constraint_name", None)
    if not name:
        return []
    if sqlstate(error) == "23503":
        where, text = _without_reference(database, name, write), "refers to a row that is not there"
    elif sqlstate(error) == "23505":
        where, text = _there_already(database, name, write), "has a value that is there already"
    else:
        return []
    if not where:
        return []
    return _named(database, source, where, f"{text} (constraint {name!r})")


def _without_reference(database: Database, name: str, write: BrokenWrite) -> str:
    found = database.rows(_FOREIGN_KEY, name, write.table)
    if not found or not set(found[0][1]) <= set(write.filled):
        return ""
    other, names, others = found[0]
    mine = [f"s.{database.quotes.name(one)}" for one in names]
    given = " AND ".join(f"{one} IS NOT NULL" for one in mine)
    same = " AND ".join(f"r.{database.quotes.name(b)} = {a}" for a, b in zip(mine, others, strict=True))
    return f"{given} AND NOT EXISTS (SELECT 1 FROM {other} r WHERE {same})"


def _there_already(database: Database, name: str, write: BrokenWrite) -> str:
    found = database.rows(_UNIQUE, name, write.table)
    if not found or not set(found[0][0]) <= set(write.filled):
        return ""
    columns = [database.quotes.name(one) for one in found[0][0]]

    def equal(alias: str) -> str:
        return " AND ".join(f"{alias}.{column} = s.{column}" for column in columns)

    where = f"EXISTS (SELECT 1 FROM {database.stage} o WHERE {equal('o')} AND o.ctid <> s._twin_ctid)"
    if write.mode == "replace":
        return where
    held = equal("t")
    if write.mode == "merge":  # A row may keep its own value.
        held += f" AND NOT ({database.same_key(write.key)})"
    return f"({where} OR EXISTS (SELECT 1 FROM {write.table} t WHERE {held}))"


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
