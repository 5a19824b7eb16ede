"""Hash set of items: duplicates are found in little memory."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider.leanix.ldif.validation import HashSet


@given(st.lists(st.tuples(st.text(max_size=2), st.text(max_size=2)), max_size=300))
def test_hash_set_agrees_with_a_set(values: list[tuple[str, str]]) -> None:
    seen, known = HashSet(), set()
    for value in values:
        assert seen.add(value) is (value not in known)
        known.add(value)


def test_a_hundred_thousand_items_take_some_bytes_each() -> None:
    seen = HashSet()
    assert all(seen.add(("ITComponent", f"i{number}")) for number in range(100_000))
    assert not seen.add(("ITComponent", "i99999"))
    assert sys.getsizeof(seen._slots) < 24 * 100_000
