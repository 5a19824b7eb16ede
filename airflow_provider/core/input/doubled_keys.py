"""Doubled keys: JSON in which an object has a key twice, of which decoders keep the last."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import msgspec

from airflow_provider.core.input.values import UnreadableValueError, shown_value


class DoubledKeyError(UnreadableValueError):
    """An object of JSON with a key twice.

    :param key: the key.
    """

    def __init__(self, key: str) -> None:
        super().__init__(f"has the key {shown_value(key)} twice")
        self.key = key


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of an object of JSON: an ``object_pairs_hook`` of :func:`json.loads`.

    :raises DoubledKeyError: when a key is there twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise DoubledKeyError(next(name for name, count in counts.items() if count > 1))
    return found


def doubled_key(text: bytes, value: Any) -> str | None:
    """Return a key that an object of JSON has twice, of which decoders keep the last; None without one.

    :param text: the JSON.
    :param value: what was decoded of it.
    """
    written = _written_keys(text)
    if type(value) is dict and written <= len(value):
        return None  # A flat row, as most are.
    try:
        if written > _decoded_keys(value):
            json.loads(text, object_pairs_hook=unique_keys)
    except DoubledKeyError as error:
        return error.key
    except (ValueError, RecursionError):
        pass
    return None


_KEY_END = re.compile(rb'(?<!\\)(?:\\\\)*"\s*:')
"""End of a key: no quote within a text, which has an odd number of backslashes before it."""


_BLANKS = b" \t\r\n"


def _written_keys(text: bytes) -> int:
    """Return the number of keys in JSON, and of texts that begin with a colon."""
    if b"\\" in text:
        return len(_KEY_END.findall(text))
    return text.translate(None, _BLANKS).count(b'":')


def _decoded_keys(value: Any) -> int:
    """Return the number of keys of all objects; lists of numbers, such as coordinates, are not entered."""
    kind = type(value)
    if kind is dict:
        count = len(value)
        for one in value.values():
            if type(one) in _WITH_KEYS:
                count += _decoded_keys(one)
        return count
    if kind is msgspec.Raw:
        return _written_keys(bytes(value))
    if kind is list and value and type(value[0]) is not list and type(value[0]) in _WITH_KEYS:
        return sum(map(_decoded_keys, value))
    return 0


_WITH_KEYS = frozenset({dict, list, msgspec.Raw})
