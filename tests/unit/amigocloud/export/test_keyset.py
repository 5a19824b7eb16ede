"""Reading in key order yields every row once, whatever the number of concurrent requests."""

from __future__ import annotations

import hashlib
import itertools
import random
import re
import sqlite3
import threading
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any, cast

import msgspec
import pytest

from airflow_provider.amigocloud.export.checkpoint import SavedPages
from airflow_provider.amigocloud.export.keyset import (
    KeysetReader,
    Range,
    _leading_digits,
    _range_count,
    literal,
    read_count,
)
from airflow_provider.amigocloud.export.readers import Outline, ReadOptions
from airflow_provider.amigocloud.operators import AmigoCloudExportOperator
from airflow_provider.amigocloud.pagination import Column, Page
from airflow_provider.core.http.call import Call
from airflow_provider.core.http.reply import Reply
from airflow_provider.errors import IncompleteExportError, InputError, RequestRejectedError
from airflow_provider.sandbox.amigocloud import seed

MANY_IDS = [hashlib.md5(str(n).encode()).hexdigest() for n in range(21_000)]
RANDOM_IDS = MANY_IDS[:2000]


class Table:
    """A table with keys behind a hook's ``send``; it records its queries.

    :param keys: the keys.
    :param clamp: maximum rows per reply.
    :param order: order of the keys, as a key for sorting.
    :param kind: type of the keys, as the service names it.
    """

    def __init__(
        self,
        keys: list[object],
        clamp: int = 100,
        order: Callable[[str], Any] | None = None,
        kind: str = "string",
    ) -> None:
        self.db = sqlite3.connect(":memory:", check_same_thread=False)
        if order:
            rank = cache(order)
            self.db.create_collation("own", lambda a, b: (rank(a) > rank(b)) - (rank(a) < rank(b)))
        self.db.execute(f"CREATE TABLE t (k {'COLLATE own' if order else ''} PRIMARY KEY)")
        self.kind = kind
        self.lock = threading.Lock()
        self.db.executemany("INSERT INTO t VALUES (?)", [(key,) for key in keys])
        self.clamp = clamp
        self.queries: list[str] = []
        self.counts = self.tells_limit = True

    def send(self, call: Call[Any]) -> Any:
        params: Any = call.params
        self.queries.append(params["query"])
        with self.lock:  # SQLite would wait for the order's function, and Python for SQLite
            # PostgreSQL sorts nulls last.
            cursor = self.db.execute(params["query"].replace('ORDER BY "k"', 'ORDER BY "k" NULLS LAST'))
            columns = [column[0] for column in cursor.description]
            rows = cursor.fetchall()
        body = {
            "data": [
                dict(zip(columns, row, strict=True)) for row in rows[: min(params["limit"], self.clamp)]
            ],
            "columns": [{"name": name, "type": self.kind} for name in columns],
            "count": len(rows) if self.counts else None,
            "limit": self.clamp if self.tells_limit else None,
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


@pytest.mark.parametrize("outlined", [False, True])
@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("keys", KINDS.values(), ids=KINDS)
def test_every_key_of_a_range_comes_once_and_none_of_its_neighbours(keys, concurrency, outlined):
    table, ordered = Table(keys), sorted(keys)
    cuts = [len(keys) * n // 3 for n in (1, 2)] if len(keys) > 2 else []
    bounds = [None, *(_exact(ordered[cut]) for cut in cuts), None]
    found = []
    for low, high in itertools.pairwise(bounds):
        options = ReadOptions(100, concurrency)
        reader = KeysetReader(cast("Any", table), "t", "k", options, Range(low=low, high=high))
        pages = list(reader.pages({}, None, reader.prepare() if outlined else None))
        found.append([row["k"] for page in pages for row in page.decoded()])
        assert pages[0].count == len(found[-1])
    assert found == [ordered[low:high] for low, high in itertools.pairwise([0, *cuts, len(keys)])]


def _exact(key: Any) -> Any:
    return Decimal(repr(key)) if isinstance(key, float) else key


def test_a_part_with_random_ids_is_read_by_several_requests_at_once_within_its_bounds():
    table = Table(MANY_IDS)
    bounds = Range(low=sorted(MANY_IDS)[7000], high=sorted(MANY_IDS)[14_000])
    reader = KeysetReader(cast("Any", table), "t", "k", ReadOptions(100, 8), bounds)
    outline = reader.prepare()
    assert outline
    assert outline.rows == 7000
    table.queries.clear()
    pages = list(reader.pages({}, None, outline))
    assert [row["k"] for page in pages for row in page.decoded()] == sorted(MANY_IDS)[7000:14_000]
    assert sum('"k" >' in query and '"k" <' in query for query in table.queries) > 60


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


@pytest.mark.parametrize("told", [True, False])
def test_a_smaller_clamp_than_asked_for_is_noticed(told):
    table = Table(RANDOM_IDS, clamp=30)
    table.tells_limit = told
    assert table.read(4, page_size=1000) == sorted(RANDOM_IDS)
    ranges = sum('"k" >= ' in sql for sql in table.queries)
    assert ranges >= 60  # of a page each, so that they are read at the same time


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


def natural(text: str) -> Any:
    """Order that compares runs of digits as numbers, as a collation of the database may."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.findall(r"\d+|\D+", text)]


ORDERS: dict[str, Callable[[str], Any]] = {
    "without case": lambda text: (text.lower(), text),
    "without punctuation": lambda text: (re.sub(r"[^0-9a-zA-Z]", "", text).lower(), text),
    "numbers as numbers": lambda text: (natural(text), text),
    "letters first": lambda text: text.translate(str.maketrans("0123456789abcdef", "6789:;<=>?012345")),
    "backwards": lambda text: [-ord(letter) for letter in text],
}
UUIDS = [f"{key[:8]}-{key[8:12]}-{key[12:16]}-{key[16:20]}-{key[20:]}" for key in RANDOM_IDS]
TEXTS = {
    "random": RANDOM_IDS,
    "uuid": UUIDS,
    "dashed": [f"{key[:8]}-{key[8:]}" for key in RANDOM_IDS],
    "underscored": [f"{key[:9]}_{key[9:]}" for key in RANDOM_IDS],
    "mixed": KINDS["mixed"],
}


@pytest.mark.slow
@pytest.mark.parametrize(("concurrency", "outlined"), [(1, True), (8, True), (2, False)])
@pytest.mark.parametrize("keys", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_texts_in_any_collation_come_once_and_in_its_order(order, keys, outlined, concurrency):
    table = Table(keys, order=order)
    outline = table.outline() if outlined else None
    assert table.read(concurrency, outline=outline) == sorted(keys, key=order)


def test_uuids_are_compared_to_whole_uuids_only():
    table = Table(UUIDS, kind="unknown(2950)")
    assert table.read(8, outline=table.outline()) == sorted(UUIDS)
    texts = re.findall(r"'([^']*)'", " ".join(table.queries))
    assert texts
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text) for text in texts)
    assert len(table.queries) <= 30


@pytest.mark.parametrize("outlined", [True, False])
@pytest.mark.parametrize("kind", ["unknown(1700)", "bigint", "number", "unknown(16999)"])
def test_numbers_that_come_as_texts_are_not_cut_by_hex_digits(kind, outlined):
    keys = [f"{n}" for n in range(10_000_000, 10_002_000)]
    table = Table(keys, kind=kind)
    assert table.read(4, outline=table.outline() if outlined else None) == keys
    assert not table.reader(4)._order.is_known
    resumed = table.reader(4)
    saved = SavedPages("", "", 2000, 100, [Column("k", kind)], 1, 100, keys[99])
    assert [row["k"] for page in resumed.pages({}, saved) for row in page.decoded()] == keys[100:]
    for sql in table.queries:
        assert not re.search(r"'[0-9]*[a-f]", sql)


def test_an_order_of_hex_digits_is_given_up_when_a_page_has_other_keys():
    reader, keys = Table([]).reader(4), sorted(RANDOM_IDS)
    reader._observe_order(Page([], columns=[Column("k")]), keys[:100])
    assert (reader._order.is_usual, reader._order.is_known) == (True, True)
    reader._observe_order(Page([], columns=[Column("k", "bigint")]), [])
    reader._observe_order(Page([], columns=[Column("k")]), keys[100:200])
    assert (reader._order.is_usual, reader._order.is_known) == (False, False)


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("keys", [RANDOM_IDS, list(range(2000))], ids=["hex", "numbers"])
def test_nulls_after_the_first_page_are_counted_in_the_error(keys, concurrency):
    with pytest.raises(InputError, match="'k' is null in 2 rows; a key must be unique and never null"):
        Table([*keys, None, None]).read(concurrency)


@pytest.mark.parametrize("rows", [1, 100, 101, 150, 250])
def test_the_first_page_counts_the_rows_of_all_ranges(rows):
    table = Table(RANDOM_IDS[:rows])
    assert table.read(4, outline=table.outline()) == sorted(RANDOM_IDS[:rows])


def test_two_ranges_of_keys_in_an_order_of_their_own_are_refused():
    table = Table(RANDOM_IDS[:120], order=lambda key: (int(key[0], 16) % 2, key))
    outline = table.outline()
    assert len(table.reader(4)._ranges(None, outline)) == 2
    with pytest.raises(IncompleteExportError, match="'k' by rules of its own"):
        table.read(4, outline=outline)


@pytest.mark.parametrize("keys", [[1, 2, None], ["aa", None]])
def test_a_null_in_the_first_page_is_no_key(keys):
    with pytest.raises(InputError, match="^key: column 'k' is null; a key must be unique and never null$"):
        Table(keys).read(1)


@pytest.mark.parametrize(("status", "raised"), [(400, False), (409, True)])
def test_only_a_query_that_is_refused_as_wrong_is_read_in_sequence(status, raised):
    class Refused(Table):
        def send(self, call):
            raise RequestRejectedError(status, "", "why")

    reader = Refused(["a"]).reader(2)
    if raised:
        with pytest.raises(RequestRejectedError, match="why"):
            reader.prepare()
    else:
        assert reader.prepare() is None


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        *[
            ("", ""),
            ("x", ""),
            ("0", "0"),
            ("12fg", "12f"),
            ("A1", ""),
            ("0123456789abcdef", "0123456789abc"),
        ],
        ("01234567-89ab-cdef-0123-456789abcdef", "0123456789abc"),
        ("0123-4567", "0123"),
    ],
)
def test_the_leading_digits_of_a_key_are_those_that_are_compared(text, digits):
    assert _leading_digits(text) == digits


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize(("counted", "refused"), [(2002, True), (2000, False), (None, False)])
def test_rows_that_a_resumed_reading_misses_are_counted_from_the_beginning(concurrency, counted, refused):
    table, saved_id = Table([*RANDOM_IDS, None, None]), sorted(RANDOM_IDS)[499]
    saved = SavedPages("", "", counted, 100, [Column("k")], 5, 500, saved_id)
    pages = table.reader(concurrency).pages({}, saved)
    if refused:
        with pytest.raises(InputError, match="'k' is null in 2 rows"):
            list(pages)
    else:
        assert sum(len(page.rows) for page in pages) == 1500


class RefusingTable(Table):
    """Table that refuses queries in the order of its key; others it answers.

    :param names_columns: whether its replies name columns.
    """

    names_columns = True

    def send(self, call: Call[Any]) -> Any:
        query = cast("dict[str, Any]", call.params)["query"]
        if "ORDER BY" in query:
            self.queries.append(query)
            raise RequestRejectedError(400, "", "refused")
        page = super().send(call)
        if not self.names_columns:
            page.columns = None
        return page


@pytest.mark.parametrize(
    ("key", "names_columns", "missing"), [("k", True, False), ("j", True, True), ("j", False, False)]
)
def test_a_refused_first_page_names_the_columns_only_when_the_key_is_none_of_them(
    key, names_columns, missing
):
    table = RefusingTable(RANDOM_IDS)
    table.names_columns = names_columns
    reader = KeysetReader(cast("Any", table), "t", key, ReadOptions(100, 1))
    wanted = (InputError, "no column 'j'; they have k") if missing else (RequestRejectedError, "refused")
    with pytest.raises(wanted[0], match=wanted[1]):
        list(reader.pages({}, None))
    assert table.queries == [f'SELECT * FROM t ORDER BY "{key}"', "SELECT * FROM t LIMIT 1"]
    table.queries.clear()
    saved = SavedPages("", "", 2000, 100, [Column(key)], 5, 500, "5a")
    with pytest.raises(RequestRejectedError, match="refused"):
        list(reader.pages({}, saved))
    assert len(table.queries) == 1


@pytest.mark.parametrize("concurrency", [1, 4])
def test_values_that_repeat_at_the_border_of_two_pages_are_counted_in_the_error(
    sandbox, tmp_path, concurrency
):
    sandbox.amigocloud.store.write(f"UPDATE dataset_{seed.ASSETS} SET number = 399 WHERE number = 400")
    task = AmigoCloudExportOperator(
        task_id="x",
        output_path=str(tmp_path / "a.jsonl"),
        sql=f"SELECT number FROM dataset_{seed.ASSETS}",
        key="number",
        page_size=400,
        concurrency=concurrency,
    )
    with pytest.raises(InputError, match="'number' repeats values in 1 rows; a key must be unique"):
        task.execute({})
    assert list(tmp_path.iterdir()) == []


def test_decimals_are_exact_however_many_digits_they_have(monkeypatch):
    monkeypatch.setattr(msgspec.json, "encode", lambda value: encode(value))
    keys = [f"{n}.{n:025d}" for n in range(1000, 1250)]
    table = Table([], kind="number")
    table.db.executemany("INSERT INTO t VALUES (?)", [(key,) for key in keys])

    def encode(value: Any) -> bytes:
        text = msgspec.json.Encoder().encode(value)
        return re.sub(rb'"(\d+\.\d+)"', rb"\1", text)

    table.db.create_function("exact", 1, str)
    pages = list(table.reader(2).pages({}, None, None))
    rows = [line for page in pages for line in page.lines().splitlines()]
    assert [re.search(rb"[\d.]+", line)[0].decode() for line in rows[:100]] == keys[:100]
    bounds = re.findall(r'"k" > (\S+)', table.queries[1])
    assert bounds == [keys[99]]


def test_a_resume_point_of_decimals_is_exact():
    reader = Table([1]).reader(1)
    for text, point in (("0.1", 0.1), ("12345678901234567890.123", "12345678901234567890.123"), ("3", 3)):
        page = Page([msgspec.Raw(b'{"k":%s}' % text.encode())])
        assert reader.resume_point(page) == point
        assert Decimal(str(point)) == Decimal(text)


@pytest.mark.parametrize("kind", ["float", "real", "unknown(701)", "geometry", "json"])
def test_a_type_that_is_no_key_is_refused(kind):
    with pytest.raises(InputError, match=re.escape(f"is of type {kind}, which is no key")):
        Table([0.5, 1.5], kind=kind).read(1)


def test_values_are_quoted():
    assert literal("O'Neil") == "'O''Neil'"
    assert [literal(1), literal(-2.5)] == ["1", "-2.5"]
    assert [literal(True), literal(Decimal("1.50"))] == ["true", "1.50"]


def test_requests_go_out_at_the_same_time_but_no_more_than_allowed(sandbox, tmp_path):
    sandbox.faults.add("delay", seconds=0.3, times=None, path="/sql")
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


@pytest.mark.parametrize(
    ("rows", "page_size", "concurrency", "count"),
    [
        (0, 100, 4, 0),
        (90, 100, 4, 1),
        (91, 100, 4, 2),
        (900, 100, 1, 10),
        (900, 100, 4, 10),
        (990, 100, 4, 11),
        (1000, 100, 4, 11),
        (1010, 100, 4, 11),
        (2000, 100, 8, 23),
    ],
)
def test_a_range_is_cut_into_full_rounds_of_requests(
    rows: int, page_size: int, concurrency: int, count: int
) -> None:
    assert _range_count(rows, page_size, concurrency) == count


@pytest.mark.parametrize(
    ("part", "condition"),
    [
        (Range(), ""),
        (Range(after="it's"), " WHERE \"k\" > 'it''s'"),
        (Range(low=1, high=2.5), ' WHERE "k" >= 1 AND "k" < 2.5'),
        (Range(after=False, high=Decimal("1.10")), ' WHERE "k" > false AND "k" < 1.10'),
    ],
)
def test_a_range_is_a_condition_in_sql(part: Range, condition: str) -> None:
    assert part.where('"k"') == condition


def test_a_tail_starts_after_a_key_and_ends_where_the_whole_ends() -> None:
    assert Range(after="a").is_tail_of(Range())
    assert Range(after="a", high="z").is_tail_of(Range(high="z"))
    assert not Range(after="a", high="b").is_tail_of(Range())
    assert not Range(low="a").is_tail_of(Range())


@pytest.mark.parametrize(
    ("part", "first", "last"),
    [
        (Range(rows=1000), None, None),
        (Range(rows=1000), "zz", "zzz"),
        (Range(rows=1000), 5, 7),
        (Range(rows=90), "00000000", "ffffffff"),
        (Range(rows=None), "00000000", "ffffffff"),
        (Range(rows=1000), "00000000", "0000000a"),
    ],
    ids=str,
)
def test_a_range_that_cannot_be_cut_stays_whole(part: Range, first: Any, last: Any) -> None:
    assert part.cut(100, 4, first, last) == [part]


def test_cuts_lie_evenly_between_the_first_and_the_last_key() -> None:
    ranges = Range(rows=200).cut(100, 1, "00000000", "0000000f")
    assert ranges == [Range(high="00000005"), Range(low="00000005", high="0000000a"), Range(low="0000000a")]
    ranges = Range(after="00000000", high="0000000f", rows=200).cut(100, 1)
    assert [part.high for part in ranges] == ["00000005", "0000000a", "0000000f"]
    assert ranges[0].after == "00000000"
    # Without an upper bound the keys may go up to the last digits; a bound of another kind leaves no room.
    assert [part.high for part in Range(rows=200).cut(100, 1, "00000000")] == ["55555555", "aaaaaaaa", None]
    assert Range(high="x", rows=200).cut(100, 1, "00000000") == [Range(high="x", rows=200)]
    many = Range(rows=200).cut(100, 1, "0" * 40, "f" * 40)
    assert [part.high for part in many] == ["5" * 13, "a" * 13, None]


def test_cuts_of_uuids_are_whole_uuids() -> None:
    first, last = "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"
    ranges = Range(rows=200).cut(100, 1, first, last)
    assert [part.high for part in ranges] == [
        "55555555-5555-5000-0000-000000000000",
        "aaaaaaaa-aaaa-a000-0000-000000000000",
        None,
    ]


def test_counts_that_some_services_send_as_text_are_read() -> None:
    assert [read_count(value) for value in (5, "5", 5.0, None, "many", True)] == [5, 5, 5, None, None, None]


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_page_that_is_refused_later_on_ends_the_reading(status: int, concurrency: int) -> None:
    class Refusing(Table):
        def send(self, call: Call[Any]) -> Any:
            if len(self.queries) >= 3:
                raise RequestRejectedError(status, "", "no more")
            return super().send(call)

    read = 0
    with pytest.raises(RequestRejectedError, match="no more"):
        for page in Refusing(list(range(1000))).reader(concurrency).pages({}, None):
            read += len(page.rows)
    assert 0 < read < 1000


def test_a_key_that_the_service_rounds_is_refused() -> None:
    reader, rows = Table([1]).reader(1), [msgspec.Raw(b'{"k":0.3}'), msgspec.Raw(b'{"k":0.4}')]
    assert reader._read_keys(Page(rows), Decimal("0.2")).last == Decimal("0.4")
    with pytest.raises(
        InputError, match=r"'k' is rounded in the service's replies: after the row with '0.3'"
    ):
        reader._read_keys(Page(rows), Decimal("0.3"))
