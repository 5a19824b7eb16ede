"""Tables of PostgreSQL: their columns, and what they do beyond taking rows as a load's mode says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_provider.warehouse.load.columns.exact import MICROSECONDS, length_of, scale_of, seconds_of
from airflow_provider.warehouse.load.columns.target import TargetColumn
from airflow_provider.warehouse.load.databases.base import follows

if TYPE_CHECKING:
    from airflow_provider.warehouse.load.databases.base import Database

_FAMILIES = {
    "json": "json",
    "jsonb": "json",
    "bytea": "binary",
    "uuid": "uuid",
    "smallint": "integer",
    "integer": "integer",
    "bigint": "integer",
    "boolean": "boolean",
    "date": "date",
    "real": "number",
    "double precision": "number",
    "numeric": "number",
    "text": "text",
    "character varying": "text",
    "character": "text",
    "time without time zone": "time",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "moment",
}

_GEOMETRY = re.compile(r"(geometry|geography)(?:\((\w+)(?:,(\d+))?\))?")

_LENGTHS = {"name": 63, '"char"': 1}
"""Characters of types that cut longer texts without an error."""

_CENTS = 2
"""Decimals of ``money``; no currency of the usual ones has more."""

_TREE = "WITH tree AS (SELECT \0::oid AS id UNION SELECT relid::oid FROM pg_partition_tree(\0::oid))"

_FOLLOWING = f"""{_TREE}
SELECT DISTINCT c.conname::text, c.conrelid::regclass::text FROM pg_constraint c
WHERE c.contype = 'f' AND c.confdeltype IN ('c', 'n', 'd') AND c.confrelid IN (SELECT id FROM tree)
  AND c.conrelid NOT IN (SELECT id FROM tree) AND (c.conparentid = 0 OR EXISTS (
    SELECT 1 FROM pg_constraint p WHERE p.oid = c.conparentid AND p.confrelid NOT IN (SELECT id FROM tree)))
ORDER BY 2, 1"""
"""Foreign keys of other tables that delete or change rows there when rows of this one are deleted."""

_INTERFERES = f"""{_TREE}
SELECT COALESCE(bool_or(c.relhastriggers OR c.relhasrules), false) FROM pg_class c
WHERE c.oid IN (SELECT id FROM tree)"""


def table_problems(database: Database, oid: int, mode: str) -> list[str]:
    """Return why a load would do more than its mode says, or less.

    :param database: the database.
    :param oid: the table.
    :param mode: the load's mode.
    """
    problems = []
    if mode == "replace":
        problems = [follows(*row) for row in database.rows(_FOLLOWING.replace("\0", str(oid)))]
    if mode != "append" and database.value(f"SELECT row_security_active({oid}::oid)"):
        problems.append(
            "row-level security may hide rows of the table from this user; load as its owner, or as a user"
            " with BYPASSRLS"
        )
    return problems


def may_skip_rows(database: Database, oid: int) -> bool:
    """Return whether the table or a partition of it has triggers or rules, which can leave out rows.

    :param database: the database.
    :param oid: the table.
    """
    return bool(database.value(_INTERFERES.replace("\0", str(oid))))


def read_column(name: str, declared: str, base: str, is_array: bool, generated: bool) -> TargetColumn:
    """Return a column by what the catalogue has of it.

    :param declared: its type.
    :param base: the same, or the type of its domain.
    :param is_array: whether it holds lists.
    :param generated: whether the database makes its values.
    """
    if found := _GEOMETRY.fullmatch(base):
        kind, shape, srid = found.groups()
        default = 4326 if kind == "geography" else 0
        return TargetColumn(
            name, declared, "geometry", generated, int(srid or default), (shape or "").upper()
        )
    family = "array" if is_array else _FAMILIES.get(re.sub(r"\(.*?\)", "", base), "other")
    scale = _CENTS if base.startswith("money") else scale_of(base)
    seconds = seconds_of(base, MICROSECONDS) if base.startswith(("time", "interval")) else None
    length = _LENGTHS.get(base, length_of(base))
    return TargetColumn(name, declared, family, generated, scale=scale, seconds=seconds, length=length)
