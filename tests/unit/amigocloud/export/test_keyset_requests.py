"""Requests of a reader in key order: sent together, one page ahead, and not after it was given up."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider.amigocloud.export import keyset
from airflow_provider.amigocloud.export.checkpoint import SavedPages
from airflow_provider.amigocloud.pagination import Column
from airflow_provider.core.http.call import Call
from tests.support.wait import until
from tests.unit.amigocloud.export.test_keyset import RANDOM_IDS, Table

SORTED_IDS = sorted(RANDOM_IDS)


class HeldTable(Table):
    """Table that calls a function before each answer, with the number of the query and its text."""

    def __init__(self, keys: list[object], hold: Callable[[int, str], Any]) -> None:
        super().__init__(keys)
        self.numbers = itertools.count(1)
        self.hold = hold

    def send(self, call: Call[Any]) -> Any:
        params: Any = call.params
        self.hold(next(self.numbers), params["query"])
        return super().send(call)


def test_the_first_requests_are_sent_together() -> None:
    together = threading.Barrier(8)
    table = HeldTable([*RANDOM_IDS], lambda number, _: together.wait(5) if number <= 8 else None)
    outline = Table([*RANDOM_IDS]).outline()
    assert len(list(table.reader(8).pages({}, None, outline))) >= 20


def test_the_next_page_is_requested_while_a_page_is_in_use() -> None:
    table = Table([*RANDOM_IDS])
    pages = table.reader(1).pages({}, None)
    for number in range(2, 6):
        next(pages)
        until(lambda number=number: len(table.queries) == number, seconds=5, pause=0.001)
    pages.close()  # type: ignore[attr-defined]


def test_a_reading_that_is_given_up_sends_no_request_that_still_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given_up = threading.Event()

    class Pool(keyset.ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            given_up.set()
            super().shutdown(wait=wait)

    monkeypatch.setattr(keyset, "ThreadPoolExecutor", Pool)
    # The count and the first range are answered; of the other ranges two are under way and two wait for them.
    table = HeldTable([*RANDOM_IDS], lambda _, query: given_up.wait(5) if '"k" >=' in query else None)
    outline = Table([*RANDOM_IDS]).outline()
    pages = table.reader(2).pages({}, None, outline)
    next(pages)
    pages.close()  # type: ignore[attr-defined]
    assert 2 <= len(table.queries) <= 4


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("count", [0, 1, 90])
def test_rows_of_one_page_are_read_by_one_request(count: int, concurrency: int) -> None:
    table = Table(RANDOM_IDS[:count])
    outline = table.outline()
    assert table.read(concurrency, outline=outline) == sorted(RANDOM_IDS[:count])
    assert table.queries == ['SELECT * FROM t ORDER BY "k"']


@pytest.mark.parametrize(("rows", "ranges"), [(90, 1), (101, 2), (180, 2), (250, 3)])
def test_a_few_ranges_are_read_without_overlap_and_counted_once(rows: int, ranges: int) -> None:
    table = Table(RANDOM_IDS[:rows])
    assert table.read(2, outline=table.outline()) == sorted(RANDOM_IDS[:rows])
    assert table.queries.count('SELECT "k" FROM t') == (ranges > 1)
    assert [sum(f'"k" {sign}' in query for query in table.queries) for sign in ("<", ">=")] == [
        ranges - 1
    ] * 2


def test_the_missing_rows_of_a_reading_that_resumes_are_requested_together() -> None:
    together = threading.Barrier(4)
    table = HeldTable([*RANDOM_IDS], lambda number, _: together.wait(5) if number <= 4 else None)
    saved = SavedPages("", "", 2000, 100, [Column("k")], 5, 500, SORTED_IDS[499])
    pages = list(table.reader(4).pages({}, saved))
    assert [row["k"] for page in pages for row in page.decoded()] == SORTED_IDS[500:]


@pytest.mark.parametrize("counted", [False, True])
def test_rows_are_counted_once_and_only_when_no_page_counts_them(counted: bool) -> None:
    table = Table([*RANDOM_IDS])
    outline = table.outline() if counted else None
    assert table.read(4, outline=outline) == SORTED_IDS
    assert table.queries.count('SELECT "k" FROM t') == counted


def test_a_reading_that_resumes_requests_the_missing_rows_and_does_not_count_them() -> None:
    table = Table([*RANDOM_IDS])
    saved = SavedPages("", "", 2000, 100, [Column("k")], 5, 500, SORTED_IDS[499])
    pages = list(table.reader(4).pages({}, saved, table.outline()))
    assert [row["k"] for page in pages for row in page.decoded()] == SORTED_IDS[500:]
    assert 15 <= len(table.queries) <= 18
    assert all(' WHERE "k" >' in query for query in table.queries)
