"""Sync: read, compare, plan, check limits, execute and verify."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.files.reader import open_source
from airflow_provider.core.files.row_source import RowOptions
from airflow_provider.core.sync.document import counts_in_words
from airflow_provider.core.sync.limits import UNKNOWN_MISSING, Limits
from airflow_provider.core.sync.page import page_path
from airflow_provider.core.sync.summary import PlanSummary
from airflow_provider.errors import PlanRejectedError, one_line, shorten
from airflow_provider.iotstudio.sync.compare import Comparison, Fleet, list_fleet
from airflow_provider.iotstudio.sync.document import Change, Plan, description_hash
from airflow_provider.iotstudio.sync.execute import PlanExecution
from airflow_provider.iotstudio.sync.page import page, summarize
from airflow_provider.iotstudio.sync.rows import RowReader
from airflow_provider.iotstudio.things.write import same_field

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

    from airflow_provider.core.json_types import Json
    from airflow_provider.iotstudio.hooks import IoTStudioHook

LATE_SECONDS = 2.0
"""Seconds before a retry reads the Things: a request of the attempt that was killed may still arrive."""


class Sync:
    """A sync of a space's Things with rows.

    :param hook: the space.
    :param log: receives what is planned and left out.
    :param match_on: ``uid`` or ``title``.
    :param category: only Things of this category; None for the whole space.
    :param defaults: fields for rows that do not have them.
    :param missing: ``ignore`` or ``delete``.
    :param limits: the limits of the plan.
    :param skip_bad: whether rows with problems are left out, instead of an error.
    :param plan_output: path of the plan; None for none.
    :param options: how the rows are read.
    :param writing: arguments of :class:`~airflow_provider.iotstudio.sync.execute.PlanExecution`.
    :param is_retry: whether an earlier attempt of the task may have sent requests.
    """

    def __init__(
        self,
        hook: IoTStudioHook,
        log: Logger,
        *,
        match_on: str,
        category: str | None,
        defaults: Mapping[str, Any],
        missing: str,
        limits: Limits,
        skip_bad: bool,
        plan_output: str | None,
        options: RowOptions,
        writing: Mapping[str, Any],
        is_retry: bool,
    ) -> None:
        self._hook = hook
        self._log = log
        self._match_on = match_on
        self._category = category
        self._defaults = defaults
        self._missing = missing
        self._limits = limits
        self._skip_bad = skip_bad
        self._plan_output = plan_output
        self._options = options
        self._writing = writing
        self._is_retry = is_retry
        self._fleet = Fleet()

    # -- planning -------------------------------------------------------------------------------------

    def make_plan(self, source: object) -> tuple[Plan, int]:
        """Compare the rows with the Things, and write the plan; return it and the number of rows.

        :param source: the rows.
        :raises InputError: with the problems of all rows, unless these are left out.
        """
        reader = RowReader(self._match_on, self._category, self._defaults)
        rows = reader.read(source, self._options)
        if not self._skip_bad:
            reader.problems.raise_if_any()
        if rows.left_out:
            left_out = one_line(", ".join(rows.left_out))
            self._log.info("Columns that the service sets are not compared: %s", left_out)
        plan = Plan(self._hook.space, self._match_on, self._category, self._host)
        comparison = Comparison(reader, plan, deletes=self._missing == "delete")
        self._wait_if_retried()
        comparison.add(list_fleet(self._hook, self._category))
        comparison.finish(self._hook, self._category)
        self._fleet = comparison.fleet
        if not self._skip_bad:
            reader.problems.raise_if_any()
        plan.sign()
        self._write(plan)
        return plan, rows.count

    def _wait_if_retried(self) -> None:
        if self._is_retry:
            time.sleep(LATE_SECONDS)

    def _write(self, plan: Plan) -> None:
        if not self._plan_output:
            return
        with AtomicFile(self._plan_output) as out:
            out.write(plan.to_json())
        path = page_path(self._plan_output)
        with AtomicFile(path) as out:
            for part in page(plan):
                out.write(part)
        self._log.info("The plan is in %s, its page in %s", self._plan_output, path)

    # -- applying -------------------------------------------------------------------------------------

    def load_plan(self, path: str) -> Plan:
        """Read a plan made earlier.

        :param path: its location.
        :raises PlanRejectedError: when it was altered, or is that of another space.
        """
        with open_source(path, "plan") as file:
            plan = Plan.from_json(file.read(), path)
        if (plan.space, plan.host) != (self._hook.space, self._host):
            planned, found = f"{plan.space} at {plan.host}", f"{self._hook.space} at {self._host}"
            raise PlanRejectedError(f"the plan {path} is for the space {planned}, not {found}")
        self._write(plan)
        return plan

    @property
    def _host(self) -> str:
        return self._hook.settings.host.rstrip("/").lower()

    def apply(self, plan: Plan, rows: int | None) -> PlanExecution:
        """Check the limits of a plan, write its changes and verify them.

        :param plan: the plan.
        :param rows: number of rows of the source; None when the plan was loaded from a file.
        :raises PlanRejectedError: before any write, for limits and for Things that have changed since.
        :raises PartialWriteError: for rows that the service rejects, unless these are left out.
        """
        if wrong := self._violations(plan, rows):
            raise PlanRejectedError("; ".join(wrong))
        left = self._not_done(plan) if rows is None else plan.changes
        execution = PlanExecution(self._hook, plan, self._fleet.ids, **self._writing)
        execution.run(left)
        self._hook.log.info("Written: %s", counts_in_words(execution.done))
        for change, reason in execution.failed:
            plan.failed.append({"row": change.row, "key": change.key or change.id, "reasons": [reason]})
        if not self._skip_bad:
            execution.raise_if_failed()
        return execution

    def summary(self, plan: Plan, rows: int | None) -> PlanSummary:
        """Return a plan in words, with the limits that it exceeds.

        :param plan: the plan.
        :param rows: number of rows of the source; None when the plan was loaded from a file.
        """
        return summarize(plan, self._violations(plan, rows))

    def _violations(self, plan: Plan, rows: int | None) -> list[str]:
        deletes = plan.count("delete")
        wrong = self._limits.exceeded(
            changes=len(plan.changes),
            deletes=deletes,
            removals=deletes,
            compared=plan.compared,
            removed="Things would be deleted",
        )
        if deletes and rows == 0:
            wrong.append("the source is empty, and every compared Thing would be deleted")
        if deletes and any(not failure["key"] for failure in plan.failed):
            wrong.append(UNKNOWN_MISSING)
        if deletes and plan.unmatched:
            uids = ", ".join(shorten(plan.unmatched, 3))
            wrong.append(
                f"{len(plan.unmatched)} rows that are left out have uids of no Thing ({uids:.200}), so the"
                " missing rows are not known"
            )
        return wrong

    def _not_done(self, plan: Plan) -> list[Change]:
        """Return the changes of a loaded plan that an earlier attempt has not made.

        :raises PlanRejectedError: when Things have changed since the plan was made.
        """
        self._wait_if_retried()
        by_id = {change.id: change for change in plan.changes if change.id}
        left = {change.key: change for change in plan.changes if not change.id}
        drifted: list[str] = []
        updates: list[Change] = []
        for thing in list_fleet(self._hook, plan.category):
            self._fleet.add(thing)
            title = str(thing.get("title") or "")
            change = by_id.pop(thing["uid"], None)
            if change is None:
                # A Thing that the plan changes may still have the title of one that it creates.
                creation = left.pop(title, None)
                if creation is not None and not _has(thing, creation):
                    drifted.append(f"there is a Thing {title!r:.80} now")
                continue
            if change.operation == "update" and _has(thing, change):
                continue
            if description_hash(thing) != change.before:
                drifted.append(f"Thing {change.id} ({title:.80}) was changed")
            updates.append(change)
        drifted += [f"Thing {uid} is gone" for uid, one in by_id.items() if one.operation == "update"]
        if drifted:
            raise PlanRejectedError(
                f"the Things have changed since the plan was made: {'; '.join(shorten(drifted, 10))}. Nothing"
                " was written; make and review a new plan"
            )
        return [*left.values(), *updates]


def _has(thing: Json, change: Change) -> bool:
    """Return whether a Thing is as a change makes it."""
    return all(same_field(name, wanted, thing.get(name)) for name, wanted in change.body.items())
