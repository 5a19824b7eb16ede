from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider.core.http import reply as module
from airflow_provider.core.http.reply import (
    BodyReader,
    NoResponse,
    Reply,
    coding_problem,
    flat,
    has_plain_title,
    no_proxy_response,
    non_finite_values,
    page_title,
    read_error,
    read_json,
    read_reply,
    service_time,
    truncate,
)


def read(body: Any) -> tuple[str, str]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_error(Reply(400, {}, data))


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (
            {"error": "invalid_grant", "error_description": "wrong password"},
            "invalid_grant",
            "wrong password",
        ),
        ({"error_code": "sql", "detail": "no such table"}, "sql", "no such table"),
        ({"error": {"status": 404, "message": "Item not found"}}, "", "Item not found"),
        ({"errors": ["a", "b"]}, "", "a, b"),
        ({"errors": ["It is wrong.", "Too long."]}, "", "It is wrong, Too long."),
        (
            {"message": "Failed.", "errors": {"name": ["Too long."], "id": "No."}},
            "",
            "Failed; name: Too long; id: No.",
        ),
        ({"title": "Invalid", "errors": {"[0].id": ["missing"]}}, "", "Invalid; [0].id: missing"),
        ("just text", "", "just text"),
        (b"<html><head><title>502 Bad Gateway</title></head></html>", "", "an HTML page: 502 Bad Gateway"),
        (b"", "", ""),
        (b"\xff\xfe oops", "", "�� oops"),
        (None, "", ""),
    ],
)
def test_code_and_message_are_found_in_every_usual_form(body: Any, code: str, message: str) -> None:
    assert read(body) == (code, message)


def test_a_long_message_is_cut() -> None:
    assert len(read(b"x" * 10_000)[1]) <= 500


@pytest.mark.parametrize("piece", [b"<", b"<title>", b"<title", b"<title><", b"<!--"])
def test_a_page_of_opening_tags_is_read_in_linear_time(piece: bytes) -> None:
    # Quadratic reading would take hours here, and the test its time limit.
    assert len(read(b"<html>" + piece * (4_000_000 // len(piece)))[1]) <= 500


@pytest.mark.parametrize("depth", [100, 300, 400, 450, 600, 900, 5_000])
@pytest.mark.parametrize(("left", "right"), [('{"detail":', "}"), ('{"error":', "}"), ("[", "]")])
def test_a_deeply_nested_error_is_read_at_any_depth(depth: int, left: str, right: str) -> None:
    code, message = read((left * depth + '"far down"' + right * depth).encode())
    assert len(code) <= 100
    assert len(message) <= 500


def test_a_message_has_no_control_characters_and_no_line_breaks() -> None:
    body = {"detail": "a\x1b[31mred\x00\r\n2026-01-01 INFO all fine\u2028\u202eevil\x85x\x9b2J"}
    message = read(body)[1]
    assert message.isprintable()
    assert message.startswith("a\ufffd[31mred\ufffd 2026-01-01 INFO all fine")


def test_headers_are_found_in_any_case() -> None:
    both = module.Headers({"A": "1", "b": "2"})
    assert (len(both), dict(both), "B" in both) == (2, {"a": "1", "b": "2"}, True)
    reply = Reply(200, {"Content-Type": "text/plain", "X-Id": "7"}, b"")
    assert reply.headers["Content-Type"] == reply.headers["content-type"] == "text/plain"
    assert reply.headers.get("X-ID") == "7"
    assert "CONTENT-TYPE" in reply.headers
    assert "Date" not in reply.headers
    assert dict(reply.headers) == {"content-type": "text/plain", "x-id": "7"} == reply.headers
    with pytest.raises(KeyError):
        reply.headers["Date"]


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({}, b"\n<!DOCTYPE html><title>x", True),
        ({}, b"\xef\xbb\xbf<HTML>", True),
        ({"Content-Type": "text/html; charset=utf-8"}, b"<!-- comment --><html>", True),
        ({"Content-Type": "text/html"}, b'{"id": 1}', False),
        ({"Content-Type": "text/html"}, b"", False),
        ({"Content-Type": "application/xml"}, b"<feed/>", False),
    ],
)
def test_a_web_page_is_known_by_its_body(headers: dict[str, str], body: bytes, expected: bool) -> None:
    assert Reply(200, headers, body).is_page is expected


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"error": {"code": 7, "message": "inner"}, "message": "outer"}, "7", "inner"),
        ({"code": 5, "detail": "5"}, "5", ""),
        ({"code": "c", "error_code": "first", "message": "m", "detail": "d"}, "first", "d; m"),
        ({"message": "same", "detail": "same"}, "", "same"),
        ({"detail": ["a", None, {"b": 1}]}, "", "a, b: 1"),
        ({"code": "c" * 101}, "c" * 99 + "…", ""),
        ({"code": ["list"], "error": 3}, "3", ""),
        (["a", "b"], "", "a, b"),
        ("<b>bold</b> text", "", "<b>bold</b> text"),
        (b"<b>bold</b> text", "", "bold text"),
        (b"less < more", "", "less < more"),
        (b"<p>x</p><TITLE lang=en> A  page </TITLE>", "", "an HTML page: A page"),
        (b"  \n", "", ""),
    ],
)
def test_code_and_message_come_from_the_first_name_that_has_them(body: Any, code: str, message: str) -> None:
    assert read(body) == (code, message)


