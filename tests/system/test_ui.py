"""Airflow's UI in a real browser: what the provider shows in it works, and the docs have pictures of it.

``make pictures`` writes the pictures; in other runs the tests only check that they can be taken.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Error as PlaywrightError

from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from dev import pictures
from dev.browser import open_browser
from dev.demo import Job, follow
from dev.local_airflow import ROOT, LocalAirflow
from tests.support.airflow_ui import AirflowUi, open_ui
from tests.support.wait import until
from tests.system import ui_forms
from tests.system.scenarios import CompletedRun, Scenario
from tests.system.test_demo import SCENARIO as DEMO
from tests.system.ui_forms import EXTRA, TYPES, Form, extras_of_hook, standard_labels

if TYPE_CHECKING:
    from playwright.sync_api import Locator

pytestmark = pytest.mark.system

PASSWORD, KEY = "canary-of-the-password", "canary-of-the-key"
APPROVAL, ROOMS = "mapsindoors_sync_with_approval", "campus_rooms"
RUN = "tonight"
NIGHTLY = ("export_assets", "fetch_landscape", "work_out", "update_map", "set_devices")
"""Tasks of the nightly DAG."""

LIMIT = "54 deletions are more than max_deletes=5"
CODE = """
from airflow.sdk import DAG

from airflow_provider.mapsindoors.operators import MapsIndoorsSyncGeodataOperator

# The list of rooms has lost most of its rows.
LIST = [{"externalId": "A-0-01", "name": "Reception"}, {"externalId": "A-0-02", "name": "Print room"}]

with DAG("campus_rooms", schedule=None, tags=["mapsindoors"], default_args={"retries": 0}) as dag:
    MapsIndoorsSyncGeodataOperator(
        task_id="sync_rooms",
        source=LIST,
        missing="delete",
        scope={"base_types": ["room"]},
        max_deletes=5,
        plan_output="{{ var.value.twin_output }}/rooms/plan.json",
    )
"""
"""A sync with a limit, whose source is incomplete."""

WAITING = ("deferred", "awaiting_input")
SHOWN_FOLDER = "/srv/twin"
"""Folder that pictures show instead of the test's."""

SHOWN_STORE = "/dev/shm/airflow-dt-1000"
"""Store of request budgets that pictures show instead of the test's."""


@dataclass
class UiRun:
    """What a user has seen.

    :param problems: what a user would complain about, by step.
    :param forms: forms of new connections by their types.
    :param links: page behind each link of a task, by label: HTTP status and title.
    :param texts: texts of pages by step.
    :param pictures: PNGs by the names of the docs' pictures.
    :param shown: texts of the pages in the pictures.
    """

    problems: dict[str, list[str]] = field(default_factory=dict)
    forms: dict[str, Form] = field(default_factory=dict)
    links: dict[str, tuple[int, str]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)


