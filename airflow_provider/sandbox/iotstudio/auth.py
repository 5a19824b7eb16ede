"""Authentication: clients and tokens, and the check of scopes and policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_provider.sandbox.iotstudio.responses import ApiError
from airflow_provider.sandbox.tokens import AccessToken

ACTS = ("create", "read", "update", "delete")
SCOPES = frozenset(
    {f"{kind}.{act}" for kind in ("thing", "category", "model") for act in ACTS}
    | {"thing", "category", "model", "query", "query.read", "mqtt", "app", "function", "space", "offline"}
)
"""All scopes that a client may be allowed to request."""


@dataclass
class Client:
    """An OAuth2 client ("App").

    :param scopes: scopes that the client may request.
    :param policies: resources that the client may use; ``#`` at the end stands for everything below.
    """

    client_id: str
    secret: str
    scopes: set[str] = field(default_factory=lambda: set(SCOPES))
    policies: list[str] = field(default_factory=lambda: ["spaces/#"])


def authorize(
    clients: Mapping[str, Client], token: AccessToken, scopes: tuple[str, ...], resource: str
) -> None:
    """Raise ``ApiError`` (403) when a request's token does not allow its resource.

    :param token: the valid token of the request.
    :param scopes: scopes of which the token needs any.
    :param resource: path of the resource, matched against the policies of the token's client.
    """
    wide = {scope.split(".")[0] for scope in scopes}
    if not token.scopes & (wide | set(scopes)):
        raise ApiError(403, "Unauthorized")
    if not any(_covers(policy, resource) for policy in clients[token.client].policies):
        raise ApiError(403, "Unauthorized")


def bearer(authorization: str, status: int = 401) -> str:
    """Return the token of an ``Authorization`` header; raise ``ApiError`` with a status without one."""
    kind, _, value = authorization.partition(" ")
    if not value or kind.lower() != "bearer":
        raise ApiError(status, "No token provided")
    return value.strip()


def _covers(policy: str, resource: str) -> bool:
    if policy.endswith("#"):
        return resource.startswith(policy[:-1])
    return policy == resource
