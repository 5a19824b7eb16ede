"""The example DAGs that events start: what their watchers fire fits what their tasks take."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "example_dags"


def load(name: str) -> Any:
    return runpy.run_path(str(EXAMPLES / f"example_{name}.py"))


def machines(sandbox: Any) -> list[str]:
    names = [one["properties"].get("name@en", "") for one in sandbox.mapsindoors.campus.geodata.values()]
    return [name for name in names if name.startswith("Coffee machine")]


@pytest.mark.nightly
def test_a_changed_dataset_brings_the_map_up_to_date(
    sandbox: Any, run_dag: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_TWIN_OUTPUT", str(tmp_path))
    dag = load("amigocloud_dataset_changed")["dag"]
    assert run_dag(dag).state == "success"
    sql = "SELECT * FROM dataset_2001 WHERE category = 'catering' AND in_service AND wkb_geometry IS NOT NULL"
    count = sandbox.amigocloud.store.select(sql, 1, 0).count
    assert len(machines(sandbox)) == count > 100


async def test_the_sensors_that_an_event_names_become_items(sandbox: Any) -> None:
    example = load("iotstudio_limit_passed")
    warm = sorted(sandbox.iotstudio.space.things)[:2]
    for thing_id in warm:
        sandbox.iotstudio.space.things[thing_id].status["temperature"] = 61
    trigger = example["TOO_WARM"].trigger
    async for fired in trigger.run():
        event = SimpleNamespace(extra={"payload": json.loads(json.dumps(fired.payload))})
        break
    items = (
        example["dag"]
        .task_dict["name_sensors"]
        .python_callable(triggering_asset_events=SimpleNamespace(values=lambda: [[event]]))
    )
    assert [item["id"] for item in items] == warm
    run = example["dag"].task_dict["tell_landscape"]
    run.content, run.deferrable = items, False
    sandbox.leanix.run_seconds = sandbox.leanix.queue_seconds = 0.0
    ti = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=-1, try_number=1)
    assert run.execute({"ti": ti})["processed"] == len(warm)


@pytest.mark.parametrize(
    ("name", "asset"),
    [
        ("amigocloud_dataset_changed", "ASSETS"),
        ("iotstudio_limit_passed", "SENSORS"),
        ("iotstudio_events", "REPORTS"),
    ],
)
def test_the_watcher_of_an_example_can_be_stored(name: str, asset: str) -> None:
    (watcher,) = load(name)[asset].watchers
    path, arguments = watcher.trigger.serialize()
    assert ".triggers." in path
    assert json.loads(json.dumps(arguments)) == arguments
