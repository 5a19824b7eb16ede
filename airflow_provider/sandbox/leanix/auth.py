"""Credentials of the emulated token endpoint: Basic authentication in, unsigned access tokens out."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any


def basic_credentials(header: str | None) -> tuple[str, str] | None:
    """Return user and password of an ``Authorization: Basic`` header; None for any other header."""
    if not header or not header.lower().startswith("basic "):
        return None
    try:
        user, _, password = base64.b64decode(header[6:]).decode().partition(":")
    except ValueError:
        return None
    return user, password


def make_jwt(claims: Mapping[str, Any], signature: bytes) -> str:
    """Return a token in the form of a signed JWT; the signature is not verified anywhere."""

    def encode(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    head = json.dumps({"alg": "RS256", "typ": "JWT"}).encode()
    return ".".join((encode(head), encode(json.dumps(claims).encode()), encode(signature)))
