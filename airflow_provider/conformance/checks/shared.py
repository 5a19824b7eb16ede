"""Parts of checks that several services share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from airflow_provider.conformance.check import Answer, Observed, OpenQuestionError, Reader, SkippedError

Facts = Mapping[str, Any]
Answers = Sequence[Answer]


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
