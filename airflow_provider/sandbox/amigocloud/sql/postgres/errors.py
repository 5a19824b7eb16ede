"""Errors: PostgreSQL's messages as the service answers them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

_PATH = re.compile(r"(?<![\w/.])/(?:[\w.+-]+/)+[\w.+-]*")
"""A file on the server."""


def message(error: psycopg.Error) -> str:
    """Return a message with its detail and hint, without paths of the server."""
    said = error.diag
    lines = [said.message_primary or str(error).strip() or "the connection to the database was lost"]
    lines += [f"DETAIL:  {said.message_detail}"] if said.message_detail else []
    lines += [f"HINT:  {said.message_hint}"] if said.message_hint else []
    return _PATH.sub("<path>", "\n".join(lines))
