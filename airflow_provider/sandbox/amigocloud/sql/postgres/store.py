"""Store on PostgreSQL: statements of users in a transaction and a role that can do no harm."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Identifier, Literal

from airflow_provider.sandbox.amigocloud.sql import dialect
from airflow_provider.sandbox.amigocloud.sql.dialect import SqlError
from airflow_provider.sandbox.amigocloud.sql.postgres import errors, schema, values
from airflow_provider.sandbox.amigocloud.sql.postgres.database import Database
from airflow_provider.sandbox.amigocloud.sql.store import At, Dataset, Page, Rows, Statement, Store

_CURSOR = "page"


class PostgresStore(Store):
    """All datasets of all projects, in a database of their own.

    :param database: the database.
    :param datasets: the datasets that it has already.
    :param ahead: returns the seconds by which the sandbox's clock is ahead of the real time.
    """

    engine = "postgresql"

    def __init__(
        self, database: Database, datasets: Mapping[int, Dataset], ahead: Callable[[], float]
    ) -> None:
        super().__init__(datasets)
        self.database = database
        self.touched: set[int] = set()
        """Datasets that differ from the seeded ones."""
        self._ahead = ahead
        self._counts: dict[tuple[str, Any, int], int] = {}

    def close(self) -> None:
        """Do nothing: the engine removes the database."""

    # -- datasets

    def _create(self, dataset: Dataset, rows: Rows | str) -> None:
        if not isinstance(rows, str):
            rows = ({**row, "amigo_id": _given(row, self._new_uuid)} for row in rows)
        self.touched.add(dataset.id)
        with self._owning() as db, db.transaction():
            schema.create(db, dataset, rows, self.database.role)

    def _create_view(self, name: str, number: int) -> None:
        with self._owning() as db:
            schema.create_gallery(db, name, number, self.database.role)

    def _remove(self, number: int) -> None:
        self.touched.add(number)
        with self._owning() as db, db.transaction():
            schema.drop(db, number)

    def _change_columns(
        self,
        number: int,
        columns: list[dict[str, Any]],
        added: Mapping[str, Any] | None,
        dropped: str | None,
    ) -> None:
        with self._owning() as db, db.transaction():
            schema.drop_views(db, number)
            if added:
                schema.add_column(db, number, added)
            if dropped:
                schema.drop_column(db, number, dropped)
            schema.create_views(db, number, columns, self.database.role)
            db.execute("UPDATE kept.heads SET version = version + 1 WHERE dataset = %s", [number])
        self.touched.add(number)

    def count(self, number: int) -> int:
        """Count a dataset's rows in the latest state."""
        query = SQL("SELECT count(*) FROM kept.{}").format(Identifier(f"dataset_{number}"))
        with self._owning() as db:
            return int(_rows(db.execute(query))[0][0])

    def largest(self, number: int, column: str) -> int:
        """Return the largest value of a column of whole numbers; -1 for a dataset without rows."""
        query = SQL("SELECT max({}) FROM kept.{}")
        with self._owning() as db:
            found = db.execute(query.format(Identifier(column), Identifier(f"dataset_{number}")))
            ((largest,),) = _rows(found)
        return -1 if largest is None else int(largest)

    def insert(self, number: int, query: str, change: Any) -> str:
        """Add the rows of a query as one change; return the new state."""
        with self._owning() as db:
            schema.insert_query(db, SQL("public"), self.datasets[number], query)
            return self._commit(db, change)[number]

    def _latest(self, dataset: Dataset, most: int) -> list[tuple[Any, ...]]:
        shape = Identifier(dataset.geometry_column) if dataset.geometry_column else SQL("NULL")
        query = SQL('SELECT amigo_id, {} FROM kept.{} WHERE "#since" = {} LIMIT {}').format(
            shape, Identifier(dataset.table), Literal(len(dataset.states) - 1), Literal(most)
        )
        with self._owning() as db:
            return _rows(db.execute(query))

    def revert(self, number: int, state: str, change: Any) -> None:
        """Restore an earlier state's rows of a dataset, in a new state."""
        dataset = self.datasets[number]
        parts = {
            "table": Identifier(dataset.table),
            "names": schema.names_of(dataset.columns),
            "setting": Literal(schema.setting_of(number)),
            "version": Literal(str(dataset.states.index(state))),
        }
        # The rows that are deleted first are those of the earlier state still, kept in the table of old ones.
        script = SQL(
            "SELECT set_config({setting}, {version}, true); DELETE FROM public.{table};"
            " INSERT INTO public.{table} ({names}) SELECT {names} FROM past.{table}"
        )
        with self._owning() as db:
            with db.transaction():
                db.execute(script.format(**parts))
            self._commit(db, change)

    @contextmanager
    def _owning(self) -> Iterator[psycopg.Connection[Any]]:
        """Yield the owner's connection, alone; raise what the database refuses as ``SqlError``."""
        with self.lock:
            try:
                yield self.database.owner()
            except psycopg.Error as error:
                raise SqlError(errors.message(error)) from error

    # -- reading

    def select(
        self,
        sql: str,
        limit: int,
        offset: int,
        at: At | None = None,
        *,
        shuffled: bool = False,
        seconds: float | None = None,
    ) -> Page:
        """Run a query, see :meth:`Store.select`."""
        is_report = dialect.report_of(sql) is not None
        if shuffled and not is_report:
            sql = f"SELECT * FROM ({dialect.stripped(sql)}\n) AS shuffled ORDER BY random()"
        with self.lock, self._session("READ ONLY", seconds, at) as db:
            if is_report:
                page = self._page(_extended(db, sql), db)
                return Page(page.columns, page.rows, len(page.rows))
            _extended(db, f"DECLARE {_CURSOR} NO SCROLL CURSOR FOR {sql}")
            return self._fetch(db, (sql, at, self.writes), limit, offset)

    def _fetch(self, db: psycopg.Connection[Any], key: tuple[str, Any, int], limit: int, offset: int) -> Page:
        """Return a page of the open cursor; count the rows unless they were counted before."""
        most = "ALL" if limit < 0 else str(limit)
        # A FETCH of no rows would read the current row again.
        passed = _moved(db.execute(f"MOVE FORWARD {offset} IN {_CURSOR}")) if offset and limit else 0
        page = self._page(_extended(db, f"FETCH FORWARD {most} FROM {_CURSOR}"), db)
        if key not in self._counts:
            if len(self._counts) > 200:
                self._counts.clear()
            rest = _moved(db.execute(f"MOVE FORWARD ALL IN {_CURSOR}"))
            self._counts[key] = passed + len(page.rows) + rest
        return Page(page.columns, page.rows, self._counts[key])

    def _page(self, result: pq.abc.PGresult, db: psycopg.Connection[Any]) -> Page:
        columns, rows = values.read(result, db, self.database.geometry)
        names = [column["name"] for column in columns]
        # Of two columns of one name, a row holds the last one.
        return Page(columns, [dict(zip(names, row, strict=True)) for row in rows], len(rows))

    @contextmanager
    def _session(
        self, mode: str, seconds: float | None, at: At | None = None
    ) -> Iterator[psycopg.Connection[Any]]:
        """Yield the users' connection in a transaction, which ends with the block.

        :param mode: ``READ ONLY`` or ``READ WRITE``; what only reads is rolled back.
        """
        version = self._version(at)
        settings = {
            "statement_timeout": str(int((seconds or 0) * 1000) or int(seconds is not None)),
            "cursor_tuple_fraction": "1.0",
            "sandbox.ahead": str(self._ahead()),
            # The catalogue comes last, so that now() is the sandbox's.
            "search_path": "public, pg_catalog" if version is None else "past, public, pg_catalog",
        }
        if at and version is not None:
            settings[schema.setting_of(at[0])] = str(version)
        listed = "".join(f"; SET LOCAL {name} TO {_setting(name, text)}" for name, text in settings.items())
        db = self.database.user()
        try:
            db.execute(f"RESET ALL; BEGIN {mode}{listed}")
            yield db
            _finish(db, "COMMIT" if mode == "READ WRITE" else "ROLLBACK")
        except psycopg.Error as error:
            raise SqlError(errors.message(error)) from error
        finally:
            if not db.closed and db.pgconn.transaction_status != pq.TransactionStatus.IDLE:
                _finish(db, "ROLLBACK")

    # -- writing

    def write(
        self, sql: str, parameters: Sequence[Any] = (), change: Any = None, *, seconds: float | None = None
    ) -> tuple[int, dict[int, str]]:
        """Run an INSERT, UPDATE or DELETE, see :meth:`Store.write`."""
        with self.lock:
            with self._session("READ WRITE", seconds) as db:
                affected = _run(db, sql, parameters)
            with self._owning() as owner:
                return affected, self._commit(owner, sql if change is None else change)

    def transaction(self, statements: Iterable[Statement], change: Any = None) -> dict[int, str]:
        """Run several statements as one change, in one new state: all of them, or none."""
        with self.lock:
            with self._session("READ WRITE", None) as db:
                for sql, group in groupby(statements, key=lambda statement: statement[0]):
                    _run_all(db, sql, [parameters for _, parameters in group])
            with self._owning() as owner:
                return self._commit(owner, change)

    def _commit(self, owner: psycopg.Connection[Any], change: Any) -> dict[int, str]:
        """Add a state to each dataset whose triggers have noted a change."""
        found = owner.execute(
            "UPDATE kept.heads SET version = version + 1, changed = false WHERE changed RETURNING dataset"
        )
        changed = [number for (number,) in _rows(found)]
        self.touched.update(changed)
        return self._new_states(changed, change)


