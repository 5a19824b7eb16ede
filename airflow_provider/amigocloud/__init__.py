"""AmigoCloud: maps, datasets and SQL."""

from __future__ import annotations

DEFAULT_CONN_ID = "amigocloud_default"
"""Id of the connection that is used where none is named."""
