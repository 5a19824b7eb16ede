"""A key that an object of JSON has twice is found, in time that grows with the text only."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from airflow_provider.core.input.doubled_keys import (
    DoubledKeyError,
    _decoded_keys,
    _written_keys,
    doubled_key,
    unique_keys,
)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('{"a": 1, "b": 2, "b": 3}', "b"),
        ('{"a": 1, "b": 2, "b": 3, "a": 4}', "a"),
        ('{"a": 1, "b": 2}', None),
        ('[{"a": 1, "a": 2}, {}, {}]', "a"),
        ('{"x": {"a": 1, "a": 2}, "y": 1, "z": 2}', "a"),
        (r'{"a": "\"b\":", "c": {"b": 1, "b": 2}}', "b"),
        (r'{"a\\" : 1, "a\\" : 2}', "a\\"),
        ('{"a": ":", "b": ":"}', None),
        ("7", None),
        ('"a"', None),
        ("{}", None),
    ],
)
def test_the_first_key_that_an_object_has_twice_is_named(text: str, key: str | None) -> None:
    assert doubled_key(text.encode(), msgspec.json.decode(text)) == key
    if key is None:
        assert json.loads(text, object_pairs_hook=unique_keys) == json.loads(text)
        return
    with pytest.raises(DoubledKeyError) as caught:
        json.loads(text, object_pairs_hook=unique_keys)
    assert (caught.value.key, str(caught.value)) == (key, f"has the key {key!r} twice")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('{"a": 1, "b" : {"c"\n\t\r:2}}', 3),
        ('{"aX": {"X": 1}}', 2),
        (r'{"a": "\"b\": \\", "c\\" : 1}', 2),
        (r'{"a": "\\\"b\":"}', 1),
        ('{"a": ":b", "c": " :"}', 4),
        ('{"a": "X:"}', 1),
        ("[]", 0),
    ],
)
def test_keys_are_counted_as_they_are_written(text: str, count: int) -> None:
    """A text that begins with a colon counts as well, which only makes a second look necessary."""
    assert _written_keys(text.encode()) == count


@pytest.mark.parametrize(
    ("value", "count"),
    [
        ({"a": 1, "b": {"c": {}, "d": []}}, 4),
        ({"a": [{"b": 1}, {"c": 1, "d": 2}]}, 4),
        ({"a": msgspec.Raw(b'{"b": {"c": 1}}')}, 3),
        ([msgspec.Raw(b'{"b": 1}'), {"c": 1}], 2),
        ([[1, 2], {"a": 1}], 0),
        ([1, {"a": 1}], 0),
        ([], 0),
        ("a", 0),
    ],
)
def test_keys_are_counted_as_they_were_decoded(value: Any, count: int) -> None:
    assert _decoded_keys(value) == count


def test_a_key_among_very_many_is_found_at_once() -> None:
    """The time that grows with the square of their number would be half an hour."""
    names = [*map(str, range(300_000)), "299999"]
    text = f"{{{','.join(f'{name!r}:1' for name in names)}}}".replace("'", '"').encode()
    assert doubled_key(text, msgspec.json.decode(text)) == "299999"
