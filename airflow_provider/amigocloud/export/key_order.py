"""Keys of a page, and whether the service orders their hex digits as ranges of keys need it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import msgspec

from airflow_provider.errors import InputError

if TYPE_CHECKING:
    from airflow_provider.amigocloud.export.readers import Key

_START = re.compile(r"[0-9a-f]{8}")
"""The first hex digits of a key."""

_EVIDENCE = 16
"""Number of keys whose order shows that the database orders hex digits in the usual way."""


class KeyDecoder:
    """Decoder of the keys of rows, which makes no objects of their other values.

    :param key: name of the key column.
    """

    def __init__(self, key: str) -> None:
        self._text, self._any = (
            msgspec.json.Decoder[Any](
                msgspec.defstruct("Keyed", [("key", kind, msgspec.field(name=key))], gc=False)
            )
            for kind in (str, msgspec.Raw)
        )

    def texts(self, lines: bytes) -> list[str]:
        """Return the keys of rows if all are texts; else none.

        :param lines: JSON of the rows, a row per line.
        """
        try:
            return [row.key for row in self._text.decode_lines(lines)]
        except msgspec.DecodeError:
            return []

    def values(self, lines: bytes) -> list[bytes]:
        """Return the exact JSON of the keys of rows.

        :param lines: JSON of the rows, a row per line.
        :raises msgspec.ValidationError: when a row has no key.
        """
        return [bytes(row.key) for row in self._any.decode_lines(lines)]


def read_key(text: str | bytes) -> Key:
    """Return a key from its JSON; a text is a key already.

    :raises InputError: when it has no order, or cannot be read.
    """
    try:
        key: Any = text if isinstance(text, str) else json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError):  # A number of thousands of digits is no JSONDecodeError.
        raise InputError(
            "the key column holds a value that cannot be read; select it as text", "key"
        ) from None
    if isinstance(key, (dict, list)):
        raise InputError(
            "the key column holds lists or objects, which have no order; select it as text", "key"
        )
    return cast("Key", key)


def hex_starts(keys: Iterable[str]) -> list[str]:
    """Return the first hex digits of the keys that have them."""
    return [key[:8] for key in keys if _START.match(key)]


class HexOrder:
    """Order of the service's keys by their hex digits, as its pages show it.

    The usual orders of texts do. An order that compares runs of digits as numbers, or puts letters first, has
    no range of keys between two cuts.

    :param is_wanted: False if ranges are not cut at all.
    """

    def __init__(self, is_wanted: bool) -> None:
        self.is_usual = is_wanted
        self.is_known = False

    def add(self, keys: list[str]) -> None:
        """Extend by the keys of a page, in the order of the service."""
        if self.is_known and keys == sorted(keys):
            return  # Then their first digits are in order, too.
        starts = hex_starts(keys)
        self.is_usual = self.is_usual and starts == sorted(starts)
        self.is_known = self.is_usual and (self.is_known or len(set(starts)) >= _EVIDENCE)
