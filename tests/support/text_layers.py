"""Layers of a stored text: decode compression, base64, Airflow's encryption, and JSON in JSON."""

from __future__ import annotations

import base64
import gzip
import json
import re
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MAX_DEPTH = 5
"""Maximum nested encodings."""

MIN_BYTES = 16
"""Minimum bytes of an encoded value."""

Decode = Callable[[bytes], bytes]


def _base64(data: bytes) -> bytes:
    return base64.b64decode(data, validate=True)


def decryption(home: Path) -> Decode:
    """Return the function that decrypts what an Airflow installation has encrypted.

    :param home: its ``AIRFLOW_HOME``, with its settings.
    """
    from cryptography.fernet import Fernet

    found = re.search(r"(?m)^fernet_key *= *(\S+)", (home / "airflow.cfg").read_text())
    assert found, "this Airflow encrypts nothing"
    return Fernet(found[1].encode()).decrypt


def layers(data: bytes, *more: Decode, depth: int = MAX_DEPTH) -> Iterator[str]:
    """Yield a value as text, followed by every text that decoding it reveals.

    :param more: decoders to use besides zlib, gzip, base64 and JSON.
    """
    text = data.decode("utf-8", "replace")
    yield text
    if depth == 0 or len(data) < MIN_BYTES:
        return
    for decode in (zlib.decompress, gzip.decompress, _base64, *more):
        try:
            inner = decode(data)
        except Exception:
            continue
        yield from layers(inner, *more, depth=depth - 1)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return
    for leaf in texts(value):
        yield from layers(leaf.encode("utf-8", "replace"), *more, depth=depth - 1)


def texts(value: Any) -> Iterator[str]:
    """Yield every text in a JSON value, member names included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, dict):
        for name, member in value.items():
            yield name
            yield from texts(member)


def rows(database: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every text of an SQLite database, with ``table.column``."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            cursor = db.execute(f'SELECT * FROM "{table}"')
            columns = [column[0] for column in cursor.description]
            for row in cursor:
                for column, value in zip(columns, row, strict=True):
                    if isinstance(value, (str, bytes)):
                        yield f"{table}.{column}", value if isinstance(value, bytes) else value.encode()
