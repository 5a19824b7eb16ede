"""JSON types: names for what a decoded JSON text holds."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
"""A JSON object: text keys, any JSON value."""
