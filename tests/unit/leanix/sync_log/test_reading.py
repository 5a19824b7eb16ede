"""Pages of the sync log, while it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider.core.http.twins import iterate
from airflow_provider.errors import IncompleteExportError
from airflow_provider.leanix import sync_items
from airflow_provider.leanix.sync_items import PAGE, created_at

START = datetime(2026, 1, 1, tzinfo=UTC)


def read_items(
    page: Callable[[int], list[dict[str, Any]]], *, since: datetime | None = None
) -> Iterator[dict[str, Any]]:
    async def fetch(number: int) -> list[dict[str, Any]]:
        return page(number)

    return iterate(sync_items.read_items(fetch, since=since))


def item(number: int, **more: Any) -> dict[str, Any]:
    at = (START + timedelta(seconds=number // 3)).isoformat().replace("+00:00", "Z")
    return {"id": f"i{number}", "type": "T", "status": "OK", "createdAt": at, **more}


class Log:
    """A log, newest first, to which items are added after each request."""

    def __init__(self, items: list[dict[str, Any]], added: list[int], size: int = PAGE) -> None:
        self.items, self.added, self.size = list(items), list(added), size
        self.requests = 0

    def page(self, number: int) -> list[dict[str, Any]]:
        self.requests += 1
        found = self.items[self.size * (number - 1) : self.size * number]
        for _ in range(self.added.pop(0) if self.added else 0):
            self.items.insert(0, item(len(self.items)))
        return found


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(0, 450),
    added=st.lists(st.integers(0, 130).filter(lambda number: number == 0 or number % 10 > 0), max_size=6),
    size=st.sampled_from([PAGE, 30]),
)
def test_items_added_meanwhile_lose_and_double_none_of_the_others(
    count: int, added: list[int], size: int
) -> None:
    items = [item(number) for number in reversed(range(count))]
    found = [row["id"] for row in read_items(Log(items, added, size).page)]
    assert len(set(found)) == len(found)
    old = {row["id"] for row in items}
    assert [one for one in found if one in old] == [row["id"] for row in items]


def test_a_whole_page_that_is_added_meanwhile_loses_no_item() -> None:
    items = [item(number) for number in reversed(range(250))]
    found = [row["id"] for row in read_items(Log(items, [PAGE]).page)]
    assert [one for one in found if int(one[1:]) < 250] == [row["id"] for row in items]


def test_items_without_ids_differ_by_all_their_fields() -> None:
    items = [{name: value for name, value in item(n).items() if name != "id"} for n in (9, 5, 1)]
    assert list(read_items(Log(items, []).page)) == items


def test_reading_since_a_time_ends_with_the_first_older_page() -> None:
    log = Log([item(number) for number in reversed(range(1000))], [])
    since = START + timedelta(seconds=250)
    assert len(list(read_items(log.page, since=since))) == 250
    assert log.requests <= 5


def test_a_log_in_another_order_is_read_to_its_end() -> None:
    log = Log([item(number) for number in range(500)], [])
    assert len(list(read_items(log.page, since=START + timedelta(seconds=150)))) == 50


def test_a_service_that_ignores_the_number_of_the_page_is_found_out() -> None:
    items = [item(number) for number in range(PAGE)]
    with pytest.raises(IncompleteExportError, match="page 3 of the sync log is the same"):
        list(read_items(lambda _: items))
    assert list(read_items(lambda _: items[:7])) == items[:7]


def test_an_item_without_time_cannot_be_selected_by_time() -> None:
    rows = [{"id": 1, "createdAt": "soon"}]
    assert list(read_items(Log(rows, []).page)) == rows
    with pytest.raises(IncompleteExportError, match=r"no 'createdAt' that is a time: fields createdAt, id"):
        list(read_items(Log(rows, []).page, since=START))


@pytest.mark.parametrize(
    "text",
    ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000000Z", "2026-01-01T01:00:00+01:00", 1767225600000],
)
def test_times_come_in_several_forms(text: Any) -> None:
    assert created_at({"createdAt": text}) == START
