"""Operators that bring display types and categories in step with rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider.core.asset_events import add_to_outlet_events
from airflow_provider.core.files.row_operator import RowOperator
from airflow_provider.core.pages.links import PlanLink
from airflow_provider.mapsindoors import DEFAULT_CONN_ID

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider.mapsindoors.catalogue.sync import CatalogueSync


class CatalogueSyncOperator(RowOperator):
    """Bring the display types or the categories of a solution in step with a source.

    Compare, plan, check limits, write the differences and verify them. Only fields that a row has are
    compared and written, so that the others can be edited in the CMS; what has no row stays. A second run
    writes nothing. Nothing is created twice: after a request without a response, and in a retry, what exists
    already is recognised by its name or key.

    :param source: a list of rows, or the path of a JSON, JSON Lines, CSV or Parquet file, of a folder of such
        files (with ``/`` at its end), a wildcard or a manifest. None together with ``plan``.
    :param defaults: fields for rows that do not have them.
    :param mode: ``plan`` writes the plan only, ``apply`` applies it.
    :param missing: action for what has no row: ``ignore``, and nothing else. The API does not tell whether an
        app's configuration uses a display type or a category, so they are deleted in the CMS.
    :param max_changes: maximum number of writes; None for no limit.
    :param on_row_error: ``fail`` raises an error for invalid rows, before any write unless only the service
        can find them; ``skip`` leaves them out. Rows that are left out or rejected are in
        ``<plan_output>.failed.jsonl`` (or ``<plan>.failed.jsonl``) with the reasons; without these paths, all
        of them are in the log.
    :param plan_output: path of the plan's JSON. Beside it is a page with a table of all changes, with the
        suffix ``.html``, to which the task has a link. Together with ``plan`` it gets a copy.
    :param plan: path of a plan made earlier. Exactly this plan is applied. When what it is about has changed
        since, or it is for another solution, ``PlanRejectedError`` is raised instead.
    :param verify: read the result after writing, and raise ``VerificationError`` when it does not show the
        written changes.
    :param batch_size: maximum number of display types or categories a request. The service allows 10 requests
        a second and solution.
    :param mapsindoors_conn_id: id of the connection; its user is an administrator of the solution.
    :return: ``{"create": n, "update": n, "delete": 0, "deactivate": 0, "unchanged": n, "failed": n,
        "requests": n, "plan": path or None}``.
    """

    kind: ClassVar[str]
    """What is synced, see :data:`airflow_provider.mapsindoors.catalogue.kinds.KINDS`."""

    template_fields: Sequence[str] = (
        "mapsindoors_conn_id",
        "source",
        "defaults",
        "mode",
        "missing",
        "max_changes",
        "on_row_error",
        "plan_output",
        "plan",
        "verify",
        "batch_size",
        *RowOperator.ROW_FIELDS,
        *RowOperator.SQL_FIELDS,
    )
    operator_extra_links = (PlanLink(),)
    ui_color = "#d5ebe8"

    def __init__(
        self,
        *,
        source: Sequence[Mapping[str, Any]] | str | None = None,
        defaults: Mapping[str, Any] | None = None,
        mode: str = "apply",
        missing: str = "ignore",
        max_changes: int | None = None,
        on_row_error: str = "fail",
        plan_output: str | None = None,
        plan: str | None = None,
        verify: bool = True,
        batch_size: int = 100,
        mapsindoors_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.defaults = defaults
        self.mode = mode
        self.missing = missing
        self.max_changes = max_changes
        self.on_row_error = on_row_error
        self.plan_output = plan_output
        self.plan = plan
        self.verify = verify
        self.batch_size = batch_size
        self.mapsindoors_conn_id = mapsindoors_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Make or load the plan, and apply it unless the mode is ``plan``."""
        from airflow_provider.mapsindoors.catalogue.arguments import read_settings
        from airflow_provider.mapsindoors.catalogue.kinds import KINDS
        from airflow_provider.mapsindoors.catalogue.sync import CatalogueSync
        from airflow_provider.mapsindoors.hooks import MapsIndoorsHook

        settings = read_settings(self)
        with MapsIndoorsHook(self.mapsindoors_conn_id) as hook, self.open_rows(self.source) as source:
            sync = CatalogueSync(hook, self.log, KINDS[self.kind], **settings)
            result = self._run(sync, source, context)
            result |= {"requests": hook.requests, "plan": self.plan_output or self.plan}
        return add_to_outlet_events(context, self.outlets, result)

    def _run(self, sync: CatalogueSync, source: object, context: Context) -> dict[str, Any]:
        from airflow_provider.core.sync.failures import report_failed
        from airflow_provider.core.sync.summary import publish_plan

        plan = sync.load_plan(self.plan) if self.plan else sync.make_plan(source)
        path = self.plan_output or self.plan
        publish_plan(self, context, path, plan.fingerprint, sync.summary(plan))
        self.log.info("Planned: %s", plan.summary())
        counts: Mapping[str, int] = plan.counts()
        try:
            if self.mode == "apply":
                counts = sync.apply(plan, loaded=bool(self.plan)).done
        finally:
            report_failed(plan.failed, len(plan.failed), path, self.log)
        written = {name: counts.get(name, 0) for name in ("create", "update", "delete", "deactivate")}
        return {**written, "unchanged": plan.unchanged, "failed": len(plan.failed)}


class MapsIndoorsSyncDisplayTypesOperator(CatalogueSyncOperator):
    """Bring the display types of a solution (in the CMS: location types) in step with a source.

    A row has ``name``, by which it is matched and by which rows of geodata name the display type, and any of
    ``name@en``, ``description@da``, ``anything@generic``, ``aliases``, ``displayRules``,
    ``propertyTemplates``, and of the display rule ``default`` ``zoomFrom``, ``zoomTo``, ``labelZoomFrom``,
    ``labelZoomTo``, ``labelMaxWidth``, ``visible``, ``iconVisible``, ``labelVisible`` and ``iconUrl``. A new
    display type needs a ``name@<language>`` in every language of the solution. A row with an ``id`` is
    matched by it, and may so change the name.

    Further arguments: those of :class:`CatalogueSyncOperator`; ``columns``, ``ignore``, ``min_rows``,
    ``csv_delimiter``, ``encoding``, ``source_format``, ``hive`` and ``complete``, or ``sql``,
    ``sql_conn_id``, ``parameters`` and ``sql_timezone``, of :class:`RowOperator`.
    """

    kind = "display types"


class MapsIndoorsSyncCategoriesOperator(CatalogueSyncOperator):
    """Bring the categories of a solution in step with a source.

    A row has ``key``, by which it is matched and by which rows of geodata name the category, and any of
    ``name@en`` (or ``name``, an object by language, or the text in the base language), ``description@da``
    and ``anything@generic``. A new category needs a name in every language of the solution. A row with an
    ``id`` is matched by it, and may so change the key. Subcategories stay as they are: the API's
    documentation does not show how a category names its parent.

    Further arguments: those of :class:`CatalogueSyncOperator`; ``columns``, ``ignore``, ``min_rows``,
    ``csv_delimiter``, ``encoding``, ``source_format``, ``hive`` and ``complete``, or ``sql``,
    ``sql_conn_id``, ``parameters`` and ``sql_timezone``, of :class:`RowOperator`.
    """

    kind = "categories"
