"""Invalid replies: a sync ignores unexpected values, or fails with an error of the provider."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider.errors import InputError, ProviderError
from airflow_provider.mapsindoors.geodata.snapshot import SolutionSnapshot
from airflow_provider.mapsindoors.geodata.wkt_wkb import parse_geometry
from airflow_provider.mapsindoors.plan.document import Change, Plan
from airflow_provider.mapsindoors.plan.html import render_page
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService, seed
from airflow_provider.sandbox.server import Sandbox
from tests.support.mapsindoors_sync import ROOMS, SQUARE, by_external_id, put, sync, undecoded, writes


@pytest.mark.parametrize(
    "body",
    [
        *(
            "null",
            "{}",
            '"text"',
            "[1]",
            "[{}]",
            '[{"id": 7}]',
            '[{"id": "a", "properties": []}]',
            "[" * 5000,
            "",
        ),
        *('[{"id": "a", "parentId": ["b"]}]', '[{"id": "a", "parentId": 7}]'),
    ],
)
def test_an_answer_that_is_no_list_of_objects_is_an_error(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, body: str
) -> None:
    sandbox.faults.add(
        "status", status=200, body=body, content_type="application/json", path="geodata", times=None
    )
    with pytest.raises(ProviderError):
        sync([{"externalId": "A-0-01", "name": "X"}])
    assert writes(sandbox) == 0


@pytest.mark.parametrize("body", ["null", "[1]", '[{"id": 7}]', "[" * 5000, '[{"id": "a"}'])
def test_a_bad_answer_while_verifying_is_an_error(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, body: str
) -> None:
    sandbox.faults.add(
        "status",
        status=200,
        body=body,
        content_type="application/json",
        method="GET",
        path="geodata",
        after=1,
        times=None,
    )
    with pytest.raises(ProviderError):
        sync([{"externalId": "A-0-01", "name": "X"}])
    assert writes(sandbox) == 1


@pytest.mark.parametrize(
    "oddity",
    [
        {"geometry": {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}},
        {"geometry": {"type": "Polygon", "coordinates": []}},
        {"geometry": {"type": "Polygon", "coordinates": [[["a", "b"]]]}},
        {"geometry": "POINT (1 2)"},
        {"geometry": None, "anchor": 7},
        {"status": "active"},
        {"aliases": [{"text": "x"}], "categories": None},
        {"additionalDetails": ["x", None]},
        {"displaySetting": None, "baseTypeProperties": None, "properties": None},
    ],
)
@pytest.mark.parametrize("code", ["A-0-01", "A-0", "NORDHOJ"])
def test_an_odd_object_on_the_map_stops_nothing(
    unlimited_service: MapsIndoorsService, tmp_path: Path, oddity: dict[str, Any], code: str
) -> None:
    thing = by_external_id(unlimited_service).get(code) or unlimited_service.campus.geodata[seed.VENUE]
    put(unlimited_service, {**thing, **oddity})
    rows: list[dict[str, Any]] = [
        {
            "externalId": "A-0-01",
            "name": "Reception",
            "geometry": SQUARE,
            "aliases": ["x"],
            "additionalDetails": [{"key": "a", "detailType": "phone", "value": "1"}],
        },
        {"externalId": "A-0-02"},
    ]
    plan = str(tmp_path / "plan.json")
    result = sync(rows, mode="plan", plan_output=plan, scope=ROOMS, missing="deactivate")
    assert result["update"] == 1


def test_types_of_objects_that_are_not_known_here_are_never_removed(
    unlimited_service: MapsIndoorsService,
) -> None:
    room = by_external_id(unlimited_service)["A-0-01"]
    put(unlimited_service, {**room, "id": "e" * 24, "externalId": "KIOSK", "baseType": "kiosk"})
    codes = [code for code, one in by_external_id(unlimited_service).items() if one["baseType"] != "kiosk"]
    assert sync([{"externalId": code} for code in codes], missing="delete", max_deletes=5)["delete"] == 0


@pytest.mark.parametrize(
    "shape", ["POLYGON" + "(" * 50_000 + "1 2" + ")" * 50_000, "POINT (" + "1" * 200_000 + ")"]
)
def test_a_text_that_is_no_shape_is_refused_soon(shape: str) -> None:
    with pytest.raises(ValueError, match="WKT"):
        parse_geometry(shape)


def test_a_deeply_nested_binary_is_rejected() -> None:
    with pytest.raises(ValueError, match="is not WKB"):
        parse_geometry(b"\x01\x06\x00\x00\x00\x01\x00\x00\x00" * 5_000)


def test_rows_that_are_no_objects_are_named(unlimited_service: MapsIndoorsService) -> None:
    with pytest.raises(InputError, match="row 2: is not an object, but list"):
        sync([{"externalId": "A-0-01"}, [1], {"externalId": 7}])


@pytest.mark.parametrize("given", [[1], {"a": 1}, 7])
def test_an_id_that_is_no_text_is_named(unlimited_service: MapsIndoorsService, given: Any) -> None:
    with pytest.raises(InputError, match="row 1: id must be a text"):
        sync([{"id": given, "name": "X"}])


@pytest.mark.parametrize("parents", [{"a": "b", "b": "a"}, {"a": "a", "b": "a"}])
def test_parents_that_form_a_cycle_are_planned_and_drawn(parents: dict[str, str]) -> None:
    objects = [
        {"id": one, "parentId": parent, "baseType": "room", "externalId": one, "geometry": SQUARE}
        for one, parent in parents.items()
    ]
    snapshot = SolutionSnapshot({"id": "d"}, undecoded(objects), scope={"root_element": "a"})
    assert sorted(snapshot.ids_in_scope()) == ["a", "b"]
    change = Change("update", "b", "room", "b", name="Round", body={"id": "b"})
    assert "Round" in render_page(
        Plan("d", "externalId", {"root_element": "a"}, "f", changes=[change]), snapshot
    )
