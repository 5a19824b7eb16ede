"""Pages and links: what a reply holds, where the next page is, and lists that lead to themselves."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from msgspec import DecodeError, Raw

from airflow_provider.amigocloud.conditions import QueryIsTrue
from airflow_provider.amigocloud.pagination import (
    MAX_EMPTY_PAGES,
    AsyncCursor,
    Column,
    Cursor,
    Page,
    follow,
    quoted_name,
    read_page,
    readable_rows,
    refuse_duplicates,
    sql_name,
    walk,
    without_parameter,
    without_token,
)
from airflow_provider.core.http.call import Call
from airflow_provider.core.http.reply import Reply
from airflow_provider.errors import IncompleteExportError, InputError, RequestRejectedError, ServerError

CALL: Call[Any] = Call("GET", "list", params={"query": "SELECT 1", "limit": 5, "other": "x"})


def page_of(body: str, **headers: str) -> Page:
    return read_page(Reply(200, headers, body.encode()))


def test_a_page_has_what_the_reply_says_of_it() -> None:
    page = page_of(
        '{"data": [{"a": 1}, {"a": 2}], "next": "/list?token=t&offset=2", "count": 7, "limit": 2,'
        ' "columns": [{"name": "a", "type": "integer"}, {"name": "b"}]}',
        date="Tue, 03 Mar 2026 12:00:00 GMT",
    )
    assert page.decoded() == [{"a": 1}, {"a": 2}]
    assert (page.next, page.count, page.limit) == ("/list?offset=2", 7, 2)
    assert page.columns == [Column("a", "integer"), Column("b", "string")]
    assert page.served_at == datetime(2026, 3, 3, 12, tzinfo=UTC)
    assert page.lines() is page.lines()
    other = page.with_rows([Raw(b"{}")])
    assert (len(other.rows), other.text) == (1, None)
    assert other.lines() == b"{}"
    assert (other.next, other.count, other.limit) == (page.next, 7, 2)
    assert (other.columns, other.served_at) == (page.columns, page.served_at)


@pytest.mark.parametrize("error", [ValueError("nope"), DecodeError("nope"), RecursionError("nope")])
def test_a_row_that_cannot_be_read_is_an_error_of_the_service(error: Exception) -> None:
    with pytest.raises(ServerError, match="a row cannot be read: nope") as caught, readable_rows():
        raise error
    assert caught.value.status == 200
    own = InputError("the user's own", "key")
    with pytest.raises(InputError) as kept, readable_rows():
        raise own
    assert kept.value is own


def test_the_first_row_has_all_its_digits() -> None:
    row = page_of('{"data": [{"a": 0.10, "b": 1, "c": "x"}, {}]}').first_exact()
    assert row == {"a": Decimal("0.10"), "b": 1, "c": "x"}
    assert str(row["a"]) == "0.10"


def test_results_come_before_data_and_a_row_is_one_line() -> None:
    assert page_of('{"results": [], "data": [{"a": 1}]}').rows == []
    page = page_of('{"data": [{\n"a": [1,\n 2]}, {"b": "x"}]}')
    assert page.lines() == b'{"a":[1,2]}\n{"b":"x"}'
    assert page_of('{"data": [{"a": [1, 2]}]}').lines() == b'{"a": [1, 2]}'


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ('{"data": [{}], "count": 1, "next": "/n"}', None),
        ('{"data": [{}], "count": 0, "next": "/n"}', None),
        ('{"data": [{}], "count": 2, "next": "/n"}', 2),
        ('{"data": [{}], "count": 1, "next": null}', 1),
        ('{"data": [], "count": 0, "next": "/n"}', 0),
        ('{"data": [{}], "next": "/n"}', None),
    ],
)
def test_a_count_that_cannot_be_that_of_all_rows_is_none(body: str, count: int | None) -> None:
    assert page_of(body).count == count


@pytest.mark.parametrize(
    ("date", "moment"),
    [
        ("Tue, 03 Mar 2026 12:00:00 +0100", datetime(2026, 3, 3, 11, tzinfo=UTC)),
        ("Tue, 03 Mar 2026 12:00:00 -0000", datetime(2026, 3, 3, 12, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
    ],
)
def test_the_services_time_is_read_where_it_sends_one(date: str, moment: datetime | None) -> None:
    found = page_of('{"data": []}', date=date).served_at
    assert found == moment
    assert found is None or found.tzinfo is not None


@pytest.mark.parametrize("body", ['{"detail": "no"}', '{"error_code": 5}', '{"detail": null, "next": null}'])
def test_an_error_with_a_success_status_is_a_refusal(body: str) -> None:
    with pytest.raises(RequestRejectedError) as caught:
        page_of(body)
    assert caught.value.status == 200


def test_what_is_no_list_is_refused() -> None:
    with pytest.raises(InputError, match="^the reply is not a list: it has neither 'results' nor 'data'$"):
        page_of('{"next": null}')
    with pytest.raises(DecodeError):
        page_of("[]")


def test_columns_of_one_name_are_refused_with_their_number() -> None:
    refuse_duplicates(["a", "b"])
    with pytest.raises(InputError) as caught:
        refuse_duplicates(["a", "b", "a", "b", "a", "c"])
    assert caught.value.problems == [
        "3 columns of the result are named 'a'; give each its own name with AS",
        "2 columns of the result are named 'b'; give each its own name with AS",
    ]
    with pytest.raises(InputError, match="columns of the result are named 'a'"):
        page_of('{"data": [], "columns": [{"name": "a"}, {"name": "a"}]}')


def test_values_that_json_has_no_number_for_are_named_with_column_and_row() -> None:
    with pytest.raises(InputError) as caught:
        page_of('{"data": [{"a": 1, "B": NaN}, {"a": Infinity, "B": NaN}, {"a": 2, "B": NaN}], "count": NaN}')
    assert caught.value.problems == [
        "column 'B' holds NaN (row 1 of the page and 2 more), which JSON has no number for; select"
        ' NULLIF("B", \'NaN\') AS "B"',
        "column 'a' holds Infinity (row 2 of the page), which JSON has no number for; select"
        " NULLIF(a, 'Infinity') AS a",
        "column 'count' holds NaN, which JSON has no number for; select NULLIF(count, 'NaN') AS count",
    ]
    assert caught.value.subject == "the reply"


@pytest.mark.parametrize(
    ("body", "column"),
    [
        ('{"data": [NaN]}', "data.0"),
        ('{"data": NaN}', "data"),
        ('{"extent": [[NaN]]}', "extent.0.0"),
        ('{"results": [{"a": [NaN]}]}', "a"),
    ],
)
def test_a_value_outside_of_rows_is_named_with_its_path(body: str, column: str) -> None:
    with pytest.raises(InputError, match=f"^the reply: column '{column}' holds NaN(,| .row 1 of the page.,)"):
        page_of(body)


@pytest.mark.parametrize("name", ["next", "previous"])
def test_a_link_that_is_no_text_is_refused(name: str) -> None:
    for value in (5, ["/list"], {"url": "/list"}, False):
        said = "cannot be read: its links to other pages are no texts"
        with pytest.raises(ServerError, match=said) as caught:
            next(Cursor(lambda call, value=value: {"results": [1], "next": None, name: value}, CALL))
        assert caught.value.status == 200
    assert next(Cursor(lambda call: {"results": [1], "next": None, name: None}, CALL)) == 1


@pytest.mark.parametrize("name", ["results", "data"])
@pytest.mark.parametrize("value", [None, {}, "x", 5])
def test_items_that_are_no_list_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ServerError, match="cannot be read: its items are no list") as caught:
        next(Cursor(lambda call: {"next": None, name: value}, CALL))
    assert caught.value.status == 200


def test_names_are_quoted_where_sql_needs_it() -> None:
    assert [sql_name(name) for name in ("a_1", "_b", "1a", "A", "a b", 'a"b')] == [
        "a_1",
        "_b",
        '"1a"',
        '"A"',
        '"a b"',
        '"a""b"',
    ]
    assert quoted_name("a") == '"a"'


@pytest.mark.parametrize(
    ("link", "without"),
    [
        (None, None),
        ("", None),
        ("/a?token=t", "/a"),
        ("/a?b=1&token=t&c=2", "/a?b=1&c=2"),
        ("/a?token=t&&b=token", "/a?b=token"),
        ("/a?tokens=1", "/a?tokens=1"),
        ("/a", "/a"),
    ],
)
def test_a_link_loses_its_token(link: str | None, without: str | None) -> None:
    assert without_token(link) == without
    assert without_parameter("/a?b=1&c=2", "b") == "/a?c=2"
    assert without_parameter("/a?b=x=y=1&c=b=2", "b") == "/a?c=b=2"


def test_a_link_replaces_the_parameters_of_its_call_and_keeps_query_state_and_limit() -> None:
    call = follow(CALL, "/next?limit=9&offset=3&empty=&token=t")
    assert (call.path, call.base, call.method) == ("/next", "api", "GET")
    assert call.params == {"query": "SELECT 1", "limit": "9", "offset": "3", "empty": ""}
    assert follow(Call("GET", "list", base="elsewhere"), "/next").base == "api"
    post = follow(Call("POST", "list", params={"state": "s", "dataset_id": 5}), "/next?query=x&a=1")
    assert post.params == {"state": "s", "dataset_id": "5", "a": "1"}


def pages(*given: Page) -> tuple[list[Call[Any]], Any]:
    sent: list[Call[Any]] = []

    def send(call: Call[Any]) -> Page:
        sent.append(call)
        return given[len(sent) - 1]

    return sent, send


def test_pages_are_walked_to_the_last_one_over_empty_ones() -> None:
    row = [Raw(b"{}")]
    sent, send = pages(Page(row, "/a?o=1"), Page([], "/a?o=2"), Page(row, None))
    assert [len(page.rows) for page in walk(send, CALL)] == [1, 0, 1]
    assert [call.path for call in sent] == ["list", "/a", "/a"]


def test_a_link_to_its_own_page_is_an_incomplete_export() -> None:
    row = [Raw(b"{}")]
    sent, send = pages(Page(row, "/a?o=1&p=2"), Page(row, "/a?p=2&o=1"))
    with pytest.raises(IncompleteExportError, match="^/a leads to itself: its 'next' link repeats the same"):
        list(walk(send, CALL))
    assert len(sent) == 2


def test_links_that_lead_back_to_an_earlier_page_are_an_incomplete_export() -> None:
    row = [Raw(b"{}")]
    sent, send = pages(*[Page(row, f"/a?o={number % 3}") for number in range(40)])
    with pytest.raises(IncompleteExportError, match="leads to itself"):
        list(walk(send, CALL))
    assert len(sent) <= 12


@pytest.mark.parametrize(("empty", "fails"), [(MAX_EMPTY_PAGES, False), (MAX_EMPTY_PAGES + 1, True)])
def test_twenty_empty_pages_in_a_row_are_walked_and_no_more(empty: int, fails: bool) -> None:
    assert MAX_EMPTY_PAGES == 20
    given = [Page([], f"/a?o={number}") for number in range(empty)]
    row = [Raw(b"{}")]
    _, send = pages(Page(row, "/b"), *given, Page(row, "/c"), *given[:MAX_EMPTY_PAGES], Page(row, None))
    if fails:
        with pytest.raises(IncompleteExportError, match="repeats the same page"):
            list(walk(send, CALL))
    else:
        assert sum(len(page.rows) for page in walk(send, CALL)) == 3


def replies(*bodies: Any) -> Any:
    left = list(bodies)

    def send(call: Call[Any]) -> Any:
        body = left.pop(0)
        if isinstance(body, Exception):
            left.insert(0, {"next": None, "results": [9]})
            raise body
        return body

    return send


def test_a_cursor_ends_where_links_lead_back_after_the_items_it_has() -> None:
    bodies = [{"next": f"/a?o={number % 2}", "data": [number]} for number in range(40)]
    cursor = Cursor(replies(*bodies), CALL)
    assert [cursor.next() for _ in range(3)] == [0, 1, 2]
    for _ in range(2):
        with pytest.raises(IncompleteExportError, match="leads to itself"):
            cursor.next()


def test_a_cursor_yields_the_items_of_all_pages_and_says_what_the_last_reply_has() -> None:
    cursor = Cursor(
        replies(
            {"next": "/a", "previous": "/b?c=1", "data": [1], "count": 3},
            {"next": None, "results": [2, 3]},
        ),
        CALL,
    )
    assert cursor.get("count") == 3
    assert (cursor.get("next"), cursor.get("previous")) == ("/a", "/b?c=1")
    assert (cursor.has_next, cursor.next(), cursor.has_next, list(cursor)) == (True, 1, True, [2, 3])
    assert not cursor.has_next
    with pytest.raises(ValueError, match="^the reply has no value 'count'; it has next$"):
        cursor.get("count")
    with pytest.raises(StopIteration):
        cursor.next()


def test_a_cursor_says_what_the_reply_of_its_items_has_and_fetches_no_further_page() -> None:
    cursor = Cursor(replies({"next": "/a", "data": [1], "count": 3}), CALL)
    assert (cursor.next(), cursor.get("count")) == (1, 3)
    assert Cursor(replies({"next": None, "data": [], "count": 0}), CALL).get("count") == 0


def test_a_cursor_yields_a_reply_that_is_no_list_once() -> None:
    assert list(Cursor(replies([1, 2]), CALL)) == [[1, 2]]
    cursor = Cursor(replies({"id": 7}), CALL)
    assert list(cursor) == [{"id": 7}]
    assert cursor.get("id") == 7
    assert list(Cursor(replies({"next": None}), CALL)) == []


def test_a_cursor_fetches_a_page_once_more_after_an_error() -> None:
    cursor = Cursor(replies({"next": "/a", "data": [1]}, InputError("no")), CALL)
    assert next(cursor) == 1
    with pytest.raises(InputError):
        next(cursor)
    assert list(cursor) == [9]


def test_a_cursor_gives_up_after_twenty_empty_pages() -> None:
    empty = [{"next": f"/a?o={number}", "data": []} for number in range(25)]
    assert list(Cursor(replies(*empty[:20], {"next": None, "data": [1]}), CALL)) == [1]
    with pytest.raises(IncompleteExportError, match="^the list has more than 20 consecutive empty pages$"):
        list(Cursor(replies(*empty), CALL))


def test_a_cursor_refuses_columns_of_one_name() -> None:
    body = {"next": None, "data": [1], "columns": [{"name": "a"}, {"name": "a"}, "x"]}
    with pytest.raises(InputError, match="2 columns of the result are named 'a'"):
        list(Cursor(replies(body), CALL))
    assert list(Cursor(replies({"next": None, "data": [1], "columns": "a"}), CALL)) == [1]


def test_an_event_loop_has_the_same_cursor() -> None:
    async def items() -> list[Any]:
        send = replies({"next": "/a", "data": [1]}, {"next": None, "data": [2]})

        async def asend(call: Call[Any]) -> Any:
            return send(call)

        return [item async for item in AsyncCursor(asend, CALL)]

    assert asyncio.run(items()) == [1, 2]


@pytest.mark.parametrize(
    "kind",
    [
        *("integer", "bigint", "float", "number", "real", "numeric", "double", "double precision"),
        *(f"unknown({oid})" for oid in (20, 21, 23, 700, 701, 1700)),
    ],
)
def test_a_number_that_comes_as_a_text_is_a_number_whatever_its_type(kind: str) -> None:
    def page(text: str) -> Page:
        return Page([Raw(json.dumps({"a": text}).encode())], columns=[Column("a", kind)])

    assert QueryIsTrue("SELECT 1").evaluate(page("0.0")) is None
    assert QueryIsTrue("SELECT 1").evaluate(page("0.1")) == {"value": "0.1"}


@pytest.mark.parametrize("kind", ["boolean", "unknown(16)"])
def test_a_boolean_that_comes_as_a_text_is_one(kind: str) -> None:
    def evaluated(text: str, kind: str) -> Any:
        rows = [Raw(json.dumps({"a": text}).encode())]
        return QueryIsTrue("SELECT 1").evaluate(Page(rows, columns=[Column("a", kind)]))

    assert [evaluated(text, kind) for text in ("f", " False", "")] == [None] * 3
    assert evaluated("t", kind) == {"value": "t"}
    assert evaluated("f", "string") == {"value": "f"}
