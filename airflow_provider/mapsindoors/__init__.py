"""MapsIndoors: hooks, operators, sensors and triggers for the places of an indoor map."""

from __future__ import annotations

DEFAULT_CONN_ID = "mapsindoors_default"
"""Id of the connection that is used where none is named."""
