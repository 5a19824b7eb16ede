"""Schema: a dataset's tables with the rows of all states, its views, and the triggers between them.

``public`` has a view of each dataset's current rows, which users read and write. ``past`` has a view of the
same name with the rows as of an earlier state. Both show tables of ``kept``, which users cannot reach: the
current rows with the number of the state that wrote them, and the replaced rows with the range of states they
belong to. ``seeded`` has copies of the seeded rows, for a reset.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from airflow_provider.sandbox.amigocloud.sql.postgres.values import column_type
from airflow_provider.sandbox.amigocloud.sql.store import Dataset

Connection = psycopg.Connection[Any]

SETUP = """
CREATE EXTENSION IF NOT EXISTS postgis SCHEMA public;
CREATE SCHEMA kept;
CREATE SCHEMA past;
CREATE SCHEMA seeded;
CREATE TABLE kept.heads (dataset integer PRIMARY KEY, version integer NOT NULL, changed boolean NOT NULL);
CREATE SEQUENCE kept.uuids;

CREATE FUNCTION public.generate_uuid() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog
AS $$ SELECT md5('created ' || nextval('kept.uuids')) $$;

CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT pg_catalog.now() + coalesce(nullif(current_setting('sandbox.ahead', true), ''), '0')::float8
    * interval '1 second'
$$;

CREATE FUNCTION kept.stamp() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$ BEGIN
  NEW."#since" := (SELECT version + 1 FROM kept.heads WHERE dataset = TG_ARGV[0]::integer);
  RETURN NEW;
END $$;

CREATE FUNCTION kept.note_new() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$ BEGIN
  UPDATE kept.heads SET changed = true
  WHERE dataset = TG_ARGV[0]::integer AND NOT changed AND EXISTS (SELECT FROM new_rows);
  RETURN NULL;
END $$;

CREATE FUNCTION kept.keep_old() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$ BEGIN
  EXECUTE format(
    'INSERT INTO kept.old_%s SELECT h.version + 1, o.* FROM old_rows o, kept.heads h WHERE h.dataset = %s',
    TG_ARGV[0], TG_ARGV[0]
  );
  UPDATE kept.heads SET changed = true
  WHERE dataset = TG_ARGV[0]::integer AND NOT changed AND EXISTS (SELECT FROM old_rows);
  RETURN NULL;
END $$;
"""

_TABLES = """
CREATE TABLE kept.{table} ("#since" integer NOT NULL DEFAULT 0, {columns});
CREATE TABLE kept.{old} ("#until" integer NOT NULL, "#since" integer NOT NULL, {old_columns});
CREATE INDEX ON kept.{old} (amigo_id);
INSERT INTO kept.heads VALUES ({number}, 0, false);
"""

_VIEWS = """
CREATE VIEW public.{table} AS SELECT {names} FROM kept.{table};
CREATE VIEW past.{table} AS
  SELECT {names} FROM kept.{table} WHERE "#since" <= {version}
  UNION ALL SELECT {names} FROM kept.{old} WHERE "#since" <= {version} AND "#until" > {version};
GRANT SELECT, INSERT, UPDATE, DELETE ON public.{table} TO {role};
GRANT SELECT ON past.{table} TO {role};
"""

_VERSION = "coalesce(nullif(current_setting({setting}, true), '')::integer, 2147483647)"
"""The number of the state that is read, from a setting of the transaction."""

_TRIGGERS = """
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON kept.{table}
  FOR EACH ROW EXECUTE FUNCTION kept.stamp({number});
CREATE TRIGGER note_new AFTER INSERT ON kept.{table} REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION kept.note_new({number});
CREATE TRIGGER keep_updated AFTER UPDATE ON kept.{table} REFERENCING OLD TABLE AS old_rows
  FOR EACH STATEMENT EXECUTE FUNCTION kept.keep_old({number});
CREATE TRIGGER keep_deleted AFTER DELETE ON kept.{table} REFERENCING OLD TABLE AS old_rows
  FOR EACH STATEMENT EXECUTE FUNCTION kept.keep_old({number});
