"""Rows: features and objects of a source, and problems with row numbers."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider.errors import InputError
from airflow_provider.mapsindoors.plan.desired import (
    DesiredRow,
    raise_for_rows,
    read_desired_rows,
    set_languages,
)
from airflow_provider.mapsindoors.sync.update import _check_ids

KEY = "c88c996b231746d096db5eaa"
POINT = {"type": "Point", "coordinates": [9.9, 57.1]}


def feature(**properties: Any) -> dict[str, Any]:
    shape = {"type": "Point", "coordinates": [9.9, 57.1]}
    return {"type": "Feature", "id": KEY, "geometry": shape, "properties": properties}


def read_updates(rows: list[Any]) -> list[DesiredRow]:
    found = read_desired_rows(rows, "geodata", match_on="id")
    set_languages(found, "en", ["en", "da"])
    _check_ids(found)
    raise_for_rows(found, "geodata", "id")
    return found


def one(row: dict[str, Any]) -> dict[str, Any]:
    return read_updates([row])[0].item


def test_a_feature_becomes_an_object() -> None:
    row = feature(status=1, **{"name@en": "Desk", "properties": {"Info@da": "Ny"}, "externalId": None})
    assert one(row) == {
        "id": KEY,
        "status": 1,
        "geometry": row["geometry"],
        "properties": {"name@en": "Desk", "info@da": "Ny"},
    }


def test_a_features_id_may_be_a_property() -> None:
    assert one({**feature(id=KEY), "id": 17})["id"] == KEY


def test_a_feature_without_geometry_leaves_the_place_alone() -> None:
    assert one({**feature(status=1), "geometry": None}) == {"id": KEY, "status": 1}


def test_an_object_is_sent_as_the_service_stores_it() -> None:
    row = {
        "id": KEY,
        "properties": {"Name@en": "X"},
        "baseTypeProperties": {"capacity": 4, "obstacle": False},
    }
    assert one(row) == {
        "id": KEY,
        "properties": {"name@en": "X"},
        "baseTypeProperties": {"capacity": "4", "obstacle": "false"},
    }


def test_unknown_fields_of_an_object_that_the_service_returned_are_left_out() -> None:
    members = {"capacity": "1"}
    row = {"id": KEY, "datasetId": KEY, "baseType": "poi", "geometry": POINT, "baseTypeProperties": members}
    assert one({**row, "newField": [1]}) == row
    with pytest.raises(InputError, match="did you mean 'aliases'"):
        one({**row, "aliasses": ["a"]})


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"status": 1}, "has no id"),
        ({"id": 17}, "id must be a text of 24 hexadecimal digits"),
        ({"id": ""}, "id must be a text of 24 hexadecimal digits"),
        ({"id": KEY, "baseType": "desk"}, "baseType 'desk' is unknown"),
        ({"id": KEY, "status": 4}, "status must be 0, 1, 2 or 3"),
        ({"id": KEY, "status": "on"}, "status must be 0, 1, 2 or 3, not 'on'"),
        ({"id": KEY, "newField": [1]}, "'newField' is not a field of geodata"),
        ({"id": KEY, "properties": {"name": "X"}}, "'name' must be '<name>@<language>'"),
        ({"id": KEY, "properties": {"name@en": [3]}}, "'name@en' must be a text"),
        ({"id": KEY, "properties": {"A@en": "", "a@en": ""}}, "are the same key"),
        ({"id": KEY, "properties": ["name"]}, "properties must be an object"),
        ({"id": KEY, "categories": 7}, "categories must be a list"),
        ({"id": KEY, "aliases": [None]}, "aliases must be a list of texts"),
        ({"id": KEY, "geometry": {"type": "Point", "coordinates": [1, 99]}}, "is the order wrong"),
        ({"id": KEY, "baseType": "poi", "baseTypeProperties": {"colour": "red"}}, "'colour' is not allowed"),
        (feature(colour="red"), "'colour' is not a field of geodata"),
        ("text", "is not an object, but str"),
    ],
)
def test_a_bad_row_is_named(row: Any, words: str) -> None:
    with pytest.raises(InputError) as caught:
        read_updates([{"id": "other"}, row])
    assert [problem for problem in caught.value.problems if words in problem and problem.startswith("row 2")]


def test_all_problems_are_reported_together() -> None:
    rows = [{"id": KEY}, {"status": 1}, "x", {"id": KEY, "status": 9}]
    with pytest.raises(InputError) as caught:
        read_updates(rows)
    assert [problem.split(" (")[0].split(":")[0] for problem in caught.value.problems] == [
        "row 2",
        "row 3",
        "row 4",
        "row 4",
    ]
    assert f"has the id {KEY} of row 1" in str(caught.value)
