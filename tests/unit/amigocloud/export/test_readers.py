"""Counts that change between pages, and where a reader of links resumes."""

from __future__ import annotations

from typing import Any, cast

import pytest
from msgspec import Raw

from airflow_provider.amigocloud.export.checkpoint import SavedPages
from airflow_provider.amigocloud.export.readers import NextLinkReader, ReadOptions, check_counts
from airflow_provider.amigocloud.pagination import Page
from airflow_provider.core.http.call import Call
from airflow_provider.errors import IncompleteExportError

ROW = [Raw(b"{}")]


def counted(*counts: int | None, saved: int | None = -1) -> list[int | None]:
    earlier = None if saved == -1 else SavedPages("r", "s", saved, None, None)
    pages = check_counts((Page(ROW, count=count) for count in counts), earlier)
    return [page.count for page in pages]


@pytest.mark.parametrize(
    ("counts", "saved"),
    [((5, 5, 5), -1), ((None, 5, 6), -1), ((5,), 5), ((None, None), None), ((7, 8), None)],
)
def test_pages_of_one_count_are_passed_on(counts: tuple[int | None, ...], saved: int | None) -> None:
    assert counted(*counts, saved=saved) == list(counts)


@pytest.mark.parametrize(
    ("counts", "saved", "then"),
    [((5, 5, 6), -1, 6), ((5, None), -1, None), ((6,), 5, 6), ((5, 4), 5, 4)],
)
def test_a_count_that_changes_is_an_incomplete_export(
    counts: tuple[int | None, ...], saved: int | None, then: int | None
) -> None:
    with pytest.raises(IncompleteExportError) as caught:
        counted(*counts, saved=saved)
    assert str(caught.value) == (
        f"the data changed while it was read page by page: the service counted 5 rows, then {then}; nothing"
        " was published"
    )


def test_links_are_followed_from_the_start_or_from_a_saved_page() -> None:
    sent: list[Call[Any]] = []

    def send(call: Call[Any]) -> Page:
        sent.append(call)
        return Page(ROW, "/q?query=SELECT&o=2&token=t" if len(sent) == 1 else None, 2)

    hook: Any = type("Hook", (), {"send": staticmethod(send)})
    reader = NextLinkReader(hook, "SELECT 1", ReadOptions(page_size=7))
    assert reader.prepare() is None
    found = list(reader.pages({"state": "s"}, None))
    assert [reader.resume_point(page) for page in found] == ["/q?o=2&token=t", None]
    assert cast("dict[str, Any]", sent[0].params)["limit"] == 7
    assert cast("dict[str, Any]", sent[0].params)["state"] == "s"
    saved = SavedPages("r", "s", 2, None, None, resume_point="/q?o=4")
    assert len(list(reader.pages({"state": "s"}, saved))) == 1
    assert (sent[2].path, cast("dict[str, Any]", sent[2].params)["o"]) == ("/q", "4")