class User:
    """A user who looks at the demo's Airflow; each public method is a step.

    :param ui: Airflow's UI.
    :param airflow: the running Airflow.
    :param seen: receives what the user sees.
    """

    def __init__(self, ui: AirflowUi, airflow: LocalAirflow, seen: UiRun) -> None:
        self.ui = ui
        self.airflow = airflow
        self.seen = seen

    def connection_forms(self) -> None:
        """Open the forms of new connections of all types."""
        form = ui_forms.new_form(self.ui)
        for conn_type in TYPES:
            self._window(1280, 800)
            ui_forms.choose(self.ui, form, conn_type, f"{conn_type}_default")
            self._photograph(f"connection-{conn_type}", form)
            self._window(1280, ui_forms.TALL)
            self.seen.forms[conn_type] = ui_forms.read(form)
            if conn_type == "mapsindoors":
                self._window(1280, 1180)
                self._photograph("connection-extras", form)
            ui_forms.unfold(form, "Standard Fields")

    def saved_connection(self) -> None:
        """Save a connection with secrets, and open it again."""
        form = ui_forms.new_form(self.ui)
        ui_forms.choose(self.ui, form, "mapsindoors", "saved_by_form")
        form.locator("[name=password]").fill(PASSWORD)
        form.locator("[name=login]").fill("etl@example.com")
        ui_forms.unfold(form)
        form.locator(f"[name={EXTRA}api_key]").fill(KEY)
        form.get_by_role("button", name="Save").click()
        form.wait_for(state="hidden")
        row = self.ui.page.get_by_role("row").filter(has_text="saved_by_form")
        row.get_by_role("button", name="Edit Connection").click()
        ui_forms.unfold(form)
        self.seen.forms["saved"] = ui_forms.read(form)
        self.seen.texts["saved"] = self.ui.page.content()
        self.seen.texts["stored"] = json.dumps(self.airflow.api.get("/connections/saved_by_form"))
        self.airflow.api.http.delete("/api/v2/connections/saved_by_form").raise_for_status()

    def nightly_graph(self) -> None:
        """Open the graph of the last run of the nightly DAG."""
        self._window(1280, 540)
        self.ui.prefer_view("graph")
        path = f"/dags/nightly_digital_twin/runs/{last_run(self.airflow, 'nightly_digital_twin')}"
        self.ui.open(path, *NIGHTLY)
        # The states of the tasks come by a request of their own.
        done = self.ui.page.locator(".react-flow__node", has_text="success")
        done.nth(len(NIGHTLY) - 1).wait_for()
        self.seen.texts["graph"] = self._nodes()
        self._photograph("nightly-graph")

    def asset_graph(self) -> None:
        """Open the graph of the asset whose change has started a DAG."""
        self._window(1280, 480)
        assets = self.airflow.api.get("/assets", uri_pattern="amigocloud://")["assets"]
        (asset,) = (item for item in assets if item["uri"].endswith("/datasets/2001"))
        self.ui.open(f"/assets/{asset['id']}", "amigocloud_dataset_changed", "Asset Event")
        self.seen.texts["assets"] = self._nodes()
        self._photograph("asset-graph")

    def plan_page(self) -> None:
        """Open a plan by the link of its task."""
        self._window(1280, 560)
        self.ui.prefer_view("grid")
        (link,) = self.ui.extra_links(APPROVAL, RUN, "plan")
        self._photograph("plan-link")
        self._window(1280, 1360)
        self._follow(link)
        self.seen.texts["plan"] = self.ui.page.inner_text("body")
        self._photograph("plan-page")

    def digital_twin(self) -> None:
        """Open the page about the four systems from Airflow's navigation."""
        self._window(1400, 1080)
        self.ui.open("/plugin/digital-twin")
        page = self.ui.page.frame_locator("iframe[title='Digital twin']")
        page.get_by_text("Updated").wait_for()
        self.seen.texts["twin"] = page.locator("body").inner_text()
        self._photograph("digital-twin")

    def report_page(self) -> None:
        """Open the report of an export by the link of its task."""
        run = last_run(self.airflow, "amigocloud_export_dataset")
        (link,) = self.ui.extra_links("amigocloud_export_dataset", run, "export_assets")
        self._window(1280, 1500)
        self._follow(link)
        self.seen.texts["report"] = self.ui.page.inner_text("body")
        self._photograph("report-page")

    def approval(self) -> None:
        """Open the question whether a plan is approved, and the plan by the link in it."""
        self._window(1400, 620)
        path = f"/dags/{APPROVAL}/runs/{RUN}/tasks/approve/required_actions"
        self.ui.open(path, "Change the map?", "left out")
        self._photograph("approval")
        self._follow(self.ui.page.get_by_role("link", name="See all of it on the plan's page."))

    def failed_log(self) -> None:
        """Open the log of a task that has failed."""
        self._window(1280, 580)
        self.ui.open(f"/dags/{ROOMS}/runs/{RUN}/tasks/sync_rooms", LIMIT)
        self.seen.texts["log"] = self.ui.page.content()
        self.ui.page.get_by_text(LIMIT).first.click()  # folds the traceback
        self.ui.page.keyboard.press("w")  # wraps lines
        self.ui.settle(LIMIT)
        self._photograph("failed-log")

    def sync_log(self) -> None:
        """Open LeanIX's sync log by the link of a task."""
        run = last_run(self.airflow, "leanix_run")
        (link,) = self.ui.extra_links("leanix_run", run, "fetch_landscape")
        self._follow(link)

    def _follow(self, link: Locator) -> None:
        label = link.inner_text()
        self.seen.links[label] = (self.ui.follow(link), self.ui.page.title())

    def _nodes(self) -> str:
        return "\n".join(self.ui.page.locator(".react-flow__node").all_inner_texts())

    def _window(self, width: int, height: int) -> None:
        self.ui.page.set_viewport_size({"width": width, "height": height})

    def _photograph(self, name: str, part: Locator | None = None) -> None:
        renamed = {str(self.airflow.output): SHOWN_FOLDER, os.environ["DIGITAL_TWIN_STORE"]: SHOWN_STORE}
        self.seen.pictures[name] = self.ui.picture(part, renamed)
        self.seen.shown[name] = self.ui.texts()


