"""Values in several entries of a state store: whole, in their turn, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider.core.state.chunks import MAX_CHUNKS, read_chunks, write_chunks


class Store(dict[str, Any]):
    def set(self, name: str, value: Any, **options: Any) -> None:
        self[name] = value
        self[f"options of {name}"] = options


def test_what_was_stored_is_read_in_its_order() -> None:
    store = Store()
    told = write_chunks(store, "marks", 1, ["a", "", "c"], ttl=None)
    assert told == {"turn": 1, "chunks": 3}
    assert list(read_chunks(store, "marks", told["turn"], told["chunks"])) == ["a", "", "c"]
    assert store["options of marks_1_2"] == {"ttl": None}


def test_a_value_may_have_no_chunk_and_as_many_as_are_allowed() -> None:
    store = Store()
    for chunks in ([], ["a"], ["b"] * MAX_CHUNKS):
        told = write_chunks(store, "marks", 0, chunks)
        assert list(read_chunks(store, "marks", told["turn"], told["chunks"])) == chunks


def test_the_other_turn_keeps_what_the_run_started_from() -> None:
    store = Store()
    write_chunks(store, "marks", 0, ["before"])
    write_chunks(store, "marks", 1, ["after"])
    assert list(read_chunks(store, "marks", 0, 1)) == ["before"]


def test_a_chunk_that_is_missing_is_an_error_and_no_empty_one() -> None:
    store = Store()
    write_chunks(store, "marks", 0, ["a", "b"])
    del store["marks_0_1"]
    with pytest.raises(LookupError, match="chunk 1"):
        list(read_chunks(store, "marks", 0, 2))


@pytest.mark.parametrize("count", [-1, MAX_CHUNKS + 1, 10**30, 1.0, True, "2", None, [1]])
def test_a_number_of_chunks_that_was_never_stored_is_refused_at_once(count: object) -> None:
    with pytest.raises(ValueError, match="no number of chunks"):
        list(read_chunks(Store(), "marks", 0, count))
