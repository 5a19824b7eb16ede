"""Emulated LeanIX workspace: token endpoint, Integration API, and blob storage."""

from airflow_provider.sandbox.leanix.service import LeanIXService

__all__ = ["LeanIXService"]
