"""Fixtures of the tests that see pages in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dev import site
from dev.browser import open_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of the site in one process: it is built once, into one folder."""
    for item in items:
        if "built_site" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("site"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start a browser without a window."""
    with open_browser() as started:
        yield started


@pytest.fixture(scope="session")
def built_site() -> Path:
    """Return the folder of the documentation's site, as ``make docs`` builds it."""
    return site.build()
