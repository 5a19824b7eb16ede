"""Altair IoT Studio: Things, their properties, history and actions."""

from __future__ import annotations

DEFAULT_CONN_ID = "iotstudio_default"
"""Id of the connection that is used where none is named."""
