from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider.core.calls import Reply
from airflow_provider.core.replies import explain


def said(body: Any) -> tuple[str, str]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return explain(Reply(400, {}, data))


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
    assert said(body) == (code, message)


def test_a_long_message_is_cut() -> None:
    assert len(said(b"x" * 10_000)[1]) <= 500
