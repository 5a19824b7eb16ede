"""Replies that a sync does not expect, and requests that the service finds too long."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider.errors import PartialWriteError, ProviderError, TransportError, VerificationError
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.iotstudio.sync.compare import list_fleet
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.server import Sandbox
from tests.unit.iotstudio.sync.conftest import counts, sync, titles

pytestmark = pytest.mark.slow  # promises do not depend on versions


@pytest.mark.parametrize("longest", [300, 2000])
@pytest.mark.parametrize("verify", [True, False])
def test_deletions_are_sent_in_urls_that_the_service_accepts(
    service: IoTStudioService, longest: int, verify: bool
) -> None:
    service.longest_url = longest
    service.space.things = dict(list(service.space.things.items())[:201])
    kept = next(iter(service.space.things))
    given = {"missing": "delete", "max_deletes": 5000, "max_delete_ratio": 1, "verify": verify}
    assert counts(sync([{"uid": kept}], **given)) == (0, 0, 200, 1, 0)
    assert list(service.space.things) == [kept]


def test_the_hook_deletes_many_things_in_urls_that_the_service_accepts(
    service: IoTStudioService, hook: IoTStudioHook
) -> None:
    service.longest_url = 2000
    uids = list(service.space.things)
    assert sorted(hook.delete_things(thing_ids=uids[:200])) == sorted(uids[:200])
    assert list(service.space.things) == uids[200:]


def test_the_list_that_is_compared_has_the_title_and_the_category_only(
    service: IoTStudioService, hook: IoTStudioHook, fleet: list[str]
) -> None:
    title = service.space.things[fleet[0]].title
    assert [thing["uid"] for thing in list_fleet(hook, None, title)] == [fleet[0]]
    assert {thing["uid"] for thing in list_fleet(hook, "Meters")} == set(fleet[8:])
    assert list(list_fleet(hook, "Meters", title)) == []
    assert len(list(list_fleet(hook, None))) == 10


def _answer(sandbox: Sandbox, method: str, body: Any, times: int | None = None) -> None:
    given = {"status": 200, "content_type": "application/json", "body": json.dumps(body)}
    sandbox.faults.add("status", method=method, path="/things$", times=times, **given)


@pytest.mark.parametrize("body", [[], {}, None, [{"uid": "x"}], ["x"], "ok"])
def test_deletions_are_verified_by_the_list_when_the_reply_names_none(
    service: IoTStudioService, sandbox: Sandbox, fleet: list[str], body: Any
) -> None:
    _answer(sandbox, "DELETE", body)
    given: dict[str, Any] = {"missing": "delete", "max_deletes": 9, "max_delete_ratio": 1}
    with pytest.raises(VerificationError, match="is still there"):
        sync([{"uid": uid} for uid in fleet[:9]], **given)


@pytest.mark.parametrize("body", [{}, {"title": "New"}, {"uid": None, "title": "New"}, {"uid": 5}])
def test_a_new_thing_whose_reply_has_no_uid_is_looked_up(
    service: IoTStudioService, sandbox: Sandbox, fleet: list[str], body: Any
) -> None:
    _answer(sandbox, "POST", body, times=1)
    assert counts(sync([{"title": "New"}], match_on="title")) == (1, 0, 0, 0, 0)
    assert titles(service).count("New") == 1
    _answer(sandbox, "POST", body)
    with pytest.raises(TransportError, match=r"'Newer' was not created.*has the uid"):
        sync([{"title": "Newer"}], match_on="title")


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"results": [{"status": "ok"}]}, (PartialWriteError, "row 1 .* the reply has the status 'ok'")),
        ({"results": [{}]}, (PartialWriteError, "500")),
        ({"results": [{"status": 207}]}, (VerificationError, "description is ")),
        ({"results": [{"status": "200", "response": "ok"}]}, (VerificationError, "description is ")),
        (
            {"results": [{"status": 200, "response": {"uid": "other", "description": "new"}}]},
            (VerificationError, "description is "),
        ),
    ],
)
def test_updates_whose_replies_show_nothing_are_read_back(
    sandbox: Sandbox, fleet: list[str], body: Any, wanted: tuple[type[ProviderError], str]
) -> None:
    _answer(sandbox, "PATCH", body)
    with pytest.raises(wanted[0], match=wanted[1]):
        sync([{"uid": fleet[0], "description": "new"}])
