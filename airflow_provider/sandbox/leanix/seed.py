"""Seed of the emulated workspace: fact sheets and processor configurations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

WORKSPACE_ID = "9a1c5f0e-7b52-4d0c-8f43-2f1f6f0c9b11"
WORKSPACE_NAME = "campus"

KEY_FIELDS = ("connectorType", "connectorId", "connectorVersion", "processingDirection", "processingMode")

_DOMAINS = ("Facilities", "Visitors", "Energy", "Security", "Parking", "Catering", "Research", "Finance")
_ROLES = ("Portal", "Registry", "Planner", "Gateway", "Ledger", "Archive", "Dispatcher", "Dashboard")
_PROVIDERS = ("gcp", "aws", "azure", "on-premise")


@dataclass
class FactSheet:
    """One object of the inventory.

    :param relations: ids of the IT components that an application runs on.
    """

    type: str
    id: str
    data: dict[str, Any]
    relations: list[str] = field(default_factory=list)
    archived: bool = False

    def item(self) -> dict[str, Any]:
        """Return the fact sheet as an item of an exported LDIF."""
        data = dict(self.data)
        if self.type == "Application":
            data["itComponents"] = list(self.relations)
        return {"type": self.type, "id": self.id, "data": data}


def configuration_key(header: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the five fields that select a stored configuration; the default of the mode is ``partial``."""
    values = [str(header.get(name) or "") for name in KEY_FIELDS[:4]]
    return (*values, str(header.get("processingMode") or "partial").lower())


def kind_of(header: Mapping[str, Any]) -> tuple[str, ...]:
    """Return direction and mode of an input or a configuration."""
    return configuration_key(header)[3:]


def fact_sheets() -> dict[str, FactSheet]:
    """Return the seeded fact sheets: 65 applications of the campus, and 24 IT components."""
    sheets: dict[str, FactSheet] = {}
    for n in range(24):
        sheet = FactSheet(
            "ITComponent",
            f"it-{n:04d}",
            {"name": f"Platform {n:02d}", "category": "cloud_service", "provider": _PROVIDERS[n % 4]},
        )
        sheets[sheet.id] = sheet
    for n in range(64):
        sheet = FactSheet(
            "Application",
            f"app-{n:04d}",
            {
                "name": f"{_DOMAINS[n // 8]} {_ROLES[n % 8]}",
                "description": f"Serves building {'ABCDEFGH'[n % 8]} of the campus",
                "lifecycle": "active" if n % 9 else "phaseOut",
            },
            [f"it-{n % 24:04d}", f"it-{(n * 7 + 3) % 24:04d}"],
        )
        sheets[sheet.id] = sheet
    site = FactSheet(
        "Application",
        "28db27b1-fc55-4e44",
        {"name": "Campus Website", "description": "What visitors see first", "lifecycle": "active"},
    )
    sheets[site.id] = site
    return sheets


def _inbound(mode: str) -> dict[str, Any]:
    name = {"key": {"expr": "name"}, "values": [{"expr": "${data.name}"}]}
    configuration: dict[str, Any] = {
        "connectorType": "cmdb",
        "connectorId": "campus",
        "connectorVersion": "1.0.0",
        "processingDirection": "inbound",
        "processingMode": mode,
        "sequentialExecution": False,
        "processors": [
            {
                "processorType": "inboundFactSheet",
                "processorName": "IT components",
                "type": "ITComponent",
                "filter": {"exactType": "ITComponent"},
                "identifier": {"external": {"id": {"expr": "${content.id}"}, "type": {"expr": "externalId"}}},
                "run": 0,
                "updates": [name],
            },
            {
                "processorType": "inboundRelation",
                "processorName": "Applications run on IT components",
                "type": "relApplicationToITComponent",
                "filter": {"exactType": "ITComponent"},
                "from": {
                    "external": {"id": {"expr": "${data.applicationId}"}, "type": {"expr": "externalId"}}
                },
                "to": {"external": {"id": {"expr": "${content.id}"}, "type": {"expr": "externalId"}}},
                "run": 1,
            },
        ],
    }
    if mode == "full":
        configuration["deletionScope"] = {"maximumDeletionRatio": {"factSheets": 50}, "factSheets": [{}]}
    return configuration


def configurations() -> dict[tuple[str, ...], dict[str, Any]]:
    """Return the seeded configurations: a CMDB writes IT components, a report reads applications."""
    report = {
        "connectorType": "report",
        "connectorId": "landscape",
        "connectorVersion": "1.0.0",
        "processingDirection": "outbound",
        "processingMode": "partial",
        "sequentialExecution": False,
        "scope": {"ids": [], "facetFilters": []},
        "processors": [
            {
                "processorType": "outboundFactSheet",
                "processorName": "Applications",
                "filter": {"exactType": "Application"},
                "fields": ["name", "description", "lifecycle"],
            }
        ],
        "dataConsumer": {"type": "leanixStorage"},
    }
    return {configuration_key(item): item for item in (_inbound("partial"), _inbound("full"), report)}


def tutorial_items() -> list[dict[str, Any]]:
    """Return two IT components of the campus website, as items of an inbound run."""
    application = "28db27b1-fc55-4e44"
    return [
        {
            "type": "ITComponent",
            "id": id_,
            "data": {
                "name": name,
                "description": text,
                "category": category,
                "provider": "gcp",
                "applicationId": application,
            },
        }
        for id_, name, text, category in (
            ("b6992b1d-4e4d", "Gatsby.j", "Builds the campus website", "sample_software"),
            ("cd4fab6c-4336", "Contentful", "Holds the texts of the campus website", "cloud_service"),
        )
    ]
