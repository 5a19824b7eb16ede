"""Fuzz targets of documents: plans, manifests, results of tasks, pages of reports."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from airflow_provider.amigocloud.sync import document as dataset_plan
from airflow_provider.amigocloud.sync.store import SyncStore
from airflow_provider.conformance.created import CreatedObjects, UnusableFileError
from airflow_provider.core.files.listing import find_files
from airflow_provider.core.reports.changes import changes
from airflow_provider.core.reports.merge import merge_tables
from airflow_provider.core.reports.profile import Profile, from_script, to_script
from airflow_provider.errors import PlanRejectedError, ProviderError
from airflow_provider.iotstudio.sync import page as things_page
from airflow_provider.iotstudio.sync.document import Plan as ThingsPlan
from airflow_provider.leanix.as_code import page as configuration_page
from airflow_provider.leanix.as_code.plan import Plan as ConfigurationPlan
from airflow_provider.leanix.tables import write as tables
from airflow_provider.mapsindoors.catalogue import page as catalogue_page
from airflow_provider.mapsindoors.catalogue.document import Plan as CataloguePlan
from airflow_provider.mapsindoors.plan.document import Plan as MapPlan
from airflow_provider.mapsindoors.plan.document import write_order
from airflow_provider.warehouse import manifest
from airflow_provider.warehouse.results import problems_together, read_results
from tests.fuzz.mutations import mutate_json
from tests.fuzz.target import Target


def _signed(kind: Any, page: Callable[[Any], object], data: bytes) -> None:
    """Read a plan as it is, and as one whose fingerprint was made for it."""
    try:
        page(kind.from_json(data, "'plan.json'"))
    except PlanRejectedError:
        _read_resigned(kind, page, data)
        raise


def _read_resigned(kind: Any, page: Callable[[Any], object], data: bytes) -> None:
    import msgspec

    given = msgspec.json.decode(data)
    given.pop("counts", None)
    given.pop("version", None)
    plan = msgspec.convert(given, kind)
    plan.sign()
    page(kind.from_json(plan.to_json(), "'plan.json'"))


def _map_plan(data: bytes) -> None:
    plan = MapPlan.from_json(data, "'plan.json'")
    plan.summary()
    plan.counts()
    sorted(plan.changes, key=write_order)
    MapPlan.from_json(plan.to_json(), "'plan.json'").reject_other_counts(data, "'plan.json'")


def _catalogue_page(plan: CataloguePlan) -> None:
    plan.summary()
    b"".join(catalogue_page.page(plan, "Campus"))
    catalogue_page.summarize(plan, "Campus", []).to_markdown()


def _things_page(plan: ThingsPlan) -> None:
    plan.summary()
    [change.body for change in plan.changes]
    b"".join(things_page.page(plan))
    things_page.summarize(plan, []).to_markdown()


def _configuration_page(plan: ConfigurationPlan) -> None:
    _tolerant(lambda: plan.configurations(None))
    b"".join(configuration_page.page(plan))
    configuration_page.summarize(plan).to_markdown()


def _dataset_plan(data: bytes) -> None:
    with SyncStore() as store:
        dataset_plan.load(data, "'plan.json'", store)
        for _, change in store.changes():
            [(old, new) for old, new in change.fields.values()]
        list(store.failed())


def _manifest(data: bytes) -> None:
    """Read a manifest as the source of rows, as that of an export, and as that of earlier tables."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        path = Path(folder, "manifest.json")
        path.write_bytes(data)
        Path(folder, "part-1.csv").write_text("externalId\na\n")
        for step in (
            lambda: tables.ensure_folder(f"{folder}/"),
            lambda: tables._earlier_files(f"{folder}/"),
            lambda: manifest.read_manifest(str(path)),
        ):
            _tolerant(step)
        find_files(str(path), "source")


def _created(data: bytes) -> None:
    """Read the file of the objects that a conformance run has made."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        path = Path(folder, "created.jsonl")
        path.write_bytes(data)
        found = CreatedObjects.open(path)
        assert all(created.name.startswith(found.run) for created in found.left)


def _tolerant(step: Callable[[], object]) -> None:
    try:
        step()
    except ProviderError:
        return


def _results(data: bytes) -> None:
    """Read results of mapped tasks, which XCom holds as JSON."""
    value = _json(data)
    found, problems = read_results(value)
    if not problems and not problems_together(found):
        manifest.manifest_of(found)
        manifest.file_problems(found, checksums=True)


def _report(data: bytes) -> None:
    """Read the data of a report's page, compare and merge them with those of the next report."""
    text = data.decode("utf-8", "replace")
    profile = from_script(text)
    again = from_script(to_script(profile))
    _merge([profile, again])
    changes(profile, Profile(1, "t", "s", "u", "now", rows=3, tables=again.tables[:1]))
    changes(again, profile)


def _merge(profiles: Sequence[Profile]) -> None:
    found = [table for profile in profiles for table in profile.tables]
    if found:
        merge_tables(found)


def _json(data: bytes) -> Any:
    """Return a value as Airflow's stores return it."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return data.decode("utf-8", "replace")


def _target(
    name: str, run: Callable[[bytes], object], *instrumented: str, allowed: tuple[type[Exception], ...] = ()
) -> Target:
    names = tuple(f"airflow_provider.{one}" for one in instrumented)
    return Target(name, run, names, (ProviderError, *allowed), mutate_json, max_bytes=30_000)


TARGETS = [
    _target("plan_map", _map_plan, "mapsindoors.plan.document"),
    _target(
        "plan_catalogue",
        partial(_signed, CataloguePlan, _catalogue_page),
        *("core.sync", "mapsindoors.catalogue"),
    ),
    _target("plan_things", partial(_signed, ThingsPlan, _things_page), "core.sync", "iotstudio.sync"),
    _target(
        "plan_configurations",
        partial(_signed, ConfigurationPlan, _configuration_page),
        *("core.sync", "leanix.as_code"),
    ),
    _target("plan_dataset", _dataset_plan, "amigocloud.sync.document", "amigocloud.sync.store"),
    _target(
        "manifest",
        _manifest,
        *("core.files.paths", "core.files.listing", "leanix.tables.write", "warehouse.manifest"),
    ),
    _target("created", _created, "conformance.created", allowed=(UnusableFileError,)),
    _target("results", _results, "warehouse.results", "warehouse.manifest"),
    _target("report", _report, "core.reports", allowed=(ValueError,)),
]