def _given(row: Mapping[str, Any], new: Callable[[], str]) -> Any:
    return row["amigo_id"] if row.get("amigo_id") is not None else new()


def _rows(cursor: psycopg.Cursor[Any]) -> list[tuple[Any, ...]]:
    cursor.row_factory = tuple_row
    return cursor.fetchall()


def _setting(name: str, text: str) -> str:
    """Return a setting's value in SQL; a list of schemas is not quoted as a whole."""
    return text if name == "search_path" else f"'{text}'"


def _extended(db: psycopg.Connection[Any], sql: str) -> pq.abc.PGresult:
    """Run one statement by the extended protocol, which takes no second one after a semicolon."""
    try:
        raw = sql.encode()
    except UnicodeEncodeError:
        raise SqlError('invalid byte sequence for encoding "UTF8"') from None
    if b"\0" in raw:
        raise SqlError('invalid byte sequence for encoding "UTF8": 0x00')
    result = db.pgconn.exec_params(raw, None)
    if result.status not in {pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK}:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise error_from_result(result)
        raise SqlError("only statements that read or change rows are supported")
    return result


def _run_all(db: psycopg.Connection[Any], sql: str, rows: Sequence[Sequence[Any]]) -> None:
    """Run a statement once for each row of parameters, without a wait for each reply."""
    if len(rows) == 1:
        _run(db, sql, rows[0])
        return
    with db.cursor() as cursor:
        cursor.executemany(_with_marks(sql), rows)


def _run(db: psycopg.Connection[Any], sql: str, parameters: Sequence[Any]) -> int:
    """Run a statement that writes; return the number of rows."""
    if not parameters:
        return _extended(db, sql).command_tuples or 0
    return max(0, db.execute(_with_marks(sql), parameters).rowcount)


def _with_marks(sql: str) -> str:
    """Return a statement with the driver's marks of parameters in place of ``?``."""
    parts = (
        text.replace("%", "%%") if is_literal else text.replace("%", "%%").replace("?", "%s")
        for is_literal, text in dialect.pieces(sql)
    )
    return "".join(parts)


def _moved(cursor: psycopg.Cursor[Any]) -> int:
    return int((cursor.statusmessage or "MOVE 0").split()[1])


def _finish(db: psycopg.Connection[Any], command: str) -> None:
    """End a transaction, also one that has failed or whose connection is lost."""
    result = db.pgconn.exec_(command.encode())
    if result.status == pq.ExecStatus.FATAL_ERROR and command == "COMMIT":
        raise error_from_result(result)
