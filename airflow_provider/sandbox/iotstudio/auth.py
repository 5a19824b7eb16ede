"""Who may do what: clients, tokens that expire, scopes, and policies on resources."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider.sandbox.iotstudio.formats import Answer, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider.sandbox.iotstudio.service import IoTStudioService

ACTS = ("create", "read", "update", "delete")
SCOPES = frozenset(
    {f"{kind}.{act}" for kind in ("thing", "category", "model") for act in ACTS}
    | {"thing", "category", "model", "query", "query.read", "mqtt", "app", "function", "space", "offline"}
)


@dataclass
class Client:
    """An OAuth2 client ("App").

    :param scopes: what it may ask for.
    :param policies: resources it may use, ``#`` at the end stands for everything below.
    """

    client_id: str
    secret: str
    scopes: set[str] = field(default_factory=lambda: set(SCOPES))
    policies: list[str] = field(default_factory=lambda: ["spaces/#"])


@dataclass
class Token:
    """A token that was issued."""

    value: str
    client: Client
    scopes: frozenset[str]
    expires_at: float


class OAuthError(Exception):
    """What the token endpoint answers when it refuses: ``error`` is a text there, not an object."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.body = {"error": error, "error_description": description}


def _client(service: IoTStudioService, form: Mapping[str, str]) -> Client:
    client = service.clients.get(form.get("client_id", ""))
    if client is None or client.secret != form.get("client_secret"):
        raise OAuthError(
            401,
            "invalid_client",
            "Client authentication failed (e.g., unknown client, no client authentication included, or "
            "unsupported authentication method).",
        )
    return client


def issue(service: IoTStudioService, form: Mapping[str, str]) -> Answer:
    """Answer ``POST /oauth2/token``."""
    client = _client(service, form)
    if form.get("grant_type") != "client_credentials":
        raise OAuthError(400, "unsupported_grant_type", "The authorization grant type is not supported.")
    asked = form.get("scope", "").split()
    if strange := [scope for scope in asked if scope not in client.scopes]:
        raise OAuthError(400, "invalid_scope", f"The client is not allowed to request {strange[0]!r}.")
    number = service.count_token()
    digest = hashlib.sha256(f"token {number}".encode()).hexdigest()
    token = Token(
        f"ory_at_{digest[:43]}.{digest[21:]}",
        client,
        frozenset(asked),
        service.around.clock.now() + service.token_lifetime,
    )
    service.tokens[token.value] = token
    reply: dict[str, Any] = {
        "access_token": token.value,
        "expires_in": int(service.token_lifetime),
        "scope": " ".join(asked),
        "token_type": "bearer",
    }
    return 200, reply


def revoke(service: IoTStudioService, form: Mapping[str, str]) -> Answer:
    """Answer ``POST /oauth2/revoke``."""
    client = _client(service, form)
    value = form.get("token", "")
    if not value:
        raise OAuthError(400, "invalid_request", "The request is missing a required parameter: token.")
    token = service.tokens.get(value)
    if token is not None and token.client is client:
        del service.tokens[value]
        service.revoked.append(value)
    return 200, None


def admit(service: IoTStudioService, authorization: str, scopes: tuple[str, ...], resource: str) -> None:
    """Check a request's token, its scopes (any of these will do) and its client's policies."""
    kind, _, value = authorization.partition(" ")
    if not value or kind.lower() != "bearer":
        raise RefusedError(401, "No token provided")
    token = service.tokens.get(value.strip())
    if token is None or token.expires_at <= service.around.clock.now():
        raise RefusedError(401, "Unauthenticated")
    wide = {scope.split(".")[0] for scope in scopes}
    if not token.scopes & (wide | set(scopes)):
        raise RefusedError(403, "Unauthorized")
    if not any(_covers(policy, resource) for policy in token.client.policies):
        raise RefusedError(403, "Unauthorized")


def _covers(policy: str, resource: str) -> bool:
    if policy.endswith("#"):
        return resource.startswith(policy[:-1])
    return policy == resource
