"""The example DAGs are what the documentation quotes, so they must be small, and they must work."""

from __future__ import annotations

import ast
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "example_dags"
FILES = sorted(FOLDER.glob("*.py"))
CHAINS = {
    "example_warehouse_assets",
    "example_warehouse_landscape",
    "example_warehouse_nightly",
    "example_nightly_digital_twin",
    "example_amigocloud_dataset_changed",
    "example_iotstudio_limit_passed",
    "example_leanix_changed_fact_sheets",
    "example_leanix_configuration",
}
NEEDS_3_2 = {"example_async_task"}
NEEDS_3_3 = {"example_nightly_digital_twin", "example_warehouse_nightly"}


def load(path: Path) -> Any:
    import airflow.sdk

    if path.stem in NEEDS_3_3 and not hasattr(airflow.sdk, "RetryPolicy"):
        pytest.skip("this example uses what came with Airflow 3.3")
    if path.stem in NEEDS_3_2 and not hasattr(airflow.sdk, "BaseAsyncOperator"):
        pytest.skip("async tasks came with Airflow 3.2")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.dag


def code_lines(path: Path) -> int:
    """Count lines that are neither blank, nor comment, nor the module's docstring."""
    text = path.read_text()
    tree = ast.parse(text)
    docstring = tree.body[0].end_lineno or 0
    rest = text.splitlines()[docstring:]
    return sum(1 for line in rest if line.strip() and not line.strip().startswith("#"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_has_its_own_name_and_says_what_it_does(path: Path) -> None:
    dag = load(path)
    assert path.stem == f"example_{dag.dag_id}"
    assert dag.doc_md
    assert len(dag.doc_md) > 100


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.stem not in CHAINS], ids=lambda path: path.stem
)
def test_an_example_of_one_job_has_at_most_25_lines_of_code(path: Path) -> None:
    assert code_lines(path) <= 25


@pytest.mark.parametrize(
    "name",
    ["mapsindoors_update_geodata", "amigocloud_export_dataset", "iotstudio_write_properties", "leanix_run"],
)
def test_each_of_the_four_jobs_runs(
    name: str, sandbox: Any, run_dag: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_TWIN_OUTPUT", str(tmp_path))
    assert run_dag(load(FOLDER / f"example_{name}.py")).state == "success"


@pytest.mark.long
def test_changed_fact_sheets_are_published_once(
    sandbox: Any, run_dag: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_TWIN_OUTPUT", str(tmp_path))
    dag = load(FOLDER / "example_leanix_changed_fact_sheets.py")
    sandbox.leanix.queue_seconds = sandbox.leanix.run_seconds = 0.0
    dag.get_task("recent").poll_interval = 0.1
    published = []
    for change in (None, None, "phaseOut"):
        if change:
            sandbox.leanix.fact_sheets["app-0001"].data["lifecycle"] = change
        run = run_dag(dag)
        assert run.state == "success"
        published.append(run.get_task_instance("publish").state)
    assert published == ["success", "skipped", "success"]


def test_the_nightly_chain_moves_all_four_systems(
    sandbox: Any, run_dag: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dag = load(FOLDER / "example_nightly_digital_twin.py")
    for task in dag.tasks:
        task.retries = 0
    monkeypatch.setenv("AIRFLOW_VAR_TWIN_OUTPUT", str(tmp_path))
    assert run_dag(dag).state == "success"
    (night,) = (tmp_path / "nightly").iterdir()
    assert json.loads((night / "landscape.json").read_text())["content"]
    place = sandbox.mapsindoors.campus.geodata["c88c996b231746d096db5eaa"]
    assert place["properties"]["name@en"].endswith(" assets")
    device = sandbox.iotstudio.space.things["01GQ2E9M2Y45BX9EW0F2BM032Q"]
    assert device.status["setpoint"] == 21.5


def test_the_async_task_reads_all_sensors_at_once(sandbox: Any, run_dag: Callable[..., Any]) -> None:
    dag = load(FOLDER / "example_async_task.py")
    sandbox.faults.add("delay", seconds=0.05, times=None, path="/properties")
    assert run_dag(dag).state == "success"
    assert sandbox.counters.peak_in_flight > 10
