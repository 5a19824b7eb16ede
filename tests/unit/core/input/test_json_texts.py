"""JSON in texts, of users and of files: what Python's reader cannot hold is refused in words everywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.amigocloud.sync.geometry import read_geometry
from airflow_provider.conformance.created import CreatedObjects, UnusableFileError
from airflow_provider.core.input.conditions import raise_problems
from airflow_provider.core.input.values import UnreadableValueError
from airflow_provider.core.limits.address import _extra_of
from airflow_provider.errors import InputError
from airflow_provider.iotstudio.properties import wide
from airflow_provider.iotstudio.sync.rows import _read_json
from airflow_provider.leanix.configurations import read_configuration
from airflow_provider.leanix.ldif.content import open_content
from airflow_provider.leanix.ldif.items import decode_data
from airflow_provider.mapsindoors.geodata.values import read_json
from airflow_provider.mapsindoors.geodata.wkt_wkb import parse_geometry

TEXTS = {
    "nested lists": '{"a": ' + "[" * 100_000,
    "nested objects": '{"a":' * 100_000,
    "a number of 5,000 digits": '{"a": %s}' % ("9" * 5000),
}


def _of_a_file(text: str) -> object:
    path = Path("configuration.json")
    path.write_text(text)
    return read_configuration(str(path))


def _created(text: str) -> object:
    head = json.dumps({"run": "conformance-0123456789ab"})
    Path("created.jsonl").write_text(f"{head}\n{text}\n{head}\n")
    return CreatedObjects.open(Path("created.jsonl"))


READERS: dict[str, Callable[[str], object]] = {
    "map: object": read_json,
    "map: place": parse_geometry,
    "dataset: geometry": read_geometry,
    "property: object": lambda text: wide._structure(text, "object"),
    "property: any": wide._literal,
    "configuration": _of_a_file,
    "conformance: created objects": _created,
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("reader", READERS)
def test_json_that_the_reader_cannot_hold_is_refused_in_words(
    reader: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((UnreadableValueError, InputError, UnusableFileError)) as caught:
        READERS[reader](TEXTS[text])
    assert len(str(caught.value)) < 500


def _in_a_row(text: str) -> None:
    problems: list[str] = []
    decode_data(text, problems)
    raise_problems(problems)


def _of_a_sync(text: str) -> None:
    if problem := _read_json({}, "properties", text):
        raise InputError(problem)


def _in_an_ldif(text: str) -> object:
    Path("items.json").write_text(f'[{{"type": "A", "id": "1", "data": {text}}}]')
    return list(open_content("items.json").rows())


def _in_a_whole_ldif(text: str) -> object:
    Path("items.ldif").write_text(f'{{"content": [{{"type": "A", "id": "1", "data": {text}}}]}}')
    return list(open_content("items.ldif").rows())


DOUBLED: dict[str, Callable[[str], object]] = {
    **{name: READERS[name] for name in READERS if name.startswith(("map: object", "property", "conf"))},
    "things": _of_a_sync,
    "landscape: data": _in_a_row,
    "landscape: items": _in_an_ldif,
    "landscape: whole file": _in_a_whole_ldif,
}
DOUBLED.pop("conformance: created objects")


@pytest.mark.parametrize("reader", DOUBLED)
def test_json_with_a_key_twice_is_refused_with_the_key(
    reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((UnreadableValueError, InputError), match="the key 'b' twice"):
        DOUBLED[reader]('{"a": [{"b": 1, "b": 2}], "b": "\\"c\\":"}')


@pytest.mark.parametrize("text", TEXTS)
def test_a_connection_of_a_store_whose_extra_cannot_be_held_has_no_options(text: str) -> None:
    connection: Any = type("Connection", (), {"extra": TEXTS[text]})
    assert _extra_of(connection) == {}
