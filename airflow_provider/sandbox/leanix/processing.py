"""Processing of runs: read and write fact sheets when a run finishes, and report counts and warnings."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airflow_provider.sandbox.leanix.runs import Run, duration, timestamp
from airflow_provider.sandbox.leanix.seed import KEY_FIELDS, WORKSPACE_ID, FactSheet


def warning(index: int, name: str, item: str, message: str, status: str = "ERROR") -> dict[str, Any]:
    """Return one row of a run's warnings."""
    return {
        "processor": {"name": name, "index": index},
        "content": item,
        "message": message,
        "detail": f"Content object {item}",
        "category": "DATA_PROCESSING",
        "status": status,
    }


def process_inbound(run: Run, sheets: dict[str, FactSheet], bad_items: int, doubtful_items: int) -> None:
    """Write a run's items into the fact sheets; invalid items are skipped, as by the API.

    :param bad_items: number of items at the start that are rejected with an ERROR.
    :param doubtful_items: number of items at the start that get a WARNING but are written.
    """
    components = [item for item in run.content if item["type"] == "ITComponent"]
    errors = [0, 0]
    for n, item in enumerate(components):
        problem = "The item was refused" if n < bad_items else _problem(item)
        if problem:
            errors[0] += 1
            run.warnings.append(warning(0, "IT components", item["id"], problem))
            continue
        if n < doubtful_items:
            text = "The provider is not one of the known ones"
            run.warnings.append(warning(0, "IT components", item["id"], text, "WARNING"))
        if not run.test:
            _write(sheets, item)
        application = item["data"].get("applicationId")
        if application and application not in sheets:
            errors[1] += 1
            text = f"No application has the external id {application}"
            run.warnings.append(warning(1, "Applications run on IT components", item["id"], text))
        elif application and not run.test and item["id"] not in sheets[application].relations:
            sheets[application].relations.append(item["id"])
    related = sum(1 for item in components if item["data"].get("applicationId"))
    names = ("IT components", "Applications run on IT components")
    run.processors = [
        {
            "processorIndex": index,
            "processorName": names[index],
            "processingTotalDuration": duration(run.work_seconds / 2),
            "processingNetworkDuration": duration(run.work_seconds / 3),
            "processedContentCount": count,
            "graphQLRequestCount": count,
            "errorCount": errors[index],
        }
        for index, count in enumerate((len(components), related))
    ]
    if run.header.get("processingMode") == "full":
        _archive_missing(run, sheets, {item["id"] for item in components})


def _problem(item: Mapping[str, Any]) -> str:
    return "" if item["data"].get("name") else "The field name may not be empty"


def _write(sheets: dict[str, FactSheet], item: Mapping[str, Any]) -> None:
    sheet = sheets.setdefault(item["id"], FactSheet("ITComponent", item["id"], {}))
    sheet.archived = False
    sheet.data.update({name: value for name, value in item["data"].items() if name != "applicationId"})


def _archive_missing(run: Run, sheets: dict[str, FactSheet], written: set[str]) -> None:
    """Archive the IT components that a full run did not write, up to the maximum deletion ratio."""
    scope = [sheet for sheet in sheets.values() if sheet.type == "ITComponent" and not sheet.archived]
    missing = [sheet for sheet in scope if sheet.id not in written]
    ratio = run.configuration.get("deletionScope", {}).get("maximumDeletionRatio", {}).get("factSheets", 50)
    if not missing or not scope:
        return
    if len(missing) * 100 > len(scope) * ratio:
        text = f"{len(missing)} of {len(scope)} fact sheets would be deleted, the limit is {ratio} %"
        run.warnings.append(warning(0, "Deletion", "", text, "WARNING"))
        return
    if not run.test:
        for sheet in missing:
            sheet.archived = True
    run.deleted = [{"type": "factSheets", "count": len(missing)}]


def process_outbound(run: Run, sheets: dict[str, FactSheet], more: int) -> None:
    """Write the fact sheets of the types that the configuration's processors name into the run's result.

    :param more: number of generated applications after the seeded ones.
    """
    types = _types(run.configuration)
    run.result = b"".join(export_fact_sheets(sheets, run.header, more, types))
    run.processors = [_report(run, sheets, more, index, name) for index, name in enumerate(types)]


def sync_log_of(run: Run) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the synchronization of a finished run, and its items: one for each warning, or a single one."""
    at = timestamp(run.since)
    source = f"{run.header['connectorType']}/{run.header['connectorId']}"
    found = [(row["status"], f"{row['message']}: {row['detail']}") for row in run.warnings]
    items = [
        {
            "id": str(uuid.uuid4()),
            "type": "INTEGRATION_API",
            "status": status,
            "source": source,
            "createdAt": at,
            "message": message,
        }
        for status, message in found or [("OK", "The run has no warnings")]
    ]
    errors = sum(status == "ERROR" for status, _ in found)
    result = "ERROR" if errors else "WARNING" if found else "OK"
    synchronization = {
        "id": str(uuid.uuid4()),
        "progress": "FINISHED",
        "status": result,
        "source": source,
        "createdAt": at,
        "errorCount": errors,
    }
    return synchronization, items


def _types(configuration: Mapping[str, Any]) -> list[str]:
    """Return the types that an outbound configuration exports; without one that is named, applications."""
    filters = [
        found.get("filter") for found in configuration.get("processors", ()) if isinstance(found, dict)
    ]
    types = [found.get("exactType") for found in filters if isinstance(found, dict)]
    return [str(name) for name in types if name] or ["Application"]


def _report(run: Run, sheets: dict[str, FactSheet], more: int, index: int, name: str) -> dict[str, Any]:
    found = sum(1 for sheet in sheets.values() if sheet.type == name and not sheet.archived)
    found += more if name == "Application" else 0
    return {
        "processorIndex": index,
        "processorName": f"{name}s",
        "networkDuration": duration(run.work_seconds / 2),
        "processingDuration": duration(run.work_seconds / 4),
        "itemsInScopeCount": found,
        "processedContentCount": found,
        "errorCount": 0,
    }


def export_fact_sheets(
    sheets: Mapping[str, FactSheet], header: Mapping[str, Any], more: int, types: Sequence[str]
) -> Iterator[bytes]:
    """Yield the fact sheets of some types as an LDIF, in chunks.

    :param more: number of generated applications after the seeded ones, for large results.
    """
    head = {name: header[name] for name in KEY_FIELDS[:3]}
    head |= {
        "lxVersion": "1.0.0",
        "lxWorkspace": WORKSPACE_ID,
        "description": "Applications of the campus",
        "processingDirection": "inbound",
        "processingMode": "partial",
    }
    yield json.dumps(head)[:-1].encode() + b', "content": ['
    separator = b""
    for sheet in sheets.values():
        if sheet.type in types and not sheet.archived:
            yield separator + json.dumps(sheet.item(), ensure_ascii=False).encode()
            separator = b", "
    text = "x" * 200
    for n in range(more if "Application" in types else 0):
        item = {"type": "Application", "id": f"more-{n}", "data": {"name": f"More {n}", "description": text}}
        yield separator + json.dumps(item).encode()
        separator = b", "
    yield b"]}"
