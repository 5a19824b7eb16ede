"""Sync of display types or categories: read, match, plan, check limits, execute and verify."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.files.reader import open_source
from airflow_provider.core.files.row_source import NO_OPTIONS, RowOptions, subject_of
from airflow_provider.core.input.values import normal_key, shown
from airflow_provider.core.json_types import Json
from airflow_provider.core.sync.document import counts_in_words
from airflow_provider.core.sync.limits import Limits
from airflow_provider.core.sync.page import page_path
from airflow_provider.core.sync.summary import PlanSummary
from airflow_provider.errors import PlanRejectedError, one_line, shorten
from airflow_provider.mapsindoors.catalogue.compare import differences
from airflow_provider.mapsindoors.catalogue.document import Change, Plan, entry_hash
from airflow_provider.mapsindoors.catalogue.entries import Catalogue
from airflow_provider.mapsindoors.catalogue.execute import PlanExecution
from airflow_provider.mapsindoors.catalogue.kinds import Kind
from airflow_provider.mapsindoors.catalogue.matching import Matching, add_changes
from airflow_provider.mapsindoors.catalogue.page import page, summarize
from airflow_provider.mapsindoors.catalogue.renames import renamed_ids, rivals, spelling
from airflow_provider.mapsindoors.catalogue.rows import DesiredEntry, EntryReader, set_languages
from airflow_provider.mapsindoors.geodata.rows import collect_problems
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


@dataclass
class CatalogueSync:
    """A sync of a solution's display types or categories with rows.

    :param hook: the connection to the solution.
    :param log: receives what is planned and left out.
    :param kind: display types or categories.
    :param defaults: fields for rows that do not have them.
    :param limits: the limits of the plan.
    :param skip_bad: whether rows with problems are left out, instead of an error.
    :param plan_output: path of the plan; None for none.
    :param batch_size: maximum number of entries a request.
    :param verify: whether the result is read and compared.
    :param options: how the rows are read.
    """

    hook: MapsIndoorsHook
    log: Logger
    kind: Kind
    defaults: object = None
    limits: Limits = field(default_factory=Limits)
    skip_bad: bool = False
    plan_output: str | None = None
    batch_size: int = 100
    verify: bool = True
    options: RowOptions = NO_OPTIONS

    def make_plan(self, source: object) -> Plan:
        """Compare a source with the solution, and write the plan.

        :param source: a list, the path of a file or of many, or the rows of a query.
        :raises InputError: with all problems of all rows, unless invalid rows are skipped.
        """
        subject = subject_of(source, "source")
        rows = EntryReader(self.kind, self.defaults).rows(source, subject, self.options)
        if not self.skip_bad and rows and all(row.problems for row in rows):
            # The solution could only add to what is wrong with each row.
            self._raise_for(rows, subject)
        dataset = self.hook.get_dataset()
        base, languages = _languages(dataset)
        set_languages(rows, base, languages)
        self._read()
        Matching(rows, self._catalogue)
        plan = Plan(self.kind.plural, dataset["id"])
        add_changes(plan, rows, self._catalogue, languages or [base])
        if not self.skip_bad:
            self._raise_for(rows, subject)
        plan.sign()
        self._write(plan, dataset)
        self._report_others(rows)
        return plan

    def _read(self) -> None:
        self._catalogue = Catalogue(self.kind, self.kind.read(self.hook))

    def _raise_for(self, rows: Sequence[DesiredEntry], subject: str) -> None:
        listed = ((row.number, row.key or row.object_id, row.problems) for row in rows if row.problems)
        collect_problems(listed, subject).raise_if_any()

    def _report_others(self, rows: Sequence[DesiredEntry]) -> None:
        about = {row.object_id for row in rows}
        others = [self.kind.key_of(entry) for key, entry in self._catalogue.by_id.items() if key not in about]
        if others:
            names = one_line(", ".join(shorten(sorted(others), 10)))
            self.log.info("%d %s have no row and stay as they are: %s", len(others), self.kind.plural, names)

    def summary(self, plan: Plan) -> PlanSummary:
        """Return a plan in words, with the limits that it exceeds.

        :param plan: the plan of :meth:`make_plan` or :meth:`load_plan`.
        """
        return summarize(plan, self._solution, self._exceeded(plan))

    def _exceeded(self, plan: Plan) -> list[str]:
        return self.limits.exceeded(changes=len(plan.changes), deletes=0, removals=0, compared=plan.compared)

    def _write(self, plan: Plan, dataset: Json) -> None:
        self._solution = str(dataset.get("name") or dataset["id"])
        if not self.plan_output:
            return
        with AtomicFile(self.plan_output) as out:
            out.write(plan.to_json())
        with AtomicFile(page_path(self.plan_output)) as out:
            for part in page(plan, self._solution):
                out.write(part)
        self.log.info(
            "The plan is in %s; the task's link 'Plan', under Details, opens its page", self.plan_output
        )

    def load_plan(self, path: str) -> Plan:
        """Read a plan made earlier.

        :param path: path or URL of the plan's JSON.
        :raises PlanRejectedError: when it was altered, or is that of another solution or of another kind.
        """
        with open_source(path, "plan") as file:
            plan = Plan.from_json(file.read(), f"'{path}'")
        if plan.kind != self.kind.plural:
            raise PlanRejectedError(f"the plan '{path}' is for {plan.kind}, not {self.kind.plural}")
        dataset = self.hook.get_dataset()
        if dataset["id"] != plan.dataset:
            raise PlanRejectedError(f"the plan '{path}' is for another solution, {plan.dataset}")
        self._read()
        self._write(plan, dataset)
        return plan

    def apply(self, plan: Plan, *, loaded: bool) -> PlanExecution:
        """Check the limits of a plan, write its changes and verify them.

        :param plan: the plan of :meth:`make_plan` or :meth:`load_plan`.
        :param loaded: whether it was made earlier.
        :raises PlanRejectedError: before any write, for limits, and for what has changed since.
        :raises PartialWriteError: for rows that the service rejects, unless these are left out.
        :raises VerificationError: when the solution does not show the written changes.
        """
        if wrong := self._exceeded(plan):
            raise PlanRejectedError("; ".join(wrong))
        left = self._not_done(plan) if loaded else plan.changes
        execution = PlanExecution(self.hook, self._catalogue, batch_size=self.batch_size, log=self.log)
        try:
            execution.run(left)
        finally:
            for change, reason in execution.failed:
                plan.failed.append({"row": change.row, "key": change.key, "reasons": [reason]})
        if self.verify and execution.written:
            execution.verify()
        self.log.info("Written: %s", counts_in_words(execution.done))
        if not self.skip_bad:
            execution.raise_if_failed()
        return execution

    def _not_done(self, plan: Plan) -> list[Change]:
        """Return the changes of a loaded plan that an earlier attempt has not made.

        :raises PlanRejectedError: when something has changed since the plan was made.
        """
        renamed = renamed_ids(plan.changes, self._catalogue)
        left, drifted = [], []
        for change in plan.changes:
            others = rivals(change, self._catalogue, renamed)
            found = self._catalogue.by_id.get(change.id or (others[0] if len(others) == 1 else ""))
            name = f"{self.kind.noun} {shown(change.key)}"
            if change.operation == "create" and found and _is_created(self.kind, change, found):
                continue
            drifted += [
                f"there is a {self.kind.noun} {shown(spelling(one, self._catalogue))} now, {one}"
                for one in others
            ]
            if change.operation == "update":
                if found and not differences(change.wanted, found):
                    continue
                if found is None or entry_hash(found) != change.before:
                    drifted.append(f"{name} {'was changed' if found else 'is gone'}")
            left.append(change)
        if drifted:
            raise PlanRejectedError(
                f"the {self.kind.plural} have changed since the plan was made:"
                f" {'; '.join(shorten(drifted, 10))}. Nothing was written; make and review a new plan"
            )
        return left


def _is_created(kind: Kind, change: Change, found: Json) -> bool:
    """Return whether an entry is what a change creates, name and all."""
    is_named = normal_key(kind.key_of(found)) == normal_key(change.key)
    return is_named and not differences(change.wanted, found)


def _languages(dataset: Json) -> tuple[str, list[str]]:
    """Return the base language of a solution, and all its languages as far as they are known."""
    base: Any = dataset.get("baseLanguage")
    given = dataset.get("availableLanguages")
    known = [one for one in given if isinstance(one, str)] if isinstance(given, list) else []
    return base if isinstance(base, str) and base else "en", known
