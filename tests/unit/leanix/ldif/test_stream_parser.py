"""Stream parser: items and header of any LDIF in any chunks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider.leanix.ldif import stream_parser
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


@pytest.mark.slow
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


@pytest.mark.parametrize(
    ("data", "items", "has_content", "is_object"),
    [
        (b'{"content": []}', [], True, True),
        (b'{"a": {"content": [{"b": 1}]}}', [], False, True),
        (b'{"a": "content", "b": [{"c": 1}]}', [], False, True),
        (b'{"content": {"a": [1]}}', [], False, True),
        (b"[]", [], True, False),
        (b"7", [], False, False),
        (b'[{"a": [1, {"b": []}]}, {}]', [b'{"a": [1, {"b": []}]}', b"{}"], True, False),
        (b'{"content": [\n{}\n,\t{}\r\n]\n}\n', [b"{}", b"{}"], True, True),
    ],
)
def test_content_is_the_list_of_that_name_at_the_top_or_the_document(
    data: bytes, items: list[bytes], has_content: bool, is_object: bool
) -> None:
    for size in (1, 3, 100):
        parser = LdifStreamParser()
        assert list(iter_items(pieces(data, size), parser)) == items
        assert (parser.has_content, parser.is_object) == (has_content, is_object)
        assert parser.repeated == []


def test_names_that_occur_twice_outside_of_items_are_noted() -> None:
    data = b'{"b": 1, "a": {"x": 1, "x": 2, "y": 3}, "b": 2, "b": 3, "content": [{"i": 1, "i": 2}], "c": 1}'
    parser = LdifStreamParser()
    assert list(iter_items([data], parser)) == [b'{"i": 1, "i": 2}']
    assert parser.repeated == ["x", "b"]
    assert parser.header == {"b": 3, "a": {"x": 2, "y": 3}, "content": [], "c": 1}


def test_a_name_that_occurs_twice_among_very_many_is_noted_at_once() -> None:
    """The time that grows with the square of their number would be half an hour."""
    members = ",".join(f'"{number}":1' for number in (*range(300_000), 7, 299_999))
    parser = LdifStreamParser()
    assert list(iter_items([f"{{{members}}}".encode()], parser)) == []
    assert parser.repeated == ["299999", "7"]


def test_an_item_or_a_header_beyond_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_parser, "_MAX_BUFFERED_BYTES", 100)
    item = b'{"text": "' + b"x" * 85 + b'"}'
    assert list(iter_items(pieces(b'{"content": [' + item + b"]}", 7), LdifStreamParser())) == [item]
    parser = LdifStreamParser()
    assert parser.feed(b'{"content": [{"a": "' + b"x" * 93) == []
    with pytest.raises(ValueError, match="^an item or its header is larger than 64 MiB$"):
        parser.feed(b"x")
    header = LdifStreamParser()
    header.feed(b'{"a": [' + b"1,  " * 23)
    with pytest.raises(ValueError, match="larger than 64 MiB"):
        header.feed(b"1," * 10 + b'"y"')


def test_a_header_of_exactly_the_bound_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_parser, "_MAX_BUFFERED_BYTES", 100)
    parser = LdifStreamParser()
    parser.feed(b'{"a": "' + b"x" * 91 + b'"}')
    parser.finish()
    assert parser.header == {"a": "x" * 91}


def test_the_bound_is_64_mebibytes() -> None:
    assert stream_parser._MAX_BUFFERED_BYTES == 64 * 1024 * 1024


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"}", "^it is not JSON: a bracket is closed that was never opened$"),
        (b'"text', "^it ends before it is complete$"),
        (b" \n", "^it is not JSON: it is empty$"),
        (b'{"a" 1}', "^it is not JSON: JSON is malformed"),
        (b'{"content": [{}, 5]}', "^its content has an item that is no object$"),
        (b"[5]", "^its content has an item that is no object$"),
    ],
)
def test_the_reason_is_in_the_error(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        list(iter_items([data], LdifStreamParser()))


@pytest.mark.parametrize("data", [b'"\xff s3cret"', b'{"a": "\xff s3cret"}', b'{"a" "s3cret"}', b"9" * 5000])
def test_an_error_holds_nothing_of_the_text(data: bytes) -> None:
    parser = LdifStreamParser()
    parser.feed(data)
    with pytest.raises(ValueError, match="it is not JSON") as caught:
        parser.finish()
    assert "s3cret" not in str(caught.value)
    assert (caught.value.__context__, caught.value.__cause__) == (None, None)


def test_a_parser_has_found_nothing_before_its_first_chunk() -> None:
    parser = LdifStreamParser()
    assert (parser.header, parser.repeated, parser.has_content, parser.is_object) == ({}, [], False, False)
