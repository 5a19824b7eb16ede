"""One task per public operator and sensor, each with an effect on the seeded sandbox."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

from airflow_provider.amigocloud import operators as amigocloud
from airflow_provider.amigocloud import sensors as amigocloud_sensors
from airflow_provider.iotstudio import operators as iotstudio
from airflow_provider.iotstudio import sensors as iotstudio_sensors
from airflow_provider.leanix import operators as leanix
from airflow_provider.leanix import sensors as leanix_sensors
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.mapsindoors import operators as mapsindoors
from airflow_provider.mapsindoors import sensors as mapsindoors_sensors
from airflow_provider.sandbox.iotstudio.records import Entry
from airflow_provider.sandbox.server import Sandbox

MODULES = [
    mapsindoors,
    mapsindoors_sensors,
    amigocloud,
    amigocloud_sensors,
    iotstudio,
    iotstudio_sensors,
    leanix,
    leanix_sensors,
]
BASES = {
    "AmigoCloudSensor",
    "CatalogueSyncOperator",
    "CheckedOperator",
    "FleetSensor",
    "GeodataRowOperator",
    "HistoryOperator",
    "PollSensor",
    "RowOperator",
}

THING = "01GQ2E9M2Y45BX9EW0F2BM032Q"
EVENT = "highTemperature"
REPORT = {
    "connector_type": "report",
    "connector_id": "landscape",
    "connector_version": "1.0.0",
    "processing_direction": "outbound",
}
LDIF = {
    "connectorType": "report",
    "connectorId": "landscape",
    "connectorVersion": "1.0.0",
    "lxVersion": "1.0.0",
    "processingDirection": "outbound",
    "processingMode": "partial",
    "content": [],
}

GROUP = "nightly"
"""An execution group of the report."""

LATER = "later"
HOT = 84
NEVER = 1e6
"""Seconds that no test waits."""

Make = Callable[..., Any]
"""Task factory: takes arguments of ``BaseOperator``, and ``deferrable`` where the class has it."""


def public_classes() -> dict[str, type]:
    """Return all public operators and sensors by name."""
    return {
        name: kind
        for module in MODULES
        for name, kind in vars(module).items()
        if isinstance(kind, type)
        and kind.__module__.startswith("airflow_provider.")
        and hasattr(kind, "execute")
        if name not in BASES
    }


def classes_with(argument: str) -> set[str]:
    """Return the names of the public operators and sensors that have an argument, also by a base."""
    return {
        name
        for name, kind in public_classes().items()
        if any(argument in signature(base.__init__).parameters for base in kind.__mro__ if base is not object)
    }


def can_defer(kind: type) -> bool:
    """Return whether tasks of a class can wait in the triggerer."""
    return kind.__name__.endswith("Sensor") or "deferrable" in signature(kind.__init__).parameters


def tasks(sandbox: Sandbox, folder: Path) -> dict[str, Make]:
    """Return a task factory for each public class, by name.

    The tasks do not affect each other: all of them can run in one DAG. The sensors wait until
    :func:`fulfil_sensors`.

    :param folder: folder of the files that the tasks read and write.
    """
    return {
        **mapsindoors_tasks(sandbox, folder),
        **amigocloud_tasks(sandbox, folder),
        **iotstudio_tasks(sandbox, folder),
        **leanix_tasks(sandbox, folder),
    }


def mapsindoors_tasks(sandbox: Sandbox, folder: Path) -> dict[str, Make]:
    """Create the tasks of MapsIndoors: rename, sync, export, delete, create, wait."""
    geodata = list(sandbox.mapsindoors.campus.geodata.values())
    rooms = [item for item in geodata if item["baseType"] == "room"]
    renamed, changed = rooms[0], rooms[1]
    leaf = next(item for item in geodata if item["baseType"] == "poi")
    poi = {
        "baseType": "poi",
        "parentId": changed["parentId"],
        "displayTypeId": leaf["displayTypeId"],
        "geometry": {"type": "Point", "coordinates": changed["anchor"]["coordinates"]},
        "properties": {"name@en": "New", "name@da": "Ny"},
    }
    rows = [
        {"externalId": changed["externalId"], "properties": {**changed["properties"], "name@en": "Other"}},
        {"externalId": "N-2", **poi},
    ]

    def sync(**more: Any) -> Any:
        plan = str(folder / "plan.json")
        return mapsindoors.MapsIndoorsSyncGeodataOperator(source=rows, plan_output=plan, **more)

    return {
        "MapsIndoorsUpdateGeodataOperator": lambda **more: mapsindoors.MapsIndoorsUpdateGeodataOperator(
            geodata=[{"id": renamed["id"], "properties": {"name@en": "Room"}}], **more
        ),
        "MapsIndoorsSyncGeodataOperator": sync,
        **catalogue_tasks(folder),
        "MapsIndoorsExportGeodataOperator": lambda **more: mapsindoors.MapsIndoorsExportGeodataOperator(
            output_path=str(folder / "map.jsonl"), **more
        ),
        "MapsIndoorsDeleteGeodataOperator": lambda **more: mapsindoors.MapsIndoorsDeleteGeodataOperator(
            ids=[leaf["id"]], **more
        ),
        "MapsIndoorsCreateGeodataOperator": lambda **more: mapsindoors.MapsIndoorsCreateGeodataOperator(
            geodata=[{"externalId": "N-1", **poi}], **more
        ),
        "MapsIndoorsGeodataSensor": lambda **more: mapsindoors_sensors.MapsIndoorsGeodataSensor(
            expected=[{"id": rooms[2]["id"], "properties": {"name@en": LATER}}], **_short_waits(more)
        ),
    }


def catalogue_tasks(folder: Path) -> dict[str, Make]:
    """Create the tasks of MapsIndoors' display types and categories: one is new, one changes."""
    names = {"name@en": "Stand", "name@da": "Stand"}
    types = [{"name": "Stand", **names}, {"name": "Parking", "zoomTo": 21}]
    categories = [{"key": "STANDS", **names}, {"key": "FOOD", "name@en": "Food"}]

    def plan(name: str) -> str:
        return str(folder / f"plan.{name}.json")

    return {
        "MapsIndoorsSyncDisplayTypesOperator": lambda **more: mapsindoors.MapsIndoorsSyncDisplayTypesOperator(
            source=types, plan_output=plan("types"), **more
        ),
        "MapsIndoorsSyncCategoriesOperator": lambda **more: mapsindoors.MapsIndoorsSyncCategoriesOperator(
            source=categories, plan_output=plan("categories"), **more
        ),
    }


