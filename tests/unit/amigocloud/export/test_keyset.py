"""Reading in key order yields every row once, whatever the number of concurrent requests."""

from __future__ import annotations

import hashlib
import itertools
import random
import sqlite3
from typing import Any, cast

import msgspec
import pytest

from airflow_provider.amigocloud.export.keyset import KeysetReader, Range, literal
from airflow_provider.amigocloud.export.readers import Outline, ReadOptions
from airflow_provider.amigocloud.operators import AmigoCloudExportOperator
from airflow_provider.core.http.call import Call
from airflow_provider.core.http.reply import Reply
from airflow_provider.sandbox.amigocloud import seed

MANY_IDS = [hashlib.md5(str(n).encode()).hexdigest() for n in range(21_000)]
RANDOM_IDS = MANY_IDS[:2000]


class Table:
    """A table with keys behind a hook's ``send``; it records its queries.

    :param keys: the keys.
    :param clamp: maximum rows per reply.
    """

    def __init__(self, keys: list[object], clamp: int = 100) -> None:
        self.db = sqlite3.connect(":memory:", check_same_thread=False)
        self.db.execute("CREATE TABLE t (k PRIMARY KEY)")
        self.db.executemany("INSERT INTO t VALUES (?)", [(key,) for key in keys])
        self.clamp = clamp
        self.queries: list[str] = []
        self.counts = True

    def send(self, call: Call[Any]) -> Any:
        params: Any = call.params
        self.queries.append(params["query"])
        cursor = self.db.execute(params["query"])
        columns = [column[0] for column in cursor.description]
        rows = cursor.fetchall()
        body = {
            "data": [
                dict(zip(columns, row, strict=True)) for row in rows[: min(params["limit"], self.clamp)]
            ],
            "columns": [{"name": name} for name in columns],
            "count": len(rows) if self.counts else None,
            "limit": self.clamp,
            "next": None,
        }
        return call.read(Reply(200, {}, msgspec.json.encode(body)))

    def reader(self, concurrency: int, page_size: int = 100) -> KeysetReader:
        return KeysetReader(cast("Any", self), "t", "k", ReadOptions(page_size, concurrency))

    def outline(self) -> Outline:
        outline = self.reader(2).prepare()
        assert outline
        self.queries.clear()
        return outline

    def read(self, concurrency: int, page_size: int = 100, outline: Outline | None = None) -> list[object]:
        pages = list(self.reader(concurrency, page_size).pages({}, None, outline))
        rows = [row["k"] for page in pages for row in page.decoded()]
        if self.counts:
            assert pages[0].count == len(rows)
        return rows


KINDS: dict[str, list[Any]] = {
    "none": [],
    "one": ["a"],
    "random": RANDOM_IDS,
    "prefix": ["5a" + key for key in RANDOM_IDS],
    "counted": [f"{n:032x}" for n in range(500)],
    "mixed": [*RANDOM_IDS, *(f"site-{n}" for n in range(300)), "", "Z", "é", "~"],
    "quotes": [f"O'Neil {n:05d}" for n in range(700)],
    "whole": list(range(-400, 400)),
    "fractions": [n / 7 for n in range(450)],
}


@pytest.mark.parametrize("concurrency", [1, 2, 8])
@pytest.mark.parametrize("keys", KINDS.values(), ids=KINDS)
def test_every_key_comes_once_and_in_order(keys, concurrency):
    table = Table(keys)
    assert table.read(concurrency) == sorted(keys)


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_service_that_does_not_count_is_read_to_the_end(concurrency):
    table = Table(RANDOM_IDS)
    table.counts = False
    assert table.read(concurrency) == sorted(RANDOM_IDS)


@pytest.mark.parametrize("keys", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("outlined", KINDS.values(), ids=[f"cut as {name}" for name in KINDS])
def test_an_outline_that_is_out_of_date_costs_no_key(keys, outlined):
    assert Table(keys).read(4, outline=Table(outlined).outline()) == sorted(keys)


@pytest.mark.parametrize("keys", [MANY_IDS, ["5a" + key for key in MANY_IDS]], ids=["random", "prefix"])
def test_an_outline_saves_the_turn_of_the_first_page_and_leaves_no_page_alone(keys):
    table = Table(keys, clamp=1000)
    assert table.read(8, 1000, table.outline()) == sorted(keys)
    assert len(table.queries) == 24  # three turns of eight, the count included
    assert "LIMIT" not in "".join(table.queries)


def test_what_the_service_gives_at_once_is_known_before_the_first_page():
    table = Table(MANY_IDS, clamp=700)
    assert table.read(8, 1000, table.outline()) == sorted(MANY_IDS)
    assert len(table.queries) <= 36


def test_random_ids_are_read_with_few_requests_more_than_pages():
    table = Table(RANDOM_IDS)
    table.read(8)
    assert len(table.queries) <= 20 * 1.4


def test_one_at_a_time_costs_one_request_a_page_and_none_counts_the_rest_again():
    table = Table(RANDOM_IDS)
    table.read(1)
    assert len(table.queries) == 20
    assert all("LIMIT 100" in sql for sql in table.queries[1:])


def test_a_smaller_clamp_than_asked_for_is_noticed():
    table = Table(RANDOM_IDS, clamp=30)
    assert table.read(4, page_size=1000) == sorted(RANDOM_IDS)


def test_cuts_follow_each_other_without_a_gap():
    dice = random.Random(1)
    for _ in range(200):
        after = f"{dice.getrandbits(128):032x}"
        high = f"{dice.getrandbits(128):032x}" if dice.random() < 0.5 else None
        if high is not None and high <= after:
            continue
        parts = Range(after, high=high, rows=dice.randrange(20_000)).cut(1000, dice.randrange(2, 9))
        assert parts[0].after == after
        assert parts[-1].high == high
        assert all(left.high == right.low for left, right in itertools.pairwise(parts))
        ends = [after, *(part.high for part in parts[:-1]), *([high] if high else [])]
        assert ends == sorted(ends)


def test_values_are_quoted():
    assert literal("O'Neil") == "'O''Neil'"
    assert [literal(1), literal(-2.5)] == ["1", "-2.5"]


def test_requests_go_out_at_the_same_time_but_no_more_than_allowed(sandbox, tmp_path):
    sandbox.faults.add("delay", seconds=0.05, times=None, path="/sql")
    path = str(tmp_path / "a.jsonl")
    arguments = {"task_id": "x", "output_path": path, "dataset": seed.ASSETS, "page_size": 200}
    AmigoCloudExportOperator(**arguments, concurrency=6).execute({})
    assert sandbox.counters.peak_in_flight == 6
    sandbox.counters.clear()
    AmigoCloudExportOperator(**arguments).execute({})
    assert sandbox.counters.peak_in_flight == 4


def test_parallel_and_sequential_exports_are_the_same_bytes(sandbox, tmp_path):
    files = []
    for concurrency in (1, 3, 8):
        path = tmp_path / f"{concurrency}.jsonl"
        AmigoCloudExportOperator(
            task_id="x", output_path=str(path), dataset=seed.ASSETS, page_size=150, concurrency=concurrency
        ).execute({})
        files.append(path.read_bytes())
    assert files[0] == files[1] == files[2]
