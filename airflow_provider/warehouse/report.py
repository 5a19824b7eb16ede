"""Report of an export in parts: the reports of the parts merged into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider.core.reports.earlier import read_report
from airflow_provider.core.reports.merge import merge_tables
from airflow_provider.core.reports.profile import Profile, Table
from airflow_provider.core.reports.report import Report, Subject
from airflow_provider.warehouse.results import PartResult


def subject_of(output_path: str) -> Subject:
    """Return the subject of the report about all parts.

    :param output_path: path of the manifest.
    """
    name = output_path.rstrip("/").rpartition("/")[2]
    return Subject(f"Export in parts: {name}", "All parts of an export")


def write_report(
    report: Report, manifest: Mapping[str, Any], results: Sequence[PartResult]
) -> dict[str, Any]:
    """Write the report about all parts; return the manifest with its location.

    :param report: the report.
    :param manifest: the manifest of all parts, which is in storage.
    :param results: results of the tasks, in the order of their parts.
    """
    profiles: list[Profile] = []
    for result in results:
        try:
            profile = None if result.report is None else read_report(result.report)
        except Exception as error:  # Storage libraries raise errors of any class.
            return report.fail(manifest, f"the report of {result.label} cannot be read: {error!s:.200}")
        if profile is None:
            return report.fail(manifest, f"{result.label} has no report: its export needs report=True")
        if profile.rows != result.rows:
            return report.fail(
                manifest,
                f"the report of {result.label} is about {profile.rows} rows, and the part has {result.rows}",
            )
        profiles.append(profile)
    tables = [table for profile in profiles for table in profile.tables if table.rows]
    report.source = profiles[0].source
    named: dict[str, list[Table]] = {}
    for table in tables:
        named.setdefault(table.name, []).append(table)
    return report.finish_merged(manifest, [merge_tables(some) for some in named.values()])
