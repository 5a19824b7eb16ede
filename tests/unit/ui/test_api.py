"""Airflow's API takes each question of the page "Digital twin", on the oldest version as on the newest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

ALL = "dags/~/dagRuns/~"
OPEN = "response_received=false&state=deferred&state=queued&state=running&state=scheduled"
RUNS = "operator=LeanIXRunOperator&state=deferred&state=running&state=up_for_reschedule&order_by=start_date"
REPORTS = "xcom_key=report_page&run_after_gte=2026-01-01T00:00:00Z&order_by=-timestamp"


@pytest.fixture(scope="module")
def client(airflow_db: None) -> Iterator[TestClient]:
    """Return a client of Airflow's API server, for an admin."""
    from airflow.api_fastapi.app import create_app

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True")
        app = create_app(apps="core")
        client = TestClient(app)
        token = client.get("/auth/token").json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


@pytest.mark.parametrize(
    "question",
    [
        f"{ALL}/hitlDetails?{OPEN}&order_by=created_at&limit=20",
        f"{ALL}/taskInstances?{RUNS}&limit=100",
        f"{ALL}/taskInstances?operator=LeanIXRunOperator&state=success&order_by=-end_date&limit=100",
        f"{ALL}/taskInstances/~/xcomEntries?{REPORTS}&limit=100",
        "assets?uri_pattern=leanix://&order_by=-updated_at&limit=100",
        "assets/events?asset_id=1&order_by=-timestamp&limit=1",
        "dags?limit=100&offset=0&order_by=dag_id",
    ],
    ids=lambda question: question.partition("?")[0],
)
def test_airflow_takes_each_question_of_the_page(client: TestClient, question: str) -> None:
    reply = client.get(f"/api/v2/{question}")
    assert reply.status_code == 200, reply.text
    assert "total_entries" in reply.json()


def test_a_state_that_airflow_does_not_know_is_refused_as_the_page_expects(client: TestClient) -> None:
    """Airflow 3.1 refuses the newest state, and the page asks again without it."""
    from airflow.utils.state import TaskInstanceState

    status = client.get(f"/api/v2/{ALL}/hitlDetails?{OPEN}&state=awaiting_input").status_code
    assert status == (200 if "awaiting_input" in set(TaskInstanceState) else 422)


@pytest.mark.parametrize("path", ["/digital-twin/", "/digital-twin/page.js", "/digital-twin/icon.svg"])
def test_the_api_server_serves_the_files_of_the_page(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 200
