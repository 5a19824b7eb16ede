"""Who asks, what they may do, and how a refusal looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

if TYPE_CHECKING:
    from starlette.requests import Request

LEVELS = "RCEA"
"""Read, create, edit, administrate; each may do what those before it may."""


@dataclass
class Token:
    """An API token.

    :param level: one of :data:`LEVELS`.
    :param project: the only project it is good for; None for a user token.
    :param expires_at: the sandbox's time after which it is refused.
    """

    value: str
    level: str
    project: int | None = None
    expires_at: float | None = None

    def may(self, level: str) -> bool:
        """Tell whether the token has a permission."""
        return LEVELS.index(self.level) >= LEVELS.index(level)


class RefusedError(Exception):
    """An answer that is an error, in the service's form."""

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, code, detail)
        self.status = status
        self.body: dict[str, Any] = {"error_code": code, "detail": detail}
        self.headers = dict(headers or {})


def not_found(what: str = "Not found.") -> RefusedError:
    """Refuse because there is no such thing."""
    return RefusedError(404, "not_found", what)


def bad_request(detail: str, code: str = "invalid") -> RefusedError:
    """Refuse because the request makes no sense."""
    return RefusedError(400, code, detail)


@dataclass
class Asked:
    """One request, read as far as every handler needs it.

    :param pairs: the query as sent, in order.
    :param body: the JSON or form body, empty without one.
    """

    request: Request
    token: Token
    pairs: list[tuple[str, str]]
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def params(self) -> dict[str, str]:
        """The query; of a name given twice the last one counts."""
        return dict(self.pairs)

    @property
    def path(self) -> Mapping[str, str]:
        """Parameters of the path."""
        return self.request.path_params

    def need(self, level: str) -> None:
        """Refuse a token that lacks a permission."""
        if not self.token.may(level):
            raise RefusedError(403, "permission_denied", "You do not have permission to perform this action.")

    def number(self, name: str, default: int) -> int:
        """Read a whole number from the query or the body."""
        text = self.params.get(name, self.body.get(name))
        if text is None or text == "":
            return default
        try:
            return max(0, int(text))
        except (TypeError, ValueError):
            raise bad_request(f"{name} is not a number: {text}") from None

    def link(self, origin: str | None, **changed: object) -> str:
        """Give the request's own URL with other parameters, the token in clear."""
        kept = [(key, value) for key, value in self.pairs if key not in changed]
        pairs = sorted(kept + [(key, str(value)) for key, value in changed.items()])
        here = origin or f"http://{self.request.headers['host']}"
        return f"{here}{self.request.scope['path']}?{urlencode(pairs)}"


def read_query(raw: bytes) -> list[tuple[str, str]]:
    """Read a query string as the service does: percent and plus decoded, all parameters kept."""
    return parse_qsl(raw.decode("latin-1"), keep_blank_values=True)
