"""Chromium: taken from the machine or from Debian's package, without a window, driven by Selenium.

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
    from selenium.webdriver import Chrome

ROOT = Path(__file__).resolve().parents[1] / ".chromium"


def find_programs() -> tuple[str, str]:
    """Return the paths of Chromium and of its driver; their package is downloaded when the machine has none.

    :raises NoPackageError: when that fails.
    """
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser and driver:
        return browser, driver
    debian_packages.unpack_once("chromium-driver", ROOT)
    return str(ROOT / "usr/lib/chromium/chromium"), str(ROOT / "usr/bin/chromedriver")


@contextmanager
def browser(width: int = 1280, height: int = 900) -> Iterator[Chrome]:
    """Start a browser, which is stopped at the end.

    :param width: of the window, in pixels.
    :param height: of the window, in pixels.
    """
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    program, driver = find_programs()
    options = ChromeOptions()
    options.binary_location = program
    # In a container, the sandbox of the browser's processes lacks the rights that it needs.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    options.add_argument(f"--window-size={width},{height}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    libraries = os.pathsep.join([debian_packages.libraries(ROOT), os.environ.get("LD_LIBRARY_PATH", "")])
    service = ChromeService(driver, env={**os.environ, "LD_LIBRARY_PATH": libraries})
    chrome = Chrome(options=options, service=service)
    try:
        yield chrome
    finally:
        chrome.quit()
