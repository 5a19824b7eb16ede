"""Airflow's UI in a real browser: a page that is logged in, its problems, its links, and pictures of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.support.web_page import WebPage

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page, Request, Response

WAIT_MILLISECONDS = 60_000
"""Maximum wait for an element: the machine may run tasks at the same time."""

COMPLETE = """() => ![...document.querySelectorAll('[class*=skeleton], [role=progressbar]')].some(
  one => one.checkVisibility({opacityProperty: true, visibilityProperty: true}))"""
"""Whether no element stands for content that has not arrived yet."""

QUIRKS: Mapping[str, str] = {
    r"^404: [^?]*/taskInstances/[^/]+/tries/1\?": "the details of a task ask for its first attempt, which"
    " Airflow does not keep when a deferred task resumes before the scheduler has learned that it waits",
}
"""Reason by a pattern of a problem of Airflow's own pages."""

SIMPLIFY = """() => {
  document.querySelectorAll('.react-flow__minimap').forEach(map => map.style.display = 'none');
  document.activeElement?.blur();
}"""
RENAME = """([from, to]) => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replaceAll(from, to);
}"""


class AirflowUi:
    """Airflow's UI as a user sees it.

    :param url: base URL of the API server.
    :param page: a page of a browser.
    """

    def __init__(self, url: str, page: Page) -> None:
        self.url = url
        self.page = page
        self.seen = WebPage(page)
        page.set_default_timeout(WAIT_MILLISECONDS)
        page.on("pageerror", lambda error: self.seen.problems.append(f"script error: {error}"))
        page.on("requestfailed", self.seen.note_failure)
        page.on("request", self._note_request)
        page.on("response", self._note_refusal)

    def _note_request(self, request: Request) -> None:
        if not request.is_navigation_request():  # a link may lead to another host
            self.seen.urls.append(request.url)

    def _note_refusal(self, response: Response) -> None:
        if response.status >= 400:
            self.seen.problems.append(f"{response.status}: {response.url}")

    def open(self, path: str, *texts: str) -> None:
        """Open a path, and wait until the page is complete and shows texts.

        :param path: such as ``/assets``.
        :param texts: texts that the complete page shows.
        """
        self.page.goto(self.url + path)
        self.settle(*texts)

    def settle(self, *texts: str) -> None:
        """Wait until the page shows texts, and nothing is loading."""
        for text in texts:
            self.page.get_by_text(text).first.wait_for()
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_function(COMPLETE)
        self.page.evaluate("document.fonts.ready")

    def prefer_view(self, view: str) -> None:
        """Show DAGs as a user who prefers a view has them.

        :param view: ``graph`` or ``grid``.
        """
        self.page.evaluate("view => localStorage.setItem('default_dag_view', JSON.stringify(view))", view)

    def problems(self) -> list[str]:
        """Return script errors, failed requests, and requests to other hosts, without known quirks."""
        own = urlsplit(self.url).netloc
        hosts = {urlsplit(url).netloc for url in self.seen.urls if url.startswith(("http:", "https:"))}
        found = [*self.seen.problems, *(f"another host: {host}" for host in sorted(hosts - {own}))]
        return [problem for problem in found if not any(re.search(quirk, problem) for quirk in QUIRKS)]

    def take_problems(self) -> list[str]:
        """Return the problems since the last call, see :meth:`problems`."""
        found = self.problems()
        self.seen.problems.clear()
        self.seen.urls.clear()
        return found

    def extra_links(self, dag_id: str, run_id: str, task_id: str) -> list[Locator]:
        """Open the details of a task; return its links.

        :param dag_id: the DAG's id.
        :param run_id: the run's id.
        :param task_id: the task's id.
        """
        self.open(f"/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/details", "Extra Links")
        links = self.page.get_by_text("Extra Links").locator("xpath=..").locator("a[href]")
        links.first.wait_for()
        return links.all()

    def follow(self, link: Locator) -> int:
        """Click a link, and wait for its page in this window; return the page's HTTP status.

        :param link: the link.
        """
        address = link.evaluate("link => (link.target = '_self', link.href)")
        with self.page.expect_response(address) as reply:
            link.click()
        self.page.wait_for_url(address)
        self.settle()
        return reply.value.status

    def texts(self) -> str:
        """Return the texts of the page and of the pages within it."""
        return "\n".join(frame.inner_text("body") for frame in self.page.frames)

    def picture(self, part: Locator | None = None, renamed: Mapping[str, str] | None = None) -> bytes:
        """Return a PNG of what the window shows, without a focus and the small map of a graph.

        :param part: an element of the page, whose part in the window is shown; without it the window.
        :param renamed: texts of the page that differ from machine to machine, with what stands for them.
        """
        self.page.evaluate(SIMPLIFY)
        for text, other in (renamed or {}).items():
            for frame in self.page.frames:
                frame.evaluate(RENAME, [text, other])
        box = part.bounding_box() if part else None
        return self.page.screenshot(clip=box) if box else self.page.screenshot()


@contextmanager
def open_ui(browser: Browser, url: str, width: int = 1280, height: int = 800) -> Iterator[AirflowUi]:
    """Open Airflow's UI, logged in, in a window in light colours whose clock shows UTC.

    :param browser: the browser, see :func:`dev.browser.open_browser`.
    :param url: base URL of an API server that logs every user in as an admin.
    :param width: of the window, in pixels.
    :param height: of the window, in pixels.
    """
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="light",
        locale="en-GB",
        timezone_id="UTC",
        reduced_motion="reduce",
    )
    try:
        ui = AirflowUi(url, context.new_page())
        ui.open("/", "Dags")  # leads to the login, and back
        yield ui
    finally:
        context.close()
