"""Tells whether a JSON value that comes back is the one that was sent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

RELATIVE, ABSOLUTE = 1e-7, 1e-9
"""How far floats may be apart: a value that was kept as a 32-bit float is still the same."""


def same_value(wanted: Any, found: Any) -> bool:
    """Tell whether two JSON values are the same: types count, and floats may differ in the last digits.

    A number that comes back as 21 for 21.0 is the same, true for 1 is not. What was wanted as a whole number
    must be equal: a counter or a time in milliseconds has no last digits to spare.
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
    """Tell whether all wanted values are among those found, by name."""
    return all(name in found and same_value(value, found[name]) for name, value in wanted.items())
