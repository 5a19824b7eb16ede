"""Snapshot: objects by id, in little memory, unchanged by their readers."""

from __future__ import annotations

import tracemalloc

import msgspec
import pytest

from airflow_provider.mapsindoors.geodata.snapshot import LazyObjects
from airflow_provider.sandbox.mapsindoors import seed
from tests.support.mapsindoors_sync import undecoded


def test_objects_are_found_by_id_and_each_access_returns_a_copy() -> None:
    objects = LazyObjects(undecoded([{"id": "a", "aliases": []}, {"id": "b"}]))
    objects["a"]["aliases"].append("changed")
    assert dict(objects) == {"a": {"id": "a", "aliases": []}, "b": {"id": "b"}}
    assert ("a" in objects, "c" in objects, objects.get("c"), len(objects)) == (True, False, None, 2)
    with pytest.raises(KeyError):
        objects["c"]


def test_a_map_takes_less_than_half_of_the_memory_of_its_decoded_objects() -> None:
    campus = seed.campus()
    seed.grow(campus, 2_000)
    reply = msgspec.json.encode(list(campus.geodata.values()))

    def taken(read: object) -> int:
        tracemalloc.start()
        held = read()  # type: ignore[operator]
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert len(held) > 2_000
        return size

    whole = taken(lambda: msgspec.json.decode(reply))
    assert (
        taken(lambda: LazyObjects(msgspec.json.decode(bytes(bytearray(reply)), type=list[msgspec.Raw])))
        < whole / 2
    )
