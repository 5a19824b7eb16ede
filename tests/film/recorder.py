"""Record a run of the demo: the lines that it prints, and Airflow's UI at the moments that they tell of."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dev.local_airflow import LocalAirflow
from tests.film.frames import SIZE
from tests.support.airflow_ui import AirflowUi, open_ui

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NIGHTLY, CHANGED = "nightly_digital_twin", "amigocloud_dataset_changed"
MOMENTS = 3
"""Pictures of the nightly DAG while it runs."""

BETWEEN_MILLISECONDS = 6000
"""Time between two of them."""


@dataclass(frozen=True)
class Shot:
    """A picture of Airflow's UI.

    :param lines: number of lines that the demo had printed.
    :param caption: what it shows.
    :param png: the picture.
    """

    lines: int
    caption: str
    png: bytes


@dataclass
class Recorder:
    """Receive what the demo prints, and photograph Airflow's UI meanwhile.

    :param browser: the browser.
    :param lines: the lines so far.
    :param shots: the pictures so far.
    """

    browser: Browser
    lines: list[str] = field(default_factory=list)
    shots: list[Shot] = field(default_factory=list)
    _look: Callable[[str], None] | None = None

    def say(self, text: str) -> None:
        """Record lines of text, and photograph what they tell of."""
        print(text)
        self.lines += text.split("\n")
        if self._look:
            self._look(text)

    @contextmanager
    def watch(self, airflow: LocalAirflow) -> Iterator[None]:
        """Photograph a running Airflow."""
        width, height = SIZE
        with open_ui(self.browser, airflow.url, width, height) as ui:
            ui.prefer_view("graph")
            self._look = lambda text: self._look_at(ui, airflow, text)
            yield
            self._look = None

    def _look_at(self, ui: AirflowUi, airflow: LocalAirflow, text: str) -> None:
        if text.startswith("Running mapsindoors_update_geodata"):
            ui.open("/dags", "leanix_run")
            self._shoot(ui, "The example DAGs in Airflow's UI: the code is that of the documentation")
        elif re.search(f"{NIGHTLY}: (running|success)", text):
            self._nightly(ui, airflow, text.endswith("running"))
        elif re.search(f"{CHANGED}: (running|success)", text):
            (asset,) = airflow.api.get("/assets", uri_pattern="datasets/2001")["assets"]
            ui.open(f"/assets/{asset['id']}", CHANGED, "Asset Event")
            self._shoot(ui, "An event: the dataset has changed, so a DAG exports it and updates the map")

    def _nightly(self, ui: AirflowUi, airflow: LocalAirflow, runs: bool) -> None:
        (run,) = airflow.api.get(f"/dags/{NIGHTLY}/dagRuns")["dag_runs"]
        ui.open(f"/dags/{NIGHTLY}/runs/{run['dag_run_id']}", "update_map", "set_devices")
        caption = "The nightly DAG: what AmigoCloud and LeanIX know goes to the map and to the devices"
        for _ in range(MOMENTS if runs else 1):
            self._shoot(ui, caption)
            if runs:
                ui.page.wait_for_timeout(BETWEEN_MILLISECONDS)

    def _shoot(self, ui: AirflowUi, caption: str) -> None:
        self.shots.append(Shot(len(self.lines), caption, ui.picture()))
