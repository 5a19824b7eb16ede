"""Limits of a plan: the numbers of writes and removals that no mistake in a source may exceed."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a plan.

    :param max_changes: maximum number of writes; None for no limit.
    :param max_deletes: maximum number of deletions.
    :param max_delete_ratio: maximum share of what is compared that is deleted or deactivated, 0 to 1.
    """

    max_changes: int | None = None
    max_deletes: int = 0
    max_delete_ratio: float = 0.1

    def exceeded(
        self, *, changes: int, deletes: int, removals: int, compared: int, removed: str = "objects would go"
    ) -> list[str]:
        """Return a sentence for each limit that a plan exceeds.

        :param changes: number of writes.
        :param deletes: number of deletions.
        :param removals: number of deletions and deactivations.
        :param compared: number of compared objects or rows.
        :param removed: what would happen to which of them, for the sentence.
        """
        out = []
        if self.max_changes is not None and changes > self.max_changes:
            out.append(f"{changes} changes are more than max_changes={self.max_changes}")
        if deletes > self.max_deletes:
            out.append(f"{deletes} deletions are more than max_deletes={self.max_deletes}")
        # A float's nearest short decimal is what was written: 0.29 of 100 are 29, not 28.999999999999996.
        if removals > Decimal(str(self.max_delete_ratio)) * compared:
            out.append(
                f"{removals} of {compared} compared {removed}, more than"
                f" max_delete_ratio={self.max_delete_ratio:g}"
            )
        return out


UNKNOWN_MISSING = "rows without a match are left out, so the missing rows are not known"
"""Why nothing is removed when rows without a key are left out."""
