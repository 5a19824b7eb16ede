"""Operator that brings Things in step with rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider.core.asset_events import add_to_outlet_events
from airflow_provider.core.files.row_operator import RowOperator
from airflow_provider.core.pages.links import PlanLink
from airflow_provider.iotstudio import DEFAULT_CONN_ID

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider.iotstudio.sync.document import Plan
    from airflow_provider.iotstudio.sync.sync import Sync


class IoTStudioSyncThingsOperator(RowOperator):
    """Bring the Things of a space in step with a source: compare, plan, check limits, write the differences.

    Only fields that a row has are compared and written. A second run writes nothing. No Thing is created
    twice: after a request without a response, and in a retry, Things that exist already are recognised by
    their title. Run one sync at a time (``max_active_tis_per_dag=1``): titles that two of them have created
    at once fail the task. Values of properties are not written; see
    :class:`IoTStudioWritePropertiesOperator`.

    A row has any of ``uid`` (or ``thing_id``), ``title``, ``description``, ``categories``, ``model``,
    ``model_version``, ``@type``, ``@context``, ``properties``, ``actions``, ``events``, ``links``. In CSV,
    ``categories`` is a list of names (``Pumps, Cellar``) or JSON, ``model`` a name, ``Pump@2`` or JSON, and
    declarations are JSON. Empty fields of tables leave the Thing's field alone; null in a list or in a JSON
    file empties it, and so does ``[]`` or ``{}`` in a cell.

    Further arguments: ``columns``, ``ignore``, ``min_rows``, ``csv_delimiter``, ``encoding``,
    ``source_format``, ``hive`` and ``complete``, or ``sql``, ``sql_conn_id``, ``parameters`` and
    ``sql_timezone``, of :class:`RowOperator`.

    :param source: a list of rows, or the path of a JSON, JSON Lines, CSV or Parquet file, of a folder of such
        files (with ``/`` at its end), a wildcard or a manifest. None together with ``plan``.
    :param match_on: the match key: ``uid``, or ``title``, by which new Things are created, because the
        service chooses their uids. Its values must be unique. A row with a uid is matched by it. A title that
        a row would give to a second Thing, or nearly so (blanks, case, normal form), is a problem of the row.
    :param category: only Things of this category are compared and may be deleted; new ones are created in it.
    :param defaults: fields for rows that do not have them.
    :param mode: ``plan`` writes the plan only, ``apply`` applies it.
    :param missing: action for compared Things without a row: ``ignore`` or ``delete`` (with their history).
        Things without the match key are never deleted.
    :param max_changes: maximum number of writes; None for no limit.
    :param max_deletes: maximum number of deletions; 0 allows none.
    :param max_delete_ratio: maximum share of the compared Things that is deleted, 0 to 1.
    :param on_row_error: ``fail`` raises an error for invalid rows, before any write unless only the service
        can find them; ``skip`` leaves them out. Rows that are left out or rejected are in
        ``<plan_output>.failed.jsonl`` (or ``<plan>.failed.jsonl``) with the reasons; without these paths, all
        of them are in the log.
    :param plan_output: path of the plan's JSON. Beside it is a page with a table of all changes, with the
        suffix ``.html``, to which the task has a link. Together with ``plan`` it gets a copy.
    :param plan: path of a plan made earlier. Exactly this plan is applied. When a Thing that it is about has
        changed since, or it is for another server or space, ``PlanRejectedError`` is raised instead.
    :param verify: compare the descriptions that the service returns with those that were sent, and raise
        ``VerificationError`` when they differ.
    :param batch_size: maximum number of Things in a bulk update, 1 to 1000.
    :param concurrency: number of requests at the same time, 1 to 32.
    :param space: id of the space; by default the connection's.
    :param iotstudio_conn_id: id of the Airflow connection; its client needs the scopes ``thing`` and
        ``category``, and ``model`` for the names of models to be checked.
    :return: ``{"create": n, "update": n, "delete": n, "deactivate": 0, "unchanged": n, "failed": n,
        "requests": n, "plan": path or None}``.
    """

    template_fields: Sequence[str] = (
        "source",
        "match_on",
        "category",
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
        "batch_size",
        "concurrency",
        "space",
        "iotstudio_conn_id",
        *RowOperator.ROW_FIELDS,
        *RowOperator.SQL_FIELDS,
    )
    operator_extra_links = (PlanLink(),)

    def __init__(
        self,
        *,
        source: Sequence[Mapping[str, Any]] | str | None = None,
        match_on: str = "uid",
        category: str | None = None,
        defaults: Mapping[str, Any] | None = None,
        mode: str = "apply",
        missing: str = "ignore",
        max_changes: int | None = None,
        max_deletes: int = 0,
        max_delete_ratio: float = 0.1,
        on_row_error: str = "fail",
        plan_output: str | None = None,
        plan: str | None = None,
        verify: bool = True,
        batch_size: int = 100,
        concurrency: int = 8,
        space: str | None = None,
        iotstudio_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.match_on = match_on
        self.category = category
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
        self.batch_size = batch_size
        self.concurrency = concurrency
        self.space = space
        self.iotstudio_conn_id = iotstudio_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Make or load the plan, and apply it unless the mode is ``plan``."""
        from airflow_provider.core.files.storage import ensure_writable
        from airflow_provider.core.sync.failures import report_failed
        from airflow_provider.core.sync.summary import publish_plan
        from airflow_provider.iotstudio.hooks import IoTStudioHook
        from airflow_provider.iotstudio.sync.arguments import read_settings
        from airflow_provider.iotstudio.sync.sync import Sync

        settings = read_settings(self)
        if self.plan_output:
            ensure_writable(self.plan_output, "plan_output")
        is_retry = getattr(context.get("ti"), "try_number", 1) > 1
        with (
            IoTStudioHook(self.iotstudio_conn_id, space=self.space) as hook,
            self.open_rows(self.source) as source,
        ):
            sync = Sync(hook, self.log, is_retry=is_retry, **settings)
            plan, rows = (sync.load_plan(self.plan), None) if self.plan else sync.make_plan(source)
            path = self.plan_output or self.plan
            publish_plan(self, context, path, plan.fingerprint, sync.summary(plan, rows))
            self.log.info("Planned: %s", plan.summary())
            try:
                counts = self._counts(sync, plan, rows)
            finally:
                report_failed(plan.failed, len(plan.failed), path, self.log)
            result = {
                **counts,
                "deactivate": 0,
                "unchanged": plan.unchanged,
                "failed": len(plan.failed),
                "requests": hook.requests,
                "plan": path,
            }
        return add_to_outlet_events(context, self.outlets, result)

    def _counts(self, sync: Sync, plan: Plan, rows: int | None) -> dict[str, int]:
        if self.mode == "plan":
            return plan.counts()
        done = sync.apply(plan, rows).done
        return {operation: done[operation] for operation in plan.counts()}
