"""Every check against the sandbox: the defaults are as assumed, and each switch flips its checks only."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.conformance.catalogue import SERVICES
from airflow_provider.conformance.check import LEVELS, Check, ServiceChecks
from airflow_provider.sandbox.server import Sandbox
from airflow_provider.sandbox.switches import switches_of
from tests.support.conformance import (
    CONDITIONS_MET,
    add_key_with_capitals,
    floor_of,
    outcomes,
    prepare,
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
        "token_seconds": 3600,
        "ring_order": "counter-clockwise",
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
        "describes_fields": False,
        "moved_socket": True,
        "old_sockets": False,
        "new_sockets": True,
        "page_default": 500,
        "list_clamp": 50,
        "readable_states": 1,
        "number_form": "text",
        "boolean_form": "text",
        "time_form": "T",
        "json_form": "text",
        "array_form": "text",
        "empty_geometry": "text",
        "collation": "language",
        "key_index": False,
        "open_exports": True,
        "export_formats": ["KML", "CSV"],
        "shown_job_status": "OTHER",
        "repeated_insert": "ignore",
        "keyed_changes": "ignore",
        "photo_redirect": False,
        "affected_rows": "count",
        "deleted_dataset_status": 204,
        "requests_per_second": 5.0,
        "retry_after": "1",
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
        "has_metadata": False,
        "longest_url": 4096,
        "null_values": "reject",
        "further_keywords": "enforce",
        "partial_writes": "valid",
        "group_limit": "values",
        "actions_show_output": False,
        "has_patch": False,
        "patch_results": "by_id",
        "event_order": "oldest",
        "put_without_status": "clear",
        "token_lifetime": 3600.0,
        "cursor_seconds": 60.0,
        "sorted_cursor": "refuse",
        "equal_values": "skip",
        "requests_per_second": 5.0,
        "retry_after": False,
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
        "stop_seconds": 20.0,
        "masks_secrets": True,
        "expired_token_status": 403,
        "unknown_configuration_status": 422,
        "wrong_workspace_status": 200,
        "requests_per_second": 5.0,
        "retry_after": False,
    },
}
"""Another value of the switch of each check."""

ALONE = frozenset({"A7.jobs", "A10.retry_after", "I7.retry_after", "L9.retry_after"})
"""Checks whose condition changes what other checks find."""

FURTHER_VALUES: dict[str, list[Any]] = {
    "amigocloud.repeated_insert": ["refuse", "add"],
    "amigocloud.keyed_changes": ["refuse"],
    "amigocloud.affected_rows": ["total_rows"],
    "amigocloud.collation": ["hidden"],
    "amigocloud.key_index": [None],
    "iotstudio.out_of_range": ["accept"],
    "iotstudio.sorted_cursor": ["unsorted"],
    "leanix.stop_seconds": ["inf"],
    "leanix.unknown_configuration_status": [400, 403],
    "leanix.wrong_workspace_status": [400, 404],
    "mapsindoors.batch_mode": ["stop-at-first"],
    "mapsindoors.delete_children": ["refuse"],
}
"""More values of some switches, each of which its check finds."""

VALUES = [(name, switch, value) for name, flips in FLIPS.items() for switch, value in flips.items()]
VALUES += [(*name.split("."), value) for name, values in FURTHER_VALUES.items() for value in values]  # type: ignore[misc]


def expected(service: ServiceChecks, met: Collection[str], *differing: Check) -> dict[str, str]:
    """Return the outcomes by id: those that differ, those that cannot be asked, and the others."""
    flipped = {check.switch for check in differing}
    out = {}
    for check in service.checks:
        if check in differing:
            out[check.id] = "differs!" if check.danger else "differs"
        elif flipped & check.moot.keys() or (check.condition and check.id not in met):
            out[check.id] = "skipped"
        else:
            out[check.id] = "same"
    return out


@pytest.mark.parametrize("name", list(SERVICES))
def test_the_sandbox_is_as_the_provider_assumes(sandbox: Sandbox, name: str) -> None:
    prepare(sandbox, name)
    report = run_checks(sandbox, name, level="scratch", burst=True, wait=True, parent=floor_of(sandbox))
    assert outcomes(report) == expected(SERVICES[name], ())
    assert (report.exit_code, report.switches) == (0, {})


@pytest.mark.parametrize(("name", "switch", "value"), VALUES)
def test_a_flipped_switch_is_found_by_its_checks_and_no_others(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, name: str, switch: str, value: Any
) -> None:
    service = SERVICES[name]
    checks = [check for check in service.checks if check.switch == switch]
    met = {check.id for check in checks if check.condition}
    prepare(sandbox, name, *met)
    if switch == "lower_case_keys":
        add_key_with_capitals(sandbox)
    if switch == "requires_preview":
        monkeypatch.setenv("AIRFLOW_CONN_IOTSTUDIO_DEFAULT", with_preview(sandbox))
    if "A7.jobs" in met:
        monkeypatch.setenv("AIRFLOW_CONN_AMIGOCLOUD_DEFAULT", use_project_token(sandbox))
    sandbox.switches.set(sandbox.switches.check({f"{name}.{switch}": value}))
    level = max((check.level for check in checks), key=LEVELS.index)
    options = {check.option for check in checks}
    asked: dict[str, Any] = {"burst": "--burst" in options, "wait": "--wait" in options}
    # A project's token reads nothing of the account, and a limit of the rate is a difference of its own.
    only = tuple(met) if met & ALONE else ()
    if value != FLIPS[name][switch]:  # One value of a switch is enough to show that no others differ.
        only = tuple({check.group for check in checks})
    report = run_checks(sandbox, name, level=level, only=only, parent=floor_of(sandbox), **asked)
    if switch == "requests_per_second" and value is not None:
        met |= {check.id for check in service.checks if check.switch == "retry_after"}
    found, wanted = outcomes(report), expected(service, met, *checks)
    for check in (
        service.checks if only else ()
    ):  # Those of a chosen group that need another option are listed.
        if (check.option and check.option not in options) or LEVELS.index(check.level) > LEVELS.index(level):
            wanted[check.id] = "skipped"
    assert found == {key: wanted[key] for key in found}
    assert {check.id for check in checks} <= found.keys()
    assert report.switches == {f"{name}.{switch}": close_to(value)}
    assert report.exit_code == (2 if any(check.danger for check in checks) else 1)


def close_to(value: Any) -> Any:
    return pytest.approx(value, abs=2) if isinstance(value, float) else value


CONDITIONS = [
    (name, check) for name, service in SERVICES.items() for check in service.checks if check.condition
]


@pytest.mark.parametrize(("name", "check"), CONDITIONS, ids=lambda one: getattr(one, "id", ""))
def test_a_check_with_a_condition_is_as_assumed_where_it_is_met(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, name: str, check: Check
) -> None:
    prepare(sandbox, name, check.id)
    if check.id == "A7.jobs":
        monkeypatch.setenv("AIRFLOW_CONN_AMIGOCLOUD_DEFAULT", use_project_token(sandbox))
    report = run_checks(sandbox, name, burst=True, only=(check.id,))
    assert outcomes(report) == {check.id: "same"}


def test_each_check_has_a_flip() -> None:
    wanted = {name: {check.switch for check in service.checks} for name, service in SERVICES.items()}
    assert {name: set(flips) for name, flips in FLIPS.items()} == wanted


def test_each_condition_can_be_met() -> None:
    assert {check.id for _, check in CONDITIONS} == CONDITIONS_MET.keys() | {"A7.jobs"}


def test_what_makes_a_check_moot_is_a_switch_of_another_check() -> None:
    for name, check in EVERY_CHECK:
        assert check.moot.keys() <= FLIPS[name.name].keys() - {check.switch}
        assert all(reason for reason in check.moot.values())


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


@pytest.mark.long
@pytest.mark.both_engines
@pytest.mark.one_engine("postgresql", "the embedded engine is that of the other tests")
def test_a_real_database_is_as_assumed_but_for_its_order_of_texts(sandbox: Sandbox) -> None:
    prepare(sandbox, "amigocloud")
    report = run_checks(sandbox, "amigocloud", level="scratch")
    wanted = expected(SERVICES["amigocloud"], ())
    found = outcomes(report)
    # The server's catalog tells its collation, which depends on the machine.
    assert found.pop("A5.collation") in {"same", "differs"}
    assert found == {key: wanted[key] for key in found}
