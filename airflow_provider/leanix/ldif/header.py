"""LDIF header: built from the task's arguments, completed by an LDIF file's own header."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider.core.input.conditions import rendered_hint
from airflow_provider.core.input.values import UnreadableValueError, ValueReader, shown
from airflow_provider.leanix.api import KEY_FIELDS, lower

DEFAULTS: Mapping[str, Any] = {"lxVersion": "1.0.0", "processingMode": "partial"}
"""Header fields that neither the arguments nor a file need to set."""

_ANY_CASE = ("processingDirection", "processingMode", "lxWorkspace")
"""Header fields whose values are compared without case."""

_READER = ValueReader(nan_is_absent=False)


def make_header(
    *,
    connector_type: str | None,
    connector_id: str | None,
    connector_version: str | None,
    processing_direction: str | None,
    processing_mode: str | None = "partial",
    lx_version: str | None = "1.0.0",
    lx_workspace: str | None = None,
    description: str | None = None,
    custom_fields: Any = None,
) -> dict[str, Any]:
    """Build an LDIF header from an operator's arguments, without those that are None.

    :param processing_mode: in any case; the vendor's OpenAPI file has it in lower case.
    :param custom_fields: an object, or its JSON.
    """
    given = {
        "connectorType": connector_type,
        "connectorId": connector_id,
        "connectorVersion": connector_version,
        "lxVersion": lx_version,
        "lxWorkspace": lx_workspace,
        "description": description,
        "processingDirection": lower(processing_direction),
        "processingMode": lower(processing_mode),
        "customFields": custom_fields,
    }
    return {name: value for name, value in given.items() if value is not None}


def merge_headers(
    given: Mapping[str, Any], stored: Mapping[str, Any], defaults: Mapping[str, Any] = DEFAULTS
) -> tuple[dict[str, Any], list[str]]:
    """Return the header of a run, and the contradictions between the task's arguments and an LDIF file.

    A file's fields are taken over; an argument replaces the file's description, custom fields and version.
    Fields that select the configuration, and the workspace, must agree.

    :param given: header fields from the task's arguments, see :func:`make_header`.
    :param stored: header of the LDIF file; empty without one.
    :param defaults: values of fields that neither sets.
    """
    stored = {name: value for name, value in stored.items() if not _is_unset(value)}
    header = {**defaults, **stored, **given}
    header = {name: _normal(name, value) for name, value in header.items()}
    if header.get("customFields") == {}:
        del header["customFields"]
    return header, [
        f"header field '{name}' is {shown(stored[name])}, but the task's argument is {shown(given[name])}"
        for name in (*KEY_FIELDS, "lxWorkspace")
        if name in stored and name in given and _normal(name, stored[name]) != _normal(name, given[name])
    ]


def read_custom_fields(header: dict[str, Any]) -> list[str]:
    """Replace the custom fields of a header by JSON values; return the problems."""
    value = header.get("customFields")
    if isinstance(value, str):
        value = _decode_object(value)
    if value is None:
        return []
    if not isinstance(value, Mapping):
        hint = rendered_hint(value) if isinstance(value, str) else ""
        return [f"header field 'customFields' must be an object, not {shown(value)}{hint}"]
    try:
        header["customFields"] = _READER.read(value)
    except UnreadableValueError as problem:
        return [f"header field 'customFields' {problem}"]
    return []


def _decode_object(text: str) -> Any:
    """Return an object from its JSON, as a template may have made it; any other text as it is."""
    import msgspec

    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text
    return value if isinstance(value, dict) else text


def _normal(name: str, value: Any) -> Any:
    return lower(value) if name in _ANY_CASE else value


def _is_unset(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
