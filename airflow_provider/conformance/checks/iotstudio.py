"""Checks of Altair IoT Studio that change nothing."""

from __future__ import annotations

from dataclasses import replace

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
from airflow_provider.conformance.checks.shared import (
    RATE_CONDITION,
    Answers,
    Facts,
    burst_checks,
    choice_reader,
    status_reader,
)

SPACE = "spaces/{space}"
ONE = Step("GET", f"{SPACE}/things", params={"limit": "1"})
THINGS = Step("GET", f"{SPACE}/things", params={"limit": "20"})
SORTED = Step("GET", f"{SPACE}/things", params={"sort": "-created", "limit": "3"})
FIRST_SORTED = replace(SORTED, params={**SORTED.params, "limit": "1"})
HISTORY = Step("GET", f"{SPACE}/things/{{thing}}/properties-history/{{property}}", params={"limit": "3"})
TOKEN = Step("POST", "oauth2/token", login="token")


def _cursor(answer: Answer, _: Facts) -> str | None:
    return (answer.json().get("paging") or {}).get("next_cursor") or None


def _thing(answer: Answer, _: Facts) -> str | None:
    return next((thing["uid"] for thing in answer.json()["data"] if _numbers(thing)), None)


def _property(answer: Answer, _: Facts) -> str | None:
    names = (name for thing in answer.json()["data"] for name in _numbers(thing))
    return next(names, None)


def _numbers(thing: dict[str, object]) -> list[str]:
    status = thing.get("status") or {}
    found = status.items() if isinstance(status, dict) else ()
    return [name for name, value in found if isinstance(value, (int, float)) and not isinstance(value, bool)]


def _times(answer: Answer) -> list[str]:
    return [item["at"] for item in answer.json()["data"]]


def _two_times(answer: Answer, _: Facts) -> str | None:
    times = sorted(set(_times(answer)))
    return f"{times[-2]}|{times[-1]}" if len(times) > 1 else None


def _order(answers: Answers, _: Facts) -> str:
    times = _times(answers[0])
    if len(set(times)) < 2:
        raise SkippedError("the property has fewer than two recorded values")
    return "newest" if times == sorted(times, reverse=True) else "oldest"


def _range_end(answers: Answers, facts: Facts) -> str:
    first, last = facts["two_times"].split("|")
    times = _times(answers[0])
    if first not in times and last not in times:
        raise OpenQuestionError("the range has none of the recorded values")
    return "inclusive" if last in times else "exclusive"


def _above_limit(answers: Answers, _: Facts) -> str:
    return "reject" if answers[0].status == 400 else "clamp"


def _needs_preview(answers: Answers, _: Facts) -> bool:
    return answers[0].status not in SUCCESS or "data" not in answers[0].json()


def _has_empty_page(answers: Answers, _: Facts) -> bool:
    body = answers[0].json()
    return not body["data"] and bool(_cursor(answers[0], {}))


def _has_query(answers: Answers, _: Facts) -> bool:
    return answers[0].status in SUCCESS


def _first_token(answer: Answer, _: Facts) -> str | None:
    return str(answer.json()["access_token"])


def _ends_the_first(answers: Answers, _: Facts) -> bool:
    return answers[-1].status not in SUCCESS


def _describes_itself(answers: Answers, _: Facts) -> bool:
    return answers[0].status in SUCCESS and bool(answers[0].json().get("token_endpoint"))


def _sorted_cursor(answers: Answers, _: Facts) -> str:
    if answers[-1].status not in SUCCESS:
        return "refuse"
    three, first, second = (answer.json()["data"] for answer in answers)
    if not second and _cursor(answers[-1], {}):
        raise SkippedError(EMPTY_PAGE)
    if [thing["uid"] for thing in first] != [thing["uid"] for thing in three[:1]]:
        raise OpenQuestionError("a Thing was created meanwhile")
    return "accept" if [thing["uid"] for thing in second] == [three[1]["uid"]] else "unsorted"


def _longest_url(answers: Answers, _: Facts) -> Observed:
    if answers[0].status in SUCCESS:
        return Observed(None, f"found {LONG} characters accepted")
    return Observed(REFUSED_URL, f"found {LONG} characters refused ({answers[0].status})")


def _cursor_age(answers: Answers, _: Facts) -> Observed:
    if answers[-1].status in SUCCESS:
        return Observed(None, "found it accepted")
    return Observed(60.0, f"found it refused ({answers[-1].status})")


def _lifetime(answers: Answers, _: Facts) -> Observed:
    seconds = float(answers[0].json()["expires_in"])
    return Observed(seconds, f"found {seconds:g} s")


