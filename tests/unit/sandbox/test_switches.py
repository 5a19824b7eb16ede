"""The sandbox's switches by name: listed and set over HTTP, from the command line, and in a test."""

from __future__ import annotations

import math
from typing import Any

import pytest
import requests

from airflow_provider.sandbox.mapsindoors.seed import API_KEY
from airflow_provider.sandbox.server import Sandbox
from airflow_provider.sandbox.switches import SwitchError
from tests.support.sandbox_command import command, running


def patch(sandbox: Sandbox, body: Any, method: str = "PATCH") -> requests.Response:
    return requests.request(method, f"{sandbox.url}/_sandbox/switches", json=body, timeout=5)


def listed(url: str) -> dict[str, Any]:
    return dict(requests.get(f"{url}/_sandbox/switches", timeout=5).json())


def test_all_switches_are_listed_with_value_type_and_a_sentence(sandbox: Sandbox) -> None:
    sandbox.leanix.run_seconds = 7
    found = listed(sandbox.url)
    assert set(found) == {"mapsindoors", "amigocloud", "iotstudio", "leanix"}
    assert found["leanix"]["run_seconds"] == {
        "value": 7,
        "default": 1.0,
        "type": "a number of 0 or more",
        "about": "seconds for which a run is IN_PROGRESS, besides those of its items.",
    }
    assert found["mapsindoors"]["lower_case_keys"]["type"] == "true or false"
    assert found["mapsindoors"]["delete_children"]["type"] == 'one of "cascade", "leave", "refuse"'
    assert found["mapsindoors"]["requests_per_second"]["type"] == "a number of 0 or more, or null"
    assert all(one["about"].endswith(".") for switches in found.values() for one in switches.values())


def test_every_switch_can_be_set_to_its_own_value(sandbox: Sandbox) -> None:
    found = listed(sandbox.url)
    same = {
        f"{service}.{name}": one["value"]
        for service, switches in found.items()
        for name, one in switches.items()
    }
    assert len(same) > 60
    answer = patch(sandbox, same)
    assert answer.status_code == 200, answer.text
    assert answer.json() == found


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize(
    "body",
    [
        {"mapsindoors.lower_case_keys": False, "leanix.stuck_in": "PENDING"},
        {"mapsindoors": {"lower_case_keys": False}, "leanix": {"stuck_in": "PENDING"}},
    ],
)
def test_switches_are_set_over_http(sandbox: Sandbox, method: str, body: Any) -> None:
    answer = patch(sandbox, body, method)
    assert answer.status_code == 200
    assert answer.json()["leanix"]["stuck_in"]["value"] == "PENDING"
    assert (sandbox.mapsindoors.lower_case_keys, sandbox.leanix.stuck_in) == (False, "PENDING")
    sandbox.reset()
    assert (sandbox.mapsindoors.lower_case_keys, sandbox.leanix.stuck_in) == (True, None)


@pytest.mark.parametrize(
    ("name", "value", "stored"),
    [
        ("leanix.results_delay", "inf", math.inf),
        ("leanix.hidden_runs", ["a", "b"], {"a", "b"}),
        ("iotstudio.lost_writes", ["mode", ["uid", "setpoint"]], {"mode", ("uid", "setpoint")}),
        ("iotstudio.rounding", {"temperature": 1}, {"temperature": 1}),
        (
            "iotstudio.device_answers",
            {"reboot": ["failed", {"code": 7}]},
            {"reboot": ("failed", {"code": 7})},
        ),
        ("iotstudio.device_seconds", None, None),
        ("iotstudio.forgotten_before", "2026-01-01", "2026-01-01"),
        ("amigocloud.job_failures", ["full disk"], ["full disk"]),
        ("amigocloud.count_error", -1, -1),
        ("amigocloud.retry_after", "7", "7"),
        ("mapsindoors.rate_limit", 4, 4),
    ],
)
def test_a_value_is_read_as_the_type_of_its_switch(
    sandbox: Sandbox, name: str, value: Any, stored: Any
) -> None:
    answer = patch(sandbox, {name: value})
    assert answer.status_code == 200, answer.text
    service, switch = name.split(".")
    assert getattr(getattr(sandbox, service), switch) == stored


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("leanix.run_seconds", "60", "must be a number of 0 or more"),
        ("leanix.run_seconds", -1, "must be a number of 0 or more"),
        ("leanix.run_seconds", True, "must be a number of 0 or more"),
        ("leanix.run_seconds", "inf", "must be a number of 0 or more"),
        ("leanix.run_seconds", None, "must be a number of 0 or more"),
        ("leanix.results_delay", "never", 'must be a number of 0 or more, or "inf"'),
        ("leanix.allowed", 0, "must be true or false"),
        ("leanix.allowed", "false", "must be true or false"),
        ("leanix.bad_items", 1.5, "must be a whole number of 0 or more"),
        ("leanix.ending", "finished", 'must be one of "FINISHED", "FAILED", "STOPPED"'),
        ("leanix.hidden_runs", "abc", "must be a list of a text"),
        ("leanix.refused_token_status", 99, "from 200 to 599"),
        ("mapsindoors.post_status", 204, "must be one of 200, 201"),
        ("mapsindoors.requests_per_second", "10", "must be a number of 0 or more, or null"),
        ("iotstudio.forgotten_before", "yesterday", "must be a time as in RFC 3339"),
        ("amigocloud.next_origin", "elsewhere", "must be an origin"),
        ("leanix.run_secnds", 1, "the nearest is leanix.run_seconds"),
        ("lower_case_keys", True, "the nearest is mapsindoors.lower_case_keys"),
        ("leanix.machine", 1, "there is no such switch"),
        ("amigocloud.before_page", 1, "there is no such switch"),
        ("elsewhere.run_seconds", 1, "there is no such switch; the nearest is leanix.run_seconds"),
    ],
)
def test_an_unknown_name_or_a_wrong_type_is_refused(
    sandbox: Sandbox, name: str, value: Any, expected: str
) -> None:
    before = listed(sandbox.url)
    answer = patch(sandbox, {name: value, "iotstudio.token_lifetime": 7})
    assert answer.status_code == 400
    assert f"{name}: " in answer.json()["detail"]
    assert expected in answer.json()["detail"]
    assert listed(sandbox.url) == before


