"""Objects that a sensor waits for: each needs a key and an expected value."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider.errors import InputError
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.mapsindoors.plan.expected import has_names, read_expected, resolve_expected
from airflow_provider.sandbox.server import Sandbox

ID = "a" * 24


@pytest.mark.parametrize(
    ("row", "match_on", "problem"),
    [
        ({"externalId": "1", "name@en": None}, "externalId", "has no expected value: each is null"),
        ({"id": ID, "status": None}, "id", "has no expected value: each is null"),
        ({"name@en": "x"}, "externalId", "has no externalId"),
        ({"externalId": "1", "parentExternalId": "2"}, "externalId", "has a reference to its parent"),
        ({"externalId": "1", "baseType": "planet"}, "externalId", "planet"),
    ],
)
def test_an_object_without_an_expectation_is_refused(row: Any, match_on: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        read_expected([{"externalId": "0", "id": "b" * 24, "status": 1}, row], match_on)


def test_an_object_is_expected_by_its_key_or_by_values() -> None:
    rows = read_expected(
        [{"externalId": "1"}, {"externalId": "2", "status": 1, "name@en": None}], "externalId"
    )
    assert [row.item for row in rows] == [{"externalId": "1"}, {"externalId": "2", "status": 1}]
    with pytest.raises(InputError, match="is empty"):
        read_expected([], "externalId")


@pytest.mark.parametrize("match_on", ["id", "externalId"])
def test_an_object_that_is_expected_twice_is_refused(match_on: str) -> None:
    rows = [{match_on: ID, "status": 1}, {match_on: f" {ID} ", "status": 3}]
    with pytest.raises(InputError, match=f"row 2 .*is about the same object as row 1 .{ID}"):
        read_expected(rows, match_on)


@pytest.mark.parametrize(
    ("row", "names"),
    [
        ({}, False),
        ({"displayTypeId": ID, "categories": [ID]}, False),
        ({"displayTypeId": "Office"}, True),
        ({"categories": [ID, "WORK"]}, True),
    ],
)
def test_names_of_types_and_categories_are_looked_up(row: dict[str, Any], names: bool) -> None:
    assert has_names(read_expected([{"externalId": "1", **row}], "externalId")) is names


@pytest.mark.parametrize(
    ("row", "asked"),
    [
        ({"status": 1}, []),
        ({"displayType": "Workspace"}, ["displaytypes"]),
        ({"categories": ["WORK"]}, ["categories"]),
        ({"name@en": "x"}, ["dataset"]),
    ],
)
def test_names_are_those_of_the_solution_which_is_asked_for_what_is_named(
    hook: MapsIndoorsHook, sandbox: Sandbox, row: dict[str, Any], asked: list[str]
) -> None:
    (read,) = rows = read_expected([{"externalId": "1", **row}], "externalId")
    resolve_expected(hook, rows, "externalId")
    lists = [route.rpartition("/")[2] for route in sandbox.counters.requests if " GET " in route]
    assert lists == asked
    assert not has_names([read])


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"displayType": "Nowhere"}, "Nowhere"),
        ({"categories": ["NOWHERE"]}, "NOWHERE"),
        ({"name@xx": "x"}, "xx"),
    ],
)
def test_a_name_that_the_solution_does_not_have_is_refused(
    hook: MapsIndoorsHook, row: dict[str, Any], problem: str
) -> None:
    rows = read_expected([{"externalId": "1", **row}, {"externalId": "2", "status": 1}], "externalId")
    with pytest.raises(InputError, match=problem):
        resolve_expected(hook, rows, "externalId")