def amigocloud_tasks(sandbox: Sandbox, folder: Path) -> dict[str, Make]:
    """Create the tasks of AmigoCloud: export, write, upload, wait."""
    upload = folder / "rows.csv"
    upload.write_text("name,lat,lon\na,55.1,12.1\n")
    job = sandbox.amigocloud.jobs.start("x", dict, NEVER).id
    sandbox.load("amigocloud.photos", photos=3)
    state = sandbox.amigocloud.store.master(2001)
    return {
        "AmigoCloudExportOperator": lambda **more: amigocloud.AmigoCloudExportOperator(
            dataset=2002, page_size=10, concurrency=1, output_path=str(folder / "zones.jsonl"), **more
        ),
        "AmigoCloudPlanExportOperator": lambda **more: amigocloud.AmigoCloudPlanExportOperator(
            dataset=2002, parts=3, **more
        ),
        "AmigoCloudExportPhotosOperator": lambda **more: amigocloud.AmigoCloudExportPhotosOperator(
            dataset=2001, concurrency=1, output_path=str(folder / "photos"), **more
        ),
        "AmigoCloudSqlOperator": lambda **more: amigocloud.AmigoCloudSqlOperator(
            sql="INSERT INTO dataset_1 (amigo_id, name) VALUES (generate_uuid(), 'inserted')", **more
        ),
        "AmigoCloudSyncDatasetOperator": lambda **more: amigocloud.AmigoCloudSyncDatasetOperator(
            dataset=1,
            key="name",
            source=[{"name": "Bohr", "value": 7.5}, {"name": "Noether", "value": 1.0}],
            plan_output=str(folder / "plan.dataset.json"),
            concurrency=1,
            poll_interval=0.1,
            **more,
        ),
        "AmigoCloudUploadOperator": lambda **more: amigocloud.AmigoCloudUploadOperator(
            **{"source": str(upload), "poll_interval": 0.1, **more}
        ),
        "AmigoCloudJobSensor": lambda **more: amigocloud_sensors.AmigoCloudJobSensor(
            job_id=job, **_short_waits(more)
        ),
        "AmigoCloudDatasetSensor": lambda **more: amigocloud_sensors.AmigoCloudDatasetSensor(
            dataset=2001, since=state, **_short_waits(more)
        ),
        "AmigoCloudSqlSensor": lambda **more: amigocloud_sensors.AmigoCloudSqlSensor(
            sql=f"SELECT count(*) AS n FROM dataset_1 WHERE name = '{LATER}'", **_short_waits(more)
        ),
    }


