"""Checks of LeanIX with a processor configuration that they make and remove, and a run that stays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from airflow_provider.conformance.check import (
    ANY_STATUS,
    SUCCESS,
    Answer,
    Check,
    Creation,
    Finder,
    Observed,
    OpenQuestionError,
    Step,
)
from airflow_provider.conformance.checks.shared import Answers, Facts, choice_reader, status_reader
from airflow_provider.leanix.api import API, ENDED, RUNS, STOPPED

NOTE = "The runs stay in the list, because the API cannot delete runs; their configuration is deleted."
CONFIGURATIONS = f"{API}/configurations"
KEY = {
    "connectorType": "conformance",
    "connectorId": "{run}-configuration",
    "connectorVersion": "1.0.0",
    "processingDirection": "outbound",
    "processingMode": "partial",
}


def _run_id(answer: Answer, _: Facts) -> str | None:
    body = answer.json()
    return str((body[0] if isinstance(body, list) else body)["id"])


def _nothing(_: Answer, __: str) -> list[str]:
    return []


def _same_key(answer: Answer, name: str) -> list[str]:
    return [item["connectorId"] for item in answer.json() if item.get("connectorId") == name]


MAKE_CONFIGURATION = Step(
    "PUT",
    CONFIGURATIONS,
    json={
        **KEY,
        "scope": {"ids": [], "facetFilters": []},
        "processors": [],
        "dataConsumer": {"type": "leanixStorage"},
    },
    makes="configuration",
)
MAKE_RUN = Step(
    "POST",
    RUNS,
    json={**KEY, "connectorId": "{configuration}", "lxVersion": "1.0.0", "description": "{run}-sync_run"},
    makes="sync_run",
)
STOPPED_RUN = replace(
    MAKE_RUN, json={**MAKE_RUN.json, "description": "{run}-stopped_run"}, makes="stopped_run"
)
UNKNOWN_RUN = Step(
    "POST",
    RUNS,
    json={**KEY, "connectorId": "{run}-nowhere", "lxVersion": "1.0.0", "description": "{run}-unknown_run"},
    accepts=ANY_STATUS,
    needs=("configuration",),  # Without the permission to make one, a 403 says nothing about this run.
    makes="unknown_run",
)
FOREIGN_RUN = Step(
    "POST",
    RUNS,
    json={
        **KEY,
        "connectorId": "{configuration}",
        "lxVersion": "1.0.0",
        "lxWorkspace": "{unknown_uuid}",
        "description": "{run}-foreign_run",
    },
    accepts=ANY_STATUS,
    makes="foreign_run",
)


def _stays(about: str, step: Step) -> Creation:
    return Creation(about, Finder(step, _run_id, "the run was not made"), None, Step("GET", RUNS), _nothing)


CREATIONS = {
    "configuration": Creation(
        "a processor configuration without processors",
        Finder(MAKE_CONFIGURATION, lambda _, facts: f"{facts['run']}-configuration", "it was not made"),
        Step("DELETE", CONFIGURATIONS, params={**KEY, "connectorId": "{id}"}),
        Step("GET", CONFIGURATIONS, params={"connectorType": "conformance"}),
        _same_key,
    ),
    "sync_run": _stays("a test run of it, which stays", MAKE_RUN),
    "stopped_run": _stays("a second test run, which is stopped, and stays", STOPPED_RUN),
    "unknown_run": _stays(
        "if the service takes it, a run without a configuration, never started", UNKNOWN_RUN
    ),
    "foreign_run": _stays("if the service takes it, a run for another workspace, never started", FOREIGN_RUN),
}


def _has_ended(answer: Answer, _: Facts) -> bool:
    return answer.json().get("status") in ENDED


def _run(method: str, resource: str, run: str = "sync_run", **options: Any) -> Step:
    return Step(method, f"{RUNS}/{{{run}}}/{resource}", **options)


START = Step("POST", f"{RUNS}/{{sync_run}}/start", params={"test": "true"}, once=True)
ENDING = _run("GET", "status", until=_has_ended, at_most=180.0, every=2.0)
STOP = (
    STOPPED_RUN,
    _run("POST", "start", "stopped_run", params={"test": "true"}),
    _run("POST", "stop", "stopped_run", accepts=SUCCESS | {400}),
    _run("GET", "status", "stopped_run", until=_has_ended, at_most=180.0, every=2.0, fresh=True),
)
RESULTS = _run("GET", "results", until=lambda answer, _: answer.status != 204, at_most=60.0, status_only=True)


def _is_list(answers: Answers, _: Facts) -> bool:
    return isinstance(answers[-1].json(), list)


def _lag(answers: Answers, _: Facts) -> Observed:
    # The end was seen up to two seconds late, so a short delay may be none.
    seconds = float(round(answers[-1].seconds))
    return Observed(seconds, f"found them {seconds:g} s after the end")


def _stopped(answers: Answers, _: Facts) -> Observed:
    if answers[2].status not in SUCCESS:
        raise OpenQuestionError("the run had ended before it was stopped")
    if answers[-1].json()["status"] != STOPPED:
        return Observed("inf", "found the run at its end, as if it had not been stopped")
    seconds = float(round(answers[-1].seconds))
    return Observed(seconds, f"found it stopped {seconds:g} s afterwards")


SCRATCH = (
    Check(
        "L7.create",
        "scratch",
        "Is the reply to a new run an object?",
        (MAKE_RUN,),
        "create_returns_list",
        False,
        "a new run is an object",
        "leanix/api.py",
        choice_reader(_is_list, {False: "an object", True: "a list"}),
    ),
    Check(
        "L7.results",
        "scratch",
        "Are the results there as soon as a run has finished?",
        (MAKE_RUN, START, ENDING, RESULTS),
        "results_lag_seconds",
        0.0,
        "results are there when a run has finished",
        "leanix/runs/finish.py",
        _lag,
        danger=True,
    ),
    Check(
        "L7.second_start",
        "scratch",
        "Which status does a second start of a run have?",
        (MAKE_RUN, START, ENDING, Step("POST", f"{RUNS}/{{sync_run}}/start", accepts=frozenset({400, 409}))),
        "second_start_status",
        400,
        "a second start is a 400",
        "leanix/api.py",
        status_reader(400, 409, of=-1),
    ),
    Check(
        "L7.stop",
        "scratch",
        "Is a run stopped as soon as the request to stop it is accepted?",
        STOP,
        "stop_seconds",
        0.0,
        "a stop takes effect at once",
        "leanix/runs/submit.py",
        _stopped,
    ),
    Check(
        "L8.configuration",
        "scratch",
        "Which status does a run have whose configuration does not exist?",
        (UNKNOWN_RUN,),
        "unknown_configuration_status",
        404,
        "a run without a configuration is a 404",
        "leanix/runs/submit.py",
        status_reader(400, 403, 404, 422),
        refusal="compared",
    ),
    Check(
        "L8.workspace",
        "scratch",
        "Which status does a run have that names another workspace?",
        (FOREIGN_RUN,),
        "wrong_workspace_status",
        403,
        "a run for another workspace is a 403",
        "leanix/ldif/header.py",
        status_reader(200, 400, 403, 404, 422),
        refusal="compared",
    ),
)
