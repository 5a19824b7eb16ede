"""The emulated MapsIndoors Integration API, and the token service beside it."""

from __future__ import annotations

from airflow_provider.sandbox.mapsindoors.service import MapsIndoorsService

__all__ = ["MapsIndoorsService"]
