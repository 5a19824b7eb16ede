"""Emulated LeanIX service: a workspace with its routes and its Airflow connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider.sandbox.leanix.loads import ApplicationsLoad
from airflow_provider.sandbox.leanix.routes import api_routes
from airflow_provider.sandbox.leanix.seed import WORKSPACE_ID
from airflow_provider.sandbox.leanix.storage_routes import storage_routes
from airflow_provider.sandbox.leanix.workspace import Workspace

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


class LeanIXService(Workspace):
    """LeanIX Integration API and token endpoint of one workspace.

    The switches are those of :class:`~airflow_provider.sandbox.leanix.workspace.Workspace`.
    """

    loads = (ApplicationsLoad,)

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes of the token endpoint, of the Integration API and of the sync log."""
        return api_routes(self)

    def storage_routes(self) -> Sequence[BaseRoute]:
        """Return the routes of the blob storage: results and uploads."""
        return storage_routes(self)

    def connection(self) -> Mapping[str, Any]:
        """Return the Airflow connection, with the workspace id and the storage as allowed host."""
        return {
            "conn_type": "leanix",
            "host": self.base_url,
            "password": self.api_token,
            "extra": {
                "workspace_id": WORKSPACE_ID,
                "allowed_hosts": [self.around.storage_origin.partition("://")[2]],
            },
        }
