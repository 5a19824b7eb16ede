"""Titles as the match key: none is created twice, doubled or taken for another one unnoticed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.errors import InputError, PartialWriteError, ProviderError, VerificationError
from airflow_provider.iotstudio import api_admin
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.server import Sandbox
from tests.unit.iotstudio.sync.conftest import counts, sync, titles

pytestmark = pytest.mark.slow  # promises do not depend on versions


@pytest.fixture
def named(service: IoTStudioService, fleet: list[str]) -> list[str]:
    """Return the ids of the Things, with the titles A, B, C and so on."""
    for uid, title in zip(fleet, "ABCDEFGHIJ", strict=True):
        service.space.things[uid].title = title
    return fleet


def planned(path: Path, rows: list[dict[str, Any]], **arguments: Any) -> str:
    sync(rows, mode="plan", plan_output=str(path / "plan.json"), **{"match_on": "title", **arguments})
    return str(path / "plan.json")


@pytest.mark.parametrize(
    "rename", [[(0, "A-old")], [(0, "B"), (1, "B-old")], [(0, "A-old"), (1, "C"), (2, "C-old")]]
)
def test_a_plan_creates_a_thing_with_the_title_of_one_that_it_renames(
    service: IoTStudioService, named: list[str], tmp_path: Path, rename: list[tuple[int, str]]
) -> None:
    rows: list[dict[str, Any]] = [{"uid": named[at], "title": title} for at, title in rename]
    path = planned(tmp_path, [*rows, {"title": "A"}])
    assert counts(sync(plan=path)) == (1, len(rename), 0, 0, 0)
    assert sorted([title for _, title in rename] + ["A"]) == [
        title for title in titles(service) if title in {"A", *(title for _, title in rename)}
    ]
    assert counts(sync(plan=path))[:3] == (0, 0, 0)
    assert len(service.space.things) == 11


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        (
            [{"at": 0, "description": "by uid"}, {"title": "A"}],
            r"row 2 \(A\): title is that of Thing .* \(row 1\)",
        ),
        ([{"title": "A"}, {"at": 0, "categories": ["Sensors"]}], r"row 1 \(A\): title is that of Thing"),
        ([{"at": 0, "title": "X"}, {"at": 1, "title": "X"}], "is that of row 1, too"),
        ([{"at": 0, "title": "B"}], "title 'B' is that of Thing"),
        ([{"at": 0, "title": "B"}, {"at": 1, "description": "d"}], "title 'B' is that of Thing"),
    ],
)
def test_a_row_that_would_double_a_title_is_a_problem(
    service: IoTStudioService, named: list[str], rows: list[dict[str, Any]], wanted: str
) -> None:
    with pytest.raises(InputError, match=wanted):
        sync([_row(row, named) for row in rows], match_on="title")
    assert titles(service) == list("ABCDEFGHIJ")


def _row(row: dict[str, Any], uids: list[str]) -> dict[str, Any]:
    return (
        {"uid": uids[row["at"]], **{name: row[name] for name in row if name != "at"}} if "at" in row else row
    )


def test_renames_by_uid_do_not_double_titles_either(service: IoTStudioService, named: list[str]) -> None:
    for rows in (
        [{"at": 0, "title": "B"}],
        [{"at": 0, "title": "X"}, {"at": 1, "title": "X"}],
    ):
        with pytest.raises(InputError, match="give each Thing its own"):
            sync([_row(row, named) for row in rows])
    swap = [{"uid": named[0], "title": "B"}, {"uid": named[1], "title": "A"}]
    assert counts(sync(swap)) == (0, 2, 0, 0, 0)
    deleted = {"missing": "delete", "max_deletes": 9, "max_delete_ratio": 1}
    assert counts(sync([{"uid": named[0], "title": "C"}], **deleted)) == (0, 1, 9, 0, 0)


def test_titles_that_were_doubled_before_are_a_warning(
    service: IoTStudioService, named: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    for uid in named[1:3]:
        service.space.things[uid].title = "Twin"
    rows = [{"uid": named[0], "title": "Twin"}, {"uid": named[1], "title": "Twin"}]
    assert counts(sync(rows)) == (0, 1, 0, 1, 0)
    assert "title 'Twin' is that of Thing" in capfd.readouterr().out


@pytest.mark.parametrize(
    "given", ["Cafe\u0301 1", "Caf\u00e9 1 ", " Caf\u00e9  1", "CAF\u00c9 1", "Caf\u00e9\u00a01"]
)
@pytest.mark.parametrize("other", [{}, {"description": 7}])
def test_a_title_that_is_nearly_that_of_a_thing_makes_no_twin_of_it(
    service: IoTStudioService, named: list[str], given: str, other: dict[str, Any]
) -> None:
    service.space.things[named[0]].title = "Caf\u00e9 1"
    rows = [{"title": given, **other}, *({"title": title} for title in "BCDEFGHIJ")]
    deleted = {"missing": "delete", "max_deletes": 9, "max_delete_ratio": 1}
    with pytest.raises(InputError, match="title is nearly that of Thing" if not other else "description"):
        sync(rows, match_on="title", **deleted)
    result = sync(rows, match_on="title", on_row_error="skip", **deleted)
    assert counts(result) == (0, 0, 0, 9, 1)
    assert named[0] in service.space.things


def test_two_rows_with_nearly_the_same_new_title_are_a_problem(named: list[str]) -> None:
    with pytest.raises(InputError, match=r"nearly that of a new Thing \(row 2\)"):
        sync([{"title": "New"}, {"title": "new "}], match_on="title")


def test_things_whose_titles_differ_in_case_are_each_matched(
    service: IoTStudioService, named: list[str]
) -> None:
    service.space.things[named[1]].title = "a"
    assert counts(sync([{"title": "A"}, {"title": "a"}], match_on="title")) == (0, 0, 0, 2, 0)


# -- lost responses and other clients ---------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["reset_before", "reset_after", "truncate"])
@pytest.mark.parametrize("verify", [True, False])
def test_a_lost_create_is_not_looked_up_in_other_categories(
    service: IoTStudioService, sandbox: Sandbox, named: list[str], fault: str, verify: bool
) -> None:
    sandbox.faults.add(fault, method="POST", path="/things$")
    rows = [{"title": "A"}, {"title": "M1"}]  # A is the title of a sensor
    assert counts(sync(rows, match_on="title", category="Meters", verify=verify)) == (2, 0, 0, 0, 0)
    made = [one for uid, one in service.space.things.items() if uid not in named]
    assert sorted((one.title, *one.categories) for one in made) == [("A", "Meters"), ("M1", "Meters")]
    assert counts(sync(rows, match_on="title", category="Meters")) == (0, 0, 0, 2, 0)


def other_client(title: str) -> str:
    with IoTStudioHook() as hook:
        return str(hook.send(POST(hook.space, {"title": title, "categories": ["Meters"]}))["uid"])


POST = api_admin.create_thing


@pytest.mark.parametrize("number", [1, 3])
def test_a_title_that_another_client_has_used_meanwhile_is_not_created_again(
    service: IoTStudioService, named: list[str], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    names = IoTStudioHook.list_categories
    made: list[str] = []

    def list_categories(hook: IoTStudioHook) -> list[dict[str, Any]]:
        made.append(other_client("New 0"))
        return names(hook)

    monkeypatch.setattr(IoTStudioHook, "list_categories", list_categories)
    with IoTStudioHook() as hook:
        hook.create_category("Spare")
    rows = [{"title": f"New {at}", "categories": ["Spare"]} for at in range(number)]
    with pytest.raises(PartialWriteError, match="was created since the Things were read") as caught:
        sync(rows, match_on="title")
    assert made[0] in str(caught.value)
    assert "row 1 (New 0)" in str(caught.value)
    assert len(service.space.things) == 10 + number


@pytest.mark.parametrize("number", [1, 3])
def test_titles_that_two_syncs_create_at_once_fail_the_task_and_are_named(
    service: IoTStudioService, named: list[str], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    made: list[str] = []

    def create_thing(space: str, description: Any, **given: Any) -> Any:
        if description["title"] == "New 0":
            made.append(other_client("New 0"))
        return POST(space, description, **given)

    monkeypatch.setattr(api_admin, "create_thing", create_thing)
    with pytest.raises(VerificationError, match="'New 0' is that of 2 new Things") as caught:
        sync([{"title": f"New {at}"} for at in range(number)], match_on="title")
    assert made[0] in str(caught.value)
    assert caught.value.total == 1


def test_two_syncs_at_once_create_each_thing_once_or_one_of_them_fails(
    service: IoTStudioService, named: list[str]
) -> None:
    rows = [{"title": f"N{number}"} for number in range(5)]

    def run(_: int) -> str:
        try:
            sync(rows, match_on="title")
        except ProviderError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(2) as pool:
        errors = "".join(pool.map(run, range(2)))
    doubled = {title for title in titles(service) if titles(service).count(title) > 1}
    assert all(f"'{title}' is that of" in errors for title in doubled)
