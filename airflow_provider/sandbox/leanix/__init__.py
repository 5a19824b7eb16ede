"""An emulated LeanIX workspace: token endpoint, Integration API, and the storage it hands links to."""

from airflow_provider.sandbox.leanix.service import LeanIXService

__all__ = ["LeanIXService"]
