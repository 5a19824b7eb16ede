"""Additional details that a row does not own: kept, or reported; and columns that clash with them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.errors import InputError, VerificationError
from airflow_provider.mapsindoors.operators import MapsIndoorsUpdateGeodataOperator
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService
from tests.support.mapsindoors_sync import by_external_id, put, sync

PHONE = {"key": "phone", "detailType": "phone", "value": "1234"}
WEB = {"key": "web", "detailType": "url", "value": "https://a.example"}
KEYLESS = {"detailType": "phone", "value": "7"}
DAY = {"closedAllDay": False, "startTime": "9:00", "endTime": "17:00"}


@pytest.fixture
def service(unlimited_service: MapsIndoorsService) -> MapsIndoorsService:
    return unlimited_service


def stored(service: MapsIndoorsService) -> Any:
    return by_external_id(service)["A-0-01"].get("additionalDetails")


def store(service: MapsIndoorsService, *details: Any) -> None:
    put(service, {**by_external_id(service)["A-0-01"], "additionalDetails": list(details)})


def room(**cells: Any) -> list[dict[str, Any]]:
    return [{"externalId": "A-0-01", **cells}]


def update(service: MapsIndoorsService, **cells: Any) -> None:
    key = by_external_id(service)["A-0-01"]["id"]
    MapsIndoorsUpdateGeodataOperator(task_id="t", geodata=[{"id": key, **cells}]).execute({})


def hours(*days: str) -> dict[str, Any]:
    spans = {"standardOpeningHours": dict.fromkeys(days, DAY)}
    return {"key": "h", "detailType": "openinghours", "openingHours": spans}


@pytest.mark.parametrize("there", [("monday",), ("monday", "friday")])
def test_a_restore_removes_opening_hours_that_were_added(
    service: MapsIndoorsService, tmp_path: Path, there: tuple[str, ...]
) -> None:
    store(service, hours(*there), PHONE)
    backup, plan = str(tmp_path / "map.jsonl"), str(tmp_path / "plan.json")
    sync(room(**{"detail.h.tuesday": "10:00-11:00", "detail.h.sunday": "closed"}), backup=backup)
    sync(backup, restore=True, mode="plan", plan_output=plan)
    assert sync(plan=plan)["update"] == 1
    assert stored(service) == [hours(*there), PHONE]
    assert sync(backup, restore=True)["update"] == 0


def test_a_restore_fails_when_the_service_keeps_opening_hours(
    service: MapsIndoorsService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(service, hours("monday"))
    backup = str(tmp_path / "map.jsonl")
    sync(room(**{"detail.h.tuesday": "10:00-11:00"}), backup=backup)
    kept = copy.deepcopy(stored(service))
    monkeypatch.setattr(
        "airflow_provider.mapsindoors.hooks.MapsIndoorsHook.update_geodata", lambda hook, items: None
    )
    with pytest.raises(VerificationError, match="detail 'h' has the openingHours"):
        sync(backup, restore=True)
    assert stored(service) == kept


@pytest.mark.parametrize(
    ("others", "named"),
    [
        ((WEB, {**WEB, "value": "https://b.example"}), "the key 'web' more than once"),
        ((KEYLESS,), "a detail without a key"),
        ((WEB, WEB), "the key 'web' more than once"),
        ((WEB, WEB, KEYLESS), "the key 'web' more than once and a detail without a key"),
    ],
)
def test_details_that_cannot_be_told_apart_are_reported_before_one_is_lost(
    service: MapsIndoorsService, others: tuple[Any, ...], named: str
) -> None:
    store(service, PHONE, *others)
    with pytest.raises(InputError, match=f"has {named}, of which a write would lose one; mend it in the CMS"):
        sync(room(**{"detail.new": "https://n.example"}))
    with pytest.raises(InputError, match="of which a write would lose one"):
        update(service, **{"detail.phone": "5678"})
    assert sync(room(**{"detail.phone": "1234"}))["unchanged"] == 1
    assert stored(service) == [PHONE, *others]
    same = room(additionalDetails=[PHONE, *others])[0]
    geodata = by_external_id(service)["A-0-01"]
    assert sync([{**geodata, **same}])["unchanged"] == 1


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ({"detail.Phone": "999"}, "'Phone' differs from 'phone' in case only; did you mean 'detail.phone'"),
        ({"detail.web": "https://x.org", "detail.WEB": "https://y.org"}, "'WEB' differs from 'web'"),
        ({"detail.phone.Value": "5678"}, "did you mean 'detail.phone.value'"),
        ({"detail.phone.detailtype": "phone"}, "did you mean 'detail.phone.detailType'"),
        ({"detail.web.Icon": "https://x.org"}, "did you mean 'detail.web.icon'"),
        ({"detail.web.ACTIVE": "true"}, "did you mean 'detail.web.active'"),
        ({"detail.h.Monday": "08:00-16:00"}, "did you mean 'detail.h.monday'"),
        ({"detail.web.displaytext@en": "x"}, "did you mean 'detail.web.displayText@en'"),
        ({"detail.web.displayText": "x.org"}, "did you mean 'detail.web.displayText@en'"),
    ],
)
def test_another_spelling_of_a_member_or_key_is_no_new_detail(
    service: MapsIndoorsService, cells: dict[str, Any], problem: str
) -> None:
    store(service, PHONE)
    with pytest.raises(InputError, match=problem):
        sync(room(**cells))
    with pytest.raises(InputError, match=problem):
        update(service, **cells)
    assert stored(service) == [PHONE]


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        (
            {"detail.h": {"openingHours": None}, "detail.h.monday": "08:00-16:00"},
            "detail.h.monday is in open",
        ),
        ({"detail.h": {"openingHours": "x"}, "detail.h.monday": "08:00-16:00"}, "row 1 .*detail.h.monday"),
        (
            {"detail.h": {"openingHours": {"standardOpeningHours": []}}, "detail.h.monday": "8:00-9:00"},
            "is in standardOpeningHours",
        ),
        ({"detail.h": {"displayText": "x"}, "detail.h.displayText@en": "y"}, "is in displayText"),
        ({"detail.h": {"displayText": None}, "detail.h.displayText@en": "y"}, "is in displayText"),
        ({"detail.h": "", "detail.h.monday": "08:00-16:00"}, "empty value, which removes it, and opening"),
    ],
)
def test_a_column_of_a_member_that_is_no_object_is_refused(
    service: MapsIndoorsService, cells: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        sync(room(**cells))
    with pytest.raises(InputError, match=problem):
        update(service, **cells)


def test_columns_leave_the_rows_of_a_list_as_they_are(service: MapsIndoorsService) -> None:
    rows = room(**{"detail.h": {k: v for k, v in hours("tuesday").items() if k != "key"}})
    rows[0]["detail.h.monday"] = "9:00-17:00"
    before = copy.deepcopy(rows)
    assert sync(rows)["update"] == 1
    assert rows == before
    assert sync(rows)["unchanged"] == 1


def test_a_type_without_a_value_is_no_detail(service: MapsIndoorsService) -> None:
    update(service, **{"detail.code": None, "detail.code.detailType": "phone", "name@en": "Z"})
    assert by_external_id(service)["A-0-01"]["properties"]["name@en"] == "Z"
    assert not stored(service)


def test_a_wrong_value_is_reported_once(service: MapsIndoorsService) -> None:
    with pytest.raises(InputError) as raised:
        sync(room(**{"detail.web": "x y", "detail.web.detailType": "url"}))
    assert str(raised.value).count("is no url") == 1


def test_languages_of_texts_have_no_case_and_keys_have_no_blanks(service: MapsIndoorsService) -> None:
    cells = {"detail. web ": "https://a.example", "detail.web.displayText@EN": "Site"}
    assert sync(room(**cells))["update"] == 1
    assert stored(service) == [{**WEB, "displayText": {"en": "Site"}}]
    with pytest.raises(InputError, match="' a ' has blanks around its key"):
        sync(room(additionalDetails=[{**PHONE, "key": " a "}]))


def test_a_detail_that_the_service_keeps_is_named(service: MapsIndoorsService) -> None:
    service.details_put = "merge"
    store(service, WEB, PHONE)
    with pytest.raises(VerificationError, match=r"detail 'phone' is still there \(the service may keep"):
        sync(room(**{"detail.phone": ""}))


def test_a_list_in_defaults_is_not_hidden_by_columns(service: MapsIndoorsService) -> None:
    defaults = {"additionalDetails": [WEB]}
    with pytest.raises(InputError, match="the defaults have the list additionalDetails; give both as col"):
        sync(room(**{"detail.p": "12345"}), defaults=defaults)
    assert sync(room(name="Other"), defaults=defaults)["update"] == 1
    assert stored(service) == [WEB]
