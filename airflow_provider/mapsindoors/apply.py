"""Applies a plan: level by level, in batches, with nothing created twice, and reads back what was written."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from airflow_provider.errors import (
    AmbiguousWriteError,
    NotFoundError,
    RequestRejectedError,
    VerificationError,
)
from airflow_provider.mapsindoors.api import counted
from airflow_provider.mapsindoors.batches import batches
from airflow_provider.mapsindoors.compare import differences
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.mapsindoors.plan import Change, Plan, stage
from airflow_provider.mapsindoors.world import key_of, marks_of

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

Json = dict[str, Any]

wait = time.sleep

SETTLE = (0.0, 1.0, 3.0, 6.0)
"""Seconds before each look at what a write did. The docs do not say how soon a read shows a write."""

_LOST_AT_MOST = 3
_INDEX = re.compile(r"\[(\d+)\]")


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
        self._known = known
        self.done: Counter[str] = Counter()
        self.failed: list[tuple[Change, str]] = []
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

    # -- writing ----------------------------------------------------------------------------------

    def _create(self, batch: list[Change]) -> None:
        todo, lost = [self._ready(batch)], 0
        while todo:
            part = todo.pop()
            if not part:
                continue
            try:
                ids = self.hook.create_geodata([one.body for one in part])
            except AmbiguousWriteError:
                lost += 1
                if lost > _LOST_AT_MOST:
                    raise
                self.log.warning("The answer to creating %s was lost", counted(len(part)))
                todo.append(self._not_created(part))
            except RequestRejectedError as error:
                todo += self._halved(part, error, self._not_created)
            else:
                for one, new in zip(part, ids, strict=True):
                    self._created(one, new)

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
                    half = len(part) // 2
                    todo += [part[half:], part[:half]]
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

    def _halved(
        self,
        part: list[Change],
        error: RequestRejectedError | NotFoundError,
        left_of: Callable[[list[Change]], list[Change]] = list,
    ) -> list[list[Change]]:
        """Split a refused batch, by what the service names as bad or in halves, until bad rows stand alone.

        :param left_of: takes out what was written all the same, where writing it again would do harm.
        """
        if len(part) == 1:
            self.failed.append((part[0], re.sub(r"\[0\]\.?", "", error.message) or str(error)))
            return []
        self.log.warning(
            "A request with %s was refused; looking for the bad ones: %s", counted(len(part)), error
        )
        named = {id(part[int(index)]) for index in _INDEX.findall(error.message) if int(index) < len(part)}
        left = left_of(part)
        if 0 < len(named) < len(part):
            bad = [one for one in left if id(one) in named]
            return [bad, [one for one in left if id(one) not in named]]
        half = len(left) // 2
        return [left[half:], left[:half]]

    def _not_created(self, part: list[Change]) -> list[Change]:
        """Look which objects of a lost or refused request exist, and give the others."""
        self.log.info("Reading the map for up to %g s, to see which of them exist", sum(SETTLE))
        left = part
        for pause in SETTLE:
            wait(pause)
            new: dict[Any, list[str]] = {}
            for thing in self.hook.iter_geodata():
                if thing["id"] not in self._known:
                    new.setdefault(self._identity(thing), []).append(thing["id"])
            for one in left:
                found = new.get(self._identity(one.body), [])
                if len(found) > 1:
                    raise VerificationError(f"{one.key!r} exists more than once: {', '.join(found)}")
                if found:
                    self._created(one, found[0])
            left = [one for one in left if not one.id]
            if not left:
                break
        return left

    def _identity(self, thing: Json) -> Any:
        """Give by what a new object is recognised; in a restore its id is not known."""
        return marks_of(thing) if self.plan.match_on == "id" else key_of(thing, self.plan.match_on)

    def _created(self, one: Change, new: str) -> None:
        one.id = self._new_ids[one.key] = new
        self._finish([one])

    def _finish(self, part: Iterable[Change]) -> None:
        for one in part:
            self.done[one.operation] += 1
            self.written.append(one)

    def _refusal(self) -> RequestRejectedError:
        shown = [f"row {one.row} ({one.key or one.id}): {why}" for one, why in self.failed[:10]]
        more = f"; and {len(self.failed) - 10} more" if len(self.failed) > 10 else ""
        done = ", ".join(f"{number} {name}d" for name, number in self.done.items()) or "nothing"
        left = len(self.plan.changes) - len(self.written) - len(self.failed)
        return RequestRejectedError(
            400,
            message=f"{len(self.failed)} rows were refused: {'; '.join(shown)}{more}"
            f" [written: {done}; not sent: {left}]",
        )

    # -- reading back -----------------------------------------------------------------------------

    def verify(self) -> None:
        """Read the solution again and compare it with what was written.

        :raises VerificationError: naming objects and fields that are not as written.
        """
        wrong: list[str] = []
        for pause in SETTLE:
            wait(pause)
            wrong = list(discrepancies(self.written, self.hook.iter_geodata(), self.plan.match_on))
            if not wrong:
                return
        raise VerificationError(wrong)


def discrepancies(changes: Sequence[Change], objects: Iterable[Json], match_on: str) -> Iterator[str]:
    """Say where the world is not as written.

    :param changes: what was written.
    :param objects: the world now.
    """
    about = {one.id for one in changes}
    by_id: dict[str, Json] = {}
    keys: Counter[str] = Counter()
    for thing in objects:
        keys[key_of(thing, match_on)] += 1
        if thing["id"] in about:
            by_id[thing["id"]] = thing
    for one in changes:
        what = f"{one.base_type} {one.id} ({one.key})"
        found = by_id.get(one.id)
        if one.operation == "delete":
            if found is not None:
                yield f"{what} still exists"
        elif found is None:
            yield f"{what} does not exist"
        else:
            for path, (there, wanted) in differences(one.body, found).items():
                yield f"{what}: {path} is {there!r}, not {wanted!r}"
            if one.operation == "create" and keys[one.key] > 1:
                yield f"{what}: {match_on} {one.key!r} exists {keys[one.key]} times"
