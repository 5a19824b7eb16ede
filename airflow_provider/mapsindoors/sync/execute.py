"""Execution: write the changes of a plan in batches, level by level."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING

from airflow_provider.errors import NotFoundError, RequestRejectedError, shorten
from airflow_provider.mapsindoors.api import counted
from airflow_provider.mapsindoors.geodata.batches import batches, rejection_reason, split_batch
from airflow_provider.mapsindoors.geodata.details import without_null_days
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.mapsindoors.plan.document import Change, Plan, write_order
from airflow_provider.mapsindoors.plan.moves import Needs
from airflow_provider.mapsindoors.sync.create import BatchCreator, Rejection
from airflow_provider.mapsindoors.sync.verify import verify

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


class PlanExecution:
    """The execution of one plan.

    ``done`` counts the written changes by operation, ``written`` has these changes, and ``failed`` has the
    rejected changes, each with the reason.

    :param hook: the connection to the solution.
    :param plan: the plan; new ids and parents are set in its changes.
    :param batch_size: maximum number of objects a request.
    :param log: logs the progress after each batch.
    :param known: ids of the objects that existed before the sync.
    :param needs: moves that must be on the map before an object is deleted.
    """

    def __init__(
        self,
        hook: MapsIndoorsHook,
        plan: Plan,
        *,
        batch_size: int,
        log: Logger,
        known: frozenset[str] = frozenset(),
        needs: Needs | None = None,
    ) -> None:
        self.hook, self.plan, self.batch_size, self.log = hook, plan, batch_size, log
        self._creator = BatchCreator(hook, log, plan.match_on, known)
        self.done: Counter[str] = Counter()
        self.failed: list[Rejection] = []
        self.written: list[Change] = []
        self._new_ids: dict[str, str] = {}
        self._needs = needs or {}

    def run(self, *, skip_bad: bool) -> None:
        """Write all changes.

        :param skip_bad: continue when the service rejects a row; otherwise stop after the batch of the row.
        :raises RequestRejectedError: with the rejected rows and the number of written changes.
        """
        for (phase, _), group in groupby(self.plan.changes, key=write_order):
            write = (self._create, self._update, self._delete)[phase]
            for batch in batches(group, self.batch_size, lambda change: change.body):
                write(batch)
                self.log.info("%d of %d changes written", len(self.written), len(self.plan.changes))
                if self.failed and not skip_bad:
                    raise self._rejection_error()

    def _create(self, batch: list[Change]) -> None:
        ready = self._with_parents(batch)
        self.failed += self._creator.create(ready)
        created = [change for change in ready if change.id]
        self._new_ids.update((change.key, change.id) for change in created)
        self._finish(created)

    def _update(self, batch: list[Change]) -> None:
        pending = [self._with_parents(batch)]
        while pending:
            part = pending.pop()
            if not part:
                continue
            try:
                self.hook.update_geodata([without_null_days(change.body) for change in part])
            except (RequestRejectedError, NotFoundError) as error:
                pending += self._split_rejected(part, error)
            else:
                self._finish(part)

    def _delete(self, batch: list[Change]) -> None:
        pending = [self._without_children(batch)]
        while pending:
            part = pending.pop()
            if not part:
                continue
            try:
                self.hook.delete_geodata([change.id for change in part])
            except NotFoundError:
                # Some objects are deleted already, by another client or by an attempt without a response. A
                # read may not show that yet. Therefore the batch is split until single objects remain.
                if len(part) == 1:
                    self._finish(part)
                else:
                    pending += split_batch(part, "")
            except RequestRejectedError as error:
                pending += self._split_rejected(part, error)
            else:
                self._finish(part)

    def _without_children(self, batch: list[Change]) -> list[Change]:
        """Return the deletions below which nothing stays; the others are rejected.

        The service may delete what is below an object. So the moves away from it are verified before, and the
        map is read for what others have placed below it since the plan was made.

        :raises VerificationError: when a move is not on the map; nothing of the batch was deleted.
        """
        away = {change.id: change for one in batch for change in self._needs.get(one.id, ())}
        done = {change.id for change in self.written}
        ready = []
        for change in batch:
            left = [move for move in self._needs.get(change.id, ()) if move.id not in done]
            if left:
                self.failed.append((change, f"{left[0].key or left[0].id} below it was not moved away"))
            else:
                ready.append(change)
        if moved := [change for key, change in away.items() if key in done]:
            self.log.info("Reading the map before a deletion: %s must be elsewhere", counted(len(moved)))
            verify(self.hook, moved, self.plan.match_on)
        return self._without_strangers(ready)

    def _without_strangers(self, batch: list[Change]) -> list[Change]:
        """Return the deletions below which is only what the plan deletes, too; the others are rejected."""
        children: dict[str, list[str]] = {change.id: [] for change in batch}
        for item in self.hook.iter_geodata() if batch else ():
            if (above := item.get("parentId")) in children:
                children[above].append(item["id"])
        left = {change.id for change in self.plan.changes if change.operation == "delete"}
        left -= {change.id for change, _ in self.failed}
        ready = list(batch)
        while refused := [change for change in ready if not left.issuperset(children[change.id])]:
            for change in refused:
                strangers = [key for key in children[change.id] if key not in left]
                self.failed.append((change, _not_planned(strangers)))
            # What is above a refused deletion, in the same batch, has to stay, too.
            left -= {change.id for change in refused}
            ready = [change for change in ready if change.id in left]
        return ready

    def _with_parents(self, batch: Iterable[Change]) -> list[Change]:
        """Set the ids of parents that were created before; reject the children of a rejected parent."""
        ready = []
        for change in batch:
            if change.parent_key and change.parent_key not in self._new_ids:
                self.failed.append((change, f"its parent {change.parent_key!r} was not created"))
                continue
            if change.parent_key:
                change.body["parentId"] = self._new_ids[change.parent_key]
            ready.append(change)
        return ready

    def _split_rejected(
        self, part: list[Change], error: RequestRejectedError | NotFoundError
    ) -> list[list[Change]]:
        """Split a rejected batch until invalid rows are alone; updates and deletions may be sent twice."""
        if len(part) == 1:
            self.failed.append((part[0], rejection_reason(error)))
            return []
        self.log.warning(
            "A request with %s was rejected; splitting it to find the invalid objects: %s",
            counted(len(part)),
            error,
        )
        return split_batch(part, error.message)

    def _finish(self, part: Iterable[Change]) -> None:
        for change in part:
            self.done[change.operation] += 1
            self.written.append(change)

    def _rejection_error(self) -> RequestRejectedError:
        failures = [
            f"row {change.row} ({change.key or change.id}): {problem}" for change, problem in self.failed
        ]
        done = ", ".join(f"{number} {name}d" for name, number in self.done.items()) or "nothing"
        left = len(self.plan.changes) - len(self.written) - len(self.failed)
        return RequestRejectedError(
            400,
            message=f"{len(self.failed)} rows were refused: {'; '.join(shorten(failures, 10))}"
            f" [written: {done}; not sent: {left}]",
        )


def _not_planned(strangers: list[str]) -> str:
    listed = ", ".join(shorten(strangers, 5))
    return f"{counted(len(strangers))} below it would be deleted without being in the plan: {listed}"
