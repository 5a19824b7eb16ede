"""A page in a real browser, which records what a user would complain about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
"""Rules of axe that make up WCAG 2.1, level AA."""


@dataclass
class WebPage:
    """A page, with the errors of its scripts, the requests that failed, and the hosts that it asked."""

    page: Page
    problems: list[str] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)

    def note_failure(self, request: Request) -> None:
        """Note a request that has failed; one that ended because the page was left has not."""
        if request.failure != "net::ERR_ABORTED":
            self.problems.append(f"{request.url}: {request.failure}")

    def is_too_wide(self) -> bool:
        """Return whether the page has to be scrolled sideways."""
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return bool(self.page.evaluate(script) > 1)

    def violations(self, without: Iterable[str] = ()) -> list[str]:
        """Return the violations of WCAG 2.1, level AA: the rule, and the first element of each.

        :param without: rules that are left out.
        """
        from axe_playwright_python.sync_playwright import Axe

        rules = {rule: {"enabled": False} for rule in without}
        options: dict[str, Any] = {"runOnly": RULES, "resultTypes": ["violations"], "rules": rules}
        found = Axe().run(self.page, options=options).response["violations"]
        return [f"{rule['id']}: {rule['nodes'][0]['html'][:200]}" for rule in found]


@contextmanager
def open_page(
    browser: Browser,
    width: int = 1280,
    colours: Literal["light", "dark"] = "light",
    motion: Literal["no-preference", "reduce"] = "no-preference",
) -> Iterator[WebPage]:
    """Open a page in a context of its own.

    :param browser: the browser.
    :param width: of the window, in pixels.
    :param colours: the colours that the user prefers.
    :param motion: whether the user wants less motion.
    """
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=colours, reduced_motion=motion
    )
    seen = WebPage(context.new_page())
    seen.page.on("pageerror", lambda error: seen.problems.append(str(error)))
    seen.page.on("requestfailed", seen.note_failure)
    seen.page.on("request", lambda request: seen.urls.append(request.url))
    try:
        yield seen
    finally:
        context.close()
