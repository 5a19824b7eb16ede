"""Operator that brings a dataset in step with rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider.amigocloud import DEFAULT_CONN_ID
from airflow_provider.core.asset_events import add_to_outlet_events
from airflow_provider.core.files.row_operator import RowOperator
from airflow_provider.core.pages.links import PlanLink

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.sdk import Context

    from airflow_provider.amigocloud.sync.document import PlanHead
    from airflow_provider.amigocloud.sync.sync import Sync


class AmigoCloudSyncDatasetOperator(RowOperator):
    """Bring a dataset in step with a source: compare, plan, check limits, write the differences, verify them.

    The dataset is read in one state, completely or not at all. Only fields that a row has are compared and
    written. A second run writes nothing. New rows get an ``amigo_id`` that follows from their key, so that
    none is created twice, neither by a retry nor after a request without a response.

    Further arguments: ``columns``, ``ignore``, ``min_rows``, ``csv_delimiter``, ``encoding``,
    ``source_format``, ``hive`` and ``complete``, or ``sql``, ``sql_conn_id``, ``parameters`` and
    ``sql_timezone``, of :class:`RowOperator`.

    :param dataset: id of the dataset.
    :param key: the field by which rows are matched; its values must be unique, in the rows and in the
        dataset. ``amigo_id`` is a key, too; a field of floats is none.
    :param source: a list of rows, or the path of a JSON, JSON Lines, GeoJSON, CSV or (Geo)Parquet file, of a
        folder of such files (with ``/`` at its end), a wildcard or a manifest. Their columns are the fields
        of the dataset; ``geometry`` is its geometry, too. None together with ``plan`` or ``restore``.
    :param defaults: fields for rows that do not have them.
    :param mode: ``plan`` writes the plan only, ``apply`` applies it.
    :param missing: what happens to the dataset's rows without a row: ``ignore`` or ``delete``. Rows without a
        key are never changed.
    :param max_changes: maximum number of writes; None for no limit.
    :param max_deletes: maximum number of deletions; 0 allows none.
    :param max_delete_ratio: maximum share of the compared rows that is deleted, 0 to 1.
    :param on_row_error: ``fail`` raises an error for invalid rows, before any write unless only the service
        can find them; ``skip`` leaves them out. Rows that are left out or rejected are in
        ``<plan_output>.failed.jsonl`` (or ``<plan>.failed.jsonl``) with the reasons; without these paths, all
        of them are in the log.
    :param plan_output: path of the plan's JSON. Beside it is a page with a map and a table of all changes,
        with the suffix ``.html``, to which the task has a link.
    :param plan: path of a plan made earlier. Exactly this plan is applied. When a row that it is about has
        changed since, ``PlanRejectedError`` is raised instead; for a plan that restores, when anything of the
        dataset has changed.
    :param verify: read the dataset after writing, and raise ``VerificationError`` when it does not show the
        written changes.
    :param restore: hash of an earlier state, such as ``state_before`` of an earlier result. The dataset is
        reverted to it, within the limits: rows that are new since count as deletions.
    :param batch_size: maximum rows of a change set.
    :param concurrency: maximum concurrent requests while the dataset is read; by default the connection's
        ``max_concurrency``, else 4.
    :param poll_interval: maximum seconds between polls of a job.
    :param timeout: seconds after which a job counts as stuck.
    :param amigocloud_conn_id: id of the connection; its token needs the permission to edit, and to
        administrate for ``restore``.
    :return: ``{"create": n, "update": n, "delete": n, "deactivate": 0, "unchanged": n, "failed": n,
        "requests": n, "plan": path or None, "state_before": hash, "state": hash}``.
    """

    template_fields: Sequence[str] = (
        "amigocloud_conn_id",
        "source",
        "dataset",
        "key",
        "defaults",
        "mode",
        "missing",
        "max_changes",
        "max_deletes",
        "max_delete_ratio",
        "on_row_error",
        "plan_output",
        "plan",
        "verify",
        "restore",
        "batch_size",
        "concurrency",
        "poll_interval",
        "timeout",
        *RowOperator.ROW_FIELDS,
        *RowOperator.SQL_FIELDS,
    )
    operator_extra_links = (PlanLink(),)
    long_decimals = "keep"
    ui_color = "#d7ecd9"

    def __init__(
        self,
        *,
        dataset: int | str,
        key: str,
        source: list[dict[str, Any]] | str | None = None,
        defaults: dict[str, Any] | None = None,
        mode: str = "apply",
        missing: str = "ignore",
        max_changes: int | str | None = None,
        max_deletes: int | str = 0,
        max_delete_ratio: float | str = 0.1,
        on_row_error: str = "fail",
        plan_output: str | None = None,
        plan: str | None = None,
        verify: bool | str = True,
        restore: str | None = None,
        batch_size: int | str = 1000,
        concurrency: int | str | None = None,
        poll_interval: float | str = 5.0,
        timeout: float | timedelta | str = 3600.0,
        amigocloud_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dataset = dataset
        self.key = key
        self.source = source
        self.defaults = defaults
        self.mode = mode
        self.missing = missing
        self.max_changes = max_changes
        self.max_deletes = max_deletes
        self.max_delete_ratio = max_delete_ratio
        self.on_row_error = on_row_error
        self.plan_output = plan_output
        self.plan = plan
        self.verify = verify
        self.restore = restore
        self.batch_size = batch_size
        self.concurrency = concurrency
        self.poll_interval = poll_interval
        self.timeout = timeout
        self.amigocloud_conn_id = amigocloud_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Make or load the plan, and apply it unless the mode is ``plan``."""
        from airflow_provider.amigocloud.hooks import AmigoCloudHook
        from airflow_provider.amigocloud.sync.arguments import read_settings
        from airflow_provider.amigocloud.sync.store import SyncStore
        from airflow_provider.amigocloud.sync.sync import Sync
        from airflow_provider.core.files.storage import ensure_writable
        from airflow_provider.core.sync.failures import report_failed

        settings = read_settings(self, context)
        if self.plan_output:
            ensure_writable(self.plan_output, "plan_output")
        with (
            AmigoCloudHook(self.amigocloud_conn_id) as hook,
            SyncStore() as store,
            self.open_rows(self.source) as source,
        ):
            hook.need_project()
            settings["concurrency"] = self.concurrency or hook.max_concurrency
            sync = Sync(hook=hook, store=store, log=self.log, **settings)
            try:
                result = self._run(sync, source, context)
            finally:
                failed = store.count("failed")
                report_failed(_Failed(store), failed, self.plan_output or self.plan, self.log)
            result |= {"failed": failed, "requests": hook.requests}
        return add_to_outlet_events(context, self.outlets, result)

    def _run(self, sync: Sync, source: Any, context: Context) -> dict[str, Any]:
        from airflow_provider.core.sync.document import counts_in_words
        from airflow_provider.core.sync.summary import publish_plan

        head, rows = self._make_plan(sync, source)
        path = self.plan_output or self.plan
        publish_plan(self, context, path, head.fingerprint, sync.summary(head, rows))
        counts = sync.store.counts()
        self.log.info(
            "Planned: %s; %d rows unchanged, %d left out; compared with %d rows in state %s",
            counts_in_words(counts, "no changes"),
            head.unchanged,
            sync.store.count("failed"),
            head.compared,
            head.state,
        )
        unchanged = head.unchanged
        if self.mode == "apply":
            sync.apply(head, rows)
            counts, unchanged = sync.done(), unchanged + sync.done_before()
            sync.progress.finished()
        return {
            **counts,
            "deactivate": 0,
            "unchanged": unchanged,
            "failed": 0,
            "requests": 0,
            "plan": path,
            "state_before": head.state,
            "state": sync.state or head.state,
        }

    def _make_plan(self, sync: Sync, source: Any) -> tuple[PlanHead, int | None]:
        if self.plan:
            return sync.load_plan(self.plan), None
        if self.restore:
            return sync.make_restore_plan(self.restore), None
        return sync.make_plan(source)


class _Failed:
    """The rows that are left out, which can be iterated several times."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __iter__(self) -> Any:
        return self._store.failed()
