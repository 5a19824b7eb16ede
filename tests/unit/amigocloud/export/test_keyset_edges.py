"""The edges of reading in key order and of saved pages: ranges, sizes, and what is asked for or kept."""

from __future__ import annotations

import logging
import zlib
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec import Raw

from airflow_provider.amigocloud.export import checkpoint, keyset
from airflow_provider.amigocloud.export.checkpoint import Checkpoint, SavedPages
from airflow_provider.amigocloud.export.keyset import (
    KeysetReader,
    Range,
    _read_outline,
    first_page,
    no_key_problem,
)
from airflow_provider.amigocloud.export.readers import Outline, ReadOptions
from airflow_provider.amigocloud.pagination import (
    Column,
    Cursor,
    Page,
    follow,
    read_page,
    walk,
    without_parameter,
)
from airflow_provider.core.http.call import Call
from airflow_provider.core.http.reply import Reply
from airflow_provider.core.state.identity import fingerprint
from airflow_provider.core.state.pauses import TaskPauses
from airflow_provider.errors import (
    IncompleteExportError,
    InputError,
    RequestRejectedError,
    ServerError,
    TransportError,
)
from tests.support.state_store import FakeStateStore
from tests.unit.amigocloud.export.test_keyset import RANDOM_IDS, Table

pytestmark = pytest.mark.slow  # nothing of it depends on versions

ROW = [Raw(b"{}")]
CALL: Call[Any] = Call("GET", "list")
SORTED_IDS = sorted(RANDOM_IDS)
LOG: Any = logging.getLogger("checkpoint")


def reader(concurrency: int = 4, page_size: int = 100, bounds: Range = keyset.EVERYTHING) -> KeysetReader:
    return KeysetReader(cast("Any", Table([])), "t", "k", ReadOptions(page_size, concurrency), bounds)


def saved(point: Any, count: int | None = 2000, limit: int | None = 100, kind: str = "string") -> SavedPages:
    return SavedPages("", "", count, limit, [Column("k", kind)], 5, 500, point)


# -- ranges -------------------------------------------------------------------------------------------


def test_the_rest_after_saved_pages_ends_where_the_whole_ends() -> None:
    one = reader(bounds=Range(low="a", high="z"))
    assert one._whole(saved("k")) == Range("k", high="z", rows=1500)
    assert one._whole(saved("k", None)) == Range("k", high="z")
    assert one._whole(None) == Range(low="a", high="z")
    after = one._whole(saved(0.5)).after
    assert (after, type(after)) == (Decimal("0.5"), Decimal)
    assert one._whole(saved(7)).after == 7


@pytest.mark.parametrize(
    ("pages", "outline", "size"),
    [
        (None, None, 100),
        (saved("k", limit=30), None, 30),
        (saved("k", limit=None), None, 100),
        (saved("k", limit=300), None, 100),
        (saved("k", limit=30), Outline(9, None, None, 20), 30),
        (None, Outline(9, None, None, 20), 20),
        (None, Outline(9, None, None, 200), 100),
        (None, Outline(9, None, None, None), 100),
    ],
)
def test_a_page_is_never_larger_than_the_service_allows(
    pages: SavedPages | None, outline: Outline | None, size: int
) -> None:
    one = reader()
    one._ranges(pages, outline)
    assert one._page_size == size


def test_saved_pages_are_continued_in_ranges_where_the_keys_are_hex_digits() -> None:
    point = SORTED_IDS[499]
    cut = reader()._ranges(saved(point), None)
    assert cut == Range(point, rows=1500).cut(100, 4)
    assert len(cut) > 10
    assert reader()._ranges(saved(point, kind="bigint"), None) == [Range(point, rows=1500)]
    assert reader(1)._ranges(saved(point), None) == [Range(point, rows=1500)]


def test_an_outline_is_cut_where_it_has_more_than_a_page() -> None:
    ends = SORTED_IDS[0], SORTED_IDS[-1]
    assert len(reader()._ranges(None, Outline(2000, *ends, 100))) > 10
    assert len(reader()._ranges(None, Outline(101, *ends, 100))) == 2
    assert reader()._ranges(None, Outline(90, *ends, 100)) == [Range()]
    assert reader()._ranges(None, None) == [Range()]
    assert reader(1)._ranges(None, Outline(2000, *ends, 100)) == [Range()]


@pytest.mark.parametrize(
    ("page", "size"),
    [
        (Page(ROW * 3, count=103, limit=50), 50),
        (Page(ROW * 3, count=103), 3),
        (Page(ROW * 3, count=103, limit=200), 100),
    ],
)
def test_the_rest_of_a_range_is_read_in_pages_of_the_services_size(page: Page, size: int) -> None:
    one = reader()
    assert one._rest(Range(low="a", high="m"), page, "b") == [Range("b", high="m", rows=100)]
    assert one._page_size == size


