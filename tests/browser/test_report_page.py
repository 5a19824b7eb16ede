"""The report of an export in a browser: on a phone and on a desk, light and dark, plain and hostile."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

import pytest

from airflow_provider.core.reports.report import Subject, open_report
from airflow_provider.core.reports.rows import Focus
from tests.support.web_page import open_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FOCUS = Focus(times=("at",), types=("type",), geometries=("place",))
HOSTILE = (
    "</script><script>document.title='hacked'</script>",
    "\u202e<img src=http://x.test/>\u0000",
    "y" * 900,
)


def rows(count: int, columns: int = 0) -> Iterator[dict[str, Any]]:
    """Yield rows with times, types, places of all kinds, and nulls."""
    dice = random.Random(count)
    for number in range(count):
        x, y = 12.5 + dice.gauss(0, 0.01), 55.7 + dice.gauss(0, 0.005)
        ring = [[x, y], [x + 0.002, y], [x + 0.002, y + 0.001], [x, y]]
        shapes: list[Any] = [
            {"type": "Point", "coordinates": [x, y]},
            {"type": "Polygon", "coordinates": [ring]},
            {"type": "LineString", "coordinates": ring},
            None,
        ]
        yield {
            "identifier_of_a_thing_with_a_very_long_name": f"01GQ2E9M2Y45BX9EW0F2BM{number:06}",
            "at": f"{date(2026, 1, 1) + timedelta(days=dice.randrange(80))}T10:00:00+00:00",
            "type": dice.choice(["room", "corridor", "desk", "printer", "lift", "stairs", "door", "sensor"]),
            "value": dice.choice([1, 2.5, "on", None, True, {"a": 1}]),
            "place": shapes[number % 4],
            **{f"column_{n}": n for n in range(columns)},
        }


def hostile() -> Iterator[dict[str, Any]]:
    """Yield rows whose names and values are hostile."""
    for number in range(30):
        text = HOSTILE[number % len(HOSTILE)]
        yield {
            "type": text,
            text: text,
            "at": "2026-01-01",
            "place": text,
            "huge": 10**500,
            "n": float("nan"),
        }


KINDS: dict[str, list[list[dict[str, Any]]]] = {
    "with changes": [list(rows(400)), list(rows(900, 3))],
    "large": [list(rows(6_000, 300))],
    "hostile": [list(hostile()), list(hostile())[:7]],
    "empty": [[]],
}


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def report_page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of the last of some exports."""
    path = tmp_path_factory.mktemp("report") / "a-file-with-a-long-name-of-an-export.jsonl"
    task = SimpleNamespace(report=True, outlets=(), log=logging.getLogger("task"))
    for exported in request.param:
        report = open_report(task, {}, str(path), Subject("Export of everything", "A source", FOCUS))
        assert report is not None
        report.add_rows(exported)
        manifest = {"uri": str(path), "format": "jsonl", "rows": len(exported), "bytes": 123, "files": [{}]}
        assert report.finish(manifest)["report"]
    return Path(report.uri)


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_report_fits_the_screen_and_meets_wcag_aa(
    browser: Browser, report_page: Path, width: int, colours: Literal["light", "dark"]
) -> None:
    with open_page(browser, width, colours) as seen:
        seen.page.goto(report_page.as_uri())
        assert not seen.is_too_wide()
        assert seen.problems == []
        assert seen.urls == [report_page.as_uri()]
        assert "hacked" not in seen.page.title()
        # Hundreds of columns have the colours of the smaller pages; to check each would take minutes.
        large = report_page.stat().st_size > 2e5
        assert seen.violations(without=("color-contrast",) if large else ()) == []


def test_a_table_on_a_phone_has_its_headings_beside_the_values(browser: Browser, report_page: Path) -> None:
    shown = {}
    for width in (390, 1280):
        with open_page(browser, width) as seen:
            seen.page.goto(report_page.as_uri())
            script = "cells => cells.map(cell => getComputedStyle(cell, '::before').content)"
            shown[width] = set(seen.page.locator("td[data-label=Filled]").evaluate_all(script))
    assert shown[390] != shown[1280] or "No rows" in report_page.read_text()
    assert "none" not in shown[390]


def test_a_report_follows_the_colours_of_the_user(browser: Browser, report_page: Path) -> None:
    shown = {}
    for colours in ("light", "dark"):
        with open_page(browser, colours=colours) as seen:  # type: ignore[arg-type]
            seen.page.goto(report_page.as_uri())
            shown[colours] = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert shown == {"light": "rgb(244, 246, 249)", "dark": "rgb(16, 22, 29)"}
