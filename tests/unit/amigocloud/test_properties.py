"""Properties of watermarks, of observed states, and of composed SQL, for any input."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from airflow_provider.amigocloud.export.incremental import Increment
from airflow_provider.amigocloud.export.keyset import literal, quoted_name
from airflow_provider.amigocloud.pagination import Page, without_token
from airflow_provider.amigocloud.watchers.observations import (
    EventObservation,
    ListObservation,
    ObservedState,
    StateObservation,
)
from tests.support.hypothesis_sizes import examples

# -- watermarks


def value_of(text: str) -> Any:
    """Read the value of a condition, as the database would."""
    return text[1:-1] if text.startswith("'") else float(text)


def exported(rows: list[dict[str, Any]], before: Increment, page_size: int) -> list[dict[str, Any]]:
    """Export as the operator does: ask for what may be new, page by page, and leave out what is known."""
    condition = before.condition()
    asked = [row for row in rows if condition is None or row["v"] >= value_of(condition.split(" >= ")[1])]
    out = []
    for at in range(0, len(asked), page_size):
        page = Page([Raw(json.dumps(row).encode()) for row in asked[at : at + page_size]])
        out += [json.loads(bytes(raw)) for raw in before.new_rows(page).rows]
    return out


def following(done: Increment, lag: Any) -> Increment:
    return Increment("v", "k", lag, done.watermark, frozenset(done.marks()))


@pytest.mark.slow
@settings(max_examples=examples(50))
@given(
    lag=st.integers(0, 20),
    steps=st.lists(st.lists(st.integers(-20, 10), max_size=5), min_size=1, max_size=5),
    page_size=st.integers(1, 4),
)
def test_each_row_is_exported_once_however_late_within_the_lag(
    lag: int, steps: list[list[int]], page_size: int
) -> None:
    rows: list[dict[str, Any]] = []
    out: list[dict[str, Any]] = []
    increment = Increment("v", "k", lag or None)
    for step in steps:
        newest = increment.watermark or 0
        for jump in step:
            value = newest + (jump if increment.watermark is None else max(jump, -lag))
            rows.append({"k": f"k{len(rows)}", "v": value})
        out += exported(rows, increment, page_size)
        increment = following(increment, lag or None)
    assert Counter(row["k"] for row in out) == Counter(row["k"] for row in rows)


@settings(max_examples=examples(50))
@given(
    moment=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),
    lag=st.timedeltas(timedelta(0), timedelta(days=400)),
    zoned=st.booleans(),
)
def test_a_lag_goes_back_exactly_so_far(moment: datetime, lag: timedelta, zoned: bool) -> None:
    text = (moment.replace(tzinfo=UTC) if zoned else moment).isoformat(sep=" ")
    condition = Increment("v", "k", lag, text).condition() or ""
    since = datetime.fromisoformat(value_of(condition.split(" >= ")[1]))
    assert since.replace(tzinfo=UTC) == moment.replace(tzinfo=UTC) - lag


# -- SQL

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=10)


@settings(max_examples=examples(60))
@given(name=NAMES, value=NAMES | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9))
def test_names_and_values_mean_themselves_in_sql(name: str, value: Any) -> None:
    with sqlite3.connect(":memory:") as db:
        cursor = db.execute(f"SELECT {literal(value)} AS {quoted_name(name)}")
        assert cursor.description[0][0] == name
        assert cursor.fetchone()[0] == value


@settings(max_examples=examples(60))
@given(names=st.lists(st.sampled_from(["token", "limit", "tokens", "a"]), max_size=5))
def test_a_link_is_the_same_but_for_its_token(names: list[str]) -> None:
    pairs = [f"{name}={number}" for number, name in enumerate(names)]
    link = without_token(f"https://x/y?{'&'.join(pairs)}") or ""
    assert link.partition("?")[2] == "&".join(pair for pair in pairs if not pair.startswith("token="))


# -- watchers

JOBS = st.sampled_from(["j1", "j2", None])
OBSERVATIONS = st.one_of(
    st.builds(
        lambda name, job, master: EventObservation(
            name, {"dataset_id": 1, **({"job": job} if job else {})}, master
        ),
        st.sampled_from(["realtime", "dataset:change_succeeded", "dataset:creation_succeeded"]),
        JOBS,
        st.sampled_from(["m1", "m2", None]),
    ),
    st.builds(StateObservation, st.just(1), st.sampled_from(["m1", "m2", "m3"])),
    st.builds(ListObservation, st.frozensets(st.integers(1, 4))),
)


@settings(max_examples=examples(60))
@given(
    observations=st.lists(OBSERVATIONS, max_size=10),
    restarts=st.sets(st.integers(0, 10)),
    dataset=st.sampled_from([1, None]),
)
def test_a_restarted_watcher_fires_the_same_events(
    observations: list[Any], restarts: set[int], dataset: int | None
) -> None:
    def fired(stops: set[int]) -> list[Any]:
        state: Any = None
        observed, out = ObservedState(["*"], dataset), []
        for number, observation in enumerate(observations):
            if number in stops:
                observed = ObservedState(["*"], dataset, json.loads(json.dumps(state)))
            out += observed.events(observation, now=number * 1000.0)
            state = observed.changed_state() or state
        return out

    assert fired(restarts) == fired(set())
