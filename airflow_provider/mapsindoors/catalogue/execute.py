"""Execution: write the changes of a plan in batches, each new entry exactly once, and verify them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from airflow_provider.core.input.values import shown, shown_value
from airflow_provider.core.json_types import Json
from airflow_provider.errors import (
    AmbiguousWriteError,
    NotFoundError,
    PartialWriteError,
    PlanRejectedError,
    RequestRejectedError,
    VerificationError,
    shorten,
)
from airflow_provider.mapsindoors.api import counted
from airflow_provider.mapsindoors.catalogue.compare import complete, differences
from airflow_provider.mapsindoors.catalogue.document import Change, entry_hash
from airflow_provider.mapsindoors.catalogue.entries import Catalogue
from airflow_provider.mapsindoors.catalogue.renames import renamed_ids, rivals, stages, takes_name
from airflow_provider.mapsindoors.geodata.batches import batches, rejection_reason, split_batch
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.mapsindoors.sync import verify

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

_MAX_UNANSWERED = 3
"""Maximum requests of a batch without a response."""

_LATE = (
    ", though the service has returned its id: reads may be late. Wait some minutes, and clear the task only"
    " when the CMS shows it, because another attempt creates what it does not see"
)

Body = Callable[[Change], Json]


class PlanExecution:
    """The writes of a plan, and what came of them.

    A rejected row does not end the others. ``done`` counts the written changes by operation, ``written`` has
    them, and ``failed`` the rejected ones, each with the reason.

    :param hook: the connection to the solution.
    :param catalogue: the display types or categories before the first write.
    :param batch_size: maximum number of entries a request.
    :param log: receives the steps that take time.
    """

    def __init__(self, hook: MapsIndoorsHook, catalogue: Catalogue, *, batch_size: int, log: Logger) -> None:
        self.done: Counter[str] = Counter()
        self.written: list[Change] = []
        self.failed: list[tuple[Change, str]] = []
        self._hook = hook
        self._catalogue = catalogue
        self._kind = catalogue.kind
        self._batch_size = batch_size
        self._log = log
        self._unanswered = 0
        self._refused: list[tuple[Change, str]] = []

    def run(self, changes: Sequence[Change]) -> None:
        """Write changes: updates, then creations, which may have names that updates have freed.

        :param changes: those of the plan that are not done yet.
        :raises PlanRejectedError: when another client has changed what is to be updated, before any write.
        :raises AmbiguousWriteError: when more than three requests of a batch have no response.
        :raises VerificationError: when a new entry exists more than once.
        """
        updated = [change for change in changes if change.operation == "update"]
        if updated:
            self._refresh(changes)
        parts, rest = stages(updated, self._catalogue)
        for part in [*parts, rest]:
            for batch in batches(self._with_free_names(part), self._batch_size, self._body):
                self._update(batch)
        created = [change for change in changes if change.operation == "create"]
        for batch in batches(self._with_free_names(created), self._batch_size, self._body):
            self._unanswered = 0
            self._create(batch)
        self._find_refused()

    def _refresh(self, changes: Sequence[Change]) -> None:
        """Read all entries once more, because updates are sent complete: others may have edited them."""
        now = Catalogue(self._kind, self._kind.read(self._hook))
        renamed = renamed_ids(changes, now)
        drifted = []
        for change in changes:
            name = f"{self._kind.noun} {shown(change.key)}"
            if rivals(change, now, renamed):
                drifted.append(f"there is another {name} now")
            if change.operation == "update" and not self._is_as_compared(change, now):
                drifted.append(f"{name} {'was changed' if change.id in now.by_id else 'is gone'}")
        if drifted:
            raise PlanRejectedError(
                f"the {self._kind.plural} have changed since they were compared:"
                f" {'; '.join(shorten(drifted, 10))}. Nothing was written;"
                " run the task again, or make and review a new plan"
            )
        self._catalogue = now

    def _is_as_compared(self, change: Change, now: Catalogue) -> bool:
        """Return whether the fields that a row owns are as they were; an edit of others is kept."""
        found, before = now.by_id.get(change.id), self._catalogue.by_id[change.id]
        if found is None or entry_hash(found) == entry_hash(before):
            return found is not None
        if differences(change.wanted, found) != differences(change.wanted, before):
            return False
        self._log.info("%s %s was edited meanwhile; the edit is kept", self._kind.noun, shown(change.key))
        return True

    def _with_free_names(self, changes: Sequence[Change]) -> list[Change]:
        """Return the changes whose names are free; the others fail with the rename that has failed."""
        renamed = renamed_ids(self.written, self._catalogue)
        left = []
        for change in changes:
            if others := rivals(change, self._catalogue, renamed):
                name = f"{self._kind.key} {shown(change.key)}"
                self.failed.append((change, f"{name} is still that of {self._kind.noun} {others[0]}"))
            else:
                left.append(change)
        return left

    def raise_if_failed(self) -> None:
        """Raise for the rows that the service has rejected.

        :raises PartialWriteError: naming each of them; all others are written.
        """
        if self.failed:
            raise PartialWriteError(
                [
                    f"row {change.row} ({change.key or change.id}): {problem}"
                    for change, problem in self.failed
                ],
                dict(self.done),
            )

    def _body(self, change: Change) -> Json:
        return complete(change.wanted, self._catalogue.by_id.get(change.id, {}))

    def _create(self, batch: Sequence[Change]) -> None:
        """Create entries; those of a request without a response, or rejected, are searched for first.

        The vendor's docs do not say whether a rejected request has written a part, nor whether the service
        accepts a name twice.
        """
        if not batch:
            return
        try:
            ids = self._kind.create(self._hook, [self._body(change) for change in batch])
        except AmbiguousWriteError as error:
            self._unanswered += 1
            if self._unanswered > _MAX_UNANSWERED:
                raise
            self._log.warning("%s; searching for what it has created", error)
            self._create(self._find_missing(batch))
        except RequestRejectedError as error:
            if len(batch) == 1:
                self._refused.append((batch[0], rejection_reason(error)))
                return
            self._log.warning("%s were rejected: %s", counted(len(batch), self._kind.noun), error)
            for change in self._find_missing(batch):
                self._create([change])
        else:
            for change, new in zip(batch, ids, strict=True):
                change.id = new
            self._finish(batch)

    def _find_refused(self) -> None:
        """Search for what the service refused to create: an earlier attempt may have made it."""
        if not self._refused:
            return
        left = self._find_missing([change for change, _ in self._refused], exact=True)
        missing = set(map(id, left))
        self.failed += [pair for pair in self._refused if id(pair[0]) in missing]
        if left:
            self._log.warning(
                "%s were refused, and no read shows them. If an earlier attempt may have made them, reads are"
                " late: wait some minutes before the task is cleared",
                counted(len(left), self._kind.noun),
            )

    def _find_missing(self, batch: Sequence[Change], *, exact: bool = False) -> list[Change]:
        """Return the entries of a request that do not exist, after some seconds; finish those that do.

        :param batch: the creations.
        :param exact: whether an entry that differs from the row is that of another client.
        """
        left = list(batch)
        for entries in self._reads():
            now = Catalogue(self._kind, entries)
            for change in left:
                found = [one for one in now.ids_with(change.key) if one not in self._catalogue.by_id]
                if len(found) > 1:
                    raise VerificationError([_doubled(self._kind.noun, change.key, found)])
                if found and not (exact and differences(change.wanted, now.by_id[found[0]])):
                    change.id = found[0]
            self._finish([change for change in left if change.id])
            left = [change for change in left if not change.id]
            if not left:
                break
        return left

    def _update(self, batch: Sequence[Change]) -> None:
        pending = [list(batch)]
        while pending:
            part = pending.pop()
            try:
                self._kind.update(self._hook, [self._body(change) for change in part])
            except (RequestRejectedError, NotFoundError) as error:
                if len(part) == 1:
                    self.failed.append((part[0], rejection_reason(error)))
                    continue
                self._log.warning("%s were rejected: %s", counted(len(part), self._kind.noun), error)
                pending += split_batch(part, error.message)
            else:
                self._finish(part)

    def _finish(self, part: Sequence[Change]) -> None:
        for change in part:
            self.done[change.operation] += 1
            self.written.append(change)

    def _reads(self) -> Iterator[list[Json]]:
        """Yield all entries, read after each delay, until the caller stops."""
        for pause in verify.READ_DELAYS:
            verify.wait(pause)
            yield self._kind.read(self._hook)

    def verify(self) -> None:
        """Read the entries, until they show what was written.

        :raises VerificationError: with the differences after the last read.
        """
        wrong: list[str] = []
        for entries in self._reads():
            wrong = list(self._discrepancies(Catalogue(self._kind, entries)))
            if not wrong:
                return
        raise VerificationError(wrong)

    def _discrepancies(self, now: Catalogue) -> Iterator[str]:
        noun = self._kind.noun
        for change in self.written:
            name = f"{noun} {change.id} ({change.key})"
            found = now.by_id.get(change.id)
            if found is None:
                late = change.operation == "create"
                yield f"{name} does not exist{_LATE if late else ''}"
                continue
            for path, (there, wanted) in differences(change.wanted, found).items():
                yield f"{name}: {path} is {shown_value(there)}, not {shown_value(wanted)}"
            if takes_name(change, now) and len(ids := now.ids_like(change.key)) > 1:
                yield _doubled(noun, change.key, ids)


def _doubled(noun: str, key: str, ids: Sequence[str]) -> str:
    several = ", ".join(shorten(ids, 5))
    return f"{noun} {shown(key)} exists more than once: {several}; delete all but one in the CMS"
