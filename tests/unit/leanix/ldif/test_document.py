"""LDIF documents: any content, announced length, repeated writing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider.core.sql.rows import SqlRows
from airflow_provider.errors import InputError
from airflow_provider.leanix.ldif.document import (
    SizedBody,
    UnorderedItemsHash,
    _join_chunks,
    make_header,
    prepare,
    read_ldif,
)
from airflow_provider.leanix.ldif.mapping import read_mapping
from tests.support.hypothesis_sizes import examples

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12)
WORDS = TEXT.filter(str.strip).map(str.strip)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT
DATA = st.dictionaries(TEXT, SCALARS | st.lists(SCALARS, max_size=2), max_size=3)
ITEMS = st.lists(
    st.fixed_dictionaries({"type": WORDS, "id": WORDS, "data": DATA}),
    min_size=1,
    max_size=6,
    unique_by=lambda item: (item["type"].casefold(), item["id"].casefold()),
)
HEADER = make_header(
    connector_type="cmdb", connector_id="campus", connector_version="1.0.0", processing_direction="inbound"
)

ITEM = {"type": "App", "id": "a", "data": {}}
DUMMY = {"type": "", "id": "", "data": {}}


@pytest.mark.slow
@settings(max_examples=examples(25))
@given(items=ITEMS, description=TEXT)
def test_written_document_has_header_and_items_and_the_announced_length(
    items: list[dict[str, Any]], description: str
) -> None:
    ldif = prepare(HEADER, items).with_description(description)
    for _ in range(2):
        body = ldif.open()
        data = b"".join(body)
        assert json.loads(data) == {**HEADER, "description": description, "content": items}
        assert len(data) == len(ldif.open())
    assert ldif.count == len(items)
    assert hashlib.sha256(b"".join(ldif.items())).hexdigest() == ldif.sha256


@pytest.mark.parametrize("ending", ["jsonl", "ldif"])
@settings(max_examples=examples(20), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(items=ITEMS)
def test_a_file_makes_the_same_ldif_as_a_list(
    items: list[dict[str, Any]], ending: str, tmp_path: Path
) -> None:
    path = tmp_path / f"content.{ending}"
    lines = "".join(json.dumps(item) + "\n" for item in items)
    path.write_text(lines if ending == "jsonl" else json.dumps({**HEADER, "content": items}))
    of_list, of_file = prepare(HEADER, items), prepare(HEADER, str(path))
    assert json.loads(b"".join(of_file.open())) == json.loads(b"".join(of_list.open()))
    assert (of_file.count, of_file.sha256) == (of_list.count, of_list.sha256)


def test_the_name_of_a_bad_item_is_one_line_whatever_it_is() -> None:
    twice = {"type": "Room", "id": "a\nFAILED: \x1b[31m b", "data": {}}
    with pytest.raises(InputError, match=r"item 2 \(a FAILED: \ufffd\[31m b\): .* occurred before"):
        prepare(HEADER, [twice, twice])


@settings(max_examples=examples(20))
@given(items=ITEMS, data=st.data())
def test_an_item_that_is_there_twice_is_named(items: list[dict[str, Any]], data: st.DataObject) -> None:
    again = data.draw(st.sampled_from(items))
    with pytest.raises(InputError, match=f"item {len(items) + 1} .* occurred before"):
        prepare(HEADER, [*items, again])


def test_a_query_has_the_same_hash_in_any_order_and_another_with_other_items() -> None:
    def digest(*items: bytes) -> str:
        found = UnorderedItemsHash()
        for item in items:
            found.update(item)
        return found.hexdigest()

    assert digest(b"a", b"b", b"b") == digest(b"b", b"a", b"b")
    assert len({digest(), digest(b"a"), digest(b"a", b"a"), digest(b"a", b"b"), digest(b"ab")}) == 5
    for count in range(1, 20):
        total = count * int(hashlib.sha256(b"x").hexdigest(), 16)
        assert digest(*[b"x"] * count) == f"{total % 2**256:064x}"
    assert (len(digest()), len(digest(b"a"))) == (64, 64)


def test_a_body_is_sent_in_chunks_of_64_kibibytes() -> None:
    small = list(_join_chunks([b"x" * 1000] * 200))
    assert [len(chunk) for chunk in small] == [66_000, 66_000, 66_000, 2_000]
    assert list(_join_chunks([b"x" * 65_536, b"y"])) == [b"x" * 65_536, b"y"]
    assert list(_join_chunks([b"", b""])) == []


def test_a_body_can_be_read_step_by_step() -> None:
    body = SizedBody(2, [b"a", b"b"])
    assert (len(body), next(body), next(body), list(body)) == (2, b"a", b"b", [])


@pytest.mark.parametrize(
    ("header", "items", "writes", "facts"),
    [
        ({}, [ITEM], False, (1, 1, False, False)),
        ({}, [], False, (0, 0, False, False)),
        ({"processingMode": "full"}, [ITEM], False, (1, 1, False, True)),
        ({"processingDirection": "outbound"}, [], False, (0, 0, True, False)),
        ({}, [DUMMY], False, (1, 0, True, False)),
        ({}, [DUMMY, ITEM], False, (2, 1, False, False)),
        ({}, [ITEM], True, (1, 1, True, False)),
        ({}, [], True, (1, 0, True, False)),
    ],
)
def test_an_ldif_knows_what_its_run_is_for(
    header: dict[str, Any], items: list[Any], writes: bool, facts: tuple[int, int, bool, bool]
) -> None:
    ldif = prepare({**HEADER, **header}, items, writes=writes)
    assert (ldif.count, ldif.sent, ldif.is_export, ldif.is_full) == facts
    is_inbound = ldif.header["processingDirection"] == "inbound"
    assert ldif.is_empty is (is_inbound and ldif.count == 0)
    assert "items" not in repr(ldif)
    assert (
        ldif.connector
        == "cmdb/campus/1.0.0/" + ldif.header["processingDirection"] + "/" + (ldif.header["processingMode"])
    )
    body = ldif.open()
    announced, data = len(body), b"".join(body)
    assert announced == len(data)
    assert json.loads(data)["content"] == (items or [DUMMY] * writes)


@pytest.mark.parametrize(
    ("header", "items", "options", "problem"),
    [
        ({}, [], {"min_content": 1}, "the content has 0 items, fewer than 1 ('min_content')"),
        ({}, [ITEM], {"min_content": 1}, None),
        ({}, [], {}, None),
        (
            {"processingMode": "full"},
            [],
            {},
            "the content has 0 items, fewer than 1; a full run deletes what it does not contain"
            " (min_content=0 accepts a content without items)",
        ),
        ({"processingMode": "full"}, [], {"min_content": 0}, None),
        ({"processingMode": "full"}, [DUMMY], {"min_content": 1}, "the content has 0 items, fewer than 1 ("),
        ({"processingDirection": "outbound"}, [ITEM], {}, "an outbound run takes no content"),
        (
            {"processingDirection": "outbound"},
            [],
            {"writes": True},
            "'write_to_ldif' is for inbound runs; an outbound run always makes an LDIF",
        ),
        ({}, [{**ITEM, "data": {"x": 1j}}], {}, "item 1 (a): field 'x' is a complex"),
        ({}, [{**ITEM, "data": 5}], {"min_content": 1}, "item 1 (a): 'data' must be an object"),
        ({"lxVersion": ""}, [], {}, "header field 'lxVersion' is missing or empty"),
    ],
    ids=str,
)
def test_a_content_fits_its_header_or_the_problem_is_named(
    header: dict[str, Any], items: list[Any], options: dict[str, Any], problem: str | None
) -> None:
    if problem is None:
        assert prepare({**HEADER, **header}, items, **options).sent == len(items)
        return
    with pytest.raises(InputError) as caught:
        prepare({**HEADER, **header}, items, **options)
    assert [text[: len(problem)] for text in caught.value.problems] == [problem]
    assert caught.value.subject == "the LDIF"


def test_all_problems_of_a_document_are_raised_at_once_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "a.ldif"
    stored = {"connectorType": "other", "colour": 1, "customFields": 5}
    path.write_text(json.dumps({**stored, "content": [{**ITEM, "id": ""}]}))
    with pytest.raises(InputError) as caught:
        prepare({**HEADER, "lxVersion": ""}, str(path), min_content=2)
    assert caught.value.problems == [
        "header field 'connectorType' is 'other', but the task's argument is 'cmdb'",
        "header field 'customFields' must be an object, not 5",
        "header field 'lxVersion' is missing or empty",
        "field 'colour' is unknown to the service, which would ignore it; values for processors belong into"
        " 'customFields'",
        "item 1: 'id' must be a text that is not empty (type App)",
        "the content has 1 items, fewer than 2 ('min_content')",
    ]
    mapping = read_mapping({"type": {"constant": "A"}, "id": "key"})[0]
    with pytest.raises(InputError) as caught:
        prepare({**HEADER, "lxVersion": ""}, [{"other": 1}], mapping=mapping)
    assert [problem.partition(" is ")[0] for problem in caught.value.problems] == [
        "header field 'lxVersion'",
        "column 'key' of the mapping",
        "the column 'other'",
        "item 1: 'id'",
    ]


@pytest.mark.parametrize("is_query", [True, False])
def test_the_hash_of_a_querys_items_is_that_of_any_order(is_query: bool) -> None:
    hashes = set()
    for order in (["a", "b"], ["b", "a"]):
        content: Any = [{"type": "App", "id": name, "data": {}} for name in order]
        if is_query:
            content = SqlRows(["type", "id", "data"])
            content.add([["App", name, "{}"] for name in order])
        hashes.add(prepare(HEADER, content).sha256)
    assert len(hashes) == (1 if is_query else 2)


@pytest.mark.parametrize(
    ("ldif", "problem"),
    [
        ([], "must be a JSON object, not list"),
        ({**HEADER, "content": {}}, "'content' must be a list, not dict"),
        ({**HEADER, "content": [ITEM, ITEM]}, "item 2 (a): the same type and id occurred before"),
        (
            {name: value for name, value in HEADER.items() if name != "lxVersion"},
            "header field 'lxVersion' is missing or empty",
        ),
        ({**HEADER, "content": [{"type": "App", "id": "a", "name": "x"}]}, "item 1 (a): 'data' is missing"),
    ],
    ids=str,
)
def test_a_whole_ldif_that_is_not_valid_is_refused(ldif: Any, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        read_ldif(ldif)
    assert any(text.startswith(problem) for text in caught.value.problems)


def test_a_whole_ldif_without_a_list_is_refused_with_the_problems_of_its_header() -> None:
    with pytest.raises(InputError) as caught:
        read_ldif({**HEADER, "lxVersion": "", "content": "[]"})
    assert str(caught.value) == (
        "2 problems in the LDIF:\n  - header field 'lxVersion' is missing or empty\n"
        "  - 'content' must be a list, not str"
    )


def test_a_whole_ldif_is_taken_as_it_is() -> None:
    given = {**HEADER, "processingMode": "FULL", "lxWorkspace": None, "processingDirection": "Inbound"}
    ldif = read_ldif(given)
    assert ldif.header == {**HEADER, "processingMode": "full"}
    assert (ldif.count, ldif.writes) == (0, False)
    twice = read_ldif({**given, "content": (ITEM, ITEM)}, allow_duplicates=True)
    assert (twice.header, twice.count) == (ldif.header, 2)
