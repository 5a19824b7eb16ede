"""Checks of AmigoCloud that change nothing."""

from __future__ import annotations

from urllib.parse import urlsplit

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
from airflow_provider.conformance.checks.shared import Answers, Facts, choice_reader, status_reader

ASKED_ROWS = 5000
DATASETS = Step("GET", "datasets", base="project", params={"limit": "100"})
ME = Step("GET", "me", accepts=SUCCESS | {403})


def _sql(query: str, accepts: frozenset[int] = SUCCESS, fresh: bool = False, **params: str) -> Step:
    return Step("GET", "sql", "project", {"query": query, **params}, accepts=accepts, fresh=fresh)


KEYS = "SELECT amigo_id FROM dataset_{dataset}"
ORDERED = _sql(f"{KEYS} ORDER BY amigo_id", limit=str(ASKED_ROWS))
SMALL = _sql(f"{KEYS} ORDER BY amigo_id", limit="2")


def _dataset(answer: Answer, _: Facts) -> str | None:
    rows = answer.json()["results"]
    large = [row for row in rows if (row.get("feature_count") or 0) > 2]
    return str(max(large, key=lambda row: row["feature_count"])["id"]) if large else None


def _page(answers: Answers, _: Facts) -> Observed:
    body = answers[0].json()
    size = int(body.get("limit") or len(body["data"]))
    if size >= ASKED_ROWS:
        return Observed(ASKED_ROWS, f"found {ASKED_ROWS} or more")
    return Observed(size, f"found {size}")


def _count_error(answers: Answers, _: Facts) -> Observed:
    page = answers[0].json()
    counted = int(next(iter(answers[1].json()["data"][0].values())))
    is_of_page = bool(page["next"]) and int(page["count"]) == len(page["data"])
    error = 0 if is_of_page else int(page["count"]) - counted  # A3.count_of_page asks about the other one.
    if is_of_page:
        return Observed(0, "found that of the page, without an error")
    return Observed(error, "found the number of rows" if not error else "found another number")


def _is_of_page(answers: Answers, _: Facts) -> bool:
    body = answers[0].json()
    if not body["next"]:
        raise SkippedError("the dataset fits on one page")
    return int(body["count"]) == len(body["data"])


def _is_unordered(answers: Answers, _: Facts) -> bool:
    first, second = (answer.json()["data"] for answer in answers)
    return bool(first != second)


def _next_origin(answers: Answers, facts: Facts) -> Observed:
    link = answers[0].json()["next"]
    if not link:
        raise SkippedError("the dataset fits on one page")
    found, own = urlsplit(link), urlsplit(facts["host"])
    if (found.scheme, found.netloc) == (own.scheme, own.netloc):
        return Observed(None, "found the service's own")
    return Observed("https://other.example", "found another host")


def _list_default(answers: Answers, _: Facts) -> Observed:
    body = answers[0].json()
    if not body["next"]:
        raise SkippedError("the projects fit on one page")
    return Observed(len(body["results"]), f"found {len(body['results'])}")


def _unknown_state(answers: Answers, _: Facts) -> str:
    known = {400: "refused", 404: "missing", 200: "latest"}
    if answers[0].status not in known:
        raise OpenQuestionError(f"the service answers {answers[0].status}")
    return known[answers[0].status]


def _takes_post(answers: Answers, _: Facts) -> bool:
    return answers[0].status in SUCCESS


def _is_compressed(answers: Answers, _: Facts) -> bool:
    return "gzip" in answers[0].headers.get("content-encoding", "")


def _project_token_jobs(answers: Answers, _: Facts) -> bool:
    if answers[0].status in SUCCESS:
        raise SkippedError("the token is a user's, and the question is about tokens of projects")
    if answers[1].status not in {403, 404}:
        raise OpenQuestionError(f"the service answers {answers[1].status}")
    return answers[1].status == 404


FINDERS = {"dataset": Finder(DATASETS, _dataset, "the project has no dataset with three rows or more")}

PUBLIC = (
    Check(
        "A6.no_token",
        "public",
        "Which status does a request without a token have?",
        (Step("GET", "me", login="none", accepts=ANY_STATUS),),
        "bad_token_status",
        401,
        "a missing token is a 401",
        "core/http/retry.py",
        status_reader(401, 403),
        refusal="answer",
    ),
)

