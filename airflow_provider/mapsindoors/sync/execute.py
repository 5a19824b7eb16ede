"""Applies a plan: level by level, in batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING

from airflow_provider.errors import NotFoundError, RequestRejectedError, shorten
from airflow_provider.mapsindoors.api import counted
from airflow_provider.mapsindoors.geodata.batches import batches, reason, split
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.mapsindoors.plan.document import Change, Plan, stage
from airflow_provider.mapsindoors.sync.create import Creation, Refused

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


class Application:
    """The application of one plan.

    :param hook: the solution.
    :param plan: what to write; changes get their new ids and parents here.
    :param batch_size: objects a request.
    :param log: gets a line for each batch.
    :param known: ids of the objects that were there before.
    """

    def __init__(
        self,
        hook: MapsIndoorsHook,
        plan: Plan,
        *,
        batch_size: int,
        log: Logger,
        known: frozenset[str] = frozenset(),
    ) -> None:
        self.hook, self.plan, self.batch_size, self.log = hook, plan, batch_size, log
        self._creation = Creation(hook, log, plan.match_on, known)
        self.done: Counter[str] = Counter()
        self.failed: list[Refused] = []
        self.written: list[Change] = []
        self._new_ids: dict[str, str] = {}

    def run(self, *, skip_bad: bool) -> None:
        """Write everything.

        :param skip_bad: go on when the service refuses a row; otherwise stop after the batch it was in.
        :raises RequestRejectedError: naming the rows that were refused and what was written.
        """
        for (phase, _), group in groupby(self.plan.changes, key=stage):
            write = (self._create, self._update, self._delete)[phase]
            for batch in batches(group, self.batch_size, lambda one: one.body):
                write(batch)
                self.log.info("%d of %d changes written", len(self.written), len(self.plan.changes))
                if self.failed and not skip_bad:
                    raise self._refusal()

    def _create(self, batch: list[Change]) -> None:
        ready = self._ready(batch)
        self.failed += self._creation.create(ready)
        made = [one for one in ready if one.id]
        self._new_ids.update((one.key, one.id) for one in made)
        self._finish(made)

    def _update(self, batch: list[Change]) -> None:
        todo = [self._ready(batch)]
        while todo:
            part = todo.pop()
            if not part:
                continue
            try:
                self.hook.update_geodata([one.body for one in part])
            except (RequestRejectedError, NotFoundError) as error:
                todo += self._halved(part, error)
            else:
                self._finish(part)

    def _delete(self, batch: list[Change]) -> None:
        todo = [batch]
        while todo:
            part = todo.pop()
            if not part:
                continue
            try:
                self.hook.delete_geodata([one.id for one in part])
            except NotFoundError:
                # Some are gone already, by somebody else, or by a try of ours whose answer was lost. A read
                # may not show that yet, so it is the service that is asked, one by one if need be.
                if len(part) == 1:
                    self._finish(part)
                else:
                    todo += split(part, "")
            except RequestRejectedError as error:
                todo += self._halved(part, error)
            else:
                self._finish(part)

    def _ready(self, batch: Iterable[Change]) -> list[Change]:
        """Fill in the ids of parents made a level earlier; a child of a refused parent is refused, too."""
        ready = []
        for one in batch:
            if one.parent_key and one.parent_key not in self._new_ids:
                self.failed.append((one, f"its parent {one.parent_key!r} was not created"))
                continue
            if one.parent_key:
                one.body["parentId"] = self._new_ids[one.parent_key]
            ready.append(one)
        return ready

    def _halved(self, part: list[Change], error: RequestRejectedError | NotFoundError) -> list[list[Change]]:
        """Split a refused batch until bad rows stand alone; what is sent twice does no harm here."""
        if len(part) == 1:
            self.failed.append((part[0], reason(error)))
            return []
        self.log.warning(
            "A request with %s was refused; looking for the bad ones: %s", counted(len(part)), error
        )
        return split(part, error.message)

    def _finish(self, part: Iterable[Change]) -> None:
        for one in part:
            self.done[one.operation] += 1
            self.written.append(one)

    def _refusal(self) -> RequestRejectedError:
        failures = [f"row {one.row} ({one.key or one.id}): {why}" for one, why in self.failed]
        done = ", ".join(f"{number} {name}d" for name, number in self.done.items()) or "nothing"
        left = len(self.plan.changes) - len(self.written) - len(self.failed)
        return RequestRejectedError(
            400,
            message=f"{len(self.failed)} rows were refused: {'; '.join(shorten(failures, 10))}"
            f" [written: {done}; not sent: {left}]",
        )