def test_all_problems_are_named_at_once_and_nothing_is_set(sandbox: Sandbox) -> None:
    body = {"leanix.run_secnds": 1, "leanix": {"allowed": "no", "queue_seconds": 9}, "x": 1}
    answer = patch(sandbox, body)
    assert answer.status_code == 400
    assert [text.split(":")[0] for text in answer.json()["problems"]] == [
        "leanix.run_secnds",
        "leanix.allowed",
        "x",
    ]
    assert sandbox.leanix.queue_seconds == 1.5


@pytest.mark.parametrize("body", [[], "x", 7, None])
def test_a_body_that_is_no_object_is_refused(sandbox: Sandbox, body: Any) -> None:
    answer = patch(sandbox, body)
    assert answer.status_code == 400
    assert "not understood" in answer.json()["detail"]


def test_a_switch_that_is_named_twice_is_refused(sandbox: Sandbox) -> None:
    answer = patch(sandbox, {"mapsindoors.rate_limit": 1, "mapsindoors.requests_per_second": 2})
    assert answer.status_code == 400
    assert "set twice" in answer.json()["detail"]


def test_no_web_page_sets_a_switch(sandbox: Sandbox) -> None:
    answer = requests.patch(
        f"{sandbox.url}/_sandbox/switches",
        json={"leanix.allowed": False},
        headers={"Origin": "http://evil.example"},
        timeout=5,
    )
    assert answer.status_code == 403
    assert sandbox.leanix.allowed


def test_switches_of_the_command_line_outlive_a_reset() -> None:
    arguments = (
        "--set=mapsindoors.requests_per_second=null",
        "--set=leanix.run_seconds=60",
        "--set=leanix.ending=FAILED",
        "--set=amigocloud.retry_after=5",
        '--set=amigocloud.job_failures=["full disk"]',
    )
    with running(*arguments) as url:
        for _ in range(2):
            found = listed(url)
            assert found["mapsindoors"]["requests_per_second"]["value"] is None
            assert found["leanix"]["run_seconds"]["value"] == 60
            assert found["leanix"]["ending"]["value"] == "FAILED"
            assert found["amigocloud"]["retry_after"]["value"] == "5"
            assert found["amigocloud"]["job_failures"]["value"] == ["full disk"]
            requests.patch(f"{url}/_sandbox/switches", json={"leanix.run_seconds": 1}, timeout=5)
            requests.post(f"{url}/_sandbox/reset", timeout=5)


def test_the_command_names_all_problems_of_its_switches_before_it_starts() -> None:
    with command("--set", "leanix.run_secnds=1", "--set", "leanix.allowed=maybe", "--set", "x") as process:
        output, errors = process.communicate(timeout=20)
    assert process.returncode == 2
    assert output == ""
    assert "leanix.run_secnds: there is no such switch; the nearest is leanix.run_seconds" in errors
    assert "leanix.allowed: must be true or false, not 'maybe'" in errors
    assert "x: must be SERVICE.SWITCH=VALUE" in errors
    assert "Traceback" not in errors


def test_the_command_lists_all_switches() -> None:
    with command("--switches") as process:
        output, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "mapsindoors.requests_per_second=10.0  # maximum requests a second to each solution" in output
    assert "leanix.stuck_in=null  # status that a run never leaves" in output


def test_a_sandbox_starts_with_switches_and_restores_them() -> None:
    with Sandbox(switches={"leanix.allowed": False, "amigocloud.job_failures": ["x"]}) as sandbox:
        sandbox.leanix.allowed = True
        sandbox.amigocloud.job_failures.pop()
        sandbox.reset()
        assert sandbox.leanix.allowed is False
        assert sandbox.amigocloud.job_failures == ["x"]


def test_a_sandbox_with_a_wrong_switch_does_not_start() -> None:
    with (
        pytest.raises(SwitchError, match="the nearest is leanix.allowed"),
        Sandbox(switches={"leanix.alowed": 1}),
    ):
        pass


def test_a_switch_that_is_set_takes_effect(sandbox: Sandbox) -> None:
    patch(sandbox, {"mapsindoors.requests_per_second": 0})
    answer = requests.get(f"{sandbox.url}/mapsindoors/{API_KEY}/api/dataset", timeout=5)
    assert answer.status_code == 429


def test_the_page_lists_the_switches_of_strictness_with_their_defaults() -> None:
    from tests.support import strict_switches

    assert strict_switches.written() == strict_switches.table(), "run: tests.support.strict_switches --write"


def test_after_a_reset_each_switch_has_the_default_that_is_listed(sandbox: Sandbox) -> None:
    found = listed(sandbox.url)
    assert [
        (service, name, one)
        for service, switches in found.items()
        for name, one in switches.items()
        if one["value"] != one["default"]
    ] == []
