"""Creates objects without making any twice, whatever the service answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider.core.json_types import Json
from airflow_provider.errors import AmbiguousWriteError, RequestRejectedError, VerificationError
from airflow_provider.mapsindoors.api import counted
from airflow_provider.mapsindoors.geodata.batches import named_in, reason
from airflow_provider.mapsindoors.geodata.snapshot import key_of, marks_of
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.mapsindoors.plan.document import Change
from airflow_provider.mapsindoors.sync.verify import SETTLE, looks

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


Refused = tuple[Change, str]

_LOST_AT_MOST = 3


class Creation:
    """Creates the new objects of a plan.

    The docs do not say whether the service writes a part of a batch that it refuses. So the map is looked at,
    for some seconds, as reads may be late. That is not done again once a refused batch has shown that nothing
    was written: then one read, without waiting, is enough. In all other cases a batch is looked for once, and
    what is not there is sent one by one: a request with one object that is refused has written nothing.

    :param hook: the solution.
    :param log: is told what takes time.
    :param match_on: by what a new object is recognised; ``id`` in a restore, where ids are new.
    :param known: ids of the objects that were there before.
    """

    def __init__(self, hook: MapsIndoorsHook, log: Logger, match_on: str, known: frozenset[str]) -> None:
        self.hook, self.log, self.match_on, self._known = hook, log, match_on, known
        self._all_or_nothing = False
        self._lost = 0
        self._refused: list[Refused] = []

    def create(self, batch: list[Change]) -> list[Refused]:
        """Create a batch: what exists then has its id; gives the others, each with the reason.

        :raises AmbiguousWriteError: when answers are lost again and again.
        :raises VerificationError: when an object exists more than once.
        """
        self._lost, self._refused = 0, []
        self._send(batch)
        return self._refused

    def _send(self, part: list[Change]) -> None:
        if not part:
            return
        refusal: RequestRejectedError | None = None
        try:
            ids = self.hook.create_geodata([one.body for one in part])
        except AmbiguousWriteError:
            self._lost += 1
            if self._lost > _LOST_AT_MOST:
                raise
        except RequestRejectedError as error:
            refusal = error
        else:
            for one, new in zip(part, ids, strict=True):
                one.id = new
            return
        if refusal is None:
            self.log.warning("The answer to creating %s was lost", counted(len(part)))
            self._send(self._missing(part))
        elif len(part) == 1:
            self._refused.append((part[0], reason(refusal)))
        else:
            self._split(part, refusal)

    def _split(self, part: list[Change], refusal: RequestRejectedError) -> None:
        """Find the bad ones of a refused batch, and create the others."""
        self.log.warning("A batch of %s was refused: %s", counted(len(part)), refusal)
        named = named_in(part, refusal.message)
        left = self._missing(part, SETTLE[:1]) if named and self._all_or_nothing else []
        if len(left) < len(part):
            left = self._missing(part)
            self._all_or_nothing = False
            if named and len(left) == len(part):
                # It was refused for some of its objects, not for its size. If its first one is good and was
                # not written, no way of writing a part is left.
                first, left = left[:1], left[1:]
                self._send(first)
                self._all_or_nothing = bool(first[0].id)
        together = [one for one in left if id(one) not in named] if self._all_or_nothing else []
        alone = [one for one in left if id(one) in named] if self._all_or_nothing else left
        self.log.info("%s of them are sent one by one", counted(len(alone)))
        for one in alone:
            self._send([one])
        self._send(together)

    def _missing(self, part: list[Change], pauses: Sequence[float] = SETTLE) -> list[Change]:
        """Give those objects of a lost or refused request that do not exist; the others get their ids."""
        left = [one for one in part if not one.id]
        self.log.info("Reading the map for up to %g s, to see which of them exist", sum(pauses))
        for objects in looks(self.hook, pauses):
            new: dict[Any, list[str]] = {}
            for thing in objects:
                if thing["id"] not in self._known:
                    new.setdefault(self._identity(thing), []).append(thing["id"])
            for one in left:
                found = new.get(self._identity(one.body), [])
                if len(found) > 1:
                    raise VerificationError(f"{one.key!r} exists more than once: {', '.join(found)}")
                if found:
                    one.id = found[0]
            left = [one for one in left if not one.id]
            if not left:
                break
        return left

    def _identity(self, thing: Json) -> Any:
        return marks_of(thing) if self.match_on == "id" else key_of(thing, self.match_on)
