"""Loads of the workspace: many applications, for large exports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from airflow_provider.sandbox.leanix.seed import FactSheet
from airflow_provider.sandbox.leanix.workspace import Workspace
from airflow_provider.sandbox.loads import Load

Applications = Annotated[int, Meta(ge=1, le=1_000_000)]


@dataclass(eq=False)
class ApplicationsLoad(Load):
    """Applications, which outbound runs export, with ids from load-0000000 on.

    :param applications: number of applications.
    """

    kind = "applications"

    applications: Applications = 1

    def run(self, service: Workspace) -> dict[str, Any]:
        """Add the applications after those that were loaded before."""
        sheets = service.fact_sheets
        first = sum(key.startswith("load-") for key in sheets)
        for n in range(first, first + self.applications):
            name, building = f"Application {n:07d}", "ABCDEFGH"[n % 8]
            data = {"name": name, "description": f"Serves building {building}", "lifecycle": "active"}
            sheet = FactSheet("Application", f"load-{n:07d}", data, [f"it-{n % 24:04d}"])
            sheets[sheet.id] = sheet
        return {"applications": self.applications, "fact_sheets": len(sheets)}
