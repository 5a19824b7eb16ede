"""LeanIX: start Integration API runs, wait for them, and download their results."""

from __future__ import annotations

DEFAULT_CONN_ID = "leanix_default"
"""Id of the connection that is used where none is named."""
