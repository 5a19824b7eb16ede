"""The token service: both grants, and secrets that can be changed."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.responses import Response

from airflow_provider.sandbox.mapsindoors.answers import RefusedError, answer
from airflow_provider.sandbox.mapsindoors.solution import new_id

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider.sandbox.mapsindoors.service import MapsIndoorsService


@dataclass
class Account:
    """Who logs in: a CMS user, or a client made for a script.

    :param role: ``administrator``, ``editor`` (locations only) or ``reader``.
    :param secrets: id -> ``{"secret", "description", "createdAt"}``; a user has one, the password.
    """

    name: str
    customer: str
    role: str = "administrator"
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)

    def knows(self, secret: str | None) -> bool:
        """Say whether a secret is one of the account's."""
        return any(one["secret"] == secret for one in self.secrets.values())


class TokenService:
    """Gives tokens out and knows them again."""

    def __init__(self, service: MapsIndoorsService, accounts: list[Account], clients: list[Account]) -> None:
        self._service = service
        self.users = {account.name: account for account in accounts}
        self.clients = {account.name: account for account in clients}
        self._tokens: dict[str, tuple[Account, float]] = {}
        self._issued = 0

    def revoke_all(self) -> None:
        """Make all tokens given out so far invalid."""
        self._tokens.clear()

    def bearer(self, request: Request) -> Account:
        """Give the account whose token a request has; 401 otherwise."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        account, ends = self._tokens.get(token.strip(), (None, 0.0))
        if scheme.lower() != "bearer" or account is None or self._service.around.clock.now() >= ends:
            raise RefusedError(401)
        return account

    async def token(self, request: Request) -> Response:
        """Answer ``POST connect/token``: every refusal is a 400 with ``error``."""
        if request.method != "POST" or not _is_form(request):
            return _denied("invalid_request")
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))
        if form.get("scope", "integration") != "integration":
            return _denied("invalid_scope")
        grant = form.get("grant_type")
        if grant == "password":
            if form.get("client_id") != "client":
                return _denied("invalid_client")
            account = self.users.get(form.get("username", ""))
            if account is None or not account.knows(form.get("password")):
                return _denied("invalid_grant", "invalid_username_or_password")
        elif grant == "client_credentials":
            account = self.clients.get(form.get("client_id", ""))
            if account is None or not account.knows(form.get("client_secret")):
                return _denied("invalid_client")
        else:
            return _denied("unsupported_grant_type")
        seconds = self._service.token_seconds
        return _uncached(
            {
                "access_token": self._issue(account, seconds),
                "expires_in": seconds,
                "token_type": "Bearer",
                "scope": "integration",
            }
        )

    def _issue(self, account: Account, seconds: int) -> str:
        around = self._service.around
        ends = around.clock.now() + seconds
        self._issued += 1
        claims = {"sub": account.name, "exp": int(ends), "scope": ["integration"], "jti": self._issued}
        parts = [_part({"alg": "RS256", "typ": "at+jwt"}), _part(claims)]
        parts.append(hashlib.sha256(".".join(parts).encode()).hexdigest())
        token = ".".join(parts)
        self._tokens[token] = (account, ends)
        with around.counters.lock:
            around.counters.tokens_issued["mapsindoors"] += 1
        return token

    async def secrets(self, request: Request) -> Response:
        """Answer ``api/clientcredentials``: make, list and delete secrets of a customer's client.

        The variables are taken from the query or from a form; the docs leave open which.
        """
        account = self.bearer(request)
        form = parse_qsl((await request.body()).decode()) if _is_form(request) else []
        given = {**dict(form), **dict(request.query_params)}
        clients = [c for c in self.clients.values() if c.customer == given.get("customerId")]
        if not clients:
            raise RefusedError(400, errors={"customerId": ["A known customer is needed."]})
        client = clients[0]
        if account.customer != client.customer:
            raise RefusedError(403, "Another customer's client.")
        if request.method == "POST":
            return answer(self._add_secret(client, given.get("description", "")))
        if request.method == "DELETE":
            if client.secrets.pop(given.get("id", ""), None) is None:
                raise RefusedError(404, "There is no such secret.")
            return Response(status_code=200)
        return answer([self._listed(client, key, one) for key, one in client.secrets.items()])

    def _add_secret(self, client: Account, description: str) -> dict[str, str]:
        self._issued += 1
        key = new_id(client.name, "secret", self._issued)
        made = {
            "secret": base64.b64encode(hashlib.sha256(key.encode()).digest()).decode(),
            "description": description,
            "createdAt": self._service.timestamp(),
        }
        client.secrets[key] = made
        return {"id": key, **made}

    @staticmethod
    def _listed(client: Account, key: str, one: dict[str, str]) -> dict[str, str]:
        shown = {"description": one["description"], "createdAt": one["createdAt"]}
        return {"id": key, "client_id": client.name, **shown}


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _denied(error: str, description: str | None = None) -> Response:
    body = {"error": error}
    if description:
        body["error_description"] = description
    return _uncached(body, 400)


def _uncached(content: dict[str, Any], status: int = 200) -> Response:
    response = answer(content, status)
    response.headers["Cache-Control"] = "no-store, no-cache, max-age=0"
    response.headers["Pragma"] = "no-cache"
    return response
