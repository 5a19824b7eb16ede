"""Chromium: taken from the machine or from Debian's package, without a window, driven by Playwright.

The package is unpacked into ``.chromium``, which needs no root.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dev import debian_packages

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[1] / ".chromium"


def find_program() -> str:
    """Return the path of Chromium; its package is downloaded when the machine has none.

    :raises NoPackageError: when that fails.
    """
    if found := shutil.which("chromium"):
        return found
    debian_packages.unpack_once("chromium", ROOT)
    return str(ROOT / "usr/lib/chromium/chromium")


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start a browser, which is stopped at the end."""
    from playwright.sync_api import sync_playwright

    program = find_program()
    libraries = os.pathsep.join([debian_packages.libraries(ROOT), os.environ.get("LD_LIBRARY_PATH", "")])
    env: dict[str, str | float | bool] = {**os.environ, "LD_LIBRARY_PATH": libraries}
    # In a container, the sandbox of the browser's processes lacks the rights that it needs.
    arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, env=env, args=arguments)
        try:
            yield browser
        finally:
            browser.close()
