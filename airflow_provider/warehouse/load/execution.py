"""Load: stage, check, write, record and commit in one transaction; find out what a lost commit did."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from airflow_provider.core.state.pauses import TaskPauses
from airflow_provider.errors import AmbiguousWriteError, InputError, ProviderError, TransportError
from airflow_provider.warehouse.load.checks import (
    key_problems,
    known_key_problems,
    merged_problems,
    name_problems,
    shrink_problem,
    staged_problems,
    written_problems,
)
from airflow_provider.warehouse.load.columns.names import TableName, find_name
from airflow_provider.warehouse.load.columns.rows import SourceColumn
from airflow_provider.warehouse.load.columns.target import Pair, TargetColumn, name_columns, pair_columns
from airflow_provider.warehouse.load.databases.base import (
    BrokenWrite,
    Counts,
    Database,
    LedgerEntry,
    not_taken,
)
from airflow_provider.warehouse.load.request import LoadRequest
from airflow_provider.warehouse.load.source.reading import Source

RECONNECT_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
"""Waits before the attempts to find out whether a commit without an answer took place."""

_PROGRESS_SECONDS = 10.0


_MAX_ID = 400
"""Maximum characters of an id in the ledger."""


def ledger_id(load_id: str, table: TableName, mode: str) -> str:
    """Return the id of a load in the ledger of its table's schema: one for each table and mode.

    :param load_id: id of the task instance.
    :param table: the table's name as the database has it.
    :param mode: the load's mode.
    """
    found = f"{load_id}/{table[-1]}/{mode}"
    if len(found) <= _MAX_ID:
        return found
    digest = hashlib.sha256(found.encode()).hexdigest()
    return f"{found[: _MAX_ID - len(digest) - 1]}/{digest}"


class Result(NamedTuple):
    """Result of a load.

    :param already_loaded: whether an earlier attempt had loaded the same rows, so that none were written.
    :param path: the table's path in lineage; empty for none.
    """

    rows: int
    counts: Counts
    already_loaded: bool = False
    path: str = ""


class Load:
    """One load of a source into a table.

    :param request: what is loaded where.
    :param load_id: id of the task instance.
    :param new_database: returns the database, not connected.
    :param log: receives the lines.
    """

    def __init__(
        self, request: LoadRequest, load_id: str, new_database: Callable[[], Database], log: logging.Logger
    ) -> None:
        self._request = request
        self._load_id = load_id
        self._ledger_id = load_id
        self._new_database = new_database
        self._log = log
        self._pairs: list[Pair] = []
        self._key: list[str] = []
        self._table = request.parts
        self._progress_at = time.monotonic()

    def run(self, source: Source) -> Result:
        """Load the source, and return what was done.

        :param source: the open source.
        :raises InputError: for rows or a table that do not fit; nothing was changed.
        :raises ProviderError: when the database fails; nothing was changed.
        :raises AmbiguousWriteError: when it is not known whether the commit took place.
        """
        database = self._new_database()
        try:
            self._connect(database)
            return self._load(database, source)
        except (ProviderError, ImportError):
            raise
        except Exception as error:
            clean = database.explained(error, source)
            if clean is error:
                raise
            raise clean from None
        finally:
            database.close()

    def _connect(self, database: Database) -> None:
        try:
            database.open()
        except Exception as error:
            clean = database.explained(error)
            if clean is error:
                raise
            if isinstance(clean, TransportError):
                raise TransportError(f"no connection to the database: {clean.reason}") from None
            raise clean from None

    def _load(self, database: Database, source: Source) -> Result:
        TaskPauses.here()
        request, started = self._request, time.monotonic()
        self._table = database.resolve(request.parts, request.table)
        self._ledger_id = ledger_id(self._load_id, self._table, request.mode)
        self._match(database, source)
        self._raise(database.table_problems(self._table, request.mode), "the table")
        ledger = database.ledger_of(self._table)
        database.prepare_ledger(ledger)
        if done := self._already(database, ledger, source):
            return done
        # Finding equal keys takes a fifth of a load's time, which an index of the table saves.
        has_index = request.mode != "merge" and database.keeps_unique(self._table, self._key)
        counts = self._write_directly(database, source) if has_index or not self._key else None
        if counts is None:
            self._stage(database, source)
            problems = [] if has_index else key_problems(database, source, self._key)
            self._raise([*problems, *staged_problems(database, source, self._pairs)])
        database.lock(self._table)
        if done := self._already(database, ledger, source):
            return done
        counts = counts or self._write_or_explain(database, source)
        moment = datetime.now(UTC).isoformat(timespec="microseconds")
        entry = LedgerEntry(source.rows, self._content(source), moment)
        if request.mode == "replace":  # It has deleted what an append of this task had loaded.
            database.forget_load(ledger, ledger_id(self._load_id, self._table, "append"))
        database.record_load(ledger, self._ledger_id, entry)
        path = database.path_of(self._table)
        TaskPauses.here().rest(self._log)
        self._commit(database, ledger, entry)
        self._log.info(
            "Loaded %d rows into %s (%s): %d inserted, %d updated, %d deleted, %d unchanged, in %.1f s",
            *(source.rows, request.table, request.mode, *counts, time.monotonic() - started),
        )
        return Result(source.rows, counts, path=path)

    def _match(self, database: Database, source: Source) -> None:
        """Find the table's columns that the source's columns fill; create the table where that is wanted."""
        request = self._request
        named, problems = name_columns(source.columns, request.options)
        targets = database.columns_of(self._table)
        if targets is None and request.create:
            database.lock(self._table)  # Another task may be about to create it.
            targets = database.columns_of(self._table)
        if targets is None:
            if not request.create:
                raise InputError(
                    f"there is no table '{request.table}'; create it, or set create=True", "table"
                )
            self._raise(problems)
            self._create_table(database, named)
            targets = database.columns_of(self._table) or []
        if not source.columns:
            self._raise([f"has {source.rows} rows without any field"] if source.rows else [])
            # A file without rows and header says nothing of columns.
            self._key = list(request.key)
            return
        self._pairs, new, wrong = pair_columns(named, targets, request.key)
        found = [*problems, *self._new_columns(database, new, targets), *wrong]
        if not self._pairs and not found:
            found = ["fills no column of the table: see 'ignore' and 'columns'"]
        self._raise(list(dict.fromkeys(found)))
        filled = [pair.target.name for pair in self._pairs]
        self._key = [find_name(one, filled) or one for one in request.key]

    def _create_table(self, database: Database, named: Sequence[tuple[SourceColumn, str]]) -> None:
        """Create the table from the source's columns.

        :param named: the columns with their names in the table.
        """
        kept = [(column, name) for column, name in named if not column.optional]
        names = [name for _, name in kept]
        if not names:
            raise InputError("has no columns to create a table from", "the source")
        key = [find_name(one, names) or one for one in self._request.key]
        problems = [f"the key column {one!r} is not in the source" for one in key if one not in names]
        self._raise([*problems, *name_problems(database, names)])
        columns = [(name, database.type_for(column)) for column, name in kept]
        database.create_table(self._table, columns, key)
        self._log.info("Creating the table %s with %d columns", self._request.table, len(columns))

    def _new_columns(
        self, database: Database, new: Sequence[Any], targets: Sequence[TargetColumn]
    ) -> list[str]:
        """Return the problems of columns that the table lacks, each with the statement that adds it."""
        from airflow_provider.core.input.problems import nearest

        if long := name_problems(database, [name for _, name in new]):
            return long
        table = database.quotes.table(self._table)
        return [
            f"the table has no column {name!r}{nearest(name, [one.name for one in targets])}; put"
            f" {column.name!r} into 'ignore', or run: ALTER TABLE {table} ADD COLUMN"
            f" {database.quotes.name(name)} {database.type_for(column)};"
            for column, name in new
        ]

    @staticmethod
    def _raise(problems: Sequence[str], where: str = "the source") -> None:
        if problems:
            raise InputError(problems, where) from None

    def _already(self, database: Database, ledger: TableName, source: Source) -> Result | None:
        """Return the result of an append that was committed before; None for a load that is still to do."""
        if self._request.mode != "append":
            return None
        found = database.find_load(ledger, self._ledger_id)
        if found is None:
            return None
        if found.sha256 != self._content(source):
            same = found.sha256.partition(":")[0] == source.sha256
            what = "this content with other 'columns', 'ignore' or the like" if same else "other content"
            raise InputError(
                f"this task has appended {what} ({found.rows} rows, at {found.loaded_at}) under the"
                f" same id {self._ledger_id!r}, so rows might be there twice; load with mode='merge', or"
                f" remove those rows and the id from {'.'.join(ledger)}",
                "the source",
            )
        self._log.info(
            "Already loaded: %d rows were appended to %s at %s; nothing was written",
            *(found.rows, self._request.table, found.loaded_at),
        )
        return Result(found.rows, Counts(inserted=found.rows), already_loaded=True)

    def _content(self, source: Source) -> str:
        """Return what identifies the rows: the source's hash, and that of how it is read, where given."""
        options = self._request.options
        names = [sorted((options.columns or {}).items()), sorted(options.ignore or ())]
        said = [*names, options.csv_delimiter, options.encoding, options.hive]
        if not any(said):
            return source.sha256
        return f"{source.sha256}:{hashlib.sha256(json.dumps(said).encode()).hexdigest()}"

    def _write_directly(self, database: Database, source: Source) -> Counts | None:
        """Write the rows without the staging table; None when they need it, or when they do not all fit."""
        mode = self._request.mode
        if not self._pairs or mode == "merge":
            return None
        if not database.takes_directly(self._table, self._pairs, mode):
            return None
        if (
            mode == "replace"
        ):  # An append locks after its rows, so that parts of one are written side by side.
            database.lock(self._table)
        database.mark()
        try:
            return self._write(database, source, directly=True)
        except ProviderError:
            raise
        except Exception:  # The rows, staged, say what is wrong with them.
            if not database.undo():
                raise
            self._log.info("Not all rows fit the table: staging them to find which")
            return None

    def _stage(self, database: Database, source: Source) -> None:
        if not self._pairs:
            return
        started = time.monotonic()
        database.create_stage(self._table, self._pairs)
        database.fill_stage(source, self._pairs, self._log_progress)
        staged = database.staged()
        if staged != source.rows:
            raise ProviderError(
                f"the database has staged {staged} rows of {source.rows}; nothing was changed"
            )
        self._log.info("Staged %d rows in %.1f s", staged, time.monotonic() - started)

    def _log_progress(self, rows: int) -> None:
        if time.monotonic() - self._progress_at > _PROGRESS_SECONDS:
            self._progress_at = time.monotonic()
            self._log.info("%d rows sent so far", rows)

    def _write_or_explain(self, database: Database, source: Source) -> Counts:
        """Write the rows; when the table refuses some, name their keys, or else the rows."""
        database.mark()
        try:
            return self._write(database, source)
        except ProviderError:
            raise
        except Exception as error:
            if database.undo():
                self._raise(self._refused_rows(database, error, source))
            raise

    def _refused_rows(self, database: Database, error: Exception, source: Source) -> list[str]:
        mode, problems = self._request.mode, []
        if self._key:
            problems = key_problems(database, source, self._key)
            if mode == "append":
                problems += known_key_problems(database, self._table, self._key)
        filled = [pair.target.name for pair in self._pairs]
        write = BrokenWrite(database.quotes.table(self._table), mode, self._key, filled)
        return problems or database.constraint_problems(error, source, write)

    def _write(self, database: Database, source: Source, directly: bool = False) -> Counts:
        request = self._request
        shrunk = shrink_problem(database, self._table, request, source.rows)
        if shrunk:
            raise InputError(shrunk, "the source")
        before = database.count(self._table) if database.may_skip else 0
        if request.mode == "merge":
            counts = self._merge(database, source)
        else:
            counts = self._insert(database, source, directly)
        if database.may_skip:
            lost = before - counts.deleted + counts.inserted - database.count(self._table)
            self._raise([not_taken(lost, "kept")] if lost else [], "the table")
        return counts

    def _merge(self, database: Database, source: Source) -> Counts:
        if not self._pairs:
            return Counts()
        updated = database.update_changed(self._table, self._pairs, self._key)
        inserted = database.insert_new(self._table, self._pairs, self._key)
        self._raise(merged_problems(database, self._table, self._key, source.rows), "the table")
        return Counts(inserted, updated, 0, source.rows - inserted - updated)

    def _insert(self, database: Database, source: Source, directly: bool) -> Counts:
        deleted = 0
        if self._request.mode == "replace":
            deleted = database.changed(f"DELETE FROM {database.rows_of(self._table)}")
            if left := database.count(self._table):
                raise InputError(not_taken(left, "deleted"), "the table")
        if directly:
            inserted = database.insert_directly(self._table, source, self._pairs, self._log_progress)
        else:
            inserted = database.insert_all(self._table, self._pairs) if self._pairs else 0
        self._raise(written_problems(inserted, source.rows), "the table")
        return Counts(inserted, 0, deleted, 0)

    def _commit(self, database: Database, ledger: TableName, entry: LedgerEntry) -> None:
        try:
            database.commit()
        except Exception as error:
            if not database.has_no_answer(error):
                raise
            self._log.warning("The database did not answer the commit: looking it up in the ledger")
            database.close()
            if not self._was_committed(ledger, entry):
                raise TransportError(
                    "the connection broke before the commit; the table is as it was, a retry loads again"
                ) from None
            self._log.info("The ledger has the load: the commit took place")

    def _was_committed(self, ledger: TableName, entry: LedgerEntry) -> bool:
        """Return whether the ledger has this very load, once no other transaction can add it.

        :raises AmbiguousWriteError: when the database stays out of reach.
        """
        reason = ""
        for seconds in RECONNECT_SECONDS:
            time.sleep(seconds)
            database = self._new_database()
            try:
                database.open()
                # The old transaction holds this lock for as long as it may still commit.
                database.lock(self._table)
                there = database.columns_of(ledger) is not None
                found = database.find_load(ledger, self._ledger_id) if there else None
            except Exception as error:  # Drivers raise errors of any class.
                reason = str(database.explained(error))
                continue
            finally:
                database.close()
            return found is not None and found.loaded_at == entry.loaded_at
        raise AmbiguousWriteError(
            f"the rows were sent to {self._request.table}, the commit had no answer, and the database is out"
            f" of reach; a retry is safe: it asks the ledger {'.'.join(ledger)} for {self._ledger_id!r}",
            reason,
        ) from None
