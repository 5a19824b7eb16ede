"""Bulk read: few requests for many Things, in spaces of any size and with any limit on URLs."""

from __future__ import annotations

import json
import math
from typing import Literal

import pytest

from airflow_provider.errors import PermissionDeniedError
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.iotstudio.properties.bulk_read import read_values
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.iotstudio.formats import ulid
from airflow_provider.sandbox.iotstudio.records import Thing
from airflow_provider.sandbox.server import Sandbox

from ..conftest import LIST, READ, THING

UNKNOWN = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


@pytest.fixture
def space(service: IoTStudioService) -> list[str]:
    """Fill the space with 3000 Things that were not modified recently; return their ids."""
    service.space.things.clear()
    for number in range(3000):
        uid = ulid(1_700_000_000_000, f"thing {number}")
        service.space.things[uid] = Thing(uid, status={"number": number})
    return list(service.space.things)


def some(space: list[str], count: int, service: IoTStudioService, *, modified: bool) -> list[str]:
    """Choose Things from the whole space, and optionally mark them as modified last."""
    chosen = space[:: len(space) // count][:count]
    for uid in chosen if modified else ():
        service.space.things[uid].modified = "2026-01-01T00:00:00.000000000Z"
    return chosen


@pytest.mark.parametrize("modified", [True, False])
@pytest.mark.parametrize("count", [2, 375, 376, 1000, 1700, 2000])
def test_a_thousand_things_cost_at_most_three_requests_in_a_space_of_any_size(
    hook: IoTStudioHook,
    service: IoTStudioService,
    sandbox: Sandbox,
    space: list[str],
    count: int,
    modified: bool,
) -> None:
    wanted = some(space, count, service, modified=modified)
    assert set(read_values(hook, wanted)) == set(wanted)
    assert sandbox.counters.requests[LIST] <= 3 * math.ceil(count / 1000)


def test_values_go_with_their_things(hook: IoTStudioHook, space: list[str]) -> None:
    found = read_values(hook, space[::-1])
    assert all(found[uid] == {"number": number} for number, uid in enumerate(space))


def test_a_whole_space_costs_one_request_for_a_thousand_things(
    hook: IoTStudioHook, sandbox: Sandbox, space: list[str]
) -> None:
    assert len(read_values(hook, space)) == 3000
    assert sandbox.counters.requests[LIST] == 3


@pytest.mark.parametrize("cursor", ["refuse", "unsorted"])
def test_all_values_are_read_where_the_cursor_of_a_sorted_page_does_not_continue_it(
    hook: IoTStudioHook,
    service: IoTStudioService,
    space: list[str],
    cursor: Literal["refuse", "unsorted"],
) -> None:
    service.sorted_cursor = cursor
    some(space, 1000, service, modified=True)
    assert set(read_values(hook, space)) == set(space)


def test_things_just_written_are_on_the_first_pages_when_writing_modifies_them(
    hook: IoTStudioHook, service: IoTStudioService, sandbox: Sandbox, space: list[str]
) -> None:
    wanted = some(space, 1400, service, modified=True)
    assert len(read_values(hook, wanted)) == 1400
    assert sandbox.counters.requests[LIST] == 2


def test_one_thing_is_read_by_itself_and_may_be_missing(hook: IoTStudioHook, sandbox: Sandbox) -> None:
    assert read_values(hook, [THING, THING])[THING]["setpoint"] == 21.5
    assert read_values(hook, [UNKNOWN]) == {}  # by two requests: a single 404 is not believed
    assert (sandbox.counters.requests[READ], sandbox.counters.requests[LIST]) == (3, 0)


def test_things_that_do_not_exist_are_absent(hook: IoTStudioHook, space: list[str]) -> None:
    unknown = [ulid(1_600_000_000_000, f"unknown {number}") for number in range(600)]
    assert set(read_values(hook, [*space[:600], *unknown])) == set(space[:600])


def test_a_service_that_refuses_long_urls_gets_shorter_ones(
    hook: IoTStudioHook, service: IoTStudioService, sandbox: Sandbox, space: list[str]
) -> None:
    service.longest_url = 8000
    wanted = some(space, 1000, service, modified=False)
    assert set(read_values(hook, wanted)) == set(wanted)
    assert sandbox.counters.requests[LIST] <= 8


def test_where_long_urls_are_refused_the_list_is_read_if_it_brings_more(
    hook: IoTStudioHook, service: IoTStudioService, sandbox: Sandbox, space: list[str]
) -> None:
    service.longest_url = 8000
    for uid in space[2000:]:
        del service.space.things[uid]
    assert set(read_values(hook, space[:1000])) == set(space[:1000])
    assert sandbox.counters.requests[LIST] <= 4


def test_a_block_with_an_id_that_is_refused_is_read_in_halves(
    hook: IoTStudioHook, service: IoTStudioService, space: list[str]
) -> None:
    service.longest_url = 1000
    assert set(read_values(hook, space[:300])) == set(space[:300])
    service.longest_url = 60
    assert read_values(hook, space[:3]) == {}


def test_a_list_that_cannot_be_sorted_is_left_alone(
    hook: IoTStudioHook, sandbox: Sandbox, space: list[str]
) -> None:
    sandbox.faults.add("status", path="/things$", status=400, times=1)
    assert set(read_values(hook, space)) == set(space)


def test_values_that_the_list_leaves_out_are_asked_for(hook: IoTStudioHook, sandbox: Sandbox) -> None:
    page = json.dumps({"data": [{"uid": THING}], "paging": {}})
    sandbox.faults.add("status", path="/things$", status=200, body=page, content_type="application/json")
    assert read_values(hook, [THING, UNKNOWN])[THING]["setpoint"] == 21.5


def test_a_missing_permission_is_not_taken_for_a_long_url(hook: IoTStudioHook, sandbox: Sandbox) -> None:
    refused = sandbox.faults.add("status", path="/things$", status=403, times=None)
    with pytest.raises(PermissionDeniedError):
        read_values(hook, [THING, UNKNOWN])
    assert refused.hits == 1


@pytest.mark.parametrize("status", ["", [], 0, False])
def test_a_thing_whose_values_are_empty_in_another_form_has_none(
    hook: IoTStudioHook, sandbox: Sandbox, status: object
) -> None:
    body = {"data": [{"uid": "A", "status": status}, {"uid": "B", "status": {"x": 1}}], "paging": {}}
    sandbox.faults.add("status", status=200, body=body, path="/things$")
    assert read_values(hook, ["A", "B"]) == {"A": {}, "B": {"x": 1}}
