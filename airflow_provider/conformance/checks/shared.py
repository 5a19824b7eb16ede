"""Parts of checks that several services share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from airflow_provider.conformance.check import (
    ANY_STATUS,
    Answer,
    Check,
    Observed,
    OpenQuestionError,
    Reader,
    SkippedError,
    Step,
)

Facts = Mapping[str, Any]
Answers = Sequence[Answer]

_COUNTED_DOWN = 10.0
"""Seconds that may have passed since a token was issued."""

RATE_CONDITION = "the service refuses some of 15 requests at once"


def status_reader(*known: int, of: int = 0) -> Reader:
    """Return a reader of a status that a switch has.

    :param known: the statuses that the switch can have; none for any.
    :param of: number of the step.
    """

    def read(answers: Answers, _: Facts) -> Observed:
        status = answers[of].status
        if known and status not in known:
            raise OpenQuestionError(f"the service answers {status}")
        return Observed(status, f"found {status}")

    return read


def choice_reader(choose: Callable[[Answers, Facts], Any], words: Mapping[Any, str]) -> Reader:
    """Return a reader that observes one of several behaviours.

    :param choose: function that returns the value of the switch.
    :param words: behaviours in words, by value.
    """

    def read(answers: Answers, facts: Facts) -> Observed:
        value = choose(answers, facts)
        return Observed(value, f"found {words[value]}")

    return read


def limit_reader(answers: Answers, _: Facts) -> Observed:
    """Observe whether a series of requests was refused for their rate."""
    replies = (answers[0].reply, *answers[0].others)
    refused = sum(reply.status == 429 for reply in replies)
    if refused:
        return Observed(10.0, f"found {refused} of {len(replies)} requests refused (429)")
    return Observed(None, f"found no refusal of {len(replies)} requests")


def free_limit_reader(answers: Answers, _: Facts) -> Observed:
    """Observe whether a series of requests was refused, where no limit is assumed."""
    replies = (answers[0].reply, *answers[0].others)
    refused = sum(reply.status == 429 for reply in replies)
    if refused:
        taken = float(len(replies) - refused)
        return Observed(taken, f"found {refused} of {len(replies)} requests refused (429)")
    return Observed(None, f"found no refusal of {len(replies)} requests")


def lifetime_reader(answers: Answers, _: Facts) -> Observed:
    """Observe how long a new token lives."""
    seconds = float(answers[0].json()["expires_in"])
    minutes = math.ceil(seconds / 60) * 60.0
    # The reply may count down from a lifetime of whole minutes.
    lifetime = minutes if minutes - seconds <= _COUNTED_DOWN else seconds
    return Observed(lifetime, f"found {lifetime:g} s")


def burst_checks(group: str, path: str, client: str, retry_after: Any, condition: str) -> tuple[Check, ...]:
    """Return the checks of a rate that no document names: a series of requests at once.

    :param group: group of the checks.
    :param path: path of a small read.
    :param client: module of the provider that keeps to rates.
    :param retry_after: default of the switch for the header of a refusal.
    :param condition: what the account must be like for the check of the header.
    """
    series = (Step("GET", path, times=15, burst=True, accepts=ANY_STATUS),)
    common: dict[str, Any] = {"level": "read", "steps": series, "opt_in": True}
    has = "has" if retry_after else "has no"
    return (
        Check(
            f"{group}.rate",
            question="Are some of 15 requests at once refused for their rate?",
            switch="requests_per_second",
            assumed=None,
            assumption="15 requests at once are accepted",
            client=client,
            read=free_limit_reader,
            **common,
        ),
        Check(
            f"{group}.retry_after",
            question="Does a refusal say when to send the request once more?",
            switch="retry_after",
            assumed=retry_after,
            assumption=f"a 429 {has} a Retry-After header",
            client="core/http/retry.py",
            read=_retry_after(retry_after),
            condition=condition,
            **common,
        ),
    )


def _retry_after(assumed: Any) -> Reader:
    """Return a reader of the header for a switch of booleans, or for one that has the header's text."""

    def read(answers: Answers, facts: Facts) -> Observed:
        found = retry_after_reader(answers, facts)
        if isinstance(assumed, bool):
            return found
        return Observed("1" if found.value else None, found.text)

    return read


def retry_after_reader(answers: Answers, _: Facts) -> Observed:
    """Observe whether a refusal for the rate says when to send the request once more."""
    replies = (answers[0].reply, *answers[0].others)
    refused = [reply for reply in replies if reply.status == 429]
    if not refused:
        raise SkippedError("no request was refused")
    has = all("retry-after" in reply.headers for reply in refused)
    return Observed(has, f"found refusals {'with' if has else 'without'} Retry-After")


def rows_of(answer: Answer) -> list[Any]:
    """Return a reply that must be a list.

    :raises OpenQuestionError: when it is none.
    """
    rows = answer.json()
    if not isinstance(rows, list):
        raise OpenQuestionError("the reply is no list")
    return rows


def texts_in(value: Any) -> Iterator[str]:
    """Yield the keys of all objects in JSON."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)
