"""What the emulated API refuses: bad headers, unknown configurations, missing credentials."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from airflow_provider.sandbox.leanix.seed import WORKSPACE_ID

REQUIRED = ("connectorType", "connectorId", "connectorVersion", "processingDirection")
DIRECTIONS = ("inbound", "outbound")
MODES = ("partial", "full")


class RefusalError(Exception):
    """A request that gets an error reply.

    :param status: HTTP status.
    :param errors: the texts of the reply's ``errors``.
    """

    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(status, *errors)
        self.status = status
        self.errors = list(errors)


def check_input(ldif: Any) -> dict[str, Any]:
    """Give the input of a run when its header and items are well-formed; unknown fields are ignored.

    :raises RefusalError: 400 with one text a problem.
    """
    if not isinstance(ldif, Mapping):
        raise RefusalError(400, "The input must be a JSON object")
    direction = ldif.get("processingDirection")
    required = (*REQUIRED, "lxVersion") if direction == "inbound" else REQUIRED
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
    content = ldif.get("content") or []
    if not isinstance(content, list):
        errors.append("content must be a list")
    else:
        errors += [
            f"content[{n}] needs type, id and data" for n, item in enumerate(content) if not _item(item)
        ]
    if errors:
        raise RefusalError(400, *errors[:20])
    if ldif.get("lxWorkspace") and ldif["lxWorkspace"] != WORKSPACE_ID:
        raise RefusalError(403, "lxWorkspace does not match the workspace of the access token")
    return dict(ldif)


def _item(item: Any) -> bool:
    return (
        isinstance(item, Mapping)
        and isinstance(item.get("type"), str)
        and isinstance(item.get("id"), str)
        and isinstance(item.get("data"), Mapping)
    )


def basic_credentials(header: str | None) -> tuple[str, str] | None:
    """Read user and password out of an ``Authorization: Basic`` header; None without one."""
    if not header or not header.lower().startswith("basic "):
        return None
    try:
        user, _, password = base64.b64decode(header[6:]).decode().partition(":")
    except ValueError:
        return None
    return user, password


def make_jwt(claims: Mapping[str, Any], signature: bytes) -> str:
    """Give a token that reads like a signed JWT; nobody checks the signature."""

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    head = json.dumps({"alg": "RS256", "typ": "JWT"}).encode()
    return ".".join((part(head), part(json.dumps(claims).encode()), part(signature)))
