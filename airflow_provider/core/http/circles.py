"""Circles of pages: a list whose links lead back to an earlier page would never end."""

from __future__ import annotations


class Circle:
    """Finds out that the places of a walk repeat, in the memory of one place (Brent's algorithm).

    A circle is found after at most three times as many steps as lead to its first repetition.

    :param first: the place of the first page: its cursor, or its link.
    """

    def __init__(self, first: object) -> None:
        self._kept = first
        self._steps, self._power = 0, 1

    def closes_at(self, place: object) -> bool:
        """Return whether a place of the walk is known to be one of before.

        :param place: the place of the next page; call this once for each.
        """
        if place == self._kept:
            return True
        self._steps += 1
        if self._steps == self._power:
            self._kept, self._steps, self._power = place, 0, self._power * 2
        return False
