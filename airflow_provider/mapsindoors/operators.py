"""The task that makes the map as a source wants it; the other tasks are in modules of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider.core.asset_events import tell
from airflow_provider.errors import InputError
from airflow_provider.mapsindoors.arguments import whole_number
from airflow_provider.mapsindoors.create_operator import MapsIndoorsCreateGeodataOperator
from airflow_provider.mapsindoors.delete_operator import MapsIndoorsDeleteGeodataOperator
from airflow_provider.mapsindoors.export_operator import MapsIndoorsExportGeodataOperator
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.mapsindoors.links import MapsIndoorsPlanLink, note_page
from airflow_provider.mapsindoors.update_operator import MapsIndoorsUpdateGeodataOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider.mapsindoors.plan import Operation
    from airflow_provider.mapsindoors.sync import Sync

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
        :func:`airflow_provider.mapsindoors.flat.from_flat` for the columns. A row names its parent by
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
            return tell(context, self.outlets, result)

    def _check(self) -> None:
        """Refuse arguments that cannot be meant; here, because templates are rendered only now."""
        problems = [
            f"{name} must be one of {', '.join(allowed)}, not {value!r}"
            for name, value, allowed in (
                ("mode", self.mode, ("plan", "apply")),
                ("missing", self.missing, ("ignore", "deactivate", "delete")),
                ("on_row_error", self.on_row_error, ("fail", "skip")),
            )
            if value not in allowed
        ]
        if (self.source is None) == (self.plan is None):
            problems.append("exactly one of source and plan must be given")
        if self.mode == "plan" and not self.plan_output:
            problems.append("mode='plan' needs plan_output")
        if unknown := set(self.scope or {}) - {"base_types", "root_element"}:
            problems.append(f"scope has unknown keys: {', '.join(sorted(unknown))}")
        ratio: Any = self.max_delete_ratio
        if not isinstance(ratio, (int, float)) or not 0 <= ratio <= 1:
            problems.append(f"max_delete_ratio must be from 0 to 1, not {ratio!r}")
        if problems:
            raise InputError(problems, "the arguments")

    def _sync(self, hook: MapsIndoorsHook) -> Sync:
        from airflow_provider.mapsindoors.guards import Guards
        from airflow_provider.mapsindoors.sync import Sync

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
