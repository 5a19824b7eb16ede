"""Checks of LeanIX that change nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
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
from airflow_provider.conformance.checks.shared import (
    RATE_CONDITION,
    Answers,
    Facts,
    burst_checks,
    choice_reader,
    lifetime_reader,
    rows_of,
    status_reader,
)
from airflow_provider.leanix.api import API, FINISHED, KNOWN_STATUSES, RUNS, read_claims, workspace_id_of

DESCRIPTION = Step("GET", f"{API}/api-docs/swagger.json", login="none")
TOKEN = Step("POST", "services/mtm/v1/oauth2/token", base="auth", login="token")
LIST = Step("GET", RUNS)

OPERATIONS = (
    "GET /configurations",
    "GET /storages/azure",
    "GET /synchronizationRuns",
    "GET /synchronizationRuns/{id}/progress",
    "GET /synchronizationRuns/{id}/results",
    "GET /synchronizationRuns/{id}/resultsUrl",
    "GET /synchronizationRuns/{id}/stats",
    "GET /synchronizationRuns/{id}/status",
    "GET /synchronizationRuns/{id}/warnings",
    "POST /synchronizationRuns",
    "POST /synchronizationRuns/withExecutionGroup",
    "POST /synchronizationRuns/withExecutionGroupAndUrlInput",
    "POST /synchronizationRuns/withUrlInput",
    "POST /synchronizationRuns/{id}/start",
    "POST /synchronizationRuns/{id}/stop",
    "PUT /configurations",
)
"""Operations that the provider uses."""

SECRET_FIELDS = frozenset({"apiToken", "connectionString"})
"""Fields of configurations that hold a secret."""

_MASKED = re.compile(r"(?:.{0,4}[*•x.]{3,}.{0,4}|<?(?:redacted|masked|hidden)>?)", re.IGNORECASE)
"""The form of a masked secret."""

_HOUR = 3600.0
_LONGEST = 2 * _HOUR
"""Maximum lifetime of a token in seconds, for a check that waits until it has expired."""


def _missing_operations(answers: Answers, _: Facts) -> Observed:
    described = {
        f"{method.upper()} {path.rstrip('/')}"
        for path, item in answers[0].json()["paths"].items()
        for method in item
    }
    missing = [name for name in OPERATIONS if name not in described]
    if missing:
        return Observed(missing, f"found {len(missing)} of {len(OPERATIONS)} not described")
    return Observed([], f"found all {len(OPERATIONS)}")


def _claims(answers: Answers, _: Facts) -> bool:
    return bool(workspace_id_of(read_claims(answers[0].json()["access_token"])))


def _finished_run(answer: Answer, _: Facts) -> str | None:
    ended = [row["id"] for row in rows_of(answer) if row.get("status") == FINISHED]
    return ended[-1] if ended else None


def _described_run(answer: Answer, _: Facts) -> str | None:
    rows = rows_of(answer)
    return next((row["id"] for row in rows if row.get("description")), rows[-1]["id"] if rows else None)


def _list_has_descriptions(answers: Answers, _: Facts) -> bool:
    if any(row.get("description") for row in rows_of(answers[0])):
        return True
    if not answers[1].json().get("description"):
        raise SkippedError("no run has a description")
    return False


def _statuses(answers: Answers, _: Facts) -> Observed:
    rows = rows_of(answers[0])
    unknown = {row.get("status") for row in rows} - KNOWN_STATUSES
    if not rows:
        raise SkippedError("the workspace has no runs")
    if unknown:
        return Observed("OTHER", f"found {len(unknown)} unknown statuses")
    return Observed(None, f"found known ones in {len(rows)} runs")


def _has_sync_log(answers: Answers, _: Facts) -> bool:
    return answers[0].status != 400


def _has_link(answers: Answers, _: Facts) -> bool:
    if answers[0].status == 204:
        raise SkippedError("the last finished run has no results")
    return bool(answers[1].json().get("url"))


def _minted(answer: Answer, _: Facts) -> str:
    return str(answer.json()["access_token"])


def _until_expired(answer: Answer, _: Facts) -> float | None:
    seconds = float(answer.json()["expires_in"])
    return seconds + 10 if seconds <= _LONGEST else None


def _expired(answers: Answers, _: Facts) -> Observed:
    refused, expired = (answer.status for answer in answers)
    if expired not in {401, 403}:
        raise OpenQuestionError(f"the service answers {expired}")
    return Observed(None if expired == refused else expired, f"found {expired}")


def _secrets_in(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name in SECRET_FIELDS and item:
                yield item
            else:
                yield from _secrets_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _secrets_in(item)


def _masks(answers: Answers, _: Facts) -> bool:
    found = [str(item) for item in _secrets_in(rows_of(answers[0]))]
    if not found:
        raise SkippedError("no configuration has a secret")
    return all(_MASKED.fullmatch(text) for text in found)


def _run(resource: str, **options: Any) -> Step:
    return Step("GET", f"{RUNS}/{{finished_run}}/{resource}", **options)


CONFIGURATIONS = Step("GET", f"{API}/configurations")
BAD_BEARER = Step("GET", f"{API}/configurations", login="bad", accepts=ANY_STATUS)
EXPIRED = replace(
    BAD_BEARER,
    login="none",
    headers={"Authorization": "Bearer {minted}"},
    pause="until_expired",
    fresh=True,
)
NO_RUN = "the workspace has no finished run"
FINDERS = {
    "finished_run": Finder(LIST, _finished_run, NO_RUN),
    "minted": Finder(TOKEN, _minted, "the service issues no token"),
    "until_expired": Finder(TOKEN, _until_expired, "a token lives for more than two hours"),
    "described_run": Finder(LIST, _described_run, "the workspace has no runs"),
}

PUBLIC = (
    Check(
        "L1.operations",
        "public",
        "Does the API have the operations that the provider uses?",
        (DESCRIPTION,),
        "hidden_operations",
        [],
        "the description has all operations in use",
        "leanix/api.py",
        _missing_operations,
    ),
)

READ = (
    Check(
        "L2.lifetime",
        "read",
        "How long does an access token live?",
        (TOKEN,),
        "token_seconds",
        _HOUR,
        "a token lives for 3600 s",
        "core/http/auth.py",
        lifetime_reader,
    ),
    Check(
        "L2.claims",
        "read",
        "Does a token name its workspace?",
        (TOKEN,),
        "token_claims",
        True,
        "a token names its workspace",
        "leanix/hooks.py",
        choice_reader(_claims, {True: "the workspace in the claims", False: "no workspace in the claims"}),
        danger=True,
    ),
    Check(
        "L3.api_token",
        "read",
        "Which status does an invalid API token have?",
        (
            Step(
                "POST",
                "services/mtm/v1/oauth2/token",
                base="auth",
                form={"grant_type": "client_credentials"},
                headers={"Authorization": "Basic YXBpdG9rZW46Y29uZm9ybWFuY2UtYmFkLXRva2Vu"},
                login="none",
                accepts=ANY_STATUS,
            ),
        ),
        "bad_api_token_status",
        401,
        "an invalid API token is a 401",
        "core/http/auth.py",
        status_reader(400, 401, 403, 422),
        refusal="answer",
    ),
    Check(
        "L3.bearer",
        "read",
        "Which status does a token have that is no longer accepted?",
        (BAD_BEARER,),
        "refused_token_status",
        401,
        "a refused token is a 401",
        "leanix/hooks.py",
        status_reader(),
    ),
    Check(
        "L4.description",
        "read",
        "Does the list of runs have their descriptions, by which a retry finds its run?",
        (LIST, Step("GET", f"{RUNS}/{{described_run}}/status")),
        "list_descriptions",
        True,
        "the list of runs has descriptions",
        "leanix/runs/submit.py",
        choice_reader(_list_has_descriptions, {True: "descriptions", False: "none in the list"}),
    ),
    Check(
        "L4.statuses",
        "read",
        "Are the statuses of runs those of the documentation?",
        (LIST,),
        "shown_status",
        None,
        "runs have documented statuses",
        "leanix/api.py",
        _statuses,
    ),
    Check(
        "L5.sync_log",
        "read",
        "Does a finished run have a list of warnings?",
        (_run("warnings", params={"offset": "0", "limit": "1"}, accepts=SUCCESS | {400}),),
        "has_sync_log",
        True,
        "a finished run has a list of warnings",
        "leanix/runs/outcome.py",
        choice_reader(_has_sync_log, {True: "a list", False: "no list (400)"}),
        danger=True,
    ),
    Check(
        "L5.results_url",
        "read",
        "Does a run with results have a link to them?",
        (_run("results", status_only=True), _run("resultsUrl")),
        "has_results_url",
        True,
        "results have a link",
        "leanix/runs/finish.py",
        choice_reader(_has_link, {True: "a link", False: "none"}),
    ),
    Check(
        "L5.unknown_run",
        "read",
        "Which status does a run have that does not exist?",
        (Step("GET", f"{RUNS}/{{unknown_uuid}}/status", accepts=ANY_STATUS),),
        "unknown_run_status",
        404,
        "an unknown run is a 404",
        "leanix/runs/wait.py",
        status_reader(400, 403, 404),
        refusal="compared",
    ),
    Check(
        "L6.secrets",
        "read",
        "Are secrets in the list of configurations masked?",
        (CONFIGURATIONS,),
        "masks_secrets",
        False,
        "configurations have their secrets",
        "leanix/configurations.py",
        choice_reader(_masks, {False: "a secret", True: "masked secrets"}),
        condition="a configuration has a secret",
    ),
)

BURST = burst_checks("L9", CONFIGURATIONS.path, "leanix/hooks.py", True, RATE_CONDITION)

WAIT = (
    Check(
        "L3.expired",
        "read",
        "Has a token that has expired the status of an invalid one?",
        (BAD_BEARER, EXPIRED),
        "expired_token_status",
        None,
        "an expired token has the status of an invalid one",
        "leanix/hooks.py",
        _expired,
        waits="about an hour, until a token has expired",
        refusal="answer",
    ),
)
