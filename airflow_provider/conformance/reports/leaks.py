"""Leaks: the last pass over a text that leaves the machine, which may hold no credential in any encoding."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import unquote, unquote_plus

from airflow_provider.core.redaction import encodings

API_TOKEN = "LXT_"  # noqa: S105 - how API tokens of LeanIX begin
_MIN_LENGTH = 4
_PART = 16
"""Characters of a part of a credential that counts as the credential."""

_LAYERS = 3
"""Maximum encodings around each other."""


class LeakError(Exception):
    """The statement that a text holds a credential, so that it is not written."""

    def __init__(self) -> None:
        super().__init__("the report is not written: it would hold a credential of the connection")


def check(text: str, secrets: Iterable[str]) -> None:
    """Raise for a text that holds a credential.

    :param text: the text.
    :param secrets: passwords and keys of the connection, and tokens that were sent or received.
    :raises LeakError: when it holds one of them, a part of one, or an API token, in any encoding.
    """
    known = {*secrets}
    wanted = set(_needles(known))
    parts = {part.lower() for secret in known for part in _parts(secret)}
    for variant in _variants(text):
        lowered = variant.lower()
        if API_TOKEN in variant or any(needle in lowered for needle in wanted):
            raise LeakError
        if parts and not parts.isdisjoint(_parts(lowered)):
            raise LeakError
        if any(form in variant for form in _base64_of(API_TOKEN.encode())):
            raise LeakError


def _needles(secrets: Iterable[str]) -> Iterator[str]:
    for secret in secrets:
        if len(secret) < _MIN_LENGTH:
            continue
        data = secret.encode("utf-8", "replace")
        forms = {*encodings(secret), data.hex(), base64.b32encode(data).decode().rstrip("=")}
        forms |= {base64.b85encode(data).decode(), base64.a85encode(data).decode()}
        forms.add(secret.encode("utf-16-le").hex())
        forms |= _base64_of(data) if len(data) >= 2 * _MIN_LENGTH else set()
        yield from (form.lower() for form in forms if len(form) >= _MIN_LENGTH)


def _parts(text: str) -> set[str]:
    return {text[start : start + _PART] for start in range(len(text) - _PART + 1)}


def _base64_of(data: bytes) -> set[str]:
    """Return the part of the base64 of a longer text that stands for these bytes, at each alignment."""
    out = set()
    for before in range(3):
        first, last = -(-before * 8 // 6), (before + len(data)) * 8 // 6
        out.add(base64.b64encode(bytes(before) + data + bytes(3))[first:last].decode())
    return out


_DECODERS: tuple[Callable[[str], str], ...] = (
    unquote,
    unquote_plus,
    html.unescape,
    lambda text: re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text),
    lambda text: re.sub(r"\\x([0-9a-fA-F]{2})", lambda found: chr(int(found[1], 16)), text),
    lambda text: re.sub(r"\\(.)", r"\1", text),
    lambda text: text[::-1],
)


def _variants(text: str) -> set[str]:
    """Return a text with each combination of encodings removed."""
    known = {text, *_strings(text)}
    new = set(known)
    for _ in range(_LAYERS):
        new = {decode(variant) for variant in new for decode in _DECODERS} - known
        known |= new
    return known


def _strings(text: str) -> Iterator[str]:
    """Yield all texts of a JSON document joined, so that a credential cut into several texts is found."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return
    pieces = list(_texts(document))
    yield "".join(pieces)
    yield " ".join(pieces)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
