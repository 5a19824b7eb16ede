"""The API server serves recorded pages to users with access to the DAG, a public page, and no other file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import HTTPException
from fastapi.testclient import TestClient

from airflow_provider.core.pages.page import page_prefix
from airflow_provider.ui import pages, plugin

TASK = {"dag_id": "d", "run_id": "manual__2026-01-01T00:00:00+00:00", "task_id": "plan", "map_index": -1}
KEY = ("plan", *TASK.values())
PAGE = f"{page_prefix('f00d', 'plan')}<p>Ünits"
OTHERS = f"{page_prefix('beef', 'plan')}<p>another team's rooms"


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[Any, ...], str]:
    """Return the recorded pages of tasks, by the kind and the task's ids."""
    recorded: dict[tuple[Any, ...], str] = {}
    monkeypatch.setattr(pages, "_recorded_page", lambda kind, *task: recorded.get((kind, *task), ""))
    return recorded


@pytest.fixture
def client() -> Iterator[TestClient]:
    """Return a client of a user with access to all DAGs."""
    app = pages.application()
    for route in app.routes[-2:]:
        allowed = route.dependant.dependencies[0].call  # type: ignore[attr-defined]
        app.dependency_overrides[allowed] = lambda: None
    with TestClient(app) as client:
        yield client
    app.dependency_overrides.clear()


def test_the_page_of_a_task_is_shown_and_may_run_nothing(
    client: TestClient, recorded: dict[tuple[Any, ...], str], tmp_path: Path
) -> None:
    path = tmp_path / "plan.html"
    path.write_text(PAGE)
    recorded[KEY] = f"{path}#f00d"
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
    recorded[KEY] = location.format(folder=tmp_path)
    reply = client.get("/plan", params=TASK)
    assert reply.status_code == 404
    assert "fernet_key" not in reply.text
    assert "Ünits" not in reply.text
    assert "another team" not in reply.text


@pytest.mark.parametrize("error", [RuntimeError("no endpoint"), KeyError("conn"), PermissionError()])
def test_a_storage_that_fails_is_a_page_that_cannot_be_read(
    client: TestClient,
    recorded: dict[tuple[Any, ...], str],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    """Libraries of storages raise errors of any class, such as botocore's for an unknown host."""

    def fail(*given: Any) -> None:
        raise error

    monkeypatch.setattr("airflow.sdk.ObjectStoragePath.open", fail)
    recorded[KEY] = "s3://bucket/plan.html#f00d"
    reply = client.get("/plan", params=TASK)
    assert reply.status_code == 404
    assert "cannot read" in reply.text


def test_a_path_becomes_no_markup(client: TestClient, recorded: dict[tuple[Any, ...], str]) -> None:
    recorded[KEY] = "/tmp/<script>alert(1)</script>.html#f00d"
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

    app = pages.application()
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
        recorded[("plan", dag, *list(TASK.values())[1:])] = f"{tmp_path}/plan.html#f00d"
    app = pages.application()
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


def test_the_page_of_a_report_is_served_beside_that_of_a_plan(
    client: TestClient, recorded: dict[tuple[Any, ...], str], tmp_path: Path
) -> None:
    report = f"{page_prefix('beef', 'report')}<p>rows"
    (tmp_path / "plan.html").write_text(PAGE)
    (tmp_path / "report.html").write_text(report)
    recorded[KEY] = f"{tmp_path}/plan.html#f00d"
    recorded["report", *TASK.values()] = f"{tmp_path}/report.html#beef"
    assert client.get("/plan", params=TASK).text == PAGE
    assert client.get("/report", params=TASK).text == report
    recorded[KEY] = f"{tmp_path}/report.html#beef"
    assert client.get("/plan", params=TASK).status_code == 404


@pytest.mark.parametrize("name", pages.FILES)
def test_the_page_digital_twin_runs_no_script_but_its_own_and_asks_no_other_host(
    client: TestClient, name: str
) -> None:
    reply = client.get("/" if name == "index.html" else f"/{name}")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == pages.FILES[name]
    policy = dict(part.split(" ", 1) for part in reply.headers["content-security-policy"].split("; "))
    assert {policy["default-src"], policy["base-uri"], policy["form-action"]} == {"'none'"}
    assert {policy["script-src"], policy["style-src"], policy["connect-src"]} == {"'self'"}
    assert "innerHTML" not in reply.text
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", reply.text)


def test_every_file_of_the_page_is_served_and_no_other(client: TestClient) -> None:
    assert {path.name for path in pages.STATIC.iterdir()} == set(pages.FILES)
    for path in ("/pages.py", "/../pages.py", "/static/page.js", "/page.js/", "/index.html"):
        assert client.get(path, follow_redirects=False).status_code in (307, 404)


def test_the_plugin_adds_the_page_below_the_base_url_of_airflow() -> None:
    """Addresses of the navigation are relative: Airflow's UI resolves them against its base URL."""
    (view,) = plugin.DigitalTwinPlugin.external_views
    assert view["destination"] == "nav"
    assert {view["href"], view["icon"], view["icon_dark_mode"]} == {
        "digital-twin/",
        "digital-twin/icon.svg",
        "digital-twin/icon-dark.svg",
    }


def test_the_plugin_still_serves_addresses_of_earlier_releases() -> None:
    prefixes = [app["url_prefix"] for app in plugin.DigitalTwinPlugin.fastapi_apps]
    assert prefixes == ["/digital-twin", "/mapsindoors"]
