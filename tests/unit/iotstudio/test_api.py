"""Requests as data: paths, queries and bodies, without a network."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from airflow_provider.core.http.call import pairs
from airflow_provider.core.http.reply import Reply
from airflow_provider.errors import InputError
from airflow_provider.iotstudio import api, api_admin


def reply(body: object, status: int = 200) -> Reply:
    return Reply(status, {}, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("name", "quoted"),
    [("a/b", "a%2Fb"), ("a?b#c", "a%3Fb%23c"), ("50%", "50%25"), ("Wärme", "W%C3%A4rme"), ("...", "...")],
)
def test_names_stay_one_segment(name: str, quoted: str) -> None:
    assert (
        api.property_value("my space", "T", name).path == f"/spaces/my%20space/things/T/properties/{quoted}"
    )


@pytest.mark.parametrize("name", ["", ".", "..", "\ud800"])
def test_a_name_that_would_lead_elsewhere_is_refused(name: str) -> None:
    for call in (
        lambda: api_admin.delete_model("s", name),
        lambda: api.write_properties("s", name, {"a": 1}),
        lambda: api.things(name),
    ):
        with pytest.raises(InputError, match="cannot be a name or an id in a request"):
            call()


def test_the_category_comes_before_the_things() -> None:
    assert api.things("s", category="Sensors").path == "/spaces/s/categories/Sensors/things"


def test_lists_ask_for_the_largest_pages_unless_they_have_a_limit() -> None:
    assert dict(pairs(api.things("s").params))["limit"] == "1000"
    assert dict(pairs(api.things("s", params={"limit": 100}).params))["limit"] == "100"


def test_sort_is_one_text_and_ids_repeat() -> None:
    call = api.things("s", params={"sort": ["uid", "-created"], "thingID[]": ["A", "B"], "in_category": True})
    assert sorted(pairs(call.params)) == [
        ("in_category", "true"),
        ("limit", "1000"),
        ("sort", "uid,-created"),
        ("thingID[]", "A"),
        ("thingID[]", "B"),
    ]


def test_no_scopes_are_no_parameter() -> None:
    assert "scope" not in (api.token("id", "secret", []).form or {})
    assert (api.token("id", "secret", ["thing", "category"]).form or {})["scope"] == "thing category"


def test_json_types_go_out_as_they_are() -> None:
    values = {"a": 61.5, "b": "1", "c": 1, "d": True, "e": None, "f": [0, 0.0], "g": {"h": "on"}, "i": 21.0}
    body, kind = api.write_properties("s", "T", values).body()
    assert kind == "application/json"
    assert body == b'{"a":61.5,"b":"1","c":1,"d":true,"e":null,"f":[0,0.0],"g":{"h":"on"},"i":21.0}'


def test_only_a_write_without_history_is_repeatable() -> None:
    assert not api.request_action("s", "T", "reboot").repeatable
    assert not api.write_properties("s", "T", {"a": 1}).repeatable
    assert api.write_properties("s", "T", {"a": 1}, update_history=False).repeatable


def test_an_action_without_input_sends_none() -> None:
    assert api.request_action("s", "T", "reboot").json == {"reboot": {}}
    assert api.request_action("s", "T", "reboot", 0).json == {"reboot": {"input": 0}}


def test_an_action_gets_its_id_from_the_end_of_its_href() -> None:
    entry = {"status": "pending", "href": "/beta/spaces/s/things/T/actions/reboot/01J"}
    assert api.request_action("s", "T", "reboot").read(reply({"reboot": entry}))["id"] == "01J"


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        (None, None, None),
        ("2026-01", None, f"2026-01|{api.LATEST_TIME}"),
        (None, "2026-01-31", f"{api.EARLIEST_TIME}|2026-01-31"),
        (
            datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))),
            datetime(2026, 1, 2, 0, 0, 0, 500_000, tzinfo=UTC),
            "2026-01-01T00:00:00Z|2026-01-02T00:00:00.500000Z",
        ),
    ],
)
def test_time_ranges_are_in_utc_and_never_open(
    start: str | datetime | None, end: str | datetime | None, text: str | None
) -> None:
    assert api.time_range(start, end) == text


@pytest.mark.parametrize(
    "body",
    [{"data": None, "paging": {"next_cursor": None}}, {"data": []}, {"data": [], "paging": {}}],
)
def test_odd_ends_of_lists_are_ends(body: object) -> None:
    assert api.things("s").read(reply(body)) == api.Page([], "")


@pytest.mark.parametrize(
    "body", [{}, {"message": "ok"}, {"things": []}, {"data": ""}, {"data": 0}, {"data": False}, {"data": {}}]
)
def test_an_object_of_another_kind_is_no_empty_list(body: object) -> None:
    """It would be an export without rows, or a fleet without Things, which a sync creates once more."""
    with pytest.raises(ValueError, match="data"):
        api.things("s").read(reply(body))


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/spaces/s/things", "thing.read"),
        ("PUT", "/spaces/s/things/T/properties", "thing.update"),
        ("POST", "/spaces/s/things/T/actions/a", "thing.create"),
        ("DELETE", "/spaces/s/categories/c/things/T", "thing.delete"),
        ("GET", "/spaces/s/categories", "category.read"),
        ("POST", "/spaces/s/models", "model.create"),
        ("POST", "/spaces/s/query/cursor", "query"),
    ],
)
def test_each_request_has_its_scope(method: str, path: str, scope: str) -> None:
    assert api.scope_for(method, path) == scope


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            {"error": {"status": 400, "message": "bad", "details": {"t": "too warm"}}},
            ("", "bad (t: too warm)"),
        ),
        (
            {"error": {"status": 400, "message": "Bad.", "details": {"t": ["Too warm.", "Not now."]}}},
            ("", "Bad (t: Too warm, Not now)"),
        ),
        ({"error": "invalid_client", "error_description": "no"}, ("invalid_client", "no")),
        ({"error": {"code": 401, "status": "Unauthorized", "message": "no"}}, ("401", "no")),
    ],
)
def test_errors_are_read_in_all_their_forms(body: object, said: tuple[str, str]) -> None:
    assert api.read_error(reply(body, 400)) == said
