"""The API server serves the page of a plan to users with access to the DAG, and no other file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import HTTPException
from fastapi.testclient import TestClient

from airflow_provider.mapsindoors import plugin
from airflow_provider.mapsindoors.plan.html import page_prefix

TASK = {"dag_id": "d", "run_id": "manual__2026-01-01T00:00:00+00:00", "task_id": "plan", "map_index": -1}
PAGE = f"{page_prefix('f00d')}<p>Ünits"
OTHERS = f"{page_prefix('beef')}<p>another team's rooms"


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[Any, ...], str]:
    """Return the recorded pages of tasks, by the task's ids."""
    pages: dict[tuple[Any, ...], str] = {}
    monkeypatch.setattr(plugin, "_recorded_page", lambda *task: pages.get(task, ""))
    return pages


@pytest.fixture
def client() -> Iterator[TestClient]:
    """Return a client of a user with access to all DAGs."""
    app = plugin.application()
    allowed = app.routes[-1].dependant.dependencies[0].call  # type: ignore[attr-defined]
    app.dependency_overrides[allowed] = lambda: None
    with TestClient(app) as client:
        yield client
    app.dependency_overrides.clear()


def test_the_page_of_a_task_is_shown_and_may_run_nothing(
    client: TestClient, recorded: dict[tuple[Any, ...], str], tmp_path: Path
) -> None:
    path = tmp_path / "plan.html"
    path.write_text(PAGE)
    recorded[tuple(TASK.values())] = f"{path}#f00d"
    reply = client.get("/plan", params=TASK)
    assert (reply.status_code, reply.text) == (200, PAGE)
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert "sandbox" in reply.headers["content-security-policy"]


@pytest.mark.parametrize(
    "location",
    [
        "{folder}/secret.cfg#f00d",
        "{folder}/other.html#f00d",
        "{folder}/other.html#",
        "{folder}/other.html",
        "{folder}/missing.html#f00d",
        "{folder}/folder.html#f00d",
        "{folder}/text.html#f00d",
        "{folder}/x/../secret.cfg#f00d",
        "{folder}/secret.cfg#.html#f00d",
        "{folder}/secret.cfg\0.html#f00d",
        "simplecache::file://{folder}/plan.html#f00d",
        "http://127.0.0.1:1/plan.html#f00d",
        "ftp://127.0.0.1:1/plan.html#f00d",
    ],
)
def test_no_other_file_is_served(
    client: TestClient, recorded: dict[tuple[Any, ...], str], tmp_path: Path, location: str
) -> None:
    """A user who may write XComs of any DAG can record any path; even another plan's page is not served."""
    (tmp_path / "secret.cfg").write_text(PAGE)
    (tmp_path / "plan.html").write_text(PAGE)
    (tmp_path / "other.html").write_text(OTHERS)
    (tmp_path / "text.html").write_text("fernet_key")
    (tmp_path / "folder.html").mkdir()
    recorded[tuple(TASK.values())] = location.format(folder=tmp_path)
    reply = client.get("/plan", params=TASK)
    assert reply.status_code == 404
    assert "fernet_key" not in reply.text
    assert "Ünits" not in reply.text
    assert "another team" not in reply.text


def test_a_path_becomes_no_markup(client: TestClient, recorded: dict[tuple[Any, ...], str]) -> None:
    recorded[tuple(TASK.values())] = "/tmp/<script>alert(1)</script>.html#f00d"
    reply = client.get("/plan", params=TASK)
    assert "<script>" not in reply.text
    assert "&lt;script&gt;" in reply.text


def test_a_task_without_a_page_has_none(client: TestClient, recorded: dict[tuple[Any, ...], str]) -> None:
    assert client.get("/plan", params=TASK).status_code == 404


def test_only_those_who_may_see_the_dag_get_it(
    recorded: dict[tuple[Any, ...], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.core_api import security

    def no_user() -> None:
        raise HTTPException(401)

    app = plugin.application()
    app.dependency_overrides[security.get_user] = no_user
    with TestClient(app) as client:
        assert client.get("/plan", params=TASK).status_code == 401
    app.dependency_overrides.clear()


def test_access_is_checked_for_the_dag_whose_page_is_served(
    recorded: dict[tuple[Any, ...], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request can name two DAGs: an accessible DAG and a DAG of another team."""
    from airflow.api_fastapi.core_api import security

    class Manager:
        def is_authorized_dag(self, **asked: Any) -> bool:
            return bool(asked["details"].id == "mine" and asked["access_entity"].name == "XCOM")

    monkeypatch.setattr(security, "get_auth_manager", Manager)
    monkeypatch.setattr(security.DagModel, "get_team_name", lambda dag_id: None)
    (tmp_path / "plan.html").write_text(PAGE)
    for dag in ("mine", "theirs"):
        recorded[(dag, *list(TASK.values())[1:])] = f"{tmp_path}/plan.html#f00d"
    app = plugin.application()
    app.dependency_overrides[security.get_user] = object
    rest = [(name, str(value)) for name, value in TASK.items() if name != "dag_id"]
    with TestClient(app) as client:
        assert client.get("/plan", params=[("dag_id", "mine"), *rest]).status_code == 200
        for dags in (["theirs"], ["mine", "theirs"], ["~"], [""]):
            reply = client.get("/plan", params=[*(("dag_id", dag) for dag in dags), *rest])
            assert reply.status_code in (403, 404)
            assert "Ünits" not in reply.text
        assert client.get("/plan", params=[("dag_id", "theirs"), ("dag_id", "mine"), *rest]).text == PAGE
    app.dependency_overrides.clear()
