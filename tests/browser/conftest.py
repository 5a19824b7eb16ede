"""Fixtures of the tests that see pages in a real browser."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dev import site
from dev.browser import open_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start a browser without a window."""
    with open_browser() as started:
        yield started


@pytest.fixture(scope="session")
def built_site(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Return the folder of the documentation's site, as ``make docs`` builds it.

    It has one place: the first process that needs it builds it for all.
    """
    if worker_id == "master":
        return site.build()
    done = tmp_path_factory.getbasetemp().parent / "site"
    with done.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            site.build()
            done.touch()
    return site.SITE
