"""The page of a plan in a browser: on a phone and on a desk, light and dark, small and large."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from airflow_provider.mapsindoors.operators import MapsIndoorsSyncGeodataOperator
from airflow_provider.sandbox import Sandbox
from tests.support.web_page import open_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser

DESK = {"baseType": "poi", "displayType": "Workspace", "parentBuilding": "BLD-A", "parentFloor": 0}


def rows(count: int) -> list[dict[str, Any]]:
    """Return rows that change a room, move another one, and create all but two of ``count`` objects."""
    desks = [
        {
            **DESK,
            "externalId": f"DESK-{number:05}-of-a-table-with-long-names",
            "name": f"Desk {number}",
            "lon": 12.5705 + number % 70 * 1e-6,
            "lat": 55.7805 + number // 70 * 1e-6,
        }
        for number in range(2, count)
    ]
    ring = [
        [12.5704, 55.7804],
        [12.5706, 55.7804],
        [12.5706, 55.7805],
        [12.5704, 55.7805],
        [12.5704, 55.7804],
    ]
    moved = {"externalId": "A-0-02", "geometry": {"type": "Polygon", "coordinates": [ring]}}
    return [{"externalId": "A-0-01", "name": "Reception", "capacity": 4}, moved, *desks][:count]


KINDS: dict[str, dict[str, Any]] = {
    "one change": {"source": rows(1)},
    "all kinds": {"source": rows(4), "missing": "deactivate", "scope": {"base_types": ["room", "poi"]}},
    "all kinds, with deletions": {"source": rows(2), "missing": "delete", "scope": {"base_types": ["room"]}},
    "5000 changes": {"source": rows(5000)},
}


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def plan_page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of a plan."""
    folder = tmp_path_factory.mktemp("plan")
    with Sandbox() as sandbox, pytest.MonkeyPatch.context() as patch:
        for conn_id, text in sandbox.connections.items():
            patch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", text)
        patch.setenv("DIGITAL_TWIN_STORE", str(folder))
        MapsIndoorsSyncGeodataOperator(
            task_id="plan",
            mode="plan",
            plan_output=str(folder / "plan.json"),
            max_deletes=1000,
            max_delete_ratio=1,
            **request.param,
        ).execute({})
    return folder / "plan.html"


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_of_a_plan_fits_the_screen_and_meets_wcag_aa(
    browser: Browser, plan_page: Path, width: int, colours: Literal["light", "dark"]
) -> None:
    with open_page(browser, width, colours) as seen:
        seen.page.goto(plan_page.as_uri())
        assert not seen.is_too_wide()
        assert seen.problems == []
        assert seen.urls == [plan_page.as_uri()]
        # Thousands of shapes have the colours of the smaller pages; to look at each would take minutes.
        large = plan_page.stat().st_size > 1e6
        assert seen.violations(without=("color-contrast",) if large else ()) == []


def test_the_page_of_a_plan_follows_the_colours_of_the_user(browser: Browser, plan_page: Path) -> None:
    shown = {}
    for colours in ("light", "dark"):
        with open_page(browser, colours=colours) as seen:
            seen.page.goto(plan_page.as_uri())
            shown[colours] = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert shown == {"light": "rgb(244, 246, 249)", "dark": "rgb(16, 22, 29)"}


def test_a_shape_leads_to_its_row_of_the_table_without_a_mouse(browser: Browser, plan_page: Path) -> None:
    with open_page(browser) as seen:
        seen.page.goto(plan_page.as_uri())
        seen.page.locator("svg a[href='#change-1']").first.focus()
        seen.page.keyboard.press("Enter")
        assert seen.page.evaluate("document.querySelector(':target').id") == "change-1"
