from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider.core.http.reply import Reply, read_error


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
