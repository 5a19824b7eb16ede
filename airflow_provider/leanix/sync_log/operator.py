"""Operator of the sync log: exports its items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider.core.asset_events import add_to_outlet_events
from airflow_provider.core.input.rendered import CheckedOperator
from airflow_provider.core.pages.links import ReportLink
from airflow_provider.leanix import DEFAULT_CONN_ID

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.sdk import Context


class LeanIXExportSyncLogOperator(CheckedOperator):
    """Export the items of the workspace's sync log into a file, newest first.

    Each item comes once, though others are added while the pages are read. Columns are ``type``, ``status``,
    ``source`` and ``createdAt``, then those of all further fields; nested data is JSON text. The service does
    not tell which run an item belongs to.

    :param output_path: destination: a local path, or any URL that ``ObjectStoragePath`` takes; ``.jsonl`` and
        ``.csv`` (also with ``.gz``), or ``.parquet``.
    :param statuses: ``OK``, ``INFO``, ``WARNING``, ``ERROR``; None for all.
    :param since: time before which items are left out; without a zone it is UTC.
    :param incremental: export only what the runs before have not exported; needs one outlet asset, on which
        the time of the newest item is kept, and Airflow 3.3. ``since`` applies to the first run.
    :param report: whether to write a page about the rows beside the file: counts, nulls, ranges, and what
        changed since the last export, see ``docs/reports.md``. The result has its path as ``report``.
    :param leanix_conn_id: id of the connection, whose token or extra ``workspace_id`` names the workspace.

    Returns the manifest of the file; ``watermark`` is the time of the newest item that is not in the future.
    """

    template_fields: Sequence[str] = (
        "output_path",
        "statuses",
        "since",
        "incremental",
        "report",
        "leanix_conn_id",
    )
    operator_extra_links = (ReportLink(),)
    ui_color = "#d9e8f6"

    def __init__(
        self,
        *,
        output_path: str,
        statuses: Sequence[str] | None = None,
        since: str | datetime | None = None,
        incremental: bool | str = False,
        report: bool | str = False,
        leanix_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path
        self.statuses = statuses
        self.since = since
        self.incremental = incremental
        self.report = report
        self.leanix_conn_id = leanix_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Read the items, and write the file when all of them are there."""
        from airflow_provider.leanix.sync_log.export import run_export

        return add_to_outlet_events(context, self.outlets, run_export(self, context))
