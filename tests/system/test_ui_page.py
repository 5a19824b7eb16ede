"""The page "Digital twin" and the approval of a plan in Airflow's UI, as an admin and a guest see them."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from airflow_provider.sandbox import Sandbox
from dev.browser import open_browser
from dev.local_airflow import ROOT, LocalAirflow
from dev.processes import Started, free_ports
from tests.support.approvals import known_pauses
from tests.support.web_page import WebPage, open_page
from tests.system.one_dag_auth import GUEST, VISIBLE
from tests.system.scenarios import CompletedRun, Scenario

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FrameLocator, Page

pytestmark = pytest.mark.system

HIDDEN = "twin_devices"
"""A DAG that the guest does not see."""

EVIL = "A | <img src=x onerror=alert(1)> `b` [c](http://evil.example) https://evil.example www.evil.example"
"""A room's name that tries to be markup and a link."""

CODE = f"""
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG

from airflow_provider.amigocloud.operators import AmigoCloudExportOperator
from airflow_provider.assets import amigocloud_asset, mapsindoors_asset
from airflow_provider.iotstudio.operators import IoTStudioSyncThingsOperator
from airflow_provider.leanix.operators import LeanIXRunOperator
from airflow_provider.mapsindoors.operators import (
    MapsIndoorsExportGeodataOperator,
    MapsIndoorsSyncGeodataOperator,
)

OUTPUT = "{{{{ var.value.twin_output }}}}/twin"
BODY = "{{{{ ti.xcom_pull('plan', key='plan_summary') }}}}"

with DAG("{VISIBLE}", schedule=None):
    MapsIndoorsExportGeodataOperator(
        task_id="export",
        output_path=OUTPUT + "/map.jsonl",
        report=True,
        mapsindoors_conn_id="twin_mapsindoors",
        outlets=[mapsindoors_asset(solution="campus")],
    )
    MapsIndoorsSyncGeodataOperator(
        task_id="plan",
        source=[{{"externalId": "A-0-01", "name": {EVIL!r}, "capacity": 4}}],
        mode="plan",
        plan_output=OUTPUT + "/map/plan.json",
        mapsindoors_conn_id="twin_mapsindoors",
    ) >> ApprovalOperator(task_id="approve", subject="Change the map?", body=BODY)

with DAG("{HIDDEN}", schedule=None):
    AmigoCloudExportOperator(
        task_id="export",
        dataset=2002,
        output_path=OUTPUT + "/zones.csv",
        amigocloud_conn_id="twin_amigocloud",
        outlets=[amigocloud_asset(project=5, dataset=2002)],
    )
    IoTStudioSyncThingsOperator(
        task_id="plan",
        source=[{{"title": "Meter B-1", "description": "new"}}],
        match_on="title",
        mode="plan",
        plan_output=OUTPUT + "/things/plan.json",
        iotstudio_conn_id="twin_iotstudio",
    ) >> ApprovalOperator(task_id="approve", subject="Change the devices?", body=BODY)
    LeanIXRunOperator(
        task_id="run",
        connector_type="report",
        connector_id="landscape",
        connector_version="1.0.0",
        processing_direction="outbound",
        poll_interval=2,
        deferrable=True,
        leanix_conn_id="twin_leanix",
    )
"""

WAITS = {"deferred", "awaiting_input"}
"""States of a task that waits for a person or for a service."""

SECTIONS = ("plans", "runs", "exports", "assets")


@dataclass
class SeenPage:
    """What a user has seen of the page "Digital twin" within Airflow's UI.

    :param rows: texts of the rows by section.
    :param api: requests to Airflow's API that the page has sent.
    :param problems: errors of scripts, and failed requests.
    """

    rows: dict[str, list[str]] = field(default_factory=dict)
    api: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass
class Observations:
    """What the scenario has observed."""

    admin: SeenPage
    guest: SeenPage
    statuses: list[int]
    form: dict[str, Any]
    answered: str
    wcag: list[str]


