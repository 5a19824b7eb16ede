"""Additional details in rows: validated before the first request, compared by key, written complete."""

from __future__ import annotations

import json
from datetime import time
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.errors import InputError, VerificationError
from airflow_provider.mapsindoors.operators import (
    MapsIndoorsExportGeodataOperator,
    MapsIndoorsUpdateGeodataOperator,
)
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService
from airflow_provider.sandbox.server import Sandbox
from tests.support.mapsindoors_sync import by_external_id, desk, put, sync, writes

MAIL = {"key": "mail", "detailType": "email", "value": "desk@example.org", "active": True, "icon": "mail"}
WEB = {"key": "web", "detailType": "url", "value": "https://example.org/a", "displayText": {"en": "Site"}}


@pytest.fixture
def service(unlimited_service: MapsIndoorsService) -> MapsIndoorsService:
    return unlimited_service


def hours(**days: tuple[str, str] | None) -> dict[str, Any]:
    spans = {
        day: {"closedAllDay": True} if span is None else {"startTime": span[0], "endTime": span[1]}
        for day, span in days.items()
    }
    return {
        "key": "hours",
        "detailType": "openinghours",
        "openingHours": {"standardOpeningHours": spans},
    }


def stored(service: MapsIndoorsService) -> Any:
    return by_external_id(service)["A-0-01"].get("additionalDetails")


def store(service: MapsIndoorsService, *details: Any) -> None:
    put(service, {**by_external_id(service)["A-0-01"], "additionalDetails": list(details)})


def room(**fields: Any) -> list[dict[str, Any]]:
    return [{"externalId": "A-0-01", **{name.replace("__", "."): one for name, one in fields.items()}}]


def column(**cells: Any) -> list[dict[str, Any]]:
    return [{"externalId": "A-0-01", **{f"detail.{name}": one for name, one in cells.items()}}]


@pytest.mark.parametrize("as_text", [True, False])
def test_a_list_of_details_is_written_and_a_second_run_writes_nothing(
    service: MapsIndoorsService, as_text: bool
) -> None:
    details = [MAIL, WEB, hours(monday=("08:00:00", "4:00 PM"), sunday=None)]
    rows = room(additionalDetails=json.dumps(details) if as_text else details)
    assert sync(rows)["update"] == 1
    assert stored(service)[:2] == [MAIL, WEB]
    assert sync(rows)["unchanged"] == 1


# -- validation ---------------------------------------------------------------------------------------

BAD: list[tuple[Any, str]] = [
    ({"detailType": "email", "value": "a@b"}, r"additionalDetails\[0\] has no key"),
    ("mail", r"additionalDetails\[0\] must be an object"),
    ({"key": "a", "value": "x"}, "detailType must be one of email, url, phone, openinghours"),
    ({"key": "a", "detailType": "e-mail", "value": "a@b"}, "did you mean 'email'"),
    ({"key": "a", "detailType": "email", "value": "@b"}, "is no email: it needs an @ inside"),
    ({"key": "a", "detailType": "email", "value": "b@"}, "is no email"),
    ({"key": "a", "detailType": "email"}, "is no email"),
    ({"key": "a", "detailType": "email", "value": 5}, "a value that is no text"),
    ({"key": "a", "detailType": "url", "value": "localhost"}, "it needs a domain"),
    ({"key": "a", "detailType": "url", "value": "https://"}, "it needs a domain"),
    ({"key": "a", "detailType": "url", "value": "gopher://x.org"}, "its scheme must be http or https"),
    ({"key": "a", "detailType": "url", "value": "x.org/a b"}, "blanks must be encoded"),
    ({"key": "a", "detailType": "url", "value": "x.org/{id}"}, "it has braces"),
    ({"key": "a", "detailType": "phone", "value": "+45 1234 5678 9012 3456"}, "16 letters|18 letters"),
    ({"key": "a", "detailType": "phone", "value": "()"}, "0 letters and digits"),
    ({"key": "a", "detailType": "phone", "value": "12/34"}, "it may have letters, digits"),
    ({"key": "a", "detailType": "phone", "value": "1", "activ": True}, "'activ'; did you mean 'active'"),
    ({"key": "a", "detailType": "phone", "value": "1", "active": "yes"}, "not true or false"),
    ({"key": "a", "detailType": "phone", "value": "1", "displayText": "x"}, "no object of texts"),
    ({"key": "a", "detailType": "openinghours"}, "has no openingHours"),
    (hours(monday=("8", "9:00")), "monday whose startTime is no time such as 16:00"),
    (hours(monday=("25:00", "9:00")), "startTime is no time"),
    (hours(monday=("13:00 PM", "14:00")), "startTime is no time"),
    (hours(monday=("16:00:00", "4:00 pm")), "begin and end at the same time"),
    (hours(mondag=("8:00", "9:00")), "did you mean 'monday'"),
    ({**hours(), "openingHours": {"standard": {}}}, "no object with standardOpeningHours"),
]