READ = (
    Check(
        "A3.page",
        "read",
        "How many rows does a page of SQL have at most?",
        (ORDERED,),
        "page_clamp",
        1000,
        "a page of SQL has at most 1000 rows",
        "amigocloud/pagination.py",
        _page,
    ),
    Check(
        "A3.count",
        "read",
        "Is the count of a query the number of its rows?",
        (SMALL, _sql("SELECT count(*) AS n FROM dataset_{dataset}")),
        "count_error",
        0,
        "the count of a query has no error",
        "amigocloud/export/keyset.py",
        _count_error,
        danger=True,
    ),
    Check(
        "A3.count_of_page",
        "read",
        "Is the count of a query that of all rows, or that of the page?",
        (SMALL,),
        "count_is_page",
        False,
        "the count of a query is that of all rows",
        "amigocloud/export/keyset.py",
        choice_reader(_is_of_page, {False: "that of all rows", True: "that of the page"}),
        danger=True,
    ),
    Check(
        "A3.order",
        "read",
        "Do rows without ORDER BY come in the same order each time?",
        (_sql(KEYS, fresh=True, limit="50"), _sql(KEYS, fresh=True, limit="50")),
        "unstable_order",
        False,
        "rows without ORDER BY keep their order",
        "amigocloud/pagination.py",
        choice_reader(_is_unordered, {False: "the same order", True: "another order"}),
        danger=True,
    ),
    Check(
        "A3.next",
        "read",
        "Do links to further pages lead to the service's own host?",
        (SMALL,),
        "next_origin",
        None,
        "links to pages lead to the own host",
        "amigocloud/pagination.py",
        _next_origin,
    ),
    Check(
        "A3.list",
        "read",
        "How many items does a list return by default?",
        (Step("GET", "me/projects"),),
        "list_default",
        20,
        "a list returns 20 items by default",
        "amigocloud/pagination.py",
        _list_default,
    ),
    Check(
        "A3.state",
        "read",
        "Is the read of a state that does not exist refused?",
        (_sql(KEYS, ANY_STATUS, limit="1", dataset_id="{dataset}", state="0" * 40),),
        "unknown_state",
        "refused",
        "the read of an unknown state is refused",
        "amigocloud/export/fixed_state.py",
        choice_reader(
            _unknown_state,
            {"refused": "it refused", "missing": "it missing", "latest": "rows of the latest state"},
        ),
        danger=True,
    ),
    Check(
        "A3.post",
        "read",
        "Can a long query be sent by POST?",
        (
            Step(
                "POST",
                "sql",
                base="project",
                json={"query": "SELECT 1 AS one"},
                accepts=SUCCESS | {400, 403, 405},
            ),
        ),
        "post_select",
        True,
        "a query can be sent by POST",
        "amigocloud/api.py",
        choice_reader(_takes_post, {True: "an answer", False: "a refusal"}),
    ),
    Check(
        "A3.gzip",
        "read",
        "Are replies compressed?",
        (ORDERED,),
        "compress",
        False,
        "replies are not compressed",
        "core/http/reply.py",
        choice_reader(_is_compressed, {False: "none compressed", True: "compressed replies"}),
    ),
    Check(
        "A6.bad_token",
        "read",
        "Which status does an invalid token have?",
        (Step("GET", "me", login="bad", accepts=ANY_STATUS),),
        "bad_token_status",
        401,
        "an invalid token is a 401",
        "core/http/retry.py",
        status_reader(401, 403),
    ),
    Check(
        "A6.broken_sql",
        "read",
        "Which status does SQL have that the database refuses?",
        (_sql("SELECT no_such_column FROM dataset_{dataset}", ANY_STATUS, limit="1"),),
        "sql_error_status",
        400,
        "SQL that the database refuses is a 400",
        "core/http/retry.py",
        status_reader(400, 409, 422, 500),
    ),
    Check(
        "A7.jobs",
        "read",
        "May the token of a project read jobs?",
        (ME, Step("GET", "me/jobs/{unknown}", accepts=ANY_STATUS)),
        "project_token_jobs",
        False,
        "tokens of projects cannot read jobs",
        "amigocloud/hooks_base.py",
        choice_reader(_project_token_jobs, {False: "a refusal", True: "jobs readable"}),
        condition="the token is a project's",
        refusal="answer",
    ),
)