class TwinPage(Scenario):
    """Plans that wait, a run that lasts, exports: seen by two users of a second API server, below a path."""

    last = True  # the page shows the last exports only

    def dags(self) -> Mapping[str, str]:
        return {"twin_page.py": CODE}

    def open(self, stack: ExitStack) -> Mapping[str, str]:
        self.sandbox = stack.enter_context(Sandbox())
        self.sandbox.leanix.stuck_in = "IN_PROGRESS"
        names = ("mapsindoors", "amigocloud", "iotstudio", "leanix")
        return {f"twin_{name}": self.sandbox.connections[f"{name}_default"] for name in names}

    def run(self, airflow: LocalAirflow) -> Observations:
        with second_server(airflow) as server, open_browser() as browser:
            self.prepare(airflow)
            wait_for(server.is_ready, seconds=180)
            guest = see_page(browser, server, GUEST)
            admin = see_page(browser, server, "admin")
            pages = [("plan", VISIBLE, "plan"), ("report", VISIBLE, "export"), ("plan", HIDDEN, "plan")]
            statuses = [server.page_status(GUEST, *page) for page in pages]
            wcag = find_violations(browser, server)
            wait_for(lambda: known_pauses(airflow, VISIBLE, "approve") > 0, seconds=120)
            form = answer(browser, server)
        wait_for(lambda: self.state(airflow, VISIBLE, "approve") == "success", seconds=120)
        self.sandbox.leanix.runs[0].stuck_in = None
        return Observations(admin, guest, statuses, form, self.state(airflow, VISIBLE, "approve"), wcag)

    def prepare(self, airflow: LocalAirflow) -> None:
        """Run the DAGs until all their tasks have ended or wait."""
        airflow.wait_for_dags(VISIBLE, HIDDEN)
        for dag_id in (VISIBLE, HIDDEN):
            airflow.api.unpause(dag_id)
            airflow.api.trigger(dag_id, "once")
        for dag_id in (VISIBLE, HIDDEN):
            wait_for(lambda dag_id=dag_id: self._is_waiting(airflow, dag_id), seconds=300)

    @staticmethod
    def _is_waiting(airflow: LocalAirflow, dag_id: str) -> bool:
        states = {task["task_id"]: task["state"] for task in airflow.api.tasks(dag_id, "once")}
        ended = {states.pop("export", ""), states.pop("plan", "")}
        return ended == {"success"} and set(states.values()) <= WAITS

    @staticmethod
    def state(airflow: LocalAirflow, dag_id: str, task_id: str) -> str:
        """Return the state of a task."""
        (found,) = [task for task in airflow.api.tasks(dag_id, "once") if task["task_id"] == task_id]
        return str(found["state"])


SCENARIO = TwinPage()


@dataclass(frozen=True)
class Server:
    """An API server with users.

    :param url: its base URL, with a path.
    """

    url: str

    def is_ready(self) -> bool:
        """Return whether the server answers."""
        try:
            return httpx.get(f"{self.url}/api/v2/version", trust_env=False, timeout=5).is_success
        except httpx.HTTPError:
            return False

    def token(self, user: str) -> str:
        """Sign a user in, and return the token."""
        login = {"username": user, "password": user}
        reply = httpx.post(f"{self.url}/auth/token", json=login, trust_env=False, timeout=30)
        return str(reply.raise_for_status().json()["access_token"])

    def page_status(self, user: str, kind: str, dag_id: str, task_id: str) -> int:
        """Request the recorded page of a task; return the status."""
        ids = {"dag_id": dag_id, "run_id": "once", "task_id": task_id}
        url, cookies = f"{self.url}/digital-twin/{kind}", {"_token": self.token(user)}
        return httpx.get(url, params=ids, cookies=cookies, trust_env=False, timeout=30).status_code

    @contextmanager
    def page(self, browser: Browser, user: str, **window: Any) -> Iterator[WebPage]:
        """Open a page of a user who is signed in."""
        with open_page(browser, **window) as seen:
            cookie: Any = {"name": "_token", "value": self.token(user), "url": self.url, "httpOnly": True}
            seen.page.context.add_cookies([cookie])
            seen.page.set_default_timeout(60_000)
            yield seen


@contextmanager
def second_server(airflow: LocalAirflow) -> Iterator[Server]:
    """Start an API server with two users beside the one that makes every user an admin, without waiting."""
    assert airflow.started
    (port,) = free_ports(1)
    server = Server(f"http://127.0.0.1:{port}/air")
    part, *_ = airflow.started.children()
    passwords = airflow.home / "passwords.json"
    passwords.write_text(json.dumps({user: user for user in (GUEST, "admin")}))
    environment = {
        **part.environ(),
        "PYTHONPATH": str(ROOT),
        "AIRFLOW__API__BASE_URL": server.url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__AUTH_MANAGER": "tests.system.one_dag_auth.OneDagAuthManager",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"admin:admin,{GUEST}:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
    }
    command = [str(Path(sys.executable).parent / "airflow"), "api-server", "--apps", "core"]
    started = Started.run(
        [*command, "--host", "127.0.0.1", "--port", str(port)], environment, airflow.home / "second.log", ROOT
    )
    try:
        yield server
    finally:
        started.stop()


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until a condition holds, which is asked twice a second."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def open_twin(page: Page, server: Server) -> FrameLocator:
    """Open the page from Airflow's navigation, and wait until all sections are read."""
    page.goto(f"{server.url}/plugin/digital-twin")
    frame = page.frame_locator("iframe[title='Digital twin']")
    frame.get_by_text("Updated").wait_for()
    return frame


