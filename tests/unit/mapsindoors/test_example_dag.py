"""The example with an approval plans, and applies what was approved."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.sandbox.mapsindoors import MapsIndoorsService

EXAMPLES = Path(__file__).parents[3] / "example_dags"


def test_an_approved_plan_is_applied(
    service: MapsIndoorsService,
    run_dag: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_TWIN_OUTPUT", str(tmp_path))
    dag = runpy.run_path(str(EXAMPLES / "example_mapsindoors_sync_with_approval.py"))["dag"]
    assert run_dag(dag, mark_success_pattern="approve").state == "success"
    (plan,) = tmp_path.glob("mapsindoors/*/plan.json")
    assert json.loads(plan.read_text())["counts"]["create"] == {"poi": 1}
    assert plan.with_suffix(".html").exists()
    found = {one.get("externalId"): one for one in service.campus.geodata.values()}
    assert found["A-0-01"]["properties"]["name@en"] == "Reception"
    assert found["DESK-17"]["parentId"] == found["A-0"]["id"]
