"""Creation: create objects in batches, each exactly once, also after lost responses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider.core.json_types import Json
from airflow_provider.errors import AmbiguousWriteError, RequestRejectedError, VerificationError
from airflow_provider.mapsindoors.api import counted
from airflow_provider.mapsindoors.geodata.batches import rejected_identities, rejection_reason
from airflow_provider.mapsindoors.geodata.snapshot import key_of, natural_key
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.mapsindoors.plan.document import Change
from airflow_provider.mapsindoors.sync.verify import READ_DELAYS, read_repeatedly

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


Rejection = tuple[Change, str]

_MAX_UNANSWERED = 3
"""Maximum requests of a batch without a response."""


class BatchCreator:
    """Creator of a plan's new objects.

    The vendor's docs do not say whether the service writes a part of a batch that it rejects. Therefore the
    map is read after a rejection, for some seconds, because a read may not show a write yet. When a rejected
    batch has shown that the service writes all of a batch or nothing, one read without a delay is enough from
    then on. In all other cases the objects that the map does not have are sent one at a time: a rejected
    request with one object has written nothing.

    :param hook: the connection to the solution.
    :param log: logs the steps that take time.
    :param match_on: the match key of new objects; ``id`` in a restore, where ids are new.
    :param known: ids of the objects that existed before the sync.
    """

    def __init__(self, hook: MapsIndoorsHook, log: Logger, match_on: str, known: frozenset[str]) -> None:
        self.hook, self.log, self.match_on, self._known = hook, log, match_on, known
        self._all_or_nothing = False
        self._unanswered = 0
        self._rejected: list[Rejection] = []

    def create(self, batch: list[Change]) -> list[Rejection]:
        """Create the objects of a batch, and set the ``id`` of each created object.

        :param batch: the creations, with the ids of their parents.
        :return: the rejected objects, each with the reason.
        :raises AmbiguousWriteError: when more than three requests have no response.
        :raises VerificationError: when an object exists more than once.
        """
        self._unanswered, self._rejected = 0, []
        self._send(batch)
        return self._rejected

    def _send(self, batch: list[Change]) -> None:
        if not batch:
            return
        rejection: RequestRejectedError | None = None
        try:
            ids = self.hook.create_geodata([change.body for change in batch])
        except AmbiguousWriteError:
            self._unanswered += 1
            if self._unanswered > _MAX_UNANSWERED:
                raise
        except RequestRejectedError as error:
            rejection = error
        else:
            for change, new in zip(batch, ids, strict=True):
                change.id = new
            return
        if rejection is None:
            self.log.warning("The request that creates %s has no response", counted(len(batch)))
            self._send(self._find_missing(batch))
        elif len(batch) == 1:
            self._rejected.append((batch[0], rejection_reason(rejection)))
        else:
            self._split(batch, rejection)

    def _split(self, batch: list[Change], rejection: RequestRejectedError) -> None:
        """Find the invalid objects of a rejected batch, and create the others."""
        self.log.warning("A batch of %s was rejected: %s", counted(len(batch)), rejection)
        named = rejected_identities(batch, rejection.message)
        left = self._find_missing(batch, READ_DELAYS[:1]) if named and self._all_or_nothing else []
        if len(left) < len(batch):
            left = self._find_missing(batch)
            self._all_or_nothing = False
            if named and len(left) == len(batch):
                # The batch was rejected for some of its objects, not for its size. If its first object is
                # valid and was not written, the service writes all of a batch or nothing.
                first, left = left[:1], left[1:]
                self._send(first)
                self._all_or_nothing = bool(first[0].id)
        together = [change for change in left if id(change) not in named] if self._all_or_nothing else []
        alone = [change for change in left if id(change) in named] if self._all_or_nothing else left
        self.log.info("%s of the batch are sent one at a time", counted(len(alone)))
        for change in alone:
            self._send([change])
        self._send(together)

    def _find_missing(self, batch: list[Change], pauses: Sequence[float] = READ_DELAYS) -> list[Change]:
        """Return the objects of a request that do not exist, and set the ids of those that do."""
        left = [change for change in batch if not change.id]
        self.log.info("Reading the map for up to %g s to find the objects that exist", sum(pauses))
        for objects in read_repeatedly(self.hook, pauses):
            new: dict[Any, list[str]] = {}
            for item in objects:
                if item["id"] not in self._known:
                    new.setdefault(self._identity(item), []).append(item["id"])
            for change in left:
                found = new.get(self._identity(change.body), [])
                if len(found) > 1:
                    raise VerificationError(f"{change.key!r} exists more than once: {', '.join(found)}")
                if found:
                    change.id = found[0]
            left = [change for change in left if not change.id]
            if not left:
                break
        return left

    def _identity(self, item: Json) -> Any:
        return natural_key(item) if self.match_on == "id" else key_of(item, self.match_on)
