"""Access tokens: those that a service has issued, and the limits of their number and of their requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider.sandbox.rate_limit import RateSwitches
from airflow_provider.sandbox.switches import Number, Rate

if TYPE_CHECKING:
    from airflow_provider.sandbox.service import Surroundings

MINUTE = 60.0


@dataclass(eq=False)
class TokenSwitches(RateSwitches):
    """Switches of a service with a token endpoint.

    :param token_requests_per_minute: maximum requests of the token endpoint a minute; null for no limit.
    :param max_tokens: maximum access tokens of a client that are valid at the same time; null for no limit.
    :param token_above_max: a token beyond ``max_tokens`` is refused, or ends the client's oldest token.
    :param token_refused_status: status of a refused token.
    """

    token_requests_per_minute: Rate | None = None
    max_tokens: Number | None = None
    token_above_max: Literal["refuse", "end_oldest"] = "refuse"
    token_refused_status: Literal[403, 429] = 429


@dataclass
class AccessToken:
    """An access token that was issued.

    :param client: the client, user or account to which it was issued.
    :param expires_at: the sandbox's time from which it is refused.
    :param scopes: what it allows, of services that have scopes.
    """

    value: str
    client: str
    expires_at: float
    scopes: frozenset[str] = frozenset()


class RefusedTokenError(Exception):
    """A token request beyond a limit.

    :param status: HTTP status of the reply.
    :param seconds: seconds until a request may succeed.
    """

    def __init__(self, status: int, detail: str, seconds: float) -> None:
        super().__init__(detail)
        self.status, self.detail, self.seconds = status, detail, seconds


class AccessTokens:
    """The valid and the expired access tokens of a service.

    :param service: name of the service, for the counters.
    :param around: clock and counters.
    :param switches: the limits.
    """

    def __init__(self, service: str, around: Surroundings, switches: TokenSwitches) -> None:
        self.service = service
        self.by_value: dict[str, AccessToken] = {}
        self.requests = around.rate_limit(f"tokens of {service}", MINUTE)
        self._around = around
        self._seen = around.shared.end() if around.shared else 0
        self._switches = switches

    def check_rate(self) -> None:
        """Count a request of the token endpoint.

        :raises RefusedTokenError: when it is beyond the limit.
        """
        rate = self._switches.token_requests_per_minute
        seconds = self.requests.take("", self._around.clock.now(), rate)
        if seconds:
            raise RefusedTokenError(429, f"More than {rate:g} token requests a minute.", seconds)

    def check_number(self, client: str) -> None:
        """Make room for a further token of a client.

        :raises RefusedTokenError: when the client has as many valid tokens as it may have.
        """
        now, most = self._around.clock.now(), self._switches.max_tokens
        if most is None:
            return
        self._read_events()
        own = [token for token in self.by_value.values() if token.client == client]
        valid = sorted((token for token in own if token.expires_at > now), key=lambda token: token.expires_at)
        if len(valid) < most:
            return
        if self._switches.token_above_max == "end_oldest" and most:
            for token in valid[: len(valid) - most + 1]:
                self.revoke(token)
            return
        seconds = valid[0].expires_at - now if valid else MINUTE
        raise RefusedTokenError(
            self._switches.token_refused_status, f"The client has {len(valid)} valid tokens already.", seconds
        )

    def add(self, token: AccessToken) -> None:
        """Add a token that was issued, and count it."""
        self.by_value[token.value] = token
        self._share({"issued": [token.value, token.client, token.expires_at, sorted(token.scopes)]})
        with self._around.counters.lock:
            self._around.counters.tokens_issued[self.service] += 1

    def revoke(self, token: AccessToken) -> None:
        """End a token."""
        self.by_value.pop(token.value, None)
        self._share({"revoked": token.value})

    def find(self, value: str) -> AccessToken | None:
        """Return a valid token; None when it is unknown or has expired."""
        self._read_events()
        token = self.by_value.get(value)
        return token if token and token.expires_at > self._around.clock.now() else None

    def _share(self, event: dict[str, Any]) -> None:
        if self._around.shared:
            self._around.shared.append({"service": self.service, **event})

    def _read_events(self) -> None:
        """Apply what all processes of the sandbox have issued and revoked, in that order."""
        if self._around.shared is None:
            return
        events, self._seen = self._around.shared.events(self._seen)
        for event in events:
            if event["service"] != self.service:
                continue
            if "revoked" in event:
                self.by_value.pop(event["revoked"], None)
                continue
            value, client, expires_at, scopes = event["issued"]
            self.by_value[value] = AccessToken(value, client, expires_at, frozenset(scopes))
