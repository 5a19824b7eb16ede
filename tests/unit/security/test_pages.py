"""Pages of plans: no text of a row or a service becomes markup, a script or a link."""

from __future__ import annotations

from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.core.pages.page import PLAN, page_parts, page_prefix
from airflow_provider.core.sync.page import render_changes, render_failures, render_fields, render_name
from airflow_provider.leanix.as_code.page import page as leanix_page
from airflow_provider.mapsindoors.catalogue.page import page as catalogue_page

EVIL = "</title></style></td>\"'><script>alert(1)</script><img src=x onerror=alert(1)><a href='javascript:1'>"


class Tags(HTMLParser):
    """Collects the tags and attributes of a page.

    :param page: its HTML.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}


def leanix_plan() -> str:
    change = SimpleNamespace(sign="~", path=EVIL, old=EVIL, new={EVIL: EVIL})
    entry: Any = SimpleNamespace(operation="update", name=EVIL, changes=[change])
    counts = {"create": 0, "update": 1, "unchanged": 0}
    plan: Any = SimpleNamespace(host=EVIL, fingerprint=EVIL, entries=[entry], counts=lambda: counts)
    return b"".join(leanix_page(plan)).decode()


def catalogue_plan() -> str:
    fields = {EVIL: (EVIL, [EVIL])}
    change: Any = SimpleNamespace(operation="update", row=EVIL, key=EVIL, id=EVIL, fields=fields)
    failed = [{"row": EVIL, "key": EVIL, "reasons": [EVIL]}]
    plan: Any = SimpleNamespace(
        kind=EVIL,
        fingerprint=EVIL,
        compared=3,
        unchanged=1,
        failed=failed,
        changes=[change],
        counts=lambda: {"update": 1},
    )
    return b"".join(catalogue_page(plan, EVIL)).decode()


def parts() -> str:
    failures = render_failures([{"row": EVIL, "key": EVIL, "reasons": [EVIL]}])
    cells = (render_name(EVIL, f"{EVIL} key"), render_fields([(EVIL, EVIL, EVIL)]))
    changes = render_changes(("Which", "Fields"), [cells], 1)
    return "".join(page_parts(page_prefix(EVIL, PLAN), EVIL, [*changes, *failures]))


@pytest.mark.parametrize("make", [leanix_plan, catalogue_plan, parts])
def test_no_text_of_a_plan_becomes_markup_a_script_or_a_link(make: Any) -> None:
    page = make()
    found = Tags(page)
    assert not found.names & {"script", "img", "a", "iframe", "object", "form", "link", "base"}
    assert not {name for name in found.attributes if name.startswith(("on", "src", "href"))}
    assert page.count("alert(1)") > 1, "the page has none of the texts: the test proves nothing"


@pytest.mark.parametrize("make", [leanix_plan, catalogue_plan, parts])
def test_the_direction_of_a_text_ends_with_its_cell(make: Any) -> None:
    style = make().partition("<style>")[2].partition("</style>")[0]
    assert ":is(h1,p,td,span){unicode-bidi:isolate}" in style.replace("\n", "")
