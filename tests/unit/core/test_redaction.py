from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider.core.redaction import (
    Redactor,
    _in_base64,
    all_encodings,
    amask,
    encodings,
    loggable,
    mask,
    redact,
    redact_beginning,
    redact_http_logs,
    redact_token,
    shown_path,
    token_encodings,
    url_encodings,
    without_query,
)

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
    assert Redactor(["zzzz", "azzzzb"]).redact("azzzzb") == "***"


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


@pytest.mark.parametrize("name", ["access_token", "refresh_token", "id_token", "client_secret", "ID_TOKEN"])
def test_a_member_with_a_credential_is_redacted_by_its_name(name: str) -> None:
    assert Redactor().redact_value({name: "a+b%c", "x": "y"}) == {name: "***", "x": "y"}
    assert Redactor().redact(f'{{"{name}": "a+b%c"}}') == f'{{"{name}": "***"}}'


def test_other_members_keep_their_values() -> None:
    value = {"access_token": None, "detail": {"password": "is missing"}}
    assert Redactor().redact_value(value) == value


def test_the_encodings_of_a_secret_are_these() -> None:
    found = encodings("a/b\"c'd<e>&é+")
    expected = {
        "a/b\"c'd<e>&é+",
        "a%2Fb%22c%27d%3Ce%3E%26%C3%A9%2B",
        "a%2fb%22c%27d%3ce%3e%26%c3%a9%2b",
        "a/b%22c%27d%3Ce%3E%26%C3%A9%2B",
        "a%2Fb%22c'd%3Ce%3E%26%C3%A9%2B",
        "a/b\\\"c'd<e>&\\u00e9+",
        "a\\/b\\\"c'd<e>&é+",
        "a/b\"c'd&lt;e&gt;&amp;é+",
        "a/b&quot;c'd&lt;e&gt;&amp;é+",
        "a/b&quot;c&#x27;d&lt;e&gt;&amp;é+",
        "a/b&quot;c&#39;d&lt;e&gt;&amp;é+",
        "a/b\"c\\'d<e>&é+",
        "a/b\"c\\'d<e>&\\xc3\\xa9+",
    }
    assert expected <= found


@pytest.mark.parametrize("before", ["", "x", "xy", "xyz"])
@pytest.mark.parametrize("secret", ["12345678", "s3cr3t-%fü?>+/~~", "abcdefghi"])
def test_a_secret_within_a_text_in_base64_is_redacted_at_each_alignment(before: str, secret: str) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode(f"{before}{secret}".encode()).decode()
        assert "***" in Redactor([secret]).redact(text)
    assert any(
        text in base64.b64encode(f"{before}{secret}{before}".encode()).decode() for text in encodings(secret)
    )


def test_base64_is_known_with_and_without_its_padding() -> None:
    assert {"YWJjZA==", "YWJjZA"} <= encodings("abcd")
    assert {"Pz8/Pg==", "Pz8_Pg==", "Pz8_Pg"} <= encodings("???>")
    assert _in_base64(b"abcdefg") == {"YWJjZGVmZw==", "YWJjZGVmZw"}
    assert len(_in_base64(b"abcdefgh")) == 5
    # The parts of shorter secrets within a longer text would be found in any text.
    assert len(min(encodings("abcdefg"), key=len)) == 7
    assert len(min(encodings("abcdefgh"), key=len)) == 8


def test_secrets_of_three_characters_are_not_redacted_and_one_is_known_once() -> None:
    redactor = Redactor(["abc", "abcd", "abcd"])
    assert redactor.redact("abc abcd") == "abc ***"
    redactor.add_token("abc")
    redactor.add_token("abcd")
    redactor.add_token("efgh")
    redactor.add_token("efgh")
    assert redactor._secrets == ["abcd"]
    assert list(redactor._tokens) == ["efgh"]
    assert redactor.redact("efgh") == "***"


