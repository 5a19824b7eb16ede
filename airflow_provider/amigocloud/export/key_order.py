"""Order of keys: whether the service orders hex digits as ranges of keys need it."""

from __future__ import annotations

import re
from collections.abc import Iterable

_START = re.compile(rb'^"([0-9a-f]{8})', re.MULTILINE)
"""The first hex digits of a key in JSON, one key a line."""

_EVIDENCE = 16
"""Number of keys whose order shows that the database orders hex digits in the usual way."""


def hex_starts(keys: Iterable[bytes]) -> list[bytes]:
    """Return the first hex digits of the keys that have them.

    :param keys: JSON of each key, which has no line breaks.
    """
    return _START.findall(b"\n".join(keys))


class HexOrder:
    """Order of the service's keys by their hex digits, as its pages show it.

    The usual orders of texts do. An order that compares runs of digits as numbers, or puts letters first, has
    no range of keys between two cuts.

    :param is_wanted: False if ranges are not cut at all.
    """

    def __init__(self, is_wanted: bool) -> None:
        self.is_usual = is_wanted
        self.is_known = False

    def add(self, starts: list[bytes]) -> None:
        """Extend by the first digits of a page's keys, in the order of the service."""
        self.is_usual = self.is_usual and starts == sorted(starts)
        self.is_known = self.is_usual and (self.is_known or len(set(starts)) >= _EVIDENCE)
