from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider.core.redaction import Redactor, without_query

SECRETS = st.text(st.characters(codec="utf-8", exclude_characters="*"), min_size=4, max_size=40)
ENCODINGS = {
    "raw": lambda s: s,
    "quote": lambda s: quote(s, safe=""),
    "quote with slash": quote,
    "quote_plus": quote_plus,
    "lower-case hex": lambda s: "".join(
        c if c.isalnum() and c.isascii() else f"%{b:02x}" for c in s for b in c.encode()
    ),
    "urlencode": lambda s: urlencode({"k": s})[2:],
    "json": lambda s: json.dumps(s)[1:-1],
    "json unicode": lambda s: json.dumps(s, ensure_ascii=False)[1:-1],
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64url": lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
}


@pytest.mark.parametrize("encoding", [name for name in ENCODINGS if name != "lower-case hex"])
@given(secret=SECRETS)
def test_a_secret_is_redacted_in_every_encoding(encoding: str, secret: str) -> None:
    written = ENCODINGS[encoding](secret)
    redacted = Redactor([secret]).redact(f"before '{written}' after")
    assert redacted == "before '***' after" or written not in redacted


def test_lower_case_percent_encoding_is_redacted_too() -> None:
    assert "%2b" not in Redactor(["R:ab+c/d"]).redact("x=R%3aab%2bc%2fd")


def test_a_token_parameter_is_redacted_even_when_it_is_unknown() -> None:
    text = Redactor().redact(
        "GET https://x/api?limit=2&token=R%3Aabc&offset=1 sig=AbC%2F Authorization: Bearer abcdefghijk"
    )
    assert text == "GET https://x/api?limit=2&token=***&offset=1 sig=*** Authorization: Bearer ***"


def test_a_longer_secret_is_redacted_whole_when_it_holds_a_shorter_one() -> None:
    assert Redactor(["abcd", "abcdefgh"]).redact("abcdefgh") == "***"


def test_a_bare_url_holds_neither_user_nor_query() -> None:
    assert without_query("https://u:p@x.com:8/a/b?token=1#f") == "https://x.com:8/a/b"


def test_old_tokens_are_dropped() -> None:
    redactor = Redactor(["lasting-secret"])
    for number in range(1000):
        redactor.add_token(f"token-{number:04d}")
    redacted = redactor.redact("lasting-secret token-0999 token-0000")
    assert redacted == "*** *** token-0000"


def test_many_long_tokens_are_redacted() -> None:
    redactor = Redactor(["s3cr3t"], max_tokens=64)
    tokens = [f"eyJ{n:03}." + "aB3-" * 130 for n in range(100)]
    for token in tokens:
        redactor.add_token(token)
    assert tokens[-1] not in redactor.redact(f"got {tokens[-1]} and {tokens[40]}")


TOKEN_REPLY = {"access_token": "tok/1+x&%", "expires_in": 3600}


def test_a_token_that_was_not_received_yet_is_redacted_by_its_name() -> None:
    text = json.dumps(TOKEN_REPLY)
    assert Redactor().redact(f"<title>{text}") == '<title>{"access_token": "***", "expires_in": 3600}'
    assert "tok/1" not in Redactor().redact(text[:-20])
    assert Redactor().redact_value([TOKEN_REPLY]) == [{**TOKEN_REPLY, "access_token": "***"}]


def test_other_members_keep_their_values() -> None:
    value = {"access_token": None, "detail": {"password": "is missing"}}
    assert Redactor().redact_value(value) == value
