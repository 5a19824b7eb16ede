"""Validation of the emulated API: errors in the input of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider.sandbox.leanix.seed import WORKSPACE_ID

REQUIRED_FIELDS = ("connectorType", "connectorId", "connectorVersion", "processingDirection")
DIRECTIONS = ("inbound", "outbound")
MODES = ("partial", "full")
CHUNK_FIELDS = ("firstDataObject", "lastDataObject", "maxDataObject")

_TAKEN = 200
_MAX_ERRORS = 20
"""Maximum errors in a reply."""


class RefusalError(Exception):
    """A request that gets an error reply.

    :param status: HTTP status.
    :param errors: texts of the reply's ``errors``.
    """

    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(status, *errors)
        self.status = status
        self.errors = list(errors)


def validate_input(ldif: Any, *, strict: bool = True, wrong_workspace: int = 403) -> dict[str, Any]:
    """Return the input of a run when its header and items are valid; unknown fields are ignored.

    :param strict: whether the types of the header's fields are checked.
    :param wrong_workspace: status of the refusal of another workspace; 200 takes it.
    :raises RefusalError: 400 with one text per error; ``wrong_workspace`` for another workspace.
    """
    if not isinstance(ldif, Mapping):
        raise RefusalError(400, "The input must be a JSON object")
    types = _type_errors(ldif) if strict else []
    errors = [*types, *_header_errors(ldif), *_content_errors(ldif.get("content") or [])]
    if errors:
        raise RefusalError(400, *errors[:_MAX_ERRORS])
    if ldif.get("lxWorkspace") not in {None, "", WORKSPACE_ID} and wrong_workspace != _TAKEN:
        raise RefusalError(wrong_workspace, "lxWorkspace does not match the workspace of the access token")
    return dict(ldif)


def _type_errors(ldif: Mapping[str, Any]) -> Iterator[str]:
    for name in (*REQUIRED_FIELDS, "processingMode", "lxVersion", "lxWorkspace", "description"):
        # The service's JSON library turns numbers and booleans into texts.
        if isinstance(ldif.get(name), (list, dict)):
            yield f"{name} must be a text"
    for name in ("customFields", "chunkInformation"):
        if not isinstance(ldif.get(name) or {}, Mapping):
            yield f"{name} must be an object"
    chunk = ldif.get("chunkInformation")
    for name, number in chunk.items() if isinstance(chunk, Mapping) else ():
        if name in CHUNK_FIELDS and (not isinstance(number, int) or isinstance(number, bool) or number < 0):
            yield f"chunkInformation.{name} must be a whole number, 0 or more"


def _header_errors(ldif: Mapping[str, Any]) -> list[str]:
    direction = ldif.get("processingDirection")
    required = (*REQUIRED_FIELDS, "lxVersion") if direction == "inbound" else REQUIRED_FIELDS
    errors = [f"{name} may not be empty" for name in required if not ldif.get(name)]
    errors += [
        f"{name} must not be longer than 500 characters"
        for name, value in ldif.items()
        if isinstance(value, str) and len(value) > 500
    ]
    if direction and direction not in DIRECTIONS:
        errors.append("processingDirection must be inbound or outbound")
    if str(ldif.get("processingMode") or "partial").lower() not in MODES:
        errors.append("processingMode must be partial or full")
    return errors


def _content_errors(content: Any) -> list[str]:
    if not isinstance(content, list):
        return ["content must be a list"]
    return [
        f"content[{number}] needs type, id and data"
        for number, item in enumerate(content)
        if not _is_item(item)
    ]


def _is_item(item: Any) -> bool:
    return (
        isinstance(item, Mapping)
        and isinstance(item.get("type"), str)
        and isinstance(item.get("id"), str)
        and isinstance(item.get("data"), Mapping)
    )
