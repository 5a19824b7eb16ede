"""Chromium: taken from the machine or from Debian's package, without a window, driven by Playwright.

The package is unpacked into ``.chromium``, which needs no root.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from dev import debian_packages

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[1] / ".chromium"
FONTS = ("fonts-inter", "fonts-liberation")
"""Packages of the fonts that pictures are made with: that of Airflow's pages, and one of equal widths."""

FONT_SETTINGS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>{folder}</dir>
  <cachedir>{folder}/cache</cachedir>
  <alias><family>sans-serif</family><prefer><family>Inter</family></prefer></alias>
  <alias><family>system-ui</family><prefer><family>Inter</family></prefer></alias>
  <alias><family>monospace</family><prefer><family>Liberation Mono</family></prefer></alias>
</fontconfig>
"""
"""Settings of fontconfig that leave out the fonts of the machine."""


def find_program() -> str:
    """Return the path of Chromium; its package is downloaded when the machine has none.

    :raises NoPackageError: when that fails.
    """
    if found := shutil.which("chromium"):
        return found
    debian_packages.unpack_once("chromium", ROOT)
    return str(ROOT / "usr/lib/chromium/chromium")


def font_settings() -> str:
    """Return the path of settings with the fonts of pictures, so that these look alike on every machine.

    :raises NoPackageError: when the fonts cannot be downloaded.
    """
    ROOT.mkdir(exist_ok=True)
    folder = ROOT / "fonts"
    with debian_packages.once(folder) as is_complete:
        if not is_complete:
            debian_packages.unpack(FONTS, folder)
            (folder / "fonts.conf").write_text(FONT_SETTINGS.format(folder=folder))
    return str(folder / "fonts.conf")


@contextmanager
def open_browser(own_fonts: bool = False) -> Iterator[Browser]:
    """Start a browser, which is stopped at the end.

    :param own_fonts: whether pages are shown with the fonts of pictures instead of the machine's.
    """
    from playwright.sync_api import sync_playwright

    program = find_program()
    libraries = os.pathsep.join([debian_packages.libraries(ROOT), os.environ.get("LD_LIBRARY_PATH", "")])
    env: dict[str, str | float | bool] = {**os.environ, "LD_LIBRARY_PATH": libraries}
    if own_fonts:
        env["FONTCONFIG_FILE"] = font_settings()
    # In a container, the sandbox of the browser's processes lacks the rights that it needs.
    arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
    # When it ends, the browser leaves temporary files behind now and then.
    folder = TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
    with folder as env["TMPDIR"], sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, env=env, args=arguments)
        try:
            yield browser
        finally:
            browser.close()