LONG = 6000
"""Characters of a filter in a long URL."""
EMPTY_PAGE = "a page in the middle is empty"
REFUSED_URL = 4096
"""Maximum characters of a URL, as a service has them that refuses the long one."""
WEEK = 604_799.0

FINDERS = {
    "cursor": Finder(ONE, _cursor, "the space has fewer than two Things"),
    "sorted_cursor": Finder(FIRST_SORTED, _cursor, "the space has fewer than two Things"),
    "thing": Finder(THINGS, _thing, "none of the first 20 Things has a numeric property"),
    "property": Finder(THINGS, _property, "none of the first 20 Things has a numeric property"),
    "two_times": Finder(HISTORY, _two_times, "the property has fewer than two recorded values"),
    "first_token": Finder(TOKEN, _first_token, "the service issues no token"),
}

PUBLIC = (
    Check(
        "I1.no_token",
        "public",
        "Which status does a request without a token have?",
        (Step("GET", "spaces/conformance/things?limit=1", login="none", accepts=ANY_STATUS),),
        "refused_token_status",
        401,
        "a missing token is a 401",
        "core/http/auth.py",
        status_reader(401, 403),
        refusal="answer",
    ),
    Check(
        "I1.metadata",
        "public",
        "Does the token service describe itself, as OpenID services do?",
        (
            Step(
                "GET",
                ".well-known/openid-configuration",
                login="none",
                accepts=SUCCESS | {401, 403, 404},
            ),
        ),
        "has_metadata",
        True,
        "the token service has OpenID metadata",
        "iotstudio/hooks_base.py",
        choice_reader(_describes_itself, {True: "its metadata", False: "none"}),
    ),
)

READ = (
    Check(
        "I1.bad_token",
        "read",
        "Which status does a token have that is no longer accepted?",
        (Step("GET", f"{SPACE}/things?limit=1", login="bad", accepts=ANY_STATUS),),
        "refused_token_status",
        401,
        "a refused token is a 401",
        "core/http/auth.py",
        status_reader(401, 403),
    ),
    Check(
        "I2.limit",
        "read",
        "Is a page of more than 1000 items refused?",
        (Step("GET", f"{SPACE}/categories", params={"limit": "1001"}, accepts=SUCCESS | {400}),),
        "above_limit",
        "reject",
        "a limit above 1000 is refused",
        "iotstudio/api.py",
        choice_reader(_above_limit, {"reject": "it refused", "clamp": "it accepted"}),
    ),
    Check(
        "I2.long_url",
        "read",
        "Is a URL with a filter of 6000 characters refused?",
        (
            Step(
                "GET",
                f"{SPACE}/things",
                params={"limit": "1", "property:conformance": "eq:{filler}"},
                accepts=SUCCESS | {414, 431},
            ),
        ),
        "longest_url",
        None,
        "a URL of 6000 characters is accepted",
        "iotstudio/matching.py",
        _longest_url,
    ),
    Check(
        "I2.prefer",
        "read",
        "Does a request without a Prefer header find the same API?",
        (replace(ONE, bare=True, accepts=ANY_STATUS),),
        "requires_preview",
        False,
        "the API needs no Prefer header",
        "iotstudio/hooks_base.py",
        choice_reader(
            _needs_preview, {False: "it without the header", True: "another API without the header"}
        ),
    ),
    Check(
        "I2.empty_page",
        "read",
        "Can a page be empty although further pages follow?",
        (Step("GET", f"{SPACE}/things", params={"limit": "1", "next_cursor": "{cursor}"}),),
        "empty_page_in_the_middle",
        False,
        "no page before the last is empty",
        "iotstudio/hooks_base.py",
        choice_reader(_has_empty_page, {False: "none empty", True: "an empty page with a cursor"}),
    ),
    Check(
        "I2.sort",
        "read",
        "Does the cursor of a sorted page lead to the next page in the same order?",
        (
            SORTED,
            FIRST_SORTED,
            replace(
                FIRST_SORTED,
                params={**FIRST_SORTED.params, "next_cursor": "{sorted_cursor}"},
                accepts=SUCCESS | {400, 422},
            ),
        ),
        "sorted_cursor",
        "accept",
        "a cursor leads to the next page in the same order",
        "iotstudio/properties/bulk_read.py",
        choice_reader(
            _sorted_cursor,
            {"accept": "the same order", "refuse": "the cursor refused", "unsorted": "another order"},
        ),
        moot={"empty_page_in_the_middle": EMPTY_PAGE},
    ),
    Check(
        "I3.space",
        "read",
        "Which status does a space have that does not exist?",
        (Step("GET", "spaces/conformance-{unknown}/things?limit=1", accepts=ANY_STATUS),),
        "unknown_space_status",
        404,
        "an unknown space is a 404",
        "iotstudio/hooks_base.py",
        status_reader(400, 403, 404),
        refusal="compared",
    ),
    Check(
        "I3.thing",
        "read",
        "Which status does a Thing have that does not exist?",
        (Step("GET", f"{SPACE}/things/01{{unknown}}", accepts=ANY_STATUS),),
        "unknown_thing_status",
        404,
        "an unknown Thing is a 404",
        "iotstudio/properties/bulk_read.py",
        status_reader(400, 403, 404),
        refusal="compared",
    ),
    Check(
        "I4.order",
        "read",
        "Does a history begin with the newest value?",
        (HISTORY,),
        "history_order",
        "newest",
        "a history begins with the newest value",
        "iotstudio/export/history.py",
        choice_reader(_order, {"newest": "the newest first", "oldest": "the oldest first"}),
    ),
    Check(
        "I4.end",
        "read",
        "Does a range of times include its end?",
        (
            Step(
                "GET",
                f"{SPACE}/things/{{thing}}/properties-history/{{property}}",
                params={"at": "{two_times}", "limit": "3"},
            ),
        ),
        "range_end",
        "exclusive",
        "a range of times excludes its end",
        "iotstudio/export/history.py",
        choice_reader(_range_end, {"exclusive": "it excluded", "inclusive": "it included"}),
    ),
    Check(
        "I5.query",
        "read",
        "Can keys be listed with a query?",
        (
            Step(
                "POST",
                f"{SPACE}/query/cursor",
                json={"query": "FOR t IN things LIMIT 1 RETURN t._key"},
                accepts=SUCCESS | {403, 404, 405},
            ),
        ),
        "has_query",
        True,
        "a space answers queries",
        "iotstudio/hooks_admin.py",
        choice_reader(_has_query, {True: "an answer", False: "a refusal"}),
    ),
)


