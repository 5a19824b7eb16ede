"""Properties of the pure parts of core, for any input."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider.core.files.reader import read_rows
from airflow_provider.core.http.call import Call
from airflow_provider.core.http.reply import NoResponse, Reply, read_error
from airflow_provider.core.http.retry import (
    Outcome,
    OutcomeKind,
    RetryLimits,
    backoff_seconds,
    classify,
    retry_after,
    should_stop,
)
from airflow_provider.core.redaction import REDACTED, Redactor, encodings, without_query
from tests.support.hypothesis_sizes import examples

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12)
LIMITS = st.builds(
    RetryLimits,
    attempts=st.integers(1, 12),
    base=st.floats(0.001, 10),
    cap=st.floats(0.01, 120),
    total=st.floats(0.1, 600),
)
OUTCOMES = st.builds(
    Outcome,
    st.sampled_from([OutcomeKind.TRANSIENT, OutcomeKind.RATE_LIMITED]),
    retry_after=st.none() | st.floats(0, 10**6),
)
MOMENTS = st.datetimes(
    datetime(2000, 1, 1),
    datetime(2100, 1, 1),
    timezones=st.just(UTC),
).map(lambda moment: moment.replace(microsecond=0))


# -- retry


@settings(max_examples=examples(60))
@given(limits=LIMITS, outcomes=st.lists(OUTCOMES, min_size=30, max_size=30))
def test_no_request_is_sent_more_often_or_waited_for_longer_than_the_limits_allow(
    limits: RetryLimits, outcomes: list[Outcome]
) -> None:
    elapsed = 0.0
    for attempt, outcome in enumerate(outcomes, 1):
        assert attempt <= limits.attempts
        wait = backoff_seconds(attempt, outcome, limits)
        if should_stop(attempt, elapsed, wait, outcome, limits):
            return
        assert wait <= limits.cap + 1
        assert wait >= (outcome.retry_after or 0)
        elapsed += wait
        assert elapsed <= limits.total
    raise AssertionError("the attempts never end")


@settings(max_examples=examples(60))
@given(sent=st.booleans(), permanent=st.booleans(), repeatable=st.booleans())
def test_a_sent_request_is_retried_only_where_a_repeat_does_no_harm(
    sent: bool, permanent: bool, repeatable: bool
) -> None:
    call = Call[Any]("POST", "x", repeatable=repeatable)
    kind = classify(call, NoResponse(sent, "why", permanent), read_error, "POST x").kind
    assert (kind is OutcomeKind.TRANSIENT) == (not permanent and (repeatable or not sent))
    assert kind is not OutcomeKind.DONE


@settings(max_examples=examples(60))
@given(now=MOMENTS, later=st.integers(-(10**6), 2 * 10**6), zone=st.integers(-12, 14))
def test_a_retry_after_date_depends_neither_on_its_time_zone_nor_on_our_clock(
    now: datetime, later: int, zone: int
) -> None:
    until = (now + timedelta(seconds=later)).astimezone(timezone(timedelta(hours=zone)))
    headers = {"date": format_datetime(now, usegmt=True), "retry-after": format_datetime(until)}
    assert retry_after(Reply(429, headers, b"")) == max(0, later)


@settings(max_examples=examples(60))
@given(text=st.text(max_size=40))
def test_any_retry_after_text_is_a_sensible_delay_or_none(text: str) -> None:
    found = retry_after(Reply(429, {"retry-after": text}, b""))
    assert found is None or 0 <= found <= 31 * 86400


# -- redaction

SECRETS = st.text(st.characters(codec="utf-8", exclude_characters="*"), min_size=6, max_size=20)


@settings(max_examples=examples(40))
@given(secrets=st.lists(SECRETS, min_size=1, max_size=3), before=WORDS, after=WORDS, data=st.data())
def test_no_secret_is_left_in_any_encoding_in_any_value(
    secrets: list[str], before: str, after: str, data: st.DataObject
) -> None:
    secret = data.draw(st.sampled_from(secrets))
    encoded = data.draw(st.sampled_from(sorted(text for text in encodings(secret) if len(text) >= 6)))
    value = {f"{before}{encoded}": [f"{before}{encoded}{after}", 7, None, {"x": (encoded,)}]}
    redacted = Redactor(secrets).redact_value(value)
    assert encoded not in _flat(redacted)
    assert REDACTED in _flat(redacted)


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return "\0".join(_flat(one) for pair in value.items() for one in pair)
    return "\0".join(map(_flat, value)) if isinstance(value, (list, tuple)) else str(value)


@settings(max_examples=examples(40))
@given(secret=SECRETS, text=st.text(max_size=60))
def test_redacting_twice_changes_nothing_more(secret: str, text: str) -> None:
    redactor = Redactor([secret])
    redacted = redactor.redact(f"{text}{secret}{text}")
    assert redactor.redact(redacted) == redacted


@settings(max_examples=examples(60))
@given(user=WORDS, query=WORDS, path=st.text("abc/.", max_size=8))
def test_no_url_keeps_its_user_or_its_query(user: str, query: str, path: str) -> None:
    shown = without_query(
        f"https://USER{quote(user, safe='')}:PASS@host.example/{path}?token=QUERY{query}#FRAGMENT"
    )
    assert not [word for word in ("USER", "PASS", "QUERY", "FRAGMENT") if word in shown]


# -- rows

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS
)
ROWS = st.lists(st.dictionaries(WORDS, SCALARS | st.lists(SCALARS, max_size=2), max_size=3), max_size=5)


def written(rows: list[dict[str, Any]], path: Path) -> str:
    if ".jsonl" in path.name:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    else:
        text = json.dumps(rows)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


@pytest.mark.parametrize("name", ["r.json", "r.jsonl", "r.jsonl.gz", "r.json.gz"])
@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_rows_come_back_as_they_were_written_with_their_numbers(
    name: str, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    assert list(read_rows(written(rows, tmp_path / name))) == list(enumerate(rows, 1))
    assert list(read_rows(rows)) == list(enumerate(rows, 1))


TABLE = st.lists(st.tuples(WORDS, WORDS), max_size=5)


@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=TABLE)
def test_a_table_comes_back_as_texts(table: list[tuple[str, str]], tmp_path: Path) -> None:
    import csv

    path = tmp_path / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerows([("a", "b"), *table])
    rows = [{name: text for name, text in zip("ab", row, strict=True) if text} for row in table]
    assert [row for _, row in read_rows(str(path))] == [row for row in rows if row]
