"""Every check against the sandbox: the defaults are as assumed, and each switch flips its checks only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider.conformance.catalogue import SERVICES
from airflow_provider.conformance.check import LEVELS, Check, ServiceChecks
from airflow_provider.sandbox.server import Sandbox
from airflow_provider.sandbox.switches import switches_of
from tests.support.conformance import (
    ARRANGEMENTS,
    add_key_with_capitals,
    floor_of,
    outcomes,
    run_checks,
    use_project_token,
    with_preview,
)

pytestmark = pytest.mark.slow  # the sandbox does not depend on versions

PACKAGE = Path(__file__).resolve().parents[3] / "airflow_provider"
EVERY_CHECK = [(service, check) for service in SERVICES.values() for check in service.checks]

every_check = pytest.mark.parametrize(
    ("service", "check"), EVERY_CHECK, ids=lambda one: getattr(one, "id", "")
)

FLIPS: dict[str, dict[str, Any]] = {
    "mapsindoors": {
        "post_status": 201,
        "delete_status": 200,
        "array_style": "comma",
        "password_grant": False,
        "lower_case_keys": False,
        "require_token": True,
        "root_included": False,
        "unknown_solution_status": 403,
        "refused_token_status": 403,
        "error_style": "text",
        "secret_variables": "form",
        "requests_per_second": None,
        "retry_after": False,
        "stale_seconds": 20.0,
        "decimals": 7,
        "nested_put": "replace",
        "derive_anchor_on_put": True,
        "put_unknown_status": 404,
        "batch_mode": "skip-bad",
        "numbers_in_text": True,
        "delete_unknown": "refuse",
        "delete_children": "leave",
    },
    "amigocloud": {
        "bad_token_status": 403,
        "page_clamp": 500,
        "count_error": 7,
        "count_is_page": True,
        "unstable_order": True,
        "next_origin": "https://other.example",
        "list_default": 10,
        "unknown_state": "latest",
        "post_select": False,
        "compress": True,
        "sql_error_status": 422,
        "project_token_jobs": True,
        "dataset_lag": 12.0,
        "check_md5": False,
        "foreign_exports": True,
    },
    "iotstudio": {
        "refused_token_status": 403,
        "above_limit": "clamp",
        "requires_preview": True,
        "empty_page_in_the_middle": True,
        "unknown_space_status": 403,
        "unknown_thing_status": 403,
        "stray_every": 10,
        "history_order": "oldest",
        "range_end": "inclusive",
        "has_query": False,
        "one_token": True,
        "unknown_property": "accept",
        "read_only": "reject",
        "out_of_range": "clamp",
        "max_message_bytes": None,
    },
    "leanix": {
        "hidden_operations": ["POST /synchronizationRuns/{id}/stop"],
        "token_seconds": 600.0,
        "token_claims": False,
        "bad_api_token_status": 403,
        "refused_token_status": 403,
        "list_descriptions": False,
        "shown_status": "OTHER",
        "has_sync_log": False,
        "has_results_url": False,
        "unknown_run_status": 403,
        "create_returns_list": True,
        "results_lag_seconds": 20.0,
        "second_start_status": 409,
    },
}
"""Another value of the switch of each check."""

CONSEQUENCES = {
    "amigocloud.count_is_page": {"A3.count": "skipped"},
    "mapsindoors.requests_per_second": {"M8.retry_after": "skipped"},
}
"""Checks that cannot run where a switch is flipped."""

NEEDS_PROJECT_TOKEN = "A7.jobs"


def arrange(sandbox: Sandbox, service: str) -> None:
    if service in ARRANGEMENTS:
        ARRANGEMENTS[service](sandbox)


def expected(service: ServiceChecks, *differing: Check) -> dict[str, str]:
    return {
        check.id: ("differs!" if check.danger else "differs") if check in differing else "same"
        for check in service.checks
        if check.id != NEEDS_PROJECT_TOKEN
    }


def without_project_token(found: dict[str, str]) -> dict[str, str]:
    return {name: outcome for name, outcome in found.items() if name != NEEDS_PROJECT_TOKEN}


@pytest.mark.parametrize("name", list(SERVICES))
def test_the_sandbox_is_as_the_provider_assumes(sandbox: Sandbox, name: str) -> None:
    arrange(sandbox, name)
    report = run_checks(sandbox, name, level="scratch", burst=True, parent=floor_of(sandbox))
    assert without_project_token(outcomes(report)) == expected(SERVICES[name])
    assert (report.exit_code, report.switches) == (0, {})


@pytest.mark.parametrize(
    ("name", "switch"), [(name, switch) for name, switches in FLIPS.items() for switch in switches]
)
def test_a_flipped_switch_is_found_by_its_checks_and_no_others(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, name: str, switch: str
) -> None:
    service, value = SERVICES[name], FLIPS[name][switch]
    checks = [check for check in service.checks if check.switch == switch]
    arrange(sandbox, name)
    if switch == "lower_case_keys":
        add_key_with_capitals(sandbox)
    if switch == "requires_preview":
        monkeypatch.setenv("AIRFLOW_CONN_IOTSTUDIO_DEFAULT", with_preview(sandbox))
    if switch == "project_token_jobs":
        monkeypatch.setenv("AIRFLOW_CONN_AMIGOCLOUD_DEFAULT", use_project_token(sandbox))
    sandbox.switches.set(sandbox.switches.check({f"{name}.{switch}": value}))
    level = max((check.level for check in checks), key=LEVELS.index)
    burst = any(check.opt_in for check in checks)
    report = run_checks(sandbox, name, level=level, burst=burst, parent=floor_of(sandbox))
    found = outcomes(report)
    wanted = {**expected(service, *checks), **CONSEQUENCES.get(f"{name}.{switch}", {})}
    if switch == "project_token_jobs":
        assert found[NEEDS_PROJECT_TOKEN] == "differs"
        return
    assert without_project_token(found) == {key: wanted[key] for key in found if key != NEEDS_PROJECT_TOKEN}
    observed = report.switches.pop(f"{name}.{switch}")
    assert observed == (pytest.approx(value, abs=2) if isinstance(value, float) else value)
    assert len(report.switches) == 1
    assert report.exit_code == (2 if any(check.danger for check in checks) else 1)


def test_tokens_of_projects_cannot_read_jobs(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AMIGOCLOUD_DEFAULT", use_project_token(sandbox))
    assert outcomes(run_checks(sandbox, "amigocloud", only=(NEEDS_PROJECT_TOKEN,))) == {
        NEEDS_PROJECT_TOKEN: "same"
    }


def test_each_check_has_a_flip() -> None:
    wanted = {name: {check.switch for check in service.checks} for name, service in SERVICES.items()}
    assert {name: set(flips) for name, flips in FLIPS.items()} == wanted


@every_check
def test_a_check_assumes_the_default_of_its_switch(
    running_sandbox: Sandbox, service: ServiceChecks, check: Check
) -> None:
    switch = switches_of(running_sandbox.services[service.name])[check.switch]
    assert check.assumed == (sorted(switch.default) if isinstance(switch.default, set) else switch.default)
    assert switch.read(FLIPS[service.name][check.switch]) != switch.default


@every_check
def test_a_check_names_a_module_of_the_provider(service: ServiceChecks, check: Check) -> None:
    assert (PACKAGE / check.client).is_file()
    assert check.question.endswith("?")


def test_ids_of_checks_are_unique() -> None:
    ids = [check.id for _, check in EVERY_CHECK]
    assert len(ids) == len(set(ids))
    assert len({check.group[0] for check in SERVICES["leanix"].checks}) == 1