FIRST_STEPS: list[Callable[[User], None]] = [
    User.connection_forms,
    User.saved_connection,
    User.nightly_graph,
    User.asset_graph,
]
"""Steps that need no run of this module."""

STEPS: list[Callable[[User], None]] = [
    *FIRST_STEPS,
    User.plan_page,
    User.digital_twin,
    User.report_page,
    User.approval,
    User.failed_log,
    User.sync_log,
]


def last_run(airflow: LocalAirflow, dag_id: str) -> str:
    """Return the id of the last run of a DAG."""
    (run,) = airflow.api.get(f"/dags/{dag_id}/dagRuns", limit=1, order_by="-run_after")["dag_runs"]
    found: str = run["dag_run_id"]
    return found


class Ui(Scenario):
    """Start what fails and what waits for an approval, and open all of it when the demo has run."""

    after = (DEMO,)

    def dags(self) -> Mapping[str, str]:
        return {f"{ROOMS}.py": CODE}

    def open(self, stack: ExitStack) -> Mapping[str, str]:
        return {}  # the demo's connections

    def run(self, airflow: LocalAirflow) -> UiRun:
        began = time.monotonic()
        rooms = self._start(airflow)
        seen = UiRun()
        with open_browser(own_fonts=True) as browser, open_ui(browser, airflow.url) as ui:
            user = User(ui, airflow, seen)
            for step in STEPS:
                if step not in FIRST_STEPS:
                    follow(airflow, [rooms], print)
                    until(lambda: _is_waiting(airflow), 120, pause=0.5)
                airflow.fail_if_a_part_ended()
                ended = _run(step, user)
                seen.problems[step.__name__] = ended + ui.take_problems()
        print(f"looked at Airflow's UI for {time.monotonic() - began:.0f} s")
        return seen

    def _start(self, airflow: LocalAirflow) -> Job:
        """Start the runs; return the one that ends without a user."""
        airflow.wait_for_dags(ROOMS, APPROVAL)
        for dag_id in (ROOMS, APPROVAL):
            airflow.api.unpause(dag_id)
            airflow.api.trigger(dag_id, RUN)
        return Job(ROOMS, "MapsIndoors", RUN)


def _run(step: Callable[[User], None], user: User) -> list[str]:
    """Run a step; return why it has ended early, so that others run all the same."""
    try:
        step(user)
    except PlaywrightError as error:
        return [str(error)]
    return []


def _is_waiting(airflow: LocalAirflow) -> bool:
    """Return whether the plan waits for an approval."""
    (state,) = [task["state"] for task in airflow.api.tasks(APPROVAL, RUN) if task["task_id"] == "approve"]
    return state in WAITING


SCENARIO = Ui()


@pytest.fixture
def seen(completed: CompletedRun) -> UiRun:
    done: UiRun = completed.result(SCENARIO)
    return done


@pytest.mark.parametrize("conn_type", TYPES)
def test_the_form_of_a_connection_has_every_field_with_its_label(seen: UiRun, conn_type: str) -> None:
    form, extras, standard = (
        seen.forms[conn_type],
        TYPES[conn_type]["conn-fields"],
        standard_labels(conn_type),
    )
    read = {EXTRA + name for name in extras_of_hook(conn_type)}
    assert {*standard, *read, "connection_id"} == set(form.inputs)
    assert {*standard.values(), *(extra["label"] for extra in extras.values())} - form.texts == set()
    described = {extra["description"] for extra in extras.values() if "description" in extra}
    assert described - form.texts == set()


