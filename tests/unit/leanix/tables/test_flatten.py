"""The rule by which items become rows: columns, kinds and names."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from airflow_provider.errors import IncompleteExportError
from airflow_provider.leanix.tables import flatten, spool
from airflow_provider.leanix.tables.flatten import column_names
from airflow_provider.leanix.tables.names import stems
from airflow_provider.leanix.tables.spool import ItemSpool, as_rows


def flattened(*data: Any) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Return the kinds of columns by name, and the rows without ``id`` and ``type``."""
    with ItemSpool() as spooled:
        spooled.add(
            json.dumps({"type": "T", "id": f"{n}", "data": one}).encode() for n, one in enumerate(data)
        )
        columns = spooled.columns("T")
        rows = [row for batch in spooled.rows_of("T") for row in as_rows(batch, "T", columns)]
    assert [(row.pop("id"), row.pop("type")) for row in rows] == [(f"{n}", "T") for n in range(len(data))]
    return {column.name: column.kind for column in columns}, rows


def test_nested_objects_become_columns_named_by_the_path() -> None:
    kinds, rows = flattened(
        {"name": "A", "cycle": {"phase": "active", "dates": {"from": 2020}}}, {"name": "B"}
    )
    assert kinds == {"name": "text", "cycle.phase": "text", "cycle.dates.from": "integer"}
    assert rows[0] == {"name": "A", "cycle.phase": "active", "cycle.dates.from": 2020}
    assert rows[1] == {"name": "B", "cycle.phase": None, "cycle.dates.from": None}


def test_lists_become_json_text() -> None:
    kinds, rows = flattened({"tags": ["a", "ü"], "of": [{"x": 1}], "none": []})
    assert kinds == dict.fromkeys(("tags", "of", "none"), "json")
    assert rows == [{"tags": '["a","ü"]', "of": '[{"x":1}]', "none": "[]"}]


def test_null_an_absent_field_and_an_empty_object_are_empty_cells() -> None:
    kinds, rows = flattened({"a": None, "b": {}, "c": {"d": 1}}, {"c": None}, {"c": {}})
    assert kinds == {"a": "text", "b": "text", "c.d": "integer"}
    assert rows[1:] == [{"a": None, "b": None, "c.d": None}] * 2


@pytest.mark.parametrize(
    ("values", "kind", "cells"),
    [
        ([1, 2.5], "number", [1, 2.5]),
        ([1, "1"], "json", ["1", '"1"']),
        ([True, 1], "json", ["true", "1"]),
        ([True, False], "boolean", [True, False]),
        ([2**63 - 1, -(2**63)], "integer", [2**63 - 1, -(2**63)]),
        ([2**63, 1], "json", [f"{2**63}", "1"]),
        ([10**30], "json", [f"{10**30}"]),
        ([2**53 + 1, 0.5], "json", [f"{2**53 + 1}", "0.5"]),
        ([2**53, 0.5], "number", [2**53, 0.5]),
        (["a", None], "text", ["a", None]),
        ([["a"], "a"], "json", ['["a"]', '"a"']),
        (["\u0000\u20ac\U0001f600", ""], "text", ["\u0000\u20ac\U0001f600", ""]),
    ],
)
def test_a_column_has_one_kind_and_mixed_values_become_json_text(values: Any, kind: str, cells: Any) -> None:
    kinds, rows = flattened(*({"v": value} for value in values))
    assert kinds == {"v": kind}
    assert [row["v"] for row in rows] == cells


def test_a_value_and_an_object_at_one_place_are_two_columns() -> None:
    kinds, rows = flattened({"a": 5}, {"a": {"b": 6}})
    assert kinds == {"a": "integer", "a.b": "integer"}
    assert rows == [{"a": 5, "a.b": None}, {"a": None, "a.b": 6}]


def test_fields_named_id_or_type_do_not_hide_those_of_the_item() -> None:
    kinds, _ = flattened({"id": 1, "Type": "x", "": 2, "deep": {"id": 3}})
    assert list(kinds) == ["data.id", "data.Type", "data.", "deep.id"]


def test_names_that_are_equal_apart_from_case_each_get_a_hash_of_their_path() -> None:
    kinds, rows = flattened({"a.b": 1, "a": {"b": 2}, "Name": 3, "name": 4, "other": 5})
    names = list(kinds)
    assert [name.rpartition("~")[0] or name for name in names] == ["a.b", "a.b", "Name", "name", "other"]
    assert len({name.lower() for name in names}) == 5
    assert list(rows[0].values()) == [1, 2, 3, 4, 5]
    turned, _ = flattened({"other": 5, "name": 4, "Name": 3, "a": {"b": 2}, "a.b": 1})
    assert set(turned) == set(names)  # the order of the items decides nothing


def test_a_key_that_looks_like_a_hashed_name_stays_different() -> None:
    paths = [("a", "b"), ("a.b",)]
    first = column_names(paths)
    names = column_names([*paths, (first[0],)])
    assert len(set(names)) == 3


def test_a_map_with_data_as_keys_is_refused_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flatten, "MAX_COLUMNS", 20)
    with pytest.raises(IncompleteExportError, match=r"'data\.by\.id' has 20 different keys"):
        flattened({"by": {"id": {f"k{n}": n for n in range(30)}}})
    with pytest.raises(IncompleteExportError, match=r"'data\.by' has 20 different keys"):
        flattened({"by": {f"k{n}": {"x": n} for n in range(30)}})


@pytest.mark.parametrize(
    "item",
    [
        b'{"id": "1"}',
        b'{"type": null}',
        b'{"type": 7}',
        b'{"type": "A", "id": 1e999}',
        b"[]",
        b"null",
        b'"x"',
    ],
)
def test_an_item_that_is_none_is_refused_with_its_number(item: bytes) -> None:
    with ItemSpool() as items:
        items.add([b'{"type": "A", "id": "0"}'])
        with pytest.raises(ValueError, match="item 2 of its content"):
            items.add([item])


def test_names_of_files_are_safe_and_differ_on_any_storage() -> None:
    types = [
        "Application",
        "IT-Component_2",
        "",
        "..",
        "a/b",
        "a b",
        ".x",
        "_y",
        "日本",
        "user",
        "User",
        "x" * 300,
    ]
    found = stems(types)
    assert found["Application"] == "Application"
    assert found["IT-Component_2"] == "IT-Component_2"
    assert len({stem.lower() for stem in found.values()}) == len(types)
    for stem in found.values():
        assert stem.replace("-", "").replace("_", "").isalnum()
        assert stem.isascii()
        assert stem[0] != "_"
        assert len(stem) <= 100
    assert len(set(stems(["", stems([""])[""]]).values())) == 2
    assert stems(["a/b"]) == {"a/b": found["a/b"]}


def test_memory_does_not_grow_with_the_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "_BUFFERED_BYTES", 100_000)
    raw = [
        json.dumps({"type": f"T{n}", "id": "1", "data": {"a": "x" * 50, "n": n}}).encode() for n in range(50)
    ]

    def peak(rounds: int) -> int:
        with ItemSpool() as items:
            tracemalloc.start()
            try:
                for _ in range(rounds):
                    items.add(raw)
                rows = sum(len(batch) for name in items.types() for batch in items.rows_of(name))
                assert rows == rounds * len(raw)
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    peak(1)
    assert peak(160) < peak(40) + 100_000