@pytest.mark.parametrize(("detail", "problem"), BAD)
def test_a_wrong_detail_is_refused_before_the_first_request(
    service: MapsIndoorsService, sandbox: Sandbox, detail: Any, problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        sync(room(additionalDetails=[detail]))
    assert sum(sandbox.counters.requests.values()) == 0


def test_all_problems_of_details_are_reported_at_once(service: MapsIndoorsService, sandbox: Sandbox) -> None:
    web = {**WEB, "displayText": {"sv": "Sida"}}
    rows = [
        *room(additionalDetails=[{**MAIL, "value": "x"}, {**WEB, "value": "x"}, WEB]),
        {"externalId": "A-0-02", "additionalDetails": [web]},
        {"externalId": "A-0-03", "detail.thing": "something"},
        {"externalId": "A-0-04", "detail.hours.monday": "nine to five"},
    ]
    with pytest.raises(InputError) as raised:
        sync(rows)
    for part in (
        "row 1 (A-0-01): additionalDetails 'mail' value 'x' is no email",
        "row 1 (A-0-01): additionalDetails 'web' value 'x' is no url",
        "row 1 (A-0-01): additionalDetails has the key 'web' twice",
        "row 2 (A-0-02): additionalDetails 'web' has a displayText in 'sv', which the solution does not have",
        "row 3 (A-0-03): additionalDetails 'thing' is new and has no clear type; give it as"
        " detail.thing.detailType",
        "row 4 (A-0-04): detail.hours.monday must be a span such as 08:00-16:00, or closed",
    ):
        assert part in str(raised.value)
    assert writes(sandbox) == 0


def test_a_detail_that_the_map_has_already_is_not_refused(
    service: MapsIndoorsService, tmp_path: Path
) -> None:
    store(service, {"key": "old", "detailType": "url", "value": "ftp://x.org"}, MAIL)
    path = str(tmp_path / "map.jsonl")
    MapsIndoorsExportGeodataOperator(task_id="t", output_path=path).execute({})
    result = sync(path)
    assert (result["create"], result["update"]) == (0, 0)


# -- comparison ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["as-sent", "24-hours"])
@pytest.mark.parametrize(
    ("begin", "end"),
    [("08:00", "16:00"), ("8:00 AM", "4:00 pm"), ("08:00:00", "16:00:30"), ("8:00am", "16:00")],
)
def test_opening_hours_do_not_drift(service: MapsIndoorsService, form: Any, begin: str, end: str) -> None:
    service.opening_hours = form
    rows = room(additionalDetails=[hours(monday=(begin, end), sunday=None)])
    assert sync(rows)["update"] == 1
    assert sync(rows)["unchanged"] == 1
    other = [hours(sunday=None, monday=("08:00", "16:00"))]
    assert sync(room(additionalDetails=other))["unchanged"] == 1
    assert sync(room(additionalDetails=[hours(monday=("08:00", "16:01"))]))["update"] == 1


def test_order_and_members_that_a_row_does_not_name_are_no_difference(service: MapsIndoorsService) -> None:
    store(service, {**WEB, "active": True}, MAIL)
    plain = {name: value for name, value in MAIL.items() if name not in ("active", "icon")}
    assert sync(room(additionalDetails=[plain, WEB]))["unchanged"] == 1
    assert sync(room(additionalDetails=[{**plain, "value": "new@example.org"}, WEB]))["update"] == 1
    assert stored(service) == [{**MAIL, "value": "new@example.org"}, {**WEB, "active": True}]


@pytest.mark.parametrize("details_put", ["replace", "merge"])
def test_a_detail_that_a_list_does_not_have_is_removed_or_the_verification_fails(
    service: MapsIndoorsService, details_put: Any
) -> None:
    service.details_put = details_put
    store(service, MAIL, WEB)
    if details_put == "merge":
        with pytest.raises(VerificationError, match="additionalDetails is"):
            sync(room(additionalDetails=[WEB]))
    else:
        assert sync(room(additionalDetails=[WEB]))["update"] == 1
        assert stored(service) == [WEB]
        assert sync(room(additionalDetails=[]))["update"] == 1
        assert not stored(service)


# -- columns ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("details_put", ["replace", "merge"])
def test_columns_own_their_detail_and_the_others_stay(service: MapsIndoorsService, details_put: Any) -> None:
    service.details_put = details_put
    store(service, MAIL, WEB)
    rows = column(mail="new@example.org", phone="+45 12 34 56 78")
    assert sync(rows)["update"] == 1
    assert stored(service) == [
        {**MAIL, "value": "new@example.org"},
        WEB,
        {"key": "phone", "value": "+45 12 34 56 78", "detailType": "phone"},
    ]
    assert sync(rows)["unchanged"] == 1


def test_columns_name_members_days_and_languages(service: MapsIndoorsService) -> None:
    cells = {
        "detail.site": "www.example.org",
        "detail.site.displayText@en": "Site",
        "detail.site.icon": "globe",
        "detail.site.active": "true",
        "detail.hours.monday": "08:00-16:00",
        "detail.hours.sunday": "closed",
        "detail.desk.main": {"detailType": "phone", "value": "CALL-ME"},
    }
    rows = [{"externalId": "A-0-01", **cells}]
    assert sync(rows)["update"] == 1
    day = {"closedAllDay": False, "startTime": "08:00", "endTime": "16:00"}
    assert stored(service) == [
        {
            "key": "site",
            "detailType": "url",
            "value": "www.example.org",
            "active": True,
            "icon": "globe",
            "displayText": {"en": "Site"},
        },
        {
            "key": "hours",
            "detailType": "openinghours",
            "openingHours": {"standardOpeningHours": {"monday": day, "sunday": {"closedAllDay": True}}},
        },
        {"key": "desk.main", "detailType": "phone", "value": "CALL-ME"},
    ]
    assert sync(rows)["unchanged"] == 1


def test_an_empty_value_removes_a_detail(service: MapsIndoorsService) -> None:
    store(service, MAIL, WEB)
    assert sync(column(mail=""))["update"] == 1
    assert stored(service) == [WEB]
    assert sync(column(mail="", other=""))["unchanged"] == 1


def test_defaults_give_the_type_of_a_column(service: MapsIndoorsService) -> None:
    defaults = {"detail.code.detailType": "phone"}
    rows = [*column(code="ABC-1"), {"externalId": "A-0-02", "name": "Other"}]
    assert sync(rows, defaults=defaults)["update"] == 2
    assert stored(service) == [{"key": "code", "detailType": "phone", "value": "ABC-1"}]
    assert "additionalDetails" not in by_external_id(service)["A-0-02"]
    assert sync(rows, defaults=defaults)["unchanged"] == 2


def test_a_value_is_checked_by_the_type_that_the_map_has(service: MapsIndoorsService) -> None:
    store(service, MAIL)
    with pytest.raises(InputError, match="'mail' value 'x.org' is no email"):
        sync(column(mail="x.org"))


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ({"detail.a": "b@c.org", "additionalDetails": [MAIL]}, "either additionalDetails, or columns"),
        ({"detail.a": {"value": "1"}, "detail.a.icon": "x", "detail.a.value": "2"}, "given twice"),
        ({"detail.a.active": "perhaps"}, "detail.a.active must be true or false"),
        ({"detail.a": [1]}, "detail.a must be a text"),
        ({"detail.": "x"}, "is not a field of geodata"),
        ({"detail.a.icon": "x"}, "'a' is new and has no clear type"),
        ({"detail.a.icon": "x", "detail.a.detailType": "url"}, "is no url"),
    ],
)
def test_wrong_columns_are_refused(service: MapsIndoorsService, cells: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        sync([{"externalId": "A-0-01", **cells}])


def test_new_objects_and_updates_take_columns_of_details(service: MapsIndoorsService, tmp_path: Path) -> None:
    plan = str(tmp_path / "plan.json")
    row = desk("D-1", **{"detail.mail": "d1@example.org", "detail.hours.monday": f"{time(8)}-16:00"})
    sync([row, *column(mail="room@example.org")], mode="plan", plan_output=plan)
    page = (tmp_path / "plan.html").read_text()
    assert "detail mail: " in page
    assert "monday 08:00:00-16:00" in page
    result = sync(plan=plan)
    assert (result["create"], result["update"]) == (1, 1)
    made = by_external_id(service)["D-1"]["additionalDetails"]
    assert made[1]["openingHours"]["standardOpeningHours"]["monday"]["startTime"] == "08:00"
    assert sync([row])["unchanged"] == 1
    key = by_external_id(service)["A-0-01"]["id"]
    update = MapsIndoorsUpdateGeodataOperator(task_id="t", geodata=[{"id": key, "detail.phone": "123"}])
    assert update.execute({}) == {"updated": 1}
    assert [one["key"] for one in stored(service)] == ["mail", "phone"]


def test_empty_columns_of_details_add_nothing_to_a_new_object(service: MapsIndoorsService) -> None:
    row = desk("D-1", **{"detail.mail": "", "detail.phone": "123", "detail.hours.monday": None})
    assert sync([row])["create"] == 1
    made = by_external_id(service)["D-1"]["additionalDetails"]
    assert made == [{"key": "phone", "detailType": "phone", "value": "123"}]
    assert sync([row])["unchanged"] == 1


def test_a_restore_removes_what_was_added_to_a_detail(service: MapsIndoorsService, tmp_path: Path) -> None:
    plain = {"key": "mail", "detailType": "email", "value": "a@example.org"}
    store(service, plain)
    path = str(tmp_path / "map.jsonl")
    MapsIndoorsExportGeodataOperator(task_id="t", output_path=path).execute({})
    store(service, {**plain, "icon": "new", "displayText": {"en": "New"}}, WEB)
    assert sync(path, restore=True)["update"] == 1
    (left,) = stored(service)
    assert (left["value"], left.get("icon"), left["displayText"]) == ("a@example.org", "", {"en": ""})
    assert sync(path, restore=True)["unchanged"] == len(service.campus.geodata)
