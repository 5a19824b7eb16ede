"""Authentication: API tokens and their permission levels."""

from __future__ import annotations

from dataclasses import dataclass

LEVELS = "RCEA"
"""Read, create, edit, administrate; each level includes those before it."""


@dataclass
class Token:
    """An API token.

    :param level: a letter of :data:`LEVELS`.
    :param project: the only project that the token opens; None for a user token.
    :param expires_at: the sandbox's time after which the token is refused; None for no limit.
    """

    value: str
    level: str
    project: int | None = None
    expires_at: float | None = None

    def may(self, level: str) -> bool:
        """Return whether the token includes a permission level."""
        return LEVELS.index(self.level) >= LEVELS.index(level)
