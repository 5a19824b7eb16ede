"""The links from a task in Airflow's UI to the pages it has recorded."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.core.pages.links import PlanLink, ReportLink, page_url, record_page

TASK = {"dag_id": "d", "run_id": "manual__2026-01-01T00:00:00", "task_id": "plan", "map_index": -1}
LINK = "/digital-twin/plan?dag_id=d&run_id=manual__2026-01-01T00%3A00%3A00&task_id=plan&map_index=-1"


def test_the_links_of_plans_and_reports_have_names_and_xcoms_of_their_own() -> None:
    context: Any = {"ti": SimpleNamespace(xcom_push=dict[str, str]().__setitem__, **TASK)}
    operator: Any = SimpleNamespace()
    record_page(operator, context, "report", "/tmp/report.html", "beef")
    key = SimpleNamespace(**TASK)
    links = [PlanLink(), ReportLink()]
    assert [(link.name, link.xcom_key) for link in links] == [
        ("Plan", "plan_link"),
        ("Report", "report_link"),
    ]
    assert [link.get_link(operator, ti_key=key) for link in links] == ["", page_url("report", key)]


def test_a_link_is_below_the_path_of_the_base_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example/team/a/")
    assert page_url("plan", SimpleNamespace(**TASK)) == f"/team/a{LINK}"
