"""Shapes: replies as types and counts, without any of their values."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from airflow_provider.core.http.reply import Reply

_MEDIA_TYPE = re.compile(
    r"(?:application/(?:json|problem\+json|hal\+json|xml|octet-stream|vnd\.google-earth\.kml\+xml)"
    r"|text/(?:plain|html|csv|xml)|image/(?:jpeg|png))(?:; ?charset=(?:utf-8|us-ascii|iso-8859-1))?",
    re.IGNORECASE,
)
"""Types of contents that a report names; any other could hold a part of a credential."""

_ENCODINGS = frozenset({"gzip", "br", "deflate", "identity", "zstd"})
_RATE_HEADER = re.compile(r"(?:x-)?ratelimit(?:-(?:limit|remaining|reset|policy))?", re.IGNORECASE)
_DEPTH = 6
_SAMPLES = 50

PHRASES = (
    "invalid_client",
    "invalid_grant",
    "invalid_scope",
    "Item not found",
    "Not found.",
    "Not Found",
    "Unauthenticated",
    "Unauthorized",
    "Unable to process JSON",
    "The synchronization does not have a SyncLog Id",
    "Credentials are required to access this resource.",
)
"""Texts of errors that a report may quote."""


def shape_of(value: Any, fields: Collection[str], depth: int = 0) -> Any:
    """Return the shape of a JSON value: the types of its fields, the number of its items.

    :param value: the value.
    :param fields: names that may be shown; other keys are numbered.
    :param depth: depth of the value.
    """
    if isinstance(value, Mapping):
        if depth >= _DEPTH:
            return "object"
        return _shape_of_fields(value, fields, depth)
    if isinstance(value, list):
        shapes = [shape_of(item, fields, depth + 1) for item in value[:_SAMPLES]] if depth < _DEPTH else []
        return {"items": len(value), "of": _merged(shapes)}
    if isinstance(value, bool):
        return "boolean"
    return {int: "number", float: "number", str: "text", type(None): "null"}.get(type(value), "other")


def _shape_of_fields(value: Mapping[str, Any], fields: Collection[str], depth: int) -> dict[str, Any]:
    out: dict[str, Any] = {}
    unknown = 0
    for key, item in value.items():
        name = key
        if key not in fields:
            unknown += 1
            name = f"<key {unknown}>"
        out[name] = shape_of(item, fields, depth + 1)
    if unknown > _SAMPLES:
        shown = {name: shape for name, shape in out.items() if not name.startswith("<key ")}
        return {**shown, "<keys>": unknown}
    return out


def _merged(shapes: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for shape in shapes:
        if shape not in found and len(found) < 5:
            found.append(shape)
    return found


def body_shape(reply: Reply, fields: Collection[str]) -> Any:
    """Return the shape of a reply's body; of text its length, or a known phrase."""
    if not reply.body:
        return "empty"
    try:
        value = reply.json()
    except ValueError:
        return _text_shape(reply)
    return shape_of(value, fields)


def _text_shape(reply: Reply) -> Any:
    if reply.is_page:
        return "a web page"
    text = reply.text.strip()
    return text if text in PHRASES else {"text": len(text)}


def shown_headers(reply: Reply) -> dict[str, str]:
    """Return the headers that a report may show, with values of a known form only."""
    shown: dict[str, str] = {}
    kind = reply.headers.get("content-type", "")
    if _MEDIA_TYPE.fullmatch(kind):
        shown["content-type"] = kind
    encoding = reply.headers.get("content-encoding", "").lower()
    if encoding in _ENCODINGS:
        shown["content-encoding"] = encoding
    for name, value in reply.headers.items():
        if name == "retry-after" or _RATE_HEADER.fullmatch(name):
            shown[name] = value if value.isascii() and value.isdigit() and len(value) < 12 else "text"
    return shown
