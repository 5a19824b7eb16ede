"""The task that makes the map as a source wants it; the other tasks are in modules of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider.core.arguments import (
    check_choice,
    check_exactly_one,
    check_range,
    raise_problems,
    whole_number,
)
from airflow_provider.core.asset_events import add_to_outlet_events
from airflow_provider.errors import InputError
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.mapsindoors.links import MapsIndoorsPlanLink, note_page

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider.mapsindoors.plan.document import Operation
    from airflow_provider.mapsindoors.sync.sync import Sync


__all__ = [
    "MapsIndoorsCreateGeodataOperator",
    "MapsIndoorsDeleteGeodataOperator",
    "MapsIndoorsExportGeodataOperator",
    "MapsIndoorsSyncGeodataOperator",
    "MapsIndoorsUpdateGeodataOperator",
]

OPERATIONS: tuple[Operation, ...] = ("create", "update", "delete", "deactivate")


class MapsIndoorsSyncGeodataOperator(BaseOperator):
    """Make the map as a source wants it: compare, plan, check limits, write the differences, read back.

    Only fields that a row has are compared and written, so what colleagues keep up in the CMS stays. A second
    run writes nothing. Nothing is created twice: when the answer to a request is lost, the map is read and
    what exists already is recognised by the match key.

    :param source: a list of rows, or the path of a JSON, JSON Lines, GeoJSON, CSV or (Geo)Parquet file; see
        :func:`airflow_provider.mapsindoors.geodata.rows.from_flat` for the columns. A row names its parent by
        ``parentId``, ``parentExternalId`` (of an object, or of another row), ``parentAdministrativeId``, or
        ``parentBuilding`` and ``parentFloor`` (the floor's index). Display types and categories are given by
        id, key or name. None together with ``plan``.
    :param match_on: by what rows and objects are matched: ``externalId``, ``id``, ``administrativeid``, or a
        property such as ``roomno@generic``. Its values must be unique. A row with an ``id`` goes by that.
    :param scope: ``{"base_types": [...], "root_element": id}``: what is compared, and what may be deleted.
    :param defaults: fields for rows that do not have them.
    :param mode: ``plan`` writes the plan only, ``apply`` applies it.
    :param missing: what happens to compared objects that no row is about: ``ignore``, ``deactivate`` (they
        come back with their row) or ``delete``. Objects without the match key are never touched.
    :param max_changes: refuse to write more than this; None for any number.
    :param max_deletes: refuse to delete more than this; 0 allows none.
    :param max_delete_ratio: refuse to delete or deactivate more than this part of what is compared, 0 to 1.
    :param on_row_error: ``fail`` stops at bad rows, before any write where they can be known; ``skip``
        leaves them out. Rows that are left out or refused are in ``<plan_output>.failed.jsonl`` (or
        ``<plan>.failed.jsonl``) with the reasons; without these paths, the log has all of them.
    :param plan_output: where the plan is written, as JSON; beside it a page with the map and a table of all
        changes, ending in ``.html``. The task has a link to it, which works when the API server can read the
        file (object storage, or the same machine).
    :param plan: path of a plan made earlier. Exactly that is applied; when what was compared has changed
        since, ``PlanRejectedError`` is raised instead.
    :param verify: read the map again after writing and raise ``VerificationError`` where it is not as
        written.
    :param backup: where the whole map is written before the first write, as JSON Lines.
    :param restore: the source is a backup, or an export of this package: its objects are made as they were,
        what was added to them is emptied, and what was deleted is made again, with new ids. ``missing`` says
        what happens to objects that are new since. ``match_on`` is then the id.
    :param batch_size: objects a request.
    :param mapsindoors_conn_id: the connection.
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
        "plan_output",
        "plan",
        "backup",
    )
    operator_extra_links = (MapsIndoorsPlanLink(),)
    ui_color = "#d5ebe8"

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
        batch_size: int = 500,
        mapsindoors_conn_id: str = MapsIndoorsHook.default_conn_name,
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
        self.batch_size = batch_size
        self.mapsindoors_conn_id = mapsindoors_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Plan, and apply the plan unless only a plan is wanted."""
        self._check()
        with MapsIndoorsHook(self.mapsindoors_conn_id) as hook:
            sync = self._sync(hook)
            rows = None
            if self.plan:
                plan = sync.load(self.plan)
            else:
                plan, rows = sync.make(self.source)
            if path := self.plan_output or self.plan:
                note_page(self, context, path, plan.fingerprint)
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
                "plan": self.plan_output or self.plan,
            }
            return add_to_outlet_events(context, self.outlets, result)

    def _check(self) -> None:
        """Refuse arguments that cannot be meant; here, because templates are rendered only now."""
        problems = [
            *check_choice("mode", self.mode, ("plan", "apply")),
            *check_choice("missing", self.missing, ("ignore", "deactivate", "delete")),
            *check_choice("on_row_error", self.on_row_error, ("fail", "skip")),
            *check_exactly_one({"source": self.source, "plan": self.plan}),
            *check_range("max_delete_ratio", self.max_delete_ratio, 0, 1),
        ]
        if self.mode == "plan" and not self.plan_output:
            problems.append("mode='plan' needs plan_output")
        if unknown := set(self.scope or {}) - {"base_types", "root_element"}:
            problems.append(f"scope has unknown keys: {', '.join(sorted(unknown))}")
        raise_problems(problems)

    def _sync(self, hook: MapsIndoorsHook) -> Sync:
        from airflow_provider.mapsindoors.plan.guards import Guards
        from airflow_provider.mapsindoors.sync.sync import Sync

        changes = None if self.max_changes is None else whole_number(self.max_changes, "max_changes")
        deletes = whole_number(self.max_deletes, "max_deletes")
        return Sync(
            hook,
            self.log,
            match_on="id" if self.restore else self.match_on,
            scope=self.scope or {},
            defaults=self.defaults or {},
            missing=self.missing,
            guards=Guards(changes, deletes, self.max_delete_ratio),
            skip_bad=self.on_row_error == "skip",
            plan_output=self.plan_output,
            backup=self.backup,
            batch_size=whole_number(self.batch_size, "batch_size", 1),
            verify=self.verify,
            restore=self.restore,
        )


class MapsIndoorsUpdateGeodataOperator(BaseOperator):
    """Update places on the map: each object has its ``id`` and the fields that change.

    All objects are checked before the first request. A batch that fails fails the task, with an error that
    says which rows are updated and which are not; updating once more does no harm.

    :param geodata: a list of objects, or the path of a JSON, JSON Lines or GeoJSON file, read by
        :func:`~airflow_provider.mapsindoors.geodata.rows.read_updates`. Fields that an object does not have
        stay as they are. Whether members of ``properties`` and ``baseTypeProperties`` that are missing stay
        too is not documented: send these whole.
    :param batch_size: objects a request. Requests count against the solution's 10 a second.
    :param mapsindoors_conn_id: the connection.
    :return: ``{"updated": n}``.
    """

    template_fields: Sequence[str] = ("mapsindoors_conn_id", "geodata", "batch_size")
    ui_color = "#d5ebe8"

    def __init__(
        self,
        *,
        geodata: list[dict[str, Any]] | str,
        batch_size: int = 500,
        mapsindoors_conn_id: str = MapsIndoorsHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.geodata = geodata
        self.batch_size = batch_size
        self.mapsindoors_conn_id = mapsindoors_conn_id

    def execute(self, context: Context) -> dict[str, int]:
        """Check all objects, then send them batch by batch."""
        from airflow_provider.mapsindoors.geodata.update import update_rows

        size = whole_number(self.batch_size, "batch_size", 1)
        with MapsIndoorsHook(self.mapsindoors_conn_id) as hook:
            updated = update_rows(hook, self.geodata, size, self.log)
        return add_to_outlet_events(context, self.outlets, {"updated": updated})


class MapsIndoorsCreateGeodataOperator(BaseOperator):
    """Create places on the map that are not there yet; those that are, are left as they are.

    So a task that is tried again creates nothing twice, nor does one whose answer was lost.

    :param geodata: rows, or the path of a file with rows, as for a sync; each has the match key.
    :param match_on: by what it is seen that a place is there already.
    :param defaults: fields for rows that do not have them.
    :param batch_size: objects a request.
    :param mapsindoors_conn_id: the connection.
    :return: ``{"created": n, "existing": n}``.
    """

    template_fields: Sequence[str] = ("mapsindoors_conn_id", "geodata", "match_on", "defaults")
    ui_color = "#d5ebe8"

    def __init__(
        self,
        *,
        geodata: list[dict[str, Any]] | str,
        match_on: str = "externalId",
        defaults: dict[str, Any] | None = None,
        batch_size: int = 500,
        mapsindoors_conn_id: str = MapsIndoorsHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.geodata = geodata
        self.match_on = match_on
        self.defaults = defaults
        self.batch_size = batch_size
        self.mapsindoors_conn_id = mapsindoors_conn_id

    def execute(self, context: Context) -> dict[str, int]:
        """Find out what is missing on the map, and create that."""
        from airflow_provider.mapsindoors.sync.sync import Sync

        size = whole_number(self.batch_size, "batch_size", 1)
        with MapsIndoorsHook(self.mapsindoors_conn_id) as hook:
            sync = Sync(hook, self.log, match_on=self.match_on, defaults=self.defaults or {}, batch_size=size)
            plan, rows = sync.make(self.geodata)
            plan.changes = [one for one in plan.changes if one.operation == "create"]
            created = sync.apply(plan, rows).done["create"]
        return add_to_outlet_events(context, self.outlets, {"created": created, "existing": rows - created})


class MapsIndoorsDeleteGeodataOperator(BaseOperator):
    """Delete places from the map by their ids.

    Ids that are gone already do no harm. What is deleted takes along, or leaves without a parent, what is
    below it (the docs do not say which), so an object is refused whose children are not in the list.

    :param ids: the ids, or the path of a JSON or JSON Lines file of objects with an ``id``.
    :param max_deletes: refuse to delete more than this.
    :param batch_size: objects a request.
    :param mapsindoors_conn_id: the connection.
    :return: ``{"deleted": n, "gone": n}``: how many were deleted, and how many did not exist.
    """

    template_fields: Sequence[str] = ("mapsindoors_conn_id", "ids", "max_deletes")
    ui_color = "#d5ebe8"

    def __init__(
        self,
        *,
        ids: list[str] | str,
        max_deletes: int = 100,
        batch_size: int = 500,
        mapsindoors_conn_id: str = MapsIndoorsHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.ids = ids
        self.max_deletes = max_deletes
        self.batch_size = batch_size
        self.mapsindoors_conn_id = mapsindoors_conn_id

    def execute(self, context: Context) -> dict[str, int]:
        """Look at what would go, and delete it from the leaves up."""
        from airflow_provider.mapsindoors.sync.delete import delete, read_ids

        most = whole_number(self.max_deletes, "max_deletes")
        size = whole_number(self.batch_size, "batch_size", 1)
        ids = read_ids(self.ids)
        with MapsIndoorsHook(self.mapsindoors_conn_id) as hook:
            done = delete(hook, ids, most, size, self.log)
        return add_to_outlet_events(context, self.outlets, done)


class MapsIndoorsExportGeodataOperator(BaseOperator):
    """Write a solution's geodata to a file: for a warehouse, for a map tool, or as a backup.

    The file appears when it is whole. A GeoJSON or GeoParquet file can be read back by the sync.

    :param output_path: where, anything ``ObjectStoragePath`` takes. The ending says the format: ``.jsonl``
        (objects as the service sends them) and ``.geojson``, both also with ``.gz``; ``.geoparquet`` and
        ``.parquet`` (nested fields as JSON text).
    :param base_types: only these types (``room``, ``poi``, ...).
    :param root_element: only this object and what is below it.
    :param mapsindoors_conn_id: the connection.
    :return: the manifest: ``{"uri", "format", "rows", "bytes", "files", "columns", "requests", "seconds"}``.
    """

    template_fields: Sequence[str] = ("mapsindoors_conn_id", "output_path", "base_types", "root_element")
    ui_color = "#d5ebe8"

    def __init__(
        self,
        *,
        output_path: str,
        base_types: list[str] | str | None = None,
        root_element: str | None = None,
        mapsindoors_conn_id: str = MapsIndoorsHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path
        self.base_types = base_types
        self.root_element = root_element
        self.mapsindoors_conn_id = mapsindoors_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Read everything with one request and write the file."""
        from airflow_provider.mapsindoors.geodata.export import choose_format, export
        from airflow_provider.mapsindoors.geodata.validation import BASE_TYPES

        wanted = {self.base_types} if isinstance(self.base_types, str) else set(self.base_types or ())
        if unknown := wanted - set(BASE_TYPES):
            raise InputError(f"base_types has unknown types: {', '.join(sorted(unknown))}")
        choose_format(self.output_path)
        with MapsIndoorsHook(self.mapsindoors_conn_id) as hook:
            made = export(hook, self.output_path, wanted, self.root_element)
        return add_to_outlet_events(context, self.outlets, made)
