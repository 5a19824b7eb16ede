"""What a run does to the landscape when it finishes, and what it reports about that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider.sandbox.leanix.runs import Run, duration
from airflow_provider.sandbox.leanix.seed import FactSheet, export


def warning(index: int, name: str, item: str, message: str, status: str = "ERROR") -> dict[str, Any]:
    """Give one row of a run's warnings."""
    return {
        "processor": {"name": name, "index": index},
        "content": item,
        "message": message,
        "detail": f"Content object {item}",
        "category": "DATA_PROCESSING",
        "status": status,
    }


def bring_in(run: Run, sheets: dict[str, FactSheet], bad_items: int, doubtful_items: int) -> None:
    """Write a run's items into the landscape, skipping the bad ones, as the API does.

    :param bad_items: the first so many items are refused whatever they hold.
    :param doubtful_items: the first so many items get a warning but are written.
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
        _clean_up(run, sheets, {item["id"] for item in components})


def _problem(item: Mapping[str, Any]) -> str:
    return "" if item["data"].get("name") else "The field name may not be empty"


def _write(sheets: dict[str, FactSheet], item: Mapping[str, Any]) -> None:
    sheet = sheets.setdefault(item["id"], FactSheet("ITComponent", item["id"], {}))
    sheet.archived = False
    sheet.data.update({name: value for name, value in item["data"].items() if name != "applicationId"})


def _clean_up(run: Run, sheets: dict[str, FactSheet], touched: set[str]) -> None:
    """Archive the IT components that a full run did not touch, unless they are more than half."""
    scope = [one for one in sheets.values() if one.type == "ITComponent" and not one.archived]
    gone = [one for one in scope if one.id not in touched]
    ratio = run.configuration.get("deletionScope", {}).get("maximumDeletionRatio", {}).get("factSheets", 50)
    if not gone or not scope:
        return
    if len(gone) * 100 > len(scope) * ratio:
        text = f"{len(gone)} of {len(scope)} fact sheets would be deleted, the limit is {ratio} %"
        run.warnings.append(warning(0, "Deletion", "", text, "WARNING"))
        return
    if not run.test:
        for one in gone:
            one.archived = True
    run.deleted = [{"type": "factSheets", "count": len(gone)}]


def bring_out(run: Run, sheets: dict[str, FactSheet], more: int) -> None:
    """Write the applications into the run's result.

    :param more: made-up applications on top of the real ones.
    """
    run.result = b"".join(export(sheets, run.header, more))
    found = sum(1 for one in sheets.values() if one.type == "Application" and not one.archived) + more
    run.processors = [
        {
            "processorIndex": 0,
            "processorName": "Applications",
            "networkDuration": duration(run.work_seconds / 2),
            "processingDuration": duration(run.work_seconds / 4),
            "itemsInScopeCount": found,
            "processedContentCount": found,
            "errorCount": 0,
        }
    ]
