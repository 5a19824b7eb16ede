"""JSON equality: compare a value that was sent with the value read back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

RELATIVE, ABSOLUTE = 1e-7, 1e-9
"""Tolerances between floats: a value stored as a 32-bit float still counts as equal."""


def same_value(wanted: Any, found: Any) -> bool:
    """Return whether two JSON values are equal, with their types, and floats within the tolerance.

    21 read back for 21.0 is equal; true for 1 is not. A wanted whole number must be matched exactly: a
    counter or a time in milliseconds has no digits to lose.
    """
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    if isinstance(wanted, int) and isinstance(found, (int, float)):
        return wanted == found
    if isinstance(wanted, float) and isinstance(found, (int, float)):
        return math.isclose(wanted, found, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    if isinstance(wanted, (list, tuple)) and isinstance(found, (list, tuple)):
        return len(wanted) == len(found) and all(map(same_value, wanted, found))
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return wanted.keys() == found.keys() and all(same_value(wanted[key], found[key]) for key in wanted)
    return type(wanted) is type(found) and bool(wanted == found)


def contains_values(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Return whether the found values include all wanted values, compared by name."""
    return all(name in found and same_value(value, found[name]) for name, value in wanted.items())
