"""Fixtures of the tests that see pages in a real browser."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dev import site
from dev.browser import browser as start_browser

if TYPE_CHECKING:
    from selenium.webdriver import Chrome


@pytest.fixture(scope="session")
def browser() -> Iterator[Chrome]:
    """Start a browser without a window."""
    with start_browser() as chrome:
        yield chrome


@pytest.fixture(scope="session")
def built_site() -> Path:
    """Return the folder of the documentation's site, as ``make docs`` builds it."""
    site.write(site.PAGES)
    command = [str(Path(sys.executable).with_name("zensical")), "build", "--strict"]
    done = subprocess.run(command, cwd=site.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return site.ROOT / "build" / "site"