def test_a_range_whose_rows_are_all_read_has_no_rest() -> None:
    one = reader()
    assert one._rest(Range(), Page(ROW * 3, count=3), "b") == []
    assert one._rest(Range(), Page([], count=3), None) == []
    assert one._rest(Range("a", rows=4), Page(ROW * 3, count=3), "b") == [Range("b", rows=1)]
    assert one._rest(Range("a", rows=3), Page(ROW * 3, count=9), "b") == []
    assert one._rest(Range("a"), Page(ROW * 3, count=3), "b") == [Range("b")]


def test_a_rest_is_cut_once_the_order_is_known() -> None:
    one, part = reader(), Range(SORTED_IDS[99], rows=1900)
    assert one._cut(part) == [part]
    one._order.add(SORTED_IDS[:100])
    assert one._cut(part) == part.cut(100, 4)


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("count", [99, 100, 101, 102, 200, 201])
def test_the_last_row_is_read(count: int, concurrency: int) -> None:
    assert Table(list(range(count))).read(concurrency) == list(range(count))


def test_an_order_that_turns_out_to_be_of_its_own_is_an_incomplete_export() -> None:
    def rank(key: str) -> Any:
        return (0, key) if key < "f" else (1, [-ord(letter) for letter in key])

    with pytest.raises(IncompleteExportError, match="^the service orders column 'k' by rules of its own"):
        Table([*RANDOM_IDS], order=rank).read(4)


def test_an_order_that_is_of_its_own_from_the_first_page_on_is_read_in_sequence() -> None:
    def rank(key: str) -> Any:
        return (0, [-ord(letter) for letter in key]) if key < SORTED_IDS[50] else (1, key)

    table = Table([*RANDOM_IDS], order=rank)
    outline = table.outline()
    assert len(table.reader(8)._ranges(None, outline)) > 10
    assert table.read(8, outline=outline) == sorted(RANDOM_IDS, key=rank)


def test_an_order_that_turns_out_to_be_of_its_own_in_two_ranges_is_an_incomplete_export() -> None:
    keys = sorted(RANDOM_IDS[:250])

    def rank(key: str) -> Any:
        return (0, key) if key < keys[180] else (1, [-ord(letter) for letter in key])

    with pytest.raises(IncompleteExportError, match="^the service orders column 'k' by rules of its own"):
        Table([*keys], order=rank).read(4)


def test_no_more_than_twice_as_many_pages_as_requests_at_once_are_read_ahead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    submitted: list[Any] = []

    class Pool(ThreadPoolExecutor):
        def submit(self, *given: Any, **named: Any) -> Any:
            submitted.append(given)
            return super().submit(*given, **named)

    table = Table([*RANDOM_IDS])
    outline = table.outline()
    monkeypatch.setattr(keyset, "ThreadPoolExecutor", Pool)
    pages = table.reader(4).pages({}, None, outline)
    for number in range(4):
        next(pages)
        # The page that is in use, those ahead, and the count.
        assert len(submitted) == number + 1 + 8 + 1
    pages.close()  # type: ignore[attr-defined]


# -- what is asked for --------------------------------------------------------------------------------


class Asked(Table):
    """Table that records the limits of queries, and answers some of them in its own way."""

    def __init__(self, keys: list[object], **answers: Any) -> None:
        super().__init__(keys)
        self.limits: list[tuple[str, int]] = []
        self.answers = answers

    def send(self, call: Call[Any]) -> Any:
        params: Any = call.params
        self.limits.append((params["query"], params["limit"]))
        for part, answer in self.answers.items():
            if part in params["query"]:
                if isinstance(answer, Exception):
                    raise answer
                return call.read(Reply(200, {}, answer))
        return super().send(call)


def test_the_rows_are_counted_by_a_query_of_one_row() -> None:
    table = Asked([*RANDOM_IDS])
    assert len(table.read(4, 70, table.outline())) == 2000
    assert [limit for query, limit in table.limits if query == 'SELECT "k" FROM t'] == [1]
    assert {limit for query, limit in table.limits if query.startswith("SELECT *")} == {70}
    assert [limit for query, limit in table.limits if "count" in query] == [100]


@pytest.mark.parametrize("answer", [b'{"data": []}', b'{"data": [{}]}', RequestRejectedError(400, "", "no")])
def test_missing_rows_whose_reason_is_not_told_end_the_reading(answer: Any) -> None:
    table = Asked([*range(150), None], nulls=answer)
    pages = list(table.reader(1).pages({}, None))
    assert sum(len(page.rows) for page in pages) == 150
    assert [limit for query, limit in table.limits if "nulls" in query] == [1]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (
            b'{"data": [{"nulls": "3", "repeated": 2}]}',
            "column 'k' is null in 3 rows; a key must be unique and never null",
        ),
        (
            b'{"data": [{"nulls": 0, "repeated": "2"}]}',
            "column 'k' repeats values in 2 rows; a key must be unique",
        ),
    ],
)
def test_missing_rows_are_explained_by_their_keys(answer: bytes, says: str) -> None:
    with pytest.raises(InputError, match=f"^key: {says}$"):
        list(Asked([*range(150), None], nulls=answer).reader(1).pages({}, None))


