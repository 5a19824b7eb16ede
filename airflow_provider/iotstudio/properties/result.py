"""Result of a write: counts, one line for each failure and difference, and the error to raise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider.errors import (
    NotFoundError,
    PartialWriteError,
    ProviderError,
    RequestRejectedError,
    VerificationError,
)
from airflow_provider.iotstudio.hooks import MAY_BE_STORED, may_be_stored
from airflow_provider.iotstudio.properties.writes import Write, row_label

REFUSALS_CHECKED = 20
"""Maximum number of refused writes whose Things are read for a similar property name."""


@dataclass(frozen=True, slots=True)
class WriteFailure:
    """A write that failed.

    :param write: the write.
    :param error: its error; None when the circuit breaker had opened before it was sent.
    """

    write: Write
    error: ProviderError | None

    def __str__(self) -> str:
        stored = "; the service may have stored its other values"
        end = stored if may_be_stored(self.error, self.write.properties) else ""
        return f"{row_label(self.write.rows)}: Thing {self.write.thing_id}: {self.error}{end}"


class WriteResult:
    """Counts and failures of a task's writes.

    :ivar counts: numbers of values written, skipped and verified.
    :ivar failed: number of Things whose write failed or was not sent.
    :ivar lines: one line for each failure.
    :ivar refused: some of the writes that the service refused.
    :ivar differences: one line for each value that differs from the written value.
    :ivar unread: the error that ended the reading back; None without one.
    """

    def __init__(self) -> None:
        self.counts = {"written": 0, "skipped": 0, "verified": 0}
        self.failed = 0
        self.lines: list[str] = []
        self.refused: list[Write] = []
        self.differences: list[str] = []
        self.unread: ProviderError | None = None
        self._first: ProviderError | None = None
        self._kinds: set[type[ProviderError]] = set()
        self._may_be_stored = False
        self._unsent: tuple[int, int, int] | None = None

    @property
    def has_begun(self) -> bool:
        """Return whether any write was sent or skipped."""
        return bool(self.failed or any(self.counts.values()))

    def add_counts(self, **counts: int) -> None:
        """Add numbers of values."""
        for name, count in counts.items():
            self.counts[name] += count

    def add_error(self, error: ProviderError) -> None:
        """Add the error of a write, or of a request that ends the writing."""
        self._first = self._first or error
        self._kinds.add(type(error))

    def add_failure(self, failure: WriteFailure) -> list[str]:
        """Add a write that failed; return its line, or nothing for one that was not sent."""
        self.failed += 1
        if failure.error is None:
            rows = failure.write.rows
            count, first, last = self._unsent or (0, rows[0], rows[-1])
            self._unsent = count + len(rows), min(first, *rows), max(last, *rows)
            return []
        self.add_error(failure.error)
        self._may_be_stored = self._may_be_stored or may_be_stored(failure.error, failure.write.properties)
        if _is_refusal(failure.error) and len(self.refused) < REFUSALS_CHECKED:
            self.refused.append(failure.write)
        self.lines.append(str(failure))
        return self.lines[-1:]

    def unsent_line(self, reason: str) -> str:
        """Return one line for all writes that were not sent; empty without any.

        :param reason: why they were not sent.
        """
        if self._unsent is None:
            return ""
        count, first, last = self._unsent
        return f"{count} rows, from {first} to {last}: not sent, because {reason}"

    def raise_if_failed(self, space: str) -> None:
        """Raise the error of a task that has not written all values as they are given.

        :param space: id of the space.
        :raises ProviderError: naming each failure.
        """
        unread = [f"the written values could not be read back: {self.unread}"] if self.unread else []
        if self._first is not None:
            self._raise(self._first, [*self.lines, *self.differences, *unread], space)
        if self.differences:
            raise VerificationError([*self.differences, *unread])
        if self.unread:
            count = self.counts["written"] - self.counts["verified"]
            self.unread.add_note(f"{count} values were written, but could not be read back")
            raise self.unread

    def _raise(self, first: ProviderError, lines: Sequence[str], space: str) -> None:
        if self.counts["written"] or len(self._kinds) > 1:
            partial = PartialWriteError(lines, self.counts)
            if self._may_be_stored:
                partial.add_note(MAY_BE_STORED)
            raise partial from first
        if self.failed > 1:
            first.add_note(
                f"no write succeeded: {self.failed} Things failed with like errors, or were not sent"
            )
            if isinstance(first, NotFoundError):
                first.add_note(f"check that '{space}' is the right space")
        raise first


def count_values(writes: Sequence[Write]) -> int:
    """Return the number of values of some writes."""
    return sum(len(write.properties) for write in writes)


def _is_refusal(error: ProviderError) -> bool:
    return isinstance(error, RequestRejectedError) and error.status in (400, 404, 422)
