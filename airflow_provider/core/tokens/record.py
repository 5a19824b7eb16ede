"""Records: what a store holds for a credential, a token or the refusal of the token service."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec

from airflow_provider.errors import (
    AuthenticationError,
    clauses,
    cut,
)

REFUSED_SECONDS = 60.0
"""Seconds for which credentials that the token service refused are not sent again."""

_UNAUTHORIZED = 401

_CREDENTIAL_CODES = frozenset({"invalid_client", "invalid_grant", "unauthorized_client"})

_CLOCK_STEP = 5.0
"""Seconds by which the clock of a store may have been set back since a record was written."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token in the hands of this process.

    :param value: the token.
    :param age: seconds since it was issued.
    :param renew_after: seconds of age at which it is renewed.
    :param is_from_store: whether another process may have fetched it.
    """

    value: str = field(repr=False)
    age: float
    renew_after: float
    is_from_store: bool = False


class TokenRecord(msgspec.Struct, frozen=True, tag="token", repr_omit_defaults=True):
    """A stored token.

    :param value: the token.
    :param issued_at: seconds of the store's clock at which it was issued.
    :param renew_after: seconds of age at which it is renewed.
    """

    value: str
    issued_at: float
    renew_after: float

    def __repr__(self) -> str:
        return "<TokenRecord>"

    def at(self, now: float) -> IssuedToken | None:
        """Return the token at a moment of the store's clock; None when it is due for renewal."""
        age = now - self.issued_at
        if not -_CLOCK_STEP < age < self.renew_after or not self.value:
            return None
        return IssuedToken(self.value, max(0.0, age), self.renew_after, is_from_store=True)


class RefusalRecord(msgspec.Struct, frozen=True, tag="refusal"):
    """A stored refusal of the credentials.

    :param refused_at: seconds of the store's clock.
    :param status: HTTP status of the refusal.
    :param code: the token service's error code.
    :param message: its error message, without secrets.
    :param request: the token request in one line.
    """

    refused_at: float
    status: int
    code: str
    message: str
    request: str

    def at(self, now: float) -> AuthenticationError | None:
        """Return the error at a moment of the store's clock; None when the credentials may be sent again."""
        age = now - self.refused_at
        if not -_CLOCK_STEP < age < REFUSED_SECONDS:
            return None
        age = max(0.0, age)
        message = clauses(
            self.message or "refused",
            f"the token service refused these credentials {age:.0f} s ago, so they are not sent again for"
            f" {REFUSED_SECONDS - age:.0f} s",
            "a corrected credential is used at once",
        )
        return AuthenticationError(self.status, self.code, message, request=self.request)


Record: TypeAlias = TokenRecord | RefusalRecord


def concerns_credentials(error: AuthenticationError) -> bool:
    """Return whether a token service refused the credentials themselves.

    OAuth2 servers say so with a code (RFC 6749, 5.2), others with 401. A web page in their place, or another
    400, may come from a gateway, and be over in a second.
    """
    return not error.is_page and (error.status == _UNAUTHORIZED or error.code in _CREDENTIAL_CODES)


def refusal_of(error: AuthenticationError, now: float) -> RefusalRecord:
    """Return the record of a refused token request; its texts have no secrets.

    :param now: current time of the store's clock.
    """
    return RefusalRecord(now, error.status, cut(error.code), cut(error.message), cut(error.request))


def encode(record: Record) -> bytes:
    """Return a record as bytes."""
    return msgspec.json.encode(record)


def decode(data: bytes) -> Record | None:
    """Return the record of some bytes; None for anything else."""
    try:
        found: Record = msgspec.json.decode(data, type=Record)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return None
    return found
