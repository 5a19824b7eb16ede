"""Validation of values against the declaration of a property, action or event, and of declarations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from airflow_provider.sandbox.iotstudio.switches import Switches

TYPES: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}
"""Python types by declared type."""

KEYWORDS: dict[str, tuple[str, ...]] = {
    "@type": ("string", "array"),
    "title": ("string",),
    "description": ("string",),
    "unit": ("string",),
    "type": ("string",),
    "readOnly": ("boolean",),
    "observable": ("boolean",),
    "minimum": ("number",),
    "maximum": ("number",),
    "minItems": ("integer",),
    "maxItems": ("integer",),
    "enum": ("array",),
    "oneOf": ("array",),
    "items": ("object", "array"),
    "properties": ("object",),
    "required": ("array",),
}
"""Types of the keywords of a declaration; further keywords are stored as they are."""


def is_of(kind: str, value: Any) -> bool:
    """Return whether a value has a type of JSON Schema."""
    return isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def value_error(schema: Mapping[str, Any], value: Any, switches: Switches) -> str:
    """Return the error of a value that does not fit its declaration; empty when it fits."""
    null = not switches.strict or switches.null_values == "accept"
    if text := type_error(schema, value, null=null):
        return text
    limit = exceeded_limit(schema, value)
    if limit is not None and switches.out_of_range == "reject":
        return f"{_shown(value)} is beyond the limit {limit}"
    enforced = switches.strict and switches.further_keywords == "enforce"
    return _keyword_error(schema, value) if enforced else ""


def type_error(schema: Mapping[str, Any], value: Any, *, null: bool = True) -> str:
    """Return the error of a value that does not have its declared type; empty when it has.

    :param null: whether null is a value of every type.
    """
    declared = schema.get("type")
    if declared not in TYPES or (value is None and null):
        return ""
    return "" if is_of(declared, value) else f"must be of type {declared}"


def exceeded_limit(schema: Mapping[str, Any], value: Any) -> Any:
    """Return the declared minimum or maximum that a number exceeds; None when it is within both."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and value < low:
        return low
    return high if high is not None and value > high else None


def _keyword_error(schema: Mapping[str, Any], value: Any) -> str:
    """Return the error of a value beyond type, minimum and maximum, with those of its members."""
    if value is None:
        return ""
    if "enum" in schema and not any(_same(value, one) for one in schema["enum"]):
        return f"must be one of {_shown(schema['enum'])}"
    if "const" in schema and not _same(value, schema["const"]):
        return f"must be {_shown(schema['const'])}"
    if isinstance(value, list):
        return _items_error(schema, value)
    if isinstance(value, dict):
        return _members_error(schema, value)
    return ""


def _same(value: Any, other: Any) -> bool:
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def _items_error(schema: Mapping[str, Any], value: list[Any]) -> str:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        return f"has {len(value)} items"
    inner = schema.get("items")
    if not isinstance(inner, dict):
        return ""
    errors = (_member_error(inner, item) for item in value)
    return next((f"item {number}: {text}" for number, text in enumerate(errors) if text), "")


def _members_error(schema: Mapping[str, Any], value: dict[str, Any]) -> str:
    if missing := [name for name in schema.get("required", []) if name not in value]:
        return f"{missing[0]} is required"
    declared = schema.get("properties") or {}
    errors = ((name, _member_error(declared[name], value[name])) for name in value if name in declared)
    return next((f"{name}: {text}" for name, text in errors if text), "")


def _member_error(schema: Mapping[str, Any], value: Any) -> str:
    if text := type_error(schema, value):
        return text
    limit = exceeded_limit(schema, value)
    return _keyword_error(schema, value) if limit is None else f"{_shown(value)} is beyond {limit}"


def _shown(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def description_errors(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the errors of a Thing's description, or of a template, as pairs of path and text."""
    for name in ("title", "description", "@context"):
        if body.get(name) is not None and not isinstance(body[name], str):
            yield name, "must be of type string"
    kinds = body.get("@type")
    if kinds is not None and not _is_text_or_texts(kinds):
        yield "@type", "must be a string, or an array of strings"
    for name, schema in _members(body, "properties"):
        yield from _declaration_errors(f"properties.{name}", schema)
    for kind, payloads in (("actions", ("input", "output")), ("events", ("data", "subscription"))):
        for name, found in _members(body, kind):
            if not isinstance(found, dict):
                yield f"{kind}.{name}", "must be of type object"
                continue
            for key in payloads:
                if found.get(key) is not None:
                    yield from _declaration_errors(f"{kind}.{name}.{key}", found[key])
    yield from _link_errors(body)


def _members(body: Mapping[str, Any], name: str) -> list[tuple[str, Any]]:
    found = body.get(name)
    return list(found.items()) if isinstance(found, dict) else []


def _is_text_or_texts(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list) and all(isinstance(item, str) for item in value)
    )


def _link_errors(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    links = body.get("links")
    for number, link in enumerate(links if isinstance(links, list) else []):
        for key in ("href", "rel"):
            if isinstance(link, dict) and not isinstance(link.get(key, ""), str):
                yield f"links[{number}].{key}", "must be of type string"


def _declaration_errors(path: str, schema: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(schema, dict):
        yield path, "must be of type object"
        return
    for keyword, kinds in KEYWORDS.items():
        if keyword in schema and not any(is_of(kind, schema[keyword]) for kind in kinds):
            yield f"{path}.{keyword}", f"must be of type {' or '.join(kinds)}"
    declared = schema.get("type")
    if isinstance(declared, str) and declared not in TYPES:
        yield f"{path}.type", f"must be one of {', '.join(TYPES)}"
    low: Any = schema.get("minimum")
    high: Any = schema.get("maximum")
    if is_of("number", low) and is_of("number", high) and low > high:
        yield f"{path}.minimum", "must not be above maximum"