def test_texts_are_cut_at_their_length_with_an_ellipsis() -> None:
    assert truncate("x" * 500) == "x" * 500
    assert truncate("x" * 501) == "x" * 499 + "…"
    assert truncate(" a \n b ", 3) == "a b"
    assert truncate("a\x1b[2J ::group::b") == "a\ufffd[2J : :group::b"
    assert page_title(f"<title>{'t' * 101}") == "t" * 99 + "…"
    assert page_title("no title") == ""


def test_a_reply_has_the_names_of_requests_and_its_text_whatever_its_bytes() -> None:
    reply = Reply(201, {}, b"\xff{")
    assert (reply.status_code, reply.content, reply.text) == (201, b"\xff{", "\ufffd{")
    with pytest.raises(ValueError, match="^not JSON: "):
        reply.json()
    assert read_reply(reply) is reply
    assert read_json(Reply(200, {}, b"[1]")) == [1]


@pytest.mark.parametrize(
    ("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[1, {"b]":', b"}]"), (b'["}", ', b"]")]
)
def test_json_that_is_nested_more_than_a_hundred_levels_is_none(opening: bytes, closing: bytes) -> None:
    """Functions that call themselves for each level would end in ``RecursionError``, somewhere in a task."""
    levels = 100 // sum(char in b"[{" for char in opening)
    deep = opening * levels + b"0" + closing * levels
    assert Reply(200, {}, deep).json() is not None
    for deeper in (b"[%s]" % deep, b'{"[": %s}' % deep, b'["{{[", {}, %s, "]]"]' % deep):
        with pytest.raises(ValueError, match="^not JSON: nested more than 100 levels deep$"):
            Reply(200, {}, deeper).json()
    wide = b"[" + b",".join([b'{"a": [1, "[[", {}]}'] * 500) + b"]"
    assert len(Reply(200, {}, wide).json()) == 500


def test_a_page_is_known_by_its_first_kilobyte() -> None:
    assert Reply(200, {}, b" " * (1024 - 5) + b"<html").is_page
    assert not Reply(200, {}, b" " * (1024 - 4) + b"<html").is_page


def test_values_without_a_number_in_json_are_found_in_their_order() -> None:
    body = b'{"a": NaN, "b": [1, Infinity, {"c": -Infinity}], "d": "NaN", "e": NaN}'
    assert list(non_finite_values(body)) == [
        (("a",), "NaN"),
        (("b", 1), "Infinity"),
        (("b", 2, "c"), "-Infinity"),
        (("e",), "NaN"),
    ]
    assert list(non_finite_values(b'{"a": NaN')) == []
    assert list(non_finite_values(b"[" * 100_000)) == []


@pytest.mark.parametrize(
    ("reason", "found"),
    [
        ("Tunnel connection failed: 407 Auth", (True, "the proxy refuses the connection (407 Auth)")),
        ("503 Busy", (False, "the proxy refuses the connection (503 Busy)")),
        ("failed: 4071", (False, "no connection to the proxy (failed: 4071)")),
        ("refused 403", (False, "no connection to the proxy (refused 403)")),
    ],
)
def test_a_proxy_that_refuses_is_permanent_by_its_status(reason: str, found: tuple[bool, str]) -> None:
    response = no_proxy_response(reason)
    assert (response.permanent, response.reason) == found
    assert (response.sent, response.cause) == (False, "proxy")


