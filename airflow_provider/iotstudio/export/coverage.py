"""Coverage of a bulk export: which histories were there, and which were not."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider.core.input.problems import nearest
from airflow_provider.errors import NotFoundError, one_line, shorten
from airflow_provider.iotstudio.known_names import names_of

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


class Coverage:
    """The outcome of each history of an export. Threads may call the ``note`` methods.

    :param log: gets a warning for Things that are gone, and for properties that no Thing has.
    """

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._missing: set[str] = set()
        self._with_rows: set[str] = set()
        self._read: set[str | None] = set()
        self._lacking: set[str] = set()
        self._known: set[str] = set()
        self._error: NotFoundError | None = None

    def note_read(self, name: str | None) -> None:
        """Note that a history was read, with or without values.

        :param name: the property; None for all.
        """
        with self._lock:
            self._read.add(name)

    def note_rows(self, thing_id: str) -> None:
        """Note that a Thing has values in the span.

        :param thing_id: the Thing's id.
        """
        with self._lock:
            self._with_rows.add(thing_id)

    def note_not_found(
        self, thing_id: str, name: str | None, error: NotFoundError, thing: Mapping[str, Any] | None
    ) -> None:
        """Note that a history is not there.

        :param thing_id: the Thing's id.
        :param name: the property; None for all.
        :param error: the service's reply.
        :param thing: the Thing's description; None when the Thing is gone.
        """
        with self._lock:
            self._error = self._error or error
            if thing is None or name is None:
                self._missing.add(thing_id)
            else:
                self._lacking.add(name)
                self._known |= names_of(thing)

    def raise_if_nothing(self) -> None:
        """Raise when not one of the histories is there: the ids or the names are wrong.

        :raises NotFoundError: the service's reply, with the most similar property.
        """
        error = self._error
        if error is None or self._read:
            return
        hints = "".join(f" (property {name!r:.80}{nearest(name, self._known)})" for name in self._lacking)
        raise NotFoundError(
            error.status,
            error.code,
            f"{error.message}{hints[:500]}: none of the histories exists",
            request=error.request,
            body=error.body,
        )

    def report(self, things: int) -> dict[str, int]:
        """Log what was not there; return the counts for the manifest.

        :param things: number of Things that were asked for.
        """
        for name in sorted(self._lacking - self._read - {""}):
            self._log.warning("no Thing has the property %r%s", name[:80], nearest(name, self._known))
        if self._missing:
            self._log.warning(
                "%d of %d Things are gone and have no values: %s",
                len(self._missing),
                things,
                one_line(", ".join(shorten(sorted(self._missing), 10))),
            )
        without = things - len(self._with_rows | self._missing)
        return {"missing_things": len(self._missing), "without_values": max(0, without)}
