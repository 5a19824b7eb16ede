"""Tables of PostgreSQL that a load would not fill as its mode says: what they do beyond taking rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider.warehouse.load.databases.base import follows

if TYPE_CHECKING:
    from airflow_provider.warehouse.load.databases.base import Database

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
