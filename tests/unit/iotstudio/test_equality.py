"""JSON equality, for any JSON values."""

from __future__ import annotations

import json
import struct
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from airflow_provider.iotstudio.equality import contains_values, same_value
from tests.support.hypothesis_sizes import examples

NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=8)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
)


@settings(max_examples=examples(40))
@given(value=JSON)
def test_a_value_is_the_same_after_it_was_sent_and_read(value: Any) -> None:
    assert same_value(value, json.loads(json.dumps(value)))


@settings(max_examples=examples(40))
@given(wanted=st.floats(-1e30, 1e30))
def test_a_float_stored_with_32_bits_is_the_same(wanted: float) -> None:
    stored = struct.unpack("f", struct.pack("f", wanted))[0]
    assert same_value(wanted, stored)


@settings(max_examples=examples(40))
@given(wanted=st.integers(-(2**53), 2**53), found=st.integers(-(2**53), 2**53))
def test_whole_numbers_are_the_same_only_when_they_are_equal(wanted: int, found: int) -> None:
    assert same_value(wanted, found) == (wanted == found)


@settings(max_examples=examples(40))
@given(wanted=JSON, found=JSON)
def test_values_of_different_kinds_are_never_the_same(wanted: Any, found: Any) -> None:
    kinds = [float if type(value) is int else type(value) for value in (wanted, found)]
    assume(kinds[0] is not kinds[1])
    assert not same_value(wanted, found)


@settings(max_examples=examples(40))
@given(found=st.dictionaries(st.text(max_size=4), JSON, max_size=5), data=st.data())
def test_wanted_values_are_contained_with_others_and_not_when_one_is_missing(
    found: dict[str, Any], data: st.DataObject
) -> None:
    names = data.draw(st.sets(st.sampled_from(sorted(found)))) if found else set()
    wanted = {name: found[name] for name in names}
    assert contains_values(found, wanted)
    assert not contains_values(found, {**wanted, "no such name": 1})
