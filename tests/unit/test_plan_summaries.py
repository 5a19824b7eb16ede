"""Every operator that makes a plan publishes it: in words for an approval, and with a link to its page."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.core.pages.links import PlanLink
from airflow_provider.sandbox import Sandbox
from tests.support.every_task import classes_with, tasks

EXPECTED = {
    "AmigoCloudSyncDatasetOperator": ("dataset 1", "name"),
    "IoTStudioSyncThingsOperator": ("the Things of ", "**new** Synced: title Synced"),
    "LeanIXPutConfigurationOperator": ("processor configurations", "**changed** report/landscape"),
    "MapsIndoorsSyncCategoriesOperator": ("the categories of ", "**new** STANDS"),
    "MapsIndoorsSyncDisplayTypesOperator": ("the display types of ", "**new** Stand"),
    "MapsIndoorsSyncGeodataOperator": ("Plan for ", "**new** poi New"),
}
"""Parts of the title and of the first changes, by the operator."""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Run each operator in the mode ``plan``; return the XComs that it pushes, and its link."""
    folder = tmp_path_factory.mktemp("plans")
    found: dict[str, dict[str, Any]] = {}
    with Sandbox() as sandbox, pytest.MonkeyPatch.context() as patch:
        for conn_id, text in sandbox.connections.items():
            patch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", text)
        patch.setenv("DIGITAL_TWIN_STORE", str(folder))
        makers = tasks(sandbox, folder)
        for name in EXPECTED:
            xcoms: dict[str, Any] = {}
            ids = {"dag_id": "d", "run_id": "r", "task_id": "plan", "map_index": -1, "try_number": 1}
            instance = SimpleNamespace(xcom_push=xcoms.__setitem__, xcom_pull=lambda **_: None, **ids)
            more = {"max_changes": 0} if "max_changes" in makers[name](task_id="x").template_fields else {}
            operator = makers[name](task_id="plan", mode="plan", **paths(name, folder), **more)
            operator.execute({"ti": instance})
            link = PlanLink().get_link(operator, ti_key=instance)
            found[name] = {**xcoms, "link": link, "links": type(operator).operator_extra_links}
    return found


def paths(name: str, folder: Path) -> dict[str, Any]:
    """Return the path of the plan, for the operator whose task in ``every_task`` has none."""
    return {"plan_output": str(folder / "plan.config.json")} if "Configuration" in name else {}


def test_every_operator_with_a_plan_is_here() -> None:
    assert classes_with("plan_output") == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_plan_is_published_in_words_with_a_link_to_its_page(
    name: str, published: dict[str, dict[str, Any]]
) -> None:
    found = published[name]
    text, (title, change) = found["plan_summary"], EXPECTED[name]
    assert title in text.splitlines()[0]
    assert change in text
    assert "| ---: |" in text
    assert f"]({found['link']})" in text.splitlines()[0]
    assert [type(link) for link in found["links"]] == [PlanLink]
    path, _, fingerprint = found["plan_page"].rpartition("#")
    assert f'data-plan="{fingerprint}"' in Path(path).read_text()


@pytest.mark.parametrize("name", [name for name in EXPECTED if "Configuration" not in name])
def test_a_plan_that_exceeds_a_limit_says_so_to_people(
    name: str, published: dict[str, dict[str, Any]]
) -> None:
    assert "changes are more than max\\_changes=0" in published[name]["plan_summary"]
