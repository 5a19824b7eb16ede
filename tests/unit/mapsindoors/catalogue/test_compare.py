"""Differences of a row and a display type or category, and what is sent then."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider.mapsindoors.catalogue.compare import complete, differences


def rules(**members: Any) -> list[dict[str, Any]]:
    return [{"name": "Default", **members}]


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        ({"name": "Room"}, {"name": " Room\u00a0"}, {}),
        ({"name": "hall"}, {"name": "Room"}, {"name": ["Room", "hall"]}),
        ({"key": "a"}, {"key": None}, {"key": [None, "a"]}),
        ({"key": "a"}, {"key": " a"}, {}),
        ({"key": "b"}, {"key": " a"}, {"key": [" a", "b"]}),
        ({"icon": "a"}, {"icon": " a"}, {"icon": [" a", "a"]}),
        ({"name": {"en": "Room", "DA": "Rum"}}, {"name": {"EN": "Room", "da": "Rum"}}, {}),
        ({"name": {"en": "Hall"}}, {"name": {"EN": "Room"}}, {"name.en": ["Room", "Hall"]}),
        ({"name": {"en": ""}}, {"name": None}, {}),
        ({"displayRules": {"Default": {"visible": True}}}, {"displayRules": rules(visible=True)}, {}),
        (
            {"displayRules": {"Default": {"visible": True}}},
            {"displayRules": rules(visible=1)},
            {"displayRules.Default.visible": [1, True]},
        ),
        (
            {"displayRules": {"Default": {"icon": {"size": 5, "title": None}}}},
            {"displayRules": rules()},
            {"displayRules.Default.icon.size": [None, 5]},
        ),
        (
            {"displayRules": {"Default": {"icon": {"size": 5}}}},
            {"displayRules": rules(icon={"size": 7, "title": "x"})},
            {"displayRules.Default.icon.size": [7, 5]},
        ),
        (
            {"displayRules": {"Default": {"zoom": 3, "icon": {"size": 5}, "label": {"size": 6}}}},
            {"displayRules": rules(zoom=1)},
            {
                "displayRules.Default.zoom": [1, 3],
                "displayRules.Default.icon.size": [None, 5],
                "displayRules.Default.label.size": [None, 6],
            },
        ),
        ({"displayRules": {"Default": {"visible": ""}}}, {"displayRules": rules(visible=None)}, {}),
        ({"displayRules": {"New": {}}}, {"displayRules": rules()}, {"displayRules.New": [None, {}]}),
        ({"displayRules": {"Default": {}}}, {"displayRules": rules()}, {}),
        ({"displayRules": {"New": {"zoom": 0}}}, {}, {"displayRules.New.zoom": [None, 0]}),
    ],
    ids=str,
)
def test_differences_are_those_of_the_fields_that_the_row_owns(
    wanted: dict[str, Any], found: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert differences(wanted, found) == expected
    assert differences(wanted, complete(wanted, found)) == {}


@pytest.mark.parametrize(
    ("wanted", "found", "sent"),
    [
        ({"name": "Room"}, {"name": "Room ", "icon": "i"}, {"name": "Room ", "icon": "i"}),
        ({"name": "hall"}, {"name": "Room"}, {"name": "hall"}),
        ({"key": "a"}, {"key": " a"}, {"key": " a"}),
        (
            {"name": {"en": "Hall", "fr": "Salle"}},
            {"name": {"EN": "Room", "da": "Rum"}},
            {"name": {"EN": "Hall", "da": "Rum", "fr": "Salle"}},
        ),
        ({"name": {"en": "Hall"}}, {"name": None}, {"name": {"en": "Hall"}}),
        ({"icon": None}, {"icon": "i"}, {"icon": "i"}),
        (
            {"displayRules": {"Default": {"icon": {"size": 5}, "zoom": None}, "New": {"zoom": 3}}},
            {"displayRules": [*rules(icon={"size": 7, "title": "x"}, zoom=1), {"name": "Other"}]},
            {
                "displayRules": [
                    {"name": "Default", "icon": {"size": 5, "title": "x"}, "zoom": 1},
                    {"name": "Other"},
                    {"name": "New", "zoom": 3},
                ]
            },
        ),
    ],
    ids=str,
)
def test_what_the_row_does_not_own_is_sent_as_it_was(
    wanted: dict[str, Any], found: dict[str, Any], sent: dict[str, Any]
) -> None:
    before = repr(found)
    assert complete(wanted, found) == sent
    assert repr(found) == before


def test_names_are_compared_and_sent_by_language() -> None:
    wanted, found = {"name": {"en": "Hall", "da": "Rum"}}, {"name": {"EN": "Room", "da": "Rum"}}
    assert differences(wanted, found) == {"name.en": ["Room", "Hall"]}
    assert complete(wanted, found) == {"name": {"EN": "Hall", "da": "Rum"}}