def test_an_outline_without_a_row_or_a_count_is_none() -> None:
    for body in (b'{"data": []}', b'{"data": [{"first": "a"}]}', b'{"data": [{"rows": null}]}'):
        assert _read_outline(Reply(200, {}, body)) is None
    body = b'{"data": [{"rows": "7", "first": "a", "last": "b"}], "limit": 5}'
    assert _read_outline(Reply(200, {}, body)) == Outline(7, "a", "b", 5)
    typed = body.replace(b'"limit"', b'"columns": [{"name": "first", "type": "bigint"}], "limit"')
    assert _read_outline(Reply(200, {}, typed)) == Outline(7, None, None, 5)


def test_the_first_page_is_the_first_one_with_rows_or_the_last_one() -> None:
    for pages, number in (
        ([Page(ROW, "/a?o=1")], 1),
        ([Page([], "/a?o=1"), Page(ROW, "/a?o=2")], 2),
        ([Page([], "/a?o=1"), Page([], None)], 2),
    ):
        sent: list[Any] = []
        hook: Any = type(
            "Hook", (), {"send": lambda self, call, s=sent, p=pages: s.append(call) or p[len(s) - 1]}
        )()
        assert first_page(hook, CALL) is pages[number - 1]
        assert len(sent) == number


def test_rows_without_the_key_are_told_with_their_columns() -> None:
    row = [Raw(b'{"a":1}')]
    with pytest.raises(InputError, match="^key: the rows have no column 'k'; they have a, b$"):
        reader()._read_keys(Page(row, columns=[Column("a"), Column("b")]), None)
    with pytest.raises(InputError, match="^key: the rows have no column 'k'; they have $"):
        reader()._read_keys(Page(row), None)
    with pytest.raises(InputError, match="^key: column 'k' is not unique; a key must be$"):
        reader()._read_keys(Page([Raw(b'{"k":1}'), Raw(b'{"k":1}')]), None)
    assert no_key_problem([Column("k", "integer")], "k") is None
    assert no_key_problem(None, "k") is None


# -- pages and links ----------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [b"[1]", b"5", b'"x"'])
def test_a_first_row_that_is_no_object_is_an_error_of_the_service(row: bytes) -> None:
    assert Page([]).first_exact() is None
    with pytest.raises(ServerError, match="a row cannot be read"):
        Page([Raw(row)]).first_exact()
    assert Page([Raw(b'{"a": 1}'), Raw(row)]).first_exact() == {"a": 1}


def test_a_reply_that_is_no_utf_8_is_not_read() -> None:
    with pytest.raises(UnicodeDecodeError):
        read_page(Reply(200, {}, b'{"data": [{"a": "\xe9"}]}'))
    assert read_page(Reply(200, {}, '{"data": [{"a": "é"}]}'.encode())).decoded() == [{"a": "é"}]


def test_a_question_mark_in_a_value_is_part_of_it() -> None:
    assert without_parameter("/a?b=1?2&token=t", "token") == "/a?b=1?2"
    assert follow(CALL, "/a?b=1?2&c=3").params == {"b": "1?2", "c": "3"}
    assert follow(CALL, "/a?b=1?2&c=3").path == "/a"


@pytest.mark.parametrize(("empty", "fails"), [(20, False), (21, True)])
def test_twenty_empty_pages_may_come_first(empty: int, fails: bool) -> None:
    given = iter([*(Page([], f"/a?o={number}") for number in range(empty)), Page(ROW, None)])
    pages = walk(lambda _: next(given), CALL)
    if fails:
        with pytest.raises(IncompleteExportError, match="repeats the same page"):
            list(pages)
    else:
        assert sum(len(page.rows) for page in pages) == 1


def test_a_reply_that_is_neither_list_nor_object_has_no_values() -> None:
    cursor = Cursor(lambda _: [1, 2], CALL)
    with pytest.raises(ValueError, match="^the reply has no value 'count'; it has $"):
        cursor.get("count")
    assert next(cursor) == [1, 2]


# -- saved pages --------------------------------------------------------------------------------------


@pytest.fixture
def two_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "PART_ROWS", 2)


def saving(folder: Path, store: Any) -> Checkpoint:
    return Checkpoint(store, f"{folder}/a.jsonl", {"a": 1}, LOG)


def rows_of(*numbers: int, count: int | None = None) -> Page:
    return Page([Raw(b'{"k":%d}' % number) for number in numbers], None, count, 9, [Column("k")])


