"""OAuth2: issue and revoke tokens by client credentials."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from airflow_provider.sandbox.iotstudio.auth import Client
from airflow_provider.sandbox.iotstudio.responses import OAuthError, Reply
from airflow_provider.sandbox.iotstudio.state import IoTStudioState
from airflow_provider.sandbox.tokens import AccessToken


def _client(service: IoTStudioState, form: Mapping[str, str]) -> Client:
    client = service.clients.get(form.get("client_id", ""))
    if client is None or client.secret != form.get("client_secret"):
        raise OAuthError(
            401,
            "invalid_client",
            "Client authentication failed (e.g., unknown client, no client authentication included, or "
            "unsupported authentication method).",
        )
    return client


def metadata(url: str) -> dict[str, Any]:
    """Return the OpenID metadata, in the form of OpenID Connect Discovery.

    The vendor's docs do not name it; servers of this kind (Ory Hydra) have it.

    :param url: URL of the service.
    """
    return {
        "issuer": f"{url}/",
        "token_endpoint": f"{url}/oauth2/token",
        "revocation_endpoint": f"{url}/oauth2/revoke",
        "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
    }


def issue(service: IoTStudioState, form: Mapping[str, str]) -> Reply:
    """POST /oauth2/token."""
    client = _client(service, form)
    if form.get("grant_type") != "client_credentials":
        raise OAuthError(400, "unsupported_grant_type", "The authorization grant type is not supported.")
    requested = form.get("scope", "").split()
    if refused := [scope for scope in requested if scope not in client.scopes]:
        raise OAuthError(400, "invalid_scope", f"The client is not allowed to request {refused[0]!r}.")
    if service.one_token:
        for token in [one for one in service.access.by_value.values() if one.client == client.client_id]:
            service.access.revoke(token)
    service.access.check_number(client.client_id)
    number = service.count_token()
    digest = hashlib.sha256(f"token {number}".encode()).hexdigest()
    expires_at = service.around.clock.now() + service.token_lifetime
    token = AccessToken(
        f"ory_at_{digest[:43]}.{digest[21:]}", client.client_id, expires_at, frozenset(requested)
    )
    service.access.add(token)
    body: dict[str, Any] = {
        "access_token": token.value,
        "expires_in": int(service.token_lifetime),
        "scope": " ".join(requested),
        "token_type": "bearer",
    }
    return 200, body


def revoke(service: IoTStudioState, form: Mapping[str, str]) -> Reply:
    """POST /oauth2/revoke."""
    client = _client(service, form)
    value = form.get("token", "")
    if not value:
        raise OAuthError(400, "invalid_request", "The request is missing a required parameter: token.")
    token = service.access.find(value) or service.tokens.get(value)
    if token is not None and token.client == client.client_id:
        service.access.revoke(token)
        service.revoked.append(value)
    return 200, None
