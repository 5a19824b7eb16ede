"""An emulated Altair IoT Studio: Things with properties, their history, actions and events."""

from __future__ import annotations

from airflow_provider.sandbox.iotstudio.service import IoTStudioService

__all__ = ["IoTStudioService"]