def record(one: Checkpoint, *pages: Page) -> list[Page]:
    return list(one.record(iter(pages), "state", lambda page: page.decoded()[-1]["k"] if page.rows else -1))


def test_what_is_stored_of_a_part_stays_the_same_in_all_releases(tmp_path: Path, two_rows: None) -> None:
    store = FakeStateStore()
    record(saving(tmp_path, store), rows_of(1, count=9), rows_of(), rows_of(2), rows_of(3))
    request = fingerprint({"a": 1, "output_path": f"{tmp_path}/a.jsonl"})
    (part,) = tmp_path.rglob("*.jsonl")
    assert part == tmp_path / f".a.jsonl.{request}.parts" / "00000.jsonl"
    assert part.read_bytes() == b'{"k":1}\n{"k":2}'
    stored = {"request": request, "state": "state", "count": 9, "limit": 9, "served_at": None}
    columns, sums = [{"name": "k", "type": "string"}], zlib.crc32(part.read_bytes())
    stored |= {"columns": columns, "parts": 1, "rows": 2, "place": 2, "compressed": False, "checksum": sums}
    assert store == {"amigocloud_export_parts": stored}


def test_nothing_is_saved_without_a_store(tmp_path: Path, two_rows: None) -> None:
    one, pages = saving(tmp_path, None), [rows_of(1), rows_of(2, 3)]
    assert record(one, *pages) == pages
    one.delete()
    assert list(tmp_path.iterdir()) == []


def test_a_page_after_which_nothing_can_resume_saves_no_part(tmp_path: Path, two_rows: None) -> None:
    store = FakeStateStore()
    list(saving(tmp_path, store).record(iter([rows_of(1, 2)]), "state", lambda _: None))
    assert (store, list(tmp_path.iterdir())) == ({}, [])


@pytest.mark.parametrize(
    ("error", "keeps"),
    [
        (TransportError("gone"), True),
        (ServerError(500, "", "x"), True),
        (IncompleteExportError("x"), False),
        (InputError("x"), False),
        (RequestRejectedError(400, "", "x"), False),
    ],
)
def test_saved_pages_are_kept_where_a_retry_may_use_them(
    tmp_path: Path, two_rows: None, caplog: pytest.LogCaptureFixture, error: Any, keeps: bool
) -> None:
    caplog.set_level("INFO")
    store = FakeStateStore()
    one = saving(tmp_path, store)
    one.keep_after(error)
    record(one, rows_of(1, count=9))
    one.keep_after(error)
    assert "saved" not in caplog.text
    record(one, rows_of(2, 3))
    one.keep_after(error)
    told = (
        "2 rows are saved: a retry resumes"
        if keeps
        else "The 2 saved rows cannot be used: a retry starts over"
    )
    assert told in caplog.text
    assert bool(store) is keeps
    assert bool(list(tmp_path.iterdir())) is keeps


def test_pages_are_deleted_after_a_rest_and_the_store_is_left_alone_where_it_has_none(
    tmp_path: Path, two_rows: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []

    class Store(FakeStateStore):
        def delete(self, key: str) -> None:
            events.append(key)
            super().delete(key)

    def rest(self: Any, log: Any) -> None:
        events.append(f"rest with {len(list(tmp_path.iterdir()))}")

    monkeypatch.setattr(TaskPauses, "rest", rest)
    one = saving(tmp_path, Store())
    record(one, rows_of(1, count=9))
    one.delete()
    assert events == ["rest with 0"]
    record(one, rows_of(2, 3))
    events.clear()
    one.delete()
    assert events == ["rest with 1", "amigocloud_export_parts"]
    assert list(tmp_path.iterdir()) == []


def test_the_parts_of_another_request_are_deleted_when_they_are_met(tmp_path: Path, two_rows: None) -> None:
    store = FakeStateStore()
    record(saving(tmp_path, store), rows_of(1, 2, count=9))
    assert Checkpoint(store, f"{tmp_path}/a.jsonl", {"a": 2}, LOG).saved is None
    assert store == {}
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_or_missing_part_is_noticed(tmp_path: Path, two_rows: None) -> None:
    store = FakeStateStore()
    record(saving(tmp_path, store), rows_of(1, 2, count=9), rows_of(3, 4))
    first, second = sorted(tmp_path.rglob("*.jsonl"))
    again = saving(tmp_path, store)
    assert [page.decoded() for page in again.replay()] == [[{"k": 1}, {"k": 2}], [{"k": 3}, {"k": 4}]]
    assert again.saved
    assert again.saved.checksum == store["amigocloud_export_parts"]["checksum"]
    second.write_bytes(first.read_bytes())
    with pytest.raises(IncompleteExportError, match="^the saved parts of the export are damaged"):
        list(saving(tmp_path, store).replay())
