"""Checks of AmigoCloud that change nothing: descriptions, the socket, lists and old states."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from airflow_provider.conformance.check import (
    ANY_STATUS,
    SUCCESS,
    Answer,
    Check,
    Finder,
    Observed,
    OpenQuestionError,
    SkippedError,
    Step,
)
from airflow_provider.conformance.checks.amigocloud import KEYS, ORDERED
from airflow_provider.conformance.checks.shared import (
    RATE_CONDITION,
    Answers,
    Facts,
    burst_checks,
    choice_reader,
)

_SOCKET = re.compile(r"[\w.-]*socket\.io")
_USUAL = "v2_socket.io"


def _options(path: str) -> Step:
    return Step("OPTIONS", path, base="project", accepts=SUCCESS | {403, 404, 405, 501})


def _poll(version: int) -> Step:
    query = {"EIO": str(version), "transport": "polling"}
    return Step(
        "GET", "{socket}/", base="origin", params=query, login="none", accepts=SUCCESS | {400, 403, 404}
    )


SETTINGS = Step("GET", "settings", accepts=SUCCESS | {401, 403, 404})


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(item)


def _named_socket(answer: Answer) -> str | None:
    """Return the last part of the socket's path in the settings, whose fields are not documented."""
    if answer.status not in SUCCESS:
        return None
    found = (_SOCKET.fullmatch(text.rstrip("/").rpartition("/")[2]) for text in _texts(answer.json()))
    return next((match[0] for match in found if match), None)


def _socket(answer: Answer, _: Facts) -> str:
    return _named_socket(answer) or _USUAL


def _is_moved(answers: Answers, _: Facts) -> bool:
    named = _named_socket(answers[0])
    if named is None:
        raise OpenQuestionError("the settings name no path of a socket")
    return named != _USUAL


def _is_described(answers: Answers, _: Facts) -> bool:
    return all(answer.status in SUCCESS and "name" in answer.json() for answer in answers)


def _is_new_packet(answer: Answer) -> bool:
    """Return whether a handshake has the form of Engine.IO 4: without the length before it."""
    return answer.reply.body.startswith(b"0{")


def _takes_old(answers: Answers, _: Facts) -> bool:
    return answers[0].status in SUCCESS and not _is_new_packet(answers[0])


def _takes_new(answers: Answers, _: Facts) -> bool:
    # A server of Engine.IO 3 that does not check the version answers with packets of its own.
    return answers[0].status in SUCCESS and _is_new_packet(answers[0])


def _default_page(answers: Answers, _: Facts) -> Observed:
    longest, page = (len(answer.json()["data"]) for answer in answers)
    if page == longest:
        return Observed(1000, "found a page of the maximum length")
    return Observed(page, f"found {page}")


def _longest_list(answers: Answers, _: Facts) -> Observed:
    body = answers[0].json()
    if not body["next"]:
        raise SkippedError("the projects fit on one page")
    return Observed(len(body["results"]), f"found {len(body['results'])}")


def _first_state(answer: Answer, _: Facts) -> str | None:
    states = answer.json()["states"]
    return str(states[0]) if len(states) > 1 else None


def _old_states(answers: Answers, _: Facts) -> Observed:
    status = answers[0].status
    if status in SUCCESS:
        return Observed(None, "found its rows")
    if status not in {400, 404, 410}:
        raise OpenQuestionError(f"the service answers {status}")
    return Observed(1, f"found it refused ({status})")


FINDERS = {
    "socket": Finder(SETTINGS, _socket, "the settings name no socket"),
    "first_state": Finder(
        Step("GET", "datasets/{dataset}/states", base="project"), _first_state, "the dataset has one state"
    ),
}

READ = (
    Check(
        "A1.options",
        "read",
        "Do projects and datasets describe their fields (OPTIONS)?",
        (_options("/"), _options("datasets/{dataset}")),
        "describes_fields",
        True,
        "OPTIONS describes projects and datasets",
        "amigocloud/api.py",
        choice_reader(_is_described, {True: "descriptions", False: "a refusal"}),
    ),
    Check(
        "A2.socket",
        "read",
        "Is the socket where the provider opens it?",
        (SETTINGS,),
        "moved_socket",
        False,
        "the settings name the path /v2_socket.io",
        "amigocloud/hooks_base.py",
        choice_reader(_is_moved, {False: "that path", True: "another path"}),
    ),
    Check(
        "A8.old",
        "read",
        "Does the socket take clients of Engine.IO 3?",
        (_poll(3),),
        "old_sockets",
        True,
        "the socket takes clients of Engine.IO 3",
        "amigocloud/realtime/socket.py",
        choice_reader(_takes_old, {True: "them accepted", False: "them refused"}),
    ),
    Check(
        "A8.new",
        "read",
        "Does the socket take clients of Engine.IO 4?",
        (_poll(4),),
        "new_sockets",
        False,
        "the socket takes no clients of Engine.IO 4",
        "amigocloud/realtime/socket.py",
        choice_reader(_takes_new, {True: "them accepted", False: "them refused"}),
    ),
    Check(
        "A3.default",
        "read",
        "How many rows does a page of SQL have when a request names no limit?",
        (ORDERED, Step("GET", "sql", "project", {"query": f"{KEYS} ORDER BY amigo_id"})),
        "page_default",
        1000,
        "a page of SQL has as many rows as it may have",
        "amigocloud/pagination.py",
        _default_page,
    ),
    Check(
        "A3.list_maximum",
        "read",
        "How many items does a list return at most?",
        (Step("GET", "me/projects", params={"limit": "1000"}),),
        "list_clamp",
        100,
        "a list returns 100 items at most",
        "amigocloud/pagination.py",
        _longest_list,
        condition="the user has more projects than a page of a list",
    ),
    Check(
        "A3.old_state",
        "read",
        "Can the oldest state of a dataset be read?",
        (
            Step(
                "GET",
                "sql",
                "project",
                {"query": KEYS, "limit": "1", "dataset_id": "{dataset}", "state": "{first_state}"},
                accepts=ANY_STATUS,
            ),
        ),
        "readable_states",
        None,
        "all states can be read",
        "amigocloud/export/fixed_state.py",
        _old_states,
        condition="the largest dataset of the project has two states",
    ),
)

BURST = burst_checks("A10", "me", "amigocloud/hooks_base.py", None, RATE_CONDITION)
