"""Operators: sync, update, create, delete and export the places of a map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider.core.arguments import check_choice, check_exactly_one, check_without
from airflow_provider.core.asset_events import add_to_outlet_events
from airflow_provider.core.files.row_operator import RowOperator
from airflow_provider.core.input.rendered import CheckedOperator
from airflow_provider.core.input.scalars import read_scalars
from airflow_provider.core.pages.links import PlanLink, ReportLink
from airflow_provider.mapsindoors import DEFAULT_CONN_ID
from airflow_provider.mapsindoors.arguments import (
    BATCH,
    DELETE_SCALARS,
    DISTANT,
    SYNC_SCALARS,
    Arguments,
    check_paths,
)
from airflow_provider.mapsindoors.catalogue.operator import (
    CatalogueSyncOperator,
    MapsIndoorsSyncCategoriesOperator,
    MapsIndoorsSyncDisplayTypesOperator,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider.mapsindoors.plan.document import Operation

__all__ = [
    "CatalogueSyncOperator",
    "GeodataRowOperator",
    "MapsIndoorsCreateGeodataOperator",
    "MapsIndoorsDeleteGeodataOperator",
    "MapsIndoorsExportGeodataOperator",
    "MapsIndoorsSyncCategoriesOperator",
    "MapsIndoorsSyncDisplayTypesOperator",
    "MapsIndoorsSyncGeodataOperator",
    "MapsIndoorsUpdateGeodataOperator",
]

OPERATIONS: tuple[Operation, ...] = ("create", "update", "delete", "deactivate")


class GeodataRowOperator(RowOperator):
    """Take rows of places, and send their objects in batches.

    :param batch_size: maximum number of objects a request. The service allows 10 requests a second and
        solution.
    :param mapsindoors_conn_id: id of the connection.
    """

    ui_color = "#d5ebe8"

    def __init__(
        self,
        *,
        batch_size: int = 500,
        mapsindoors_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.batch_size = batch_size
        self.mapsindoors_conn_id = mapsindoors_conn_id


class MapsIndoorsSyncGeodataOperator(GeodataRowOperator):
    """Sync the map with a source: compare, plan, check limits, write the differences and verify them.

    Only fields that a row has are compared and written, so that other fields can be edited in the CMS. A
    second run writes nothing. No object is created twice: when a request has no response, the map is read and
    objects that exist already are recognised by the match key.

    Further arguments: ``batch_size`` and ``mapsindoors_conn_id`` of :class:`GeodataRowOperator`; ``columns``,
    ``ignore``, ``min_rows``, ``csv_delimiter``, ``encoding``, ``source_format``, ``hive`` and ``complete``,
    or ``sql``, ``sql_conn_id``, ``parameters`` and ``sql_timezone``, of :class:`RowOperator`.

    :param source: a list of rows, or the path of a JSON, JSON Lines, GeoJSON, CSV or (Geo)Parquet file, of a
        folder of such files (with ``/`` at its end), a wildcard or a manifest; see
        :func:`airflow_provider.mapsindoors.geodata.rows.RowReader` for the columns. A row names its parent by
        ``parentId``, ``parentExternalId`` (of an object, or of another row), ``parentAdministrativeId``, or
        ``parentBuilding`` and ``parentFloor`` (the floor's index). Display types and categories are given by
        id, key or name. None together with ``plan``.
    :param match_on: the match key of rows and objects: ``externalId``, ``id``, ``administrativeid``, or a
        property such as ``roomno@generic``. Its values must be unique. A row with an ``id`` is matched by it.
    :param scope: ``{"base_types": [...], "root_element": id}`` limits the objects that are compared and that
        may be deleted.
    :param defaults: fields for rows that do not have them.
    :param mode: ``plan`` writes the plan only, ``apply`` applies it.
    :param missing: action for compared objects without a row: ``ignore``, ``deactivate`` (until the row is
        back) or ``delete``. Objects without the match key are never changed.
    :param max_changes: maximum number of writes; None for no limit.
    :param max_deletes: maximum number of deletions; 0 allows none.
    :param max_delete_ratio: maximum share of the compared objects that is deleted or deactivated, 0 to 1.
    :param on_row_error: ``fail`` raises an error for invalid rows, before any write unless only the service
        can find them; ``skip`` leaves them out. Rows that are left out or rejected are in
        ``<plan_output>.failed.jsonl`` (or ``<plan>.failed.jsonl``) with the reasons; without these paths, all
        of them are in the log.
    :param plan_output: path of the plan's JSON. Beside it is a page with the map and a table of all changes,
        with the suffix ``.html``. The task has a link to the page, which works when the API server can read
        the file (object storage, or the same machine).
    :param plan: path of a plan made earlier. Exactly this plan is applied. When the compared objects have
        changed since, ``PlanRejectedError`` is raised instead.
    :param verify: read the map after writing, and raise ``VerificationError`` when it does not show the
        written changes.
    :param backup: path of a JSON Lines file (``.jsonl``), to which the whole map is written before the first
        write.
    :param restore: the source is a backup, or an export of this package. Its objects are reset, additions to
        them are emptied, and deleted objects are recreated with new ids. ``missing`` is the action for
        objects that are new since. The match key is then the id.
    :param allow_distant: whether places may be at 0, 0, or more than 5 km away from their venue.
    :return: ``{"create": n, "update": n, "delete": n, "deactivate": n, "unchanged": n, "failed": n,
        "requests": n, "plan": path or None}``.
    """

    template_fields: Sequence[str] = (
        "mapsindoors_conn_id",
        "source",
        "match_on",
        "scope",
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
        "backup",
        "restore",
        "allow_distant",
        "batch_size",
        *RowOperator.ROW_FIELDS,
        *RowOperator.SQL_FIELDS,
    )
    operator_extra_links = (PlanLink(),)

    def __init__(
        self,
        *,
        source: list[dict[str, Any]] | str | None = None,
        match_on: str = "externalId",
        scope: dict[str, Any] | None = None,
        defaults: dict[str, Any] | None = None,
        mode: str = "apply",
        missing: str = "ignore",
        max_changes: int | None = None,
        max_deletes: int = 0,
        max_delete_ratio: float = 0.1,
        on_row_error: str = "fail",
        plan_output: str | None = None,
        plan: str | None = None,
        verify: bool = True,
        backup: str | None = None,
        restore: bool = False,
        allow_distant: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.match_on = match_on
        self.scope = scope
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
        self.backup = backup
        self.restore = restore
        self.allow_distant = allow_distant

    def execute(self, context: Context) -> dict[str, Any]:
        """Make or load the plan, and apply it unless the mode is ``plan``."""
        from airflow_provider.core.sync.summary import publish_plan
        from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
        from airflow_provider.mapsindoors.sync.sync import Sync

        check_paths(self, "plan_output", "backup", read="plan")
        settings = self._settings()
        with MapsIndoorsHook(self.mapsindoors_conn_id) as hook, self.open_rows(self.source) as source:
            sync = Sync(hook, self.log, **settings)
            rows = None
            if self.plan:
                plan = sync.load_plan(self.plan)
            else:
                plan, rows = sync.make_plan(source)
            path = self.plan_output or self.plan
            publish_plan(self, context, path, plan.fingerprint, sync.summary(plan, rows))
            self.log.info("Planned: %s", plan.summary())
            counts: dict[str, int] = {name: plan.count(name) for name in OPERATIONS}
            try:
                if self.mode == "apply":
                    done = sync.apply(plan, rows).done
                    counts = {name: done[name] for name in OPERATIONS}
            finally:
                sync.report_failed(plan)
            result = {
                **counts,
                "unchanged": plan.unchanged,
                "failed": len(plan.failed),
                "requests": hook.requests,
                "plan": path,
            }
            return add_to_outlet_events(context, self.outlets, result)

    def _settings(self) -> dict[str, Any]:
        """Read and validate the arguments, whose templates are rendered only now."""
        from airflow_provider.mapsindoors.plan.guards import Guards

        arguments = Arguments(read_scalars(self, SYNC_SCALARS))
        arguments.problems += check_choice("mode", self.mode, ("plan", "apply"))
        arguments.problems += check_choice("missing", self.missing, ("ignore", "deactivate", "delete"))
        arguments.problems += check_choice("on_row_error", self.on_row_error, ("fail", "skip"))
        if self.sql is None:
            arguments.problems += check_exactly_one({"source": self.source, "plan": self.plan})
        else:
            arguments.problems += check_without("sql", {"source": self.source, "plan": self.plan})
        if self.backup is not None and not self.backup.lower().endswith((".jsonl", ".ndjson")):
            arguments.problems.append(f"backup {self.backup!r} must end in .jsonl: it has a line an object")
        if self.mode == "plan" and not self.plan_output:
            arguments.problems.append("mode='plan' needs plan_output")
        settings = {
            "match_on": "id" if self.restore is True else arguments.match_on(self.match_on),
            "scope": arguments.scope(self.scope),
            "defaults": self.defaults,
            "missing": self.missing,
            "guards": Guards(self.max_changes, self.max_deletes, self.max_delete_ratio),
            "skip_bad": self.on_row_error == "skip",
            "plan_output": self.plan_output,
            "backup": self.backup,
            "batch_size": self.batch_size,
            "verify": self.verify,
            "restore": self.restore,
            "allow_distant": self.allow_distant,
        }
        return {**settings, "options": self.row_options(arguments.problems)}


class MapsIndoorsUpdateGeodataOperator(GeodataRowOperator):
    """Update places on the map: each row has the ``id`` of its object and the fields that change.

    All rows are validated before the first request; what only the map or its catalogues show, before the
    first update. When a batch fails, the error of the task names the rows that are updated and those that are
    not. Updates are idempotent, so the task can be retried.

    Further arguments: ``batch_size`` and ``mapsindoors_conn_id`` of :class:`GeodataRowOperator`; ``columns``,
    ``ignore``, ``min_rows``, ``csv_delimiter``, ``encoding``, ``source_format``, ``hive`` and ``complete``,
    or ``sql``, ``sql_conn_id``, ``parameters`` and ``sql_timezone``, of :class:`RowOperator`.

    :param geodata: rows, or the path of files with rows, as for a sync. Fields that a row does not have
        stay unchanged, and so do members of ``properties``, ``baseTypeProperties`` and ``displaySetting``:
        when a row has such a field, the map is read, and the other members are sent with it, because the
        vendor's docs do not say whether the service keeps them. A geometry without an anchor gets one.
    :param allow_distant: whether places may be at 0, 0, or more than 5 km away from their venue.
    :return: ``{"updated": n}``.
    """

    template_fields: Sequence[str] = (
        "mapsindoors_conn_id",
        "geodata",
        "allow_distant",
        "batch_size",
        *RowOperator.ROW_FIELDS,
        *RowOperator.SQL_FIELDS,
    )

    def __init__(
        self,
        *,
        geodata: list[dict[str, Any]] | str | None = None,
        allow_distant: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.geodata = geodata
        self.allow_distant = allow_distant

    def execute(self, context: Context) -> dict[str, int]:
        """Validate all objects, then send them in batches."""
        from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
        from airflow_provider.mapsindoors.sync.update import update_rows

        problems = read_scalars(self, {**BATCH, **DISTANT})
        problems += self.source_problems("geodata", self.geodata)
        options = self.row_options(problems)
        with (
            MapsIndoorsHook(self.mapsindoors_conn_id) as hook,
            self.open_rows(self.geodata) as rows,
        ):
            updated = update_rows(
                hook,
                rows,
                self.batch_size,
                self.log,
                options=options,
                allow_distant=self.allow_distant,
            )
        return add_to_outlet_events(context, self.outlets, {"updated": updated})


class MapsIndoorsCreateGeodataOperator(GeodataRowOperator):
    """Create the places that the map does not have yet; existing places stay unchanged.

    No place is created twice, neither by a retry of the task nor after a request without a response.

    Further arguments: ``batch_size`` and ``mapsindoors_conn_id`` of :class:`GeodataRowOperator`; ``columns``,
    ``ignore``, ``min_rows``, ``csv_delimiter``, ``encoding``, ``source_format``, ``hive`` and ``complete``,
    or ``sql``, ``sql_conn_id``, ``parameters`` and ``sql_timezone``, of :class:`RowOperator`.

    :param geodata: rows, or the path of files with rows, as for a sync; each has the match key.
    :param match_on: the match key, by which existing places are recognised.
    :param defaults: fields for rows that do not have them.
    :param allow_distant: whether places may be at 0, 0, or more than 5 km away from their venue.
    :return: ``{"created": n, "existing": n}``.
    """

    template_fields: Sequence[str] = (
        "mapsindoors_conn_id",
        "geodata",
        "match_on",
        "defaults",
        "allow_distant",
        "batch_size",
        *RowOperator.ROW_FIELDS,
        *RowOperator.SQL_FIELDS,
    )

    def __init__(
        self,
        *,
        geodata: list[dict[str, Any]] | str | None = None,
        match_on: str = "externalId",
        defaults: dict[str, Any] | None = None,
        allow_distant: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.geodata = geodata
        self.match_on = match_on
        self.defaults = defaults
        self.allow_distant = allow_distant

    def execute(self, context: Context) -> dict[str, int]:
        """Compare the rows with the map, and create the new places."""
        from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
        from airflow_provider.mapsindoors.sync.sync import Sync

        arguments = Arguments(read_scalars(self, {**BATCH, **DISTANT}))
        settings: dict[str, Any] = {
            "match_on": arguments.match_on(self.match_on),
            "batch_size": self.batch_size,
            "allow_distant": self.allow_distant,
        }
        arguments.problems += self.source_problems("geodata", self.geodata)
        options = self.row_options(arguments.problems)
        with MapsIndoorsHook(self.mapsindoors_conn_id) as hook, self.open_rows(self.geodata) as source:
            sync = Sync(
                hook, self.log, defaults=self.defaults, subject="geodata", options=options, **settings
            )
            plan, rows = sync.make_plan(source)
            plan.changes = [change for change in plan.changes if change.operation == "create"]
            created = sync.apply(plan, rows).done["create"]
        return add_to_outlet_events(context, self.outlets, {"created": created, "existing": rows - created})


class MapsIndoorsDeleteGeodataOperator(GeodataRowOperator):
    """Delete places from the map by their ids.

    Ids that do not exist are ignored. The vendor's docs do not say whether the service deletes the children
    of a deleted object or leaves them without a parent. Therefore an object is rejected when ``ids`` does
    not have all of its children.

    Further arguments: ``batch_size`` and ``mapsindoors_conn_id`` of :class:`GeodataRowOperator`; ``columns``,
    ``ignore``, ``min_rows``, ``csv_delimiter``, ``encoding``, ``source_format``, ``hive`` and ``complete``,
    or ``sql``, ``sql_conn_id``, ``parameters`` and ``sql_timezone``, of :class:`RowOperator`.

    :param ids: the ids, or the path of a file of objects with an ``id``, a folder, a wildcard or a manifest.
    :param max_deletes: maximum number of deletions.
    :param columns: names of fields by names in the file: ``{"map_id": "id"}``.
    :return: ``{"deleted": n, "gone": n}``: the number of deleted objects, and of ids that did not exist.
    """

    template_fields: Sequence[str] = (
        "mapsindoors_conn_id",
        "ids",
        "max_deletes",
        "batch_size",
        *RowOperator.ROW_FIELDS,
        *RowOperator.SQL_FIELDS,
    )

    def __init__(
        self,
        *,
        ids: list[str] | str | None = None,
        max_deletes: int = 100,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.ids = ids
        self.max_deletes = max_deletes

    def execute(self, context: Context) -> dict[str, int]:
        """Check the children and the limit, and delete the objects, children first."""
        from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
        from airflow_provider.mapsindoors.sync.delete import delete, read_ids

        problems = read_scalars(self, DELETE_SCALARS)
        problems += self.source_problems("ids", self.ids)
        options = self.row_options(problems)
        with self.open_rows(self.ids) as rows:
            ids = read_ids(rows, options)
        with MapsIndoorsHook(self.mapsindoors_conn_id) as hook:
            done = delete(hook, ids, self.max_deletes, self.batch_size, self.log)
        return add_to_outlet_events(context, self.outlets, done)


class MapsIndoorsExportGeodataOperator(CheckedOperator):
    """Write a solution's geodata to a file: for a warehouse, for a map tool, or as a backup.

    The file gets its name when it is complete. The sync reads all formats.

    :param output_path: any path or URL that ``ObjectStoragePath`` takes. The suffix chooses the format:
        ``.jsonl`` (objects as the service sends them) and ``.geojson``, both also with ``.gz``;
        ``.geoparquet`` and ``.parquet`` (nested fields as JSON text).
    :param base_types: the base types to export (``room``, ``poi``, ...); None for all, an empty list for
        none.
    :param root_element: id of the object to export with its descendants; None for the whole solution.
    :param report: whether to write a page about the objects beside the file: counts, nulls, a map, and what
        changed since the last export, see ``docs/reports.md``.
    :param mapsindoors_conn_id: id of the connection.
    :return: the manifest: ``{"uri", "format", "rows", "bytes", "files", "columns", "requests", "seconds"}``,
        and ``report``, the path of the page.
    """

    template_fields: Sequence[str] = (
        "mapsindoors_conn_id",
        "output_path",
        "base_types",
        "root_element",
        "report",
    )
    operator_extra_links = (ReportLink(),)
    ui_color = "#d5ebe8"

    def __init__(
        self,
        *,
        output_path: str,
        base_types: list[str] | str | None = None,
        root_element: str | None = None,
        report: bool | str = False,
        mapsindoors_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path
        self.report = report
        self.base_types = base_types
        self.root_element = root_element
        self.mapsindoors_conn_id = mapsindoors_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Read the geodata with one request and write the file."""
        from airflow_provider.core.files.storage import ensure_writable
        from airflow_provider.core.input.conditions import raise_problems
        from airflow_provider.core.input.scalars import read_scalars
        from airflow_provider.core.reports.report import REPORT_SCALAR, Subject, open_report
        from airflow_provider.core.reports.rows import Focus
        from airflow_provider.mapsindoors.geodata.export import choose_format, export
        from airflow_provider.mapsindoors.hooks import MapsIndoorsHook

        arguments = Arguments()
        base_types = arguments.base_types(self.base_types)
        root_element = arguments.root_element(self.root_element)
        arguments.raise_if_any()
        raise_problems(read_scalars(self, REPORT_SCALAR))
        choose_format(self.output_path)
        ensure_writable(self.output_path)
        subject = Subject(
            "Export of geodata",
            f"MapsIndoors, connection {self.mapsindoors_conn_id}",
            Focus(types=("baseType",), geometries=("geometry",)),
        )
        report = open_report(self, context, self.output_path, subject)
        with MapsIndoorsHook(self.mapsindoors_conn_id) as hook:
            made = export(hook, self.output_path, base_types, root_element, report)
        return add_to_outlet_events(context, self.outlets, made)
