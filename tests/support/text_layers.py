"""Takes off what may be wrapped around a text: compression, base64, encryption by Airflow, JSON in JSON."""

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

DEEPEST = 5
SHORTEST = 16

Decode = Callable[[bytes], bytes]


def _base64(data: bytes) -> bytes:
    return base64.b64decode(data, validate=True)


def decryption(home: Path) -> Decode:
    """Give what decrypts the values that an Airflow has encrypted.

    :param home: its folder, with its settings.
    """
    from cryptography.fernet import Fernet

    found = re.search(r"(?m)^fernet_key *= *(\S+)", (home / "airflow.cfg").read_text())
    assert found, "this Airflow encrypts nothing"
    return Fernet(found[1].encode()).decrypt


def layers(data: bytes, *more: Decode, depth: int = DEEPEST) -> Iterator[str]:
    """Give a value as text, and all that it turns out to hold.

    :param more: further ways to decode, besides zlib, gzip, base64 and JSON.
    """
    text = data.decode("utf-8", "replace")
    yield text
    if depth == 0 or len(data) < SHORTEST:
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
    """Give every text in a JSON value, names of members too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            yield name
            yield from texts(one)


def rows(database: Path) -> Iterator[tuple[str, bytes]]:
    """Give every value of an SQLite database, with the name of its table and column."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            cursor = db.execute(f'SELECT * FROM "{table}"')
            columns = [column[0] for column in cursor.description]
            for row in cursor:
                for column, value in zip(columns, row, strict=True):
                    if isinstance(value, (str, bytes)):
                        yield f"{table}.{column}", value if isinstance(value, bytes) else value.encode()