def iotstudio_tasks(sandbox: Sandbox, folder: Path) -> dict[str, Make]:
    """Create the tasks of IoT Studio: write, invoke an action, export, wait."""
    things = [THING, *(uid for uid in sandbox.iotstudio.space.things if uid != THING)][:3]
    writes = [{"thing_id": uid, "properties": {"setpoint": 22.5}} for uid in things]
    report_event(sandbox, things[1])
    return {
        "IoTStudioWritePropertiesOperator": lambda **more: iotstudio.IoTStudioWritePropertiesOperator(
            writes=writes, concurrency=1, **more
        ),
        "IoTStudioSyncThingsOperator": lambda **more: iotstudio.IoTStudioSyncThingsOperator(
            source=[{"uid": things[2], "description": "synced"}, {"title": "Synced", "description": "new"}],
            match_on="title",
            plan_output=str(folder / "plan.things.json"),
            concurrency=1,
            **more,
        ),
        "IoTStudioInvokeActionOperator": lambda **more: iotstudio.IoTStudioInvokeActionOperator(
            thing_id=THING, action="updateFirmware", input="2.0", poll_interval=0.2, **more
        ),
        "IoTStudioExportThingsOperator": lambda **more: iotstudio.IoTStudioExportThingsOperator(
            output_path=str(folder / "things.csv"), **more
        ),
        "IoTStudioPlanHistoryOperator": lambda **more: iotstudio.IoTStudioPlanHistoryOperator(
            parts=3, start="2026-01-01", end="2026-02-01", **more
        ),
        "IoTStudioExportHistoryOperator": lambda **more: iotstudio.IoTStudioExportHistoryOperator(
            thing_ids=things,
            end="2026-01-03T00:00:00Z",
            properties=["temperature"],
            concurrency=1,
            output_path=str(folder / "history.jsonl"),
            **more,
        ),
        "IoTStudioExportEventsOperator": lambda **more: iotstudio.IoTStudioExportEventsOperator(
            thing_ids=things, concurrency=1, output_path=str(folder / "events.jsonl"), **more
        ),
        "IoTStudioEventSensor": lambda **more: iotstudio_sensors.IoTStudioEventSensor(
            event=EVENT, thing_id=THING, since="2026-01-01", **_short_waits(more)
        ),
        "IoTStudioSilenceSensor": lambda **more: iotstudio_sensors.IoTStudioSilenceSensor(
            silent_for=3600, properties=["temperature"], filters={"mode": "off"}, **_short_waits(more)
        ),
        "IoTStudioPropertySensor": lambda **more: iotstudio_sensors.IoTStudioPropertySensor(
            filters={"temperature": f"gt:{HOT - 1}"}, **_short_waits(more)
        ),
    }