"""

Columns = Sequence[Mapping[str, Any]]


def setting_of(number: int) -> str:
    """Return the name of the setting that says which state of a dataset the views of ``past`` show."""
    return f"sandbox.version_{number}"


def names_of(columns: Columns) -> Composed:
    """Return the names of columns, as a list in SQL."""
    return SQL(", ").join(Identifier(column["name"]) for column in columns)


def _declared(column: Mapping[str, Any], *, is_key: bool = False) -> Composed:
    kind = column_type(column)
    key = f" PRIMARY KEY DEFAULT generate_uuid()::{kind}" if is_key else ""
    return SQL("{} {}").format(Identifier(column["name"]), SQL(kind + key))


def _parts(number: int, columns: Columns, role: str) -> dict[str, Any]:
    return {
        "table": Identifier(f"dataset_{number}"),
        "old": Identifier(f"old_{number}"),
        "number": Literal(number),
        "names": names_of(columns),
        "columns": SQL(", ").join(_declared(c, is_key=c["name"] == "amigo_id") for c in columns),
        "old_columns": SQL(", ").join(map(_declared, columns)),
        "version": SQL(_VERSION).format(setting=Literal(setting_of(number))),
        "role": Identifier(role),
    }


def create(db: Connection, dataset: Dataset, rows: Iterable[Mapping[str, Any]] | str, role: str) -> None:
    """Create the tables of a dataset with its first rows, and what users see of them.

    :param rows: the rows, or a query of them with the dataset's columns in order.
    :param role: the users' role.
    """
    parts = _parts(dataset.id, dataset.columns, role)
    db.execute(SQL(_TABLES).format(**parts))
    if isinstance(rows, str):
        insert_query(db, SQL("kept"), dataset, rows)
    else:
        _copy(db, dataset, rows)
    db.execute(SQL(_TRIGGERS + _VIEWS).format(**parts))
    db.execute(SQL("ANALYZE kept.{}").format(Identifier(dataset.table)))


def insert_query(db: Connection, schema: SQL, dataset: Dataset, query: str) -> None:
    """Insert the rows of a query, which has the dataset's columns in order.

    :param schema: ``kept`` for a dataset's first rows, ``public`` for a change.
    """
    head = SQL("INSERT INTO {}.{} ({}) ").format(schema, Identifier(dataset.table), names_of(dataset.columns))
    db.execute(head.as_string(db).encode() + query.encode())


def _copy(db: Connection, dataset: Dataset, rows: Iterable[Mapping[str, Any]]) -> None:
    arrays = {column["name"] for column in dataset.columns if column["type"].endswith("[]")}
    names = [column["name"] for column in dataset.columns]
    into = SQL("COPY kept.{} ({}) FROM STDIN").format(Identifier(dataset.table), names_of(dataset.columns))
    with db.cursor() as cursor, cursor.copy(into) as copy:
        for row in rows:
            copy.write_row([_copied(row.get(name), is_array=name in arrays) for name in names])


def _copied(value: Any, *, is_array: bool) -> Any:
    return json.dumps(value) if isinstance(value, (dict, list)) and not is_array else value


def create_gallery(db: Connection, name: str, number: int, role: str) -> None:
    """Create a view of a dataset's rows for users, which is dropped with the dataset."""
    script = SQL(
        "CREATE VIEW public.{view} AS SELECT * FROM public.{table}; GRANT SELECT ON public.{view} TO {role}"
    )
    parts = {"view": name, "table": f"dataset_{number}", "role": role}
    db.execute(script.format(**{key: Identifier(text) for key, text in parts.items()}))


def drop(db: Connection, number: int) -> None:
    """Drop all of a dataset."""
    drop_views(db, number)
    parts = {"table": Identifier(f"dataset_{number}"), "old": Identifier(f"old_{number}")}
    db.execute(SQL("DROP TABLE kept.{table}, kept.{old}").format(**parts))
    db.execute("DELETE FROM kept.heads WHERE dataset = %s", [number])


def drop_views(db: Connection, number: int) -> None:
    """Drop what users see of a dataset, so that its columns can be changed."""
    db.execute(
        SQL("DROP VIEW public.{table}, past.{table} CASCADE").format(table=Identifier(f"dataset_{number}"))
    )


def create_views(db: Connection, number: int, columns: Columns, role: str) -> None:
    """Create what users see of a dataset."""
    db.execute(SQL(_VIEWS).format(**_parts(number, columns, role)))


def add_column(db: Connection, number: int, column: Mapping[str, Any]) -> None:
    """Add a column to a dataset's tables."""
    for table in (f"dataset_{number}", f"old_{number}"):
        clause = SQL("ALTER TABLE kept.{} ADD COLUMN {}")
        db.execute(clause.format(Identifier(table), _declared(column)))


def drop_column(db: Connection, number: int, name: str) -> None:
    """Remove a column from a dataset's tables."""
    for table in (f"dataset_{number}", f"old_{number}"):
        db.execute(SQL("ALTER TABLE kept.{} DROP COLUMN {}").format(Identifier(table), Identifier(name)))


def keep_seeded(db: Connection, dataset: Dataset) -> None:
    """Copy a dataset's rows, for :func:`restore`."""
    copied = SQL("CREATE TABLE seeded.{table} AS SELECT {names} FROM kept.{table}")
    db.execute(copied.format(table=Identifier(dataset.table), names=names_of(dataset.columns)))


def seeded_query(dataset: Dataset) -> str:
    """Return the query of a dataset's seeded rows."""
    query = SQL("SELECT {} FROM seeded.{}").format(names_of(dataset.columns), Identifier(dataset.table))
    return query.as_string(None)
