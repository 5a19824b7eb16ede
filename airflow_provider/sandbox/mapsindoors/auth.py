"""Auth: the token service with both grants, and client secrets that can be rotated."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.responses import Response

from airflow_provider.sandbox.mapsindoors.responses import RequestError, json_response
from airflow_provider.sandbox.mapsindoors.solution import new_id
from airflow_provider.sandbox.service import MEMBER_NUMBERS
from airflow_provider.sandbox.tokens import AccessToken, AccessTokens

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider.sandbox.mapsindoors.context import ServiceContext


@dataclass
class Account:
    """Account of a CMS user, or of a client for a script.

    :param name: user name or client id.
    :param customer: id of the customer.
    :param role: ``administrator``, ``editor`` (locations only) or ``reader``.
    :param secrets: id to ``{"secret", "description", "createdAt"}``; a user has one secret, the password.
    """

    name: str
    customer: str
    role: str = "administrator"
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)

    def knows(self, secret: str | None) -> bool:
        """Return whether a secret belongs to the account."""
        return any(stored["secret"] == secret for stored in self.secrets.values())


class TokenService:
    """Issuer of access tokens, which also resolves a token to its account."""

    def __init__(self, context: ServiceContext, accounts: list[Account], clients: list[Account]) -> None:
        self._context = context
        self.users = {account.name: account for account in accounts}
        self.clients = {account.name: account for account in clients}
        self._access = AccessTokens("mapsindoors", context.around, context)
        self._tokens = self._access.by_value
        self._issued = 0

    def revoke_all(self) -> None:
        """Revoke all tokens issued so far."""
        self._tokens.clear()

    def bearer(self, request: Request) -> Account:
        """Return the account of a request's token; raise a 401 when it is missing, unknown or expired."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        found = self._access.find(token.strip())
        if scheme.lower() != "bearer" or found is None:
            raise RequestError(self._context.refused_token_status)
        return self.users.get(found.client) or self.clients[found.client]

    async def token(self, request: Request) -> Response:
        """Handle ``POST connect/token``; each error is a 400 with the field ``error``."""
        self._access.check_rate()
        if request.method != "POST" or not _is_form(request):
            return _token_error("invalid_request")
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))
        if form.get("scope", "integration") != "integration":
            return _token_error("invalid_scope")
        grant = form.get("grant_type")
        if grant == "password" and self._context.password_grant:
            if form.get("client_id") != "client":
                return _token_error("invalid_client")
            account = self.users.get(form.get("username", ""))
            if account is None or not account.knows(form.get("password")):
                return _token_error("invalid_grant", "invalid_username_or_password")
        elif grant == "client_credentials":
            account = self.clients.get(form.get("client_id", ""))
            if account is None or not account.knows(form.get("client_secret")):
                return _token_error("invalid_client")
        else:
            return _token_error("unsupported_grant_type")
        seconds = self._context.token_seconds
        return _uncached_response(
            {
                "access_token": self._issue(account, seconds),
                "expires_in": seconds,
                "token_type": "Bearer",
                "scope": "integration",
            }
        )

    def _issue(self, account: Account, seconds: int) -> str:
        self._access.check_number(account.name)
        ends = self._context.around.clock.now() + seconds
        self._issued += 1
        number = self._context.around.member * MEMBER_NUMBERS + self._issued
        claims = {"sub": account.name, "exp": int(ends), "scope": ["integration"], "jti": number}
        parts = [_encode_part({"alg": "RS256", "typ": "at+jwt"}), _encode_part(claims)]
        parts.append(hashlib.sha256(".".join(parts).encode()).hexdigest())
        token = ".".join(parts)
        self._access.add(AccessToken(token, account.name, ends))
        return token

    async def secrets(self, request: Request) -> Response:
        """Handle ``api/clientcredentials``: create, list and delete secrets of a customer's client.

        The variables may be in the query or in a form: the vendor's docs do not say which.
        """
        account = self.bearer(request)
        form = parse_qsl((await request.body()).decode()) if _is_form(request) else []
        in_query = dict(request.query_params) if self._context.secret_variables == "query" else {}
        given = {**dict(form), **in_query}
        if not given.get("customerId"):
            raise RequestError(400, errors={"customerId": ["The customerId field is required."]})
        clients = [c for c in self.clients.values() if c.customer == given["customerId"]]
        if not clients:
            raise RequestError(400, errors={"customerId": ["A known customer is needed."]})
        client = clients[0]
        if account.customer != client.customer:
            raise RequestError(403, "Another customer's client.")
        if request.method == "POST":
            return json_response(self._add_secret(client, given.get("description", "")))
        if request.method == "DELETE":
            if client.secrets.pop(given.get("id", ""), None) is None:
                raise RequestError(404, "There is no such secret.")
            return Response(status_code=200)
        return json_response(
            [self._without_value(client, key, secret) for key, secret in client.secrets.items()]
        )

    def _add_secret(self, client: Account, description: str) -> dict[str, str]:
        self._issued += 1
        key = new_id(client.name, "secret", self._issued)
        created = {
            "secret": base64.b64encode(hashlib.sha256(key.encode()).digest()).decode(),
            "description": description,
            "createdAt": self._context.timestamp(),
        }
        client.secrets[key] = created
        return {"id": key, **created}

    @staticmethod
    def _without_value(client: Account, key: str, secret: dict[str, str]) -> dict[str, str]:
        shown = {"description": secret["description"], "createdAt": secret["createdAt"]}
        return {"id": key, "client_id": client.name, **shown}


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")


def _encode_part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _token_error(error: str, description: str | None = None) -> Response:
    body = {"error": error}
    if description:
        body["error_description"] = description
    return _uncached_response(body, 400)


def _uncached_response(content: dict[str, Any], status: int = 200) -> Response:
    response = json_response(content, status)
    response.headers["Cache-Control"] = "no-store, no-cache, max-age=0"
    response.headers["Pragma"] = "no-cache"
    return response