def test_values_of_json_are_redacted_with_their_keys() -> None:
    redactor = Redactor(["secret"])
    value = {"a secret": ["secret", ("x secret", 5)], "b": {"c": "secret"}, "d": None}
    assert redactor.redact_value(value) == {"a ***": ["***", ("x ***", 5)], "b": {"c": "***"}, "d": None}


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("token=abc&x=1", "token=***&x=1"),
        ("API_KEY%3dabc'", "API_KEY%3d***'"),
        ("apikey=a apiKey=b", "apikey=*** apiKey=***"),
        ("X-Amz-Signature=abc X-Goog-Credential=d", "X-Amz-Signature=*** X-Goog-Credential=***"),
        ("mytoken=abc tokens=5", "mytoken=abc tokens=5"),
        ("Basic YWJjZGVm bearer abc", "Basic *** bearer abc"),
        ("basics of things", "basics of things"),
    ],
)
def test_texts_in_the_form_of_a_credential_are_redacted(text: str, redacted: str) -> None:
    assert Redactor().redact(text) == redacted


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://x.com/a?b#c", "https://x.com/a"),
        ("/a/b?c=1", "/a/b"),
        ("//u:p@x.com/a", "/a"),
        ("http://[x", "(no URL)"),
        ("https://u:gehe/im@x.com:8/a?b=1", "https://x.com:8/a"),
        ("https://u:gehe/i@m@x.com/a", "https://x.com/a"),
        ("https://x.com:8443/a@b/c", "https://x.com:8443/a@b/c"),
        ("https://[::1]:8443/a@b/c", "https://[::1]:8443/a@b/c"),
        ("https://x.com:/a@b", "https://x.com:/a@b"),
        ("https://u:ge?im@x.com/a", "https://x.com/a"),
        ("https://u:ge#im@x.com/a", "https://x.com/a"),
        ("https://x.com?mail=a@b.c", "https://x.com"),
        ("https://x.com:8?mail=a@b/c", "https://x.com:8"),
        ("https://x.com/a?mail=a@b/c", "https://x.com/a"),
    ],
)
def test_a_url_is_logged_without_user_query_and_fragment(url: str, shown: str) -> None:
    assert without_query(url) == shown


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/data/a.csv", "/data/a.csv"),
        ("/data/a?b=1.csv", "/data/a?b=1.csv"),
        ("s3://conn@bucket/a?b.csv", "s3://conn@bucket/a?b.csv"),
        ("s3://key:pass@bucket/a.csv", "s3://bucket/a.csv"),
        ("s3://bucket/a.csv?X-Amz-Signature=1", "s3://bucket/a.csv"),
        ("s3://bucket", "s3://bucket"),
        ("s3://key:pa/ss@bucket/a.csv", "s3://bucket/a.csv"),
        ("s3://key:12/ss@bucket/a.csv?b=1", "s3://bucket/a.csv"),
        ("s3://bucket/a@b.csv", "s3://bucket/a@b.csv"),
        ("s3://conn@bucket/a@b:c.csv", "s3://conn@bucket/a@b:c.csv"),
        ("/data/a\nb.csv", "/data/a\\nb.csv"),
        ("/" + "x" * 199, "/" + "x" * 199),
        ("/" + "x" * 100 + "y" * 100, "/" + "x" * 59 + "…" + "x" * 39 + "y" * 100),
    ],
)
def test_a_path_is_shown_without_credentials_on_one_line_and_cut(path: str, shown: str) -> None:
    assert shown_path(path) == shown
    assert len(shown) <= 200


@pytest.mark.parametrize(
    "way", [lambda s: quote(s, safe=""), quote, quote_plus, lambda s: quote(s, safe="!~*'()")]
)
def test_each_way_to_quote_a_secret_in_a_url_is_known(way: Callable[[str], str]) -> None:
    secret = "a/b c!d(e)*'~"
    assert {way(secret), re.sub("%..", lambda code: code[0].lower(), way(secret))} <= url_encodings(secret)
    others = {quote(secret, safe=""), quote(secret), quote_plus(secret), quote(secret, safe="!~*'()")}
    assert len(others) == 4


async def test_masking_in_an_event_loop_tells_the_supervisor_where_airflow_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airflow.sdk import log

    told: list[list[str]] = []

    async def amask_secret(texts: list[str]) -> None:
        told.append(texts)

    monkeypatch.setattr(log, "amask_secret", amask_secret, raising=False)
    await amask(["R:s3cret"])
    await amask([])
    assert told == [["R:s3cret"]]


def test_encodings_for_the_masker_are_sorted_and_those_of_nothing_empty() -> None:
    assert token_encodings("") == []
    assert token_encodings("a+b") == ["a%2Bb", "a%2bb", "a+b"]
    assert all_encodings(["", "abcd"]) == sorted(encodings("abcd"))


NAMES = [
    "httpx",
    *(f"httpcore.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")),
    *(f"urllib3.{part}" for part in ("connection", "connectionpool", "poolmanager", "response")),
    "urllib3.util.retry",
]


def test_logs_of_http_libraries_are_redacted_with_their_tracebacks(caplog: pytest.LogCaptureFixture) -> None:
    redact_http_logs(["lasting/secret"])
    redact_http_logs(["lasting/secret"])
    redact_token("short-lived-token")
    caplog.set_level(logging.DEBUG)
    for name in NAMES:
        try:
            raise ValueError("lasting/secret")
        except ValueError:
            logging.getLogger(name).error(
                "GET %s with %s", "/x?a=lasting%2Fsecret", "short-lived-token", exc_info=True
            )
        assert (
            sum(
                filter_ is logging.getLogger("httpx").filters[-1]
                for filter_ in logging.getLogger(name).filters
            )
            == 1
        )
    assert [record.getMessage() for record in caplog.records] == ["GET /x?a=*** with ***"] * len(NAMES)
    assert all(record.exc_info is None and record.exc_text is None for record in caplog.records)
    assert redact("a lasting/secret") == "a ***"


