"""LDIF documents: any content, announced length, repeated writing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider.errors import InputError
from airflow_provider.leanix.ldif.document import make_header, prepare
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
