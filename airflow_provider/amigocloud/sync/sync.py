"""Sync: read, compare, plan, check limits, execute and verify."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider.amigocloud.export.fixed_state import FixedState
from airflow_provider.amigocloud.export.keyset import no_key_problem
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.pagination import Column
from airflow_provider.amigocloud.sync import execute
from airflow_provider.amigocloud.sync.compare import Comparison
from airflow_provider.amigocloud.sync.document import PlanHead, document_parts, load, sign
from airflow_provider.amigocloud.sync.execute import READ_DELAYS, Execution, JobWait, WriteOptions
from airflow_provider.amigocloud.sync.fields import Schema
from airflow_provider.amigocloud.sync.page import page
from airflow_provider.amigocloud.sync.progress import Progress
from airflow_provider.amigocloud.sync.reading import DatasetReader
from airflow_provider.amigocloud.sync.rows import JsonReader, RowReader, open_rows, store_rows
from airflow_provider.amigocloud.sync.status import CHANGED, StateWatch, StatusCheck
from airflow_provider.amigocloud.sync.store import SyncStore
from airflow_provider.amigocloud.values import KEY
from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.files.reader import open_source
from airflow_provider.core.files.row_source import NO_OPTIONS, RowOptions, is_query, subject_of
from airflow_provider.core.input.problems import Problems, nearest
from airflow_provider.core.sync.limits import UNKNOWN_MISSING, Limits
from airflow_provider.core.sync.page import page_path
from airflow_provider.errors import (
    InputError,
    PlanRejectedError,
    RunFailedError,
    VerificationError,
)

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


@dataclass
class Sync:
    """The sync of a source with a dataset.

    For the parameters see :class:`~airflow_provider.amigocloud.sync.operator.AmigoCloudSyncDatasetOperator`;
    ``skip_bad`` is ``on_row_error="skip"``, ``options`` is how rows are read, ``store`` has rows and changes.
    """

    hook: AmigoCloudHook
    dataset: str
    key: str
    store: SyncStore
    progress: Progress
    log: Logger
    defaults: object = None
    options: RowOptions = NO_OPTIONS
    missing: str = "ignore"
    limits: Limits = field(default_factory=Limits)
    skip_bad: bool = False
    plan_output: str | None = None
    write: WriteOptions = field(default_factory=WriteOptions)
    concurrency: int = 4
    verify: bool = True
    state: str = ""
    _rows: int = 0

    def __post_init__(self) -> None:
        self._reader = DatasetReader(self.hook, self.dataset, self.concurrency)

    # -- plans

    def make_plan(self, source: object) -> tuple[PlanHead, int]:
        """Compare a source with the dataset, and build the plan.

        :param source: see :class:`~airflow_provider.core.files.row_operator.RowOperator`.
        :return: the plan, and the number of rows of the source.
        :raises InputError: with all problems of all rows, unless invalid rows are skipped.
        """
        subject, json = subject_of(source, "source"), JsonReader()
        # The first rows of a list or a file are read before any request; a query has been run already.
        rows = None if is_query(source) else open_rows(source, subject, self.options, (), json)
        schema = self._read_schema()
        rows = open_rows(source, subject, self.options, schema.fields, json) if rows is None else rows
        problems = Problems(subject)
        reader = RowReader(schema, self.key, self.defaults, json)
        count = store_rows(rows, reader, self.store, self.dataset, problems)
        schema.note_floats(reader.floats)
        if not self.skip_bad:
            problems.raise_if_any()
        self._await_earlier_job()
        comparison = Comparison(self.store, schema, self.key, self.missing, problems)
        return self._compared(comparison, schema, problems), count

    def make_restore_plan(self, state: str) -> PlanHead:
        """Compare an earlier state of the dataset with the latest one, and build the plan to restore it.

        :param state: hash of the earlier state.
        :raises PlanRejectedError: when the service cannot read that state.
        """
        schema = self._read_schema()
        self._await_earlier_job()
        fixed = FixedState(self.hook, int(self.dataset), state, _no_state(state))
        fixed.check()
        for rows in self._reader.all_rows(fixed):
            with self.store.transaction():
                for row in rows:
                    body = {name: value for name, value in row.items() if name != KEY}
                    self.store.add_wanted(str(row[KEY]), 0, None, str(row[KEY]), body, has_problem=False)
        problems = Problems("state")
        comparison = Comparison(self.store, schema, KEY, "delete", problems)
        return self._compared(comparison, schema, problems, state)

    def load_plan(self, path: str) -> PlanHead:
        """Load a plan from a file.

        :param path: path or URL of the plan's JSON.
        :raises PlanRejectedError: when the plan was altered, or is for another dataset or key.
        """
        with open_source(path, "plan") as file:
            head = load(file.read(), f"'{path}'", self.store)
        if head.dataset != self.dataset:
            raise PlanRejectedError(f"the plan '{path}' is for another dataset, {head.dataset}")
        if head.key != self.key and not head.restores:
            raise PlanRejectedError(f"the plan '{path}' is by another key, {head.key}")
        known = self._read_schema().fields
        if gone := sorted(
            {name for _, change in self.store.changes() for name in change.body} - {*known, KEY}
        ):
            raise PlanRejectedError(
                f"the dataset was changed since the plan '{path}' was made: it has no field"
                f" {', '.join(map(repr, gone))} any more. Nothing was written; make a new plan"
            )
        self._await_earlier_job()
        self._rows = head.compared
        return head

    def _read_schema(self) -> Schema:
        schema = Schema(self.hook.get_schema(self.dataset))
        self._schema = self._reader.schema = schema
        if self.key not in schema.fields:
            raise InputError(
                f"the dataset has no field {self.key!r}{nearest(self.key, schema.fields)}; it has"
                f" {', '.join(schema.fields)}",
                "key",
            )
        known = schema.fields[self.key]
        if problem := no_key_problem([Column(known.name, known.type)], self.key):
            raise InputError(problem, "key")
        return schema

    def _await_earlier_job(self) -> None:
        """Wait for the job that an earlier attempt has left under way, and tell what it has done."""
        self.progress.log_earlier()
        if self.progress.job is None:
            return
        try:
            JobWait(self.hook, self.write, self.log).ended(self.progress.job)
        except RunFailedError as error:
            self.log.warning("The job of the earlier attempt has failed: %s", error)
        self.progress.ended({})

    def _compared(
        self, comparison: Comparison, schema: Schema, problems: Problems, restores: str = ""
    ) -> PlanHead:
        for rows in self._reader.all_rows():
            comparison.add(rows)
        state = self._reader.state or self.hook.get_master(self.dataset)
        self._rows = self._reader.rows
        comparison.finish(self.dataset, lambda ids: self._existing(state, ids))
        if doubled := list(comparison.duplicates()):
            raise InputError([*problems.lines(), *doubled], problems.where)
        if not self.skip_bad:
            problems.raise_if_any()
        if comparison.keyless:
            self.log.info(
                "%d of %d rows of the dataset have no %s; they are not changed",
                comparison.keyless,
                self._rows,
                self.key,
            )
        key = KEY if restores else self.key
        head = PlanHead(
            dataset=self.dataset,
            key=key,
            state=state,
            compared=comparison.compared,
            unchanged=comparison.unchanged,
            restores=restores,
        )
        sign(head, self.store)
        self._write_plan(head, schema)
        return head

    def _existing(self, state: str, ids: Sequence[str]) -> list[str]:
        return [str(row[KEY]) for rows in self._reader.some_rows(state, ids, (), KEY) for row in rows]

    def _write_plan(self, head: PlanHead, schema: Schema) -> None:
        if not self.plan_output:
            return
        for path, parts in (
            (self.plan_output, document_parts(head, self.store)),
            (page_path(self.plan_output), page(head, self.store, schema)),
        ):
            with AtomicFile(path) as out:
                for part in parts:
                    out.write(part)
        self.log.info("The plan is in %s, its page in %s", self.plan_output, page_path(self.plan_output))

    # -- writes

    def apply(self, head: PlanHead, rows: int | None = None) -> None:
        """Check the limits, and whether the plan's rows have changed; execute it, and verify.

        :param head: the plan of :meth:`make_plan`, :meth:`make_restore_plan` or :meth:`load_plan`.
        :param rows: number of rows of the source; None when there is none.
        :raises PlanRejectedError: when the plan exceeds a limit, or the dataset was changed.
        :raises RequestRejectedError: when the service rejects rows, unless invalid rows are skipped.
        :raises VerificationError: when the dataset does not show the written changes.
        """
        self._check_limits(head, rows)
        self.state = head.state
        if not self.store.count("changes"):
            return
        status = StatusCheck(self._reader, self.store, self._schema, head.key, self._rows)
        state = self._reject_drifted(head, status)
        if head.restores:
            self._revert(head.restores, status)
        else:
            watch = StateWatch(self.hook, self.dataset, state)
            execution = Execution(self.hook, watch, self.store, status, self.write, self.progress, self.log)
            execution.run(skip_bad=self.skip_bad)
        self.state = self.hook.get_master(self.dataset)
        if self.verify:
            self._verify(status)

    def done(self) -> dict[str, int]:
        """Return the number of written changes by operation."""
        return self.store.counts("batch > 0 AND status = 'done'")

    def done_before(self) -> int:
        """Return the number of rows that were as planned before the first write."""
        return self.store.count("changes", "batch = 0 AND status = 'done' AND operation <> 'delete'")

    def _check_limits(self, head: PlanHead, rows: int | None) -> None:
        counts = self.store.counts()
        deletes = counts["delete"]
        wrong = self.limits.exceeded(
            changes=sum(counts.values()),
            deletes=deletes,
            removals=deletes,
            compared=head.compared,
            removed="rows would go",
        )
        if wrong and deletes and rows == 0:
            wrong.append("the source is empty")
        if deletes and self.store.count("failed", "key = ''"):
            wrong.append(UNKNOWN_MISSING)
        if wrong:
            raise PlanRejectedError("; ".join(wrong))

    def _reject_drifted(self, head: PlanHead, status: StatusCheck) -> str:
        """Read the status of all changes, unless the dataset is still in the state of the plan.

        :return: hash of the state that was read.
        """
        if (state := self.hook.get_master(self.dataset)) == head.state:
            self.store.db.execute("UPDATE changes SET status = 'before'")
            return state
        self.log.info("The dataset was changed since it was compared; reading what the plan is about")
        status.read(state, is_written=False)
        if count := self.store.count("changes", CHANGED):
            raise PlanRejectedError(
                f"the dataset was changed since the plan was made, in {count} rows of the plan:"
                f" {'; '.join(status.first(CHANGED, count))}. Nothing was written; make a new plan, or retry"
                " the task"
            )
        if head.restores and self.store.count("changes", "status <> 'done'"):
            raise PlanRejectedError(
                f"the dataset was changed since the plan was made: it is in state {state}, the plan is for"
                f" state {head.state}. To restore would revert changes that the plan does not show."
                " Nothing was written; make a new plan, or retry the task"
            )
        if done := self.store.count("changes", "status = 'done'"):
            self.log.info(
                "%d changes of the plan are done already, by an earlier attempt or another client", done
            )
        return state

    def _revert(self, state: str, status: StatusCheck) -> None:
        where = "status = 'before'"
        if not self.store.count("changes", where):
            return
        self.store.db.execute(f"UPDATE changes SET batch = 1 WHERE {where}")  # noqa: S608
        jobs = JobWait(self.hook, self.write, self.log)
        job = self.hook.revert(self.dataset, state)
        self.progress.started(job)
        if not jobs.ended(job):
            jobs.until(lambda: self._is_done(status), "the dataset did not show the restored state")
        self.progress.ended(self.store.counts("batch = 1"))
        self.store.db.execute("UPDATE changes SET status = 'done' WHERE batch = 1")

    def _is_done(self, status: StatusCheck) -> bool:
        status.read(self.hook.get_master(self.dataset), "batch > 0")
        return not self.store.count("changes", "batch > 0 AND (status <> 'done' OR other <> '')")

    def _verify(self, status: StatusCheck) -> None:
        for delay in READ_DELAYS:
            execute.wait(delay)
            self.state = self.hook.get_master(self.dataset)
            if self._is_done(status):
                return
        wrong = "batch > 0 AND (status <> 'done' OR other <> '')"
        raise VerificationError(list(status.describe(wrong)))


def _no_state(state: str) -> Any:
    return lambda reason: PlanRejectedError(f"the state {state} cannot be restored: {reason}")
