"""Mapped tasks do not replace each other's files."""

from __future__ import annotations

import json

import pytest
from airflow.sdk import DAG

from airflow_provider.amigocloud.operators import AmigoCloudExportOperator, AmigoCloudPlanExportOperator
from airflow_provider.core.input.mapping import shared_by_mapping
from airflow_provider.mapsindoors.operators import MapsIndoorsSyncGeodataOperator
from airflow_provider.sandbox.amigocloud import seed

DATASETS = [seed.ASSETS, seed.FIRST]


def states(run):
    return [ti.state for ti in sorted(run.get_task_instances(), key=lambda ti: ti.map_index)]


@pytest.mark.parametrize(
    "path", ["all.jsonl", "{{ run_id }}.jsonl", "{% if ds is defined %}a{% endif %}/task/part.jsonl"]
)
def test_the_second_task_with_the_same_path_is_refused(sandbox, run_dag, tmp_path, path):
    with DAG("same_path", schedule=None) as dag:
        export = AmigoCloudExportOperator.partial(task_id="export", output_path=f"{tmp_path}/{path}")
        export.expand(dataset=DATASETS)
    run = run_dag(dag)
    assert states(run) == ["success", "failed"]
    (file,) = (one for one in tmp_path.rglob("*.jsonl"))
    assert len(file.read_text().splitlines()) == sandbox.amigocloud.store.count(seed.ASSETS)


@pytest.mark.parametrize(
    "path",
    ["{{ ti.map_index }}.jsonl", "{{ task.dataset }}.jsonl", "{{ task_instance.map_index }}.jsonl",
     "{{ own() }}.jsonl"],
)  # fmt: skip
def test_a_path_that_may_be_the_tasks_own_is_taken(sandbox, run_dag, tmp_path, path):
    numbers = iter(range(10))
    with DAG("own_path", schedule=None, user_defined_macros={"own": lambda: next(numbers)}) as dag:
        export = AmigoCloudExportOperator.partial(task_id="export", output_path=f"{tmp_path}/{path}")
        export.expand(dataset=DATASETS)
    assert states(run_dag(dag)) == ["success", "success"]
    assert len(list(tmp_path.iterdir())) == 2


def test_paths_that_are_mapped_are_the_tasks_own(sandbox, run_dag, tmp_path):
    mapped = [{"dataset": number, "output_path": f"{tmp_path}/{number}.jsonl"} for number in DATASETS]
    with DAG("mapped_path", schedule=None) as dag:
        AmigoCloudExportOperator.partial(task_id="export").expand_kwargs(mapped)
    assert states(run_dag(dag)) == ["success", "success"]


def test_a_path_of_params_that_are_mapped_is_the_tasks_own(sandbox, run_dag, tmp_path):
    path = f"{tmp_path}/{{{{ params.name }}}}.jsonl"
    mapped = [{"dataset": number, "params": {"name": str(number)}} for number in DATASETS]
    with DAG("mapped_params", schedule=None) as dag:
        AmigoCloudExportOperator.partial(task_id="export", output_path=path).expand_kwargs(mapped)
    assert states(run_dag(dag)) == ["success", "success"]
    assert {one.stem for one in tmp_path.iterdir()} == set(map(str, DATASETS))


def test_parts_get_paths_of_their_own(sandbox, run_dag, tmp_path):
    with DAG("parts", schedule=None) as dag:
        plan = AmigoCloudPlanExportOperator(task_id="plan", dataset=seed.ASSETS, parts=2)
        export = AmigoCloudExportOperator.partial(task_id="export", output_path=f"{tmp_path}/a.jsonl")
        export.expand(part=plan.output)
    assert states(run_dag(dag)) == ["success", "success", "success"]
    assert len(list(tmp_path.iterdir())) == 2


def test_without_a_task_no_path_is_shared():
    assert not shared_by_mapping("output_path")


def test_one_mapped_task_takes_any_path(sandbox, run_dag, tmp_path):
    with DAG("one_task", schedule=None) as dag:
        export = AmigoCloudExportOperator.partial(task_id="export", output_path=f"{tmp_path}/a.jsonl")
        export.expand(dataset=DATASETS[:1])
    assert states(run_dag(dag)) == ["success"]


def test_the_argument_that_is_shared_is_named(sandbox, run_dag, tmp_path, capfd):
    sources = []
    for number in (1, 2):
        sources.append(str(tmp_path / f"{number}.json"))
        (tmp_path / f"{number}.json").write_text(
            json.dumps([{"externalId": f"A-0-0{number}", "name": "Desk"}])
        )
    with DAG("same_plan", schedule=None) as dag:
        sync = MapsIndoorsSyncGeodataOperator.partial(
            task_id="sync",
            mode="plan",
            plan_output=f"{tmp_path}/plan.json",
        )
        sync.expand(source=sources)
    assert states(run_dag(dag)) == ["success", "failed"]
    reason = (
        f"plan_output: '{tmp_path}/plan.json' is the path of all tasks of this mapping, of which each would"
        " replace the file of another; put {{ ti.map_index }} into it, or give it to expand()"
    )
    assert reason in capfd.readouterr().out
