"""The documentation's site in a browser: from the disk, without a network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.web_page import open_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser


EACH_KIND = ("index", "tutorial", "architecture", "mapsindoors", "changelog", "reference/leanix/operators")
"""Pages with all scripts of the site: the pages of a kind have the same ones."""

_FOREIGN = re.compile(
    r"<(?:script|img|iframe|source|link(?! rel=\"(?:next|prev)\"))\b[^>]*? (?:src|srcset|href)=\"?"
    r"((?:https?:)?//[^\" >]+)"
)
"""What a page loads from another host; the links to the next and to the previous page are not loaded."""


def test_no_page_loads_anything_of_another_host(built_site: Path) -> None:
    pages = {str(path.relative_to(built_site)): path.read_text() for path in built_site.rglob("*.html")}
    assert len(pages) > 50
    assert {name: found for name, text in pages.items() if (found := _FOREIGN.findall(text))} == {}


@pytest.mark.parametrize(
    "names", [EACH_KIND, pytest.param((), marks=pytest.mark.nightly)], ids=["each kind", "all"]
)
def test_no_page_has_a_script_error_or_asks_another_host_or_for_what_it_does_not_show(
    browser: Browser, built_site: Path, names: tuple[str, ...]
) -> None:
    found: dict[str, list[str]] = {}
    drawing: dict[str, bool] = {}
    every = sorted({*built_site.rglob("*.html")} - {built_site / "404.html"})  # that is for web servers
    pages = [built_site / f"{name}.html" for name in names] or every
    with open_page(browser) as seen:
        for path in pages:
            seen.problems.clear()
            before = len(seen.urls)
            seen.page.goto(path.as_uri())
            drawing[path.name] = any(url.endswith("/mermaid.js") for url in seen.urls[before:])
            if seen.problems:
                found[path.name] = list(seen.problems)
        foreign = [url for url in seen.urls if not url.startswith("file:")]
    assert (found, foreign) == ({}, [])
    # The script has 3.5 MB.
    assert [name for name, draws in drawing.items() if draws] == ["architecture.html"]


def test_search_works_offline(browser: Browser, built_site: Path) -> None:
    with open_page(browser) as seen:
        seen.page.goto((built_site / "index.html").as_uri())
        seen.page.get_by_role("button", name="Search").first.click()
        seen.page.keyboard.type("AmbiguousWriteError")
        result = seen.page.locator("a[href*='reference/errors.html?h=AmbiguousWriteError']").first
        result.click()
        seen.page.get_by_role("heading", name="AmbiguousWriteError").wait_for()
        assert seen.problems == []


def test_diagrams_are_drawn(browser: Browser, built_site: Path) -> None:
    with open_page(browser) as seen:
        seen.page.goto((built_site / "architecture.html").as_uri())
        drawn = seen.page.locator("div.mermaid")
        drawn.nth(2).wait_for()
        heights = [drawn.nth(number).bounding_box()["height"] for number in range(3)]  # type: ignore[index]
        assert min(heights) > 100
        assert seen.problems == []


@pytest.mark.parametrize("width", [390, 1280])
def test_pages_fit_the_width_of_the_screen(browser: Browser, built_site: Path, width: int) -> None:
    wide = []
    with open_page(browser, width) as seen:
        for name in ("index", "tutorial", "jobs", "mapsindoors", "faults", "reference/leanix/operators"):
            seen.page.goto((built_site / f"{name}.html").as_uri())
            wide += [name] if seen.is_too_wide() else []
    assert wide == []
