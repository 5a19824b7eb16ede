"""The documentation's site in a browser: from the disk, without a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

RESOURCES = "return performance.getEntriesByType('resource').map(entry => entry.name)"

LINKS = """
    const found = [];
    const walk = root => root.querySelectorAll("*").forEach(element => {
        if (element.shadowRoot) walk(element.shadowRoot);
        if (root !== document && element.tagName === "A") found.push(element.href);
    });
    walk(document);
    return found"""
"""Links of the search's results, which are in a tree of their own."""


def wait(browser: Chrome, condition: Callable[[Any], Any]) -> Any:
    """Wait until a condition holds, and return its value."""
    return WebDriverWait(browser, 30, 0.1).until(condition)


def problems(browser: Chrome) -> list[str]:
    """Return the errors of scripts and of loading that the browser has logged since the last call."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_no_page_has_a_script_error_or_asks_another_host(browser: Chrome, built_site: Path) -> None:
    found = {}
    for page in sorted({*built_site.rglob("*.html")} - {built_site / "404.html"}):  # that is for web servers
        browser.get(page.as_uri())
        foreign = [name for name in browser.execute_script(RESOURCES) if not name.startswith("file:")]
        if wrong := problems(browser) + foreign:
            found[page.name] = wrong
    assert found == {}


def test_search_works_offline(browser: Chrome, built_site: Path) -> None:
    browser.get((built_site / "index.html").as_uri())
    wait(browser, lambda b: b.find_element(By.CSS_SELECTOR, ".md-search__button")).click()
    ActionChains(browser).pause(0.5).send_keys("AmbiguousWriteError").perform()
    found = "reference/errors.html?h=AmbiguousWriteError"
    wait(browser, lambda b: any(found in link for link in b.execute_script(LINKS)))
    assert problems(browser) == []


def test_diagrams_are_drawn(browser: Chrome, built_site: Path) -> None:
    browser.get((built_site / "architecture.html").as_uri())
    count = len(browser.find_elements(By.CSS_SELECTOR, ".mermaid"))
    assert count == 3
    wait(browser, lambda b: all(e.size["height"] > 100 for e in b.find_elements(By.CSS_SELECTOR, ".mermaid")))
    assert problems(browser) == []


@pytest.mark.parametrize("width", [400, 1280])
def test_pages_fit_the_width_of_the_screen(browser: Chrome, built_site: Path, width: int) -> None:
    browser.set_window_size(width, 900)
    found = []
    for name in ("index", "tutorial", "jobs", "mapsindoors", "reference/leanix/operators"):
        browser.get((built_site / f"{name}.html").as_uri())
        if browser.execute_script("return document.documentElement.scrollWidth - innerWidth") > 1:
            found.append(name)
    browser.set_window_size(1280, 900)
    assert found == []