def leanix_tasks(sandbox: Sandbox, folder: Path) -> dict[str, Make]:
    """Create the tasks of LeanIX: start runs, fetch results, export the log, configure, wait."""
    configuration = next(
        found for found in sandbox.leanix.configurations.values() if found["connectorType"] == "report"
    )
    sandbox.leanix.execution_groups[GROUP] = [("report", "landscape", "1.0.0", "outbound", "partial")]
    finished, active = start_run(sandbox, 0.0), start_run(sandbox, NEVER)
    return {
        "LeanIXStartRunOperator": lambda **more: leanix.LeanIXStartRunOperator(**REPORT, **more),
        "LeanIXRunOperator": lambda **more: leanix.LeanIXRunOperator(
            **{"output_path": str(folder / "landscape.json"), "poll_interval": 0.2, **REPORT, **more}
        ),
        "LeanIXFetchResultsOperator": lambda **more: leanix.LeanIXFetchResultsOperator(
            **{"run_id": finished, "output_path": str(folder / "fetched.json"), **more}
        ),
        "LeanIXExportSyncLogOperator": lambda **more: leanix.LeanIXExportSyncLogOperator(
            output_path=str(folder / "sync_log.jsonl"), **more
        ),
        "LeanIXPutConfigurationOperator": lambda **more: leanix.LeanIXPutConfigurationOperator(
            configuration={**configuration, "processors": []}, **more
        ),
        "LeanIXRunSensor": lambda **more: leanix_sensors.LeanIXRunSensor(run_id=active, **_short_waits(more)),
    }


def start_run(sandbox: Sandbox, seconds: float) -> str:
    """Start a run that takes this long, and return its id."""
    usual, sandbox.leanix.queue_seconds = sandbox.leanix.queue_seconds, seconds
    with LeanIXHook() as hook:
        run_id = hook.create_run(LDIF)
        hook.start_run(run_id)
    sandbox.leanix.queue_seconds = usual
    run = sandbox.leanix.machine.runs[run_id]
    run.work_seconds = 0.0
    return run_id


def fulfil_sensors(sandbox: Sandbox, vendor: str, trigger: str = "") -> None:
    """Create the state that a vendor's sensors wait for.

    :param trigger: class of a trigger of IoT Studio: only what its sensor waits for.
    """
    if vendor == "iotstudio":
        for name, fulfil in _IN_THINGS.items():
            if name in trigger or not trigger:
                fulfil(sandbox)
        return
    {
        "mapsindoors": _rename_a_room,
        "amigocloud": _change_datasets,
        "leanix": _end_runs,
    }[vendor](sandbox)


def _rename_a_room(sandbox: Sandbox) -> None:
    campus = sandbox.mapsindoors.campus
    room = [item for item in campus.geodata.values() if item["baseType"] == "room"][2]
    # A new object, because all solutions share the objects of the seed.
    renamed = {**room, "properties": {**room["properties"], "name@en": LATER}}
    campus.geodata = {**campus.geodata, room["id"]: renamed}


def _change_datasets(sandbox: Sandbox) -> None:
    for job in sandbox.amigocloud.jobs.all.values():
        job.started_at = job.done_at = 0.0
    write = sandbox.amigocloud.store.write
    write(f"INSERT INTO dataset_1 (amigo_id, name) VALUES (generate_uuid(), '{LATER}')")
    write("UPDATE dataset_2001 SET name = 'x' WHERE amigo_id = (SELECT min(amigo_id) FROM dataset_2001)")


def _heat_up(sandbox: Sandbox) -> None:
    sandbox.iotstudio.space.things[THING].status["temperature"] = HOT


def _silence(sandbox: Sandbox) -> None:
    sandbox.iotstudio.space.things[THING].status["mode"] = "off"


def report_event(sandbox: Sandbox, thing_id: str) -> None:
    """Report an event of a Thing, as its device does."""
    service = sandbox.iotstudio
    entry = Entry(service.new_id(), EVENT, service.around.clock.now(), {"data": 61.5})
    service.space.things[thing_id].events.append(entry)


_IN_THINGS: dict[str, Callable[[Sandbox], None]] = {
    "IoTStudioPropertyTrigger": _heat_up,
    "IoTStudioEventPollTrigger": lambda sandbox: report_event(sandbox, THING),
    "IoTStudioSilenceTrigger": _silence,
}
"""What the sensors of Things wait for, by their triggers."""


def _end_runs(sandbox: Sandbox) -> None:
    for run in sandbox.leanix.machine.runs.values():
        run.queue_seconds = run.work_seconds = 0.0


def _short_waits(more: dict[str, Any]) -> dict[str, Any]:
    """Return a sensor's arguments with a short interval and a short timeout."""
    return {"poke_interval": 0.05, "timeout": 60.0, **more}
