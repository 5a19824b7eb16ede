"""Emulator of the MapsIndoors Integration API and of its token service."""

from __future__ import annotations

from airflow_provider.sandbox.mapsindoors.service import MapsIndoorsService

__all__ = ["MapsIndoorsService"]
