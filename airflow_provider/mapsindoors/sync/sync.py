"""A sync from beginning to end: read, match, plan, guard, apply, verify."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.files.reader import open_source
from airflow_provider.core.json_types import Json
from airflow_provider.errors import InputError, PlanRejectedError
from airflow_provider.mapsindoors.geodata.snapshot import World, read_undecoded
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.mapsindoors.links import page_path
from airflow_provider.mapsindoors.plan import restore
from airflow_provider.mapsindoors.plan.desired import Desired, match, read_desired, settle
from airflow_provider.mapsindoors.plan.document import Plan, compared, fingerprint, make_plan
from airflow_provider.mapsindoors.plan.guards import Guards, drift, refuse_altered
from airflow_provider.mapsindoors.plan.html import page
from airflow_provider.mapsindoors.sync.execute import Application
from airflow_provider.mapsindoors.sync.verify import verify

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


_LOGGED = 20
"""Rows left out that are logged, when all of them are in a file."""


@dataclass
class Sync:
    """One sync of a source with a solution; the operator's arguments, see there."""

    hook: MapsIndoorsHook
    log: Logger
    match_on: str = "externalId"
    scope: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    missing: str = "ignore"
    guards: Guards = field(default_factory=Guards)
    skip_bad: bool = False
    plan_output: str | None = None
    backup: str | None = None
    batch_size: int = 500
    verify: bool = True
    restore: bool = False
    _seen: World | None = None
    _loaded: str = ""

    def make(self, source: object) -> tuple[Plan, int]:
        """Compare a source with the world; gives the plan, and how many rows there were.

        :raises InputError: with everything that is wrong with the rows, unless bad rows are skipped.
        """
        dataset = self.hook.get_dataset()
        rows = read_desired(source, str(dataset.get("baseLanguage") or "en"), self.defaults)
        world = self._world(dataset, rows)
        (restore.match if self.restore else match)(rows, world)
        settle(rows, world)
        if not self.skip_bad:
            self._refuse(rows, world)
        plan = make_plan(rows, world, self.scope, self.missing)
        self._publish(plan, world)
        self._seen = world
        return plan, len(rows)

    def load(self, path: str) -> Plan:
        """Read a plan made earlier, for the world as it is.

        :raises PlanRejectedError: when the world changed since.
        """
        with open_source(path, "plan") as file:
            plan = Plan.read(file.read(), f"'{path}'")
        if self.scope and dict(self.scope) != plan.scope:
            raise PlanRejectedError(f"the plan '{path}' is for another scope, {plan.scope}")
        self.match_on, self.scope = plan.match_on, plan.scope
        dataset = self.hook.get_dataset()
        if dataset["id"] != plan.dataset:
            raise PlanRejectedError(f"the plan '{path}' is for another solution, {plan.dataset}")
        world = self._world(dataset, [])
        if fingerprint(world) != plan.fingerprint:
            raise PlanRejectedError(
                f"the map changed since the plan '{path}' was made: {drift(plan, world)}."
                " Nothing was written; make a new plan, and look at it"
            )
        refuse_altered(plan, world, f"'{path}'")
        plan.compared = len(compared(world))
        self._seen, self._loaded = world, path
        return plan

    def apply(self, plan: Plan, rows: int | None = None) -> Application:
        """Check the guards, keep a backup, write, and read back.

        :param rows: how many rows the source had; None when the plan comes from a file.
        """
        world, self._seen = self._seen, None  # It is large, and not needed while it is written.
        if world is None:
            raise ValueError("a plan is made or loaded first, and applied once")
        self.guards.check(plan, world, rows)
        application = Application(
            self.hook, plan, batch_size=self.batch_size, log=self.log, known=frozenset(world.by_id)
        )
        if not plan.changes:
            return application
        if self.backup:
            self._keep(self.backup, world)
        del world
        try:
            application.run(skip_bad=self.skip_bad)
        finally:
            refused = application.failed
            plan.failed += [{"row": one.row, "key": one.key, "reasons": [why]} for one, why in refused]
        if self.verify:
            verify(self.hook, application.written, plan.match_on)
        return application

    def report_failed(self, plan: Plan) -> None:
        """Say which rows were left out, and why: in a file beside the plan, or else all in the log."""
        import msgspec

        beside = self.plan_output or self._loaded
        path = f"{beside}.failed.jsonl" if beside and plan.failed else ""
        for one in plan.failed[: _LOGGED if path else None]:
            self.log.warning("Row %s (%s) left out: %s", one["row"], one["key"], "; ".join(one["reasons"]))
        if path:
            with AtomicFile(path) as out:
                out.write(msgspec.json.Encoder().encode_lines(plan.failed))
            self.log.warning("%d rows left out; all of them are in %s", len(plan.failed), path)

    def _world(self, dataset: Json, rows: list[Desired]) -> World:
        uses = {name for row in rows for name in ("displayTypeId", "categories") if row.item.get(name)}
        return World(
            dataset,
            read_undecoded(self.hook),
            display_types=self.hook.list_display_types() if "displayTypeId" in uses else (),
            categories=self.hook.list_categories() if "categories" in uses else (),
            match_on=self.match_on,
            scope=self.scope,
        )

    def _refuse(self, rows: list[Desired], world: World) -> None:
        problems = [f"row {row.number}: {said}" for row in rows for said in row.problems]
        for key, ids in world.duplicates().items():
            problems.append(f"{self.match_on} {key!r} is that of {len(ids)} objects: {', '.join(ids)}")
        if problems:
            raise InputError(problems, "source")

    def _publish(self, plan: Plan, world: World) -> None:
        if self.plan_output:
            with AtomicFile(self.plan_output) as out:
                out.write(plan.document())
            with AtomicFile(page_path(self.plan_output)) as out:
                out.write(page(plan, world).encode())
            self.log.info(
                "The plan is in %s; the task's link 'Plan', under Details, opens its page", self.plan_output
            )

    @staticmethod
    def _keep(path: str, world: World) -> None:
        import msgspec

        encode = msgspec.json.Encoder().encode
        with AtomicFile(path) as out:
            for one in world.by_id.values():
                out.write(encode(one) + b"\n")