def test_a_successful_reply_may_have_512_mebibytes_and_an_error_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (module.MAX_BYTES, module.MAX_ERROR_BYTES) == (512 * 1024**2, 1024**2)
    monkeypatch.setattr(module, "MAX_BYTES", 3 * module.MIB)
    monkeypatch.setattr(module, "MAX_ERROR_BYTES", 4)
    half = b"x" * (module.MIB * 3 // 2)
    body = BodyReader((200,), 200, {"A": "b"})
    assert [body.add(half, 0), body.add(half, 0)] == [True, True]
    reply = body.result()
    assert isinstance(reply, Reply)
    assert (reply.status, reply.headers["a"], len(reply.body)) == (200, "b", 3 * module.MIB)
    assert not body.add(b"y", 0)
    assert body.result() == NoResponse(True, "its reply is larger than 3 MiB", True)
    error = BodyReader((200,), 500, {})
    assert [error.add(part, 0) for part in (b"abc", b"def", b"ghi")] == [True, False, False]
    reply = error.result()
    assert isinstance(reply, Reply)
    assert reply.body == b"abcd"


def test_a_body_that_is_compressed_twice_is_not_read() -> None:
    once, twice = (BodyReader((200,), 200, {"Content-Encoding": names}) for names in ("gzip", "gzip, br"))
    assert (once.readable, twice.readable) == (True, False)
    assert twice.result() == NoResponse(True, "its reply is compressed more than once", True)


@pytest.mark.parametrize(
    "name",
    ["detail", "message", "error_description", "errorMessage", "title", "error", "errors", "warnings"],
)
def test_a_message_is_found_under_each_of_its_usual_names(name: str) -> None:
    value = ["bad row"] if name in ("error", "errors", "warnings") else "bad row"
    for body in ({name: value, "other": "x"}, {"error": {name: value}} if name != "error" else {name: value}):
        assert read_error(Reply(400, {}, json.dumps(body).encode())) == ("", "bad row")


@pytest.mark.parametrize("name", ["error_code", "code", "error"])
def test_a_code_is_found_under_each_of_its_usual_names(name: str) -> None:
    for code, shown in (("bad_row", "bad_row"), (7, "7")):
        body = json.dumps({name: code, "detail": "x"}).encode()
        assert read_error(Reply(400, {}, body)) == (shown, "x")


def test_the_words_of_a_proxy_are_cut() -> None:
    assert no_proxy_response("x" * 300).reason == f"no connection to the proxy ({'x' * 199}…)"
    refused = no_proxy_response("503 " + "x" * 300).reason
    assert refused == f"the proxy refuses the connection (503 {'x' * 95}…)"


@pytest.mark.parametrize(
    ("date", "moment"),
    [
        ({"Date": "Thu, 01 Jan 1970 00:16:40 GMT"}, datetime(1970, 1, 1, 0, 16, 40, tzinfo=UTC)),
        ({"Date": "Thu, 01 Jan 1970 00:16:40 -0000"}, datetime(1970, 1, 1, 0, 16, 40, tzinfo=UTC)),
        ({"Date": "Thu, 01 Jan 1970 02:16:40 +0200"}, datetime(1970, 1, 1, 0, 16, 40, tzinfo=UTC)),
        ({"Date": "today"}, None),
        ({"Date": f"Mon, 01 Jan {'9' * 30} 00:00:00 GMT"}, None),
        ({}, None),
    ],
)
def test_the_service_s_time_is_that_of_its_header(date: dict[str, str], moment: datetime | None) -> None:
    found = service_time(Reply(200, date, b""))
    assert found == moment
    assert found is None or found.tzinfo


@pytest.mark.parametrize(
    ("coding", "problem"),
    [
        ("", ""),
        ("gzip", ""),
        (" BR ", "its reply is compressed as br, unasked"),
        ("Zstd", "its reply is compressed as zstd, unasked"),
        ("gzip,gzip", "its reply is compressed more than once"),
    ],
)
def test_compressions_that_could_fill_the_memory_are_named(coding: str, problem: str) -> None:
    assert coding_problem({"content-encoding": coding} if coding else {}) == problem


def test_a_body_may_expand_two_hundred_fold_beyond_its_first_megabytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "FREE_BYTES", 100)
    monkeypatch.setattr(module, "MAX_EXPANSION", 10)
    free = BodyReader((200,), 200, {})
    assert [free.add(b"x" * 99, 1), free.add(b"x", 1), free.add(b"x", 1)] == [True, True, False]
    assert free.result() == NoResponse(True, "its reply expands more than 10-fold", True)
    dense = BodyReader((200,), 200, {})
    assert [dense.add(b"x" * 200, 20), dense.add(b"x", 20)] == [True, False]
    unknown = BodyReader((200,), 200, {})
    assert unknown.add(b"x" * 500, 0)
    assert isinstance(unknown.result(), Reply)
    # Of an error reply the beginning will do.
    error = BodyReader((200,), 500, {})
    assert [error.add(b"x" * 200, 1)] == [False]
    assert error.result() == Reply(500, {}, b"x" * 200)


def test_the_texts_of_a_value_are_one_sentence_with_the_names_of_their_fields() -> None:
    assert flat({"a": ["b.", ("c", None)], "d": {"e": 1}}) == "a: b, c; d: e: 1"
    assert (flat(None), flat(0), flat("")) == ("", "0", "")


@pytest.mark.parametrize(
    ("title", "plain"),
    [
        ("", True),
        ("502 Bad Gateway: (try later!)", True),
        ("x" * 20, True),
        ("x" * 21, False),
        ("a  b", True),
        ('a "b"', False),
    ],
)
def test_a_plain_title_has_words_of_at_most_twenty_characters(title: str, plain: bool) -> None:
    assert has_plain_title(f"<html><title>{title}</title>") is plain


def test_the_title_of_a_page_with_markup_before_it_is_found() -> None:
    assert read_error(Reply(500, {}, b"  <p>a</p> <b>c</b>")) == ("", "a c")
    assert read_error(Reply(500, {}, b"down <title>Busy</title>")) == ("", "an HTML page: Busy")
    assert read_error(Reply(500, {}, b"a <b>c</b>")) == ("", "a <b>c</b>")


def test_the_body_of_a_reply_may_come_in_any_number_of_chunks() -> None:
    for parts in ([], [b"a"], [b"a", b"b"], [b"", b"a", b"", b"b", b"c"]):
        body = BodyReader((200,), 200, {})
        assert all(body.add(part, 0) for part in parts)
        assert body.result() == Reply(200, {}, b"".join(parts))
