"""OpenLineage datasets have the names of our assets, where its provider is installed."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.providers import openlineage
from airflow.sdk import DAG
from packaging.version import Version

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.operators import AmigoCloudExportOperator
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.iotstudio.operators import IoTStudioWritePropertiesOperator
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.operators import LeanIXRunOperator
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.mapsindoors.operators import MapsIndoorsUpdateGeodataOperator
from tests.support.per_asset import PerAsset

if Version(openlineage.__version__) < Version("2.13"):
    pytest.skip(
        "OpenLineage's provider 2.12 reads no assets from inlets and outlets", allow_module_level=True
    )

THING = "01GQ2E9M2Y45BX9EW0F2BM032Q"
DATASET = AmigoCloudHook.asset(project=1234, dataset=2001)
MAP = MapsIndoorsHook.asset(solution="57e4e4992e74800ef8b69718")
SENSOR = IoTStudioHook.asset(space="my-iot-project", thing_id=THING)
CONNECTOR = LeanIXHook.asset(host="acme.leanix.net", connector_type="cmdb", connector_id="campus")

OPERATORS: dict[str, Callable[[str], Any]] = {
    "amigocloud": lambda folder: AmigoCloudExportOperator(
        task_id="export",
        dataset=2002,
        output_path=f"file://{folder}/zones.jsonl",
        inlets=[DATASET],
        outlets=[MAP],
    ),
    "mapsindoors": lambda _: MapsIndoorsUpdateGeodataOperator(
        task_id="update",
        geodata=[{"id": "c88c996b231746d096db5eaa", "properties": {"name@en": "New"}}],
        inlets=[DATASET],
        outlets=[MAP],
    ),
    "iotstudio": lambda _: IoTStudioWritePropertiesOperator(
        task_id="write", thing_id=THING, properties={"temperature": 17.3}, outlets=[SENSOR]
    ),
    "leanix": lambda folder: LeanIXRunOperator(
        task_id="run",
        connector_type="report",
        connector_id="landscape",
        connector_version="1.0.0",
        processing_direction="outbound",
        output_path=f"file://{folder}/landscape.json",
        inlets=[CONNECTOR],
    ),
}


def names_of(assets: Any) -> set[tuple[str, str]]:
    """Return the expected namespace and name of each asset's dataset."""
    parts = [urlsplit(asset.uri) for asset in assets]
    return {(f"{part.scheme}://{part.netloc}", part.path.lstrip("/")) for part in parts}


def lineage_of(task: Any) -> Any:
    """Run a task, and return the lineage that the OpenLineage provider extracts, as its listener does."""
    from airflow.providers.openlineage.extractors.manager import (  # type: ignore[import-not-found,unused-ignore]
        ExtractorManager,
    )
    from airflow.utils.state import TaskInstanceState

    ti = SimpleNamespace(
        dag_id="d", task_id=task.task_id, run_id="r", map_index=-1, try_number=1, max_tries=0
    )
    events = PerAsset(lambda: SimpleNamespace(extra={}))
    task.execute({"ti": ti, "outlet_events": events})
    run = SimpleNamespace(run_id="r")
    return ExtractorManager().extract_metadata(run, task, TaskInstanceState.SUCCESS, None)


@pytest.mark.parametrize("vendor", OPERATORS)
def test_inlets_and_outlets_are_datasets_of_the_same_name(vendor: str, sandbox: Any, tmp_path: Any) -> None:
    sandbox.leanix.run_seconds = sandbox.leanix.queue_seconds = 0.0
    with DAG("lineage", schedule=None):
        task = OPERATORS[vendor](str(tmp_path))
    found = lineage_of(task)
    for declared, datasets in ((task.inlets, found.inputs), (task.outlets, found.outputs)):
        assert names_of(declared) == {(dataset.namespace, dataset.name) for dataset in datasets}
