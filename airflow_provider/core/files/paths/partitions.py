"""Partitions: columns in the names of folders, ``key=value``, as Hive, Spark and warehouses write them."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import unquote

NULL = "__HIVE_DEFAULT_PARTITION__"
"""Value in a folder's name for rows without a value."""


def partition_of(path: str) -> dict[str, str | None]:
    """Return the columns and texts in the names of a file's folders; None where rows have no value.

    :param path: the file's path. What is percent-encoded in it is decoded.
    """
    found: dict[str, str | None] = {}
    for folder in path.rpartition("://")[2].split("/")[:-1]:
        name, separator, value = folder.partition("=")
        if name and separator:
            found[unquote(name)] = None if value == NULL else unquote(value)
    return found


def agrees(value: Any, text: str | None) -> bool:
    """Return whether a row's own value is that of its folder.

    :param value: the value; None is none.
    :param text: the folder's text; None for no value.
    """
    if value is None or text is None:
        return value is None and text is None
    if isinstance(value, bool):
        return text.lower() == str(value).lower()
    if isinstance(value, (int, float, Decimal)):
        try:
            return Decimal(text) == Decimal(str(value))
        except InvalidOperation:
            return False
    return text in (str(value), value.isoformat() if isinstance(value, (date, time)) else None)
