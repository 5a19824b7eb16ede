"""Entries of a plan of configurations: operation, hashes, and what applying it needs; without a service."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from airflow_provider.errors import InputError, PlanRejectedError
from airflow_provider.leanix.as_code import plan as plan_module
from airflow_provider.leanix.as_code.plan import Plan, is_stored
from airflow_provider.leanix.configurations import FieldChange

pytestmark = pytest.mark.slow  # nothing of it depends on versions

KEY = {"connectorType": "a", "connectorId": "b", "connectorVersion": "1", "processingDirection": "inbound"}
SAME = {**KEY, "processingMode": "full", "x": 1}
OTHER = {**KEY, "connectorId": "c", "processingMode": "full"}
SECRET = {**KEY, "connectorId": "d", "credentials": {"apiToken": "s3cr3t-t0ken"}}


@pytest.fixture
def plan() -> Plan:
    return Plan("https://host", salt="salt")


def test_the_rounds_of_a_hash_are_a_decision() -> None:
    assert plan_module._ROUNDS == 10_000
    assert plan_module.OPERATIONS == ("create", "update", "unchanged")
    assert (Plan.version, Plan("h").workspace, Plan("h").fingerprint) == (1, "", "")
    assert len(Plan("h").salt) == 32
    assert Plan("h").salt != Plan("h").salt


def test_a_hash_is_of_the_content_in_any_order_and_of_the_salt(plan: Plan) -> None:
    expected = hashlib.pbkdf2_hmac("sha256", b'{"a":1,"b":2}', b"salt", 10_000).hex()
    assert plan.hash_of({"b": 2, "a": 1}) == plan.hash_of({"a": 1, "b": 2}) == expected
    assert Plan("h", salt="other").hash_of({"a": 1, "b": 2}) != expected


def test_an_entry_says_what_is_done_and_hides_secrets(plan: Plan) -> None:
    plan.add(SAME, {**SAME, "y": None})
    plan.add(OTHER, None)
    plan.add(SECRET, {**SECRET, "credentials": {"apiToken": "another-t0ken"}})
    same, other, secret = plan.entries
    assert (same.operation, other.operation, secret.operation) == ("unchanged", "create", "update")
    assert plan.counts() == {"create": 1, "update": 1, "unchanged": 1}
    assert (same.key, same.name) == (["a", "b", "1", "inbound", "full"], "a/b/1/inbound/full")
    assert (same.before, same.after) == (plan.hash_of({**SAME, "y": None}), plan.hash_of(SAME))
    assert (other.before, other.after) == ("", plan.hash_of(OTHER))
    assert (same.configuration, same.has_secrets, same.changes) == (SAME, False, [])
    assert (secret.configuration["credentials"], secret.has_secrets) == ({"apiToken": "***"}, True)
    assert secret.changes == [FieldChange("~", "credentials.apiToken", "***", "***")]
    assert [(one.sign, one.path, one.old, one.new) for one in other.changes] == [
        ("+", name, None, value) for name, value in OTHER.items()
    ]


def test_planned_configurations_come_with_the_secrets_that_are_given(plan: Plan) -> None:
    plan.add(SAME, None)
    plan.add(OTHER, None)
    assert plan.configurations(None) == [SAME, OTHER]
    assert plan.configurations([OTHER, SAME]) == [SAME, OTHER]
    plan.add(SECRET, None)
    assert plan.configurations([SECRET, OTHER, SAME]) == [SAME, OTHER, SECRET]
    with pytest.raises(InputError) as caught:
        plan.configurations(None)
    assert str(caught.value) == (
        "the plan has no secrets; give 'configuration', too, for those of a/d/1/inbound/partial"
    )


def test_configurations_that_are_not_those_of_the_plan_are_all_named(plan: Plan) -> None:
    plan.add(SAME, None)
    plan.add(OTHER, None)
    plan.add(SECRET, None)
    given: list[dict[str, Any]] = [{**SAME, "x": 2}, SECRET, {**KEY, "connectorId": "e"}]
    with pytest.raises(PlanRejectedError) as caught:
        plan.configurations(given)
    assert str(caught.value) == (
        "the plan is not that of 'configuration': a/b/1/inbound/full is another one than planned;"
        " a/c/1/inbound/full is not given; a/e/1/inbound/partial is not in the plan"
    )


def masked(**fields: Any) -> dict[str, Any]:
    return {**SECRET, **fields}


@pytest.mark.parametrize(
    ("found", "exactly", "as_far_as_shown"),
    [
        (None, False, False),
        (SECRET, True, True),
        (masked(x=0), True, True),
        (masked(x=1), False, False),
        (masked(credentials={"apiToken": "****"}), False, True),
        (masked(credentials={"apiToken": "another"}), False, False),
        (masked(credentials={"apiToken": "****"}, x=1), False, False),
        (masked(connectorVersion="***"), False, False),
    ],
)
def test_a_configuration_is_stored_as_far_as_it_is_shown(
    found: Any, exactly: bool, as_far_as_shown: bool
) -> None:
    assert is_stored(SECRET, found) is exactly
    assert is_stored(SECRET, found, as_far_as_shown=False) is exactly
    assert is_stored(SECRET, found, as_far_as_shown=True) is as_far_as_shown
