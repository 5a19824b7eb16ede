"""The API server shows the page of a plan to those who may see the DAG, and nothing else of any file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import HTTPException
from fastapi.testclient import TestClient

from airflow_provider.mapsindoors import plugin
from airflow_provider.mapsindoors.page import BEGINNING

TASK = {"dag_id": "d", "run_id": "manual__2026-01-01T00:00:00+00:00", "task_id": "plan", "map_index": -1}
PAGE = f"{BEGINNING}<p>Ünits"


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[Any, ...], str]:
    """Give where tasks have their pages, by the task's ids."""
    pages: dict[tuple[Any, ...], str] = {}
    monkeypatch.setattr(plugin, "_noted", lambda *task: pages.get(task, ""))
    return pages


@pytest.fixture
def client() -> Iterator[TestClient]:
    """Ask as somebody who may see all DAGs."""
    app = plugin.application()
    allowed = app.routes[-1].dependant.dependencies[0].call  # type: ignore[attr-defined]
    app.dependency_overrides[allowed] = lambda: None
    with TestClient(app) as client:
        yield client
    app.dependency_overrides.clear()


def test_the_page_of_a_task_is_shown_and_may_run_nothing(
    client: TestClient, noted: dict[tuple[Any, ...], str], tmp_path: Path
) -> None:
    path = tmp_path / "plan.html"
    path.write_text(PAGE)
    noted[tuple(TASK.values())] = str(path)
    reply = client.get("/plan", params=TASK)
    assert (reply.status_code, reply.text) == (200, PAGE)
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert "sandbox" in reply.headers["content-security-policy"]


@pytest.mark.parametrize("name", ["secret.cfg", "other.html", "missing.html", "folder.html", "http"])
def test_no_other_file_is_given_out(
    client: TestClient, noted: dict[tuple[Any, ...], str], tmp_path: Path, name: str
) -> None:
    (tmp_path / "secret.cfg").write_text(PAGE)
    (tmp_path / "other.html").write_text("fernet_key")
    (tmp_path / "folder.html").mkdir()
    path = f"{tmp_path}/{name}" if name != "http" else "http://127.0.0.1:1/plan.html"
    noted[tuple(TASK.values())] = path
    reply = client.get("/plan", params=TASK)
    assert reply.status_code == 404
    assert "fernet_key" not in reply.text


def test_a_task_without_a_page_has_none(client: TestClient, noted: dict[tuple[Any, ...], str]) -> None:
    assert client.get("/plan", params=TASK).status_code == 404


def test_only_those_who_may_see_the_dag_get_it(
    noted: dict[tuple[Any, ...], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.core_api import security

    def nobody() -> None:
        raise HTTPException(401)

    app = plugin.application()
    app.dependency_overrides[security.get_user] = nobody
    with TestClient(app) as client:
        assert client.get("/plan", params=TASK).status_code == 401
    app.dependency_overrides.clear()