def see_page(browser: Browser, server: Server, user: str) -> SeenPage:
    """Open the page, and return what a user sees."""
    with server.page(browser, user) as seen:
        frame = open_twin(seen.page, server)
        rows = {name: frame.locator(f"#{name} tbody tr").all_inner_texts() for name in SECTIONS}
        inner = next(one for one in seen.page.frames if "digital-twin/" in one.url and one.parent_frame)
        script = "performance.getEntriesByType('resource').map(one => one.name)"
        api = [url for url in inner.evaluate(script) if "/api/v2/" in url]
        return SeenPage(rows, api, list(seen.problems))


def find_violations(browser: Browser, server: Server) -> list[str]:
    """Return what is wrong with the page for users of phones, of keyboards and of screen readers."""
    found: list[str] = []
    for width, colours in ((390, "light"), (1280, "dark")):
        with server.page(browser, "admin", width=width, colours=colours) as seen:
            seen.page.goto(f"{server.url}/digital-twin/")
            seen.page.get_by_text("Updated").wait_for()
            found += [f"{width} {colours}: {violation}" for violation in seen.violations()]
            found += [f"{width}: too wide"] if seen.is_too_wide() else []
    return found


def answer(browser: Browser, server: Server) -> dict[str, Any]:
    """Follow the page's link to the approval of the map's plan, return what the form shows, and approve."""
    with server.page(browser, "admin") as seen:
        frame = open_twin(seen.page, server)
        frame.locator("#plans tbody tr", has_text=VISIBLE).get_by_text("Answer").click()
        seen.page.wait_for_url("**/required_actions")
        table = seen.page.locator("table", has_text="left out")
        table.wait_for()
        pages = seen.page.locator("a", has_text="plan's page")
        shown = {
            "url": seen.page.url,
            "table": table.inner_text(),
            "links": pages.evaluate_all("all => all.map(a => a.href)"),
            "evil links": seen.page.locator("a[href*='evil']").count(),
            "images": seen.page.locator("img[src=x]").count(),
            "text": seen.page.locator("body").inner_text(),
        }
        with seen.page.expect_response(lambda reply: reply.request.method == "PATCH"):
            seen.page.get_by_role("button", name="Approve").click()
        return shown


@pytest.fixture
def ran(completed: CompletedRun) -> Observations:
    done: Observations = completed.result(SCENARIO)
    return done


def test_an_admin_sees_plans_runs_exports_and_assets_of_all_dags(ran: Observations) -> None:
    # The other tests' DAGs are there, too.
    own = (VISIBLE, HIDDEN)
    rows = {
        name: [row for row in found if any(dag_id in row for dag_id in own)]
        for name, found in ran.admin.rows.items()
    }
    assert {name: len(found) for name, found in rows.items()} == dict(
        zip(SECTIONS, (2, 1, 2, 2), strict=True)
    )
    plans, exports, assets = (sorted(rows[name]) for name in ("plans", "exports", "assets"))
    assert "Change the devices?" in plans[0]
    assert "Change the map?" in plans[1]
    assert "1 changed" in plans[1]
    assert "LeanIX sync log" in rows["runs"][0]
    assert "zones.csv" in exports[0]
    assert "map.jsonl" in exports[1]
    assert "Report" in exports[1]
    assert "Report" not in exports[0]
    assert "24 rows" in assets[0]
    assert ran.admin.problems == []


def test_a_guest_sees_the_rows_of_the_only_dag_that_they_may_see(ran: Observations) -> None:
    rows = ran.guest.rows
    assert {name: len(found) for name, found in rows.items()} == dict(
        zip(SECTIONS, (1, 0, 1, 1), strict=True)
    )
    assert all(VISIBLE in row for found in rows.values() for row in found)
    assert HIDDEN not in str(rows)
    assert ran.guest.problems == []


def test_pages_of_plans_and_reports_are_served_to_those_who_may_see_their_dag_only(
    ran: Observations,
) -> None:
    assert ran.statuses == [200, 200, 403]


def test_the_page_reads_airflows_public_api_and_nothing_else(ran: Observations) -> None:
    assert len(ran.admin.api) > 10
    assert all("/air/api/v2/" in url for url in ran.admin.api)


def test_the_page_in_airflow_fits_the_screen_and_meets_wcag_aa(ran: Observations) -> None:
    assert ran.wcag == []


def test_the_approval_shows_a_table_and_changes_in_words_and_a_link_to_the_page(ran: Observations) -> None:
    assert ran.form["url"].endswith(f"/dags/{VISIBLE}/runs/once/tasks/approve/required_actions")
    assert ran.form["table"].split()[:3] == ["new", "moved", "changed"]
    assert "changed room A | <img src=x onerror=alert(1)> `b` [c](http" in ran.form["text"]
    (link,) = ran.form["links"]
    assert urlsplit(link).path == "/digital-twin/plan"
    assert ran.answered == "success"


def test_a_rooms_name_becomes_neither_an_image_nor_a_link_in_the_approval(ran: Observations) -> None:
    assert (ran.form["evil links"], ran.form["images"]) == (0, 0)