@pytest.mark.parametrize("conn_type", TYPES)
def test_the_form_of_a_connection_shows_no_secret_as_plain_text(seen: UiRun, conn_type: str) -> None:
    fields = TYPES[conn_type]["conn-fields"].items()
    secret = {EXTRA + name for name, extra in fields if extra["schema"].get("format") == "password"}
    hidden = {name for name, (kind, _) in seen.forms[conn_type].inputs.items() if kind == "password"}
    assert hidden == secret | {"password"}


def test_a_saved_connection_does_not_show_its_secrets_again(seen: UiRun) -> None:
    inputs = seen.forms["saved"].inputs
    assert inputs["login"][1] == "etl@example.com"
    assert inputs["password"] == inputs[f"{EXTRA}api_key"] == ("password", "***")
    shown = seen.texts["saved"] + seen.texts["stored"]
    assert [secret for secret in (PASSWORD, KEY) if secret in shown] == []


def test_a_connection_that_the_form_has_saved_is_accepted_by_the_hook(
    seen: UiRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("conn_type", "host", "login", "password", "extra")
    stored = {name: json.loads(seen.texts["stored"])[name] for name in names}
    monkeypatch.setenv("AIRFLOW_CONN_SAVED_BY_FORM", json.dumps(stored))
    settings = MapsIndoorsHook("saved_by_form").settings
    assert settings.host == "https://integration.mapsindoors.com"
    assert settings.extras["requests_per_second"] == 10


def test_no_page_has_a_script_error_a_failed_request_or_asks_another_host(seen: UiRun) -> None:
    assert seen.problems == {step.__name__: [] for step in STEPS}


def test_the_graph_of_the_nightly_dag_shows_its_tasks_with_their_success(seen: UiRun) -> None:
    assert [task for task in NIGHTLY if task not in seen.texts["graph"]] == []
    assert seen.texts["graph"].count("success") == len(NIGHTLY)


def test_the_graph_of_an_asset_leads_to_the_dag_that_its_change_starts(seen: UiRun) -> None:
    assert "amigocloud://app.amigocloud.com/projects/1234/datasets/2001" in seen.texts["assets"]
    assert "amigocloud_dataset_changed" in seen.texts["assets"]


def test_the_links_of_tasks_and_of_an_approval_lead_to_pages(seen: UiRun) -> None:
    assert seen.links == {
        "Plan": (200, "Plan for Nordhøj Campus"),
        "Report": (200, "Export of dataset 2001"),
        "See all of it on the plan's page.": (200, "Plan for Nordhøj Campus"),
        "LeanIX sync log": (200, "Sync log (sandbox)"),
    }
    assert "Desk 17" in seen.texts["plan"]
    assert "2,971 geometries" in seen.texts["report"]


def test_the_page_of_the_digital_twin_shows_what_waits_and_what_was_exported(seen: UiRun) -> None:
    assert "Change the map?" in seen.texts["twin"]
    assert "assets.jsonl" in seen.texts["twin"]


def test_the_log_of_a_failed_task_says_why_and_holds_no_secret(seen: UiRun, completed: CompletedRun) -> None:
    assert f"PlanRejectedError: {LIMIT}" in seen.texts["log"]
    connection = json.loads(completed.connections["mapsindoors_default"])
    secrets = [connection["password"], connection["extra"]["api_key"]]
    assert [secret for secret in secrets if secret in seen.texts["log"]] == []


def test_no_picture_shows_a_path_of_the_machine(seen: UiRun) -> None:
    machine = (f"{gettempdir()}/", str(ROOT), str(Path.home()))
    found = {name: path for name, text in seen.shown.items() for path in machine if path in text}
    assert found == {}
    assert SHOWN_FOLDER in seen.shown["failed-log"]


def test_the_pictures_of_the_docs_are_those_that_can_be_taken(seen: UiRun) -> None:
    small = {f"{name}.webp": pictures.shrink(png) for name, png in seen.pictures.items()}
    if pictures.WRITE:
        print(*(pictures.write(name, content) for name, content in small.items()), sep="\n")
    assert {name: len(content) for name, content in small.items() if len(content) > pictures.MOST_BYTES} == {}
    assert [name for name, content in small.items() if pictures.is_blank(content)] == []
    assert set(small) == pictures.named_by_pages() - {pictures.FILM, pictures.STILL}
