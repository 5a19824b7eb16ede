"""Guards: limits of a plan, and checks that an approved plan is unchanged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from airflow_provider.core.sync.limits import UNKNOWN_MISSING, Limits
from airflow_provider.errors import PlanRejectedError, shorten
from airflow_provider.mapsindoors.geodata import validation
from airflow_provider.mapsindoors.geodata.diff import differences
from airflow_provider.mapsindoors.geodata.snapshot import SolutionSnapshot, key_of
from airflow_provider.mapsindoors.plan.dependencies import (
    FAILED,
    dependencies_now,
    describe_drift,
    fingerprint_of,
    fingerprint_of_scope,
)
from airflow_provider.mapsindoors.plan.document import ACTIVE, Change, Plan
from airflow_provider.mapsindoors.plan.moves import removal_problems


@dataclass(frozen=True, slots=True)
class Guards(Limits):
    """Limits of a plan, and the rules that need the map."""

    def violations(self, plan: Plan, snapshot: SolutionSnapshot, rows: int | None = None) -> list[str]:
        """Return a sentence for each limit that a plan exceeds.

        :param plan: the plan.
        :param snapshot: the solution that the plan was made against.
        :param rows: number of rows of the source; None when the plan was loaded from a file.
        """
        deletes = plan.count("delete")
        removals = deletes + plan.count("deactivate")
        out = self.exceeded(
            changes=len(plan.changes), deletes=deletes, removals=removals, compared=plan.compared
        )
        if removals and rows == 0:
            out.append(
                "the source is empty, and every compared object would be deleted or deactivated; if that is"
                " meant, pass their ids to MapsIndoorsDeleteGeodataOperator"
            )
        if removals and any(not failure["key"] for failure in plan.failed):
            out.append(UNKNOWN_MISSING)
        return out + removal_problems(plan, snapshot)

    def check(self, plan: Plan, snapshot: SolutionSnapshot, rows: int | None = None) -> None:
        """Raise an error when a plan exceeds a limit.

        :param plan: the plan.
        :param snapshot: the solution that the plan was made against.
        :param rows: number of rows of the source; None when the plan was loaded from a file.
        :raises PlanRejectedError: with every limit that the plan exceeds; nothing was written.
        """
        if wrong := self.violations(plan, snapshot, rows):
            raise PlanRejectedError("; ".join(wrong))


def reject_drifted(plan: Plan, snapshot: SolutionSnapshot, where: str) -> None:
    """Raise an error when the map changed, since a plan was made, where the plan depends on it.

    :param plan: the plan.
    :param snapshot: the solution as it is now.
    :param where: the plan's location, for the error.
    :raises PlanRejectedError: with each change.
    """
    if not plan.depends:
        names: list[str] = []
        drifted = fingerprint_of_scope(snapshot) != plan.fingerprint
    elif fingerprint_of(plan.depends) != plan.fingerprint:
        raise PlanRejectedError(f"the plan {where} was altered: its fingerprint is not that of 'depends'")
    else:
        now = dependencies_now(plan, snapshot)
        if now.keys() != plan.depends.keys():
            # Their names follow from the changes, not from the map.
            reject_altered(plan, snapshot, where)
            raise PlanRejectedError(f"the plan {where} was altered: its changes depend on other objects")
        if now.get(FAILED) != plan.depends.get(FAILED):
            raise PlanRejectedError(f"the plan {where} was altered: its rows that are left out are others")
        names = [name for name in now if now[name] != plan.depends[name]]
        drifted = bool(names)
    if drifted:
        raise PlanRejectedError(
            f"the map changed since the plan {where} was made: {describe_drift(plan, snapshot, names)}."
            " Nothing was written; make and review a new plan"
        )


def reject_altered(plan: Plan, snapshot: SolutionSnapshot, where: str) -> None:
    """Raise an error when the writes of a loaded plan are not those that its page shows.

    :param plan: the plan.
    :param snapshot: the solution, in which the plan's dependencies are as they were.
    :param where: the plan's location, for the error.
    :raises PlanRejectedError: with each change that does not fit.
    """
    occurrences = Counter(change.id for change in plan.changes if change.id)
    new = {change.key for change in plan.changes if change.operation == "create"}
    wrong = [f"{key} is changed {count} times" for key, count in occurrences.items() if count > 1]
    for number, change in enumerate(plan.changes, 1):
        faults = (
            _creation_faults(change, plan)
            if change.operation == "create"
            else _change_faults(change, snapshot)
        )
        wrong += [
            f"change {number} ({change.operation} {change.key or change.id}) {fault}" for fault in faults
        ]
        if change.parent_key and change.parent_key not in new:
            wrong.append(
                f"change {number} needs a parent {change.parent_key!r} that the plan does not create"
            )
    if wrong:
        raise PlanRejectedError(f"the plan {where} was altered: {'; '.join(shorten(wrong, 10))}")


def _creation_faults(change: Change, plan: Plan) -> Iterator[str]:
    yield from validation.problems(change.body)
    if change.id or change.body.get("id") is not None:
        yield "has an id already"
    if (change.body.get("baseType"), change.body.get("datasetId")) != (change.base_type, plan.dataset):
        yield "has another base type or solution in its body"
    if plan.match_on != "id" and key_of(change.body, plan.match_on) != change.key:
        yield "has another key in its body"


def _change_faults(change: Change, snapshot: SolutionSnapshot) -> Iterator[str]:
    found = snapshot.by_id.get(change.id)
    if found is None or not snapshot.in_scope(change.id) or found.get("baseType") != change.base_type:
        yield "is about an object that the plan did not compare"
        return
    if change.operation == "delete":
        if change.body:
            yield "has a body"
        return
    sent = {path: list(pair) for path, pair in differences(change.body, found).items()}
    shown = {
        path: pair for path, pair in change.fields.items() if not (path == "parentId" and change.parent_key)
    }
    if change.body.get("id") != change.id or sent != shown:
        yield "has other differences in its body than in its fields"
    if change.operation == "deactivate" and (
        set(change.body) != {"id", "status"} or change.body["status"] & ACTIVE
    ):
        yield "does not deactivate"
