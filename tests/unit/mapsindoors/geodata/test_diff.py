"""Differences: only fields that a write would change."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider.mapsindoors.geodata.diff import build_update, differences, has_values
from airflow_provider.mapsindoors.geodata.rows import RowReader
from airflow_provider.sandbox.mapsindoors import seed
from tests.support.hypothesis_sizes import examples

ROOM: dict[str, Any] = next(
    one for one in seed.campus().geodata.values() if one.get("externalId") == "A-0-01"
)


def equivalent(draw: Any, thing: dict[str, Any]) -> dict[str, Any]:
    """Return an equivalent object, which the service would store as the same."""
    out = copy.deepcopy(thing)
    ring = out["geometry"]["coordinates"][0][:-1]
    start = draw(st.integers(0, len(ring) - 1))
    ring = ring[start:] + ring[:start]
    ring = ring[::-1] if draw(st.booleans()) else ring
    shift = draw(st.floats(-9e-8, 9e-8))
    ring = [[x + shift, y - shift] for x, y in ring]
    out["geometry"] = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    if draw(st.booleans()):
        del out["anchor"]
    if draw(st.booleans()):
        out["properties"] = {key.title(): value for key, value in out["properties"].items()}
    out["properties"]["info@en"] = draw(st.sampled_from(["", None]))
    out["baseTypeProperties"]["capacity"] = draw(st.sampled_from([4, "4", 4.0]))
    out["baseTypeProperties"]["activefrom"] = draw(
        st.sampled_from(["2015-01-16T07:09:00Z", "2015-01-16T08:09:00+01:00"])
    )
    out["categories"] = draw(st.permutations(["b", "a"]))
    out["aliases"] = draw(st.sampled_from([None, []]))
    out["displaySetting"] = draw(st.sampled_from([None, {}, {"labelZoomFrom": 18.0}]))
    return {key: out[key] for key in draw(st.permutations(list(out)))}


@settings(max_examples=examples(60), deadline=None)
@given(st.data())
def test_equivalent_objects_have_no_difference(data: Any) -> None:
    stored = {
        **ROOM,
        "categories": ["a", "b"],
        "displaySetting": {"name": "default", "labelZoomFrom": 18},
        "baseTypeProperties": {
            **ROOM["baseTypeProperties"],
            "capacity": "4",
            "activefrom": "2015-01-16T07:09:00Z",
        },
    }
    row = equivalent(data.draw, stored)
    assert differences(row, stored) == {}
    assert build_update(RowReader().read(row)[0], stored) == ({}, {})


def test_only_fields_that_the_row_owns_count() -> None:
    assert differences({"properties": {"name@en": "Office A0.01"}, "status": None}, ROOM) == {}


@pytest.mark.parametrize(
    ("row", "paths"),
    [
        ({"status": 1}, ["status"]),
        ({"properties": {"name@da": "Kontor"}}, ["properties.name@da"]),
        ({"properties": {"name@da": ""}}, ["properties.name@da"]),
        ({"baseTypeProperties": {"capacity": 4}}, ["baseTypeProperties.capacity"]),
        ({"aliases": ["desk"]}, ["aliases"]),
        ({"categories": []}, ["categories"]),
        ({"externalId": ""}, ["externalId"]),
        ({"displaySetting": {"name": "default"}}, ["displaySetting.name"]),
    ],
)
def test_what_is_owned_and_different_is_named(row: dict[str, Any], paths: list[str]) -> None:
    assert list(differences(row, ROOM)) == paths


@pytest.mark.parametrize(
    ("wanted", "has"),
    [
        ({"status": 3, "id": "other", "anchor": None}, True),
        ({"properties": {"name@en": "Room"}}, True),
        ({"properties": {"name@en": "Hall"}}, False),
        ({"properties": {"name@en": None}}, False),
        ({"properties": {}}, False),
        ({"geometry": {"type": "Point", "coordinates": [1.0, 2.0]}}, True),
        ({"geometry": {"type": "Point", "coordinates": [1.0, 2.5]}}, False),
        ({"geometry": {}}, False),
        ({"anchor": {"type": "Point", "coordinates": [1.0, 2.0]}}, False),
        ({"displaySetting": {"name": "default"}}, False),
        ({"baseTypeProperties": {"obstacle": True}}, False),
        ({"externalId": "A"}, False),
    ],
)
def test_an_object_with_exactly_the_desired_values_needs_no_comparison(
    wanted: dict[str, Any], has: bool
) -> None:
    found = {
        "id": "a",
        "status": 3,
        "geometry": {"type": "Point", "coordinates": [1.0, 2.0], "bbox": [1.0, 2.0, 1.0, 2.0]},
        "properties": {"name@en": "Room", "name@da": "Rum"},
        "baseTypeProperties": {"obstacle": 1},
        "displaySetting": {"name": "default", "labelZoomFrom": 18},
    }
    assert has_values(wanted, found) is has
    if has:
        assert build_update(wanted, found) == ({}, {})


def test_members_are_sent_whole_with_those_that_the_row_does_not_own() -> None:
    body, _ = build_update({"properties": {"name@da": "Kontor"}, "status": 3}, ROOM)
    assert body == {
        "id": ROOM["id"],
        "properties": {"name@en": "Office A0.01", "name@da": "Kontor"},
    }


def test_the_anchor_moves_with_the_geometry() -> None:
    ring = [[12.0, 55.0], [12.2, 55.0], [12.2, 55.2], [12.0, 55.2], [12.0, 55.0]]
    body, different = build_update({"geometry": {"type": "Polygon", "coordinates": [ring]}}, ROOM)
    assert body["anchor"]["coordinates"] == [12.1, 55.1]
    assert set(different) == {"geometry", "anchor"}


def test_opening_hours_lose_their_seconds_and_details_have_no_order() -> None:
    def details(start: str) -> list[dict[str, Any]]:
        hours = {"standardOpeningHours": {"monday": {"startTime": start, "endTime": "16:00"}}}
        return [
            {"key": "b", "detailType": "openinghours", "openingHours": hours},
            {"key": "a", "detailType": "phone", "value": "1", "icon": None},
        ]

    stored = {"additionalDetails": details("08:00")[::-1]}
    assert differences({"additionalDetails": details("08:00:00")}, stored) == {}
    assert list(differences({"additionalDetails": details("09:00")}, stored)) == ["additionalDetails"]