def test_an_id_that_is_a_credential_is_refused() -> None:
    redact_token("s3cr3t-of-ids")
    assert loggable("job-1") == "job-1"
    for text in ("s3cr3t-of-ids", f"job-{quote('s3cr3t-of-ids')}", "?token=other"):
        with pytest.raises(ValueError, match="a text holds a credential"):
            loggable(text)


@pytest.mark.parametrize(
    "text", ["job-1\n2026 INFO written", "a\x1b[2J", "\u202e1-boj", "x::group::y", "x" * 1001]
)
def test_an_id_that_would_add_lines_to_a_log_or_hide_some_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no printable line of at most 1000 characters"):
        loggable(text)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("s3://key:p@ss@bucket/a.csv", "s3://bucket/a.csv"),
        ("s3://bucket/?x=abc", "s3://bucket/"),
        ("s3://bucket/a?x=1?y", "s3://bucket/a"),
        ("s3://bucket/a=1/b?.csv", "s3://bucket/a=1/b?.csv"),
        ("memory://a/b://c?d.csv", "memory://a/b://c?d.csv"),
        ("/data/a:b@c.csv", "/data/a:b@c.csv"),
        ("/data/Müller ø.csv", "/data/Müller ø.csv"),
    ],
)
def test_a_path_loses_its_user_and_its_query_only(path: str, shown: str) -> None:
    assert shown_path(path) == shown


def test_masking_on_a_worker_tells_the_supervisor(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk import log

    told: list[list[str]] = []
    monkeypatch.setattr(log, "mask_secret", told.append)
    mask([])
    mask(["R:s3cret"])
    assert told == [["R:s3cret"]]


async def test_masking_in_an_event_loop_of_an_early_airflow_stays_in_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airflow.sdk import log
    from airflow.sdk._shared import secrets_masker

    told: list[list[str]] = []
    monkeypatch.delattr(log, "amask_secret", raising=False)
    monkeypatch.setattr(secrets_masker, "mask_secret", told.append)
    await amask([])
    await amask(["R:s3cret"])
    assert told == [["R:s3cret"]]


def test_an_id_of_a_thousand_characters_is_logged() -> None:
    assert loggable("x" * 1000) == "x" * 1000


def test_a_logged_line_is_kept_and_has_no_values_left(caplog: pytest.LogCaptureFixture) -> None:
    redact_http_logs()
    logging.getLogger("httpx").warning("GET %s?token=%s", "/x", "abc")
    (record,) = caplog.records
    assert (record.msg, record.args) == ("GET /x?token=***", ())


def test_a_secret_is_known_by_its_encodings_after_others_were_added() -> None:
    redactor = Redactor(max_tokens=1)
    for token in ("a/b+c", "d/e+f"):
        redactor.add_token(token)
    redactor.add("g/h+i")
    text = "a%2Fb%2Bc d%2Fe%2Bf g%2Fh%2Bi"
    assert redactor.redact(text) == "a%2Fb%2Bc *** ***"
    assert set(redactor._encodings) == {"d/e+f", "g/h+i"}


@pytest.mark.parametrize("many", [1, 3, 30, 300])
def test_the_beginning_of_a_text_shows_no_part_of_a_secret(many: int) -> None:
    secret = "s3cret-" + "q" * 600
    redactor = Redactor([secret, "0th3r/secret"])
    for before in (0, 1, 150, 196, 199, 200, 201, 900):
        for secrets in (f" {secret}", " 0th3r/secret"):
            text = "x" * before + secrets * many + "y" * 2000
            expected = "x" * before + " ***" * many + "y" * 2000
            assert redactor.redact_beginning(text, 200) == expected[:200]


def test_of_a_long_text_without_a_secret_only_the_beginning_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    real = Redactor.redact

    def noted(redactor: Redactor, text: str) -> str:
        read.append(len(text))
        return real(redactor, text)

    monkeypatch.setattr(Redactor, "redact", noted)
    assert Redactor().redact_beginning("x" * 10_000, 200) == "x" * 200
    assert Redactor(["s" * 50]).redact_beginning("x" * 10_000, 200) == "x" * 200
    assert read[0] == 300
    assert 300 + 50 <= read[1] < 300 + 4 * 50


def test_the_beginning_of_a_text_has_no_credential_that_the_process_knows() -> None:
    redact_token("t0ken-of-this-process")
    assert redact_beginning("at t0ken-of-this-process, later", 12) == "at ***, late"
    assert redact_beginning("x" * 190 + " bearer abcdefgh.ijkl", 200) == "x" * 190 + " bearer **"