def _stray(answers: Answers, _: Facts) -> Observed:
    replies = (answers[0].reply, *answers[0].others)
    missing = sum(reply.status == _MISSING for reply in replies)
    if missing == len(replies):
        raise OpenQuestionError("the Thing is gone")
    every = len(replies) // missing if missing else 0
    return Observed(every, f"found {missing} of {len(replies)} reads with a 404")


_MISSING = 404

BURST = (
    Check(
        "I3.stray",
        "read",
        "Does a Thing that exists have a 404 at times?",
        (Step("GET", f"{SPACE}/things/{{thing}}", times=30, every=1.0, accepts=SUCCESS | {404}),),
        "stray_every",
        0,
        "a Thing that exists has no 404",
        "iotstudio/hooks_base.py",
        _stray,
        opt_in=True,
    ),
    Check(
        "I1.second_token",
        "read",
        "Does a second token end the first one?",
        (
            TOKEN,
            replace(TOKEN, fresh=True),
            Step(
                "GET",
                f"{SPACE}/things?limit=1",
                login="none",
                headers={"Authorization": "Bearer {first_token}"},
                accepts=SUCCESS | {401, 403},
                fresh=True,
            ),
        ),
        "one_token",
        False,
        "a client has several tokens at once",
        "core/tokens/sharing.py",
        choice_reader(_ends_the_first, {False: "both valid", True: "the first one ended"}),
        opt_in=True,
        refusal="compared",
    ),
    Check(
        "I1.lifetime",
        "read",
        "How long does an access token live?",
        (TOKEN,),
        "token_lifetime",
        WEEK,
        "a token lives for a week",
        "core/http/auth.py",
        _lifetime,
        opt_in=True,  # It requests a second token.
    ),
    *burst_checks("I7", f"{SPACE}/things?limit=1", "iotstudio/hooks_base.py", True, RATE_CONDITION),
)

WAIT = (
    Check(
        "I2.cursor_age",
        "read",
        "Is the cursor of a page accepted after a minute?",
        (
            Step(
                "GET",
                f"{SPACE}/things",
                params={"limit": "1", "next_cursor": "{cursor}"},
                accepts=SUCCESS | {400, 404, 410},
                fresh=True,
                pause=61.0,
            ),
        ),
        "cursor_seconds",
        None,
        "a cursor does not expire",
        "iotstudio/hooks_base.py",
        _cursor_age,
        waits="a minute, until a cursor is old",
    ),
)
