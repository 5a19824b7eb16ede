"""An emulated AmigoCloud account: projects, datasets, SQL, states, jobs and uploads."""

from airflow_provider.sandbox.amigocloud.service import AmigoCloudService

__all__ = ["AmigoCloudService"]
