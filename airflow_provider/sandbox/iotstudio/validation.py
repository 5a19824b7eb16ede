"""Validation of values against the declaration of a property, action or event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TYPES: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}
"""Python types by declared type."""


def type_error(schema: Mapping[str, Any], value: Any) -> str:
    """Return the error of a value that does not have its declared type; empty when it has."""
    declared = schema.get("type")
    if declared is None or value is None:
        return ""
    fits = isinstance(value, TYPES[declared]) and (declared == "boolean" or not isinstance(value, bool))
    return "" if fits else f"must be of type {declared}"


def exceeded_limit(schema: Mapping[str, Any], value: Any) -> Any:
    """Return the declared minimum or maximum that a number exceeds; None when it is within both."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and value < low:
        return low
    return high if high is not None and value > high else None
