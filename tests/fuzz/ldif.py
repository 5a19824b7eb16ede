"""Fuzz targets of LDIF: the stream parser in chunks of any size, and a task's content from a file."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from airflow_provider.errors import ProviderError
from airflow_provider.leanix.ldif import stream_parser
from airflow_provider.leanix.ldif.document import make_header, prepare
from tests.fuzz.mutations import mutate_json
from tests.fuzz.target import Target

_HEADER = make_header(
    connector_type="cloud",
    connector_id="inventory",
    connector_version="1.0.0",
    processing_direction="inbound",
)


def _parsed(chunks: list[bytes]) -> tuple[list[bytes], object, str]:
    """Return items, header and problem of a stream."""
    parser = stream_parser.LdifStreamParser()
    items: list[bytes] = []
    try:
        items += stream_parser.iter_items(chunks, parser)
    except ValueError as error:
        return items, None, str(error)
    return items, parser.header, ""


def _stream(data: bytes) -> None:
    """Parse the bytes behind the first one, whose value is the size of the chunks."""
    size, text = (data[0] % 37 + 1 if data else 1), data[1:]
    chunks = [text[at : at + size] for at in range(0, len(text), size)]
    whole, parts = _parsed([text]), _parsed(chunks)
    if not whole[2] and whole != parts:
        raise AssertionError(f"in one chunk {whole}, in chunks of {size} bytes {parts}")
    if bool(whole[2]) != bool(parts[2]):
        raise AssertionError(f"one chunk: {whole[2]!r}, chunks of {size} bytes: {parts[2]!r}")
    if whole[2]:
        raise ValueError(whole[2])
    _compare(text, whole[0])


def _compare(text: bytes, items: list[bytes]) -> None:
    """Compare the items of a document that JSON's own reader takes with what that reads."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return
    content = document.get("content") if isinstance(document, dict) else document
    if isinstance(content, list) and [json.loads(item) for item in items] != content:
        raise AssertionError(f"{items} are not {content}")


def _file(data: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        path = Path(folder, "content.ldif.json")
        path.write_bytes(data)
        ldif = prepare(_HEADER, str(path))
        b"".join(ldif.open())


def _mutate_stream(data: bytes, number: int) -> bytes:
    return data[:1] + mutate_json(data[1:], number)


TARGETS = [
    Target(
        "ldif",
        _stream,
        ("airflow_provider.leanix.ldif.stream_parser",),
        (ValueError,),
        _mutate_stream,
    ),
    Target(
        "ldif_file",
        _file,
        ("airflow_provider.leanix.ldif", "airflow_provider.core.files.csv_reader"),
        (ProviderError,),
        mutate_json,
        max_bytes=30_000,
    ),
]
