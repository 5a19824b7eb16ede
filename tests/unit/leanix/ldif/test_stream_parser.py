"""Stream parser: items and header of any LDIF in any chunks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider.leanix.ldif.stream_parser import LdifStreamParser, iter_items
from tests.support.hypothesis_sizes import examples

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ITEMS = st.lists(st.fixed_dictionaries({"type": st.text(), "id": st.text(), "data": VALUES}), max_size=5)
HEADERS = st.dictionaries(st.text().filter(lambda name: name != "content"), VALUES, max_size=4)


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@settings(max_examples=examples(150), deadline=None)
@given(header=HEADERS, items=ITEMS, size=st.integers(1, 40), ascii_only=st.booleans(), last=st.booleans())
def test_any_ldif_in_any_pieces_gives_its_items_and_its_header(
    header: dict[str, Any], items: list[Any], size: int, ascii_only: bool, last: bool
) -> None:
    ldif = {**header, "content": items} if last else {"content": items, **header}
    data = json.dumps(ldif, ensure_ascii=ascii_only, indent=size % 3 or None).encode("utf-8", "replace")
    parser = LdifStreamParser()
    assert [json.loads(item) for item in iter_items(pieces(data, size), parser)] == json.loads(data)[
        "content"
    ]
    assert parser.header == {**json.loads(data), "content": []}


def test_list_at_the_top_is_the_content() -> None:
    parser = LdifStreamParser()
    assert list(iter_items([b'[{"a": 1}, {"b"', b': "]"}]'], parser)) == [b'{"a": 1}', b'{"b": "]"}']
    assert parser.header == {}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"content": [{"a": 1}', "ends before it is complete"),
        (b'{"content": [{"a": "x', "ends before it is complete"),
        (b'{"content": [{"a": 1}, 5, {"b": 2}]}', "no object"),
        (b"{]}}", "bracket is closed"),
        (b"<html></html>", "not JSON"),
        (b"", "not JSON"),
    ],
)
def test_input_that_is_no_ldif_is_an_error(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        list(iter_items(pieces(data, 3), LdifStreamParser()))


def test_memory_is_that_of_one_item() -> None:
    import tracemalloc

    item = b'{"type": "A", "id": "1", "data": {"text": "' + b"x" * 1000 + b'"}}'

    def chunks() -> Any:
        yield b'{"content": ['
        for _ in range(500):
            yield b",".join([item] * 40) + b","
        yield item + b"]}"

    tracemalloc.start()
    assert sum(1 for _ in iter_items(chunks(), LdifStreamParser())) == 20_001
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()
