"""Sync: read, match, plan, check limits, execute and verify."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.files.reader import open_source
from airflow_provider.core.files.row_source import NO_OPTIONS, RowOptions, subject_of
from airflow_provider.core.json_types import Json
from airflow_provider.core.sync.failures import report_failed
from airflow_provider.core.sync.garbage import collector_paused
from airflow_provider.core.sync.page import page_path
from airflow_provider.core.sync.summary import PlanSummary
from airflow_provider.errors import InputError, PlanRejectedError, shorten
from airflow_provider.mapsindoors.geodata.snapshot import SolutionSnapshot
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.mapsindoors.plan import restore
from airflow_provider.mapsindoors.plan.desired import (
    DesiredRow,
    match_rows,
    raise_for_rows,
    read_defaults,
    read_desired_rows,
    read_snapshot,
    set_languages,
)
from airflow_provider.mapsindoors.plan.document import Plan
from airflow_provider.mapsindoors.plan.guards import Guards, reject_altered, reject_drifted
from airflow_provider.mapsindoors.plan.html import render_page, summarize
from airflow_provider.mapsindoors.plan.moves import needs_of_deletions
from airflow_provider.mapsindoors.plan.planner import comparable_ids, make_plan
from airflow_provider.mapsindoors.plan.resolution import Rules, resolve_references
from airflow_provider.mapsindoors.sync.execute import PlanExecution
from airflow_provider.mapsindoors.sync.verify import verify

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


@dataclass
class Sync:
    """The sync of a source with a solution.

    For the parameters see :class:`~airflow_provider.mapsindoors.operators.MapsIndoorsSyncGeodataOperator`;
    ``skip_bad`` is ``on_row_error="skip"``, ``options`` is how rows are read, ``subject`` the argument that
    they come from.
    """

    hook: MapsIndoorsHook
    log: Logger
    match_on: str = "externalId"
    scope: Mapping[str, Any] = field(default_factory=dict)
    defaults: object = None
    subject: str = "source"
    options: RowOptions = NO_OPTIONS
    missing: str = "ignore"
    guards: Guards = field(default_factory=Guards)
    skip_bad: bool = False
    plan_output: str | None = None
    backup: str | None = None
    batch_size: int = 500
    verify: bool = True
    restore: bool = False
    allow_distant: bool = False
    _snapshot: SolutionSnapshot | None = None
    _loaded_from: str = ""

    @collector_paused()
    def make_plan(self, source: object) -> tuple[Plan, int]:
        """Compare a source with the solution and build the plan.

        :param source: see :func:`airflow_provider.mapsindoors.plan.desired.read_desired_rows`.
        :return: the plan, and the number of rows of the source.
        :raises InputError: with all problems of all rows, unless invalid rows are skipped.
        """
        self.subject = subject_of(source, self.subject)
        rows = read_desired_rows(
            source,
            self.subject,
            match_on=self.match_on,
            options=self.options,
            defaults=read_defaults(self.defaults, self.match_on),
            exact=self.restore,
        )
        if self.restore and not rows:
            raise InputError("has no objects, and would restore nothing", self.subject)
        if not self.skip_bad and all(row.problems for row in rows):
            # The map could only add to what is wrong with each row.
            raise_for_rows(rows, self.subject, self.match_on)
        dataset = self.hook.get_dataset()
        snapshot = self._read_snapshot(dataset, rows)
        set_languages(rows, snapshot.base_language, snapshot.languages)
        (restore.match_backup if self.restore else match_rows)(rows, snapshot)
        rules = Rules(self.allow_distant, exact=self.restore, deletes=self.missing == "delete")
        resolve_references(rows, snapshot, rules)
        if not self.skip_bad:
            self._reject_bad_rows(rows, snapshot)
        plan = make_plan(rows, snapshot, self.scope, self.missing, exact=self.restore)
        self._write_plan(plan, snapshot)
        self._snapshot = snapshot
        return plan, len(rows)

    def load_plan(self, path: str) -> Plan:
        """Load a plan from a file, and check that it fits the solution as it is now.

        :param path: path or URL of the plan's JSON.
        :raises PlanRejectedError: when the compared objects changed since, the plan was altered, or it has
            another scope or solution.
        """
        with open_source(path, "plan") as file:
            data = file.read()
        plan = Plan.from_json(data, f"'{path}'")
        if self.scope and dict(self.scope) != plan.scope:
            raise PlanRejectedError(f"the plan '{path}' is for another scope, {plan.scope}")
        self.match_on, self.scope = plan.match_on, plan.scope
        dataset = self.hook.get_dataset()
        if dataset["id"] != plan.dataset:
            raise PlanRejectedError(f"the plan '{path}' is for another solution, {plan.dataset}")
        snapshot = self._read_snapshot(dataset, [])
        reject_drifted(plan, snapshot, f"'{path}'")
        reject_altered(plan, snapshot, f"'{path}'")
        plan.reject_other_counts(data, f"'{path}'")
        plan.compared = len(comparable_ids(snapshot))
        self._snapshot, self._loaded_from = snapshot, path
        return plan

    def summary(self, plan: Plan, rows: int | None = None) -> PlanSummary:
        """Return a plan in words, with the limits that it exceeds.

        :param plan: the plan of :meth:`make_plan` or :meth:`load_plan`, before it is applied.
        :param rows: number of rows of the source; None when the plan was loaded from a file.
        """
        if self._snapshot is None:
            raise ValueError("make or load a plan first")
        return summarize(plan, self._snapshot, self.guards.violations(plan, self._snapshot, rows))

    def apply(self, plan: Plan, rows: int | None = None) -> PlanExecution:
        """Check the limits, write the backup, execute the plan and verify the result.

        :param plan: the plan of :meth:`make_plan` or :meth:`load_plan`.
        :param rows: number of rows of the source; None when the plan was loaded from a file.
        :return: the execution, with the written and the rejected changes.
        :raises PlanRejectedError: when the plan exceeds a limit; nothing was written.
        :raises RequestRejectedError: when the service rejects rows, unless invalid rows are skipped.
        :raises VerificationError: when the map does not show the written changes.
        """
        snapshot, self._snapshot = self._snapshot, None  # Free its memory before the writes.
        if snapshot is None:
            raise ValueError("make or load a plan first; a plan is applied once")
        self.guards.check(plan, snapshot, rows)
        execution = PlanExecution(
            self.hook,
            plan,
            batch_size=self.batch_size,
            log=self.log,
            known=frozenset(snapshot.by_id),
            needs=needs_of_deletions(plan, snapshot),
        )
        if not plan.changes:
            return execution
        if self.backup:
            self._write_backup(self.backup, snapshot)
        del snapshot
        try:
            execution.run(skip_bad=self.skip_bad)
        finally:
            refused = execution.failed
            plan.failed += [
                {"row": change.row, "key": change.key, "reasons": [problem]} for change, problem in refused
            ]
        if self.verify:
            verify(self.hook, execution.written, plan.match_on)
        return execution

    def report_failed(self, plan: Plan) -> None:
        """Report the rows that are left out, with reasons: in a file beside the plan, or else in the log."""
        report_failed(plan.failed, len(plan.failed), self.plan_output or self._loaded_from, self.log)

    def _read_snapshot(self, dataset: Json, rows: list[DesiredRow]) -> SolutionSnapshot:
        return read_snapshot(self.hook, dataset, rows, self.match_on, self.scope)

    def _reject_bad_rows(self, rows: list[DesiredRow], snapshot: SolutionSnapshot) -> None:
        problems = []
        # Without removals, only the objects that rows are about matter, which match_rows checks.
        if self.missing != "ignore":
            about = {row.key for row in rows}
            problems = [
                f"{self.match_on} {key!r} is that of {len(ids)} objects: {', '.join(shorten(ids, 5))}"
                for key, ids in snapshot.duplicate_keys().items()
                if key not in about
            ]
        raise_for_rows(rows, self.subject, self.match_on, problems)

    def _write_plan(self, plan: Plan, snapshot: SolutionSnapshot) -> None:
        if self.plan_output:
            with AtomicFile(self.plan_output) as out:
                out.write(plan.to_json())
            with AtomicFile(page_path(self.plan_output)) as out:
                out.write(render_page(plan, snapshot).encode())
            self.log.info(
                "The plan is in %s; the task's link 'Plan', under Details, opens its page", self.plan_output
            )

    @staticmethod
    def _write_backup(path: str, snapshot: SolutionSnapshot) -> None:
        import msgspec

        encode = msgspec.json.Encoder().encode
        with AtomicFile(path) as out:
            for item in snapshot.by_id.values():
                out.write(encode(item) + b"\n")
